//! What is to be done about a number when its time has come: notices, waits that end, reminders.
//!
//! A wait is seven days from the first notice that the relay has taken, or has refused for good; a relay that cannot be asked does not let
//! the time run. The account that has the number is told again every day. Everything here can be repeated: a crash between a notice and its
//! note sends the notice twice, and nothing is skipped.

use rcseal_credential::mapping::{SignedStatement, WAIT_MS};
use rcseal_front::log::LogId;
use rcseal_store::broker::{NumberRecord, WaitingRecord};
use rcseal_store::{StoreError, UnixMillis};
use rcseal_wire::api::broker::{BrokerNotice, NoticeKind};
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::number::E164;

use super::NumberRefusal;
use super::bind::{Binding, bind, read_mapping};
use super::bound::notice_target;
use super::decide::{Decision, decide};
use crate::enrolment::read_verified;
use crate::metrics::{NoticeOutcome, WaitEvent};
use crate::notice::{NoticeFailure, NoticeTaken};
use crate::state::AppState;

/// Does whatever is due about a number.
pub(crate) async fn tend(state: &AppState, number: E164) -> Result<(), NumberRefusal> {
    let now = state.now();
    let Some(record) = state.store.number(number.clone()).await? else { return Ok(()) };
    if let Some(waiting) = record.waiting.clone() {
        if waiting.next_at <= now {
            tend_waiting(state, number, record, waiting, now).await?;
        }
    } else if record.remind_at.is_some_and(|at| at <= now) {
        remind(state, number, &record, now).await?;
    }
    Ok(())
}

/// Tells a device, if it can be told.
pub(crate) async fn notify(
    state: &AppState,
    device: DeviceAddress,
    kind: NoticeKind,
    number: E164,
    now: UnixMillis,
    effective_at: Option<UnixMillis>,
) -> Result<NoticeTaken, NoticeFailure> {
    let unavailable = |_: StoreError| NoticeFailure { code: "store_unavailable" };
    let target = notice_target(state.store.as_ref(), &state.sealing_keys, device).await.map_err(unavailable)?;
    let notice = BrokerNotice { kind, number, at_ms: now.get(), effective_at_ms: effective_at.map(UnixMillis::get) };
    let outcome = match target {
        Some(target) => state.notices.send(&target, &notice).await,
        // A device that has left its account reads no mailbox.
        None => Ok(NoticeTaken::Refused),
    };
    state.metrics.notice(match &outcome {
        Ok(NoticeTaken::Taken) => NoticeOutcome::Taken,
        Ok(NoticeTaken::Refused) => NoticeOutcome::Refused,
        Err(_) => NoticeOutcome::Failed,
    });
    outcome
}

async fn tend_waiting(
    state: &AppState,
    number: E164,
    record: NumberRecord,
    waiting: WaitingRecord,
    now: UnixMillis,
) -> Result<(), NumberRefusal> {
    let account = waiting.device.account;
    let release = record.released.as_deref().map(SignedStatement::parse).transpose().map_err(NumberRefusal::Form)?;
    let quarantine = state.config.numbers.quarantine_seconds;
    match decide(Some(&record), account, release, now, quarantine) {
        Decision::Bind(grounds) => {
            let outcome = finish(state, &number, record, &waiting, *grounds).await;
            let Err(error) = outcome else {
                state.metrics.wait(WaitEvent::Ended);
                return Ok(());
            };
            if matches!(error, NumberRefusal::Store(_)) {
                return Err(error);
            }
            // What was stated a week ago holds no more: a key set or a key was replaced. Whoever waits asks again.
            tracing::info!(event = "wait_dropped", number = %state.hashes.log(&number), reason = %error);
            drop_wait(state, number, &waiting, now).await
        }
        Decision::Wait => announce(state, number, &record, &waiting, now).await,
    }
}

