//! Waking devices that are not connected when something waits in their mailbox.
//!
//! A wake-up goes through: *noted* (the store says that a mailbox got something, or a connection ended and left something there), *due* (after a
//! random pause, so that the time of a wake-up is not the time of a message), then *made*, if by then the device is still not connected,
//! still has something waiting, and was not woken within the interval; otherwise it is dropped, or noted again for later. Many messages are
//! one wake-up. The mailbox itself is the durable part: notes are in memory, and a server that starts, or that lost count, notes every
//! registered device with something waiting.
//!
//! What is made goes to a [`PushSink`]. Nothing here reads a token, and nothing here logs one, or a handle. Spec: `docs/protocol/push.md`.

mod http;
mod schedule;
mod sink;
mod spool;

use futures_util::StreamExt as _;
use futures_util::stream;
use rcseal_store::{NextWakeUp, PushTarget, StoreError};
use rcseal_wire::id::MailboxId;
use tokio::time::{Duration, sleep};

pub(crate) use http::routes;
pub(crate) use schedule::{Observer, Waker};
pub use sink::{PushSink, PushSinkError};
pub(crate) use spool::SpoolSink;

use crate::metrics::WakeUpOutcome;
use crate::state::AppState;

/// Wake-ups on their way to the sink at a time.
const SENDING_MAX: usize = 16;
/// Registrations looked at in one step when all of them are.
const SCAN_STEP: usize = 512;
/// When to look again after the store could not answer.
const STORE_RETRY_MILLIS: u64 = 5_000;
/// The longest sleep: due times are of the wall clock, which may be set.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Makes wake-ups until the server stops. Without a sink there is nothing to do.
pub(crate) async fn run(state: AppState) {
    if state.push_sink.is_none() {
        return;
    }
    loop {
        let wait = state.waker.wait(state.clock.now()).map_or(SLEEP_MAX, |wait| wait.min(SLEEP_MAX));
        tokio::select! {
            () = state.stopping.cancelled() => return,
            () = state.waker.changed() => {}
            () = sleep(wait) => {}
        }
        if let Err(error) = make_due(&state).await {
            tracing::warn!(event = "wake_ups_delayed", code = error.code());
            // What could not be noted from the store will be, without asking it in a circle.
            tokio::select! {
                () = state.stopping.cancelled() => return,
                () = sleep(Duration::from_millis(STORE_RETRY_MILLIS)) => {}
            }
        }
    }
}

/// Makes the wake-ups that are due; how many devices were woken.
pub(crate) async fn make_due(state: &AppState) -> Result<usize, StoreError> {
    if state.push_sink.is_none() {
        return Ok(0);
    }
    let _turn = state.waker.turn.lock().await;
    if state.waker.take_everybody()
        && let Err(error) = note_waiting(state).await
    {
        state.waker.note_everybody();
        return Err(error);
    }
    let due = state.waker.take_due(state.clock.now());
    let made = stream::iter(due).map(|mailbox| make(state, mailbox)).buffer_unordered(SENDING_MAX);
    let woken = made.filter(|woken| std::future::ready(*woken)).count().await;
    state.metrics.wake_ups_noted.set(i64::try_from(state.waker.len()).unwrap_or(i64::MAX));
    Ok(woken)
}

/// Notes every registered device with something waiting.
async fn note_waiting(state: &AppState) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (mailboxes, next) = state.store.waiting_pushes(after, SCAN_STEP).await?;
        for mailbox in mailboxes {
            state.waker.note(mailbox);
        }
        match next {
            Some(device) => after = Some(device),
            None => return Ok(()),
        }
    }
}

/// Wakes the device of a mailbox, if it is still to be woken.
async fn make(state: &AppState, mailbox: MailboxId) -> bool {
    if state.mailboxes.is_served(mailbox) {
        // When that connection ends with something left, the mailbox is noted again.
        return false;
    }
    let now = state.clock.now();
    let interval = state.config.push.interval_seconds * 1000;
    match state.store.next_wake_up(mailbox, now, interval).await {
        Ok(NextWakeUp::None) => false,
        Ok(NextWakeUp::NotBefore(at)) => {
            state.waker.note_at(mailbox, at);
            false
        }
        Ok(NextWakeUp::Now(target)) => send(state, mailbox, target).await,
        Err(error) => {
            tracing::warn!(event = "wake_up_delayed", code = error.code());
            state.waker.note_at(mailbox, now.plus_millis(STORE_RETRY_MILLIS));
            false
        }
    }
}

async fn send(state: &AppState, mailbox: MailboxId, target: PushTarget) -> bool {
    let Some(sink) = &state.push_sink else { return false };
    let handle = target.wake_up.handle;
    match sink.wake(target).await {
        Ok(()) => {
            state.metrics.wake_up(WakeUpOutcome::Sent);
            true
        }
        Err(PushSinkError::Retry { after_seconds }) => {
            state.metrics.wake_up(WakeUpOutcome::Delayed);
            state.waker.note_at(mailbox, state.clock.now().plus_seconds(after_seconds.max(1)));
            false
        }
        Err(PushSinkError::Unregistered) => {
            state.metrics.wake_up(WakeUpOutcome::Unregistered);
            // Only this registration: the device may have made another meanwhile.
            let removed = match state.store.registered_device(mailbox).await {
                Ok(Some(device)) => state.store.remove_push(device, Some(handle)).await.map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                tracing::warn!(event = "push_not_removed", code = error.code());
            }
            false
        }
        Err(error @ PushSinkError::Failed) => {
            state.metrics.wake_up(WakeUpOutcome::Failed);
            tracing::warn!(event = "wake_up_failed", code = error.code());
            false
        }
    }
}
