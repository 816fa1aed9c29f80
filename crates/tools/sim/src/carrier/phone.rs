//! A phone with standard messaging and nothing of ours.
//!
//! It shows text, answers 415 to what it does not know, and says that a message was delivered where its sender asks.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rcseal_carrier::transport::Answer;
use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::feature::FeatureTags;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Sender, Taken};
use tokio::sync::watch;

use super::{DOMAIN, SimCarrier};

/// The tags of a phone with standard messaging.
#[must_use]
pub fn standard_tags() -> FeatureTags {
    FeatureTags { frame_version: None, mls: None, standalone: true, chat: true, ft_http: true }
}

/// A text that a standard phone shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// From whom, if that can be told.
    pub from: Option<PhoneNumber>,
    /// What it says.
    pub text: String,
}

/// A phone with standard messaging.
pub struct StandardPhone {
    own: PhoneNumber,
    carrier: Weak<SimCarrier>,
    shown: watch::Sender<Vec<Shown>>,
    next_id: Mutex<u64>,
}

impl StandardPhone {
    pub(super) fn new(own: PhoneNumber, carrier: Weak<SimCarrier>) -> Arc<Self> {
        Arc::new(Self { own, carrier, shown: watch::Sender::new(Vec::new()), next_id: Mutex::new(0) })
    }

    /// What it shows, as it grows.
    #[must_use]
    pub fn shown(&self) -> watch::Receiver<Vec<Shown>> {
        self.shown.subscribe()
    }

    /// Its user writes a text.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn send_text(&self, to: &PhoneNumber, text: &str) -> Result<Taken, SendFailure> {
        let carriage = Carriage::Verbatim {
            headers: Vec::new(),
            content_type: chat::TEXT_CONTENT_TYPE.to_owned(),
            body: text.as_bytes().to_vec(),
        };
        self.send(CarrierMessage { to: to.clone(), id: self.id(), receipts: ReceiptRequest::default(), carriage }).await
    }

    fn id(&self) -> CarrierMessageId {
        let mut next = self.next_id.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let mut random = [0; 16];
        random[..8].copy_from_slice(&next.to_be_bytes());
        random[8..].copy_from_slice(&self.own.as_str().bytes().rev().take(8).collect::<Vec<_>>());
        CarrierMessageId::from_random(random)
    }

    async fn send(&self, message: CarrierMessage) -> Result<Taken, SendFailure> {
        let carrier = self.carrier.upgrade().ok_or(SendFailure::Unreachable)?;
        let domain = DOMAIN.parse().map_err(|_| SendFailure::Unfit)?;
        let now = Timestamp::from_millis(carrier.now_ms());
        let cpim = chat::wrap(&message, &self.own, &domain, now).map_err(|_| SendFailure::Unfit)?;
        carrier.carry(&self.own, &message.to, cpim).await
    }

    /// What it does with a message. A receipt that is due is sent by a task of its own, after the answer.
    pub(super) fn take(
        self: &Arc<Self>,
        from: &Sender,
        content_type: &str,
        encoding: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let Ok(unwrapped) = chat::unwrap(content_type, encoding, body) else { return Answer::Malformed };
        let number = match from {
            Sender::Asserted(number) | Sender::Claimed(number) => Some(number.clone()),
            Sender::Anonymous => None,
        };
        match &unwrapped.content {
            Content::Receipt(_) | Content::Composing(_) => Answer::Accepted,
            Content::Body { content_type, body } => {
                let is_text =
                    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/plain"));
                let Some(text) = String::from_utf8(body.clone()).ok().filter(|_| is_text) else {
                    return Answer::UnsupportedMedia;
                };
                self.shown.send_modify(|shown| shown.push(Shown { from: number.clone(), text }));
                if let (Some(to), Some(receipt)) = (number, unwrapped.delivered()) {
                    let phone = Arc::clone(self);
                    let message = chat::receipt(&receipt, to, self.id());
                    tokio::spawn(async move {
                        // A receipt is a courtesy: whether it arrives changes nothing here.
                        let _ = phone.send(message).await;
                    });
                }
                Answer::Accepted
            }
        }
    }
}

impl std::fmt::Debug for StandardPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandardPhone").field("own", &self.own).finish_non_exhaustive()
    }
}
