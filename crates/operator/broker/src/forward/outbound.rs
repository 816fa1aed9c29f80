//! From an app to a carrier, in the name of a number that is bound to the device that asks.
//!
//! The carrier believes the trunk, so this is where it is decided who may write as whom: the login says which device asks, the mapping says
//! whose the number is, and both are asked for every message. What is sent is noted down before it leaves, by the id that the app gave: asked
//! again, the outcome is the answer. Only where it was never learnt (a crash, a carrier that did not answer) does a copy leave, under the same
//! id at the carrier, so that the far end tells it for what it is.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use rcseal_carrier::sip_transport::SipTransport;
use rcseal_crypto::hash::sha256;
use rcseal_front::clock::Clock;
use rcseal_front::limiter::KeyedLimiter;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{
    Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Taken, VerbatimHeader,
};
use rcseal_store::broker::forward::OutboundState;
use rcseal_store::{BrokerStore, StoreError};
use rcseal_wire::api::outbound::{
    OUTBOUND_BODY_LEN_MAX, OUTBOUND_HEADER_LEN_MAX, OUTBOUND_HEADERS_MAX, OutboundRequest, OutboundTaken,
};
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::number::E164;

use super::metrics::{ForwardMetrics, OutboundOutcome};
use super::route::Routes;
use super::turns::Turns;

/// How long an outcome is remembered: longer than an app repeats anything.
const REMEMBER_SECONDS: u64 = 7 * 24 * 3600;

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboundError {
    /// A field is not of its form.
    #[error("a field is not of its form")]
    Malformed,
    /// A field is too long.
    #[error("a field is too long")]
    TooLarge,
    /// The number is not bound to the device.
    #[error("the number is not bound to the device")]
    NotYours,
    /// The id was used for something else.
    #[error("the id was used for something else")]
    IdConflict,
    /// More than a device may send.
    #[error("too many messages")]
    TooMany,
    /// The carrier did not take it.
    #[error("the carrier did not take it")]
    Carrier(#[source] SendFailure),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl OutboundError {
    const fn outcome(&self) -> OutboundOutcome {
        match self {
            Self::Carrier(_) | Self::Store(_) => OutboundOutcome::Failed,
            Self::Malformed | Self::TooLarge | Self::NotYours | Self::IdConflict | Self::TooMany => {
                OutboundOutcome::Refused
            }
        }
    }
}

/// The way out.
pub(crate) struct Outbound {
    routes: Arc<dyn Routes>,
    store: Arc<dyn BrokerStore>,
    clock: Arc<dyn Clock>,
    metrics: ForwardMetrics,
    trunk: Option<Arc<SipTransport>>,
    per_device: KeyedLimiter<DeviceAddress>,
    turns: Turns,
}

impl Outbound {
    pub(crate) fn new(
        routes: Arc<dyn Routes>,
        store: Arc<dyn BrokerStore>,
        clock: Arc<dyn Clock>,
        metrics: ForwardMetrics,
        trunk: Option<Arc<SipTransport>>,
        per_device_per_minute: u32,
    ) -> Self {
        let per_device = KeyedLimiter::per_minute(per_device_per_minute);
        Self { routes, store, clock, metrics, trunk, per_device, turns: Turns::default() }
    }

    /// Sends a message for a device that is logged in.
    pub(crate) async fn send(
        &self,
        device: DeviceAddress,
        request: OutboundRequest,
    ) -> Result<OutboundTaken, OutboundError> {
        let result = self.send_inner(device, request).await;
        self.metrics.outbound(match &result {
            Ok((_, is_repeated)) if *is_repeated => OutboundOutcome::Repeated,
            Ok(_) => OutboundOutcome::Taken,
            Err(error) => error.outcome(),
        });
        result.map(|(taken, _)| taken)
    }

    async fn send_inner(
        &self,
        device: DeviceAddress,
        request: OutboundRequest,
    ) -> Result<(OutboundTaken, bool), OutboundError> {
        let id: [u8; 16] = request.id.0.as_slice().try_into().map_err(|_| OutboundError::Malformed)?;
        let digest = digest(&request);
        let from = request.from.clone();
        let message = message(request, id)?;
        if !self.per_device.allows(&device, NonZeroU32::MIN) {
            return Err(OutboundError::TooMany);
        }
        if !self.routes.writes_as(device, &from).await? {
            return Err(OutboundError::NotYours);
        }
        let sender: PhoneNumber = from.as_str().parse().map_err(|_| OutboundError::Malformed)?;
        let trunk = self.trunk.as_ref().ok_or(OutboundError::Carrier(SendFailure::Unreachable))?;
        // A copy that comes while the first is under way waits for its outcome: until that is noted down, both would leave.
        let _turn = self.turns.of((device, id)).await;
        let until = self.clock.now().plus_seconds(REMEMBER_SECONDS);
        match self.store.begin_outbound(device, id, digest, until).await? {
            OutboundState::New | OutboundState::Begun => {}
            OutboundState::Done(outcome) => return Ok((read_outcome(&outcome), true)),
            OutboundState::Conflict => return Err(OutboundError::IdConflict),
        }
        let taken = match trunk.send_from(&sender, message).await.map_err(OutboundError::Carrier)? {
            Taken::Answered => OutboundTaken::Answered,
            Taken::Stored => OutboundTaken::Stored,
        };
        self.store.end_outbound(device, id, Bytes::from_static(write_outcome(taken))).await?;
        Ok((taken, false))
    }

    pub(super) fn tidy(&self) {
        self.per_device.tidy();
    }
}

const STORED: &[u8] = b"stored";
const ANSWERED: &[u8] = b"answered";

const fn write_outcome(taken: OutboundTaken) -> &'static [u8] {
    match taken {
        OutboundTaken::Answered => ANSWERED,
        OutboundTaken::Stored => STORED,
    }
}

