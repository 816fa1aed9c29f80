//! One open fjall database: its keyspaces, the durable commit, and what fjall's failures mean.
//!
//! fjall 3.1 poisons a database for writing when a journal write, a flush to disk or a background worker fails, and stays so until it is
//! opened again; reads go on. Two of its waits (for a full queue of memtables, for too many tables on level 0) never end if the worker
//! they wait for has failed, so [`Engine::commit`] waits for room itself, and looks for the poison while it does.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::journal;
use super::rows::{self, Schema, Space};
use super::txn::Writes;
use crate::StoreError;

/// fjall halts writers at four memtables that wait for their flush; we wait below that.
const SEALED_MEMTABLES_MAX: usize = 2;
/// fjall halts writers at thirty runs on level 0; a run is at least one table.
const LEVEL0_TABLES_MAX: usize = 26;
/// How often a waiting writer looks again.
const ROOM_POLL: Duration = Duration::from_millis(2);
/// Bytes of the block cache: enough for the index blocks of some ten million envelopes.
const CACHE_LEN: u64 = 64 * 1024 * 1024;

/// Bytes of a memtable of small rows. Such a row is a tenth of an envelope, so these fill up about as fast as the 64 MiB of envelopes.
/// Larger ones would keep old journals alive, which are replayed at every start.
const SMALL_MEMTABLE_LEN: u64 = 16 * 1024 * 1024;

/// Why a commit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitFailure {
    /// Nothing was written.
    Refused,
    /// The disk was full; the batch may be in the journal or not.
    Full,
    /// Something else; the batch may be in the journal or not.
    Failed,
}

pub(super) struct Engine {
    db: Database,
    schema: Schema,
    /// Those of the schema, each at its [`Space::index`].
    keyspaces: [Option<Keyspace>; Space::COUNT],
}

impl Engine {
    /// Opens or creates the database in a folder. A folder with another schema's rows is refused.
    pub(super) fn open(path: &Path, schema: Schema) -> Result<Self, StoreError> {
        let open_error = |error: fjall::Error| StoreError::Open(Box::new(error));
        let open_database =
            || Database::builder(path).journal_compression(CompressionType::None).cache_size(CACHE_LEN).open();
        // What is stored is ciphertext or random: compressing it costs time and saves nothing. Separating envelopes from their keys was
        // measured with three in four acknowledged at once: a quarter fewer bytes written, an eighth more disk used, 12 % less processor
        // time at 1 KiB and 24 % at 16 KiB. Not worth a second file format with its own garbage collection yet.
        let plain = || KeyspaceCreateOptions::default().data_block_compression_policy(CompressionPolicy::disabled());
        let small = || plain().max_memtable_size(SMALL_MEMTABLE_LEN);
        let db = match open_database() {
            // A power cut in the middle of a flush may leave a batch of which some pages are missing.
            Err(fjall::Error::JournalRecovery(_)) => {
                journal::drop_torn_tail(path)?;
                open_database()
            }
            outcome => outcome,
        }
        .map_err(open_error)?;
        if schema.foreign().any(|space| db.keyspace_exists(space.name())) {
            return Err(StoreError::Corrupt { space: "format" });
        }
        let mut keyspaces = [const { None }; Space::COUNT];
        for space in schema.spaces().iter().copied() {
            let opened = match space {
                Space::Envelopes | Space::Retained => db.keyspace(space.name(), plain),
                Space::Ids | Space::Expiry | Space::Prekeys | Space::Records | Space::Broker => {
                    db.keyspace(space.name(), small)
                }
            };
            keyspaces[space.index()] = Some(opened.map_err(open_error)?);
        }
        let engine = Self { db, schema, keyspaces };
        engine.check_format()?;
        // A process that was killed may have written a batch and not flushed it. It is back now, so a repeated submission is answered
        // *duplicate*, which promises that it survives a power cut as well.
        engine.db.persist(PersistMode::SyncAll).map_err(open_error)?;
        Ok(engine)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let records = self.schema.records();
        match self.get(records, &rows::format_key())? {
            Some(row) if rows::parse_u64(&row, "format")? == self.schema.format() => Ok(()),
            Some(_) => Err(StoreError::Corrupt { space: "format" }),
            None => {
                let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
                batch.insert(self.keyspace(records), rows::format_key(), rows::write_u64(self.schema.format()));
                batch.commit().map_err(|error| StoreError::Open(Box::new(error)))
            }
        }
    }

    /// After a failure: writes everything that the journal brought back into new table files. A journal page whose flush failed may look
    /// written when it is read again from memory; what is in a new file was written and flushed anew.
    pub(super) fn rewrite_recovered(&self) -> Result<(), StoreError> {
        for space in self.keyspaces.iter().flatten() {
            space.rotate_memtable().map_err(|error| StoreError::Open(Box::new(error)))?;
            while space.sealed_memtable_count() > 0 {
                self.poison_check().map_err(|error| StoreError::Open(Box::new(error)))?;
                std::thread::sleep(ROOM_POLL);
            }
        }
        Ok(())
    }

    pub(super) fn keyspace(&self, space: Space) -> &Keyspace {
        self.keyspaces[space.index()].as_ref().expect("a store's operations name the keyspaces of its own schema")
    }

    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<fjall::Slice>, StoreError> {
        self.keyspace(space).get(key).map_err(read_error)
    }

    /// A view of everything at one moment, for reads of several rows that must fit together.
    pub(super) fn snapshot(&self) -> fjall::Snapshot {
        self.db.snapshot()
    }

    /// Writes everything in one batch and flushes it to the disk.
    pub(super) fn commit(&self, writes: &Writes) -> Result<(), CommitFailure> {
        if writes.is_empty() {
            return Ok(());
        }
        self.wait_for_room()?;
        let mut batch =
            OwnedWriteBatch::with_capacity(self.db.clone(), writes.len()).durability(Some(PersistMode::SyncData));
        for ((space, key), value) in writes {
            match value {
                Some(value) => batch.insert(self.keyspace(*space), key.clone(), value.clone()),
                None => batch.remove(self.keyspace(*space), key.clone()),
            }
        }
        batch.commit().map_err(|error| {
            let failure = classify(&error);
            tracing::warn!(?failure, cause = %error, "store.commit_failed");
            failure
        })
    }

    fn wait_for_room(&self) -> Result<(), CommitFailure> {
        for keyspace in self.keyspaces.iter().flatten() {
            while keyspace.sealed_memtable_count() > SEALED_MEMTABLES_MAX
                || keyspace.l0_table_count() > LEVEL0_TABLES_MAX
            {
                self.poison_check().map_err(|_| CommitFailure::Refused)?;
                std::thread::sleep(ROOM_POLL);
            }
        }
        Ok(())
    }

    /// `persist` looks at the poison before anything else; with `Buffer` it does next to nothing.
    fn poison_check(&self) -> Result<(), fjall::Error> {
        self.db.persist(PersistMode::Buffer)
    }

    /// Before a clean close.
    pub(super) fn persist(&self) -> Result<(), CommitFailure> {
        self.db.persist(PersistMode::SyncAll).map_err(|error| classify(&error))
    }
}

pub(super) fn read_error(error: fjall::Error) -> StoreError {
    StoreError::Read(Box::new(error))
}

fn classify(error: &fjall::Error) -> CommitFailure {
    match error {
        // The poison is looked for before anything is written.
        fjall::Error::Poisoned => CommitFailure::Refused,
        fjall::Error::Io(cause) if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            CommitFailure::Full
        }
        _ => CommitFailure::Failed,
    }
}
