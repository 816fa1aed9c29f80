//! Identifiers. Each is its own type, so that two of the same length cannot be swapped.
//!
//! Binary form: the bytes themselves. Text form: base64url without padding, but for [`AccountId`], which is written as a UUID.
//! None carries meaning: a phone number or a time never hides in one.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::b64;

/// An identifier's bytes or text had the wrong length or alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct IdError {
    /// The type that was expected, by its name in the vocabulary.
    pub what: &'static str,
}

impl IdError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "id_malformed"
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Draws a fresh one.
            pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
                let mut bytes = [0; $len];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// Parses exactly [`Self::LEN`] bytes.
            ///
            /// # Errors
            /// When the length differs.
            pub fn parse(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError { what: $what })
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&b64::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), b64::encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = b64::decode(text).map_err(|_| IdError { what: $what })?;
                Self::parse(&bytes)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

byte_id!(
    /// Names one device's queue at a relay. Random; says nothing of the account.
    MailboxId, 16, "mailbox id"
);
byte_id!(
    /// Names one envelope in one mailbox: drawn fresh by the sender for each (message, mailbox), used for de-duplication and
    /// acknowledgement.
    EnvelopeId, 16, "envelope id"
);
byte_id!(
    /// Names an encrypted blob. Unguessable: whoever knows it may download the ciphertext.
    BlobId, 32, "blob id"
);
byte_id!(
    /// Names a conversation between its participants.
    ConversationId, 16, "conversation id"
);
byte_id!(
    /// Names a message between the participants of its conversation.
    MessageId, 16, "message id"
);
byte_id!(
    /// Names a rendezvous where a new device and the primary device meet.
    LinkId, 16, "link id"
);
byte_id!(
    /// SHA-256 of a signed key set, under its label.
    KeySetHash, 32, "key-set hash"
);
byte_id!(
    /// SHA-256 of a delivery token: what a server stores of it.
    DeliveryTokenHash, 32, "delivery-token hash"
);
byte_id!(
    /// SHA-256 of a blob's ciphertext.
    Digest, 32, "digest"
);
byte_id!(
    /// Names a tenant of the server: whose key the server's operator reads retained messages with.
    TenantId, 16, "tenant id"
);
byte_id!(
    /// Names a message that the server can read; drawn by the sender.
    RetainedId, 16, "retained-message id"
);
byte_id!(
    /// Names a key that messages are sealed to which the server can read: the first half of a hash of it.
    ServerKeyId, 16, "server-key id"
);
byte_id!(
    /// SHA-256 of what an account stated of a phone number, and of the grounds on which a broker countersigned it.
    MappingHash, 32, "mapping hash"
);
byte_id!(
    /// Names a broker: the Ed25519 key by which it countersigns.
    BrokerKeyId, 32, "broker key"
);

/// A person or a business: a random UUID, never derived from a number or an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(Uuid);

impl AccountId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Draws a fresh one (UUID version 4).
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Parses exactly 16 bytes.
    ///
    /// # Errors
    /// When the length differs.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdError> {
        bytes.try_into().map(Self::from_bytes).map_err(|_| IdError { what: "account id" })
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({})", self.0)
    }
}

impl FromStr for AccountId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        // One text form only: the hyphenated one. Uuid would also take braces and URNs.
        if text.len() != 36 {
            return Err(IdError { what: "account id" });
        }
        Uuid::parse_str(text).map(Self).map_err(|_| IdError { what: "account id" })
    }
}

/// A device's number within its account: 1 to 127, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct DeviceNumber(u8);

impl DeviceNumber {
    /// The device that an account is created on.
    pub const PRIMARY: Self = Self(1);
    /// The highest number: one byte, top bit clear, as in the message layout's address field.
    pub const MAX: u8 = 127;

    /// Parses a number.
    ///
    /// # Errors
    /// Outside 1 to 127.
    pub const fn new(number: u8) -> Result<Self, IdError> {
        if number == 0 || number > Self::MAX {
            return Err(IdError { what: "device number" });
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number after this one, if there is one.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 == Self::MAX { None } else { Some(Self(self.0 + 1)) }
    }
}

impl TryFrom<u8> for DeviceNumber {
    type Error = IdError;
    fn try_from(number: u8) -> Result<Self, IdError> {
        Self::new(number)
    }
}

impl From<DeviceNumber> for u8 {
    fn from(number: DeviceNumber) -> Self {
        number.0
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One device of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceAddress {
    /// The account.
    pub account: AccountId,
    /// The device's number in it.
    pub device: DeviceNumber,
}

impl DeviceAddress {
    /// Length of [`Self::to_bytes`].
    pub const LEN: usize = AccountId::LEN + 1;

    /// Account id, then device number.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..AccountId::LEN].copy_from_slice(self.account.as_bytes());
        bytes[AccountId::LEN] = self.device.get();
        bytes
    }

    /// Parses what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// Wrong length or an impossible device number.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdError> {
        let (account, device) = bytes.split_at_checked(AccountId::LEN).ok_or(IdError { what: "device address" })?;
        let [device] = device else { return Err(IdError { what: "device address" }) };
        Ok(Self { account: AccountId::parse(account)?, device: DeviceNumber::new(*device)? })
    }
}

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.account, self.device)
    }
}

/// How many key sets an account has signed: 1 for the first, one more each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeySetCounter(u64);

impl KeySetCounter {
    /// The first key set's.
    pub const FIRST: Self = Self(1);

    /// Wraps a counter.
    #[must_use]
    pub const fn new(counter: u64) -> Self {
        Self(counter)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The counter of the successor; `None` only after 2^64 - 1 key sets.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Display for KeySetCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! closed_code {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// The byte that stands for it in signed formats.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// Parses the byte.
            ///
            /// # Errors
            /// A byte that stands for nothing.
            pub const fn from_code(code: u8) -> Result<Self, IdError> {
                match code { $($code => Ok(Self::$variant),)* _ => Err(IdError { what: $what }) }
            }

            /// The name in texts.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(IdError { what: $what }) }
            }
        }
    };
}

closed_code!(
    /// What a device runs on.
    Platform, "platform" {
        /// An Android phone or tablet.
        Android = 1, "android";
        /// An iPhone or iPad.
        Ios = 2, "ios";
        /// A desktop computer.
        Desktop = 3, "desktop";
        /// A web browser.
        Web = 4, "web";
        /// A server process: gateways, recorders.
        Server = 5, "server";
    }
);

closed_code!(
    /// Who keeps a device's keys.
    Custody, "custody" {
        /// The person the account belongs to.
        User = 1, "user";
        /// A service that acts for the account.
        Service = 2, "service";
        /// A recorder that both sides consented to.
        Recorder = 3, "recorder";
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_1_to_127() {
        assert!(DeviceNumber::new(0).is_err());
        assert!(DeviceNumber::new(128).is_err());
        assert_eq!(DeviceNumber::new(127).map(DeviceNumber::next), Ok(None));
    }

    #[test]
    fn text_forms_round_trip_and_have_one_form() {
        let account = AccountId::from_bytes([7; 16]);
        assert_eq!(account.to_string().parse(), Ok(account));
        assert!(format!("urn:uuid:{account}").parse::<AccountId>().is_err());
        let mailbox = MailboxId::from_bytes([9; 16]);
        assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
        assert!(format!("{mailbox}=").parse::<MailboxId>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn addresses_never_panic(bytes: Vec<u8>) {
            if let Ok(address) = DeviceAddress::parse(&bytes) {
                proptest::prop_assert_eq!(&address.to_bytes()[..], &bytes[..]);
            }
        }
    }
}
