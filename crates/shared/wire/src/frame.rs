//! Frames of the message plane (protobuf; schema in `proto/frame.proto`), and the typed forms behind them.
//!
//! The generated types carry whatever a peer sent. [`Submit::parse`] and [`Acks::parse`] turn them into types whose lengths are right.

// The generated code is documented in the schema.
#![allow(missing_docs, clippy::doc_markdown)]

use bytes::Bytes;

use crate::id::{EnvelopeId, IdError, MailboxId};
use crate::padding::ENVELOPE_LEN_MAX;
use crate::token::{DeliveryToken, TokenError};

include!(concat!(env!("OUT_DIR"), "/rcseal.frame.v1.rs"));

/// Submissions in one batch: bounds what one frame costs the relay.
pub const BATCH_LEN_MAX: usize = 256;
/// Bytes of one frame: a batch of ordinary envelopes or a dozen of the largest.
pub const FRAME_LEN_MAX: usize = 2 * 1024 * 1024;
/// Ids in one acknowledgement.
pub const ACKNOWLEDGE_LEN_MAX: usize = 1024;
/// The longest an envelope waits: 30 days.
pub const TTL_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Paths of the message plane.
pub const MAILBOX_PATH: &str = "/v1/mailbox";
/// Unauthenticated WebSocket for [`SubmitBatch`].
pub const SUBMIT_PATH: &str = "/v1/submit";
/// The same over plain HTTPS: POST a [`SubmitBatch`], get [`SubmitResults`].
pub const MESSAGES_PATH: &str = "/v1/messages";
/// GET [`Deliveries`].
pub const MAILBOX_MESSAGES_PATH: &str = "/v1/mailbox/messages";
/// POST an [`Acknowledge`], get [`Acknowledged`].
pub const MAILBOX_ACKNOWLEDGE_PATH: &str = "/v1/mailbox/acknowledge";
/// Media type of protobuf bodies.
pub const PROTOBUF_CONTENT_TYPE: &str = "application/x-protobuf";

/// Why a frame was not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The frame is not a [`SubmitBatch`].
    #[error("the frame is not a batch of submissions")]
    Malformed,
    /// More than [`BATCH_LEN_MAX`] submissions.
    #[error("too many submissions in one batch")]
    TooMany,
}

impl SubmitBatch {
    /// Reads a frame, of at most [`BATCH_LEN_MAX`] submissions. They are counted before any is unpacked: an empty submission is two bytes
    /// of a frame and over a hundred of memory.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn parse(frame: Bytes) -> Result<Self, BatchError> {
        if count_submissions(&frame).ok_or(BatchError::Malformed)? > BATCH_LEN_MAX {
            return Err(BatchError::TooMany);
        }
        prost::Message::decode(frame).map_err(|_| BatchError::Malformed)
    }
}

/// How often the field `submissions` stands in a [`SubmitBatch`]; `None` if the bytes are no protobuf message.
fn count_submissions(mut frame: &[u8]) -> Option<usize> {
    const SUBMISSIONS: u64 = 2;
    let mut count = 0;
    while !frame.is_empty() {
        let key = prost::encoding::decode_varint(&mut frame).ok()?;
        let len = match key & 7 {
            0 => {
                prost::encoding::decode_varint(&mut frame).ok()?;
                0
            }
            1 => 8,
            2 => usize::try_from(prost::encoding::decode_varint(&mut frame).ok()?).ok()?,
            5 => 4,
            // Groups left the format before it had a version 3.
            _ => return None,
        };
        frame = frame.get(len..)?;
        count += usize::from(key >> 3 == SUBMISSIONS);
    }
    Some(count)
}

/// A submission whose fields have the right lengths.
#[derive(Debug)]
pub struct Submit {
    /// Where to.
    pub mailbox: MailboxId,
    /// By whose leave.
    pub token: DeliveryToken,
    /// De-duplication and acknowledgement.
    pub id: EnvelopeId,
    /// How long it may wait, in seconds: 1 to [`TTL_SECONDS_MAX`].
    pub ttl_seconds: u32,
    /// What the relay cannot read.
    pub envelope: Bytes,
}

/// Why a submission was not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// A field has the wrong length.
    #[error("a field has the wrong length")]
    Field,
    /// The time to live is zero or over [`TTL_SECONDS_MAX`].
    #[error("the time to live is out of range")]
    Ttl,
    /// The envelope is empty.
    #[error("the envelope is empty")]
    Empty,
    /// The envelope is over [`ENVELOPE_LEN_MAX`].
    #[error("the envelope is too large: {len} bytes")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
}

impl From<IdError> for SubmitError {
    fn from(_: IdError) -> Self {
        Self::Field
    }
}

impl From<TokenError> for SubmitError {
    fn from(_: TokenError) -> Self {
        Self::Field
    }
}

impl SubmitError {
    /// The status that answers it.
    #[must_use]
    pub const fn status(self) -> SubmitStatus {
        match self {
            Self::Field | Self::Ttl | Self::Empty => SubmitStatus::Malformed,
            Self::TooLarge { .. } => SubmitStatus::TooLarge,
        }
    }
}