async fn finish(
    state: &AppState,
    number: &E164,
    record: NumberRecord,
    waiting: &WaitingRecord,
    grounds: rcseal_credential::mapping::Grounds,
) -> Result<(), NumberRefusal> {
    let statement = SignedStatement::parse(&waiting.statement).map_err(NumberRefusal::Form)?;
    let account = state.store.account_enrolment(waiting.device.account).await?;
    let account = account.ok_or(NumberRefusal::Statement { about: "the account is enrolled no more" })?;
    let (stated, newest) = (waiting.key_set.clone(), account.key_set.bytes);
    let is_same_key = tokio::task::spawn_blocking(move || {
        Ok::<_, StoreError>(read_verified(&stated)?.account_key() == read_verified(&newest)?.account_key())
    });
    if !is_same_key.await.map_err(|_| StoreError::Closed)?? {
        return Err(NumberRefusal::Statement { about: "the account has another account key by now" });
    }
    let binding =
        Binding { before: Some(record.head), statement, key_set: waiting.key_set.clone(), grounds, claim: None };
    bind(state, binding).await?;
    tracing::info!(
        event = "wait_ended",
        number = %state.hashes.log(number),
        account = %LogId::of(waiting.device.account.as_bytes()),
    );
    Ok(())
}

async fn drop_wait(
    state: &AppState,
    number: E164,
    waiting: &WaitingRecord,
    now: UnixMillis,
) -> Result<(), NumberRefusal> {
    state.store.end_waiting(number.clone(), Some(waiting.device.account)).await?;
    state.metrics.wait(WaitEvent::Dropped);
    tell(state, waiting.device, NoticeKind::ClaimEnded, number, now).await;
    Ok(())
}

/// Tells a device once what has happened already. Where it cannot be told now, the number's view says it too.
pub(super) async fn tell(state: &AppState, device: DeviceAddress, kind: NoticeKind, number: E164, now: UnixMillis) {
    if let Err(error) = notify(state, device, kind, number, now, None).await {
        tracing::warn!(event = "notice_failed", ?kind, code = error.code);
    }
}

async fn announce(
    state: &AppState,
    number: E164,
    record: &NumberRecord,
    waiting: &WaitingRecord,
    now: UnixMillis,
) -> Result<(), NumberRefusal> {
    let numbers = &state.config.numbers;
    let account = waiting.device.account;
    // Mappings count from when they were countersigned, and an announcement from after that.
    let announced_at = waiting.announced_at.unwrap_or(now);
    let effective_at = announced_at.plus_millis(WAIT_MS);
    let holder = DeviceAddress { account: record.head.account, device: record.head.device };
    let kind = NoticeKind::ClaimedByAnother;
    match notify(state, holder, kind, number.clone(), now, Some(effective_at)).await {
        Ok(taken) => {
            let next_at = now.plus_seconds(numbers.notice_seconds).min(effective_at);
            tracing::info!(event = "wait_announced", number = %state.hashes.log(&number), ?taken);
            state.store.announced(number, account, announced_at, next_at, effective_at).await?;
        }
        Err(failure) => {
            let retry_at = now.plus_seconds(numbers.notice_retry_seconds);
            // A wait that has begun ends in time, whatever becomes of the later notices.
            let next_at = if waiting.announced_at.is_some() { retry_at.min(effective_at) } else { retry_at };
            tracing::warn!(event = "wait_notice_failed", number = %state.hashes.log(&number), code = failure.code);
            state.store.put_off(number, account, next_at).await?;
        }
    }
    Ok(())
}

async fn remind(state: &AppState, number: E164, record: &NumberRecord, now: UnixMillis) -> Result<(), NumberRefusal> {
    let holder = DeviceAddress { account: record.head.account, device: record.head.device };
    let outcome = notify(state, holder, NoticeKind::Expiring, number.clone(), now, None).await;
    // A reminder that could not be sent is tried again at the next sweep, until the mapping has expired.
    if outcome.is_ok() || record.head.expires_at <= now {
        state.store.reminded(number, record.head.hash).await?;
    }
    Ok(())
}

/// Whether what is stored of a number can be read, for a look at it by hand.
pub(crate) fn is_readable(state: &AppState, record: &NumberRecord) -> bool {
    read_mapping(&state.verifying_key(), &record.head).is_ok()
}
