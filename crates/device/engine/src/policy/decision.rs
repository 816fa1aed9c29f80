//! The decision itself, and what it is made of.

use rcseal_wire::id::AccountId;

use super::mode::{DeliveryMode, FallbackPolicy, RoutePreference};
use super::reason::Reason;
use crate::capability::NumberKey;
use crate::context::UnixMillis;

/// What becomes of a message, why, and by whose leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Its place among the stored decisions; 0 while it is not stored.
    pub number: u64,
    /// What becomes of the message.
    pub choice: Choice,
    /// Why.
    pub reason: Reason,
    /// By whose leave, or what leave is missing.
    pub consent: ConsentState,
}

impl Decision {
    /// The mode in which the message is sent; `None` where it is refused.
    #[must_use]
    pub const fn mode(&self) -> Option<DeliveryMode> {
        match self.choice {
            Choice::Send(mode) => Some(mode),
            Choice::Refuse => None,
        }
    }

    /// Whether somebody beside the participants can read what is sent.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        match self.choice {
            Choice::Send(mode) => !mode.is_end_to_end(),
            Choice::Refuse => false,
        }
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// It is sent in this mode, and in none that more can read.
    Send(DeliveryMode),
    /// It is not sent.
    Refuse,
}

/// By whose leave a message goes, or what the user would have to do so that it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentState {
    /// It goes end to end, or nothing that the user could agree to would let it go.
    NotNeeded,
    /// The user's recorded agreement.
    Given(ConsentId),
    /// The user has not agreed to the mode, for this recipient.
    Needed,
    /// The recipient is known to be capable: the user would have to acknowledge a downgrade of the conversation.
    AcknowledgementNeeded,
    /// The user would have to find out by another way what the recipient can do.
    VerificationNeeded,
}

impl ConsentState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not_needed",
            Self::Given(_) => "given",
            Self::Needed => "needed",
            Self::AcknowledgementNeeded => "acknowledgement_needed",
            Self::VerificationNeeded => "verification_needed",
        }
    }
}

/// A recorded agreement of the user's. Ascending, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsentId(pub u64);

/// To whom: an account, a number, or an account that is reached by a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient {
    /// The account, where one is known.
    pub account: Option<AccountId>,
    /// The phone number, where one is known.
    pub number: Option<NumberKey>,
}

/// The user's agreement that messages to one recipient go in one mode, for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// The account that agreed: this device's.
    pub by: AccountId,
    /// For whom.
    pub recipient: Recipient,
    /// To which mode, and to no other.
    pub mode: DeliveryMode,
    /// Since when.
    pub given_at: UnixMillis,
    /// Until when.
    pub expires_at: UnixMillis,
    /// When it was taken back.
    pub withdrawn_at: Option<UnixMillis>,
}

impl Consent {
    /// Whether it serves this mode, from this account to this recipient, now. A withdrawn or expired consent is none.
    #[must_use]
    pub fn serves(&self, mode: DeliveryMode, by: AccountId, recipient: Recipient, now: UnixMillis) -> bool {
        self.mode == mode
            && self.by == by
            && self.recipient == recipient
            && self.withdrawn_at.is_none()
            && now < self.expires_at
    }
}

/// What shows that a recipient has no end-to-end encryption. What a carrier answers never does: a 404, a 415 or an answer without our tag
/// can be made by whoever carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbsenceEvidence {
    /// The user has asked the recipient by another way, and says so. A proof out of a transparency log is to be another variant.
    UserAttested {
        /// When.
        at: UnixMillis,
        /// Until when it counts.
        expires_at: UnixMillis,
    },
}

impl AbsenceEvidence {
    /// Whether it counts now.
    #[must_use]
    pub fn is_fresh(&self, now: UnixMillis) -> bool {
        match self {
            Self::UserAttested { expires_at, .. } => now < *expires_at,
        }
    }

    /// The stable name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::UserAttested { .. } => "user_attested",
        }
    }
}

impl PeerCapability {
    /// Whether it is known.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(self, Self::KnownCapable { .. })
    }
}

/// The user's word that a conversation that was end to end goes without, in this mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The mode that was named to the user.
    pub mode: DeliveryMode,
    /// When.
    pub at: UnixMillis,
}

/// The modes for which there is a way from this device to the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ways(u8);

