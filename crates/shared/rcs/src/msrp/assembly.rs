//! Chunks to messages.
//!
//! Chunks of several messages arrive in between each other, in any order, some twice. A chunk says which bytes it holds, and a sender
//! may be wrong or lying: what a chunk holds must fit what it says, what it says must fit what the others said, and everything must
//! fit the limits. A message that breaks a rule is dropped whole.

use std::collections::BTreeMap;

use super::frame::{Flag, Frame, Method};
use super::{BODY_LEN_MAX, ByteRange};
use crate::text::MediaType;
use crate::transport::CarrierMessageId;

/// How much an [`Assembler`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblyLimits {
    /// Bytes of one message.
    pub message_len_max: usize,
    /// Messages that are not whole yet.
    pub messages_max: usize,
    /// Separate runs of bytes within one message. A sender that keeps to the order has one.
    pub runs_max: usize,
}

impl Default for AssemblyLimits {
    /// A message of a mebibyte, which is what we offer in the session description; four at a time; 64 runs, far more than a network
    /// that keeps to the order within a connection can cause.
    fn default() -> Self {
        Self { message_len_max: 1024 * 1024, messages_max: 4, runs_max: 64 }
    }
}

/// Why a chunk was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// Not a chunk: another request, or no message id, or no body.
    #[error("not a chunk of a message")]
    NotAChunk,
    /// It holds other bytes than it says, or more than the message has.
    #[error("the chunk does not hold the bytes that it says")]
    RangeMismatch,
    /// The message's length is not what another chunk said.
    #[error("the message's length has changed")]
    TotalChanged,
    /// The message is larger than is taken.
    #[error("a message larger than is taken")]
    TooLarge,
    /// Too many messages at a time.
    #[error("too many messages at a time")]
    TooManyMessages,
    /// Too many gaps in one message.
    #[error("too many gaps in one message")]
    TooManyRuns,
}

impl AssemblyError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAChunk => "msrp_not_a_chunk",
            Self::RangeMismatch => "msrp_range_mismatch",
            Self::TotalChanged => "msrp_total_changed",
            Self::TooLarge => "msrp_message_too_large",
            Self::TooManyMessages => "msrp_too_many_messages",
            Self::TooManyRuns => "msrp_too_many_runs",
        }
    }

    /// What the chunk is answered with: 413 stops the sender (RFC 4975, section 7.3.1), 400 tells it that the chunk makes no sense.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotAChunk | Self::RangeMismatch | Self::TotalChanged => 400,
            Self::TooLarge | Self::TooManyMessages | Self::TooManyRuns => 413,
        }
    }
}

/// A whole message.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub message_id: CarrierMessageId,
    /// Its media type, as its first chunk said.
    pub content_type: MediaType,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Whether its sender wants [`Frame::report`] of it.
    pub wants_success_report: bool,
}