fn read_outcome(outcome: &[u8]) -> OutboundTaken {
    if outcome == STORED { OutboundTaken::Stored } else { OutboundTaken::Answered }
}

/// Over everything that is sent, so that an id stands for one message.
fn digest(request: &OutboundRequest) -> [u8; 16] {
    // One encoding for equal requests: the fields stand in the order of the type.
    let bytes = serde_json::to_vec(request).unwrap_or_default();
    let hash = sha256(&[b"rcseal/broker-outbound/v1", &bytes]);
    *hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes")
}

fn message(request: OutboundRequest, id: [u8; 16]) -> Result<CarrierMessage, OutboundError> {
    if request.body.0.len() > OUTBOUND_BODY_LEN_MAX || request.headers.len() > OUTBOUND_HEADERS_MAX {
        return Err(OutboundError::TooLarge);
    }
    let to = phone(&request.to)?;
    let carriage = match request.content_type {
        None if request.headers.is_empty() => Carriage::Framed { is_text: request.is_text, bytes: request.body.0 },
        None => return Err(OutboundError::Malformed),
        Some(content_type) => {
            let headers = request.headers.into_iter().map(|header| {
                let is_short = [&header.namespace, &header.name, &header.value]
                    .iter()
                    .all(|text| text.len() <= OUTBOUND_HEADER_LEN_MAX);
                let header = VerbatimHeader { namespace: header.namespace, name: header.name, value: header.value };
                if is_short { Ok(header) } else { Err(OutboundError::TooLarge) }
            });
            if content_type.len() > OUTBOUND_HEADER_LEN_MAX {
                return Err(OutboundError::TooLarge);
            }
            Carriage::Verbatim { headers: headers.collect::<Result<_, _>>()?, content_type, body: request.body.0 }
        }
    };
    let asked = request.receipts;
    let receipts = ReceiptRequest { delivered: asked.delivered, failed: asked.failed, displayed: asked.displayed };
    Ok(CarrierMessage { to, id: CarrierMessageId::from_random(id), receipts, carriage })
}

fn phone(number: &E164) -> Result<PhoneNumber, OutboundError> {
    number.as_str().parse().map_err(|_| OutboundError::Malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcseal_wire::api::Base64;
    use rcseal_wire::api::outbound::{OutboundHeader, OutboundReceipts};

    fn request() -> OutboundRequest {
        OutboundRequest {
            from: "+14155550101".parse().unwrap(),
            to: "+14155550102".parse().unwrap(),
            id: Base64(vec![7; 16]),
            content_type: None,
            is_text: true,
            headers: Vec::new(),
            body: Base64(b"part".to_vec()),
            receipts: OutboundReceipts::default(),
        }
    }

    #[test]
    fn a_part_of_a_frame_has_no_headers_and_no_media_type() {
        let sent = message(request(), [7; 16]).unwrap();
        assert_eq!(sent.carriage, Carriage::Framed { is_text: true, bytes: b"part".to_vec() });
        let header = OutboundHeader { namespace: "n".into(), name: "a".into(), value: "b".into() };
        let odd = OutboundRequest { headers: vec![header.clone()], ..request() };
        assert!(matches!(message(odd, [7; 16]), Err(OutboundError::Malformed)));
        let verbatim = OutboundRequest { content_type: Some("text/plain".into()), headers: vec![header], ..request() };
        assert!(matches!(message(verbatim, [7; 16]).unwrap().carriage, Carriage::Verbatim { .. }));
    }

    #[test]
    fn limits_hold() {
        let long = OutboundRequest { body: Base64(vec![0; OUTBOUND_BODY_LEN_MAX + 1]), ..request() };
        assert!(matches!(message(long, [7; 16]), Err(OutboundError::TooLarge)));
    }

    #[test]
    fn the_digest_is_over_all_that_is_sent() {
        let other = OutboundRequest { to: "+14155550103".parse().unwrap(), ..request() };
        assert_ne!(digest(&request()), digest(&other));
        assert_eq!(digest(&request()), digest(&request()));
    }
}
