//! What can be wrong with parts and frames, by name.

use super::part::FrameId;

/// What is wrong with a part, a body or a frame. None of it says who did it: a network fault and a meddler look the same from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Damage {
    /// A part begins and does not end. Lengths are of the form it was found in: bytes, or characters of text.
    #[error("a part is cut off: {found} of {expected}")]
    Truncated {
        /// What the part would need, as far as it says so.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// A part is there in full length, and its check does not hold.
    #[error("a part's check does not hold")]
    Corrupt,
    /// Somebody rewrote line ends inside binary data.
    #[error("line ends inside binary data were rewritten")]
    LineEndings,
    /// Somebody treated binary data as characters and wrote it in another encoding.
    #[error("binary data was re-encoded as characters")]
    Transcoded,
    /// A part of a later version of frames.
    #[error("frame version {version} is not known")]
    UnknownVersion {
        /// The version it names.
        version: u8,
    },
    /// The part is sound, and what it carries is of a later kind.
    #[error("frame kind {kind} is not known")]
    UnknownKind {
        /// The kind it names.
        kind: u8,
    },
    /// The numbers in a part's header contradict each other.
    #[error("a part's header contradicts itself")]
    Malformed,
    /// A body, or what a part or a compressed body says of its length, is above the limit.
    #[error("{len} bytes are above the limit of {max}")]
    TooLarge {
        /// The length, at least.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// One body held more parts, or more damaged ones, than are looked at.
    #[error("too many parts in one body")]
    TooManyParts,
    /// The body said that it was compressed, and could not be inflated.
    #[error("the body could not be inflated")]
    Inflate,
    /// The body was declared to be a frame, and nothing in it looks like one.
    #[error("nothing recognisable in a body declared to be a frame")]
    Unrecognisable,
    /// A part that disagrees with the others of its frame: another whole, another cut, or other bytes for the same place.
    #[error("parts that do not belong together")]
    MixedParts {
        /// The frame both claim.
        frame: FrameId,
    },
    /// All parts are there, and the whole's check does not hold.
    #[error("the whole does not match its check")]
    WholeCorrupt {
        /// The frame.
        frame: FrameId,
    },
    /// A part of a frame that is complete already.
    #[error("a part of a frame that was complete before")]
    Replay {
        /// The frame.
        frame: FrameId,
    },
}

impl Damage {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "frame_truncated",
            Self::Corrupt => "frame_corrupt",
            Self::LineEndings => "frame_line_endings",
            Self::Transcoded => "frame_transcoded",
            Self::UnknownVersion { .. } => "frame_unknown_version",
            Self::UnknownKind { .. } => "frame_unknown_kind",
            Self::Malformed => "frame_malformed",
            Self::TooLarge { .. } => "frame_too_large",
            Self::TooManyParts => "frame_too_many_parts",
            Self::Inflate => "frame_inflate",
            Self::Unrecognisable => "frame_unrecognisable",
            Self::MixedParts { .. } => "frame_mixed_parts",
            Self::WholeCorrupt { .. } => "frame_whole_corrupt",
            Self::Replay { .. } => "frame_replay",
        }
    }
}
