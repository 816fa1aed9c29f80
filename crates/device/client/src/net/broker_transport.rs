//! A broker as a way into the carrier.
//!
//! What goes out is posted to the broker, logged in, under the id that the message has at the carrier; the broker sends it once under that id
//! however often it is posted, so a lost answer is asked for again. What comes in does not come this way: the broker puts it into the
//! mailbox, and [`Transport::receive`] waits for ever.
//!
//! The broker sees both numbers, when, and ciphertext; of readable words it sees the words, as every carrier does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use rcseal_carrier::transport::{CarrierCapabilities, Inbound, Transport};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Carriage, CarrierMessage, SendFailure, Taken, TransportProfile};
use rcseal_wire::api::outbound::{
    OUTBOUND_PATH, OutboundAnswer, OutboundHeader, OutboundReceipts, OutboundRequest, OutboundTaken,
};
use rcseal_wire::number::E164;
use rcseal_wire::problem::ProblemCode;
use tokio::time::sleep;

use super::Authenticated;
use super::error::NetError;
use super::http::Call;

/// Times that a message is posted whose answer was lost.
const ATTEMPTS: u32 = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest body of one message: what a broker's trunk takes in a session. Where the carrier behind it takes less it says so, and the
/// engine cuts smaller.
const BODY_LEN_MAX: usize = 64 * 1024;
/// Messages that one envelope is cut into.
const PARTS_MAX: u16 = 64;

/// A way into the carrier through a broker.
pub struct BrokerTransport {
    broker: Arc<Authenticated>,
    from: PhoneNumber,
}

impl BrokerTransport {
    /// In the name of a number that is bound to the device which logs in.
    #[must_use]
    pub const fn new(broker: Arc<Authenticated>, from: PhoneNumber) -> Self {
        Self { broker, from }
    }

    async fn post(&self, request: &OutboundRequest) -> Result<OutboundTaken, NetError> {
        let answer: OutboundAnswer =
            self.broker.call(Call::new(Method::POST, OUTBOUND_PATH).json(request)).await?.json()?;
        Ok(answer.taken)
    }
}

#[async_trait]
impl Transport for BrokerTransport {
    fn profile(&self) -> TransportProfile {
        TransportProfile {
            // What the carrier behind the broker does to bytes is not known here, and text survives what bytes do not.
            is_binary_safe: false,
            body_len_max: BODY_LEN_MAX,
            parts_max: PARTS_MAX,
            carries_headers: true,
            has_receipts: true,
        }
    }

    async fn send(&self, message: CarrierMessage) -> Result<Taken, SendFailure> {
        let request = request_of(&self.from, message).ok_or(SendFailure::Unfit)?;
        let mut attempt = 1;
        loop {
            match self.post(&request).await {
                Ok(OutboundTaken::Answered) => return Ok(Taken::Answered),
                Ok(OutboundTaken::Stored) => return Ok(Taken::Stored),
                Err(NetError::Closed(_) | NetError::Timeout(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::info!(event = "broker_refused", code = error.code());
                    return Err(failure_of(&error));
                }
            }
        }
    }

    /// A broker is not asked what strangers' phones can do: what counts is what the peer's device says inside a session.
    async fn capabilities(&self, _: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        Err(SendFailure::Unfit)
    }

    /// What comes in comes by the mailbox.
    async fn receive(&self) -> Option<Inbound> {
        std::future::pending().await
    }
}

impl std::fmt::Debug for BrokerTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerTransport").field("broker", &self.broker).finish_non_exhaustive()
    }
}

/// The request for a message; `None` where its id is none that a broker takes.
fn request_of(from: &PhoneNumber, message: CarrierMessage) -> Option<OutboundRequest> {
    let number = |number: &PhoneNumber| number.as_str().parse::<E164>().ok();
    let (content_type, is_text, headers, body) = match message.carriage {
        Carriage::Framed { is_text, bytes } => (None, is_text, Vec::new(), bytes),
        Carriage::Verbatim { headers, content_type, body } => {
            let header = |header: rcseal_rcs::transport::VerbatimHeader| OutboundHeader {
                namespace: header.namespace,
                name: header.name,
                value: header.value,
            };
            (Some(content_type), false, headers.into_iter().map(header).collect(), body)
        }
    };
    Some(OutboundRequest {
        from: number(from)?,
        to: number(&message.to)?,
        id: message.id.uuid_bytes()?.to_vec().into(),
        content_type,
        is_text,
        headers,
        body: body.into(),
        receipts: OutboundReceipts {
            delivered: message.receipts.delivered,
            failed: message.receipts.failed,
            displayed: message.receipts.displayed,
        },
    })
}

