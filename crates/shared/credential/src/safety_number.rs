//! The native safety number: what two people compare to know that nobody stands between them.
//!
//! It is made from both account ids and account keys, so it survives new devices and changes exactly when an account key does. It has
//! its own label and version: it can never equal a number of another protocol. The `signal-v4` profile's number, over identity keys,
//! is another thing ([`crate::SignalV4SafetyNumber`]).
//!
//! **Why 5,200 iterations of SHA-512.** Thirty digits per side carry 99.7 bits. Somebody who wants to pass for an account without its
//! key searches for a key whose digits match; iterating makes each try 5,200 times as dear (12.3 bits), for about 112 bits in all, and
//! costs a phone a few milliseconds once. The count is the one the field has used for years.

use core::fmt;

use rcseal_crypto::ct_eq;
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_crypto::hash::sha512;
use rcseal_wire::b64;
use rcseal_wire::id::AccountId;
use thiserror::Error;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::codec;

/// The version of number and QR payload.
pub const SAFETY_NUMBER_VERSION: u8 = 1;

const LABEL: &[u8] = b"rcseal/safety-number/v1";
pub(crate) const ITERATIONS: usize = 5_200;
/// Bytes of a fingerprint in the QR payload: all a hash of 256-bit strength needs, of the 64 there are.
pub(crate) const FINGERPRINT_LEN: usize = 32;
/// Digits of one side: six groups of five, each from five bytes of the fingerprint.
const GROUPS_PER_SIDE: usize = 6;
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
    fn fingerprint(&self) -> [u8; FINGERPRINT_LEN] {
        let key = self.account_key.as_bytes();
        let mut hash = sha512(&[LABEL, &[SAFETY_NUMBER_VERSION], self.account.as_bytes(), key]);
        for _ in 1..ITERATIONS {
            hash = sha512(&[&hash, key]);
        }
        let mut fingerprint = [0; FINGERPRINT_LEN];
        fingerprint.copy_from_slice(&hash[..FINGERPRINT_LEN]);
        fingerprint
    }
}

/// Why a scanned code does not verify the contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScanError {
    /// Not a code of ours.
    #[error("the text is not a verification code")]
    Malformed,
    /// Another version than ours: one of the two apps needs an update. Says nothing about the contact.
    #[error("the code has version {version}, this program knows {SAFETY_NUMBER_VERSION}")]
    WrongVersion {
        /// The version scanned.
        version: u8,
    },
    /// Other keys than the ones known here: somebody may stand between.
    #[error("the code does not match this contact")]
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
pub struct SafetyNumber {
    ours: [u8; FINGERPRINT_LEN],
    theirs: [u8; FINGERPRINT_LEN],
}

impl SafetyNumber {
    /// Computes both fingerprints: twice 5,200 hashes, a few milliseconds on a phone.
    #[must_use]
    pub fn new(ours: &Party, theirs: &Party) -> Self {
        Self { ours: ours.fingerprint(), theirs: theirs.fingerprint() }
    }

    /// Sixty digits in twelve groups of five, separated by spaces. Both sides see the same.
    #[must_use]
    pub fn numeric(&self) -> String {
        let (ours, theirs) = (digits(&self.ours, " "), digits(&self.theirs, " "));
        if ours <= theirs { format!("{ours} {theirs}") } else { format!("{theirs} {ours}") }
    }

    /// The text of the QR code that the contact scans.
    #[must_use]
    pub fn qr_payload(&self) -> String {
        let payload =
            codec::encode(&ScanFields { version: SAFETY_NUMBER_VERSION, local: self.ours, remote: self.theirs });
        format!("{SCHEME}{}", b64::encode(&payload))
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
        // Both halves are compared before either result is looked at.
        if ct_eq(&scanned.local, &self.theirs) & ct_eq(&scanned.remote, &self.ours) {
            Ok(())
        } else {
            Err(ScanError::Mismatch)
        }
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({})", self.numeric())
    }
}

/// Thirty digits: each group of five is five bytes, big-endian, modulo 100,000.
pub(crate) fn digits(fingerprint: &[u8; FINGERPRINT_LEN], between: &str) -> String {
    let groups: Vec<String> = fingerprint
        .chunks_exact(5)
        .take(GROUPS_PER_SIDE)
        .map(|chunk| {
            let number = chunk.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect();
    groups.join(between)
}
