//! The rule: a pure function from inputs to a decision. `docs/protocol/delivery.md` has it as a table; the numbers are the same.

use super::decision::{CarrierHint, Choice, ConsentState, ContentKind, Decision, Inputs, PeerCapability};
use super::mode::{DeliveryMode, FallbackPolicy, RoutePreference};
use super::reason::Reason;

/// Failures of the native way in a row after which the relay is taken, where there is one: three are no chance.
pub(crate) const NATIVE_FAILURES_MAX: u8 = 3;

const fn send(mode: DeliveryMode, reason: Reason, consent: ConsentState) -> Decision {
    Decision { number: 0, choice: Choice::Send(mode), reason, consent }
}

const fn refuse(reason: Reason, consent: ConsentState) -> Decision {
    Decision { number: 0, choice: Choice::Refuse, reason, consent }
}

/// Decides what becomes of a message.
///
/// It allocates nothing, reads no clock, and depends on nothing but its inputs. A mode that somebody beside the participants can read comes
/// out of rules 2 and 10 only.
#[must_use]
pub fn decide(inputs: &Inputs) -> Decision {
    // 1: the stricter policy wins.
    let policy = inputs.policies.strictest();
    // 2: the user has acknowledged that this conversation goes without, in this mode, and has agreed to it.
    if let PeerCapability::KnownCapable { since } = inputs.peer
        && inputs.content != ContentKind::Notice
        && policy == FallbackPolicy::Downgrade
        && let Some(acknowledged) = inputs.acknowledged
        && acknowledged.at >= since
        && inputs.ways.has(acknowledged.mode)
        && !acknowledged.mode.is_end_to_end()
        && let Some(consent) = inputs.consent_to(acknowledged.mode)
    {
        return match inputs.content {
            ContentKind::Words => send(acknowledged.mode, Reason::DowngradeAcknowledged, ConsentState::Given(consent)),
            ContentKind::Other | ContentKind::Notice => refuse(Reason::ContentUnfit, ConsentState::NotNeeded),
        };
    }
    // 3: end to end, where there is a way.
    if let Some((mode, reason)) = end_to_end(inputs) {
        return send(mode, reason, ConsentState::NotNeeded);
    }
    // 4
    if policy == FallbackPolicy::Block {
        return refuse(Reason::PolicyBlocks, ConsentState::NotNeeded);
    }
    // 5: an acknowledgement that does not serve, for want of a way or of consent, is as good as none.
    if inputs.peer.is_known() {
        let missing = match policy {
            FallbackPolicy::Downgrade => ConsentState::AcknowledgementNeeded,
            FallbackPolicy::Verify | FallbackPolicy::Block => ConsentState::NotNeeded,
        };
        return refuse(Reason::KnownCapable, missing);
    }
    // 6: nobody has shown that the recipient has no encryption.
    if !inputs.absence.is_some_and(|evidence| evidence.is_fresh(inputs.now)) {
        return refuse(Reason::CapabilityUnknown, ConsentState::VerificationNeeded);
    }
    // 7
    if policy == FallbackPolicy::Verify {
        return refuse(Reason::PolicyVerifies, ConsentState::NotNeeded);
    }
    // 8
    if inputs.content != ContentKind::Words {
        return refuse(Reason::ContentUnfit, ConsentState::NotNeeded);
    }
    // 9 and 10: the one mode that the user has agreed to, where there is a way for it.
    let mut has_way = false;
    for mode in DeliveryMode::READABLE {
        if inputs.ways.has(mode) {
            has_way = true;
            if let Some(consent) = inputs.consent_to(mode) {
                return send(mode, Reason::DowngradeAgreed, ConsentState::Given(consent));
            }
        }
    }
    if has_way {
        refuse(Reason::ConsentMissing, ConsentState::Needed)
    } else {
        refuse(Reason::NoWay, ConsentState::NotNeeded)
    }
}

/// The end-to-end way to take, and why that one.
fn end_to_end(inputs: &Inputs) -> Option<(DeliveryMode, Reason)> {
    let ways = inputs.ways;
    let has_relay = ways.has(DeliveryMode::Relayed);
    if let Some(mode) = inputs.carrier_way() {
        let (preferred, only) = match mode {
            DeliveryMode::Brokered => (Reason::BrokeredPreferred, Reason::BrokeredOnly),
            _ => (Reason::NativePreferred, Reason::NativeOnly),
        };
        let is_doubtful =
            inputs.observed.native_failures >= NATIVE_FAILURES_MAX || inputs.observed.hint == CarrierHint::NoFrames;
        return Some(match (inputs.preference, has_relay) {
            (RoutePreference::Native, true) if is_doubtful => (DeliveryMode::Relayed, Reason::NativeDoubtful),
            (RoutePreference::Native, _) => (mode, preferred),
            (RoutePreference::Relayed, true) => (DeliveryMode::Relayed, Reason::RelayedByDefault),
            (RoutePreference::Relayed, false) => (mode, only),
        });
    }
    has_relay.then_some(match inputs.preference {
        RoutePreference::Relayed => (DeliveryMode::Relayed, Reason::RelayedByDefault),
        RoutePreference::Native => (DeliveryMode::Relayed, Reason::NativeUnavailable),
    })
}

#[cfg(test)]
mod tests;
