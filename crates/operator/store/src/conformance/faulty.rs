//! A store that fails at its n-th call, or holds its answer back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_crypto::secret::Secret;
use rcseal_wire::api::push::PushHandle;
use rcseal_wire::id::{
    AccountId, BlobId, DeliveryTokenHash, DeviceAddress, EnvelopeId, KeySetCounter, LinkId, MailboxId, RetainedId,
    ServerKeyId,
};
use tokio::sync::Notify;

use crate::account::{AccountRecord, AccountStore, AddInviteError, InviteHash, Register, RegisterError};
use crate::audit::{AuditEnds, AuditEntry, AuditHead, AuditRow, AuditStore};
use crate::blob::{BeginBlobError, BlobIndex, BlobRecord, NewBlob};
use crate::directory::{
    Claim, ClaimedBundle, DeviceRecord, DirectoryStore, KeyMapRecord, PublishError, PublishKeySet, Published,
    SetTokensError, StoredKeySet, UploadError, UploadPrekeys, Uploaded,
};
use crate::link::{LinkError, LinkStore};
use crate::mailbox::{
    AcknowledgeOutcome, CreateMailboxError, Enqueue, EnqueueOutcome, ExpireOutcome, FetchLimit, Fetched,
    MailboxObserver, MailboxSeq, MailboxStore, MailboxUsage,
};
use crate::push::{NewPush, NextWakeUp, PushStore, RegisterPushError};
use crate::retained::{
    NewRetained, RetainError, Retained, RetainedEntry, RetainedLimit, RetainedRecord, RetainedRecords, RetainedStore,
    ServerKeyRecord,
};
use crate::secret::{SecretName, SecretStore};
use crate::takeover::{
    AddTicketError, BeginReset, BeginResetError, CancelReset, ResetRecord, ResetTicketHash, Settled, Takeover,
    TakeoverError, TakeoverStore,
};
use crate::{Store, StoreError, UnixMillis};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing happened.
    Before,
    /// It was done, but the caller is not told.
    After,
    /// It was done, and the caller is told so when [`FaultyStore::release`] is called: others may do something in between.
    Late,
}

/// Wraps a store, a relay's or a broker's; one of its calls fails, all others pass.
pub struct FaultyStore<S: ?Sized = dyn Store> {
    pub(super) inner: Arc<S>,
    /// Calls until the one that fails; 0 when there is none to come.
    left: AtomicU64,
    kind: Mutex<FaultKind>,
    released: Notify,
}

#[derive(Debug, thiserror::Error)]
#[error("an injected fault")]
pub(super) struct Injected;

impl<S: ?Sized> FaultyStore<S> {
    /// Passes everything until it is armed.
    #[must_use]
    pub fn new(inner: Arc<S>) -> Self {
        Self { inner, left: AtomicU64::new(0), kind: Mutex::new(FaultKind::Before), released: Notify::new() }
    }

    /// Lets the `nth` call from now on fail (1 is the next).
    pub fn arm(&self, nth: u64, kind: FaultKind) {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = kind;
        self.left.store(nth, Ordering::SeqCst);
    }

    /// Where the call that is held back waits.
    pub(super) async fn held_back(&self) {
        self.released.notified().await;
    }

    /// Lets the call that is held back answer.
    pub fn release(&self) {
        self.released.notify_one();
    }

