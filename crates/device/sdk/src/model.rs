//! What several parts of the API speak of: platforms, accounts, delivery modes.

use rcseal_client::vault::ProtectionLevel;
use rcseal_engine::account::{AccountState, AccountView, DeviceView};
use rcseal_engine::policy::{self, DeliveryMode as Mode, Reader as ModeReader};
use rcseal_wire::id;

use crate::vault::KeyProtection;

/// Translates one closed enum into another of the same names.
macro_rules! mirrored {
    ($(#[$doc:meta])* $name:ident = $theirs:path { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
        #[cfg_attr(feature = "node", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl From<$theirs> for $name {
            fn from(theirs: $theirs) -> Self {
                match theirs { $(<$theirs>::$variant => Self::$variant,)* }
            }
        }

        impl From<$name> for $theirs {
            fn from(ours: $name) -> Self {
                match ours { $($name::$variant => Self::$variant,)* }
            }
        }
    };
}

mirrored!(
    /// What a device runs on.
    Platform = id::Platform {
        /// An Android phone or tablet.
        Android,
        /// An iPhone or iPad.
        Ios,
        /// A desktop computer.
        Desktop,
        /// A web browser.
        Web,
        /// A server process.
        Server,
    }
);

mirrored!(
    /// How a message goes. What counts is who can read it on its way.
    DeliveryMode = Mode {
        /// Ciphertext that a carrier takes from phone to phone.
        Native,
        /// Ciphertext over a relay, which does not learn who sends.
        Relayed,
        /// Ciphertext that a broker passes between a carrier and an app.
        Brokered,
        /// Encrypted on its way, and readable by the operator of a server.
        ServerEncrypted,
        /// Plain text as an RCS message: readable by every carrier on the way.
        CarrierReadable,
        /// Plain text as an SMS: readable by every carrier on the way, and by whoever listens between them.
        Sms,
    }
);

mirrored!(
    /// Somebody who can read a message.
    Reader = ModeReader {
        /// The devices of the people in the conversation.
        Participants,
        /// Whoever runs the server that encrypts.
        ServerOperator,
        /// The carriers of both sides, and every network between them.
        Carriers,
        /// Whoever listens to a radio cell, or answers for a roaming number.
        RadioAndRoaming,
    }
);

mirrored!(
    /// What becomes of a message that cannot go end to end.
    FallbackPolicy = policy::FallbackPolicy {
        /// It may go in a mode that others can read, where the user has agreed to that.
        Downgrade,
        /// It is refused, and the user is asked to find out by another way what the recipient can do.
        Verify,
        /// It is refused.
        Block,
    }
);

mirrored!(
    /// How far this device's account has come.
    AccountStage = AccountState {
        /// The keys exist; the server does not know them yet.
        Registering,
        /// The server has confirmed.
        Active,
        /// The recovery key has signed; the server has not confirmed that the account is this device's.
        Recovering,
        /// A reset was asked for; until it is in force the account is not this device's.
        Resetting,
    }
);

mirrored!(
    /// Whether somebody compared safety numbers.
    Verification = rcseal_engine::contact::Verification {
        /// Nobody has.
        Unverified,
        /// Somebody has, for the account key as it is.
        Verified,
        /// Somebody had, and the account key was replaced since; or it was replaced by a reset.
        Changed,
    }
);

/// What the lock on a conversation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Padlock {
    /// End to end, and the safety numbers were compared.
    Verified,
    /// End to end.
    EndToEnd,
    /// End to end, and the contact's account key is another than the one that was compared.
    Changed,
    /// The user has agreed that others can read.
    Readable,
    /// The contact is blocked, or gone.
    Closed,
}

/// Who can read what goes in a mode.
pub(crate) fn readers(mode: Mode) -> Vec<Reader> {
    mode.readers().iter().copied().map(Reader::from).collect()
}

impl From<ProtectionLevel> for KeyProtection {
    fn from(level: ProtectionLevel) -> Self {
        match level {
            ProtectionLevel::Software => Self::Software,
            ProtectionLevel::Tee => Self::Tee,
            ProtectionLevel::StrongBox => Self::StrongBox,
            ProtectionLevel::SecureEnclave => Self::SecureEnclave,
        }
    }
}

/// One device of an account.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Device {
    /// Its number, 1 to 127, never used again.
    pub number: u8,
    /// What it runs on.
    pub platform: Platform,
    /// Whether its keys are with the person the account belongs to, and not with a service.
    pub is_users: bool,
}

impl From<DeviceView> for Device {
    fn from(device: DeviceView) -> Self {
        Self {
            number: device.number.get(),
            platform: device.platform.into(),
            is_users: device.custody == id::Custody::User,
        }
    }
}

/// This device and its account.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Account {
    /// The account's id.
    pub account_id: String,
    /// This device's number.
    pub device_number: u8,
    /// Its server.
    pub origin: String,
    /// How far it has come.
    pub stage: AccountStage,
    /// What the user is called.
    pub display_name: String,
    /// Whether this device holds the account key.
    pub is_primary: bool,
    /// The account's devices.
    pub devices: Vec<Device>,
    /// When a reset of the account takes effect that somebody asked for.
    pub pending_reset_at_ms: Option<u64>,
}

impl From<AccountView> for Account {
    fn from(account: AccountView) -> Self {
        Self {
            account_id: account.address.account.to_string(),
            device_number: account.address.device.get(),
            origin: account.origin.as_str().to_owned(),
            stage: account.state.into(),
            display_name: account.display_name,
            is_primary: account.is_primary,
            devices: account.devices.into_iter().map(Device::from).collect(),
            pending_reset_at_ms: account.reset_at.map(|at| at.0),
        }
    }
}

impl std::fmt::Debug for Account {
    /// Without ids and names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("device_number", &self.device_number)
            .field("stage", &self.stage)
            .field("is_primary", &self.is_primary)
            .finish_non_exhaustive()
    }
}
