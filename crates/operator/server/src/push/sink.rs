//! Where wake-ups go: the seam between deciding that a device is woken and the push service that does it.

use async_trait::async_trait;
use rcseal_store::PushTarget;

/// Hands wake-ups to push services. Called for several devices at once, and for one device never twice within the interval.
#[async_trait]
pub trait PushSink: Send + Sync {
    /// Hands over one wake-up. `Ok` when the push service has it, which is not to say that the phone has.
    ///
    /// # Errors
    /// [`PushSinkError`] says what to do about it.
    async fn wake(&self, target: PushTarget) -> Result<(), PushSinkError>;
}

/// Why a wake-up was not handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushSinkError {
    /// The push service knows the token no more: the registration ends.
    #[error("the push service knows the token no more")]
    Unregistered,
    /// Later.
    #[error("the push service asks to wait")]
    Retry {
        /// How long.
        after_seconds: u64,
    },
    /// Not this one, and trying again would not help. The next message tries anew.
    #[error("the push service did not take the wake-up")]
    Failed,
}

impl PushSinkError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unregistered => "push_unregistered",
            Self::Retry { .. } => "push_retry",
            Self::Failed => "push_failed",
        }
    }
}
