//! Alphabets of short messages, and how a text is cut into segments (3GPP TS 23.038 and 23.040).
//!
//! A text goes in the default alphabet, one septet for a character and two for the ten of the extension table, or as UCS-2 as soon as one
//! character is in neither. A segment holds 140 octets: 160 septets or 70 units, and behind the header that joins segments 153 or 67 (with a
//! 16-bit reference 152 or 66). An escape and the character behind it stay in one segment, and so do the two halves of a surrogate pair.
//!
//! The tables are ours. What the registry has was read first: `gsm7` writes packed bits only, and SMPP carries a septet in each octet;
//! `rusmpp-extra` encodes and does not decode, and its UCS-2 refuses what needs two units, which is every emoji. The tests hold `gsm7`
//! against our tables, so that both would have to be wrong in the same place. National language tables are not sent; what
//! they would save is a matter of segments, and many phones do not read them.

pub mod gsm7;
pub mod join;
pub mod ucs2;
pub mod udh;

/// Septets of a segment that stands alone.
pub const GSM7_ALONE: usize = 160;
/// Units of 16 bits of a segment that stands alone.
pub const UCS2_ALONE: usize = 70;
/// Segments that one reference can join.
pub const SEGMENTS_MAX: usize = 255;

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// The default alphabet with its extension table: one septet in each octet, as SMPP carries them.
    Gsm7,
    /// UCS-2, in fact UTF-16, big-endian.
    Ucs2,
}

/// How wide the reference is that joins segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reference {
    /// 8 bits: what every phone reads.
    #[default]
    Eight,
    /// 16 bits: two long messages to one phone are mixed up less easily, at the price of one character for each segment.
    Sixteen,
}

impl Reference {
    /// Septets left beside the header, which is filled up to a septet's border.
    const fn septets(self) -> usize {
        match self {
            Self::Eight => 153,
            Self::Sixteen => 152,
        }
    }

    /// Units left beside the header.
    const fn units(self) -> usize {
        match self {
            Self::Eight => 67,
            Self::Sixteen => 66,
        }
    }
}

/// A text, cut.
#[derive(Clone, PartialEq, Eq)]
pub struct Segments {
    alphabet: Alphabet,
    parts: Vec<Vec<u8>>,
}

impl Segments {
    /// What it is written in.
    #[must_use]
    pub const fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// The octets of each segment, without a header.
    #[must_use]
    pub fn parts(&self) -> &[Vec<u8>] {
        &self.parts
    }

    /// How many segments.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts.len()
    }
}

impl std::fmt::Debug for Segments {
    /// Without the words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segments").field("alphabet", &self.alphabet).field("count", &self.parts.len()).finish()
    }
}

/// Cuts a text, with an 8-bit reference.
#[must_use]
pub fn plan(text: &str) -> Segments {
    plan_with(text, Reference::Eight)
}

/// Cuts a text.
#[must_use]
pub fn plan_with(text: &str, reference: Reference) -> Segments {
    match gsm7::characters(text) {
        Some(characters) => Segments {
            alphabet: Alphabet::Gsm7,
            parts: cut(characters.iter().map(gsm7::Septets::as_slice), GSM7_ALONE, reference.septets()),
        },
        None => plan_ucs2(text, reference),
    }
}

/// Cuts a text as UCS-2, whatever stands in it.
#[must_use]
pub fn plan_ucs2(text: &str, reference: Reference) -> Segments {
    let characters: Vec<Vec<u8>> = text.chars().map(ucs2::encode_char).collect();
    let octets = |units: usize| units * 2;
    let parts = cut(characters.iter().map(Vec::as_slice), octets(UCS2_ALONE), octets(reference.units()));
    Segments { alphabet: Alphabet::Ucs2, parts }
}

/// Fills segments with whole characters. Always at least one segment.
fn cut<'a>(characters: impl Iterator<Item = &'a [u8]> + Clone, alone: usize, joined: usize) -> Vec<Vec<u8>> {
    let total: usize = characters.clone().map(<[u8]>::len).sum();
    let room = if total <= alone { alone } else { joined };
    let mut parts = vec![Vec::with_capacity(total.min(room))];
    let mut filled = 0;
    for character in characters {
        if filled + character.len() > room {
            parts.push(Vec::with_capacity(room));
            filled = 0;
        }
        filled += character.len();
        if let Some(part) = parts.last_mut() {
            part.extend_from_slice(character);
        }
    }
    parts
}

