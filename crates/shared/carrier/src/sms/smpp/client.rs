//! The gateway: one connection after another, a window, and messages cut into segments.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use rcseal_rcs::transport::SendFailure;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::config::{BindMode, Config, DefaultAlphabet, StartError};
use super::groups::{Groups, Open};
use super::link::{self, Link, LinkError};
use super::pdu::{self, Submission};
use super::status::{self, Meaning};
use super::table::Outcome;
use crate::sms::encoding::{self, Alphabet, udh};
use crate::sms::{Arrived, GatewayId, InboundSms, SmsGateway, SmsMessage, SmsReport, SmsSubmitted, SmsText};

/// After so long a connection counts as one that works, and the next pause before a new one is the shortest again.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a parting may take.
const PARTING: Duration = Duration::from_secs(2);

/// What the connection is doing.
#[derive(Clone)]
enum Way {
    /// There is none, and one is tried.
    Connecting,
    /// The SMSC did not bind us; it is tried again, seldom.
    Refused(u32),
    /// Bound.
    Bound(Arc<Link>),
    /// Closed for good.
    Closed,
}

/// What the connection is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// There is none, and one is tried.
    Connecting,
    /// The SMSC did not take our bind.
    Refused {
        /// Its status.
        status: u32,
    },
    /// Bound.
    Bound,
    /// Closed for good.
    Closed,
}

/// What a client has done and seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    taken: u64,
    refused: u64,
    unconfirmed: u64,
    throttled: u64,
    connections: u64,
    pub(super) receipts: u64,
    pub(super) inbound: u64,
    pub(super) malformed: u64,
    pub(super) unasked: u64,
}

/// What a client has done and seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The connection.
    pub link: LinkState,
    /// Segments that wait for an answer.
    pub in_flight: usize,
    /// Segments that were taken.
    pub taken: u64,
    /// Segments that were refused.
    pub refused: u64,
    /// Segments that left and were never answered.
    pub unconfirmed: u64,
    /// How often the SMSC said that it is asked too fast.
    pub throttled: u64,
    /// How often a connection was bound.
    pub connections: u64,
    /// Reports.
    pub receipts: u64,
    /// Messages that came in.
    pub inbound: u64,
    /// Deliveries that could not be read, or were no words.
    pub malformed: u64,
    /// Answers to what nobody had asked, or had given up.
    pub unasked: u64,
    /// Long messages that came in and were never whole.
    pub never_whole: u64,
}

/// What the client's tasks share.
pub(super) struct Core {
    pub(super) config: Config,
    way: watch::Sender<Way>,
    window: Semaphore,
    /// Nothing is submitted before this: the SMSC has said that it is asked too fast.
    quiet_until: Mutex<Instant>,
    /// Whether the SMSC has ever taken our bind. One that has and then does not is more likely starting than right: messages wait.
    was_bound: AtomicBool,
    reference: AtomicU16,
    pub(super) groups: Groups,
    pub(super) joiner: Mutex<encoding::join::Joiner>,
    pub(super) reports: mpsc::Sender<Arrived<SmsReport>>,
    pub(super) inbound: mpsc::Sender<Arrived<InboundSms>>,
    counts: Mutex<Counts>,
}

impl Core {
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A client of an SMSC.
pub struct SmppClient {
    core: Arc<Core>,
    reports: AsyncMutex<mpsc::Receiver<Arrived<SmsReport>>>,
    inbound: AsyncMutex<mpsc::Receiver<Arrived<InboundSms>>>,
    task: JoinHandle<()>,
}

impl SmppClient {
    /// Starts a client. It connects by itself and comes back when it is cut off; messages wait for that as long as `patience` allows.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let (reports_in, reports) = mpsc::channel(config.limits.waiting_max.max(1));
        let (inbound_in, inbound) = mpsc::channel(config.limits.waiting_max.max(1));
        let core = Arc::new(Core {
            way: watch::Sender::new(Way::Connecting),
            window: Semaphore::new(config.window),
            quiet_until: Mutex::new(Instant::now()),
            was_bound: AtomicBool::new(false),
            // Two clients of one sender should not count alike.
            reference: AtomicU16::new(rand::random()),
            groups: Groups::new(config.receipt_ids, config.limits.groups_max),
            joiner: Mutex::default(),
            reports: reports_in,
            inbound: inbound_in,
            counts: Mutex::default(),
            config,
        });
        let task = tokio::spawn(keep(Arc::clone(&core)));
        Ok(Self { core, reports: AsyncMutex::new(reports), inbound: AsyncMutex::new(inbound), task })
    }

