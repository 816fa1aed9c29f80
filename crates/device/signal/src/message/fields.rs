//! Reading and writing the few protobuf fields our messages have, in canonical form only.
//!
//! A general protobuf decoder skips what it does not know and lets the last of several equal fields win. Both would
//! give an attacker room for second spellings of a message, so this reader refuses them, and it borrows instead of
//! copying. The tests hold it against `prost` as an independent encoder and decoder.

use alloc::vec::Vec;

use super::ParseError;

/// The two wire types in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Bytes,
}

/// Tag byte of a field below 16; all of ours are.
pub(crate) const fn tag(field: u8, wire_type: WireType) -> u8 {
    field << 3
        | match wire_type {
            WireType::Varint => 0,
            WireType::Bytes => 2,
        }
}

#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    value: Value<'a>,
    /// Where in the input the field, tag included, begins and ends.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> Field<'a> {
    pub(crate) fn u32(&self) -> Result<u32, ParseError> {
        match self.value {
            Value::Varint(value) => u32::try_from(value).map_err(|_| ParseError::FieldRange { field: self.number }),
            Value::Bytes(_) => Err(ParseError::WireType { field: self.number }),
        }
    }

    pub(crate) fn bytes(&self) -> Result<&'a [u8], ParseError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) => Err(ParseError::WireType { field: self.number }),
        }
    }

    /// A value behind a type byte, as keys and ciphertexts are encoded.
    pub(crate) fn typed(&self, type_byte: u8, len: usize) -> Result<&'a [u8], ParseError> {
        let bytes = self.bytes()?;
        if bytes.len() != len + 1 {
            return Err(ParseError::FieldLength { field: self.number, actual: bytes.len() });
        }
        match bytes.split_first() {
            Some((found, body)) if *found == type_byte => Ok(body),
            Some((found, _)) => Err(ParseError::KeyType { field: self.number, found: *found }),
            None => Err(ParseError::Truncated),
        }
    }

    pub(crate) fn ec_key(&self, type_byte: u8) -> Result<rcseal_crypto::x25519::PublicKey, ParseError> {
        let body = self.typed(type_byte, 32)?;
        let body: &[u8; 32] =
            body.try_into().map_err(|_| ParseError::FieldLength { field: self.number, actual: body.len() })?;
        rcseal_crypto::x25519::PublicKey::from_bytes(body)
            .map_err(|source| ParseError::EcKey { field: self.number, source })
    }
}

/// Walks the fields of a message once, in order.
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    last: u32,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, last: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, ParseError> {
        if self.at == self.input.len() {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ParseError::Varint)?;
        if number <= self.last {
            return Err(ParseError::FieldOrder { field: number });
        }
        self.last = number;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| ParseError::Truncated)?;
                let end = self.at.checked_add(len).ok_or(ParseError::Truncated)?;
                let bytes = self.input.get(self.at..end).ok_or(ParseError::Truncated)?;
                self.at = end;
                Value::Bytes(bytes)
            }
            _ => return Err(ParseError::WireType { field: number }),
        };
        Ok(Some(Field { number, value, start, end: self.at }))
    }

    fn varint(&mut self) -> Result<u64, ParseError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.input.get(self.at).ok_or(ParseError::Truncated)?;
            self.at += 1;
            let group = u64::from(byte & 0x7F);
            // The tenth group has room for one bit; a final zero group would be a longer spelling of the same number.
            if (shift == 63 && group > 1) || (byte == 0 && shift > 0) {
                return Err(ParseError::Varint);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ParseError::Varint)
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, marked as not the last group.
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_u32(out: &mut Vec<u8>, field: u8, value: u32) {
    out.push(tag(field, WireType::Varint));
    put_varint(out, u64::from(value));
}

/// A byte field given in parts, so that a type byte and a key need not be joined first.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, parts: &[&[u8]]) {
    out.push(tag(field, WireType::Bytes));
    put_varint(out, parts.iter().map(|part| part.len() as u64).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use alloc::vec;

    use proptest::prelude::*;

    fn first(input: &[u8]) -> Result<Option<u32>, ParseError> {
        Reader::new(input).next().map(|field| field.map(|field| field.number))
    }

    #[test]
    fn longer_spellings_of_a_number_are_refused() {
        assert!(matches!(first(&[0x08, 0x00]), Ok(Some(1))));
        assert!(matches!(first(&[0x08, 0x80, 0x00]), Err(ParseError::Varint)));
        assert!(matches!(first(&[0x88, 0x00, 0x00]), Err(ParseError::Varint)));
        let eleven = [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        assert!(matches!(first(&eleven), Err(ParseError::Varint)));
        let ten = [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
        assert!(matches!(first(&ten), Err(ParseError::Varint)));
    }

    #[test]
    fn a_huge_length_is_truncation_and_allocates_nothing() {
        assert!(matches!(first(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x00]), Err(ParseError::Truncated)));
        assert!(matches!(
            first(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
            Err(ParseError::Truncated)
        ));
    }

    #[test]
    fn field_zero_groups_and_fixed_types_are_refused() {
        assert!(matches!(first(&[0x00, 0x00]), Err(ParseError::FieldOrder { field: 0 })));
        for wire_type in [1, 3, 4, 5, 6, 7] {
            assert!(matches!(
                first(&[0x08 | wire_type, 0, 0, 0, 0, 0, 0, 0, 0]),
                Err(ParseError::WireType { field: 1 })
            ));
        }
    }

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut out = vec![0x08];
            put_varint(&mut out, value);
            let field = Reader::new(&out).next().unwrap().unwrap();
            prop_assert!(matches!(field.value, Value::Varint(read) if read == value));
        }

        #[test]
        fn what_is_accepted_is_canonical(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&input);
            let mut again = Vec::new();
            loop {
                match reader.next() {
                    Ok(Some(field)) => {
                        let wire_type = match field.value { Value::Varint(_) => 0, Value::Bytes(_) => 2 };
                        put_varint(&mut again, u64::from(field.number) << 3 | wire_type);
                        match field.value {
                            Value::Varint(value) => put_varint(&mut again, value),
                            Value::Bytes(bytes) => {
                                put_varint(&mut again, bytes.len() as u64);
                                again.extend_from_slice(bytes);
                            }
                        }
                    }
                    Ok(None) => {
                        prop_assert_eq!(&again, &input);
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
    }
}
