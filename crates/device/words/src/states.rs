//! From the states of the engine to keys. Every `match` here is exhaustive and has no arm for the rest: that is the point of it.

use rcseal_credential::{ScanError, Succession};
use rcseal_engine::account::AccountState;
use rcseal_engine::case::CaseProgress;
use rcseal_engine::contact::{ChangePolicy, Verification};
use rcseal_engine::event::{Event, KeySetReason};
use rcseal_engine::inbox::Undecryptable;
use rcseal_engine::link::LinkFailure;
use rcseal_engine::message::{EncryptionStatus, FailureReason, MessageState};
use rcseal_engine::number::NumberState;
use rcseal_engine::plain::PlainState;
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, Reader, Reason, RoutePreference};
use rcseal_engine::retained::ServerKeyState;
use rcseal_wire::id::AccountId;

use crate::Key;

/// A state for which there are words.
pub trait Worded {
    /// Its key.
    fn key(&self) -> Key;
}

impl Worded for MessageState {
    /// Of a message that could not be decrypted: what its sender is told. The reason has words of its own, for who received it.
    fn key(&self) -> Key {
        match self {
            Self::Queued => Key::MessageQueued,
            Self::Stored => Key::MessageStored,
            Self::Delivered => Key::MessageDelivered,
            Self::Read => Key::MessageRead,
            Self::Undecryptable { reason: _ } => Key::MessageUndecryptable,
            Self::Failed { reason } => reason.key(),
            Self::Received => Key::MessageReceived,
            Self::Seen => Key::MessageSeen,
        }
    }
}

impl Worded for FailureReason {
    fn key(&self) -> Key {
        match self {
            Self::Refused => Key::FailedRefused,
            Self::Expired => Key::FailedExpired,
            Self::Rejected => Key::FailedRejected,
            Self::NoKeys => Key::FailedNoKeys,
            Self::NotAllowed => Key::FailedNotAllowed,
            Self::Unconfirmed => Key::FailedUnconfirmed,
            Self::ServerKeyGone => Key::FailedServerKeyGone,
            Self::RegionMismatch => Key::FailedRegionMismatch,
            Self::RetentionUnknown => Key::FailedRetentionUnknown,
        }
    }
}

impl Worded for Undecryptable {
    /// What who received it is told. Many reasons have the same consequence for a user, and the same words.
    fn key(&self) -> Key {
        match self {
            Self::UnknownVersion => Key::UndecryptableUpdateNeeded,
            Self::Malformed | Self::SealBroken | Self::Content => Key::UndecryptableDamaged,
            Self::UnknownSession | Self::PrekeyGone | Self::TooFarAhead | Self::KeyGone => Key::UndecryptableKeysGone,
            Self::UnknownDevice
            | Self::KeySetFork
            | Self::Handshake
            | Self::Authentication
            | Self::WrongSession
            | Self::NotParticipant
            | Self::Reflected => Key::UndecryptableNotGenuine,
            Self::Replayed => Key::UndecryptableRepeated,
            Self::TooManyParked | Self::NoRoom => Key::UndecryptableNoRoom,
            Self::NotEnrolled => Key::UndecryptableOtherNumber,
        }
    }
}

impl Worded for DeliveryMode {
    fn key(&self) -> Key {
        match self {
            Self::Native => Key::EncryptionNative,
            Self::Relayed => Key::EncryptionRelayed,
            Self::Brokered => Key::EncryptionBrokered,
            Self::ServerEncrypted => Key::EncryptionServerEncrypted,
            Self::CarrierReadable => Key::EncryptionCarrierReadable,
            Self::Sms => Key::EncryptionSms,
        }
    }
}

impl Worded for EncryptionStatus {
    fn key(&self) -> Key {
        self.mode().key()
    }
}

impl Worded for Reader {
    fn key(&self) -> Key {
        match self {
            Self::Participants => Key::ReaderParticipants,
            Self::ServerOperator => Key::ReaderServerOperator,
            Self::Carriers => Key::ReaderCarriers,
            Self::RadioAndRoaming => Key::ReaderRadioAndRoaming,
        }
    }
}

impl Worded for FallbackPolicy {
    fn key(&self) -> Key {
        match self {
            Self::Downgrade => Key::FallbackDowngrade,
            Self::Verify => Key::FallbackVerify,
            Self::Block => Key::FallbackBlock,
        }
    }
}

impl Worded for RoutePreference {
    fn key(&self) -> Key {
        match self {
            Self::Relayed => Key::RouteRelayed,
            Self::Native => Key::RouteNative,
        }
    }
}

