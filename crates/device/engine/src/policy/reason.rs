//! Why a message goes the way it goes: a closed list, each with a stable code and one sentence for people.
//!
//! The sentences name nobody and quote nothing: they may be shown on a locked screen or in an operator's review.

/// Declares the reasons, so that number, code, rule and sentence of each stand together.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $code:literal, $text:literal;)+) => {
        /// Why a decision is what it is, or why a way that was decided was not taken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub(crate) const fn number(self) -> u8 {
                match self { $(Self::$name => $number,)+ }
            }

            pub(crate) const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// Over the relay, as it is unless the user chooses otherwise.
    RelayedByDefault = 1, "relayed_by_default", "Sent end-to-end encrypted over a relay that does not learn who sent it.";
    /// By the carrier, as the user prefers.
    NativePreferred = 2, "native_preferred", "Sent end-to-end encrypted through the phone network, as you prefer.";
    /// The user prefers the carrier, and there is no way through it to this recipient.
    NativeUnavailable = 3, "native_unavailable", "Sent end-to-end encrypted over a relay, because the phone network cannot carry it to this person.";
    /// The user prefers the carrier, which lately failed or said that the far end takes no frames.
    NativeDoubtful = 4, "native_doubtful", "Sent end-to-end encrypted over a relay, because the phone network has been failing for this person.";
    /// The only end-to-end way there is leads through the carrier.
    NativeOnly = 5, "native_only", "Sent end-to-end encrypted through the phone network, the only way there is.";
    /// The only end-to-end way there is leads through a broker.
    BrokeredOnly = 6, "brokered_only", "Sent end-to-end encrypted through a broker that cannot read it.";
    /// By the carrier, as the user prefers, and through a broker on one side or both.
    BrokeredPreferred = 7, "brokered_preferred", "Sent end-to-end encrypted through the phone network and a broker that cannot read it, as you prefer.";
    /// The recipient is known to have no end-to-end encryption, and the user agreed.
    DowngradeAgreed = 20, "downgrade_agreed", "Not end-to-end encrypted: the recipient has no encryption, and you agreed to send it so.";
    /// The recipient is known to be capable, and the user acknowledged that this conversation goes without.
    DowngradeAcknowledged = 21, "downgrade_acknowledged", "Not end-to-end encrypted: you chose to go without encryption in this conversation.";
    /// Policy refuses everything that is not end to end.
    PolicyBlocks = 40, "policy_blocks", "Not sent: it could not be end-to-end encrypted, and your settings do not allow anything less.";
    /// It is not known what the recipient can do; policy wants to know first.
    CapabilityUnknown = 41, "capability_unknown", "Not sent: ask the recipient by another way whether they can receive encrypted messages.";
    /// The user has confirmed that the recipient cannot; policy still allows nothing less.
    PolicyVerifies = 42, "policy_verifies", "Not sent: the recipient has no encryption, and your settings do not allow sending without it.";
    /// The recipient is known to be capable; nothing less goes without an acknowledgement.
    KnownCapable = 43, "known_capable", "Not sent: this person can receive encrypted messages, so it is not sent without encryption.";
    /// There is no valid consent to a mode for which there is a way.
    ConsentMissing = 44, "consent_missing", "Not sent: you have not agreed to send messages to this person that others can read.";
    /// There is no way at all.
    NoWay = 45, "no_way", "Not sent: there is no way to reach this person right now.";
    /// What is to be sent is more than words, and the mode carries words only.
    ContentUnfit = 46, "content_unfit", "Not sent: only plain text can be sent without encryption.";
    /// What was allowed when the message was written is not allowed any more.
    NoLongerAllowed = 47, "no_longer_allowed", "Not sent: what you agreed to has ended before the message could leave.";
    /// The server's key is gone: nothing can be sealed to it.
    ServerKeyGone = 48, "server_key_destroyed", "Not sent: the server's key that it was to be sealed to does not exist any more.";
    /// The server's key is kept in another region than this account's.
    RegionMismatch = 49, "region_mismatch", "Not sent: the server keeps its key in another region than it said.";
    /// The server has no such class of retention.
    RetentionUnknown = 50, "retention_unknown", "Not sent: the server does not keep messages for the time that you chose.";
    /// The carrier did not confirm in time; the same ciphertext goes over the relay.
    CarrierUnconfirmed = 60, "carrier_unconfirmed", "Sent over a relay as well, still end-to-end encrypted, because the phone network did not confirm in time.";
    /// The carrier refused it; the same ciphertext goes over the relay.
    CarrierRefused = 61, "carrier_refused_it", "Sent over a relay, still end-to-end encrypted, because the phone network refused it.";
    /// The carrier cannot carry it, for its size or shape; the ciphertext goes over the relay.
    CarrierUnfit = 62, "carrier_unfit_for_it", "Sent over a relay, still end-to-end encrypted, because the phone network cannot carry it.";
    /// The carrier cannot be reached; the ciphertext goes over the relay.
    CarrierGone = 63, "carrier_gone", "Sent over a relay, still end-to-end encrypted, because the phone network cannot be reached.";
    /// Some device of the recipient takes nothing by a carrier; it gets its ciphertext over the relay.
    DeviceNotOnCarrier = 64, "device_not_on_carrier", "Sent end-to-end encrypted, to one of the devices over a relay.";
    /// The conversation is end to end again.
    Restored = 80, "restored", "This conversation is end-to-end encrypted again.";
    /// The server to whose key readable messages are sealed has another one, of the same tenant and region; or the user accepted it.
    ServerKeyChanged = 81, "server_key_changed", "The server that you let read messages has another key.";
    /// The server offers a key of another tenant or region.
    ServerKeyHeld = 82, "server_key_held", "The server offers a key of another tenant or region; nothing is sealed to it unless you accept it.";
}

impl Reason {
    /// Which rule of `docs/protocol/delivery.md` decided.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::DowngradeAcknowledged => "2: an acknowledged downgrade, with consent",
            Self::RelayedByDefault
            | Self::NativePreferred
            | Self::NativeUnavailable
            | Self::NativeDoubtful
            | Self::NativeOnly
            | Self::BrokeredOnly
            | Self::BrokeredPreferred => "3: an end-to-end way is taken where there is one",
            Self::PolicyBlocks => "4: policy block",
            Self::KnownCapable => "5: a peer known to be capable is sent nothing less",
            Self::CapabilityUnknown => "6: unknown means verify",
            Self::PolicyVerifies => "7: policy verify",
            Self::ContentUnfit => "8: words only",
            Self::NoWay | Self::ConsentMissing => "9: a way, and consent to it",
            Self::DowngradeAgreed => "10: downgrade with evidence of absence and consent",
            Self::NoLongerAllowed
            | Self::CarrierUnconfirmed
            | Self::CarrierRefused
            | Self::CarrierUnfit
            | Self::CarrierGone
            | Self::DeviceNotOnCarrier
            | Self::ServerKeyGone
            | Self::RegionMismatch
            | Self::RetentionUnknown
            | Self::ServerKeyChanged
            | Self::ServerKeyHeld
            | Self::Restored => "after the decision",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_codes_are_each_ones_own_and_the_sentences_name_nothing() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(*reason));
            let text = reason.text();
            assert!(text.ends_with('.') && !text.contains(['{', '+', '@', '\n']), "{text}");
            assert!(!text.chars().any(|character| character.is_ascii_digit()), "{text}");
        }
    }
}