    /// Waits until the client is bound.
    ///
    /// # Errors
    /// [`SendFailure::Unauthorized`] where the SMSC does not take our bind, [`SendFailure::Unreachable`] where there was no connection in time.
    pub async fn bound(&self, limit: Duration) -> Result<(), SendFailure> {
        self.core.link(Instant::now() + limit).await.map(drop)
    }

    /// What it has done and seen.
    #[must_use]
    pub fn status(&self) -> Status {
        let counts = *self.core.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, in_flight) = match &*self.core.way.borrow() {
            Way::Connecting => (LinkState::Connecting, 0),
            Way::Refused(status) => (LinkState::Refused { status: *status }, 0),
            Way::Bound(link) => (LinkState::Bound, link.table.len()),
            Way::Closed => (LinkState::Closed, 0),
        };
        Status {
            link,
            in_flight,
            taken: counts.taken,
            refused: counts.refused,
            unconfirmed: counts.unconfirmed,
            throttled: counts.throttled,
            connections: counts.connections,
            receipts: counts.receipts,
            inbound: counts.inbound,
            malformed: counts.malformed,
            unasked: counts.unasked,
            never_whole: self.core.joiner.lock().unwrap_or_else(PoisonError::into_inner).dropped(),
        }
    }

    /// Takes back from before a restart which segments are one message, so that their receipts are one report.
    pub fn expect_receipts(&self, submitted: &SmsSubmitted) {
        if submitted.parts.len() > 1 {
            self.core.groups.restore(&submitted.parts);
        }
    }

    /// Parts from the SMSC. What is in flight becomes unconfirmed; what came in can still be taken out until the value is dropped.
    pub async fn close(&self) {
        let way = self.core.way.send_replace(Way::Closed);
        if let Way::Bound(link) = way {
            link.unbind();
            let parting = async {
                while !self.task.is_finished() {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            let _ = timeout(PARTING, parting).await;
        }
        self.task.abort();
    }
}

impl Drop for SmppClient {
    fn drop(&mut self) {
        self.core.way.send_replace(Way::Closed);
        self.task.abort();
    }
}

/// Keeps a connection.
async fn keep(core: Arc<Core>) {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(core.config.timers.reconnect_min)
        .with_max_delay(core.config.timers.reconnect_max)
        .with_jitter()
        .without_max_times();
    let mut pause = pauses.build();
    loop {
        let mut since = None;
        let end = link::run(&core, |link| {
            since = Some(Instant::now());
            core.was_bound.store(true, Ordering::Relaxed);
            core.count(|counts| counts.connections += 1);
            core.change(Way::Bound(Arc::clone(link)));
        })
        .await;
        match end {
            Ok(end) => {
                tracing::debug!(
                    error = end.as_ref().err().map(tracing::field::display),
                    "the SMSC's connection has ended"
                );
                core.change(Way::Connecting);
            }
            Err(LinkError::Unreachable(error)) => {
                tracing::debug!(error = %error, "the SMSC cannot be reached");
                core.change(Way::Connecting);
            }
            Err(LinkError::Refused { status, failure }) => {
                tracing::warn!(status, code = failure.code(), "the SMSC does not bind us");
                core.change(match failure {
                    SendFailure::Unauthorized => Way::Refused(status),
                    _ => Way::Connecting,
                });
            }
        }
        if matches!(&*core.way.borrow(), Way::Closed) {
            return;
        }
        if since.is_some_and(|since| since.elapsed() >= SETTLED) {
            pause = pauses.build();
        }
        let delay = pause.next().unwrap_or(core.config.timers.reconnect_max);
        sleep(delay.min(core.config.timers.reconnect_max)).await;
    }
}

impl Core {
    /// Changes the way, unless it is closed.
    fn change(&self, way: Way) {
        self.way.send_if_modified(|current| {
            let is_open = !matches!(current, Way::Closed);
            if is_open {
                *current = way;
            }
            is_open
        });
    }

    /// The connection, once there is one.
    async fn link(&self, deadline: Instant) -> Result<Arc<Link>, SendFailure> {
        let mut way = self.way.subscribe();
        loop {
            let late = match &*way.borrow_and_update() {
                Way::Bound(link) => return Ok(Arc::clone(link)),
                Way::Refused(_) if !self.was_bound.load(Ordering::Relaxed) => return Err(SendFailure::Unauthorized),
                Way::Refused(_) => SendFailure::Unauthorized,
                Way::Closed => return Err(SendFailure::Unreachable),
                Way::Connecting => SendFailure::Unreachable,
            };
            match timeout_at(deadline, way.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(late),
            }
        }
    }

    /// Waits out what the SMSC has asked for.
    async fn quiet(&self) {
        loop {
            let until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn hush(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut quiet_until = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet_until = until.max(*quiet_until);
    }

    /// Submits one segment, and again where the SMSC says that it was asked too fast.
    async fn submit(
        &self,
        submission: &Submission<'_>,
        group: Option<(&Open, usize)>,
        deadline: Instant,
    ) -> Result<Option<GatewayId>, SendFailure> {
        let timers = self.config.timers;
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(timers.throttle_min)
            .with_max_delay(timers.throttle_max)
            .with_jitter()
            .without_max_times()
            .build();
        loop {
            let turn = async {
                let permit = self.window.acquire().await.map_err(|_| SendFailure::Unreachable)?;
                self.quiet().await;
                Ok::<_, SendFailure>(permit)
            };
            let permit = timeout_at(deadline, turn).await.map_err(|_| SendFailure::Busy { retry_after: None })??;
            let link = self.link(deadline).await?;
            let (status, id) = self.ask(&link, submission, group).await?;
            drop(permit);
            match status::of_submission(status) {
                Meaning::Taken => {
                    self.count(|counts| counts.taken += 1);
                    return Ok(id.map(|id| self.groups.answered(id)));
                }
                Meaning::Refused(failure) => {
                    self.count(|counts| counts.refused += 1);
                    return Err(failure);
                }
                Meaning::Throttled => {
                    self.count(|counts| counts.throttled += 1);
                    let delay = pauses.next().unwrap_or(timers.throttle_max).min(timers.throttle_max);
                    self.hush(delay);
                    if Instant::now() + delay >= deadline {
                        let seconds = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX).max(1);
                        return Err(SendFailure::Busy { retry_after: Some(seconds) });
                    }
                }
            }
        }
    }

    /// Asks once, on one connection.
    async fn ask(
        &self,
        link: &Arc<Link>,
        submission: &Submission<'_>,
        group: Option<(&Open, usize)>,
    ) -> Result<(u32, Option<GatewayId>), SendFailure> {
        let segment = group.map(|(open, place)| self.groups.segment(open, place));
        let (sequence, answer) = link.table.ask(segment).ok_or(SendFailure::Unreachable)?;
        let _given_up = Forget { link, sequence };
        let bytes = pdu::submit(submission, sequence).ok_or(SendFailure::Unfit)?;
        if !link.ask(bytes, sequence) {
            return Err(SendFailure::Unreachable);
        }
        match timeout(self.config.timers.answer, answer).await {
            Ok(Ok(Outcome::Answered { status, id })) => Ok((status, id)),
            Ok(Ok(Outcome::Broken { had_left: false })) => Err(SendFailure::Unreachable),
            Ok(Ok(Outcome::Broken { had_left: true }) | Err(_)) | Err(_) => {
                self.count(|counts| counts.unconfirmed += 1);
                Err(SendFailure::NoAnswer)
            }
        }
    }

    /// The segments of a text with their data coding.
    fn segments(&self, text: &SmsText) -> (Vec<Vec<u8>>, u8) {
        let is_ascii_only = self.config.default_alphabet == DefaultAlphabet::Latin1;
        // In ASCII each character is one octet in both alphabets, but not all of ASCII means the same in them.
        let agrees = |byte: u8| matches!(byte, b' '..=b'#' | b'%'..=b'?' | b'A'..=b'Z' | b'a'..=b'z' | b'\n' | b'\r');
        let segments = encoding::plan_with(text.as_str(), self.config.reference);
        match segments.alphabet() {
            Alphabet::Gsm7 if !is_ascii_only || text.as_str().bytes().all(agrees) => (segments.parts().to_vec(), 0),
            Alphabet::Gsm7 => (encoding::plan_ucs2(text.as_str(), self.config.reference).parts().to_vec(), 8),
            Alphabet::Ucs2 => (segments.parts().to_vec(), 8),
        }
    }
}

/// Takes a question back whose asker has gone.
struct Forget<'a> {
    link: &'a Link,
    sequence: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.link.table.forget(self.sequence);
    }
}