impl Worded for Reason {
    fn key(&self) -> Key {
        match self {
            Self::RelayedByDefault => Key::ReasonRelayedByDefault,
            Self::NativePreferred => Key::ReasonNativePreferred,
            Self::NativeUnavailable => Key::ReasonNativeUnavailable,
            Self::NativeDoubtful => Key::ReasonNativeDoubtful,
            Self::NativeOnly => Key::ReasonNativeOnly,
            Self::BrokeredOnly => Key::ReasonBrokeredOnly,
            Self::BrokeredPreferred => Key::ReasonBrokeredPreferred,
            Self::DowngradeAgreed => Key::ReasonDowngradeAgreed,
            Self::DowngradeAcknowledged => Key::ReasonDowngradeAcknowledged,
            Self::PolicyBlocks => Key::ReasonPolicyBlocks,
            Self::CapabilityUnknown => Key::ReasonCapabilityUnknown,
            Self::PolicyVerifies => Key::ReasonPolicyVerifies,
            Self::KnownCapable => Key::ReasonKnownCapable,
            Self::ConsentMissing => Key::ReasonConsentMissing,
            Self::NoWay => Key::ReasonNoWay,
            Self::ContentUnfit => Key::ReasonContentUnfit,
            Self::NoLongerAllowed => Key::ReasonNoLongerAllowed,
            Self::ServerKeyGone => Key::ReasonServerKeyDestroyed,
            Self::RegionMismatch => Key::ReasonRegionMismatch,
            Self::RetentionUnknown => Key::ReasonRetentionUnknown,
            Self::CarrierUnconfirmed => Key::ReasonCarrierUnconfirmed,
            Self::CarrierRefused => Key::ReasonCarrierRefusedIt,
            Self::CarrierUnfit => Key::ReasonCarrierUnfitForIt,
            Self::CarrierGone => Key::ReasonCarrierGone,
            Self::DeviceNotOnCarrier => Key::ReasonDeviceNotOnCarrier,
            Self::Restored => Key::ReasonRestored,
            Self::ServerKeyChanged => Key::ReasonServerKeyChanged,
            Self::ServerKeyHeld => Key::ReasonServerKeyHeld,
        }
    }
}

impl Worded for Verification {
    fn key(&self) -> Key {
        match self {
            Self::Unverified => Key::VerificationUnverified,
            Self::Verified => Key::VerificationVerified,
            Self::Changed => Key::VerificationChanged,
        }
    }
}

impl Worded for ChangePolicy {
    fn key(&self) -> Key {
        match self {
            Self::Allow => Key::ChangeAllow,
            Self::Warn => Key::ChangeWarn,
            Self::Block => Key::ChangeBlock,
        }
    }
}

/// What came of comparing: a scanned code, or digits that were typed.
#[must_use]
pub const fn scan_key(outcome: Result<(), ScanError>) -> Key {
    match outcome {
        Ok(()) => Key::ScanMatched,
        Err(ScanError::Malformed) => Key::ScanMalformed,
        Err(ScanError::WrongVersion { version: _ }) => Key::ScanWrongVersion,
        Err(ScanError::Mismatch) => Key::ScanMismatch,
    }
}

impl Worded for Succession {
    fn key(&self) -> Key {
        match self {
            Self::Unchanged => Key::AccountKeyUnchanged,
            Self::SameAccountKey => Key::AccountKeySameAccountKey,
            Self::Migrated => Key::AccountKeyMigrated,
            Self::Recovered => Key::AccountKeyRecovered,
            Self::Reset => Key::AccountKeyReset,
        }
    }
}

impl Worded for KeySetReason {
    fn key(&self) -> Key {
        match self {
            Self::Invalid | Self::OtherAccount | Self::NotPinned | Self::Unproven | Self::Recovery | Self::Changed => {
                Key::KeySetNotBelieved
            }
            Self::Rollback => Key::KeySetOlder,
            Self::Fork => Key::KeySetFork,
            Self::Gap => Key::KeySetGap,
            Self::ResetTooEarly => Key::KeySetTooEarly,
        }
    }
}

impl Worded for AccountState {
    fn key(&self) -> Key {
        match self {
            Self::Registering => Key::AccountRegistering,
            Self::Active => Key::AccountActive,
            Self::Recovering => Key::AccountRecovering,
            Self::Resetting => Key::AccountResetting,
        }
    }
}

impl Worded for NumberState {
    fn key(&self) -> Key {
        match self {
            Self::Claiming => Key::NumberClaiming,
            Self::CodeSent => Key::NumberCodeSent,
            Self::Verified => Key::NumberVerified,
            Self::Pending => Key::NumberPending,
            Self::Mapped => Key::NumberMapped,
            Self::Refused => Key::NumberRefused,
            Self::Released => Key::NumberReleased,
            Self::Lost => Key::NumberLost,
        }
    }
}

