//! The default alphabet and its extension table (3GPP TS 23.038, 6.2.1), one septet in each octet.

/// The escape to the extension table.
const ESCAPE: u8 = 0x1b;

/// The default alphabet by septet. At the place of the escape stands what an escape alone is shown as.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{a0}', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à', //
];

/// The extension table.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{0c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// One character: one septet, or an escape and another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Septets {
    septets: [u8; 2],
    len: u8,
}

impl Septets {
    /// The septets, one in each octet.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.septets[..usize::from(self.len)]
    }
}

/// A character's septets; `None` where the alphabet does not have it.
#[must_use]
pub fn encode_char(character: char) -> Option<Septets> {
    if let Some(septet) = basic(character) {
        return Some(Septets { septets: [septet, 0], len: 1 });
    }
    let (septet, _) = EXTENSION.into_iter().find(|(_, known)| *known == character)?;
    Some(Septets { septets: [ESCAPE, septet], len: 2 })
}

fn basic(character: char) -> Option<u8> {
    // Where the alphabet agrees with ASCII, which is most of what is written.
    if character.is_ascii_alphanumeric() {
        return u8::try_from(character).ok();
    }
    let place = BASIC.iter().position(|known| *known == character)?;
    u8::try_from(place).ok().filter(|septet| *septet != ESCAPE)
}

/// A text's characters; `None` where the alphabet does not have all of them.
#[must_use]
pub fn characters(text: &str) -> Option<Vec<Septets>> {
    text.chars().map(encode_char).collect()
}

/// The words of septets. As the standard has it, a character that is missing from the extension table is shown as the basic one, and an
/// escape at the end as a space; an octet that is no septet is shown as U+FFFD.
#[must_use]
pub fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        if octet != ESCAPE {
            text.push(shown(octet));
            continue;
        }
        match octets.next() {
            Some(ESCAPE) | None => text.push(' '),
            Some(octet) => {
                let extended = EXTENSION.into_iter().find(|(septet, _)| *septet == octet);
                text.push(extended.map_or_else(|| shown(octet), |(_, character)| character));
            }
        }
    }
    text
}

fn shown(octet: u8) -> char {
    BASIC.get(usize::from(octet)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What somebody else's table says of octets that are packed to septets by the same other hand.
    fn by_another(septets: &[u8]) -> String {
        let mut packed = Vec::new();
        let (mut bits, mut len) = (0_u32, 0);
        for septet in septets {
            bits |= u32::from(*septet) << len;
            len += 7;
            while len >= 8 {
                packed.push(bits.to_le_bytes()[0]);
                bits >>= 8;
                len -= 8;
            }
        }
        if len > 0 {
            packed.push(bits.to_le_bytes()[0]);
        }
        gsm7::Gsm7Reader::new(&packed[..]).map(Result::unwrap).take(1).collect()
    }

    #[test]
    fn every_character_agrees_with_another_table() {
        for septet in (0..128).filter(|septet| *septet != ESCAPE) {
            assert_eq!(decode(&[septet]), by_another(&[septet]), "{septet:#x}");
            assert_eq!(encode_char(BASIC[usize::from(septet)]).unwrap().as_slice(), [septet]);
        }
        for (septet, character) in EXTENSION {
            assert_eq!(decode(&[ESCAPE, septet]), by_another(&[ESCAPE, septet]), "{septet:#x}");
            assert_eq!(encode_char(character).unwrap().as_slice(), [ESCAPE, septet]);
        }
    }

    #[test]
    fn what_the_table_lacks_is_shown_as_the_standard_says() {
        assert_eq!(decode(&[ESCAPE, b'a']), "a");
        assert_eq!(decode(&[b'a', ESCAPE]), "a ");
        assert_eq!(decode(&[ESCAPE, ESCAPE, b'a']), " a");
        assert_eq!(decode(&[0x80, 0xff]), "\u{fffd}\u{fffd}");
        assert_eq!(encode_char('\u{a0}'), None);
        assert_eq!(encode_char('\t'), None);
        assert_eq!(encode_char('`'), None);
    }
}
