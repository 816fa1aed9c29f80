//! Opening kept messages, and the record of it.
//!
//! [`Opened`] can only be had from [`open`], which has written a row for each message and waited until it was durable. So no words leave this
//! server that the record does not know of. A message that cannot be opened is recorded as well, with the reason.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rcseal_crypto::hpke_p256::{Sealed, open_with_shared};
use rcseal_store::audit::{AuditActor, AuditEntry, AuditOutcome};
use rcseal_store::retained::{RetainedEntry, RetainedRecord, ServerKeyRecord};
use rcseal_wire::api::retained::{RETAINED_INFO, RetainedHeader};
use rcseal_wire::id::ServerKeyId;
use zeroize::Zeroizing;

use super::keys::{self, public_half};
use super::{RetainedError, ServerEncryption};
use crate::metrics::Reader;
use crate::state::AppState;

/// A message whose opening is on record.
pub(crate) struct Opened {
    /// About it.
    pub(crate) entry: RetainedEntry,
    /// Its words, or why there are none.
    pub(crate) words: Result<Zeroizing<Vec<u8>>, Unreadable>,
}

/// Why a message that is there will never be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    KeyDestroyed,
    NotAuthentic,
}

impl Unreadable {
    const fn outcome(self) -> AuditOutcome {
        match self {
            Self::KeyDestroyed => AuditOutcome::KeyDestroyed,
            Self::NotAuthentic => AuditOutcome::NotAuthentic,
        }
    }
}

/// Opens messages for somebody. Either all of them are on record and handed over, or none.
pub(crate) async fn open(
    state: &AppState,
    records: Vec<RetainedRecord>,
    actor: &AuditActor,
) -> Result<Vec<Opened>, RetainedError> {
    let encryption = keys::of(state)?;
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let mut opened = Vec::with_capacity(records.len());
    let mut known = HashMap::new();
    for record in records {
        match open_one(state, encryption, &record, &mut known).await {
            Ok(words) => opened.push(Opened { entry: record.entry, words }),
            Err(error) => {
                note_failure(state, &record.entry, actor, &error).await?;
                return Err(error);
            }
        }
    }
    let entries = opened.iter().map(|opened| {
        let outcome = opened.words.as_ref().map_or_else(|reason| reason.outcome(), |_| AuditOutcome::Opened);
        entry_of(state, &opened.entry, actor, outcome)
    });
    let entries: Vec<AuditEntry> = entries.collect();
    let outcomes: Vec<AuditOutcome> = entries.iter().map(|entry| entry.outcome).collect();
    state.store.append_audit(entries).await?;
    for outcome in outcomes {
        state.metrics.retained_opened(reader(actor), outcome);
    }
    Ok(opened)
}

async fn open_one(
    state: &AppState,
    encryption: &ServerEncryption,
    record: &RetainedRecord,
    known: &mut HashMap<ServerKeyId, Option<ServerKeyRecord>>,
) -> Result<Result<Zeroizing<Vec<u8>>, Unreadable>, RetainedError> {
    let entry = &record.entry;
    // A store that was moved to another region took its messages along; the promise of where they are read did not come with it.
    if entry.region != encryption.config.region {
        return Err(RetainedError::RegionMismatch);
    }
    let key = match known.entry(entry.key) {
        Entry::Occupied(known) => known.get().clone(),
        Entry::Vacant(vacant) => vacant.insert(state.store.server_key(entry.key).await?).clone(),
    };
    let Some(key) = key else { return Ok(Err(Unreadable::KeyDestroyed)) };
    let Ok(sealed) = Sealed::parse(&record.sealed) else { return Ok(Err(Unreadable::NotAuthentic)) };
    let public = public_half(&key)?;
    let agreed = encryption.kms.agree(key.label.clone(), public, *sealed.encapsulation()).await;
    let agreed = match agreed.map_err(RetainedError::from) {
        Ok(agreed) => agreed,
        Err(RetainedError::KeyDestroyed) => {
            encryption.forget();
            // Making sure of it was work; the other messages of this page need not ask again.
            known.insert(entry.key, None);
            return Ok(Err(Unreadable::KeyDestroyed));
        }
        Err(error) => return Err(error),
    };
    let header = RetainedHeader {
        tenant: encryption.config.tenant,
        from: entry.from,
        to: entry.to,
        id: entry.id,
        key_id: entry.key,
        class: &entry.class,
    };
    let words = open_with_shared(&agreed, &sealed, &public, RETAINED_INFO, &header.associated_data());
    Ok(words.map(Zeroizing::new).map_err(|_| Unreadable::NotAuthentic))
}

/// What an operator tried in vain is on record too. A device that polls while the module is away is not: nothing was opened, and the record
/// would be of nothing else.
async fn note_failure(
    state: &AppState,
    entry: &RetainedEntry,
    actor: &AuditActor,
    error: &RetainedError,
) -> Result<(), RetainedError> {
    let outcome = match error {
        RetainedError::RegionMismatch => AuditOutcome::RegionMismatch,
        RetainedError::KmsUnavailable(_) => AuditOutcome::KmsUnavailable,
        _ => return Ok(()),
    };
    state.metrics.retained_opened(reader(actor), outcome);
    if matches!(actor, AuditActor::Operator { .. }) {
        state.store.append_audit(vec![entry_of(state, entry, actor, outcome)]).await?;
    }
    Ok(())
}

fn entry_of(state: &AppState, entry: &RetainedEntry, actor: &AuditActor, outcome: AuditOutcome) -> AuditEntry {
    AuditEntry {
        at: state.clock.now(),
        actor: actor.clone(),
        message: entry.id,
        recipient: entry.to,
        key: entry.key,
        outcome,
    }
}

const fn reader(actor: &AuditActor) -> Reader {
    match actor {
        AuditActor::Device(_) => Reader::Device,
        AuditActor::Operator { .. } => Reader::Operator,
    }
}
