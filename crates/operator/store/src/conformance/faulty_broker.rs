//! The same for a broker's store.

use async_trait::async_trait;
use bytes::Bytes;
use rcseal_crypto::secret::Secret;
use rcseal_wire::id::{AccountId, DeviceAddress, EnvelopeId, KeySetHash, MappingHash};
use rcseal_wire::number::E164;

use super::faulty::{FaultKind, FaultyStore, delegate_impl};
use crate::broker::business::*;
use crate::broker::forward::*;
use crate::broker::*;
use crate::secret::{SecretName, SecretStore};
use crate::{BrokerStore, StoreError, StoredKeySet, UnixMillis};

/// Wraps a broker's store; one of its calls fails, all others pass.
pub type FaultyBrokerStore = FaultyStore<dyn BrokerStore>;

delegate_impl!(dyn BrokerStore; EnrolmentStore {
    async fn enrol(enrolment: Enrolment) -> Result<EnrolledDevice, EnrolError>;
    async fn refresh_key_set(account: AccountId, expected: KeySetHash, key_set: StoredKeySet, listed: Vec<ListedDevice>, now: UnixMillis) -> Result<bool, StoreError>;
    async fn account_enrolment(account: AccountId) -> Result<Option<AccountEnrolment>, StoreError>;
    async fn enrolled_device(device: DeviceAddress) -> Result<Option<EnrolledDevice>, StoreError>;
});

delegate_impl!(dyn BrokerStore; ClaimStore {
    async fn begin_claim(begin: BeginClaim) -> Result<Begun, BeginClaimError>;
    async fn set_code(id: ClaimId, code: CodeMac) -> Result<bool, StoreError>;
    async fn claimed_number(id: ClaimId, device: DeviceAddress) -> Result<Option<E164>, StoreError>;
    async fn try_code(attempt: TryCode) -> Result<ClaimRecord, TryCodeError>;
    async fn expire_claims(now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
});

delegate_impl!(dyn BrokerStore; NumberStore {
    async fn number(number: E164) -> Result<Option<NumberRecord>, StoreError>;
    async fn numbers_of(account: AccountId) -> Result<Vec<E164>, StoreError>;
    async fn mappings_before(number: E164) -> Result<Vec<MappingRecord>, StoreError>;
    async fn bind(bind: Bind) -> Result<Bound, BindError>;
    async fn release(number: E164, previous: MappingHash, release: Bytes, now: UnixMillis) -> Result<(), NumberError>;
    async fn set_discoverable(number: E164, account: AccountId, discoverable: bool) -> Result<(), NumberError>;
    async fn wait(wait: Wait) -> Result<Option<DeviceAddress>, NumberError>;
    async fn announced(number: E164, waiting: AccountId, at: UnixMillis, next_at: UnixMillis, effective_at: UnixMillis) -> Result<(), NumberError>;
    async fn put_off(number: E164, waiting: AccountId, next_at: UnixMillis) -> Result<(), NumberError>;
    async fn end_waiting(number: E164, waiting: Option<AccountId>) -> Result<Option<WaitingRecord>, StoreError>;
    async fn port(number: E164, entry: AuditEntry) -> Result<NumberRecord, NumberError>;
    async fn reminded(number: E164, mapping: MappingHash) -> Result<(), StoreError>;
    async fn due(now: UnixMillis, limit: usize) -> Result<Vec<E164>, StoreError>;
});

delegate_impl!(dyn BrokerStore; QuotaStore {
    async fn charge(charges: Vec<Charge>, now: UnixMillis) -> Result<Result<(), Exhausted>, StoreError>;
    async fn expire_quotas(now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
});

delegate_impl!(dyn BrokerStore; AuditStore {
    async fn audit(after: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError>;
});

delegate_impl!(dyn BrokerStore; SecretStore {
    async fn server_secret(name: SecretName, candidate: Secret<32>) -> Result<Secret<32>, StoreError>;
});

delegate_impl!(dyn BrokerStore; ForwardStore {
    async fn bound_number(number: E164) -> Result<Option<BoundNumber>, StoreError>;
    async fn take_part(key: FrameKey, part: Part, now: UnixMillis) -> Result<PartOutcome, StoreError>;
    async fn open_frames(before: UnixMillis, after: Option<FramePlace>, limit: FrameLimit) -> Result<Vec<OpenFrame>, StoreError>;
    async fn is_marked(id: EnvelopeId) -> Result<bool, StoreError>;
    async fn settle(settle: Settle) -> Result<SettleOutcome, StoreError>;
    async fn mark(marks: Vec<(EnvelopeId, UnixMillis)>) -> Result<(), StoreError>;
    async fn queued(after: Option<QueuePlace>, budget: usize) -> Result<Vec<(QueuePlace, Queued)>, StoreError>;
    async fn unqueue(places: Vec<QueuePlace>) -> Result<(), StoreError>;
    async fn begin_outbound(device: DeviceAddress, id: [u8; 16], digest: [u8; 16], expires_at: UnixMillis) -> Result<OutboundState, StoreError>;
    async fn end_outbound(device: DeviceAddress, id: [u8; 16], outcome: Bytes) -> Result<(), StoreError>;
    async fn expire_forwards(now: UnixMillis, budget: usize) -> Result<ForwardExpired, StoreError>;
    async fn forward_usage() -> Result<ForwardUsage, StoreError>;
});

delegate_impl!(dyn BrokerStore; BusinessStore {
    async fn new_message(message: NewMessage) -> Result<NewMessageOutcome, StoreError>;
    async fn message(key: MessageKey) -> Result<Option<MessageRecord>, StoreError>;
    async fn change(change: BusinessChange) -> Result<ChangeOutcome, StoreError>;
    async fn due_messages(before: UnixMillis, after: Option<DuePlace>, budget: usize) -> Result<Vec<(DuePlace, MessageKey, MessageRecord)>, StoreError>;
    async fn linked(gateway_id: Bytes) -> Result<Option<MessageKey>, StoreError>;
    async fn feed(tenant: String, after: u64, budget: usize) -> Result<Vec<(u64, Bytes)>, StoreError>;
    async fn expire_business(now: UnixMillis, budget: usize) -> Result<usize, StoreError>;
});

#[async_trait]
impl BrokerStore for FaultyBrokerStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
