//! UCS-2 as phones read it: UTF-16, big-endian, with surrogate pairs.

/// A character's octets.
#[must_use]
pub fn encode_char(character: char) -> Vec<u8> {
    character.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect()
}

/// The words of octets. Half a pair is shown as U+FFFD, and so is an octet too many at the end.
#[must_use]
pub fn decode(octets: &[u8]) -> String {
    let (pairs, rest) = octets.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let mut text: String = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_whole_and_halves_are_shown() {
        assert_eq!(encode_char('я'), [0x04, 0x4f]);
        assert_eq!(encode_char('🦐'), [0xd8, 0x3e, 0xdd, 0x90]);
        assert_eq!(decode(&[0xd8, 0x3e, 0xdd, 0x90]), "🦐");
        assert_eq!(decode(&[0xd8, 0x3e, 0x00, 0x61]), "\u{fffd}a");
        assert_eq!(decode(&[0x00, 0x61, 0x00]), "a\u{fffd}");
    }
}
