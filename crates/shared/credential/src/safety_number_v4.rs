//! The safety number of the `signal-v4` profile: libsignal's sixty digits and scannable code, version 2.
//!
//! It is made from two accounts' ids (their ACI's 16 bytes) and identity keys. That profile's contacts know one identity key per
//! account, so every device of an account that speaks it lists the same one ([`crate::VerifiedKeySet::signal_v4_identity`]); native
//! identity keys stay one per device and native safety numbers are another thing ([`crate::SafetyNumber`]).
//!
//! Per side, `h = SHA-512(0x0000 || key || id || key)`, then `h = SHA-512(h || key)` until 5,200 hashes are made, where `key` is the
//! type byte 5 and the 32 bytes of the identity key. The first 30 bytes give the digits, the first 32 the scannable code. The format
//! leaves the id's length open; it is 16 bytes here by type, so the boundary between id and key cannot move.
//! `docs/protocol/signal-v4.md`.

use core::fmt;

use rcseal_crypto::x25519;
use rcseal_wire::id::AccountId;
use thiserror::Error;

use crate::fingerprint::{Fingerprint, Fingerprints, fingerprint};

/// The version of the scannable code: ids are ACIs.
pub const SIGNAL_V4_NUMBER_VERSION: u8 = 2;
/// Bytes of the scannable code.
pub const SIGNAL_V4_CODE_LEN: usize = 74;

/// Version of the hash, independent of the code's.
const HASH_VERSION: [u8; 2] = [0, 0];
const KEY_TYPE: u8 = 5;
/// Protobuf: field 1 is the version.
const VERSION_TAG: u8 = 0x08;
/// Protobuf: fields 2 and 3 are messages whose field 1 has 32 bytes.
const LOCAL_TAG: [u8; 4] = [0x12, 34, 0x0a, 32];
const REMOTE_TAG: [u8; 4] = [0x1a, 34, 0x0a, 32];

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalV4Party {
    /// The account; its bytes are the ACI's.
    pub account: AccountId,
    /// The identity key that all its devices list for the profile.
    pub identity: x25519::PublicKey,
}

impl SignalV4Party {
    /// The party with this ACI, given by its 16 bytes.
    #[must_use]
    pub const fn from_aci(aci: [u8; 16], identity: x25519::PublicKey) -> Self {
        Self { account: AccountId::from_bytes(aci), identity }
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut key = [KEY_TYPE; 33];
        key[1..].copy_from_slice(self.identity.as_bytes());
        fingerprint(&[&HASH_VERSION, &key, self.account.as_bytes(), &key], &key)
    }
}

/// Why a scanned code does not verify the contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignalV4ScanError {
    /// Not a scannable code.
    #[error("the bytes are not a scannable code")]
    Malformed,
    /// Another version: one of the two apps needs an update. Says nothing about the contact.
    #[error("the code has version {version}, expected {SIGNAL_V4_NUMBER_VERSION}")]
    WrongVersion {
        /// The version scanned.
        version: u8,
    },
    /// Other keys than the ones known here: somebody may stand between.
    #[error("the code does not match this contact")]
    Mismatch,
}

impl SignalV4ScanError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "verify_malformed",
            Self::WrongVersion { .. } => "verify_wrong_version",
            Self::Mismatch => "verify_mismatch",
        }
    }
}

/// The safety number between us and one contact in the `signal-v4` profile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignalV4SafetyNumber(Fingerprints);

impl SignalV4SafetyNumber {
    /// Computes both fingerprints: twice 5,200 hashes, a few milliseconds on a phone.
    #[must_use]
    pub fn new(ours: &SignalV4Party, theirs: &SignalV4Party) -> Self {
        Self(Fingerprints { ours: ours.fingerprint(), theirs: theirs.fingerprint() })
    }

    /// Sixty digits without spaces, as libsignal gives them; apps show them in twelve groups of five. Both sides see the same.
    #[must_use]
    pub fn numeric(&self) -> String {
        self.0.numeric("")
    }

    /// The content of the QR code that the contact scans.
    #[must_use]
    pub fn code(&self) -> [u8; SIGNAL_V4_CODE_LEN] {
        let mut code = [0; SIGNAL_V4_CODE_LEN];
        code[..2].copy_from_slice(&[VERSION_TAG, SIGNAL_V4_NUMBER_VERSION]);
        code[2..6].copy_from_slice(&LOCAL_TAG);
        code[6..38].copy_from_slice(&self.0.ours);
        code[38..42].copy_from_slice(&REMOTE_TAG);
        code[42..].copy_from_slice(&self.0.theirs);
        code
    }

    /// Checks the content of the contact's QR code: its local side must be our contact, its remote side us. Constant time. Only the one
    /// encoding that both implementations write is read.
    pub fn verify_scan(&self, code: &[u8]) -> Result<(), SignalV4ScanError> {
        match code {
            [VERSION_TAG, SIGNAL_V4_NUMBER_VERSION, ..] => {}
            [VERSION_TAG, version, ..] if *version < 0x80 => {
                return Err(SignalV4ScanError::WrongVersion { version: *version });
            }
            _ => return Err(SignalV4ScanError::Malformed),
        }
        let code: &[u8; SIGNAL_V4_CODE_LEN] = code.try_into().map_err(|_| SignalV4ScanError::Malformed)?;
        if code[2..6] != LOCAL_TAG || code[38..42] != REMOTE_TAG {
            return Err(SignalV4ScanError::Malformed);
        }
        if self.0.match_scanned(&code[6..38], &code[42..]) { Ok(()) } else { Err(SignalV4ScanError::Mismatch) }
    }
}

impl fmt::Debug for SignalV4SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalV4SafetyNumber({})", self.numeric())
    }
}