#[async_trait]
impl SmsGateway for SmppClient {
    async fn submit(&self, message: SmsMessage) -> Result<SmsSubmitted, SendFailure> {
        let core = &*self.core;
        if core.config.mode == BindMode::Receiver {
            return Err(SendFailure::Unfit);
        }
        let deadline = Instant::now() + core.config.timers.patience;
        let (parts, data_coding) = core.segments(&message.text);
        let total = u8::try_from(parts.len()).map_err(|_| SendFailure::TooLarge)?;
        let is_joined = total > 1;
        let open = (is_joined && message.wants_report).then(|| Groups::open(parts.len()));
        let reference = core.reference.fetch_add(1, Ordering::Relaxed);
        let mut ids = Vec::with_capacity(parts.len());
        for (place, words) in parts.iter().enumerate() {
            let part = u8::try_from(place + 1).unwrap_or(u8::MAX);
            let which = udh::Concatenation { reference, width: core.config.reference, total, part };
            let user_data = if is_joined { [which.header(), words.clone()].concat() } else { words.clone() };
            let submission = Submission {
                to: message.to.as_str().trim_start_matches('+'),
                from: &message.from,
                user_data: &user_data,
                has_header: is_joined,
                data_coding,
                validity_seconds: message.validity_seconds,
                wants_receipt: message.wants_report,
            };
            match core.submit(&submission, open.as_ref().map(|open| (open, place)), deadline).await {
                Ok(id) => ids.extend(id),
                // Segments have been taken already: some of the message is on its way.
                Err(_) if place > 0 => return Err(SendFailure::NoAnswer),
                Err(failure) => return Err(failure),
            }
        }
        // An SMSC that takes a message without naming it has taken it all the same, and nobody will be able to say what became of it.
        let gateway_id = ids.first().cloned().ok_or(SendFailure::NoAnswer)?;
        Ok(SmsSubmitted { gateway_id, segments: total, parts: ids })
    }

    async fn next_report(&self) -> Option<Arrived<SmsReport>> {
        self.take_out(&self.reports).await
    }

    async fn receive(&self) -> Option<Arrived<InboundSms>> {
        self.take_out(&self.inbound).await
    }
}

impl SmppClient {
    /// The next of a queue; `None` once closed and empty.
    async fn take_out<T>(&self, queue: &AsyncMutex<mpsc::Receiver<T>>) -> Option<T> {
        let mut queue = queue.lock().await;
        let mut way = self.core.way.subscribe();
        tokio::select! {
            biased;
            next = queue.recv() => next,
            _ = way.wait_for(|way| matches!(way, Way::Closed)) => queue.try_recv().ok(),
        }
    }
}