    /// Whether no fault is to come: the armed one has happened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Counts a call; how it fails, if it is the one.
    pub(super) fn fault(&self) -> Option<FaultKind> {
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        (before == Ok(1)).then(|| *self.kind.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// `async_trait` rewrites an impl block as a whole, so the whole block is made by the macro.
macro_rules! delegate_impl {
    ($trait:ident { $($calls:tt)* } $($plain:tt)*) => {
        $crate::conformance::faulty::delegate_impl!(dyn Store; $trait { $($calls)* } $($plain)*);
    };
    ($inner:ty; $trait:ident { $(async fn $name:ident($($arg:ident: $type:ty),*) -> Result<$ok:ty, $error:ty>;)* } $($plain:tt)*) => {
        #[async_trait]
        impl $trait for FaultyStore<$inner> {
            $(
                async fn $name(&self, $($arg: $type),*) -> Result<$ok, $error> {
                    let fault = self.fault();
                    if fault == Some(FaultKind::Before) {
                        return Err(StoreError::Unavailable.into());
                    }
                    let result = self.inner.$name($($arg),*).await;
                    match fault {
                        Some(FaultKind::After) if result.is_ok() => {
                            Err(StoreError::InDoubt(Box::new($crate::conformance::faulty::Injected)).into())
                        }
                        Some(FaultKind::Late) => {
                            self.held_back().await;
                            result
                        }
                        _ => result,
                    }
                }
            )*
            $($plain)*
        }
    };
}

pub(super) use delegate_impl;

delegate_impl!(MailboxStore {
    async fn create_mailbox(device: DeviceAddress, mailbox: MailboxId) -> Result<(), CreateMailboxError>;
    async fn enqueue(now: UnixMillis, envelopes: Vec<Enqueue>) -> Result<Vec<EnqueueOutcome>, StoreError>;
    async fn fetch(now: UnixMillis, mailbox: MailboxId, after: MailboxSeq, limit: FetchLimit) -> Result<Fetched, StoreError>;
    async fn acknowledge(mailbox: MailboxId, ids: Vec<EnvelopeId>) -> Result<AcknowledgeOutcome, StoreError>;
    async fn expire(now: UnixMillis, budget: usize) -> Result<ExpireOutcome, StoreError>;
    async fn mailbox_usage(mailbox: MailboxId) -> Result<Option<MailboxUsage>, StoreError>;
}
fn observe(&self, observer: Arc<dyn MailboxObserver>) {
    self.inner.observe(observer);
});

delegate_impl!(DirectoryStore {
    async fn publish_key_set(publish: PublishKeySet) -> Result<Published, PublishError>;
    async fn key_set(account: AccountId) -> Result<Option<StoredKeySet>, StoreError>;
    async fn key_sets_from(account: AccountId, from: KeySetCounter) -> Result<Vec<StoredKeySet>, StoreError>;
    async fn device(device: DeviceAddress) -> Result<Option<DeviceRecord>, StoreError>;
    async fn devices(account: AccountId) -> Result<Vec<DeviceRecord>, StoreError>;
    async fn key_map(account: AccountId) -> Result<Option<KeyMapRecord>, StoreError>;
    async fn upload_prekeys(device: DeviceAddress, upload: UploadPrekeys, now: UnixMillis) -> Result<Uploaded, UploadError>;
    async fn claim_bundle(device: DeviceAddress, claim: Claim) -> Result<Option<ClaimedBundle>, StoreError>;
    async fn set_delivery_tokens(device: DeviceAddress, added_at: KeySetCounter, tokens: Vec<DeliveryTokenHash>) -> Result<(), SetTokensError>;
    async fn is_delivery_token(account: AccountId, token: DeliveryTokenHash) -> Result<bool, StoreError>;
});

delegate_impl!(AccountStore {
    async fn register(register: Register) -> Result<(), RegisterError>;
    async fn account(account: AccountId) -> Result<Option<AccountRecord>, StoreError>;
    async fn remove_account(account: AccountId) -> Result<bool, StoreError>;
    async fn add_invite(invite: InviteHash, expires_at: UnixMillis, now: UnixMillis) -> Result<(), AddInviteError>;
});

delegate_impl!(BlobIndex {
    async fn begin_blob(blob: NewBlob) -> Result<BlobRecord, BeginBlobError>;
    async fn blob(id: BlobId) -> Result<Option<BlobRecord>, StoreError>;
    async fn advance_blob(id: BlobId, from: u64, to: u64) -> Result<bool, StoreError>;
    async fn complete_blob(id: BlobId) -> Result<bool, StoreError>;
    async fn remove_blob(id: BlobId) -> Result<Option<BlobRecord>, StoreError>;
    async fn expired_blobs(now: UnixMillis, limit: usize) -> Result<Vec<BlobRecord>, StoreError>;
});

delegate_impl!(LinkStore {
    async fn open_link(link: LinkId, now: UnixMillis) -> Result<UnixMillis, LinkError>;
    async fn put_link_message(link: LinkId, slot: u8, message: Bytes, now: UnixMillis) -> Result<(), LinkError>;
    async fn link_message(link: LinkId, slot: u8, now: UnixMillis) -> Result<Option<Bytes>, LinkError>;
    async fn expire_links(now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
});

delegate_impl!(SecretStore {
    async fn server_secret(name: SecretName, candidate: Secret<32>) -> Result<Secret<32>, StoreError>;
});

delegate_impl!(TakeoverStore {
    async fn take_over(takeover: Takeover, now: UnixMillis) -> Result<Published, TakeoverError>;
    async fn add_reset_ticket(account: AccountId, ticket: ResetTicketHash, expires_at: UnixMillis) -> Result<(), AddTicketError>;
    async fn is_reset_ticket(account: AccountId, ticket: ResetTicketHash, now: UnixMillis) -> Result<bool, StoreError>;
    async fn begin_reset(begin: BeginReset) -> Result<UnixMillis, BeginResetError>;
    async fn reset(account: AccountId) -> Result<Option<ResetRecord>, StoreError>;
    async fn resets(after: Option<AccountId>, limit: usize) -> Result<Vec<ResetRecord>, StoreError>;
    async fn cancel_reset(account: AccountId, what: CancelReset) -> Result<bool, StoreError>;
    async fn settle_reset(now: UnixMillis) -> Result<Settled, StoreError>;
});

delegate_impl!(RetainedStore {
    async fn retain(message: NewRetained) -> Result<Retained, RetainError>;
    async fn retained(now: UnixMillis, to: AccountId, since: KeySetCounter, after: u64, limit: RetainedLimit) -> Result<RetainedRecords, StoreError>;
    async fn newest_retained(to: AccountId) -> Result<Option<u64>, StoreError>;
    async fn retained_message(now: UnixMillis, id: RetainedId) -> Result<Option<RetainedRecord>, StoreError>;
    async fn list_retained(now: UnixMillis, after: Option<(AccountId, u64)>, limit: usize) -> Result<Vec<RetainedEntry>, StoreError>;
    async fn expire_retained(now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
    async fn adopt_server_key(key: ServerKeyRecord) -> Result<ServerKeyRecord, StoreError>;
    async fn server_key_of(label: String) -> Result<Option<ServerKeyRecord>, StoreError>;
    async fn server_key(id: ServerKeyId) -> Result<Option<ServerKeyRecord>, StoreError>;
});

delegate_impl!(AuditStore {
    async fn append_audit(entries: Vec<AuditEntry>) -> Result<AuditHead, StoreError>;
    async fn audit(after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;
    async fn audit_ends() -> Result<AuditEnds, StoreError>;
    async fn expire_audit(before: UnixMillis, budget: usize) -> Result<usize, StoreError>;
});

delegate_impl!(PushStore {
    async fn register_push(push: NewPush) -> Result<(), RegisterPushError>;
    async fn remove_push(device: DeviceAddress, handle: Option<PushHandle>) -> Result<bool, StoreError>;
    async fn next_wake_up(mailbox: MailboxId, now: UnixMillis, interval_millis: u64) -> Result<NextWakeUp, StoreError>;
    async fn registered_device(mailbox: MailboxId) -> Result<Option<DeviceAddress>, StoreError>;
    async fn waiting_pushes(after: Option<DeviceAddress>, limit: usize) -> Result<(Vec<MailboxId>, Option<DeviceAddress>), StoreError>;
});

delegate_impl!(Store {
    async fn check() -> Result<(), StoreError>;
}
async fn close(&self) {
    self.inner.close().await;
});