/// What a broker's refusal says, in the words of a carrier's. Where nothing came back the message may have left.
fn failure_of(error: &NetError) -> SendFailure {
    use ProblemCode as P;
    match error {
        NetError::Connect(_) | NetError::Tls(_) | NetError::Pin | NetError::Proxy(_) => SendFailure::Unreachable,
        NetError::Closed(_) | NetError::Timeout(_) | NetError::Protocol(_) | NetError::TooLarge { .. } => {
            SendFailure::NoAnswer
        }
        NetError::Login(_) => SendFailure::Unauthorized,
        NetError::File(_) | NetError::DigestMismatch => SendFailure::Unfit,
        NetError::Problem(refused) => match refused.known {
            Some(P::CarrierUnsupportedMedia) => SendFailure::UnsupportedMedia,
            Some(P::CarrierNotFound) => SendFailure::NotFound,
            Some(P::CarrierTooLarge | P::TooLarge) => SendFailure::TooLarge,
            Some(P::CarrierUnfit | P::Malformed | P::OutOfRange | P::IdConflict) => SendFailure::Unfit,
            Some(P::CarrierNoAnswer) => SendFailure::NoAnswer,
            Some(P::CarrierUnreachable | P::ShuttingDown | P::Unavailable) => SendFailure::Unreachable,
            Some(P::CarrierBusy | P::RateLimited | P::QuotaExceeded) => SendFailure::Busy {
                retry_after: refused.retry_after.map(|after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX)),
            },
            Some(
                P::CarrierUnauthorized
                | P::NumberNotYours
                | P::Unauthenticated
                | P::LoginRefused
                | P::DeviceUnknown
                | P::Forbidden,
            ) => SendFailure::Unauthorized,
            _ => SendFailure::Refused { status: refused.status },
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_rcs::transport::{CarrierMessageId, ReceiptRequest};

    use super::*;
    use crate::net::Refused;

    fn number(last: u8) -> PhoneNumber {
        format!("+1415555010{last}").parse().unwrap()
    }

    fn message(carriage: Carriage) -> CarrierMessage {
        let receipts = ReceiptRequest { delivered: true, failed: true, displayed: false };
        CarrierMessage { to: number(2), id: CarrierMessageId::from_random([7; 16]), receipts, carriage }
    }

    #[test]
    fn a_part_of_a_frame_says_no_type_and_words_say_theirs() {
        let frame = message(Carriage::Framed { is_text: true, bytes: b"part".to_vec() });
        let id = frame.id.clone();
        let request = request_of(&number(1), frame).unwrap();
        assert_eq!((request.from.as_str(), request.to.as_str()), ("+14155550101", "+14155550102"));
        assert_eq!((request.content_type, request.is_text, request.body.0.as_slice()), (None, true, &b"part"[..]));
        assert!(request.receipts.delivered && request.receipts.failed && !request.receipts.displayed);
        // The far end's receipt names the id as it was given.
        let echoed = CarrierMessageId::from_random(request.id.0.try_into().unwrap());
        assert_eq!(echoed, id);
        let words = Carriage::Verbatim { headers: Vec::new(), content_type: "text/plain".into(), body: b"hi".to_vec() };
        let request = request_of(&number(1), message(words)).unwrap();
        assert_eq!((request.content_type.as_deref(), request.is_text), (Some("text/plain"), false));
    }

    #[test]
    fn what_a_broker_says_is_what_its_carrier_said() {
        let refused = |code: ProblemCode| {
            failure_of(&NetError::Problem(Refused { status: code.status(), known: Some(code), retry_after: None }))
        };
        let cases = [
            SendFailure::UnsupportedMedia,
            SendFailure::NotFound,
            SendFailure::TooLarge,
            SendFailure::Unfit,
            SendFailure::Unauthorized,
            SendFailure::Unreachable,
            SendFailure::NoAnswer,
            SendFailure::Busy { retry_after: None },
        ];
        for failure in cases {
            assert_eq!(refused(ProblemCode::from_code(failure.code()).unwrap()), failure);
        }
        assert_eq!(failure_of(&NetError::Closed(None)), SendFailure::NoAnswer);
        assert_eq!(refused(ProblemCode::NumberNotYours), SendFailure::Unauthorized);
    }
}
