//! The stored form of an archive's order: `version(1) = 1 || active present(1) || count(1) || count x (base key(32) ||
//! began(8, seconds, big-endian))`, the active session first, then the archived ones, latest first. The sessions
//! themselves are stored apart, each as its record and rows, so that a message writes one record however many there are.

use alloc::vec::Vec;

use super::{ARCHIVED_MAX, Held, RestoreError, SessionId};
use crate::session::Session;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 3;
const ENTRY_LEN: usize = 32 + 8;

/// `entries` are at most 41, so their number fits a byte.
pub(super) fn write(entries: &[(SessionId, u64)], has_active: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + entries.len() * ENTRY_LEN);
    out.extend_from_slice(&[VERSION, u8::from(has_active), entries.len() as u8]);
    for (session, began) in entries {
        out.extend_from_slice(&session.0);
        out.extend_from_slice(&began.to_be_bytes());
    }
    out
}

pub(super) fn read(
    bytes: &[u8],
    mut load: impl FnMut(SessionId) -> Option<Vec<u8>>,
) -> Result<(Vec<Held>, bool), RestoreError> {
    let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(RestoreError::Index)?;
    let (has_active, count) = match *header {
        [VERSION, 0, count] => (false, usize::from(count)),
        [VERSION, 1, count] if count > 0 => (true, usize::from(count)),
        _ => return Err(RestoreError::Index),
    };
    if count > ARCHIVED_MAX + usize::from(has_active) || body.len() != count * ENTRY_LEN {
        return Err(RestoreError::Index);
    }
    let mut held: Vec<Held> = Vec::with_capacity(ARCHIVED_MAX + 2);
    for entry in body.chunks_exact(ENTRY_LEN) {
        let (name, began) = entry.split_first_chunk::<32>().ok_or(RestoreError::Index)?;
        let began = u64::from_be_bytes(began.try_into().map_err(|_| RestoreError::Index)?);
        let id = SessionId(*name);
        let record = load(id).ok_or(RestoreError::Missing { session: id })?;
        let session = Session::from_record(&record).map_err(|source| RestoreError::Record { session: id, source })?;
        if SessionId::of(&session) != id || held.iter().any(|other| SessionId::of(&other.session) == id) {
            return Err(RestoreError::OtherSession { session: id });
        }
        held.push(Held { session, began });
    }
    Ok((held, has_active))
}
