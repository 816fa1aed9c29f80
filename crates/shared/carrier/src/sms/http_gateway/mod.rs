//! A gateway by HTTP: a form to send, call-backs for what becomes of it and for what comes in.
//!
//! The shape is Jasmin's, written down as data in [`Shape`], so that other gateways of the same kind are a configuration:
//!
//! - **Send.** One `POST` with form fields. The words go as hexadecimal octets in the alphabet we chose, because a gateway that is handed text
//!   chooses again. The answer is `200` with the id between quotation marks, or a status and why not. A gateway cuts long texts itself.
//! - **Reports.** The gateway calls a URL of ours with form fields: `id`, `message_status`, `level` (1: the SMSC has taken it, 2: its end), `err`.
//! - **Messages.** It calls the same URL with `id`, `from`, `to`, `coding`, `binary`.
//! - **Acknowledgement.** `200` with a body that says so (`ACK/Jasmin`); anything else, and the gateway calls again later.
//!
//! A call-back is believed by a secret in its path, and by a signature where the gateway can sign: HMAC-SHA-256 over the time stamp, a full stop
//! and the content, in hexadecimal, no older than [`SIGNATURE_AGE_MS`]. One that has been answered is answered again and reported no more
//! ([`ledger`]); across restarts whoever stores reports knows them by their id.
//!
//! This module has no server: whoever has one hands calls to [`HttpGateway::callback`], and answers what it is told.

mod call;
mod callback;
mod config;
mod ledger;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rcseal_rcs::transport::SendFailure;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use tokio::time::timeout;

pub use self::callback::{CallbackError, Event, read};
pub use self::config::{AnswerId, Config, ConfigError, Limits, Shape};
use self::ledger::{Ledger, Place};
use super::arrived::Told;
use super::encoding::{self, Alphabet};
use super::{Arrived, GatewayId, InboundSms, SmsGateway, SmsMessage, SmsReport, SmsSubmitted};

/// How far the time stamp of a signed call-back may be from our clock, in milliseconds.
pub const SIGNATURE_AGE_MS: u64 = 5 * 60 * 1000;

/// A call of the gateway, as whoever has the server was handed it.
#[derive(Clone, Copy)]
pub struct Callback<'a> {
    /// The last element of the path.
    pub secret: &'a str,
    /// The form: the body of a `POST`, the query of a `GET`.
    pub content: &'a [u8],
    /// The signature, if the call has one.
    pub signature: Option<&'a str>,
    /// Its time stamp: milliseconds since 1970, in decimal.
    pub timestamp: Option<&'a str>,
    /// Our clock.
    pub now_ms: u64,
}

/// What the gateway is to be answered, as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl CallbackAnswer {
    fn of(status: u16) -> Self {
        Self { status, body: String::new() }
    }
}

/// A gateway by HTTP.
pub struct HttpGateway {
    config: Config,
    reports_in: mpsc::Sender<Arrived<SmsReport>>,
    reports: AsyncMutex<mpsc::Receiver<Arrived<SmsReport>>>,
    inbound_in: mpsc::Sender<Arrived<InboundSms>>,
    inbound: AsyncMutex<mpsc::Receiver<Arrived<InboundSms>>>,
    ledger: Arc<Mutex<Ledger>>,
    is_closed: watch::Sender<bool>,
}

impl HttpGateway {
    /// A gateway.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let (reports_in, reports) = mpsc::channel(config.limits.waiting_max.max(1));
        let (inbound_in, inbound) = mpsc::channel(config.limits.waiting_max.max(1));
        Ok(Self {
            ledger: Arc::new(Mutex::new(Ledger::new(config.limits.answered_max))),
            config,
            reports_in,
            reports: AsyncMutex::new(reports),
            inbound_in,
            inbound: AsyncMutex::new(inbound),
            is_closed: watch::Sender::new(false),
        })
    }

    /// Takes nothing more in.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }

    /// Takes a call of the gateway. The answer comes when somebody has what it brought, or nobody had room or time for it.
    pub async fn callback(&self, call: Callback<'_>) -> CallbackAnswer {
        let event = match read(&self.config, &call) {
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(code = error.code(), "call-back refused");
                return CallbackAnswer::of(error.status());
            }
        };
        let acknowledged = || CallbackAnswer { status: 200, body: self.config.shape.acknowledgement.clone() };
        let (name, event) = match event {
            Event::Underway => return acknowledged(),
            Event::Report { name, report } => (name, Ok(report)),
            Event::Message { name, message } => (name, Err(message)),
        };
        match self.ledger.lock().unwrap_or_else(PoisonError::into_inner).begin(name) {
            Place::Answered => return acknowledged(),
            // The gateway calls twice at once; the first call has not been answered.
            Place::InHand | Place::Full => return CallbackAnswer::of(503),
            Place::New => {}
        }
        let told = match event {
            Ok(report) => self.hand(&self.reports_in, report, name).await,
            Err(message) => self.hand(&self.inbound_in, message, name).await,
        };
        match told {
            Told::Done => acknowledged(),
            Told::Later => CallbackAnswer::of(503),
        }
    }

    /// Waits until somebody has it. Its place in the ledger is settled by whoever takes it out, also where our patience, or the call, has ended
    /// before: the gateway calls again and is then told what became of it.
    async fn hand<T>(&self, queue: &mpsc::Sender<Arrived<T>>, item: T, name: [u8; 32]) -> Told {
        let (reply, told) = oneshot::channel();
        let ledger = Arc::clone(&self.ledger);
        let arrived = Arrived::new(item, move |answer| {
            ledger.lock().unwrap_or_else(PoisonError::into_inner).end(name, answer == Told::Done);
            let _ = reply.send(answer);
        });
        if *self.is_closed.borrow() || queue.try_send(arrived).is_err() {
            return Told::Later;
        }
        match timeout(self.config.limits.patience, told).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) | Err(_) => Told::Later,
        }
    }

    async fn take_out<T>(&self, queue: &AsyncMutex<mpsc::Receiver<T>>) -> Option<T> {
        let mut queue = queue.lock().await;
        let mut is_closed = self.is_closed.subscribe();
        tokio::select! {
            biased;
            next = queue.recv() => next,
            _ = is_closed.wait_for(|is_closed| *is_closed) => queue.try_recv().ok(),
        }
    }
}

#[async_trait]
impl SmsGateway for HttpGateway {
    async fn submit(&self, message: SmsMessage) -> Result<SmsSubmitted, SendFailure> {
        let segments = encoding::plan(message.text.as_str());
        let count = u8::try_from(segments.count()).map_err(|_| SendFailure::TooLarge)?;
        let form = self.config.form(&message, segments.alphabet());
        let answer = call::post(&self.config, form).await?;
        let gateway_id: GatewayId = self.config.read_answer(&answer)?;
        Ok(SmsSubmitted { parts: vec![gateway_id.clone()], gateway_id, segments: count })
    }

    async fn next_report(&self) -> Option<Arrived<SmsReport>> {
        self.take_out(&self.reports).await
    }

    async fn receive(&self) -> Option<Arrived<InboundSms>> {
        self.take_out(&self.inbound).await
    }
}

/// The octets of words, in an alphabet that has all of them.
fn octets(alphabet: Alphabet, text: &str) -> Vec<u8> {
    match alphabet {
        Alphabet::Gsm7 => {
            let characters = encoding::gsm7::characters(text).unwrap_or_default();
            characters.iter().flat_map(|character| character.as_slice().to_vec()).collect()
        }
        Alphabet::Ucs2 => text.chars().flat_map(encoding::ucs2::encode_char).collect(),
    }
}
