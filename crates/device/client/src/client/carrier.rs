//! The client's place at a carrier: handing over what the engine cleared, and taking in what the carrier delivers.
//!
//! A transport is attached to a client that is open ([`Client::attach_transport`]); from then on [`Client::run`] and
//! [`Client::sync_once`] use it. Three things can be handed to it, and each is something that only the engine makes ([`Cleared`]): an
//! envelope under its permit, words under theirs, and a receipt that holds no content. There is one call of [`Transport::send`] in this
//! crate, and it takes nothing else.
//!
//! What comes in is answered after the commit, and by what the engine made of it. A future that is dropped leaves a hand-over without an
//! outcome, which costs its patience, and an incoming message without an answer, which the transport answers with "later".

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rcseal_carrier::transport::{Answer, Inbound, Transport};
use rcseal_engine::carrier::{
    CarrierAnswer, CarrierDisposition, CarrierHandover, CarrierKind, CarrierNotice, CarrierSetup, CarrierView,
    NumberView, PATIENCE_MS,
};
use rcseal_engine::plain::PlainOutgoing;
use rcseal_engine::store::StoreErrorKind;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessage, SendFailure, Taken};
use rcseal_wire::id::AccountId;
use rcseal_wire::origin::Origin;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::core::Core;
use super::remote_config::RemoteKey;
use super::run::ends_run;
use super::{Client, ClientError};
use crate::net::BrokerTransport;

/// Hand-overs under way at once: a carrier works them off one after another anyhow, and one that hangs must not hold the others.
const SENDS_MAX: usize = 8;
/// Receipts polled in one round.
const NOTICES_MAX: usize = 32;
/// Messages in plain words polled in one round.
const WORDS_MAX: usize = 32;

/// How a client is to use a carrier.
#[derive(Debug, Clone)]
pub struct CarrierOptions {
    /// The number that the transport is registered with.
    pub number: PhoneNumber,
    /// Whose way into the carrier it is: this device's, or a broker's.
    pub kind: CarrierKind,
    /// How long a hand-over may stay unconfirmed before the envelope goes by the relay.
    pub patience: Duration,
}

impl CarrierOptions {
    /// With the usual patience.
    #[must_use]
    pub const fn new(number: PhoneNumber) -> Self {
        Self { number, kind: CarrierKind::Own, patience: Duration::from_millis(PATIENCE_MS) }
    }

    /// A broker's, with the usual patience.
    #[must_use]
    pub const fn by_broker(number: PhoneNumber) -> Self {
        Self { number, kind: CarrierKind::Broker, patience: Duration::from_millis(PATIENCE_MS) }
    }
}

/// How a client is connected to its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierLink {
    /// No transport is attached.
    Detached,
    /// A transport is attached.
    Attached,
    /// The transport has closed for good.
    Closed,
}

/// How a client stands with its carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierStatus {
    /// Whether there is a transport.
    pub link: CarrierLink,
    /// What the engine knows: number, what waits, what carriers did to frames.
    pub view: CarrierView,
    /// Messages that the carrier took since this client was opened.
    pub sent: u64,
    /// Messages that the carrier delivered since then.
    pub received: u64,
    /// What the carrier said when it last took something not: a stable code.
    pub last_failure: Option<&'static str>,
}

/// What may be handed to a carrier. The engine alone makes what is in it: ciphertext under its permit, no content at all, or words under
/// a permit of the other class.
enum Cleared {
    Envelope(u64, CarrierHandover),
    Notice(CarrierNotice),
    Words(PlainOutgoing),
}

/// A question to the carrier, or something for it.
enum Task {
    Send(Box<Cleared>),
    Ask(PhoneNumber),
}

/// What becomes of an outcome.
enum Job {
    Envelope(u64),
    Notice(u64),
    Words(u64),
}

impl Cleared {
    /// Uses the leave up.
    fn release(self) -> (Job, Vec<CarrierMessage>) {
        match self {
            Self::Envelope(number, handover) => (Job::Envelope(number), handover.release()),
            Self::Notice(notice) => (Job::Notice(notice.number), vec![notice.release()]),
            Self::Words(outgoing) => (Job::Words(outgoing.number), outgoing.words.release()),
        }
    }
}

/// A transport in use, and whether it has closed for good.
#[derive(Clone)]
struct Attached {
    transport: Arc<dyn Transport>,
    patience: Duration,
    is_closed: Arc<AtomicBool>,
}

