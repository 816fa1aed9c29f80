//! The phone's side: a way for words by a number of the user's own.
//!
//! A phone's operating system sends short messages by itself; a desktop may have an account at a gateway. Both are a [`SmsWay`] to a client,
//! which hands over only what a decision of mode SMS has let go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::{Arrived, GatewayId, InboundSms, ReportState, SenderId, SmsGateway, SmsId, SmsMessage, SmsText};

/// What a way has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmsTaken {
    /// How many segments it is.
    pub segments: u8,
}

/// How a message of ours ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmsWayReport {
    /// Which message.
    pub id: SmsId,
    /// How it ended.
    pub state: ReportState,
}

/// A way for short messages.
#[async_trait]
pub trait SmsWay: Send + Sync {
    /// Sends words.
    ///
    /// # Errors
    /// As [`SmsGateway::submit`].
    async fn send(&self, to: &PhoneNumber, text: SmsText, id: SmsId) -> Result<SmsTaken, SendFailure>;

    /// The next message that came in. `None` once the way has closed for good.
    async fn receive(&self) -> Option<Arrived<InboundSms>>;

    /// The next report. `None` once the way has closed for good.
    async fn next_report(&self) -> Option<Arrived<SmsWayReport>>;
}

/// Reports that are waited for; the oldest is given up for a newer one.
const WAITED_MAX: usize = 4096;

/// A gateway as a way: the user's own account there.
pub struct GatewayWay {
    gateway: Arc<dyn SmsGateway>,
    from: SenderId,
    waited: Mutex<Waited>,
}

#[derive(Default)]
struct Waited {
    ids: HashMap<GatewayId, SmsId>,
    order: std::collections::VecDeque<GatewayId>,
}

impl Waited {
    fn add(&mut self, gateway_id: GatewayId, id: SmsId) {
        if self.ids.insert(gateway_id.clone(), id).is_none() {
            self.order.push_back(gateway_id);
        }
        while self.order.len() > WAITED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}

impl GatewayWay {
    /// A way that sends as `from`.
    #[must_use]
    pub fn new(gateway: Arc<dyn SmsGateway>, from: SenderId) -> Arc<Self> {
        Arc::new(Self { gateway, from, waited: Mutex::default() })
    }
}

#[async_trait]
impl SmsWay for GatewayWay {
    async fn send(&self, to: &PhoneNumber, text: SmsText, id: SmsId) -> Result<SmsTaken, SendFailure> {
        let message = SmsMessage {
            to: to.clone(),
            from: self.from.clone(),
            text,
            id,
            validity_seconds: None,
            wants_report: true,
        };
        let submitted = self.gateway.submit(message).await?;
        self.waited.lock().unwrap_or_else(PoisonError::into_inner).add(submitted.gateway_id, id);
        Ok(SmsTaken { segments: submitted.segments })
    }

    async fn receive(&self) -> Option<Arrived<InboundSms>> {
        self.gateway.receive().await
    }

    async fn next_report(&self) -> Option<Arrived<SmsWayReport>> {
        loop {
            let arrived = self.gateway.next_report().await?;
            let report = arrived.item();
            let id = self.waited.lock().unwrap_or_else(PoisonError::into_inner).ids.get(&report.gateway_id).copied();
            match id {
                Some(id) => {
                    let state = report.state;
                    return Some(arrived.map(|_| SmsWayReport { id, state }));
                }
                // Of a message that nobody here has sent, or one that was forgotten: answered, or it would come for ever.
                None => drop(arrived.accept()),
            }
        }
    }
}

/// What a [`HandSms`] was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// To whom.
    pub to: PhoneNumber,
    /// The words.
    pub text: SmsText,
    /// Its id.
    pub id: SmsId,
}

/// Messages, reports and sendings that wait.
const HAND_MAX: usize = 256;

/// A way whose other end is held by the caller: for a host that sends by itself, and for tests.
pub struct HandSms {
    sent: mpsc::Sender<Sent>,
    inbound: AsyncMutex<mpsc::Receiver<Arrived<InboundSms>>>,
    reports: AsyncMutex<mpsc::Receiver<Arrived<SmsWayReport>>>,
}

/// The other end of a [`HandSms`].
pub struct HandSmsHandle {
    sent: AsyncMutex<mpsc::Receiver<Sent>>,
    inbound: mpsc::Sender<Arrived<InboundSms>>,
    reports: mpsc::Sender<Arrived<SmsWayReport>>,
}

impl HandSms {
    /// A way and its other end.
    #[must_use]
    pub fn new() -> (Arc<Self>, HandSmsHandle) {
        let (sent, sent_out) = mpsc::channel(HAND_MAX);
        let (inbound_in, inbound) = mpsc::channel(HAND_MAX);
        let (reports_in, reports) = mpsc::channel(HAND_MAX);
        let way = Self { sent, inbound: AsyncMutex::new(inbound), reports: AsyncMutex::new(reports) };
        (Arc::new(way), HandSmsHandle { sent: AsyncMutex::new(sent_out), inbound: inbound_in, reports: reports_in })
    }
}

impl HandSmsHandle {
    /// The next message that was sent. `None` once the way is gone.
    pub async fn next_sent(&self) -> Option<Sent> {
        self.sent.lock().await.recv().await
    }

    /// Brings a message in. Whether there was room for it.
    pub fn deliver(&self, message: InboundSms) -> bool {
        self.inbound.try_send(Arrived::new(message, |_| {})).is_ok()
    }

    /// Brings a report in. Whether there was room for it.
    pub fn report(&self, report: SmsWayReport) -> bool {
        self.reports.try_send(Arrived::new(report, |_| {})).is_ok()
    }
}

#[async_trait]
impl SmsWay for HandSms {
    async fn send(&self, to: &PhoneNumber, text: SmsText, id: SmsId) -> Result<SmsTaken, SendFailure> {
        let count = super::encoding::plan(text.as_str()).count();
        let segments = u8::try_from(count).unwrap_or(u8::MAX);
        let sent = Sent { to: to.clone(), text, id };
        self.sent.try_send(sent).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendFailure::Busy { retry_after: None },
            mpsc::error::TrySendError::Closed(_) => SendFailure::Unreachable,
        })?;
        Ok(SmsTaken { segments })
    }

    async fn receive(&self) -> Option<Arrived<InboundSms>> {
        self.inbound.lock().await.recv().await
    }

    async fn next_report(&self) -> Option<Arrived<SmsWayReport>> {
        self.reports.lock().await.recv().await
    }
}
