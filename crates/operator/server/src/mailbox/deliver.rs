//! Delivering a mailbox over a WebSocket, and taking acknowledgements.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use prost::Message as _;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::refusal::Refusal;
use rcseal_store::directory::PrekeyCounts;
use rcseal_store::mailbox::AcknowledgeOutcome;
use rcseal_store::{FetchLimit, MailboxSeq, StoreError, Waiting};
use rcseal_wire::api::ONE_TIME_PREKEYS_LOW;
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::mailbox_request::Request;
use rcseal_wire::frame::{
    Acknowledged, Acks, Deliveries, Delivery, Failure, MailboxEvent, MailboxRequest, PrekeysLow, QueueEmpty,
    ResetNotice, RetainedWaiting,
};
use rcseal_wire::id::{AccountId, DeviceAddress, EnvelopeId, MailboxId};
use rcseal_wire::problem::ProblemCode;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until};

use super::registry::Registration;
use super::socket::{self, Ending, Incoming};
use crate::auth;
use crate::state::AppState;
use crate::takeover;

/// Envelopes that may be unacknowledged: what a phone decrypts in a few seconds.
const IN_FLIGHT_MAX: usize = 256;
/// Envelopes in one frame.
const FRAME_ENVELOPES_MAX: usize = 64;
/// Bytes of envelopes in one frame; a single larger one still goes.
const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Acknowledgements that are on their way to the disk.
const ACKNOWLEDGEMENTS_MAX: usize = 16;
/// What each unknown id adds to the time in which an acknowledgement is answered: a thousand of them a second, and sixteen times that on
/// a whole connection, which a writer that does a hundred thousand things a second does not notice.
const UNKNOWN_ID_PAUSE: Duration = Duration::from_millis(1);
/// Largest frame a device may send: an acknowledgement of as many ids as one may hold.
const REQUEST_LEN_MAX: usize = 64 * 1024;
/// Bytes read from the socket in one go. There is one such buffer per idle device, so it is as small as most frames.
const READ_BUFFER_LEN: usize = 1024;
/// A quiet connection is asked whether it is alive this often: below the idle limits of carriers' address translators.
const QUIET_MAX: Duration = Duration::from_secs(240);
/// How long a device may take to answer; its radio may have to wake up.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The WebSocket of a logged-in device.
pub(super) async fn connect(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Before the device is looked up, so that a removal in between is not missed.
    let departures = state.departures.subscribe();
    let (mailbox, prekeys) = match auth::record(&state, device).await {
        Ok(record) => match record.mailbox {
            Some(mailbox) => (mailbox, record.prekeys),
            None => {
                return Refusal::with_detail(ProblemCode::NotFound, "the device has no mailbox yet").into_response();
            }
        },
        Err(error) => return Refusal::from(error).into_response(),
    };
    let device = device.address();
    upgrade
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(0)
        .max_message_size(REQUEST_LEN_MAX)
        .max_frame_size(REQUEST_LEN_MAX)
        .on_upgrade(move |socket| async move {
            let registration = state.mailboxes.open(mailbox);
            let delivery = Delivering {
                state,
                socket,
                device,
                mailbox,
                registration,
                departures,
                cursor: MailboxSeq::START,
                in_flight: HashSet::new(),
                is_drained: false,
                reset_told: None,
            };
            delivery.serve(prekeys).await;
        })
}

type Answer = Pin<Box<dyn Future<Output = (Acks, Result<AcknowledgeOutcome, StoreError>)> + Send>>;

struct Delivering {
    state: AppState,
    socket: WebSocket,
    device: DeviceAddress,
    mailbox: MailboxId,
    registration: Registration,
    departures: broadcast::Receiver<AccountId>,
    /// The last envelope that went out.
    cursor: MailboxSeq,
    /// What went out and is not acknowledged.
    in_flight: HashSet<EnvelopeId>,
    /// Whether `QueueEmpty` was said.
    is_drained: bool,
    /// When the reset takes effect that the device was told of last.
    reset_told: Option<u64>,
}

