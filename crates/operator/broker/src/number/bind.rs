//! Countersigning a statement, and putting the mapping in its place.
//!
//! Nobody sees a mapping before it is durable in its place, and the store takes it only where the one that it follows is the newest. So of
//! two that were countersigned at the same moment one is thrown away, here, and a broker that dies in the middle has shown neither.

use bytes::Bytes;
use rcseal_credential::VerifiedKeySet;
use rcseal_credential::mapping::{Grounds, SignedStatement, UnverifiedMapping, VerifiedMapping};
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_front::log::LogId;
use rcseal_store::broker::{Bind, Bound, ClaimId, MappingRecord};
use rcseal_store::{StoreError, UnixMillis};
use rcseal_wire::api::broker::NoticeKind;

use super::NumberRefusal;
use super::tend::tell;
use crate::enrolment::read_verified;
use crate::state::AppState;

/// What is to be countersigned.
pub(super) struct Binding {
    /// The newest mapping; `None` where there is none.
    pub(super) before: Option<MappingRecord>,
    /// The signed statement.
    pub(super) statement: SignedStatement,
    /// The key set that it names.
    pub(super) key_set: Bytes,
    /// Why.
    pub(super) grounds: Grounds,
    /// The claim that is used up.
    pub(super) claim: Option<ClaimId>,
}

/// Countersigns and stores. Answers the mapping that is the newest then.
pub(super) async fn bind(state: &AppState, binding: Binding) -> Result<MappingRecord, NumberRefusal> {
    let numbers = &state.config.numbers;
    let now = state.now();
    let expires_at = now.plus_seconds(numbers.mapping_lifetime_seconds);
    let (number, grounds) = (binding.statement.statement().number.clone(), binding.grounds.kind());
    let (previous, claim) = (binding.before.as_ref().map(|before| before.hash), binding.claim);
    let device = binding.statement.statement().device;
    let countersigned = {
        let state = state.clone();
        let work = move || countersign(&state, binding, now, expires_at);
        tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)??
    };
    let (mapping, key_set) = countersigned;
    let record = MappingRecord {
        sequence: mapping.sequence(),
        hash: mapping.hash(),
        bytes: Bytes::copy_from_slice(mapping.as_bytes()),
        account: mapping.account(),
        device,
        key_set,
        expires_at,
    };
    let remind_at = UnixMillis::new(expires_at.get().saturating_sub(numbers.reminder_seconds.saturating_mul(1000)));
    let bind = Bind { number: number.clone(), previous, mapping: record.clone(), claim, remind_at };
    match state.store.bind(bind).await? {
        Bound::Before(stored) => Ok(stored),
        Bound::Now { replaced, waited } => {
            state.metrics.mapping(grounds);
            tracing::info!(
                event = "mapping_countersigned",
                number = %state.hashes.log(&number),
                account = %LogId::of(record.account.as_bytes()),
                sequence = record.sequence,
                grounds = grounds.as_str(),
            );
            if let Some(old) = replaced {
                tell(state, old, NoticeKind::Rebound, number.clone(), now).await;
            }
            if let Some(in_vain) = waited {
                tell(state, in_vain, NoticeKind::ClaimEnded, number, now).await;
            }
            Ok(record)
        }
    }
}

fn countersign(
    state: &AppState,
    binding: Binding,
    now: UnixMillis,
    expires_at: UnixMillis,
) -> Result<(VerifiedMapping, Bytes), NumberRefusal> {
    let key = state.verifying_key();
    let before = binding.before.map(|record| read_mapping(&key, &record)).transpose()?;
    let key_set: VerifiedKeySet = read_verified(&binding.key_set)?;
    let statement = binding.statement.verify(&key_set).map_err(NumberRefusal::Unverified)?;
    let (now, expires_at) = (now.get(), expires_at.get());
    let made =
        UnverifiedMapping::countersign(&state.signing, before.as_ref(), statement, binding.grounds, now, expires_at)?;
    Ok((made, binding.key_set))
}

/// Reads a mapping of our own out of the store.
pub(super) fn read_mapping(key: &VerifyingKey, record: &MappingRecord) -> Result<VerifiedMapping, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt { space: "broker_mappings" };
    let key_set = read_verified(&record.key_set)?;
    let mapping = UnverifiedMapping::parse(&record.bytes).map_err(|_| CORRUPT)?;
    mapping.verify(key, &key_set).map_err(|_| CORRUPT)
}

/// Whether a mapping was made for this very statement.
pub(super) fn is_for(record: &MappingRecord, statement: &SignedStatement) -> bool {
    UnverifiedMapping::parse(&record.bytes)
        .is_ok_and(|mapping| mapping.signed_statement().as_bytes() == statement.as_bytes())
}
