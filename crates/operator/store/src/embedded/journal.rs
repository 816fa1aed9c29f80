//! Repairing the end of fjall's journal after a power cut.
//!
//! A group is acknowledged once its journal batch is flushed. If the power goes while the flush is under way, the disk may hold the last
//! batch's end but not all of its middle. fjall 3.1 recognises that by the checksum and refuses to open. Such a batch was acknowledged to
//! nobody, so cutting it off loses nothing; but only if it is the last: damage with whole batches behind it is something else, and
//! stays an error.
//!
//! The layout follows fjall's journal format 3 (all numbers little-endian):
//! batch = `1, items u32, seqno u64`, items, `3, xxh3-64 of the items u64, "FJL" 3`;
//! item = `2, type u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32`, key, value, or
//! `4, keyspace u64`.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::StoreError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// Reads fields off the journal; `None` when it ends.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    /// One whole batch with the right checksum.
    fn batch(&mut self) -> Option<()> {
        self.shape()?.then_some(())
    }

    /// One batch by its lengths; whether its checksum is right.
    fn shape(&mut self) -> Option<bool> {
        if self.u8()? != START {
            return None;
        }
        let items = self.u32()?;
        let _seqno: [u8; 8] = self.array()?;
        let begin = self.at;
        for _ in 0..items {
            match self.u8()? {
                ITEM => {
                    let _type_and_compression: [u8; 2] = self.array()?;
                    let _keyspace: [u8; 8] = self.array()?;
                    let key_len = usize::from(u16::from_le_bytes(self.array()?));
                    let _value_len = self.u32()?;
                    let stored_len = self.u32()?;
                    self.take(key_len)?;
                    self.take(stored_len)?;
                }
                CLEAR => {
                    let _keyspace: [u8; 8] = self.array()?;
                }
                _ => return None,
            }
        }
        let mut checksum = Xxh3::new();
        checksum.update(self.bytes.get(begin..self.at)?);
        let ends = self.u8()? == END;
        let matches = u64::from_le_bytes(self.array()?) == checksum.digest();
        let trailed = self.array()? == TRAILER;
        (ends && trailed).then_some(matches)
    }
}

/// The length of the run of whole batches at the beginning.
fn whole_len(bytes: &[u8]) -> usize {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut whole = 0;
    while cursor.batch().is_some() {
        whole = cursor.at;
    }
    whole
}

/// Whether a whole batch begins anywhere in these bytes.
fn holds_a_batch(bytes: &[u8]) -> bool {
    // A start byte with a plausible batch behind it is rare, so nearly every position is dismissed at once.
    (0..bytes.len()).any(|at| bytes[at] == START && Cursor { bytes, at }.batch().is_some())
}

/// Whether whole batches stand behind the damage that begins at `whole`. Where the damaged batch still has its shape, what it holds is not
/// looked into: an envelope is bytes of a stranger's choice, and one that looks like a batch must not keep a server from starting.
fn damage_is_followed(bytes: &[u8], whole: usize) -> bool {
    let mut damaged = Cursor { bytes, at: whole };
    let behind = match damaged.shape() {
        Some(_) => damaged.at,
        None => (whole + 1).min(bytes.len()),
    };
    holds_a_batch(&bytes[behind..])
}

/// The newest journal: the one that was being written.
fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut found: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
        if let Some(number) = number
            && found.as_ref().is_none_or(|(newest, _)| number > *newest)
        {
            found = Some((number, path));
        }
    }
    Ok(found.map(|(_, path)| path))
}

/// Cuts an incomplete last batch off the newest journal.
///
/// # Errors
/// [`StoreError::Corrupt`] when whole batches stand behind the damage; [`StoreError::Open`] when the journal cannot be read or cut.
pub(super) fn drop_torn_tail(folder: &Path) -> Result<(), StoreError> {
    let open_error = |error: io::Error| StoreError::Open(Box::new(error));
    let Some(path) = newest(folder).map_err(open_error)? else { return Ok(()) };
    let bytes = std::fs::read(&path).map_err(open_error)?;
    let whole = whole_len(&bytes);
    if damage_is_followed(&bytes, whole) {
        return Err(StoreError::Corrupt { space: "journal" });
    }
    let file = OpenOptions::new().write(true).open(&path).map_err(open_error)?;
    file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(open_error)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(open_error)?;
    tracing::warn!(kept = whole, "store.torn_batch_dropped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(seqno: u64, items: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in items {
            body.extend_from_slice(&[ITEM, 0, 0]);
            body.extend_from_slice(&1u64.to_le_bytes());
            body.extend_from_slice(&(key.len() as u16).to_le_bytes());
            body.extend_from_slice(&(value.len() as u32).to_le_bytes());
            body.extend_from_slice(&(value.len() as u32).to_le_bytes());
            body.extend_from_slice(key);
            body.extend_from_slice(value);
        }
        let mut checksum = Xxh3::new();
        checksum.update(&body);
        let mut bytes = vec![START];
        bytes.extend_from_slice(&(items.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&seqno.to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.push(END);
        bytes.extend_from_slice(&checksum.digest().to_le_bytes());
        bytes.extend_from_slice(&TRAILER);
        bytes
    }

    #[test]
    fn the_whole_part_ends_before_the_first_damaged_batch() {
        let (one, two) = (batch(1, &[(b"a", b"1"), (b"b", b"22")]), batch(2, &[(b"c", &[9; 100])]));
        let mut journal = [one.clone(), two].concat();
        journal.extend_from_slice(&[0; 64]);
        let whole = journal.len() - 64;
        assert_eq!(whole_len(&journal), whole);
        for at in one.len()..whole {
            let mut torn = journal.clone();
            torn[at] ^= 0x40;
            // The sequence number and the type of a row are not under the checksum's eye at every byte; all else is.
            let len = whole_len(&torn);
            assert!(len == one.len() || len == whole, "{at}: {len}");
        }
    }

    #[test]
    fn batches_behind_the_damage_are_noticed() {
        let (one, two) = (batch(1, &[(b"a", b"1")]), batch(2, &[(b"c", b"2")]));
        let mut journal = [one, two].concat();
        journal[30] ^= 1;
        assert_eq!(whole_len(&journal), 0);
        assert!(holds_a_batch(&journal[1..]));
    }

    #[test]
    fn an_envelope_that_looks_like_a_batch_is_not_taken_for_one() {
        let forged = batch(9, &[(b"x", b"y")]);
        let (one, two) = (batch(1, &[(b"a", b"1")]), batch(2, &[(b"c", &[&forged[..], &[0; 50]].concat())]));
        let whole = one.len();
        let mut torn = [one, two].concat();
        let last_value_byte = torn.len() - 14;
        torn[last_value_byte] ^= 1;
        assert_eq!(whole_len(&torn), whole);
        assert!(holds_a_batch(&torn[whole + 1..]));
        assert!(!damage_is_followed(&torn, whole));
        torn.extend_from_slice(&batch(3, &[(b"d", b"3")]));
        assert!(damage_is_followed(&torn, whole), "a batch behind it is a real one");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let whole = whole_len(&bytes);
            proptest::prop_assert!(whole <= bytes.len());
            let _ = damage_is_followed(&bytes, whole);
        }
    }
}