impl Delivering {
    async fn serve(mut self, prekeys: PrekeyCounts) {
        self.state.metrics.websockets_open.inc();
        let mut working = FuturesOrdered::new();
        let ending = match self.run(prekeys, &mut working).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        };
        // What the device acknowledged is removed, and answered if it still listens.
        while let Some(answer) = working.next().await {
            if self.acknowledged(answer).await.is_err() {
                break;
            }
        }
        while working.next().await.is_some() {}
        if let Some(problem) = ending.problem() {
            let _ = self.send(Event::Failure(Failure { code: problem.as_str().to_owned() })).await;
        }
        self.state.metrics.websockets_open.dec();
        socket::close(self.socket, ending).await;
    }

    async fn run(
        &mut self,
        prekeys: PrekeyCounts,
        working: &mut FuturesOrdered<Answer>,
    ) -> Result<std::convert::Infallible, Ending> {
        if is_low(prekeys) {
            self.send_prekeys_low(prekeys).await?;
        }
        self.look_at_reset().await?;
        self.look_at_retained().await?;
        // Whether the store may hold something that did not go out yet.
        let mut is_due = true;
        let mut asked = false;
        let mut deadline = Instant::now() + QUIET_MAX;
        let stopping = self.state.stopping.clone();
        loop {
            if is_due && self.in_flight.len() < IN_FLIGHT_MAX {
                is_due = self.deliver().await?;
            }
            let has_room = is_due && self.in_flight.len() < IN_FLIGHT_MAX;
            tokio::select! {
                biased;
                () = stopping.cancelled() => return Err(Ending::Stopping),
                departed = self.departures.recv() => self.check_departure(departed).await?,
                Some(answer) = working.next(), if !working.is_empty() => self.acknowledged(answer).await?,
                incoming = socket::receive(&mut self.socket), if working.len() < ACKNOWLEDGEMENTS_MAX => {
                    asked = false;
                    deadline = Instant::now() + QUIET_MAX;
                    match incoming? {
                        Incoming::Alive => {}
                        Incoming::Frame(frame) => working.push_back(self.acknowledge(frame)?),
                    }
                }
                woken = self.registration.woken() => {
                    if woken.taken_over {
                        return Err(Ending::TakenOver);
                    }
                    is_due |= woken.stored;
                    if woken.prekeys_low {
                        self.look_at_prekeys().await?;
                    }
                    if woken.reset_changed {
                        self.look_at_reset().await?;
                    }
                    if woken.retained {
                        self.look_at_retained().await?;
                    }
                }
                () = sleep_until(deadline) => {
                    if asked {
                        return Err(Ending::Stalled);
                    }
                    asked = true;
                    deadline = Instant::now() + ANSWER_MAX;
                    // Should a signal ever get lost, this is when it is noticed; of the device's removal or of a reset as well.
                    is_due = true;
                    self.check_departure(Err(RecvError::Lagged(0))).await?;
                    self.look_at_reset().await?;
                    socket::ping(&mut self.socket).await?;
                }
                // Keeps a long backlog going without leaving anything above unheard.
                () = std::future::ready(()), if has_room => {}
            }
        }
    }

    async fn send(&mut self, event: Event) -> Result<(), Ending> {
        let frame = MailboxEvent { event: Some(event) }.encode_to_vec();
        socket::send(&mut self.socket, frame.into()).await
    }

    /// Sends the next frame of what waits. Returns whether there may be more.
    async fn deliver(&mut self) -> Result<bool, Ending> {
        let limit = FetchLimit {
            envelopes: FRAME_ENVELOPES_MAX.min(IN_FLIGHT_MAX - self.in_flight.len()),
            bytes: FRAME_BYTES_MAX,
        };
        let fetched = self.state.store.fetch(self.state.clock.now(), self.mailbox, self.cursor, limit).await.map_err(
            |error| {
                tracing::warn!(event = "fetch_failed", code = error.code());
                Ending::Unavailable
            },
        )?;
        if let Some(last) = fetched.envelopes.last() {
            self.cursor = last.seq;
            self.in_flight.extend(fetched.envelopes.iter().map(|waiting| waiting.id));
            let count = fetched.envelopes.len() as u64;
            self.send(Event::Deliveries(deliveries(fetched.envelopes, false))).await?;
            self.state.metrics.messages_delivered.inc_by(count);
        }
        if !fetched.more && !self.is_drained {
            self.is_drained = true;
            self.send(Event::QueueEmpty(QueueEmpty {})).await?;
        }
        Ok(fetched.more)
    }

    /// Begins an acknowledgement.
    fn acknowledge(&self, frame: Bytes) -> Result<Answer, Ending> {
        let request = MailboxRequest::decode(frame).map_err(|_| Ending::Malformed)?;
        let Some(Request::Acknowledge(frame)) = request.request else { return Err(Ending::Malformed) };
        let acks = Acks::parse(&frame).map_err(|_| Ending::Malformed)?;
        let store = std::sync::Arc::clone(&self.state.store);
        let mailbox = self.mailbox;
        Ok(Box::pin(async move {
            let outcome = store.acknowledge(mailbox, ids(&acks)).await;
            if let Ok(AcknowledgeOutcome { unknown: unknown @ 1.., .. }) = outcome {
                // Looking for what never was costs the store's one writer time that others wait for; its price is paid here.
                sleep(UNKNOWN_ID_PAUSE * unknown).await;
            }
            (acks, outcome)
        }))
    }

    /// Answers an acknowledgement that is durable now.
    async fn acknowledged(
        &mut self,
        (acks, outcome): (Acks, Result<AcknowledgeOutcome, StoreError>),
    ) -> Result<(), Ending> {
        let outcome = outcome.map_err(|error| {
            tracing::warn!(event = "acknowledge_failed", code = error.code());
            Ending::Unavailable
        })?;
        for id in ids(&acks) {
            self.in_flight.remove(&id);
        }
        if self.in_flight.is_empty() {
            // An idle connection holds no memory for a burst that is over.
            self.in_flight = HashSet::new();
        }
        count_acknowledged(&self.state, &acks, outcome.removed);
        self.send(Event::Acknowledged(Acknowledged { request: acks.request, removed: outcome.removed })).await
    }

    async fn check_departure(&mut self, departed: Result<AccountId, RecvError>) -> Result<(), Ending> {
        match departed {
            Ok(account) if account != self.device.account => Ok(()),
            Ok(_) | Err(RecvError::Lagged(_)) => match self.state.store.device(self.device).await {
                // Numbers begin anew when an account is taken over; mailbox ids do not come back.
                Ok(Some(record)) if record.mailbox == Some(self.mailbox) => Ok(()),
                Ok(_) => Err(Ending::Revoked),
                Err(_) => Err(Ending::Unavailable),
            },
            Err(RecvError::Closed) => Err(Ending::Stopping),
        }
    }

    async fn look_at_prekeys(&mut self) -> Result<(), Ending> {
        let record =
            self.state.store.device(self.device).await.map_err(|_| Ending::Unavailable)?.ok_or(Ending::Revoked)?;
        if is_low(record.prekeys) { self.send_prekeys_low(record.prekeys).await } else { Ok(()) }
    }

    /// Tells the device when a reset of the account takes effect that somebody asked for, or that it was called off, if that is news.
    async fn look_at_reset(&mut self) -> Result<(), Ending> {
        let pending = takeover::pending_until(&self.state, self.device.account).await;
        let effective_at_ms = pending.map_err(|_| Ending::Unavailable)?;
        if self.reset_told == effective_at_ms {
            return Ok(());
        }
        self.reset_told = effective_at_ms;
        let notice =
            ResetNotice { pending: effective_at_ms.is_some(), effective_at_ms: effective_at_ms.unwrap_or_default() };
        self.send(Event::Reset(notice)).await
    }

    /// Tells the device how far its account's messages go that the server can read, if there are any.
    async fn look_at_retained(&mut self) -> Result<(), Ending> {
        if self.state.server_encryption.is_none() {
            return Ok(());
        }
        let newest = self.state.store.newest_retained(self.device.account).await.map_err(|_| Ending::Unavailable)?;
        match newest {
            Some(newest) => self.send(Event::RetainedWaiting(RetainedWaiting { newest })).await,
            None => Ok(()),
        }
    }

    async fn send_prekeys_low(&mut self, counts: PrekeyCounts) -> Result<(), Ending> {
        self.send(Event::PrekeysLow(PrekeysLow { one_time: counts.one_time, one_time_kem: counts.one_time_kem })).await
    }
}