impl Attached {
    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Nothing more comes in here. Whoever attaches another one means that.
    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

/// What a client's tasks share about its carrier.
pub(super) struct Desk {
    attached: watch::Sender<Option<Attached>>,
    queue: Mutex<VecDeque<Task>>,
    /// Numbers that the carrier is being asked about.
    asked: Mutex<BTreeSet<PhoneNumber>>,
    queued: Notify,
    sent: AtomicU64,
    received: AtomicU64,
    last_failure: Mutex<Option<&'static str>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            attached: watch::Sender::new(None),
            queue: Mutex::default(),
            asked: Mutex::default(),
            queued: Notify::new(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            last_failure: Mutex::default(),
        }
    }
}

impl Desk {
    /// The transport, if there is one that can be used.
    fn usable(&self) -> Option<Attached> {
        self.attached.borrow().clone().filter(|attached| !attached.is_closed())
    }

    fn transport(&self) -> Option<Arc<dyn Transport>> {
        self.usable().map(|attached| attached.transport)
    }

    fn put(&self, task: Task) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(task);
        self.queued.notify_one();
    }

    fn take(&self) -> Option<Task> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// What an earlier run left: its patience may be over, and if it is not it will be.
    pub(super) fn clear(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn note(&self, outcome: &Result<Taken, SendFailure>, messages: usize) {
        match outcome {
            Ok(_) => {
                self.sent.fetch_add(u64::try_from(messages).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            Err(failure) => {
                *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.code());
            }
        }
    }
}

impl Client {
    /// Attaches a transport. It is used by [`Client::run`] and [`Client::sync_once`]; peers are told of the number and of what the
    /// transport takes, where that is new. Another transport takes the place of the one before.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account.
    pub async fn attach_transport(
        &self,
        options: CarrierOptions,
        transport: Arc<dyn Transport>,
    ) -> Result<(), ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoCarrier).await?;
        let setup = CarrierSetup {
            number: options.number,
            kind: options.kind,
            profile: transport.profile(),
            patience_ms: u64::try_from(options.patience.as_millis()).unwrap_or(u64::MAX),
        };
        let patience = options.patience;
        self.core.change(move |engine| engine.set_carrier(Some(setup))).await?;
        self.core.carrier.attached.send_replace(Some(Attached { transport, patience, is_closed: Arc::default() }));
        Ok(())
    }

    /// Attaches a broker as the way into the carrier: what goes out is handed to it, and what comes in it puts into the mailbox. The number is
    /// one that the broker has bound to this device.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account, [`ClientError::Endpoint`] for an origin that cannot be connected to.
    pub async fn attach_broker(&self, broker: &Origin, number: PhoneNumber) -> Result<(), ClientError> {
        self.attach_broker_with(broker, CarrierOptions::by_broker(number)).await
    }

    /// The same with options of one's own; the kind is a broker's in any case.
    ///
    /// # Errors
    /// As [`Client::attach_broker`].
    pub async fn attach_broker_with(&self, broker: &Origin, options: CarrierOptions) -> Result<(), ClientError> {
        let transport = BrokerTransport::new(self.core.broker(broker)?, options.number.clone());
        self.attach_transport(CarrierOptions { kind: CarrierKind::Broker, ..options }, Arc::new(transport)).await
    }

    /// Takes the transport away, as when the phone's stack restarts. What would go by it goes by the relay meanwhile.
    pub fn detach_transport(&self) {
        self.core.carrier.attached.send_replace(None);
    }

    /// Leaves the carrier: the transport is taken away, and peers are told that nothing comes here by a carrier any more.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account.
    pub async fn leave_carrier(&self) -> Result<(), ClientError> {
        self.detach_transport();
        self.core.change(|engine| engine.set_carrier(None)).await
    }

    /// How this client stands with its carrier.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn carrier_status(&self) -> Result<CarrierStatus, ClientError> {
        let view = self.core.engine(|engine| engine.carrier_view()).await?;
        let desk = &self.core.carrier;
        let attached = desk.attached.borrow().clone();
        Ok(CarrierStatus {
            link: match attached {
                None => CarrierLink::Detached,
                Some(attached) if attached.is_closed() => CarrierLink::Closed,
                Some(_) => CarrierLink::Attached,
            },
            view,
            sent: desk.sent.load(Ordering::Relaxed),
            received: desk.received.load(Ordering::Relaxed),
            last_failure: *desk.last_failure.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// The user gives a contact a number, or takes it back. Nothing goes to a contact by the carrier before that.
    ///
    /// # Errors
    /// [`ClientError::Carrier`] when there is no such contact.
    pub async fn set_contact_number(&self, contact: AccountId, number: Option<PhoneNumber>) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_contact_number(contact, number.as_ref())).await
    }

    /// A contact's number as the user gave it, and as the contact's devices claim it.
    ///
    /// # Errors
    /// [`ClientError::Carrier`] when there is no such contact.
    pub async fn contact_number(&self, contact: AccountId) -> Result<NumberView, ClientError> {
        self.core.engine(move |engine| engine.contact_number(contact)).await
    }
}

