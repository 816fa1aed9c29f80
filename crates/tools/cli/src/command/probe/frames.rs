//! Frames of random bytes to a number of one's own, and what comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;
use rcseal_carrier::sip_transport::SipTransport;
use rcseal_carrier::transport::{Answer, Inbound, Transport as _};
use rcseal_engine::policy::{DeliveryMode, Reader};
use rcseal_rcs::chat::{self, Content, Unwrapped};
use rcseal_rcs::frame::{self, Assembly, AssemblyLimits, FrameId, Kind, Part, Progress};
use rcseal_rcs::imdn;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, TransportProfile};
use rcseal_sim::matrix::{Fate, Mode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::Probed;
use crate::carrier::Way;
use crate::error::CliError;

/// How long a receipt is waited for after the message has arrived.
const RECEIPT_WAIT: Duration = Duration::from_secs(2);

/// What came in at one of the ends.
enum Arrival {
    Parts(Vec<Part<'static>>),
    Damage(Vec<&'static str>),
    Receipt,
}

/// Sends every size in both forms, and tells what became of each.
///
/// # Errors
/// [`CliError`] where a number is none.
pub(super) async fn run(
    near: &Way,
    far: &Way,
    sizes: &[usize],
    wait: Duration,
    mut tell: impl FnMut(Probed),
) -> Result<(), CliError> {
    let (own, to) = (near.number()?, far.number()?);
    let (send, mut arrivals) = mpsc::unbounded_channel();
    let mut listeners = JoinSet::new();
    listeners.spawn(listen(Arc::clone(&far.transport), own, send.clone()));
    if to != near.number()? {
        listeners.spawn(listen(Arc::clone(&near.transport), to.clone(), send));
    }
    for len in sizes {
        for is_text in [false, true] {
            // What came late for an earlier one is that one's loss.
            while arrivals.try_recv().is_ok() {}
            tell(one(&near.transport, &to, *len, is_text, wait, &mut arrivals).await);
        }
    }
    Ok(())
}

async fn one(
    near: &SipTransport,
    to: &PhoneNumber,
    len: usize,
    is_text: bool,
    wait: Duration,
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
) -> Probed {
    let form = if is_text { "text" } else { "binary" };
    let mut row = Probed {
        mode: Mode::Native,
        len,
        form,
        parts: None,
        fate: Fate::Lost("sent"),
        damage: Vec::new(),
        took: None,
        receipt: None,
        readers: vec![Reader::Participants.as_str()],
    };
    let mut blob = vec![0; len];
    rand::rng().fill_bytes(&mut blob);
    let id = FrameId::from_bytes(rand::random());
    let profile = TransportProfile { is_binary_safe: !is_text, ..near.profile() };
    let parts = match frame::split(Kind::Envelope, id, &blob, &profile) {
        Ok(parts) => parts,
        Err(error) => {
            row.fate = Fate::Failed(error.code());
            return row;
        }
    };
    row.parts = Some(parts.len());
    let begun = Instant::now();
    let latest = tokio::time::Instant::now() + wait;
    let mut refused = None;
    let sending = async {
        for part in parts {
            let carriage = match is_text {
                true => Carriage::Framed { is_text, bytes: part.to_text().into_bytes() },
                false => Carriage::Framed { is_text, bytes: part.into_bytes() },
            };
            let receipts = ReceiptRequest { delivered: true, failed: true, displayed: false };
            let id = CarrierMessageId::from_random(rand::random());
            if let Err(failure) = near.send(CarrierMessage { to: to.clone(), id, receipts, carriage }).await {
                refused = Some(failure.code());
                break;
            }
        }
        // What was sent is still on its way.
        std::future::pending::<()>().await;
    };
    let mut receipt = None;
    let mut assembly = Assembly::new(AssemblyLimits::default());
    let receiving = async {
        while let Some(arrival) = arrivals.recv().await {
            match arrival {
                Arrival::Receipt => receipt = Some(begun.elapsed()),
                Arrival::Damage(codes) => row.damage.extend(codes),
                Arrival::Parts(found) => {
                    for part in found.into_iter().filter(|part| part.id() == id) {
                        match assembly.add(part, 0) {
                            Ok(Progress::Complete(whole)) if whole.bytes == blob => return Some(begun.elapsed()),
                            // A frame has a digest over the whole, so this cannot be; were it so, it is named.
                            Ok(Progress::Complete(_)) => row.damage.push("frame_other_bytes"),
                            Ok(Progress::Waiting { .. } | Progress::Duplicate) => {}
                            Err(damage) => row.damage.push(damage.code()),
                        }
                    }
                }
            }
        }
        None
    };
    let took = tokio::select! {
        () = sending => None,
        took = receiving => took,
        () = sleep_until(latest) => None,
    };
    row.took = took;
    row.damage.sort_unstable();
    row.damage.dedup();
    if took.is_some() {
        row.fate = Fate::Delivered(DeliveryMode::Native);
        // The receipt takes another turn through the carrier.
        if receipt.is_none() {
            let waited = timeout(RECEIPT_WAIT, async {
                while let Some(arrival) = arrivals.recv().await {
                    if let Arrival::Receipt = arrival {
                        return;
                    }
                }
            });
            receipt = waited.await.is_ok().then(|| begun.elapsed());
        }
    } else if let Some(code) = refused.or_else(|| row.damage.first().copied()) {
        row.fate = Fate::Failed(code);
    }
    row.receipt = receipt;
    row
}

/// Takes in what comes for the probe, and sends receipts for it to the other end. What is not for the probe is to come later: it is for the
/// user.
async fn listen(transport: Arc<SipTransport>, other: PhoneNumber, arrivals: mpsc::UnboundedSender<Arrival>) {
    let mut receipts = JoinSet::new();
    while let Some(inbound) = transport.receive().await {
        while receipts.try_join_next().is_some() {}
        let unwrapped = chat::unwrap(&inbound.content_type, inbound.content_encoding.as_deref(), &inbound.body).ok();
        if let Some(Unwrapped { content: Content::Receipt(notification), .. }) = &unwrapped {
            if matches!(notification.kind, imdn::Kind::Delivered) {
                let _ = arrivals.send(Arrival::Receipt);
            }
            inbound.answer(Answer::Accepted);
            continue;
        }
        let found = found(&inbound, unwrapped.as_ref());
        if !found.damage.is_empty() {
            let _ = arrivals.send(Arrival::Damage(found.damage.iter().map(|damage| damage.code()).collect()));
        }
        if found.parts.is_empty() {
            let answer = if found.damage.is_empty() { Answer::TryLater } else { Answer::Malformed };
            inbound.answer(answer);
            continue;
        }
        let _ = arrivals.send(Arrival::Parts(found.into_owned().parts));
        inbound.answer(Answer::Accepted);
        if let Some(delivered) = unwrapped.and_then(|unwrapped| unwrapped.delivered()) {
            let receipt = chat::receipt(&delivered, other.clone(), CarrierMessageId::from_random(rand::random()));
            // Where both ends are one, the receipt comes back here, and its answer must not wait for its sending to end.
            let transport = Arc::clone(&transport);
            receipts.spawn(async move {
                let _ = transport.send(receipt).await;
            });
        }
    }
}

/// The frames of a message, looked for in the whole of it, and then in what a transfer encoding hid.
fn found<'a>(inbound: &'a Inbound, unwrapped: Option<&'a Unwrapped>) -> frame::Found<'a> {
    let found = frame::find_in(Some(&inbound.content_type), inbound.content_encoding.as_deref(), &inbound.body);
    match unwrapped {
        Some(Unwrapped { content: Content::Body { content_type, body }, .. }) if found.is_nothing() => {
            frame::find_in(Some(content_type), None, body)
        }
        _ => found,
    }
}
