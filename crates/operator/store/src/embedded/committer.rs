//! The commit thread: the only writer. It takes every operation that waits, runs them in order on one transaction, commits that with one
//! disk flush, and answers them.
//!
//! States: *serving*, *recovering* (a commit failed: the database is dropped and opened again, operations are refused meanwhile),
//! *closed*. While one group is on its way to the disk, the next one gathers in the channel; nothing waits for a timer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rcseal_wire::id::MailboxId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::engine::{CommitFailure, Engine};
use super::rows::{self, Schema};
use super::txn::{Memory, Txn, Writes};
use crate::mailbox::MailboxObserver;
use crate::{StoreError, StoreLimits};

/// Operations of one group: bounds the time to the first answer.
const GROUP_OPERATIONS_MAX: usize = 4096;
/// Bytes of one group: a flush of this much takes milliseconds on a slow disk.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Pause between two attempts to open a failed database again.
const REOPEN_PAUSE: Duration = Duration::from_millis(250);
/// Size of the row that is written to see whether the disk takes writes again.
const PROBE_LEN: usize = 64 * 1024;

/// An operation on its way through the commit thread.
pub(super) trait Work: Send {
    /// Runs it. What it returned is kept until the group is durable.
    fn run(&mut self, txn: Txn<'_>);
    /// Mailboxes that got something, once it has run.
    fn touched(&self, mailboxes: &mut Vec<MailboxId>);
    /// Whether it needs disk space that a nearly full disk has not got.
    fn needs_space(&self) -> bool;
    /// About how many bytes it writes.
    fn bytes(&self) -> usize;
    /// Answers with what it returned.
    fn finish(self: Box<Self>);
    /// Answers with an error.
    fn fail(self: Box<Self>, error: StoreError);
}

/// An operation made of a closure.
pub(super) struct Task<T, F> {
    pub(super) run: Option<F>,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) touched: fn(&T, &mut Vec<MailboxId>),
    pub(super) needs_space: bool,
    pub(super) bytes: usize,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
    /// Its share of the memory that waiting operations may hold.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnOnce(&mut Txn<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, mut txn: Txn<'_>) {
        if let Some(run) = self.run.take() {
            let result = run(&mut txn);
            if result.is_err() {
                txn.roll_back();
            }
            self.result = Some(result);
        }
    }

    fn touched(&self, mailboxes: &mut Vec<MailboxId>) {
        if let Some(Ok(value)) = &self.result {
            (self.touched)(value, mailboxes);
        }
    }

    fn needs_space(&self) -> bool {
        self.needs_space
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn finish(self: Box<Self>) {
        let result = self.result.unwrap_or(Err(StoreError::Unavailable));
        // Nobody may be listening any more; what was written stays written.
        let _ = self.reply.send(result);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

pub(super) enum Message {
    Work(Box<dyn Work>),
    /// Drop the database as if the process had died, and open it again (tests).
    #[cfg(any(test, feature = "conformance"))]
    Reopen(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What readers and the commit thread share.
pub(super) struct Shared {
    engine: RwLock<State>,
    observer: RwLock<Option<Arc<dyn MailboxObserver>>>,
}

enum State {
    Serving(Arc<Engine>),
    Recovering { full: bool },
    Closed,
}

impl Shared {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine: RwLock::new(State::Serving(engine)), observer: RwLock::new(None) }
    }

    /// The open database.
    pub(super) fn engine(&self) -> Result<Arc<Engine>, StoreError> {
        match &*self.engine.read().unwrap_or_else(PoisonError::into_inner) {
            State::Serving(engine) => Ok(Arc::clone(engine)),
            State::Recovering { full: true } => Err(StoreError::Full),
            State::Recovering { full: false } => Err(StoreError::Unavailable),
            State::Closed => Err(StoreError::Closed),
        }
    }

    fn set(&self, state: State) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(super) fn observe(&self, observer: Arc<dyn MailboxObserver>) {
        *self.observer.write().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    fn notify(&self, mailboxes: &[MailboxId]) {
        if mailboxes.is_empty() {
            return;
        }
        if let Some(observer) = &*self.observer.read().unwrap_or_else(PoisonError::into_inner) {
            observer.stored(mailboxes);
        }
    }
}

pub(super) struct Committer {
    pub(super) path: PathBuf,
    pub(super) schema: Schema,
    pub(super) limits: StoreLimits,
    pub(super) shared: Arc<Shared>,
    pub(super) receiver: Receiver<Message>,
}

pub(super) type Sender = SyncSender<Message>;

impl Committer {
    /// Runs until the store is closed or every handle to it is gone.
    pub(super) fn run(self) {
        let mut memory = Memory::default();
        let mut group: Vec<Box<dyn Work>> = Vec::new();
        loop {
            let Ok(first) = self.receiver.recv() else { break };
            let control = self.gather(first, &mut group);
            if !group.is_empty() {
                match self.shared.engine() {
                    Ok(engine) => {
                        // A panic is a bug of ours or of the engine's. It must not end the only writer of a process that goes on
                        // answering: the group's callers are told that it failed, and the database is opened anew.
                        let outcome = catch_unwind(AssertUnwindSafe(|| self.commit(&engine, &mut group, &mut memory)))
                            .unwrap_or_else(|_| {
                                tracing::error!("store.commit_panicked");
                                group.drain(..).for_each(|work| work.fail(StoreError::Unavailable));
                                Err(CommitFailure::Failed)
                            });
                        drop(engine);
                        if let Err(failure) = outcome {
                            memory = Memory::default();
                            if !self.recover(failure == CommitFailure::Full) {
                                return;
                            }
                        }
                    }
                    Err(_) => group.drain(..).for_each(|work| work.fail(StoreError::Unavailable)),
                }
            }
            match control {
                None => {}
                #[cfg(any(test, feature = "conformance"))]
                Some(Message::Reopen(reply)) => {
                    memory = Memory::default();
                    if !self.recover(false) {
                        return;
                    }
                    let _ = reply.send(());
                }
                Some(Message::Close(reply)) => {
                    self.close();
                    let _ = reply.send(());
                    return;
                }
                Some(Message::Work(work)) => work.fail(StoreError::Unavailable),
            }
        }
        self.close();
    }

    /// Collects what waits. Returns a message that ends the group.
    fn gather(&self, first: Message, group: &mut Vec<Box<dyn Work>>) -> Option<Message> {
        let mut bytes = 0;
        let mut next = first;
        loop {
            match next {
                Message::Work(work) => {
                    bytes += work.bytes();
                    group.push(work);
                }
                other => return Some(other),
            }
            if group.len() >= GROUP_OPERATIONS_MAX || bytes >= GROUP_BYTES_MAX {
                return None;
            }
            match self.receiver.try_recv() {
                Ok(message) => next = message,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }

    fn commit(
        &self,
        engine: &Engine,
        group: &mut Vec<Box<dyn Work>>,
        memory: &mut Memory,
    ) -> Result<(), CommitFailure> {
        let mut writes = Writes::new();
        let scarce = self.is_space_scarce();
        let mut running: Vec<Box<dyn Work>> = Vec::with_capacity(group.len());
        let mut touched = Vec::new();
        for mut work in group.drain(..) {
            if scarce && work.needs_space() {
                work.fail(StoreError::Full);
                continue;
            }
            work.run(Txn::new(engine, &mut writes, memory, &self.limits));
            work.touched(&mut touched);
            running.push(work);
        }
        match engine.commit(&writes) {
            Ok(()) => {
                memory.note_committed(&writes);
                self.shared.notify(&touched);
                running.into_iter().for_each(|work| work.finish());
                Ok(())
            }
            Err(failure) => {
                for work in running {
                    work.fail(match failure {
                        CommitFailure::Refused => StoreError::Unavailable,
                        CommitFailure::Full | CommitFailure::Failed => StoreError::InDoubt(Box::new(GroupFailed)),
                    });
                }
                Err(failure)
            }
        }
    }

    fn is_space_scarce(&self) -> bool {
        free_bytes(&self.path).is_some_and(|free| free < self.limits.free_bytes_min)
    }

    /// Drops the failed database and opens it again, however long that takes, refusing operations meanwhile. `false`: closed meanwhile.
    fn recover(&self, full: bool) -> bool {
        self.shared.set(State::Recovering { full });
        tracing::error!(disk_full = full, "store.recovering");
        loop {
            match self.receiver.recv_timeout(REOPEN_PAUSE) {
                Ok(Message::Work(work)) => {
                    work.fail(refusal(full));
                    // A steady stream of operations must not keep the database from being opened.
                    while let Ok(message) = self.receiver.try_recv() {
                        match message {
                            Message::Work(work) => work.fail(refusal(full)),
                            #[cfg(any(test, feature = "conformance"))]
                            Message::Reopen(reply) => drop(reply),
                            Message::Close(reply) => {
                                self.shared.set(State::Closed);
                                let _ = reply.send(());
                                return false;
                            }
                        }
                    }
                }
                #[cfg(any(test, feature = "conformance"))]
                Ok(Message::Reopen(reply)) => drop(reply),
                Ok(Message::Close(reply)) => {
                    self.shared.set(State::Closed);
                    let _ = reply.send(());
                    return false;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.shared.set(State::Closed);
                    return false;
                }
            }
            match self.reopen() {
                Ok(engine) => {
                    self.shared.set(State::Serving(Arc::new(engine)));
                    tracing::warn!("store.recovered");
                    return true;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(code = error.code(), cause, "store.reopen_failed");
                }
            }
        }
    }

    fn reopen(&self) -> Result<Engine, StoreError> {
        let engine = Engine::open(&self.path, self.schema)?;
        engine.rewrite_recovered()?;
        let mut probe = Writes::new();
        probe.insert((self.schema.records(), rows::check_key()), Some(fjall::Slice::from(vec![0u8; PROBE_LEN])));
        engine.commit(&probe).map_err(|_| StoreError::Unavailable)?;
        Ok(engine)
    }

    fn close(&self) {
        if let Ok(engine) = self.shared.engine() {
            self.shared.set(State::Closed);
            if let Err(failure) = engine.persist() {
                tracing::error!(?failure, "store.close_failed");
            }
        }
        self.shared.set(State::Closed);
    }
}

/// The cause of [`StoreError::InDoubt`]; the engine's own error is in the log once, not in every answer of the group.
#[derive(Debug, thiserror::Error)]
#[error("the group's commit failed")]
struct GroupFailed;

const fn refusal(full: bool) -> StoreError {
    if full { StoreError::Full } else { StoreError::Unavailable }
}

/// Bytes that an ordinary user may still write on the file system of `path`.
fn free_bytes(path: &std::path::Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::embedded::{FjallStore, Need};
    use crate::{MailboxStore as _, Store as _, UnixMillis};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_of_one_operation_does_not_end_the_only_writer() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            FjallStore::open(folder.path(), StoreLimits { free_bytes_min: 0, ..StoreLimits::default() }).unwrap();
        let outcome = store.write(Need::Little, |_| -> Result<(), StoreError> { panic!("a bug") }).await;
        assert!(outcome.is_err());
        // The database is opened anew, and refuses meanwhile.
        while store.expire(UnixMillis::new(1), 1).await.is_err() {
            assert!(!matches!(store.check().await, Err(StoreError::Corrupt { .. })));
            tokio::task::yield_now().await;
        }
        store.check().await.unwrap();
    }
}