impl Received {
    /// The range to report on: all of it.
    #[must_use]
    pub fn range(&self) -> ByteRange {
        ByteRange::whole(u64::try_from(self.body.len()).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Debug for Received {
    /// Without the body: it may be readable.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received")
            .field("message_id", &self.message_id)
            .field("content_type", &self.content_type)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// Bytes are missing.
    Waiting,
    /// The message is whole.
    Complete(Received),
    /// Its sender has given it up.
    Aborted(CarrierMessageId),
}

/// Puts chunks together.
#[derive(Debug)]
pub struct Assembler {
    limits: AssemblyLimits,
    messages: BTreeMap<CarrierMessageId, Partial>,
}

struct Partial {
    content_type: MediaType,
    bytes: Vec<u8>,
    /// What of `bytes` has come: ranges from the first byte to the one behind the last, apart from each other, in order.
    runs: Vec<(usize, usize)>,
    total: Option<usize>,
    has_last: bool,
    wants_success_report: bool,
}

impl Assembler {
    /// An assembler within these limits.
    #[must_use]
    pub const fn new(limits: AssemblyLimits) -> Self {
        Self { limits, messages: BTreeMap::new() }
    }

    /// Messages that are not whole.
    pub fn pending(&self) -> impl Iterator<Item = &CarrierMessageId> {
        self.messages.keys()
    }

    /// Forgets a message, for one whose rest has not come in time.
    pub fn forget(&mut self, message_id: &CarrierMessageId) {
        self.messages.remove(message_id);
    }

    /// Takes a chunk.
    ///
    /// # Errors
    /// [`AssemblyError`]; the message is forgotten.
    pub fn add(&mut self, chunk: &Frame) -> Result<Added, AssemblyError> {
        let (true, Some(id), Some((content_type, body))) =
            (chunk.is_request(&Method::Send), chunk.message_id(), &chunk.body)
        else {
            return Err(AssemblyError::NotAChunk);
        };
        if chunk.flag() == Flag::Aborted {
            self.messages.remove(&id);
            return Ok(Added::Aborted(id));
        }
        let mut partial = match self.messages.remove(&id) {
            Some(partial) => partial,
            None if self.messages.len() >= self.limits.messages_max => return Err(AssemblyError::TooManyMessages),
            None => Partial::new(content_type.clone(), chunk.wants_success_report()),
        };
        partial.take(chunk, body, &self.limits)?;
        if partial.is_whole() {
            let Partial { content_type, bytes: body, wants_success_report, .. } = partial;
            return Ok(Added::Complete(Received { message_id: id, content_type, body, wants_success_report }));
        }
        self.messages.insert(id, partial);
        Ok(Added::Waiting)
    }
}

impl Partial {
    const fn new(content_type: MediaType, wants_success_report: bool) -> Self {
        Self { content_type, bytes: Vec::new(), runs: Vec::new(), total: None, has_last: false, wants_success_report }
    }

    fn take(&mut self, chunk: &Frame, body: &[u8], limits: &AssemblyLimits) -> Result<(), AssemblyError> {
        let is_last = chunk.flag() == Flag::Last;
        let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
        // A missing header means the whole message where the message ends here, and its beginning where it goes on.
        let range = match chunk.byte_range() {
            Some(range) => range,
            None if is_last => ByteRange::whole(len),
            None => ByteRange::new(1, None, None).map_err(|_| AssemblyError::RangeMismatch)?,
        };
        if let Some(last) = range.last() {
            let said = last.saturating_add(1) - range.first();
            // A sender that interrupts itself ends a chunk early, and says so by the flag.
            if len > said || (len < said && is_last) {
                return Err(AssemblyError::RangeMismatch);
            }
        }
        let size = |value: u64| {
            usize::try_from(value).ok().filter(|value| *value <= limits.message_len_max).ok_or(AssemblyError::TooLarge)
        };
        let start = size(range.first() - 1)?;
        let end = size((range.first() - 1).saturating_add(len))?;
        let total = match (range.total(), is_last) {
            (Some(total), true) if usize::try_from(total) != Ok(end) => return Err(AssemblyError::RangeMismatch),
            (Some(total), _) => Some(size(total)?),
            (None, true) => Some(end),
            (None, false) => None,
        };
        if let Some(total) = total
            && self.total.replace(total).is_some_and(|before| before != total)
        {
            return Err(AssemblyError::TotalChanged);
        }
        if self.total.is_some_and(|total| end > total || self.bytes.len() > total) {
            return Err(AssemblyError::RangeMismatch);
        }
        self.has_last |= is_last;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(body);
        self.join(start, end);
        if self.runs.len() > limits.runs_max { Err(AssemblyError::TooManyRuns) } else { Ok(()) }
    }

    /// Adds a run and joins it with those that it touches.
    fn join(&mut self, mut start: usize, mut end: usize) {
        if start == end {
            return;
        }
        self.runs.retain(|&(from, to)| {
            let touches = from <= end && to >= start;
            if touches {
                start = start.min(from);
                end = end.max(to);
            }
            !touches
        });
        let at = self.runs.partition_point(|&(from, _)| from < start);
        self.runs.insert(at, (start, end));
    }

    fn is_whole(&self) -> bool {
        self.has_last
            && match (self.total, self.runs.as_slice()) {
                (Some(0), []) => true,
                (Some(total), [(0, end)]) => *end == total,
                _ => false,
            }
    }
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partial").field("total", &self.total).field("runs", &self.runs).finish_non_exhaustive()
    }
}

/// One chunk may hold a whole message of the default limits only in part; larger messages arrive in several.
const _: () = assert!(BODY_LEN_MAX <= 1024 * 1024, "a frame holds no more than a message");