impl Core {
    /// Whether there is a transport that can be used.
    pub(super) fn has_carrier(&self) -> bool {
        self.carrier.transport().is_some()
    }

    /// An envelope is the carrier's.
    pub(super) fn queue_for_carrier(&self, number: u64, handover: CarrierHandover) {
        self.carrier.put(Task::Send(Box::new(Cleared::Envelope(number, handover))));
    }

    /// The engine wants to know what a number can do. Answers whether that is a new question.
    pub(super) fn ask_carrier(&self, number: PhoneNumber) -> bool {
        let is_new = self.carrier.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(number.clone());
        if is_new {
            self.carrier.put(Task::Ask(number));
        }
        is_new
    }

    /// Polls what goes to the carrier beside envelopes. Answers how much that was.
    pub(super) async fn poll_for_carrier(&self) -> Result<usize, ClientError> {
        if !self.has_carrier() {
            return Ok(0);
        }
        let (notices, words) = self
            .engine(|engine| {
                let notices = engine.poll_carrier_notices(NOTICES_MAX)?;
                Ok::<_, ClientError>((notices, engine.poll_plain_outbox(WORDS_MAX)?))
            })
            .await?;
        let count = notices.len() + words.len();
        for outgoing in words {
            self.carrier.put(Task::Send(Box::new(Cleared::Words(outgoing))));
        }
        for notice in notices {
            self.carrier.put(Task::Send(Box::new(Cleared::Notice(notice))));
        }
        Ok(count)
    }

    /// Hands over and takes in, for ever.
    pub(super) async fn carry(&self) -> Result<Infallible, ClientError> {
        let (never, _) = tokio::try_join!(self.hand_over_always(), self.take_in_always())?;
        Ok(never)
    }

