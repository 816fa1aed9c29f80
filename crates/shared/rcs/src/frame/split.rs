//! Cuts a blob to what a transport carries.

use super::part::{Cut, Digest, Frame, FrameId, Kind, Part, digest, whole_check};
use super::text::bytes_in_text;
use super::{BLOB_LEN_MAX, PART_OVERHEAD, PARTS_MAX};
use crate::transport::TransportProfile;

/// Why a blob cannot go over a transport. The first three are for the caller to act on: by reference, or another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More parts than the transport may be burdened with: send a reference to the blob instead.
    #[error("{needed} parts are needed and {max} allowed")]
    TooManyParts {
        /// Parts it would take.
        needed: usize,
        /// Parts that are allowed.
        max: u16,
    },
    /// Above [`BLOB_LEN_MAX`], which no transport changes.
    #[error("a blob of {len} bytes is above the limit of {max}")]
    TooLarge {
        /// The blob's length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The transport's bodies have no room for a part with a payload.
    #[error("bodies of {body_len_max} bytes are too short for a part")]
    BodyTooShort {
        /// What the transport carries.
        body_len_max: usize,
    },
    /// There is nothing to send.
    #[error("an empty blob")]
    Empty,
}

impl FrameError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyParts { .. } => "frame_needs_too_many_parts",
            Self::TooLarge { .. } => "frame_blob_too_large",
            Self::BodyTooShort { .. } => "frame_body_too_short",
            Self::Empty => "frame_blob_empty",
        }
    }
}

/// The longest piece of a blob that one body of this transport carries. Zero if it carries none.
#[must_use]
pub fn payload_len_max(profile: &TransportProfile) -> usize {
    let body = profile.body_len_max;
    let part = if profile.is_binary_safe { body } else { bytes_in_text(body) };
    part.saturating_sub(PART_OVERHEAD)
}

/// How many parts a blob of `len` bytes takes on this transport: what the choice between a frame and a reference needs.
///
/// # Errors
/// See [`FrameError`].
pub fn parts_needed(len: usize, profile: &TransportProfile) -> Result<u16, FrameError> {
    if len == 0 {
        return Err(FrameError::Empty);
    }
    if len > BLOB_LEN_MAX {
        return Err(FrameError::TooLarge { len, max: BLOB_LEN_MAX });
    }
    let payload = payload_len_max(profile);
    if payload == 0 {
        return Err(FrameError::BodyTooShort { body_len_max: profile.body_len_max });
    }
    let needed = len.div_ceil(payload);
    // Parts are made equal, which a few lengths close to one byte a part turn into fewer parts than were needed at first.
    let needed = len.div_ceil(len.div_ceil(needed));
    let max = profile.parts_max.min(PARTS_MAX);
    u16::try_from(needed).ok().filter(|parts| *parts <= max).ok_or(FrameError::TooManyParts { needed, max })
}

/// Cuts `blob` into parts that fit the transport, in order. `id` is random and new.
///
/// # Errors
/// See [`FrameError`].
pub fn split(
    kind: Kind,
    id: FrameId,
    blob: &[u8],
    profile: &TransportProfile,
) -> Result<Vec<Part<'static>>, FrameError> {
    let of = parts_needed(blob.len(), profile)?;
    let cut = Cut::new(blob.len(), of).expect("a blob that is not empty, in a number of parts that equal parts need");
    let digests: Vec<Digest> = (1..=of).map(|number| digest(&blob[cut.range(number)])).collect();
    let frame = Frame { kind, id, cut, blob, whole_check: whole_check(digests.iter().copied()) };
    Ok((1..=of).zip(digests).map(|(number, digest)| Part::write(&frame, number, digest)).collect())
}