impl Worded for PlainState {
    fn key(&self) -> Key {
        match self {
            Self::Queued => Key::PlainQueued,
            Self::Unconfirmed => Key::PlainUnconfirmed,
            Self::Stored => Key::PlainStored,
            Self::Sent => Key::PlainSent,
            Self::Delivered => Key::PlainDelivered,
            Self::Displayed => Key::PlainDisplayed,
            Self::Failed => Key::PlainFailed,
            Self::NotAllowed => Key::PlainNotAllowed,
            Self::Received => Key::PlainReceived,
        }
    }
}

impl Worded for ServerKeyState {
    fn key(&self) -> Key {
        match self {
            Self::Usable => Key::ServerKeyUsable,
            Self::Stale => Key::ServerKeyStale,
            Self::Held => Key::ServerKeyHeld,
            Self::Gone => Key::ServerKeyGone,
            Self::RegionMismatch => Key::ServerKeyRegionMismatch,
        }
    }
}

impl Worded for CaseProgress {
    fn key(&self) -> Key {
        match self {
            Self::Waiting => Key::CaseWaiting,
            Self::Open => Key::CaseOpen,
            Self::Closed => Key::CaseClosed,
            Self::Revoked => Key::CaseRevoked,
            Self::Expired => Key::CaseExpired,
            Self::Refused(_) => Key::CaseRefused,
        }
    }
}

impl Worded for LinkFailure {
    fn key(&self) -> Key {
        match self {
            Self::Account(_) => Key::LinkFailed,
            Self::Message | Self::Key(_) | Self::Entry(_) | Self::KeySet(_) | Self::Number | Self::NotNamed => {
                Key::LinkNotGenuine
            }
            Self::OtherServer => Key::LinkOtherServer,
            Self::Order => Key::LinkStartOver,
        }
    }
}

/// What an event is to be shown with, if it is one to show: `own` is the account of this device. What has a state of its own, as a message
/// or a number, is shown with the words of that state.
#[must_use]
pub fn event_key(event: &Event, own: AccountId) -> Option<Key> {
    let either = |account: &AccountId, ours: Key, theirs: Key| Some(if *account == own { ours } else { theirs });
    match event {
        Event::MessageReceived { .. }
        | Event::MessageChanged { .. }
        | Event::Typing { .. }
        | Event::PlainReceived { .. }
        | Event::PlainChanged { .. } => None,
        Event::ContactAdded { .. } => Some(Key::ContactAdded),
        Event::DevicesChanged { account } => either(account, Key::AccountDevicesChanged, Key::ContactDevicesChanged),
        Event::AccountKeyChanged { account, how } => either(account, Key::AccountKeyChanged, how.key()),
        Event::KeySetRefused { account, reason } => either(account, Key::AccountNotBelieved, reason.key()),
        Event::VerificationSuggested { .. } => Some(Key::VerificationSuggested),
        Event::ResetPending { .. } => Some(Key::AccountResetPending),
        Event::ResetCalledOff => Some(Key::AccountResetCalledOff),
        Event::ChangeRefused => Some(Key::AccountChangeRefused),
        Event::Undecryptable { reason, .. } => Some(reason.key()),
        Event::DeviceRemoved => Some(Key::AccountDeviceRemoved),
        Event::ResendHeld { .. } => Some(Key::ResendHeld),
        Event::ConversationDowngraded { by, .. } => {
            either(by, Key::ConversationDowngradedHere, Key::ConversationDowngradedThere)
        }
        Event::ConversationRestored { .. } => Some(Key::ConversationRestored),
        Event::CarrierUnread { .. } => Some(Key::CarrierUnread),
        Event::ServerKeyChanged { is_usable: true } => Some(Key::ReasonServerKeyChanged),
        Event::ServerKeyChanged { is_usable: false } => Some(Key::ServerKeyGone),
        Event::RetainedUnannounced { .. } => Some(Key::RetainedUnannounced),
        Event::NumberChanged { state, .. } => Some(state.key()),
        Event::NumberContested { .. } => Some(Key::NumberContested),
        Event::NumberExpiring { .. } => Some(Key::NumberExpiring),
        Event::NumberStateBehind { .. } => Some(Key::NumberStateBehind),
        Event::NumberRebound { .. } => Some(Key::NumberRebound),
        Event::BrokerFound { .. } => Some(Key::NumberServiceFound),
        Event::CaseChanged { progress, .. } => Some(progress.key()),
        Event::CaseReplayed { .. } => Some(Key::CaseReplayed),
    }
}