    /// Hands over all that is queued and takes in all that waits, once. Answers how much that was.
    pub(super) async fn carry_once(&self) -> Result<usize, ClientError> {
        let mut count = 0;
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < SENDS_MAX
                && let Some(task) = self.carrier.take()
            {
                count += 1;
                under_way.push(self.carry_out(task));
            }
            match under_way.next().await {
                Some(outcome) => outcome?,
                None => break,
            }
        }
        // With no time at all a transport answers with what is there.
        while let Some(attached) = self.carrier.usable()
            && let Ok(received) = timeout(Duration::ZERO, attached.transport.receive()).await
        {
            match received {
                Some(inbound) => {
                    count += 1;
                    self.take_in_from_carrier(inbound).await?;
                }
                None => attached.close(),
            }
        }
        Ok(count)
    }

    async fn hand_over_always(&self) -> Result<Infallible, ClientError> {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < SENDS_MAX
                && let Some(task) = self.carrier.take()
            {
                under_way.push(self.carry_out(task));
            }
            tokio::select! {
                Some(outcome) = under_way.next() => outcome?,
                () = self.carrier.queued.notified() => {}
            }
        }
    }

    async fn carry_out(&self, task: Task) -> Result<(), ClientError> {
        match task {
            Task::Send(cleared) => self.hand_over(*cleared).await,
            Task::Ask(number) => self.ask(number).await,
        }
    }

    /// Asks the carrier what a number can do, and tells the engine.
    async fn ask(&self, number: PhoneNumber) -> Result<(), ClientError> {
        let answer = match self.carrier.transport() {
            Some(transport) => transport.capabilities(&number).await,
            None => Err(SendFailure::Unreachable),
        };
        let of = number.clone();
        let told = self
            .change(move |engine| match answer {
                Ok(capabilities) => engine.handle_carrier_capabilities(&of, &capabilities.contacts),
                Err(_) => engine.handle_carrier_capabilities_failed(&of),
            })
            .await;
        self.carrier.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        passing(told)
    }

    /// Hands one thing to the carrier and tells the engine what came of it.
    async fn hand_over(&self, cleared: Cleared) -> Result<(), ClientError> {
        if let Cleared::Words(outgoing) = &cleared {
            // They may have waited behind what hangs, and consent may have ended meanwhile.
            let number = outgoing.number;
            match self.change(move |engine| engine.may_words_leave(number)).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return passing(Err(error)),
            }
        }
        let (job, messages) = cleared.release();
        let outcome = match (self.carrier.usable(), &job) {
            // The patience runs from here on. A carrier that does not even answer within it is not waited for longer: the relay is there.
            (Some(Attached { transport, patience, .. }), Job::Envelope(_)) => {
                let sent = timeout(patience, send_all(&*transport, messages, &self.carrier)).await;
                sent.unwrap_or(Err(SendFailure::NoAnswer))
            }
            (Some(Attached { transport, .. }), Job::Words(_) | Job::Notice(_)) => {
                send_all(&*transport, messages, &self.carrier).await
            }
            (None, _) => Err(SendFailure::Unreachable),
        };
        if let Err(failure) = &outcome {
            tracing::info!(event = "carrier_refused", code = failure.code());
        }
        let told = match job {
            Job::Envelope(number) => self.change(move |engine| engine.handle_carrier_outcome(number, outcome)).await,
            Job::Words(number) => self.change(move |engine| engine.handle_plain_outcome(number, &outcome)).await,
            Job::Notice(number) => {
                self.change(move |engine| engine.handle_carrier_notice_sent(number, outcome.is_ok())).await
            }
        };
        passing(told)
    }

    async fn take_in_always(&self) -> Result<Infallible, ClientError> {
        let mut changes = self.carrier.attached.subscribe();
        loop {
            changes.borrow_and_update();
            let Some(attached) = self.carrier.usable() else {
                changes.changed().await.map_err(|_| ClientError::Stopped)?;
                continue;
            };
            tokio::select! {
                received = attached.transport.receive() => match received {
                    Some(inbound) => self.take_in_from_carrier(inbound).await?,
                    None => {
                        tracing::warn!(event = "carrier_closed");
                        attached.close();
                    }
                },
                changed = changes.changed() => changed.map_err(|_| ClientError::Stopped)?,
            }
        }
    }

    /// Takes one message in, and answers it after the commit.
    async fn take_in_from_carrier(&self, mut inbound: Inbound) -> Result<(), ClientError> {
        self.carrier.received.fetch_add(1, Ordering::Relaxed);
        let from = inbound.from.clone();
        let content_type = std::mem::take(&mut inbound.content_type);
        let encoding = inbound.content_encoding.take();
        let body = std::mem::take(&mut inbound.body);
        let taken = self
            .change(move |engine| {
                let disposition = engine.handle_carrier_message(&from, &content_type, encoding.as_deref(), &body)?;
                engine.flush_receipts()?;
                Ok::<CarrierDisposition, ClientError>(disposition)
            })
            .await;
        match taken {
            Ok(disposition) => {
                tracing::debug!(event = "carrier_message", code = disposition.code());
                inbound.answer(answer_of(disposition.answer()));
                Ok(())
            }
            // Unanswered it is sent again, or by another way. Others have a right to be taken in.
            Err(error) if !ends_run(&error) || error.store_kind() == Some(StoreErrorKind::Corrupt) => {
                tracing::error!(event = "carrier_message_not_taken_in", code = error.code());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// What the engine could not be told because its store is busy is lost, and times decide: a patience, the next question.
fn passing(told: Result<(), ClientError>) -> Result<(), ClientError> {
    match told {
        Err(error) if !ends_run(&error) => {
            tracing::warn!(event = "carrier_outcome_lost", code = error.code());
            Ok(())
        }
        told => told,
    }
}

/// Hands messages to a carrier in order, up to the first that it does not take. They are what the engine released and nothing else.
async fn send_all(transport: &dyn Transport, messages: Vec<CarrierMessage>, desk: &Desk) -> Result<Taken, SendFailure> {
    let mut taken = Taken::Answered;
    for message in messages {
        let outcome = transport.send(message).await;
        desk.note(&outcome, 1);
        if outcome? == Taken::Stored {
            taken = Taken::Stored;
        }
    }
    Ok(taken)
}

const fn answer_of(answer: CarrierAnswer) -> Answer {
    match answer {
        CarrierAnswer::Accepted => Answer::Accepted,
        CarrierAnswer::UnsupportedMedia => Answer::UnsupportedMedia,
        CarrierAnswer::TooLarge => Answer::TooLarge,
        CarrierAnswer::TryLater => Answer::TryLater,
        CarrierAnswer::Malformed => Answer::Malformed,
    }
}