/// The words of user data without a header. Every input is some text: what cannot be read is shown as U+FFFD.
#[must_use]
pub fn decode(alphabet: Alphabet, octets: &[u8]) -> String {
    match alphabet {
        Alphabet::Gsm7 => gsm7::decode(octets),
        Alphabet::Ucs2 => ucs2::decode(octets),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn lens(segments: &Segments) -> Vec<usize> {
        segments.parts().iter().map(Vec::len).collect()
    }

    #[test]
    fn borders_are_exact_to_the_septet() {
        let plan = |text: String| plan(&text);
        assert_eq!(lens(&plan("a".repeat(160))), [160]);
        assert_eq!(lens(&plan("a".repeat(161))), [153, 8]);
        assert_eq!(lens(&plan("a".repeat(306))), [153, 153]);
        assert_eq!(lens(&plan("a".repeat(307))), [153, 153, 1]);
        // A euro sign is two septets, and is not cut.
        assert_eq!(lens(&plan(format!("{}€", "a".repeat(158)))), [160]);
        assert_eq!(lens(&plan(format!("{}€", "a".repeat(159)))), [153, 8]);
        assert_eq!(lens(&plan(format!("{}€{}", "a".repeat(152), "a".repeat(10)))), [152, 12]);
        assert_eq!(lens(&plan("€".repeat(80))), [160]);
        assert_eq!(lens(&plan("€".repeat(81))), [152, 10]);
    }

    #[test]
    fn borders_are_exact_to_the_unit() {
        let plan = |text: String| plan(&text);
        assert_eq!(lens(&plan("я".repeat(70))), [140]);
        assert_eq!(lens(&plan("я".repeat(71))), [134, 8]);
        // A surrogate pair is two units, and is not cut.
        assert_eq!(lens(&plan(format!("{}🦐", "я".repeat(66) + &"я".repeat(10)))), [134, 22]);
        assert_eq!(lens(&plan(format!("{}🦐{}", "я".repeat(66), "я".repeat(10)))), [132, 24]);
    }

    #[test]
    fn a_wider_reference_takes_one_character_of_each_segment() {
        assert_eq!(lens(&plan_with(&"a".repeat(161), Reference::Sixteen)), [152, 9]);
        assert_eq!(lens(&plan_with(&"я".repeat(71), Reference::Sixteen)), [132, 10]);
        assert_eq!(lens(&plan_with(&"a".repeat(160), Reference::Sixteen)), [160]);
    }

    #[test]
    fn one_character_outside_the_alphabet_makes_all_of_it_ucs2() {
        assert_eq!(plan("plain – almost").alphabet(), Alphabet::Ucs2);
        assert_eq!(plan("plain - quite").alphabet(), Alphabet::Gsm7);
        assert_eq!((plan("").count(), plan("").alphabet()), (1, Alphabet::Gsm7));
    }

    proptest! {
        #[test]
        fn what_was_cut_reads_the_same_when_joined(text in "\\PC{0,600}|[a-z€\\[\\]{}~^|à-ü]{0,600}", is_wide: bool) {
            let reference = if is_wide { Reference::Sixteen } else { Reference::Eight };
            let segments = plan_with(&text, reference);
            let joined: String = segments.parts().iter().map(|part| decode(segments.alphabet(), part)).collect();
            prop_assert_eq!(&joined, &text);
            let (alone, room) = match segments.alphabet() {
                Alphabet::Gsm7 => (GSM7_ALONE, reference.septets()),
                Alphabet::Ucs2 => (UCS2_ALONE * 2, reference.units() * 2),
            };
            let limit = if segments.count() == 1 { alone } else { room };
            prop_assert!(segments.parts().iter().all(|part| part.len() <= limit));
        }

        #[test]
        fn any_octets_are_some_text(octets: Vec<u8>) {
            let _ = decode(Alphabet::Gsm7, &octets);
            let _ = decode(Alphabet::Ucs2, &octets);
        }
    }
}
