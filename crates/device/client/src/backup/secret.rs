//! The user's secret: a passphrase of theirs, or one that is drawn for them.
//!
//! A generated secret is 24 symbols in six groups of four, of an alphabet without i, l, o and u: 23 are drawn, 115 bits, and the last checks
//! them, so that a slip of the pen is named as one and costs no second of work. Read back, it may have lost or gained hyphens and spaces,
//! be in capitals, and have an o for a zero or an l or i for a one.
//!
//! A passphrase is judged by what can be said of it without a dictionary: at least [`PASSPHRASE_LEN_MIN`] characters, of which at least
//! [`DISTINCT_MIN`] differ, and no run such as `123456789012`. An estimator with word lists was left out: it would be a megabyte in every app,
//! and knows English. That is why no account key goes under a passphrase.

use rand_core::CryptoRng;
use rcseal_wire::backup::SecretKind;
use zeroize::Zeroizing;

use super::BackupFailure;

/// Characters that a passphrase has at least.
pub const PASSPHRASE_LEN_MIN: usize = 12;
/// The longest passphrase, in bytes: more is a file by mistake.
const PASSPHRASE_BYTES_MAX: usize = 1024;
/// Different characters that a passphrase has at least.
const DISTINCT_MIN: usize = 6;
/// Symbols of a generated secret, the check symbol included.
pub const GENERATED_SYMBOLS: usize = 24;
const GROUP: usize = 4;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a passphrase is too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseWeakness {
    /// It has fewer than [`PASSPHRASE_LEN_MIN`] characters.
    #[error("it has fewer than {PASSPHRASE_LEN_MIN} characters")]
    Short,
    /// It has more bytes than a passphrase can have.
    #[error("it is too long")]
    Long,
    /// It is one character, a few, or a run of them over and over.
    #[error("it repeats a few characters, or counts")]
    Repetitive,
}

/// A secret that was drawn.
pub struct GeneratedSecret(Zeroizing<[u8; GENERATED_SYMBOLS]>);

/// What opens a backup.
pub enum BackupSecret {
    /// The user's own. Such a backup holds no account key.
    Passphrase(Zeroizing<String>),
    /// One that was drawn.
    Generated(GeneratedSecret),
}

impl std::fmt::Debug for BackupSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase",
            Self::Generated(_) => "Generated",
        })
    }
}

impl std::fmt::Debug for GeneratedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GeneratedSecret")
    }
}

impl BackupSecret {
    /// Takes a passphrase for a new backup, and judges it. To open a backup, [`BackupSecret::Passphrase`] takes any.
    ///
    /// # Errors
    /// [`BackupFailure::WeakPassphrase`].
    pub fn passphrase(text: &str) -> Result<Self, BackupFailure> {
        judge(text)?;
        Ok(Self::Passphrase(Zeroizing::new(text.to_owned())))
    }

    /// Draws one.
    #[must_use]
    pub fn generate() -> Self {
        Self::Generated(GeneratedSecret::generate(&mut rand::rng()))
    }

    /// Reads a generated one back.
    ///
    /// # Errors
    /// [`BackupFailure::SecretMalformed`]; it does not say where, because the text is a secret.
    pub fn parse_generated(text: &str) -> Result<Self, BackupFailure> {
        GeneratedSecret::parse(text).map(Self::Generated)
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> SecretKind {
        match self {
            Self::Passphrase(_) => SecretKind::Passphrase,
            Self::Generated(_) => SecretKind::Generated,
        }
    }

    /// What the user writes down of a generated one; a passphrase as it is. Whoever reads it can open the backup.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        match self {
            Self::Passphrase(text) => text.clone(),
            Self::Generated(secret) => secret.expose_text(),
        }
    }

    /// What is stretched.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Passphrase(text) => text.as_bytes(),
            Self::Generated(secret) => secret.0.as_slice(),
        }
    }

    /// A passphrase that is too weak makes no backup.
    pub(super) fn check(&self) -> Result<(), BackupFailure> {
        match self {
            Self::Passphrase(text) => Ok(judge(text)?),
            Self::Generated(_) => Ok(()),
        }
    }
}

fn judge(text: &str) -> Result<(), PassphraseWeakness> {
    if text.len() > PASSPHRASE_BYTES_MAX {
        return Err(PassphraseWeakness::Long);
    }
    let characters = Zeroizing::new(text.chars().collect::<Vec<_>>());
    if characters.len() < PASSPHRASE_LEN_MIN {
        return Err(PassphraseWeakness::Short);
    }
    let mut distinct = Zeroizing::new(characters.to_vec());
    distinct.sort_unstable();
    distinct.dedup();
    // Steps of at most one up or down are a count, or a key held down.
    let steps = characters.windows(2).filter(|pair| u32::from(pair[0]).abs_diff(u32::from(pair[1])) <= 1).count();
    if distinct.len() < DISTINCT_MIN || steps * 3 >= characters.len() * 2 {
        return Err(PassphraseWeakness::Repetitive);
    }
    Ok(())
}

