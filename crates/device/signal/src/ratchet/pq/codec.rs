//! The post-quantum part of a message: field 5.
//!
//! `0x01 || varint epoch || varint index || type || [varint chunk index || chunk (32)]`. 37 bytes with a chunk and 4 without while the
//! numbers are small. The epoch is that of the sender's braid and begins at 1; the message's key is in key epoch `epoch - 1` at `index`,
//! which begins at 1 too. Shortest varints only.

use super::erasure::{CHUNK_LEN, Chunk};
use super::error::PqRefusal;
use super::labels::PqLabels;

const VERSION: u8 = 1;

/// What a message carries of the braid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    None,
    /// A chunk of header and MAC.
    Hdr(Chunk),
    /// A chunk of the key's vector.
    Ek(Chunk),
    /// The same, and "I have all of ct1".
    EkCt1Ack(Chunk),
    /// "I have all of ct1".
    Ct1Ack,
    /// A chunk of the ciphertext's first part.
    Ct1(Chunk),
    /// A chunk of the ciphertext's second part and MAC.
    Ct2(Chunk),
}

/// The post-quantum part of a message, well-formed and not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PqPart {
    pub(crate) epoch: u64,
    pub(crate) index: u32,
    pub(crate) content: Content,
}

/// An encoded part, in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PqField {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl PqField {
    /// Version, three varints, type, chunk.
    const LEN_MAX: usize = 1 + 10 + 5 + 1 + 3 + CHUNK_LEN;

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            // The low seven bits, marked as not the last group.
            self.push(&[(value & 0x7F) as u8 | 0x80]);
            value >>= 7;
        }
        self.push(&[value as u8]);
    }
}

impl PqPart {
    pub(crate) fn encode(&self) -> PqField {
        let mut field = PqField { bytes: [0; PqField::LEN_MAX], len: 0 };
        field.push(&[VERSION]);
        field.push_varint(self.epoch);
        field.push_varint(u64::from(self.index));
        let (kind, chunk) = match &self.content {
            Content::None => (0, None),
            Content::Hdr(chunk) => (1, Some(chunk)),
            Content::Ek(chunk) => (2, Some(chunk)),
            Content::EkCt1Ack(chunk) => (3, Some(chunk)),
            Content::Ct1Ack => (4, None),
            Content::Ct1(chunk) => (5, Some(chunk)),
            Content::Ct2(chunk) => (6, Some(chunk)),
        };
        field.push(&[kind]);
        if let Some(chunk) = chunk {
            field.push_varint(u64::from(chunk.index));
            field.push(&chunk.bytes);
        }
        field
    }

    pub(crate) fn parse(labels: &PqLabels, field: &[u8]) -> Result<Self, PqRefusal> {
        let mut input = Input { rest: field };
        let part = input.part().ok_or(PqRefusal::Malformed)?;
        if input.rest.is_empty() || labels.tolerates_trailing_bytes { Ok(part) } else { Err(PqRefusal::Malformed) }
    }
}

struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn part(&mut self) -> Option<PqPart> {
        if self.byte()? != VERSION {
            return None;
        }
        let epoch = self.varint().filter(|epoch| *epoch >= 1)?;
        let index = u32::try_from(self.varint()?).ok().filter(|index| *index >= 1)?;
        let content = match self.byte()? {
            0 => Content::None,
            1 => Content::Hdr(self.chunk()?),
            2 => Content::Ek(self.chunk()?),
            3 => Content::EkCt1Ack(self.chunk()?),
            4 => Content::Ct1Ack,
            5 => Content::Ct1(self.chunk()?),
            6 => Content::Ct2(self.chunk()?),
            _ => return None,
        };
        Some(PqPart { epoch, index, content })
    }

    fn chunk(&mut self) -> Option<Chunk> {
        let index = u16::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.rest.split_first_chunk::<CHUNK_LEN>()?;
        self.rest = rest;
        Some(Chunk { index, bytes: *bytes })
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7F);
            // The tenth group has room for one bit; a final zero group would be a longer spelling of the same number.
            if (shift == 63 && group > 1) || (byte == 0 && shift > 0) {
                return None;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;

    use super::super::labels::NATIVE;
    use super::*;

    fn contents() -> impl Strategy<Value = Content> {
        let chunk = || (any::<u16>(), any::<[u8; 32]>()).prop_map(|(index, bytes)| Chunk { index, bytes });
        prop_oneof![
            Just(Content::None),
            Just(Content::Ct1Ack),
            chunk().prop_map(Content::Hdr),
            chunk().prop_map(Content::Ek),
            chunk().prop_map(Content::EkCt1Ack),
            chunk().prop_map(Content::Ct1),
            chunk().prop_map(Content::Ct2),
        ]
    }

    #[test]
    fn small_numbers_take_4_bytes_and_37_with_a_chunk() {
        let part = PqPart { epoch: 1, index: 2, content: Content::Ct1Ack };
        assert_eq!(part.encode().as_bytes(), [1, 1, 2, 4]);
        let chunk = Chunk { index: 7, bytes: [0xEE; 32] };
        let part = PqPart { epoch: 1, index: 2, content: Content::Ek(chunk) };
        assert_eq!(part.encode().as_bytes(), [&[1, 1, 2, 2, 7][..], &[0xEE; 32]].concat());
    }

    #[test]
    fn what_no_sender_writes_is_refused() {
        let long_index = [&[1, 1, 1, 1, 0x80, 0x80, 0x04][..], &[0; 32]].concat();
        let refused: &[(&str, &[u8])] = &[
            ("empty", &[]),
            ("version 0", &[0, 1, 1, 0]),
            ("version 2", &[2, 1, 1, 0]),
            ("epoch 0", &[1, 0, 1, 0]),
            ("index 0", &[1, 1, 0, 0]),
            ("index of 33 bits", &[1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0]),
            ("no type", &[1, 1, 1]),
            ("type 7", &[1, 1, 1, 7]),
            ("no chunk", &[1, 1, 1, 1]),
            ("short chunk", &[1, 1, 1, 1, 0, 9, 9, 9]),
            ("chunk index 65,536", &long_index),
            ("long spelling", &[1, 0x81, 0x00, 1, 0]),
            ("trailing byte", &[1, 1, 1, 0, 0]),
        ];
        for (why, field) in refused {
            assert_eq!(PqPart::parse(&NATIVE, field), Err(PqRefusal::Malformed), "{why}");
        }
    }

    #[cfg(feature = "signal-v4")]
    #[test]
    fn deployed_peers_pass_over_trailing_bytes() {
        let part = PqPart { epoch: 1, index: 1, content: Content::None };
        assert_eq!(PqPart::parse(&super::super::labels::SIGNAL_V4, &[1, 1, 1, 0, 9]), Ok(part));
    }

    proptest! {
        #[test]
        fn parts_round_trip(epoch in 1..=u64::MAX, index in 1..=u32::MAX, content in contents()) {
            let part = PqPart { epoch, index, content };
            prop_assert_eq!(PqPart::parse(&NATIVE, part.encode().as_bytes()), Ok(part));
        }

        #[test]
        fn what_is_accepted_has_one_spelling(field in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(part) = PqPart::parse(&NATIVE, &field) {
                let again = part.encode();
                prop_assert_eq!(again.as_bytes(), &field[..]);
            }
        }

        #[test]
        fn what_begins_well_is_accepted_in_one_spelling(kind in 0..8u8, rest in proptest::collection::vec(any::<u8>(), 0..40)) {
            let field = [&[1, 3, 9, kind][..], &rest].concat();
            if let Ok(part) = PqPart::parse(&NATIVE, &field) {
                let again = part.encode();
                prop_assert_eq!(again.as_bytes(), &field[..]);
            }
        }
    }
}