impl Ways {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// These, and one more.
    #[must_use]
    pub const fn with(self, mode: DeliveryMode) -> Self {
        Self(self.0 | (1 << mode.code()))
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, mode: DeliveryMode) -> Self {
        Self(self.0 & !(1 << mode.code()))
    }

    /// Whether there is a way for a mode.
    #[must_use]
    pub const fn has(self, mode: DeliveryMode) -> bool {
        self.0 & (1 << mode.code()) != 0
    }

    /// The modes, for texts.
    pub fn modes(self) -> impl Iterator<Item = DeliveryMode> {
        DeliveryMode::ALL.into_iter().filter(move |mode| self.has(*mode))
    }
}

/// What is known of the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerCapability {
    /// Known to have end-to-end encryption: an account, or a number that was one's. A latch; nothing takes it back.
    KnownCapable {
        /// Since when. A downgrade that was acknowledged before that was acknowledged for somebody else, as far as the user knew.
        since: UnixMillis,
    },
    /// Nothing is known.
    Unknown,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// Words.
    Words,
    /// Anything else that is shown: it goes end to end or not at all.
    Other,
    /// A notice about the mode itself: it goes end to end, whatever was acknowledged.
    Notice,
}

/// What a carrier answered when it was asked about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CarrierHint {
    /// It was not asked, or that was long ago.
    #[default]
    None,
    /// It answered with our tag.
    Frames,
    /// It answered without our tag.
    NoFrames,
}

impl CarrierHint {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Frames => "frames",
            Self::NoFrames => "no_frames",
        }
    }
}

/// What was seen of the network. It chooses between end-to-end ways and decides nothing else, since anybody on the way can make it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Observed {
    /// What the carrier said.
    pub hint: CarrierHint,
    /// Failures of the native way in a row.
    pub native_failures: u8,
    /// Carrier receipts in a row. They decide nothing.
    pub carrier_receipts: u8,
}

/// The policies that apply. The stricter wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policies {
    /// The operator's of this account, where there is one.
    pub tenant: Option<FallbackPolicy>,
    /// The user's.
    pub account: FallbackPolicy,
    /// The user's for this conversation, where there is one.
    pub conversation: Option<FallbackPolicy>,
}

impl Policies {
    /// The strictest of them.
    #[must_use]
    pub fn strictest(&self) -> FallbackPolicy {
        let of = |policy: Option<FallbackPolicy>| policy.unwrap_or(FallbackPolicy::Downgrade);
        self.account.max(of(self.tenant)).max(of(self.conversation))
    }
}

/// Everything a decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs {
    /// The time.
    pub now: UnixMillis,
    /// This device's account.
    pub by: AccountId,
    /// To whom.
    pub recipient: Recipient,
    /// What is to be sent.
    pub content: ContentKind,
    /// The policies.
    pub policies: Policies,
    /// The user's choice between end-to-end ways.
    pub preference: RoutePreference,
    /// Which ways there are.
    pub ways: Ways,
    /// What is known of the recipient.
    pub peer: PeerCapability,
    /// What shows that the recipient has no end-to-end encryption.
    pub absence: Option<AbsenceEvidence>,
    /// The user's word that this conversation goes without.
    pub acknowledged: Option<Acknowledgement>,
    /// The newest consent on record for this recipient. One at a time: were there several, the end of one would move messages to the mode
    /// of another, and time alone would make them more readable.
    pub consent: Option<Consent>,
    /// What was seen of the network.
    pub observed: Observed,
}

impl Inputs {
    /// The mode in which ciphertext goes by the carrier; `None` where there is no such way.
    #[must_use]
    pub fn carrier_way(&self) -> Option<DeliveryMode> {
        [DeliveryMode::Native, DeliveryMode::Brokered].into_iter().find(|mode| self.ways.has(*mode))
    }

    /// The mode that the user would have, had nothing stood against it. By the carrier is *brokered* where that is how it goes by the carrier.
    #[must_use]
    pub fn wanted(&self) -> DeliveryMode {
        match self.preference {
            RoutePreference::Relayed => DeliveryMode::Relayed,
            RoutePreference::Native => self.carrier_way().unwrap_or(DeliveryMode::Native),
        }
    }

    /// The consent that serves a mode now.
    #[must_use]
    pub fn consent_to(&self, mode: DeliveryMode) -> Option<ConsentId> {
        let consent = self.consent?;
        consent.serves(mode, self.by, self.recipient, self.now).then_some(consent.id)
    }
}