impl GeneratedSecret {
    fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut symbols = Zeroizing::new([0; GENERATED_SYMBOLS]);
        rng.fill_bytes(&mut symbols[..GENERATED_SYMBOLS - 1]);
        for symbol in symbols.iter_mut() {
            // 256 is a multiple of 32: no symbol is more likely than another.
            *symbol = ALPHABET[usize::from(*symbol & 31)];
        }
        symbols[GENERATED_SYMBOLS - 1] = check_symbol(&symbols[..GENERATED_SYMBOLS - 1]);
        Self(symbols)
    }

    fn parse(text: &str) -> Result<Self, BackupFailure> {
        let mut symbols = Zeroizing::new([0; GENERATED_SYMBOLS]);
        let mut places = symbols.iter_mut();
        for character in text.chars().filter(|character| !matches!(character, '-' | ' ' | '\t' | '\r' | '\n')) {
            let symbol = match character.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                other => other,
            };
            let symbol = u8::try_from(symbol).map_err(|_| BackupFailure::SecretMalformed)?;
            if !ALPHABET.contains(&symbol) {
                return Err(BackupFailure::SecretMalformed);
            }
            *places.next().ok_or(BackupFailure::SecretMalformed)? = symbol;
        }
        if places.next().is_some() || check_symbol(&symbols[..GENERATED_SYMBOLS - 1]) != symbols[GENERATED_SYMBOLS - 1]
        {
            return Err(BackupFailure::SecretMalformed);
        }
        Ok(Self(symbols))
    }

    fn expose_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(GENERATED_SYMBOLS + GENERATED_SYMBOLS / GROUP));
        for (index, symbol) in self.0.iter().enumerate() {
            if index > 0 && index.is_multiple_of(GROUP) {
                text.push('-');
            }
            text.push(char::from(*symbol));
        }
        text
    }
}

/// The check symbol (Luhn's algorithm modulo 32): another symbol in any one place is noticed, and so are two neighbours that changed places
/// but for one pair.
fn check_symbol(symbols: &[u8]) -> u8 {
    let value = |symbol: &u8| ALPHABET.iter().position(|known| known == symbol).unwrap_or_default();
    let sum: usize = symbols
        .iter()
        .rev()
        .enumerate()
        .map(|(place, symbol)| match (place.is_multiple_of(2), value(symbol) * 2) {
            (true, doubled) => doubled / 32 + doubled % 32,
            (false, doubled) => doubled / 2,
        })
        .sum();
    ALPHABET[(32 - sum % 32) % 32]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn a_generated_secret_is_six_groups_and_survives_what_people_make_of_it() {
        let secret = GeneratedSecret::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let text = secret.expose_text();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 6]);
        let sloppy = text.to_uppercase().replace('-', " ").replace('0', "O").replace('1', "l");
        for written in [text.to_string(), sloppy, format!("  {}\n", text.replace('-', ""))] {
            assert_eq!(*GeneratedSecret::parse(&written).unwrap().0, *secret.0);
        }
    }

    #[test]
    fn any_one_wrong_symbol_is_noticed() {
        let secret = GeneratedSecret::generate(&mut ChaCha20Rng::seed_from_u64(2));
        for place in 0..GENERATED_SYMBOLS {
            for other in ALPHABET.iter().filter(|other| **other != secret.0[place]) {
                let mut symbols = *secret.0;
                symbols[place] = *other;
                let written = std::str::from_utf8(&symbols).unwrap();
                let refused = GeneratedSecret::parse(written).unwrap_err();
                assert!(matches!(refused, BackupFailure::SecretMalformed), "{place}");
            }
        }
    }

    #[test]
    fn a_passphrase_that_would_be_guessed_makes_no_backup() {
        let judged = |text: &str| match BackupSecret::passphrase(text) {
            Ok(_) => None,
            Err(BackupFailure::WeakPassphrase(weakness)) => Some(weakness),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(judged("short"), Some(PassphraseWeakness::Short));
        assert_eq!(judged("aaaaaaaaaaaaaaaa"), Some(PassphraseWeakness::Repetitive));
        assert_eq!(judged("ababababababab"), Some(PassphraseWeakness::Repetitive));
        assert_eq!(judged("1234567890123456"), Some(PassphraseWeakness::Repetitive));
        assert_eq!(judged(&"long ".repeat(300)), Some(PassphraseWeakness::Long));
        assert_eq!(judged("a lamp over the harbour"), None);
        assert_eq!(judged("Lampe über dem Hafen"), None);
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        assert_eq!(format!("{:?}", BackupSecret::generate()), "Generated");
        assert_eq!(format!("{:?}", BackupSecret::passphrase("a lamp over the harbour").unwrap()), "Passphrase");
    }

    proptest! {
        #[test]
        fn every_secret_comes_back_and_every_text_has_an_answer(seed: u64, text: String) {
            let secret = GeneratedSecret::generate(&mut ChaCha20Rng::seed_from_u64(seed));
            prop_assert_eq!(*GeneratedSecret::parse(&secret.expose_text()).unwrap().0, *secret.0);
            let _ = BackupSecret::parse_generated(&text);
            let _ = BackupSecret::passphrase(&text);
        }
    }
}
