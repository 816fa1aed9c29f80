//! Keyed hashes: codes as they are stored, counters' keys, and phone numbers as they may appear in a log.
//!
//! The key is drawn once and kept by the store. Phone numbers are few enough to try them all, so without the key a hash of one would be
//! the number.

use std::fmt;
use std::net::IpAddr;

use rcseal_crypto::hmac::hmac_sha256;
use rcseal_crypto::secret::Secret;
use rcseal_front::net::subscriber;
use rcseal_store::broker::{ClaimId, CodeMac, QuotaKey};
use rcseal_wire::id::AccountId;
use rcseal_wire::number::E164;

const CODE_LABEL: &[u8] = b"rcseal/broker-code/v1";
const COUNTER_LABEL: &[u8] = b"rcseal/broker-counter/v1";
const LOG_LABEL: &[u8] = b"rcseal/broker-log/v1";

/// Digits at the end of a number in which the numbers of a block differ.
const BLOCK_DIGITS: usize = 3;

/// The key.
#[derive(Debug)]
pub(crate) struct Hashes(Secret<32>);

impl Hashes {
    pub(crate) const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// What is stored of a code. Claim and number are part of it, so that it is good for nothing else.
    pub(crate) fn code(&self, claim: ClaimId, number: &E164, code: &str) -> CodeMac {
        let len = [u8::try_from(number.as_str().len()).unwrap_or(u8::MAX)];
        let parts: [&[u8]; 5] = [CODE_LABEL, claim.as_bytes(), &len, number.as_str().as_bytes(), code.as_bytes()];
        CodeMac::from_bytes(hmac_sha256(self.0.expose(), &parts))
    }

    pub(crate) fn of_number(&self, number: &E164) -> QuotaKey {
        self.counter(b"n", number.as_str().as_bytes())
    }

    /// Of a number, for the account that has it: strangers who ask for codes use up nothing of its own.
    pub(crate) fn of_own_number(&self, number: &E164) -> QuotaKey {
        self.counter(b"o", number.as_str().as_bytes())
    }

    /// Of all numbers that differ in their last digits only.
    pub(crate) fn of_block(&self, number: &E164) -> QuotaKey {
        let text = number.as_str();
        self.counter(b"b", &text.as_bytes()[..text.len().saturating_sub(BLOCK_DIGITS)])
    }

    pub(crate) fn of_account(&self, account: AccountId) -> QuotaKey {
        self.counter(b"a", account.as_bytes())
    }

    pub(crate) fn of_address(&self, address: IpAddr) -> QuotaKey {
        match subscriber(address) {
            IpAddr::V4(address) => self.counter(b"4", &address.octets()),
            IpAddr::V6(address) => self.counter(b"6", &address.octets()),
        }
    }

    /// For counters that everybody shares.
    pub(crate) fn of_everybody(&self) -> QuotaKey {
        self.counter(b"e", b"")
    }

    fn counter(&self, kind: &[u8], value: &[u8]) -> QuotaKey {
        let [key, _] = halves(hmac_sha256(self.0.expose(), &[COUNTER_LABEL, kind, value]));
        key
    }

    /// A number as it may appear in a log: the same in every line of this broker's, and nothing to anybody without its key.
    pub(crate) fn log(&self, number: &E164) -> LogNumber {
        let [a, b, c, d, ..] = hmac_sha256(self.0.expose(), &[LOG_LABEL, number.as_str().as_bytes()]);
        LogNumber([a, b, c, d])
    }
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    for (half, chunk) in halves.iter_mut().zip(bytes.chunks_exact(16)) {
        half.copy_from_slice(chunk);
    }
    halves
}

/// A phone number in a log.
#[derive(Clone, Copy)]
pub(crate) struct LogNumber([u8; 4]);

impl fmt::Display for LogNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl fmt::Debug for LogNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_hash_is_of_one_key_one_use_and_one_value() {
        let (one, other) = (Hashes::new(Secret::from_bytes([1; 32])), Hashes::new(Secret::from_bytes([2; 32])));
        let number: E164 = "+447700900123".parse().unwrap();
        assert_eq!(one.of_number(&number), one.of_number(&number));
        assert_ne!(one.of_number(&number), other.of_number(&number));
        assert_ne!(one.of_number(&number), one.of_block(&number));
        assert_ne!(one.log(&number).to_string(), other.log(&number).to_string());
        let claim = ClaimId::from_bytes([7; 16]);
        assert_eq!(one.code(claim, &number, "123456"), one.code(claim, &number, "123456"));
        assert_ne!(one.code(claim, &number, "123456"), one.code(claim, &number, "123457"));
        assert_ne!(one.code(claim, &number, "123456"), one.code(ClaimId::from_bytes([8; 16]), &number, "123456"));
    }

    #[test]
    fn a_block_is_a_thousand_numbers() {
        let hashes = Hashes::new(Secret::from_bytes([1; 32]));
        let block = |text: &str| hashes.of_block(&text.parse().unwrap());
        assert_eq!(block("+447700900123"), block("+447700900999"));
        assert_ne!(block("+447700900123"), block("+447700901123"));
    }

    #[test]
    fn a_logged_number_shows_nothing_of_the_number() {
        let hashes = Hashes::new(Secret::from_bytes([1; 32]));
        let number: E164 = "+447700900123".parse().unwrap();
        assert_eq!(hashes.log(&number).to_string().len(), 8);
        assert!(!hashes.log(&number).to_string().contains("0123"));
    }
}