impl Submit {
    /// Checks a submission's fields.
    ///
    /// # Errors
    /// [`SubmitError`] names the first field that is wrong.
    pub fn parse(submission: Submission) -> Result<Self, SubmitError> {
        let mailbox = MailboxId::parse(&submission.mailbox)?;
        let token = DeliveryToken::parse(&submission.delivery_token)?;
        let id = EnvelopeId::parse(&submission.id)?;
        if submission.ttl_seconds == 0 || submission.ttl_seconds > TTL_SECONDS_MAX {
            return Err(SubmitError::Ttl);
        }
        if submission.envelope.is_empty() {
            return Err(SubmitError::Empty);
        }
        if submission.envelope.len() > ENVELOPE_LEN_MAX {
            return Err(SubmitError::TooLarge { len: submission.envelope.len() });
        }
        Ok(Self { mailbox, token, id, ttl_seconds: submission.ttl_seconds, envelope: submission.envelope })
    }

    /// The frame form.
    #[must_use]
    pub fn to_submission(&self) -> Submission {
        Submission {
            mailbox: Bytes::copy_from_slice(self.mailbox.as_bytes()),
            delivery_token: Bytes::copy_from_slice(self.token.expose()),
            id: Bytes::copy_from_slice(self.id.as_bytes()),
            ttl_seconds: self.ttl_seconds,
            envelope: self.envelope.clone(),
        }
    }
}

/// An acknowledgement whose ids have the right length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acks {
    /// Echoed in the answer.
    pub request: u64,
    /// Durable at the device.
    pub consumed: Vec<EnvelopeId>,
    /// Held by the device, not decrypted: id and reason code.
    pub undecryptable: Vec<(EnvelopeId, u32)>,
}

/// Why an acknowledgement was not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcksError {
    /// An id has the wrong length.
    #[error("an id has the wrong length")]
    Id,
    /// More than [`ACKNOWLEDGE_LEN_MAX`] ids.
    #[error("too many ids in one acknowledgement")]
    TooMany,
}

impl Acks {
    /// Checks an acknowledgement.
    ///
    /// # Errors
    /// [`AcksError`].
    pub fn parse(frame: &Acknowledge) -> Result<Self, AcksError> {
        if frame.consumed.len() + frame.undecryptable.len() > ACKNOWLEDGE_LEN_MAX {
            return Err(AcksError::TooMany);
        }
        let id = |bytes: &Bytes| EnvelopeId::parse(bytes).map_err(|_| AcksError::Id);
        Ok(Self {
            request: frame.request,
            consumed: frame.consumed.iter().map(id).collect::<Result<_, _>>()?,
            undecryptable: frame
                .undecryptable
                .iter()
                .map(|entry| Ok((id(&entry.id)?, entry.reason)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The frame form.
    #[must_use]
    pub fn to_frame(&self) -> Acknowledge {
        Acknowledge {
            request: self.request,
            consumed: self.consumed.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
            undecryptable: self
                .undecryptable
                .iter()
                .map(|(id, reason)| Undecryptable { id: Bytes::copy_from_slice(id.as_bytes()), reason: *reason })
                .collect(),
        }
    }
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission")
            .field("ttl_seconds", &self.ttl_seconds)
            .field("envelope_len", &self.envelope.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prost::Message as _;

    use super::*;

    fn batch_of(count: usize) -> SubmitBatch {
        let submission = Submission { envelope: Bytes::from_static(b"\x12\0\x12\0"), ..Submission::default() };
        SubmitBatch { batch: 7, submissions: vec![submission; count] }
    }

    #[test]
    fn a_batch_of_too_many_submissions_is_not_unpacked() {
        let most = batch_of(BATCH_LEN_MAX);
        assert_eq!(SubmitBatch::parse(most.encode_to_vec().into()), Ok(most));
        assert_eq!(SubmitBatch::parse(batch_of(BATCH_LEN_MAX + 1).encode_to_vec().into()), Err(BatchError::TooMany));
        // A whole frame of the shortest submissions there are.
        assert_eq!(SubmitBatch::parse([0x12, 0].repeat(FRAME_LEN_MAX / 2).into()), Err(BatchError::TooMany));
    }

    proptest::proptest! {
        #[test]
        fn bytes_are_a_batch_exactly_when_protobuf_says_so(bytes: Vec<u8>) {
            let parsed = SubmitBatch::parse(Bytes::from(bytes.clone()));
            if let Ok(parsed) = parsed {
                proptest::prop_assert_eq!(Some(parsed), SubmitBatch::decode(&bytes[..]).ok());
            }
        }

        #[test]
        fn what_is_counted_is_what_is_unpacked(batch: u64, lens in proptest::collection::vec(0usize..40, 0..20)) {
            let submissions =
                lens.iter().map(|len| Submission { envelope: vec![0x12; *len].into(), ..Submission::default() }).collect();
            let batch = SubmitBatch { batch, submissions };
            proptest::prop_assert_eq!(SubmitBatch::parse(batch.encode_to_vec().into()), Ok(batch));
        }
    }
}
