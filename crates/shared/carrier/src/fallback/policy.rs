//! How patient a fall-back is, and what it does when nobody knows.

use crate::business::{ProviderTraits, Ttl};

/// What is done when a revocation has no answer, so that nobody knows whether the message was or will be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unanswered {
    /// Wait for a report: the recipient may get nothing, and never gets it twice. For what can wait.
    Wait,
    /// Send the SMS: the recipient may get it twice, under one id. For codes and alarms.
    FallBack,
}

/// The shortest wait before a send is tried again that a provider has put off.
pub(super) const HOLD_MIN_MS: u64 = 250;

/// How a fall-back behaves. It is kept with the message, so that a change of configuration changes no message under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How long the provider may try before the message is taken back.
    pub patience_ms: u64,
    /// How long a revocation may take, and how long there is between two of them.
    pub revoke_patience_ms: u64,
    /// How long a delivery may be reported after the provider has said that it took the message back. Longer means fewer doubles and later
    /// messages.
    pub settle_ms: u64,
    /// How often a revocation is tried, where the policy waits.
    pub revokes_max: u8,
    /// What is done when nobody knows.
    pub unanswered: Unanswered,
    /// The provider can take messages back.
    pub can_revoke: bool,
    /// The provider takes an id once: sending again is harmless.
    pub send_takes_id_once: bool,
    /// The SMS gateway takes an id once: submitting again is harmless. Most do not.
    pub sms_takes_id_once: bool,
}

impl Policy {
    /// For a provider, and a message of that time to live: it is taken back a little after the provider should have given up by itself.
    #[must_use]
    pub const fn for_provider(provider: ProviderTraits, ttl: Ttl, unanswered: Unanswered) -> Self {
        let grace_ms = if provider.expires_by_itself { 5_000 } else { 0 };
        Self {
            patience_ms: ttl.seconds().saturating_mul(1000).saturating_add(grace_ms),
            revoke_patience_ms: 30_000,
            settle_ms: 3_000,
            revokes_max: 5,
            unanswered,
            can_revoke: provider.can_revoke,
            send_takes_id_once: provider.sends_are_idempotent,
            sms_takes_id_once: false,
        }
    }
}
