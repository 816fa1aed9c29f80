//! Taking submissions: from frames of strangers to outcomes of the store.
//!
//! A batch goes to the store as one unit and is answered by one frame, in the order in which the batches came. While the disk is busy
//! with one batch the next ones are read and queued, up to a limit; beyond it the server stops reading, and TCP slows the peer down.
//! What is read counts as an unfinished body ([`crate::body`]) until its batch is answered.

use std::net::IpAddr;
use std::pin::Pin;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::requests::Outcome;
use rcseal_store::{Authority, Enqueue, EnqueueOutcome, UnixMillis};
use rcseal_wire::frame::{
    BatchError, FRAME_LEN_MAX, Submission, Submit, SubmitBatch, SubmitError, SubmitResults, SubmitStatus,
};
use tokio::time::{Instant, sleep_until};

use super::socket::{self, Ending, Incoming};
use crate::state::AppState;
use crate::watch::Submitted;

/// Batches of one connection that are on their way to the disk.
const BATCHES_MAX: usize = 256;
/// Bytes of them.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes read from the socket in one go. Submitting connections are few and busy.
const READ_BUFFER_LEN: usize = 32 * 1024;
/// Answers collected before they are written: some hundred of them.
const WRITE_BUFFER_LEN: usize = 4 * 1024;

/// The WebSocket for submissions.
pub(super) async fn connect(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let peer = connection.peer().ip();
    connection.meter().start(state.bodies.room(peer), FRAME_LEN_MAX + READ_BUFFER_LEN);
    upgrade
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(WRITE_BUFFER_LEN)
        .max_message_size(FRAME_LEN_MAX)
        .max_frame_size(FRAME_LEN_MAX)
        .on_upgrade(move |socket| async move {
            state.metrics.websockets_open.inc();
            let metrics = state.metrics.clone();
            serve(state, socket, &connection).await;
            metrics.websockets_open.dec();
        })
}

type Answer = Pin<Box<dyn Future<Output = (usize, SubmitResults)> + Send>>;

async fn serve(state: AppState, mut socket: WebSocket, connection: &ConnectionInfo) {
    let mut working: FuturesOrdered<Answer> = FuturesOrdered::new();
    let ending = run(&state, &mut socket, connection, &mut working).await;
    // What was read is stored and answered, whatever ended the connection: a submission must not depend on who waits for its answer.
    while let Some((_, results)) = working.next().await {
        if socket::send(&mut socket, encode(&results)).await.is_err() {
            break;
        }
    }
    while working.next().await.is_some() {}
    socket::close(socket, ending).await;
}

async fn run(
    state: &AppState,
    socket: &mut WebSocket,
    connection: &ConnectionInfo,
    working: &mut FuturesOrdered<Answer>,
) -> Ending {
    let peer = connection.peer().ip();
    let mut working_bytes = 0;
    // A quiet peer is asked whether it is alive, as late as a request head would be; one that stops in the middle of a frame cannot
    // answer.
    let quiet_max = state.config.limits.header();
    let answer_max = state.config.limits.stall();
    let mut asked = false;
    let mut deadline = Instant::now() + quiet_max;
    loop {
        // Whoever waits for answers waits as well for the room that they will free.
        let may_read = working.is_empty()
            || (working.len() < BATCHES_MAX && working_bytes < BATCH_BYTES_MAX && !connection.meter().is_scarce());
        tokio::select! {
            biased;
            () = state.stopping.cancelled() => return Ending::Stopping,
            Some(mut answer) = working.next(), if !working.is_empty() => {
                // One disk flush often answers many batches; their answers leave together.
                loop {
                    let (bytes, results) = answer;
                    working_bytes -= bytes;
                    if let Err(ending) = socket::feed(socket, encode(&results)).await {
                        return ending;
                    }
                    match working.next().now_or_never() {
                        Some(Some(next)) => answer = next,
                        Some(None) | None => break,
                    }
                }
                if let Err(ending) = socket::flush(socket).await {
                    return ending;
                }
            }
            incoming = socket::receive(socket), if may_read => {
                asked = false;
                deadline = Instant::now() + quiet_max;
                match incoming {
                    Ok(Incoming::Alive) => {}
                    Ok(Incoming::Frame(frame)) => {
                        let bytes = frame.len();
                        let room = connection.meter().complete();
                        let batch = match SubmitBatch::parse(frame) {
                            Ok(batch) => batch,
                            Err(BatchError::Malformed) => return Ending::Malformed,
                            Err(BatchError::TooMany) => return Ending::TooLarge,
                        };
                        let state = state.clone();
                        working_bytes += bytes;
                        working.push_back(Box::pin(async move {
                            let results = submit(&state, peer, batch).await;
                            drop(room);
                            (bytes, results)
                        }));
                    }
                    Err(ending) => return ending,
                }
            }
            () = sleep_until(deadline), if may_read => {
                if asked {
                    return Ending::Stalled;
                }
                asked = true;
                deadline = Instant::now() + answer_max;
                if let Err(ending) = socket::ping(socket).await {
                    return ending;
                }
            }
        }
    }
}

