//! A message to chunks.

use super::frame::{Flag, Frame, FrameHeader};
use super::{BODY_LEN_MAX, ByteRange, Path};
use crate::text::MediaType;
use crate::transport::CarrierMessageId;

/// An id for a message of a session, or for the request that binds a connection: 32 characters, the most that RFC 4975 allows (`ident`,
/// section 9). A UUID with its hyphens, which the wrapper inside has, is four too many.
#[must_use]
pub fn message_id(random: [u8; 16]) -> CarrierMessageId {
    CarrierMessageId::parse(&format!("{:032x}", u128::from_be_bytes(random))).expect("hexadecimal digits are an id")
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// The path to the far end.
    pub to: Path,
    /// Our address.
    pub from: Path,
    /// The message's id in this session: [`message_id`], not the id inside its wrapper, which may be too long for a peer.
    pub message_id: CarrierMessageId,
    /// Its media type.
    pub content_type: MediaType,
    /// Its bytes.
    pub body: &'a [u8],
    /// Whether the far end is to report that it has all of them.
    pub wants_success_report: bool,
}

impl<'a> Outgoing<'a> {
    /// The chunks in order, each of at most `chunk_len` bytes ([`super::CHUNK_LEN`] unless the path is known to take more). `seed` gives
    /// random bytes for each chunk's transaction. An empty message is one empty chunk.
    pub fn chunks(
        &'a self,
        chunk_len: usize,
        mut seed: impl FnMut() -> [u8; 8] + 'a,
    ) -> impl Iterator<Item = Frame> + 'a {
        let chunk_len = chunk_len.clamp(1, BODY_LEN_MAX);
        let total = self.body.len();
        let starts = (0..total.max(1)).step_by(chunk_len);
        starts.map(move |start| {
            let end = start.saturating_add(chunk_len).min(total);
            let flag = if end == total { Flag::Last } else { Flag::Continues };
            Frame::send(
                seed(),
                self.to.clone(),
                self.from.clone(),
                self.headers(start, end),
                self.content_type.clone(),
                self.body[start..end].to_vec(),
                flag,
            )
        })
    }

    fn headers(&self, start: usize, end: usize) -> Vec<FrameHeader> {
        let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let range = ByteRange::new(number(start) + 1, Some(number(end)), Some(number(self.body.len())));
        let mut lines = vec![("Message-ID", self.message_id.as_str().to_owned())];
        lines.extend(range.ok().map(|range| ("Byte-Range", range.to_string())));
        if self.wants_success_report {
            lines.push(("Success-Report", "yes".to_owned()));
        }
        lines.iter().filter_map(|(name, value)| FrameHeader::new(name, value).ok()).collect()
    }
}
