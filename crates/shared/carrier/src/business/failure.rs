//! What comes of asking a provider for something.

/// A provider has taken a message on. No delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// The provider's own id of it, where it has one.
    pub provider_id: Option<String>,
}

/// Why a provider did not take something on, as far as one is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFailure {
    /// The number cannot be reached by RCS, or this agent is not launched on its network (404).
    #[error("not reachable by RCS from this agent")]
    NotReachable,
    /// The recipient's client does not take this (400).
    #[error("the recipient's client or the provider does not take this message")]
    Unsupported,
    /// Longer than the provider takes.
    #[error("longer than the provider takes")]
    TooLarge,
    /// Refused with another status.
    #[error("refused with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// Our credentials were not taken, or there were none.
    #[error("the provider does not accept our credentials")]
    Unauthorized,
    /// Too many requests (429), after so many seconds where it was said.
    #[error("the provider wants us to wait")]
    Busy {
        /// Seconds.
        retry_after: Option<u64>,
    },
    /// No connection: the message never left.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// No answer, or a broken one: the message may have arrived.
    #[error("no answer from the provider")]
    Unanswered,
    /// The provider has nothing like it.
    #[error("the provider cannot do this")]
    NotOffered,
}

impl ProviderFailure {
    /// Whether the message may be on its way all the same.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Unanswered)
    }

    /// Whether the same message may be taken later: it never left, and the reason is not the message and not the recipient.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable | Self::Unauthorized)
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotReachable => "provider_not_reachable",
            Self::Unsupported => "provider_unsupported",
            Self::TooLarge => "provider_too_large",
            Self::Refused { .. } => "provider_refused",
            Self::Unauthorized => "provider_unauthorized",
            Self::Busy { .. } => "provider_busy",
            Self::Unreachable => "provider_unreachable",
            Self::Unanswered => "provider_unanswered",
            Self::NotOffered => "provider_not_offered",
        }
    }
}

/// What came of taking a message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The provider says that it took it back. It says so of messages that are being delivered too: no promise.
    Confirmed,
    /// The provider says that there is nothing to take back: it was delivered, or the provider never had it.
    Refused,
    /// Nothing is known.
    Unanswered,
    /// The provider has no such thing.
    Unsupported,
}
