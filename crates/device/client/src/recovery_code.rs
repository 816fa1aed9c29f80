//! The recovery code: the recovery key's seed as people write it down, sixteen groups of four hexadecimal digits.
//!
//! Read back, it may have lost or gained hyphens and spaces, and be in capitals. There is no checksum: another code than the account's is
//! refused by the account's own key set, which commits to the key.

use rcseal_crypto::secret::Secret;
use zeroize::Zeroizing;

/// Hexadecimal digits of a seed.
const DIGITS: usize = 64;
/// Digits of a group: people copy four with fewer mistakes than more.
const GROUP: usize = 4;

/// The text is no recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code is sixteen groups of four, of the digits 0 to 9 and the letters a to f")]
pub struct RecoveryCodeError;

impl RecoveryCodeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "recovery_code_malformed"
    }
}

/// The code of a seed. Whoever sees it can take the account.
#[must_use]
pub fn expose(seed: &Secret<32>) -> Zeroizing<String> {
    let mut code = Zeroizing::new(String::with_capacity(DIGITS + DIGITS / GROUP));
    for (index, byte) in seed.expose().iter().enumerate() {
        if index > 0 && (2 * index).is_multiple_of(GROUP) {
            code.push('-');
        }
        for nibble in [byte >> 4, byte & 0x0f] {
            // A nibble is a hexadecimal digit.
            code.push(char::from_digit(u32::from(nibble), 16).unwrap_or_default());
        }
    }
    code
}

/// Reads a code back.
///
/// # Errors
/// [`RecoveryCodeError`]; it does not say where, because the text is a secret.
pub fn parse(text: &str) -> Result<Secret<32>, RecoveryCodeError> {
    let mut digits = text.chars().filter(|character| !matches!(character, '-' | ' ' | '\t' | '\r' | '\n'));
    let mut seed = Zeroizing::new([0; DIGITS / 2]);
    for byte in seed.iter_mut() {
        for _ in 0..2 {
            let digit = digits.next().and_then(|digit| digit.to_digit(16)).ok_or(RecoveryCodeError)?;
            *byte = *byte << 4 | u8::try_from(digit).map_err(|_| RecoveryCodeError)?;
        }
    }
    if digits.next().is_some() { Err(RecoveryCodeError) } else { Ok(Secret::from_bytes(*seed)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_sixteen_groups_of_four() {
        let seed = Secret::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap() * 8 + 1));
        let code = expose(&seed);
        assert!(code.starts_with("0109-1119-2129-"), "{}", code.as_str());
        assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4; 16]);
    }

    #[test]
    fn what_people_make_of_a_code_is_still_the_code() {
        let seed = Secret::from_bytes([0xa5; 32]);
        let code = expose(&seed);
        for written in [code.to_uppercase(), code.replace('-', " "), code.replace('-', ""), format!("  {}\r\n", *code)]
        {
            assert!(parse(&written).unwrap().ct_eq(&seed), "{written}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let code = expose(&Secret::from_bytes([0xa5; 32]));
        for wrong in
            ["", "not a code", &code[1..], &format!("{}0", *code), &code.replace('a', "g"), &code.replace('a', "ä")]
        {
            assert_eq!(parse(wrong).unwrap_err(), RecoveryCodeError, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_seed_comes_back_and_every_text_has_an_answer(seed: [u8; 32], text: String) {
            let seed = Secret::from_bytes(seed);
            prop_assert!(parse(&expose(&seed)).unwrap().ct_eq(&seed));
            let _ = parse(&text);
        }
    }
}
