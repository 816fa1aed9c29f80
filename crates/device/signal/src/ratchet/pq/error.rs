//! Why the post-quantum ratchet refuses a message.

/// The post-quantum part of a message does not fit the session. The message is refused as a whole and nothing changes.
///
/// None of these is proof of anything: the part is checked before the message's MAC can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PqRefusal {
    /// Every message has a post-quantum part; one without it was stripped.
    #[error("the message has no post-quantum part")]
    Missing,
    /// Not the encoding of a post-quantum part, or one of an unknown version.
    #[error("the post-quantum part is malformed")]
    Malformed,
    /// The sender claims to be in an epoch that it cannot have reached.
    #[error("the message is of epoch {epoch}, this side is in epoch {ours}")]
    FutureEpoch {
        /// The message's epoch.
        epoch: u64,
        /// Ours.
        ours: u64,
    },
    /// The keys of the message's epoch are deleted: it is more than one epoch late.
    #[error("the message's key epoch {epoch} is gone, the oldest kept is {oldest}")]
    EpochGone {
        /// The key epoch of the message.
        epoch: u64,
        /// The oldest that has keys.
        oldest: u64,
    },
    /// The index runs too far ahead.
    #[error("the message's index is {jump} beyond the last one used, more than {max}")]
    TooFarAhead {
        /// By how much.
        jump: u32,
        /// The limit.
        max: u32,
    },
    /// The key with this index is used up, or was dropped as one of the oldest.
    #[error("key {index} of key epoch {epoch} was used, or is gone")]
    KeyGone {
        /// The key epoch.
        epoch: u64,
        /// The index in it.
        index: u32,
    },
    /// The chunks of a header gave something that the peer has not authenticated.
    #[error("the header that the message completes does not authenticate")]
    Header,
    /// The chunks of a key gave something that does not belong to its header, or is no valid key.
    #[error("the key that the message completes does not belong to its header")]
    Vector,
    /// The chunks of a ciphertext gave something that the peer has not authenticated.
    #[error("the ciphertext that the message completes does not authenticate")]
    Ciphertext,
    /// The braid gave a key out of turn. A fault of this program; refused rather than used.
    #[error("the key of epoch {found} came where that of epoch {expected} is next")]
    EpochOrder {
        /// The epoch whose key is next.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

impl PqRefusal {
    /// Whether something did not authenticate. A caller hears of that as of any other message that does not: a chunk
    /// that was changed on its way breaks the message's MAC as well, and one error stands for all of it.
    pub(crate) const fn is_authentication(&self) -> bool {
        matches!(self, Self::Header | Self::Vector | Self::Ciphertext)
    }

    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "pq_missing",
            Self::Malformed => "pq_malformed",
            Self::FutureEpoch { .. } => "pq_future_epoch",
            Self::EpochGone { .. } => "pq_epoch_gone",
            Self::TooFarAhead { .. } => "pq_too_far_ahead",
            Self::KeyGone { .. } => "pq_key_gone",
            Self::Header => "pq_header",
            Self::Vector => "pq_vector",
            Self::Ciphertext => "pq_ciphertext",
            Self::EpochOrder { .. } => "pq_epoch_order",
        }
    }
}
