//! Remote configuration: a short signed document by which whoever publishes an app turns things *off*, or to stricter values, on phones that
//! cannot be updated in time.
//!
//! A document is parsed ([`SignedConfig::parse`]), then verified against the key that the app was built with ([`SignedConfig::verify`]); nothing of
//! it is used before. Its keys are a closed set ([`RemoteKey`]), each with bounds, and none of them can allow what the app or the user forbids:
//! the only way to loosen something is that a document ends. Keys that this program does not know are listed and ignored, so that a document
//! may be newer than the program. Spec: `docs/protocol/push.md`, "Remote configuration".
//!
//! Layout: version (1 byte), Ed25519 signature (64) over the label and the rest, then JSON.

use std::collections::BTreeMap;

use rcseal_crypto::ed25519::{Signature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// Version of the layout.
pub const REMOTE_CONFIG_VERSION: u8 = 1;
/// Bytes of a document: some hundred keys.
pub const REMOTE_CONFIG_LEN_MAX: usize = 16 * 1024;
/// Keys in a document.
pub const REMOTE_KEYS_MAX: usize = 128;
/// Characters of a key.
const KEY_LEN_MAX: usize = 64;
/// What the signature covers before the document, so that it is one of nothing else.
const LABEL: &[u8] = b"rcseal/remote-config/v1";
/// Where the JSON begins.
const HEAD_LEN: usize = 1 + 64;

/// What can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RemoteKey {
    /// The longest time that the sessions of a conversation may go without new keys, in seconds.
    RekeySecondsMax,
    /// How many devices of a hundred take part in a trial. What the trial is, is the app's matter.
    CanaryPercent,
    /// 1: carriers are not used.
    NoCarrier,
    /// 1: short messages are not sent.
    NoSms,
    /// 1: nothing new is agreed to that others can read: no consent, no downgrade, no words to numbers.
    NoNewReadable,
    /// 1: no device is linked.
    NoLinking,
    /// 1: nothing is counted, whatever the user agreed to.
    NoTelemetry,
}

impl RemoteKey {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::RekeySecondsMax,
        Self::CanaryPercent,
        Self::NoCarrier,
        Self::NoSms,
        Self::NoNewReadable,
        Self::NoLinking,
        Self::NoTelemetry,
    ];

    /// Its name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RekeySecondsMax => "rekey_seconds_max",
            Self::CanaryPercent => "canary_percent",
            Self::NoCarrier => "no_carrier",
            Self::NoSms => "no_sms",
            Self::NoNewReadable => "no_new_readable",
            Self::NoLinking => "no_linking",
            Self::NoTelemetry => "no_telemetry",
        }
    }

    /// The key of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// The smallest and the largest value; what is outside counts as the nearer one.
    #[must_use]
    pub const fn bounds(self) -> (u64, u64) {
        match self {
            // Shorter ones would make every message a handshake.
            Self::RekeySecondsMax => (10 * 60, 7 * 24 * 3600),
            Self::CanaryPercent => (0, 100),
            Self::NoCarrier | Self::NoSms | Self::NoNewReadable | Self::NoLinking | Self::NoTelemetry => (0, 1),
        }
    }
}

/// Why a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedConfigError {
    /// Over [`REMOTE_CONFIG_LEN_MAX`].
    #[error("the document is too large")]
    TooLarge,
    /// Of a version that this program does not know.
    #[error("the document has version {0}")]
    Version(u8),
    /// Not a document.
    #[error("the document is malformed")]
    Malformed,
    /// Not signed by the key.
    #[error("the document is not signed by the app's key")]
    Signature,
}

impl SignedConfigError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "remote_config_too_large",
            Self::Version(_) => "remote_config_version",
            Self::Malformed => "remote_config_malformed",
            Self::Signature => "remote_config_signature",
        }
    }
}

/// The JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    counter: u64,
    issued_at_ms: u64,
    expires_at_ms: u64,
    values: BTreeMap<String, serde_json::Value>,
}

/// A document that has been parsed and not verified.
pub struct SignedConfig<'a> {
    signature: Signature,
    signed: &'a [u8],
    config: RemoteConfig,
}

/// A document that the app's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// Goes up with every document; a lower one is an old one.
    pub counter: u64,
    /// When it was made, in milliseconds since 1970.
    pub issued_at_ms: u64,
    /// When it ends to count.
    pub expires_at_ms: u64,
    /// Values of known keys, within their bounds.
    pub values: BTreeMap<RemoteKey, u64>,
    /// Keys whose value was outside its bounds.
    pub clamped: Vec<RemoteKey>,
    /// Keys that this program does not know.
    pub unknown: Vec<String>,
}