/// Whether a device should upload more one-time prekeys.
const fn is_low(counts: PrekeyCounts) -> bool {
    counts.one_time < ONE_TIME_PREKEYS_LOW || counts.one_time_kem < ONE_TIME_PREKEYS_LOW
}

/// Every id of an acknowledgement. What a device keeps but cannot decrypt leaves the relay as well: it is durable at the device, where
/// it can be decrypted later, and the report says that it was not.
pub(super) fn ids(acks: &Acks) -> Vec<EnvelopeId> {
    acks.consumed.iter().copied().chain(acks.undecryptable.iter().map(|(id, _)| *id)).collect()
}

pub(super) fn count_acknowledged(state: &AppState, acks: &Acks, removed: u32) {
    state.metrics.messages_acknowledged.inc_by(u64::from(removed));
    state.metrics.messages_undecryptable.inc_by(acks.undecryptable.len() as u64);
}

pub(super) fn deliveries(envelopes: Vec<Waiting>, more: bool) -> Deliveries {
    let envelopes = envelopes
        .into_iter()
        .map(|waiting| Delivery {
            id: Bytes::copy_from_slice(waiting.id.as_bytes()),
            envelope: waiting.envelope,
            received_at_ms: waiting.received_at.get(),
        })
        .collect();
    Deliveries { envelopes, more }
}
