//! The mailbox's WebSocket: what waits, *queue empty*, what comes live; and acknowledgements.

use bytes::Bytes;
use prost::Message as _;
use rcseal_wire::frame::{
    Acks, Deliveries, MailboxEvent, MailboxRequest, mailbox_event::Event, mailbox_request::Request,
};
use rcseal_wire::id::EnvelopeId;
use rcseal_wire::padding::ENVELOPE_LEN_MAX;
use rcseal_wire::problem::ProblemCode;

use super::error::{Fault, NetError, Refused};
use super::http::Socket;
use super::limits::Timeouts;
use super::socket::Frames;

/// An envelope out of the mailbox. It stays there until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// To acknowledge it by.
    pub id: EnvelopeId,
    /// The envelope's bytes.
    pub envelope: Bytes,
    /// When the relay got it, by its clock.
    pub received_at_ms: u64,
}

/// What the relay says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxNotice {
    /// Envelopes, in their order.
    Delivered(Vec<Delivered>),
    /// Everything that waited at the beginning has been delivered.
    QueueEmpty,
    /// An acknowledgement has been carried out.
    Acknowledged {
        /// Which.
        request: u64,
        /// How many envelopes it removed.
        removed: u32,
    },
    /// One-time prekeys run low.
    PrekeysLow {
        /// EC prekeys left.
        one_time: u32,
        /// KEM prekeys left.
        one_time_kem: u32,
    },
    /// The account has messages that the server can read.
    RetainedWaiting {
        /// The newest one's place: whoever has read up to it need not ask.
        newest: u64,
    },
    /// Somebody asked to reset the account, or that was called off.
    Reset {
        /// When it takes effect unless a device vetoes, in milliseconds since 1970 by the relay's clock; `None` when it was called off.
        effective_at_ms: Option<u64>,
    },
}

/// An open mailbox.
pub struct MailboxSocket {
    frames: Frames,
}

impl MailboxSocket {
    pub(super) const fn new(socket: Socket, timeouts: Timeouts) -> Self {
        Self { frames: Frames::new(socket, timeouts) }
    }

    /// Waits for the next notice; `None` when the relay closed in order. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// [`NetError`]; a failure the relay announces is a [`NetError::Problem`].
    pub async fn next(&mut self) -> Result<Option<MailboxNotice>, NetError> {
        while let Some(frame) = self.frames.next().await? {
            let event = MailboxEvent::decode(frame).map_err(|_| NetError::Protocol(Fault::Body))?;
            let notice = match event.event {
                Some(Event::Deliveries(deliveries)) => MailboxNotice::Delivered(parse_deliveries(deliveries)?),
                Some(Event::QueueEmpty(_)) => MailboxNotice::QueueEmpty,
                Some(Event::Acknowledged(done)) => {
                    MailboxNotice::Acknowledged { request: done.request, removed: done.removed }
                }
                Some(Event::PrekeysLow(low)) => {
                    MailboxNotice::PrekeysLow { one_time: low.one_time, one_time_kem: low.one_time_kem }
                }
                Some(Event::Reset(reset)) => {
                    MailboxNotice::Reset { effective_at_ms: reset.pending.then_some(reset.effective_at_ms) }
                }
                Some(Event::RetainedWaiting(waiting)) => MailboxNotice::RetainedWaiting { newest: waiting.newest },
                Some(Event::Failure(failure)) => return Err(failed(&failure.code)),
                // An event that a later relay has and this client does not know.
                None => continue,
            };
            return Ok(Some(notice));
        }
        Ok(None)
    }

    /// Acknowledges; the answer comes as [`MailboxNotice::Acknowledged`].
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn acknowledge(&mut self, acks: &Acks) -> Result<(), NetError> {
        self.frames.send(&MailboxRequest { request: Some(Request::Acknowledge(acks.to_frame())) }).await
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.frames.close().await;
    }
}

impl std::fmt::Debug for MailboxSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailboxSocket")
    }
}

fn failed(code: &str) -> NetError {
    let known = ProblemCode::from_code(code);
    NetError::Problem(Refused { status: known.map_or(0, ProblemCode::status), known, retry_after: None })
}

pub(super) fn parse_deliveries(deliveries: Deliveries) -> Result<Vec<Delivered>, NetError> {
    deliveries
        .envelopes
        .into_iter()
        .map(|delivery| {
            let id = EnvelopeId::parse(&delivery.id).map_err(|_| NetError::Protocol(Fault::Body))?;
            if delivery.envelope.len() > ENVELOPE_LEN_MAX {
                return Err(NetError::TooLarge { limit: ENVELOPE_LEN_MAX });
            }
            Ok(Delivered { id, envelope: delivery.envelope, received_at_ms: delivery.received_at_ms })
        })
        .collect()
}