impl<'a> SignedConfig<'a> {
    /// Reads a document.
    ///
    /// # Errors
    /// [`SignedConfigError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SignedConfigError> {
        use SignedConfigError::Malformed;
        if bytes.len() > REMOTE_CONFIG_LEN_MAX {
            return Err(SignedConfigError::TooLarge);
        }
        match bytes.first() {
            None => return Err(Malformed),
            Some(&REMOTE_CONFIG_VERSION) => {}
            Some(version) => return Err(SignedConfigError::Version(*version)),
        }
        let signature: [u8; 64] = bytes.get(1..HEAD_LEN).and_then(|part| part.try_into().ok()).ok_or(Malformed)?;
        let signed = bytes.get(HEAD_LEN..).ok_or(Malformed)?;
        let payload: Payload = serde_json::from_slice(signed).map_err(|_| Malformed)?;
        if payload.values.len() > REMOTE_KEYS_MAX || payload.values.keys().any(|key| key.len() > KEY_LEN_MAX) {
            return Err(Malformed);
        }
        let mut config = RemoteConfig {
            counter: payload.counter,
            issued_at_ms: payload.issued_at_ms,
            expires_at_ms: payload.expires_at_ms,
            values: BTreeMap::new(),
            clamped: Vec::new(),
            unknown: Vec::new(),
        };
        for (name, value) in payload.values {
            let Some(key) = RemoteKey::from_name(&name) else {
                config.unknown.push(name);
                continue;
            };
            let value = value.as_u64().ok_or(Malformed)?;
            let (least, most) = key.bounds();
            let bounded = value.clamp(least, most);
            if bounded != value {
                config.clamped.push(key);
            }
            config.values.insert(key, bounded);
        }
        Ok(Self { signature: Signature(signature), signed, config })
    }

    /// Checks who signed it.
    ///
    /// # Errors
    /// [`SignedConfigError::Signature`].
    pub fn verify(self, key: &VerifyingKey) -> Result<RemoteConfig, SignedConfigError> {
        let parts: [&[u8]; 3] = [LABEL, &[REMOTE_CONFIG_VERSION], self.signed];
        key.verify(&parts, &self.signature).map_err(|_| SignedConfigError::Signature)?;
        Ok(self.config)
    }
}

impl RemoteConfig {
    /// Signs a document, for whoever publishes one. Values go by name, so that a document may be for newer programs than this.
    #[must_use]
    pub fn sign(
        counter: u64,
        issued_at_ms: u64,
        expires_at_ms: u64,
        values: &[(&str, u64)],
        key: &SigningKey,
    ) -> Vec<u8> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(*value))).collect();
        let payload = Payload { counter, issued_at_ms, expires_at_ms, values };
        let json = serde_json::to_vec(&payload).expect("numbers and text can always be written as JSON");
        let parts: [&[u8]; 3] = [LABEL, &[REMOTE_CONFIG_VERSION], &json];
        let signature = key.sign(&parts);
        [&[REMOTE_CONFIG_VERSION], &signature.as_bytes()[..], &json].concat()
    }
}

impl std::fmt::Debug for SignedConfig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedConfig")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed([seed; 32])
    }

    #[test]
    fn what_the_key_signed_is_read_within_bounds_and_the_unknown_is_listed() {
        let values = [("no_carrier", 1), ("canary_percent", 500), ("rekey_seconds_max", 1), ("from_the_future", 7)];
        let bytes = RemoteConfig::sign(3, 10, 20, &values, &key(1));
        let config = SignedConfig::parse(&bytes).unwrap().verify(&key(1).verifying_key()).unwrap();
        assert_eq!((config.counter, config.issued_at_ms, config.expires_at_ms), (3, 10, 20));
        let expected = [(RemoteKey::RekeySecondsMax, 600), (RemoteKey::CanaryPercent, 100), (RemoteKey::NoCarrier, 1)];
        assert_eq!(config.values, BTreeMap::from(expected));
        assert_eq!(config.clamped, [RemoteKey::CanaryPercent, RemoteKey::RekeySecondsMax]);
        assert_eq!(config.unknown, ["from_the_future"]);
    }

    #[test]
    fn another_key_and_any_changed_byte_are_refused() {
        let bytes = RemoteConfig::sign(3, 10, 20, &[("no_sms", 1)], &key(1));
        let other = SignedConfig::parse(&bytes).unwrap().verify(&key(2).verifying_key());
        assert_eq!(other, Err(SignedConfigError::Signature));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let outcome = SignedConfig::parse(&changed).and_then(|parsed| parsed.verify(&key(1).verifying_key()));
            assert!(outcome.is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_no_document_has_a_named_error() {
        let good = RemoteConfig::sign(1, 1, 2, &[], &key(1));
        let refused = |bytes: &[u8]| SignedConfig::parse(bytes).unwrap_err();
        assert_eq!(refused(&[]), SignedConfigError::Malformed);
        assert_eq!(refused(&good[..40]), SignedConfigError::Malformed);
        assert_eq!(refused(&[&[2], &good[1..]].concat()), SignedConfigError::Version(2));
        assert_eq!(refused(&vec![1; REMOTE_CONFIG_LEN_MAX + 1]), SignedConfigError::TooLarge);
        let json = r#"{"counter":1,"issued_at_ms":1,"expires_at_ms":2,"values":{"no_sms":"yes"}}"#;
        assert_eq!(refused(&[&good[..65], json.as_bytes()].concat()), SignedConfigError::Malformed);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_document_or_an_error(mut bytes: Vec<u8>, known: bool) {
            if known && !bytes.is_empty() {
                bytes[0] = REMOTE_CONFIG_VERSION;
            }
            let _ = SignedConfig::parse(&bytes);
        }
    }
}
