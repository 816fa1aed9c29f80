//! The SIP trunk: requests of the carrier's core come in, requests in the name of served numbers go out.
//!
//! Everything that comes in is worked on at once, within a bound, and answered when it is durable. What finds no place is answered "later"
//! by the transport.

use std::sync::Arc;

use rcseal_carrier::sip_transport::SipTransport;
use rcseal_carrier::transport::{Answer, Inbound as CarrierInbound, Transport as _};
use rcseal_wire::carrier_delivery::CarrierChannel;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::arrival::{self, Arrival};
use super::inbound::{Inbound, Refused};

/// Messages that are worked on at once: enough to fill several batches to a relay.
const WORKING_MAX: usize = 1024;

/// Takes what comes in until told to stop. What is being worked on then is finished.
pub(super) async fn run(transport: Arc<SipTransport>, inbound: Arc<Inbound>, stopping: CancellationToken) {
    let turns = Arc::new(Semaphore::new(WORKING_MAX));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let message = tokio::select! {
            () = stopping.cancelled() => break,
            message = transport.receive() => message,
        };
        let Some(message) = message else { break };
        let inbound = Arc::clone(&inbound);
        tokio::spawn(async move {
            take(&inbound, message).await;
            drop(turn);
        });
    }
    let _ = turns.acquire_many(u32::try_from(WORKING_MAX).unwrap_or(u32::MAX)).await;
}

async fn take(inbound: &Inbound, mut message: CarrierInbound) {
    // A message for no number of ours at all is for nobody: the trunk is ours, and the core knows whom it sends what.
    let Some(to) = message.to.as_ref().and_then(arrival::e164) else { return message.answer(Answer::NotFound) };
    let arrival = Arrival {
        to,
        from: arrival::sender(&message.from),
        channel: CarrierChannel::Rcs,
        content_type: std::mem::take(&mut message.content_type),
        content_encoding: message.content_encoding.take(),
        body: std::mem::take(&mut message.body),
        reference: message.reference.take(),
    };
    let answer = match inbound.take(arrival).await {
        Ok(_) => Answer::Accepted,
        Err(refused) => {
            tracing::debug!(code = refused.code(), "forward.refused");
            answer_of(&refused)
        }
    };
    message.answer(answer);
}

const fn answer_of(refused: &Refused) -> Answer {
    match refused {
        Refused::UnknownNumber => Answer::NotFound,
        Refused::TooLarge => Answer::TooLarge,
        Refused::TooMuch | Refused::Full | Refused::Store(_) => Answer::TryLater,
    }
}
