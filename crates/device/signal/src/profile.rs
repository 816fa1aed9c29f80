//! Which cipher suite a session speaks, and everything in which the suites differ.
//!
//! There is one handshake and one ratchet in this crate; a [`Profile`] picks the `Suite` that drives them: key type
//! bytes, labels, length of the message code, what a prekey signature covers, what goes into the associated data. The
//! signed key set of an account says which profile a device speaks, so a profile is never negotiated here and never
//! falls back to another.
//!
//! `Native` is the default. `SignalV4` speaks libsignal's version 4 messages byte for byte, with the round-3 Kyber KEM
//! that its deployed peers use (`docs/protocol/signal-v4.md`). It is there for interoperability and as proof that the
//! machinery is right, it is no part of what is shipped, and it exists only under the cargo feature `signal-v4`; without
//! it every operation answers [`ProfileUnavailable`].

use core::fmt;

use crate::kem::Kem;
use crate::ratchet::pq::{self, PqLabels};

/// A cipher suite of pairwise sessions. The code is what signatures, associated data and records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// Ours: X25519 + ML-KEM-1024, own labels, labelled prekey signatures, 32-byte message code.
    Native,
    /// libsignal's version 4 messages: X25519 + Kyber-1024 of round 3, 8-byte message code. Opt-in, see the module.
    SignalV4,
}

impl Profile {
    /// The profile's code: 1 for [`Profile::Native`], 2 for [`Profile::SignalV4`].
    pub const fn code(self) -> u8 {
        match self {
            Self::Native => 1,
            Self::SignalV4 => 2,
        }
    }

    /// The profile with this code, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Native),
            2 => Some(Self::SignalV4),
            _ => None,
        }
    }

    /// Whether this build can make sessions of the profile.
    pub fn is_available(self) -> bool {
        self.suite().is_ok()
    }

    pub(crate) fn suite(self) -> Result<&'static Suite, ProfileUnavailable> {
        match self {
            Self::Native => Ok(&NATIVE),
            #[cfg(feature = "signal-v4")]
            Self::SignalV4 => Ok(&SIGNAL_V4),
            #[cfg(not(feature = "signal-v4"))]
            Self::SignalV4 => Err(ProfileUnavailable { profile: self }),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::SignalV4 => "signal-v4",
        })
    }
}

/// This build has no such profile: it was compiled without the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("profile {profile} is not available in this build")]
pub struct ProfileUnavailable {
    /// The profile that was asked for.
    pub profile: Profile,
}

impl ProfileUnavailable {
    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        "profile_unavailable"
    }
}

/// What an identity key signs when it vouches for a prekey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreKeySignature {
    /// Label, profile, kind of key, id, then the encoded key: a signature made for one purpose fits no other.
    Labelled(&'static [u8]),
    /// The encoded key alone, and verifiers take the sign of the public key from the signature's top bit.
    #[cfg(feature = "signal-v4")]
    KeyOnly,
}

/// How sender and receiver are bound to every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Profile, both addresses and both identity keys are associated data; the handshake's transcript is in the key
    /// derivation.
    Transcript,
    /// Both identity keys are associated data; the addresses travel in field 6.
    #[cfg(feature = "signal-v4")]
    IdentitiesAndAddressField,
}

/// The differences between profiles, as data.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) profile: Profile,
    /// First byte of a ratchet message.
    pub(crate) message_version: u8,
    /// First byte of a prekey message.
    pub(crate) prekey_message_version: u8,
    pub(crate) ec_key_type: u8,
    pub(crate) kem: Kem,
    pub(crate) kem_key_type: u8,
    pub(crate) kem_ciphertext_type: u8,
    /// Bytes of HMAC-SHA256 that trail a message.
    pub(crate) mac_len: usize,
    pub(crate) handshake_label: &'static [u8],
    pub(crate) root_label: &'static [u8],
    pub(crate) message_keys_label: &'static [u8],
    pub(crate) pq: &'static PqLabels,
    pub(crate) signature: PreKeySignature,
    pub(crate) binding: Binding,
}

/// The type bytes of the three encodings differ, so no byte string is both an EC key and a KEM key.
pub(crate) static NATIVE: Suite = Suite {
    profile: Profile::Native,
    message_version: 0xA1,
    prekey_message_version: 0xB1,
    ec_key_type: 0x41,
    kem: Kem::MlKem1024,
    kem_key_type: 0x42,
    kem_ciphertext_type: 0x43,
    mac_len: 32,
    handshake_label: b"rcseal/signal/native/v1/handshake",
    root_label: b"rcseal/signal/native/v1/root",
    message_keys_label: b"rcseal/signal/native/v1/message-keys",
    pq: &pq::NATIVE,
    signature: PreKeySignature::Labelled(b"rcseal/signal/native/v1/prekey"),
    binding: Binding::Transcript,
};

/// Every value is the deployed peers' one. The KEM's type byte is that of round-3 Kyber-1024.
#[cfg(feature = "signal-v4")]
pub(crate) static SIGNAL_V4: Suite = Suite {
    profile: Profile::SignalV4,
    message_version: 0x44,
    prekey_message_version: 0x44,
    ec_key_type: 0x05,
    kem: Kem::Kyber1024,
    kem_key_type: 0x08,
    kem_ciphertext_type: 0x08,
    mac_len: 8,
    handshake_label: b"WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024",
    root_label: b"WhisperRatchet",
    message_keys_label: b"WhisperMessageKeys",
    pq: &pq::SIGNAL_V4,
    signature: PreKeySignature::KeyOnly,
    binding: Binding::IdentitiesAndAddressField,
};

impl Suite {
    /// An X25519 key as it stands in messages, signatures and associated data.
    pub(crate) fn encode_ec(&self, key: &[u8; 32]) -> [u8; EC_KEY_LEN] {
        let mut out = [0; EC_KEY_LEN];
        out[0] = self.ec_key_type;
        out[1..].copy_from_slice(key);
        out
    }
}

/// Length of an encoded X25519 key: type byte, then the Montgomery u coordinate.
pub const EC_KEY_LEN: usize = 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_others_are_refused() {
        for profile in [Profile::Native, Profile::SignalV4] {
            assert_eq!(Profile::from_code(profile.code()), Some(profile));
        }
        assert_eq!(Profile::from_code(0), None);
        assert_eq!(Profile::from_code(3), None);
    }

    #[test]
    fn native_encodings_are_disjoint() {
        assert_ne!(NATIVE.ec_key_type, NATIVE.kem_key_type);
        assert_ne!(NATIVE.ec_key_type, NATIVE.kem_ciphertext_type);
        assert_ne!(NATIVE.kem_key_type, NATIVE.kem_ciphertext_type);
    }

    #[cfg(not(feature = "signal-v4"))]
    #[test]
    fn signal_v4_is_not_offered_without_its_feature() {
        assert!(!Profile::SignalV4.is_available());
        let refusal = Profile::SignalV4.suite().map(|suite| suite.profile);
        assert_eq!(refusal, Err(ProfileUnavailable { profile: Profile::SignalV4 }));
    }
}
