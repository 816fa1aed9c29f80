//! Fixed-length fields, put together and taken apart.

use crate::StoreError;

/// Builds a key or a row from its parts without a detour over the heap for short ones.
macro_rules! joined {
    ($len:expr, $($part:expr),+) => {{
        let mut bytes = [0u8; $len];
        let mut at = 0;
        $(
            let part: &[u8] = $part;
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        )+
        debug_assert_eq!(at, $len);
        fjall::Slice::from(bytes)
    }};
}

pub(in crate::embedded) use joined;

/// Takes fixed-length fields off a row or a key.
pub(in crate::embedded) struct Fields<'a> {
    rest: &'a [u8],
    space: &'static str,
}

impl<'a> Fields<'a> {
    pub(in crate::embedded) const fn new(rest: &'a [u8], space: &'static str) -> Self {
        Self { rest, space }
    }

    pub(in crate::embedded) fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(StoreError::Corrupt { space: self.space })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(in crate::embedded) fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    pub(in crate::embedded) fn end(self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(StoreError::Corrupt { space: self.space }) }
    }
}
