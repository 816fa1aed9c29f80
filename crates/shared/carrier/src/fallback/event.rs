//! What a fall-back is told.

use rcseal_rcs::transport::SendFailure;

use crate::business::{Accepted, Channel, MessageId, ProviderEvent, ProviderFailure, RevokeOutcome};

/// How long a send is put off where the provider did not say.
const DEFER_DEFAULT_MS: u64 = 5_000;

/// Something that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The provider has it.
    SendAccepted,
    /// The provider refused it for its recipient or its content: it will never be delivered this way.
    SendRefused,
    /// It never left, or was turned away for now.
    SendDeferred {
        /// When to try again, in milliseconds from now.
        after_ms: u64,
    },
    /// No answer: the provider may have it.
    SendUnanswered,
    /// The provider reports a delivery.
    Delivered(Channel),
    /// The provider reports that it was opened.
    Read(Channel),
    /// The provider has given it up.
    ProviderFailed,
    /// The provider says that its time to live has passed and that it took it back.
    RevokedByTtl,
    /// The provider says that its time to live has passed and that taking it back failed.
    TtlRevokeFailed,
    /// Our revocation was carried out.
    RevokeConfirmed,
    /// Our revocation was refused.
    RevokeRefused,
    /// Our revocation has no answer, or there is no such thing.
    RevokeUnanswered,
    /// The gateway has the SMS.
    SmsSubmitted,
    /// The gateway refused the SMS.
    SmsRefused,
    /// No answer from the gateway: it may have the SMS.
    SmsUnanswered,
    /// The SMS certainly never left: the gateway could not be reached, or turned it away for now. The SMS is due again; when, is for whoever
    /// runs the machine to say.
    SmsDeferred,
    /// The SMS was reported as delivered.
    SmsDelivered,
    /// The SMS was reported as not delivered.
    SmsFailed,
}

impl Event {
    /// What a provider's report says of which message; `None` for reports that change nothing here.
    #[must_use]
    pub fn from_provider(event: &ProviderEvent) -> Option<(MessageId, Self)> {
        Some(match event {
            ProviderEvent::Accepted { id, .. } => (*id, Self::SendAccepted),
            ProviderEvent::Delivered { id, channel } => (*id, Self::Delivered(channel.clone())),
            ProviderEvent::Read { id, channel } => (*id, Self::Read(channel.clone())),
            ProviderEvent::Failed { id, is_final: true, .. } => (*id, Self::ProviderFailed),
            ProviderEvent::Revoked { id } | ProviderEvent::Expired { id, .. } => (*id, Self::RevokedByTtl),
            ProviderEvent::RevokeFailed { id } => (*id, Self::TtlRevokeFailed),
            ProviderEvent::Failed { is_final: false, .. }
            | ProviderEvent::Inbound { .. }
            | ProviderEvent::Typing { .. }
            | ProviderEvent::Subscription { .. }
            | ProviderEvent::Reached { .. }
            | ProviderEvent::Unknown { .. } => return None,
        })
    }

    /// What came of sending.
    #[must_use]
    pub fn from_send(result: &Result<Accepted, ProviderFailure>) -> Self {
        match result {
            Ok(_) => Self::SendAccepted,
            Err(failure) if failure.may_have_arrived() => Self::SendUnanswered,
            Err(ProviderFailure::Busy { retry_after: Some(seconds) }) => {
                Self::SendDeferred { after_ms: seconds.saturating_mul(1000) }
            }
            Err(failure) if failure.is_temporary() => Self::SendDeferred { after_ms: DEFER_DEFAULT_MS },
            Err(_) => Self::SendRefused,
        }
    }

    /// What came of submitting the SMS.
    #[must_use]
    pub const fn from_sms<T>(result: &Result<T, SendFailure>) -> Self {
        match result {
            Ok(_) => Self::SmsSubmitted,
            Err(SendFailure::NoAnswer) => Self::SmsUnanswered,
            Err(SendFailure::Busy { .. } | SendFailure::Unreachable | SendFailure::Unauthorized) => Self::SmsDeferred,
            Err(
                SendFailure::UnsupportedMedia
                | SendFailure::NotFound
                | SendFailure::TooLarge
                | SendFailure::Refused { .. }
                | SendFailure::Unfit,
            ) => Self::SmsRefused,
        }
    }

    /// What came of a revocation.
    #[must_use]
    pub const fn from_revoke(outcome: RevokeOutcome) -> Self {
        match outcome {
            RevokeOutcome::Confirmed => Self::RevokeConfirmed,
            RevokeOutcome::Refused => Self::RevokeRefused,
            RevokeOutcome::Unanswered | RevokeOutcome::Unsupported => Self::RevokeUnanswered,
        }
    }
}