fn encode(results: &SubmitResults) -> Bytes {
    results.encode_to_vec().into()
}

/// Stores a batch and says what became of each submission.
pub(super) async fn submit(state: &AppState, peer: IpAddr, batch: SubmitBatch) -> SubmitResults {
    let SubmitBatch { batch, submissions } = batch;
    let count = submissions.len();
    let statuses = if state.limiters.submissions(peer, count) {
        store(state, peer, submissions).await
    } else {
        vec![SubmitStatus::RateLimited; count]
    };
    count_outcomes(state, &statuses);
    SubmitResults { batch, results: statuses.into_iter().map(i32::from).collect() }
}

async fn store(state: &AppState, peer: IpAddr, submissions: Vec<Submission>) -> Vec<SubmitStatus> {
    let now = state.clock.now();
    let mut statuses = Vec::with_capacity(submissions.len());
    let mut envelopes = Vec::with_capacity(submissions.len());
    for submission in submissions {
        match prepare(submission, now) {
            Ok(enqueue) => {
                if let Some(watcher) = &state.watcher {
                    let Enqueue { mailbox, id, envelope, .. } = &enqueue;
                    watcher.submitted(Submitted { peer, mailbox: *mailbox, id: *id, envelope });
                }
                envelopes.push(enqueue);
                // Stands until the store has spoken.
                statuses.push(SubmitStatus::Unavailable);
            }
            Err(error) => statuses.push(error.status()),
        }
    }
    if envelopes.is_empty() {
        return statuses;
    }
    match state.store.enqueue(now, envelopes).await {
        Ok(outcomes) => {
            let open = statuses.iter_mut().filter(|status| **status == SubmitStatus::Unavailable);
            for (status, outcome) in open.zip(outcomes) {
                *status = status_of(outcome);
            }
        }
        Err(error) => tracing::warn!(event = "enqueue_failed", code = error.code()),
    }
    statuses
}

fn prepare(submission: Submission, now: UnixMillis) -> Result<Enqueue, SubmitError> {
    let submit = Submit::parse(submission)?;
    Ok(Enqueue {
        mailbox: submit.mailbox,
        authority: Authority::Token(submit.token.hash()),
        id: submit.id,
        expires_at: now.plus_seconds(u64::from(submit.ttl_seconds)),
        envelope: submit.envelope,
    })
}

const fn status_of(outcome: EnqueueOutcome) -> SubmitStatus {
    match outcome {
        EnqueueOutcome::Stored => SubmitStatus::Stored,
        EnqueueOutcome::Duplicate => SubmitStatus::Duplicate,
        EnqueueOutcome::IdConflict => SubmitStatus::IdConflict,
        // The same answer for both, so that mailboxes cannot be probed for.
        EnqueueOutcome::UnknownMailbox | EnqueueOutcome::Forbidden => SubmitStatus::Refused,
        EnqueueOutcome::QuotaExceeded => SubmitStatus::QuotaExceeded,
        EnqueueOutcome::TooLarge => SubmitStatus::TooLarge,
        EnqueueOutcome::Expired => SubmitStatus::Malformed,
    }
}

fn count_outcomes(state: &AppState, statuses: &[SubmitStatus]) {
    let (mut accepted, mut failed, mut refused) = (0, 0, 0);
    for status in statuses {
        match status {
            SubmitStatus::Stored | SubmitStatus::Duplicate => accepted += 1,
            SubmitStatus::Unavailable => failed += 1,
            SubmitStatus::Unspecified
            | SubmitStatus::IdConflict
            | SubmitStatus::Refused
            | SubmitStatus::QuotaExceeded
            | SubmitStatus::TooLarge
            | SubmitStatus::Malformed
            | SubmitStatus::RateLimited => refused += 1,
        }
    }
    for (outcome, count) in [(Outcome::Accepted, accepted), (Outcome::Failed, failed), (Outcome::Refused, refused)] {
        if count > 0 {
            state.metrics.messages_enqueued(outcome, count);
        }
    }
}
