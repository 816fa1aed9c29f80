//! The header in front of user data that joins segments (3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8).

use super::Reference;

/// Element: concatenation with an 8-bit reference.
const CONCATENATION_8: u8 = 0x00;
/// Element: concatenation with a 16-bit reference.
const CONCATENATION_16: u8 = 0x08;

/// Which segment of which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concatenation {
    /// What its segments have in common.
    pub reference: u16,
    /// How wide the reference is. Segments with the same reference in different widths are of different messages.
    pub width: Reference,
    /// How many segments there are: one at least.
    pub total: u8,
    /// Which one this is, from 1.
    pub part: u8,
}

/// A header that does not end within the user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header of the user data is longer than the user data")]
pub struct HeaderError;

impl Concatenation {
    /// The header's octets.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let [high, low] = self.reference.to_be_bytes();
        match self.width {
            Reference::Eight => vec![5, CONCATENATION_8, 3, low, self.total, self.part],
            Reference::Sixteen => vec![6, CONCATENATION_16, 4, high, low, self.total, self.part],
        }
    }

    /// A concatenation that makes sense. The standard has a receiver pass over any other, and show what it has as a message of its own.
    fn checked(reference: u16, width: Reference, total: u8, part: u8) -> Option<Self> {
        (total >= 1 && (1..=total).contains(&part)).then_some(Self { reference, width, total, part })
    }
}

/// Takes the header off. Elements that we do not know are passed over; of two concatenations the later one counts, as the standard has it.
///
/// # Errors
/// [`HeaderError`].
pub fn split(user_data: &[u8]) -> Result<(Option<Concatenation>, &[u8]), HeaderError> {
    let (len, rest) = user_data.split_first().ok_or(HeaderError)?;
    let (mut elements, words) = rest.split_at_checked(usize::from(*len)).ok_or(HeaderError)?;
    let mut found = None;
    while let [kind, len, behind @ ..] = elements {
        let Some((value, next)) = behind.split_at_checked(usize::from(*len)) else { break };
        found = match (*kind, value) {
            (CONCATENATION_8, [reference, total, part]) => {
                Concatenation::checked(u16::from(*reference), Reference::Eight, *total, *part).or(found)
            }
            (CONCATENATION_16, [high, low, total, part]) => {
                let reference = u16::from_be_bytes([*high, *low]);
                Concatenation::checked(reference, Reference::Sixteen, *total, *part).or(found)
            }
            _ => found,
        };
        elements = next;
    }
    Ok((found, words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for (width, reference) in [(Reference::Eight, 0xab), (Reference::Sixteen, 0xabcd)] {
            let concatenation = Concatenation { reference, width, total: 3, part: 2 };
            let data = [concatenation.header(), b"words".to_vec()].concat();
            assert_eq!(split(&data), Ok((Some(concatenation), &b"words"[..])));
        }
    }

    #[test]
    fn other_elements_and_senseless_ones_are_passed_over() {
        // Ports (0x05), then a part 0, then a part beyond the total.
        let data = [6, 0x05, 4, 0, 1, 0, 2, b'x'];
        assert_eq!(split(&data), Ok((None, &b"x"[..])));
        assert_eq!(split(&[5, 0, 3, 1, 2, 0, b'x']), Ok((None, &b"x"[..])));
        assert_eq!(split(&[5, 0, 3, 1, 2, 3, b'x']), Ok((None, &b"x"[..])));
        assert_eq!(split(&[5, 0, 9, 1, 2, 3, b'x']), Ok((None, &b"x"[..])));
        assert_eq!(split(&[]), Err(HeaderError));
        assert_eq!(split(&[3, 0, 0]), Err(HeaderError));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets: Vec<u8>) {
            if let Ok((Some(found), _)) = split(&octets) {
                prop_assert!(found.part >= 1 && found.part <= found.total);
            }
        }
    }
}
