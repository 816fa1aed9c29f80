//! The embedded engine: fjall, one process, one folder.
//!
//! Reads go to the database directly, on a blocking thread. Writes go through the commit thread (`committer`), so that each operation
//! is a transaction without locks and many of them share one disk flush. See `rows` for the layout on disk, and `engine` for what is
//! done about fjall's failures.

mod account;
mod blob;
mod broker;
mod committer;
mod directory;
mod engine;
mod journal;
mod key_map;
mod link;
mod mailbox;
mod push;
mod retained;
mod rows;
mod secret;
mod takeover;
mod txn;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rcseal_wire::id::MailboxId;
use tokio::sync::{Semaphore, oneshot};

pub use self::broker::FjallBrokerStore;
use self::committer::{Committer, Message, Sender, Shared, Task};
use self::engine::Engine;
use self::rows::{Schema, Space};
use self::txn::Txn;
use crate::{Store, StoreError, StoreLimits};

/// Memory that operations may hold while they wait for the commit thread. Beyond it callers wait before they hand over.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an operation counts for beside its bytes.
const OPERATION_BYTES: usize = 512;
/// Operations that fit into the channel; the memory above runs out first.
const WAITING_OPERATIONS_MAX: usize = WAITING_BYTES_MAX / OPERATION_BYTES + 1024;

/// Reads at a time, each on a thread of its own: enough to keep a disk busy, few enough that ten thousand devices that come back at
/// once do not become hundreds of threads.
const READS_MAX: usize = 64;

/// A store in one folder, for one process.
#[derive(Clone)]
pub struct FjallStore {
    shared: Arc<Shared>,
    sender: Sender,
    waiting: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    limits: StoreLimits,
}

impl std::fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallStore").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl FjallStore {
    /// Opens or creates the store in a folder. Blocks while the journal is replayed.
    ///
    /// # Errors
    /// [`StoreError::Open`], also when another process has it open.
    pub fn open(path: impl AsRef<Path>, limits: StoreLimits) -> Result<Self, StoreError> {
        Self::open_as(Schema::Relay, path.as_ref(), limits)
    }

    fn open_as(schema: Schema, path: &Path, limits: StoreLimits) -> Result<Self, StoreError> {
        let path: PathBuf = path.to_owned();
        let shared = Arc::new(Shared::new(Arc::new(Engine::open(&path, schema)?)));
        let (sender, receiver) = std::sync::mpsc::sync_channel(WAITING_OPERATIONS_MAX);
        let committer = Committer { path, schema, limits, shared: Arc::clone(&shared), receiver };
        std::thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(|error| StoreError::Open(Box::new(error)))?;
        let waiting = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let reading = Arc::new(Semaphore::new(READS_MAX));
        Ok(Self { shared, sender, waiting, reading, limits })
    }

    /// Reads on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.reading.acquire().await.map_err(|_| StoreError::Closed)?;
        let engine = self.shared.engine()?;
        tokio::task::spawn_blocking(move || read(&engine)).await.map_err(|error| StoreError::Read(Box::new(error)))?
    }

    /// Runs an operation on the commit thread and waits until it is durable.
    async fn write<T: Send + 'static>(
        &self,
        need: Need,
        run: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_touching(need, |_, _| {}, run).await
    }

    /// The same for an operation that may be refused after it has begun to write: a refusal leaves no trace either.
    async fn write_or_undo<T: Send + 'static, E: Send + 'static>(
        &self,
        need: Need,
        run: impl FnOnce(&mut Txn<'_>) -> Result<Result<T, E>, StoreError> + Send + 'static,
    ) -> Result<Result<T, E>, StoreError> {
        self.write(need, move |txn| {
            let result = run(txn)?;
            if result.is_err() {
                txn.roll_back();
            }
            Ok(result)
        })
        .await
    }

    async fn write_touching<T: Send + 'static>(
        &self,
        need: Need,
        touched: fn(&T, &mut Vec<MailboxId>),
        run: impl FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (needs_space, bytes) = match need {
            Need::Space(bytes) => (true, bytes),
            Need::Little => (false, 0),
        };
        let share = (bytes + OPERATION_BYTES).min(WAITING_BYTES_MAX);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.waiting).acquire_many_owned(share).await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let task = Task { run: Some(run), result: None, touched, needs_space, bytes, reply, _permit: permit };
        // The channel is larger than what the permits let through, so it is never full.
        self.sender.try_send(Message::Work(Box::new(task))).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Drops the database without finishing anything and opens it again, as after a crash of the process (tests).
    #[cfg(any(test, feature = "conformance"))]
    pub async fn crash_and_reopen(&self) {
        let (reply, answer) = oneshot::channel();
        if self.sender.send(Message::Reopen(reply)).is_ok() {
            let _ = answer.await;
        }
    }
}

#[cfg(feature = "conformance")]
impl FjallStore {
    /// Every row of accounts, devices and prekeys as it is on disk, key and value (tests).
    pub async fn account_rows(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.read(|engine| {
            let mut found = Vec::new();
            for space in [Space::Records, Space::Prekeys] {
                for entry in engine.keyspace(space).iter() {
                    let (key, value) = entry.into_inner().map_err(engine::read_error)?;
                    found.push((key.to_vec(), value.to_vec()));
                }
            }
            Ok(found)
        })
        .await
    }
}

/// What an operation asks of the disk.
#[derive(Debug, Clone, Copy)]
enum Need {
    /// It adds about this many bytes: refused when space is scarce.
    Space(usize),
    /// It frees space in the end, or adds next to nothing: allowed as long as the engine can.
    Little,
}

#[async_trait]
impl Store for FjallStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.write(Need::Space(0), |txn| {
            txn.put(Space::Records, rows::check_key(), fjall::Slice::from([1u8]));
            Ok(())
        })
        .await
    }

    async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.sender.try_send(Message::Close(reply)).is_ok() {
            let _ = answer.await;
        }
    }
}
