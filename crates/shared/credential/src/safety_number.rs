//! The native safety number: what two people compare to know that nobody stands between them.
//!
//! It is made from both account ids and account keys, so it survives new devices and changes exactly when an account key does. It has
//! its own label and version: it can never equal a number of another protocol. The `signal-v4` profile's number, over identity keys,
//! is another thing ([`crate::SignalV4SafetyNumber`]).

use core::fmt;

use rcseal_crypto::ct_eq;
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_wire::b64;
use rcseal_wire::id::AccountId;
use thiserror::Error;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::codec;
use crate::fingerprint::{FINGERPRINT_LEN, Fingerprint, Fingerprints, fingerprint};

/// The version of number and QR payload.
pub const SAFETY_NUMBER_VERSION: u8 = 1;

const LABEL: &[u8] = b"rcseal/safety-number/v1";
const SCHEME: &str = "rcseal://verify/";

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// The account.
    pub account: AccountId,
    /// Its account key.
    pub account_key: VerifyingKey,
}

impl Party {
    fn fingerprint(&self) -> Fingerprint {
        let key = self.account_key.as_bytes();
        fingerprint(&[LABEL, &[SAFETY_NUMBER_VERSION], self.account.as_bytes(), key], key)
    }
}

/// Why a scanned code, or digits, do not verify the contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScanError {
    /// Neither a code of ours nor sixty digits.
    #[error("the text is neither a verification code nor the digits of a safety number")]
    Malformed,
    /// Another version than ours: one of the two apps needs an update. Says nothing about the contact.
    #[error("the code has version {version}, this program knows {SAFETY_NUMBER_VERSION}")]
    WrongVersion {
        /// The version scanned.
        version: u8,
    },
    /// Other keys than the ones known here: somebody may stand between.
    #[error("the code or the digits are not those of this contact's keys")]
    Mismatch,
}

impl ScanError {
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

/// The QR payload: version, then the fingerprints as the showing side sees them.
#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ScanFields {
    version: u8,
    local: [u8; FINGERPRINT_LEN],
    remote: [u8; FINGERPRINT_LEN],
}

/// The safety number between us and one contact.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SafetyNumber(Fingerprints);

impl SafetyNumber {
    /// Computes both fingerprints: twice 5,200 hashes, a few milliseconds on a phone.
    #[must_use]
    pub fn new(ours: &Party, theirs: &Party) -> Self {
        Self(Fingerprints { ours: ours.fingerprint(), theirs: theirs.fingerprint() })
    }

    /// Sixty digits in twelve groups of five, separated by spaces. Both sides see the same.
    #[must_use]
    pub fn numeric(&self) -> String {
        self.0.numeric(" ")
    }

    /// The text of the QR code that the contact scans.
    #[must_use]
    pub fn qr_payload(&self) -> String {
        let Fingerprints { ours, theirs } = self.0;
        let payload = codec::encode(&ScanFields { version: SAFETY_NUMBER_VERSION, local: ours, remote: theirs });
        format!("{SCHEME}{}", b64::encode(&payload))
    }

    /// Checks digits that the user has compared: those of a number that was shown before, or that the contact has read out. Spaces,
    /// hyphens and line ends do not matter. Constant time.
    pub fn verify_digits(&self, text: &str) -> Result<(), ScanError> {
        let digits: String = text.chars().filter(|character| !matches!(character, ' ' | '-' | '\r' | '\n')).collect();
        let ours = self.0.numeric("");
        if digits.len() != ours.len() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(ScanError::Malformed);
        }
        if ct_eq(digits.as_bytes(), ours.as_bytes()) { Ok(()) } else { Err(ScanError::Mismatch) }
    }

    /// Checks the text of the contact's QR code: its local side must be our contact, its remote side us. Constant time.
    pub fn verify_scan(&self, text: &str) -> Result<(), ScanError> {
        let payload = text.strip_prefix(SCHEME).ok_or(ScanError::Malformed)?;
        let payload = b64::decode(payload).map_err(|_| ScanError::Malformed)?;
        match payload.first() {
            Some(&SAFETY_NUMBER_VERSION) => {}
            Some(&version) => return Err(ScanError::WrongVersion { version }),
            None => return Err(ScanError::Malformed),
        }
        let scanned: ScanFields = codec::decode_exact(&payload).map_err(|_| ScanError::Malformed)?;
        if self.0.match_scanned(&scanned.local, &scanned.remote) { Ok(()) } else { Err(ScanError::Mismatch) }
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({})", self.numeric())
    }
}
