//! From a carrier to a mailbox.
//!
//! ```text
//!            ┌─ whole envelope ───────────────► the bytes as they are ─┐
//! arrival ───┼─ part ──► durable ──► joined ──► the bytes as they are ─┼──► relay ──► answered
//!            └─ anything else ────────────────► sealed to the device ──┘      └ away ──► durable here ──► answered
//! ```
//!
//! Nothing is answered to the carrier as taken before it is durable: at the relay, or in the broker's store where the relay is away or the
//! thing is a part. Ids follow from content, so that whatever is repeated, by the carrier, by somebody who recorded it or by ourselves after
//! a crash, is the relay's duplicate: it remembers ids as long as it would have kept the message. What this module remembers beside that only saves work.
//!
//! An envelope of a broker's kind that comes from a carrier is not passed on as one: anybody could put words into the broker's mouth that way.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rcseal_crypto::hash::sha256;
use rcseal_front::clock::Clock;
use rcseal_front::limiter::KeyedLimiter;
use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::frame::{self, Assembly, AssemblyLimits, Part, Progress};
use rcseal_store::broker::forward::{
    FrameKey, OpenFrame, Part as StoredPart, PartOutcome, Queued, Settle, SettleOutcome,
};
use rcseal_store::{BrokerStore, StoreError};
use rcseal_wire::carrier_delivery::{BODY_LEN_MAX, CarrierDelivery, CarrierDeliveryError, forwarded_id};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::frame::{Submit, TTL_SECONDS_MAX};
use rcseal_wire::id::EnvelopeId;
use rcseal_wire::number::E164;
use tokio::sync::Notify;

use super::arrival::Arrival;
use super::metrics::{ForwardMetrics, InboundOutcome};
use super::recent::Recent;
use super::relay::{Away, Relays, Submitted};
use super::route::{Route, Routes};

/// How long a relay keeps what we submit, and how long copies are recognised: as long as relays take anything for.
pub(crate) const KEEP_SECONDS: u32 = TTL_SECONDS_MAX;

/// How long we keep what a relay does not take: longer than an outage that nobody looks after, shorter than anybody waits for a message.
const QUEUE_SECONDS: u64 = 3 * 24 * 3600;

/// What became of something that came in. In all of these it is durable, here or at the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The relay has it.
    Forwarded,
    /// It waits here for the relay.
    Queued,
    /// A part that waits for others.
    Waiting,
    /// It came before.
    Duplicate,
}

/// Why something that came in was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Nobody has this number here, or whoever has it takes nothing more.
    #[error("nobody has this number here")]
    UnknownNumber,
    /// No mailbox takes a body of this length.
    #[error("too large to be passed on")]
    TooLarge,
    /// Too much from this sender, or for this number.
    #[error("too much at once")]
    TooMuch,
    /// The mailbox, or the room here, is full.
    #[error("no room for it")]
    Full,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Refused {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::UnknownNumber => "number_unknown",
            Self::TooLarge => "too_large",
            Self::TooMuch => "rate_limited",
            Self::Full => "quota_exceeded",
            Self::Store(source) => source.code(),
        }
    }

    const fn outcome(&self) -> InboundOutcome {
        match self {
            Self::UnknownNumber => InboundOutcome::UnknownNumber,
            Self::TooLarge => InboundOutcome::TooLarge,
            Self::TooMuch | Self::Full => InboundOutcome::TooMuch,
            Self::Store(_) => InboundOutcome::Unavailable,
        }
    }
}

/// How much may come in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InboundLimits {
    /// From one number.
    pub(crate) per_sender: u32,
    /// For one number.
    pub(crate) per_recipient: u32,
}

/// What every way into the broker shares.
pub(crate) struct Inbound {
    pub(super) routes: Arc<dyn Routes>,
    pub(super) store: Arc<dyn BrokerStore>,
    pub(super) relays: Relays,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: ForwardMetrics,
    /// Wakes whoever empties the queue.
    pub(super) queued: Notify,
    senders: KeyedLimiter<[u8; 16]>,
    recipients: KeyedLimiter<E164>,
    recent: Mutex<Recent>,
}

/// An envelope on its way, and what becomes true with it.
struct Outgoing<'a> {
    route: &'a Route,
    id: EnvelopeId,
    envelope: Bytes,
    marks: Vec<EnvelopeId>,
    joined: Option<FrameKey>,
}

impl Inbound {
    pub(crate) fn new(
        routes: Arc<dyn Routes>,
        store: Arc<dyn BrokerStore>,
        relays: Relays,
        clock: Arc<dyn Clock>,
        metrics: ForwardMetrics,
        limits: InboundLimits,
    ) -> Self {
        Self {
            routes,
            store,
            relays,
            clock,
            metrics,
            queued: Notify::new(),
            senders: KeyedLimiter::per_minute(limits.per_sender),
            recipients: KeyedLimiter::per_minute(limits.per_recipient),
            recent: Mutex::default(),
        }
    }

    /// Takes something in. `Ok` is what a carrier may be told.
    pub(crate) async fn take(&self, arrival: Arrival) -> Result<Taken, Refused> {
        let result = self.take_inner(arrival).await;
        self.metrics.inbound(match &result {
            Ok(Taken::Forwarded) => InboundOutcome::Forwarded,
            Ok(Taken::Queued) => InboundOutcome::Queued,
            Ok(Taken::Waiting) => InboundOutcome::Waiting,
            Ok(Taken::Duplicate) => InboundOutcome::Duplicate,
            Err(refused) => refused.outcome(),
        });
        result
    }

    async fn take_inner(&self, arrival: Arrival) -> Result<Taken, Refused> {
        let is_allowed = self.senders.allows(&arrival.peer(), NonZeroU32::MIN)
            && self.recipients.allows(&arrival.to, NonZeroU32::MIN);
        if !is_allowed {
            return Err(Refused::TooMuch);
        }
        let route = self.routes.route(&arrival.to).await?.ok_or(Refused::UnknownNumber)?;
        let parts = parts_in(&arrival);
        if parts.is_empty() {
            return self.pass_on_sealed(&route, &arrival, None).await;
        }
        let mut worst = Taken::Duplicate;
        for part in parts {
            let taken = self.take_part(&route, &arrival, part).await?;
            if taken != Taken::Duplicate {
                worst = taken;
            }
        }
        Ok(worst)
    }

    async fn take_part(&self, route: &Route, arrival: &Arrival, part: Part<'_>) -> Result<Taken, Refused> {
        let alone = arrival.with_body(frame::MEDIA_TYPE, part.as_bytes().to_vec());
        if part.of() == 1 {
            return match join([part]) {
                Some(envelope) => self.pass_on(route, envelope, None).await,
                None => self.pass_on_sealed(route, &alone, None).await,
            };
        }
        let key = FrameKey { to: arrival.to.clone(), peer: arrival.peer(), frame: *part.id().as_bytes() };
        if self.store.is_marked(frame_mark(&key)).await? {
            return Ok(Taken::Duplicate);
        }
        // The row is the same whenever the part comes: the time is that of the frame.
        let row = alone.delivery(alone.plain_id(), 0).to_bytes().map_err(|_| Refused::TooLarge)?;
        let stored = StoredPart { number: part.number(), of: part.of(), row: row.into() };
        match self.store.take_part(key.clone(), stored, self.clock.now()).await? {
            PartOutcome::Waiting => Ok(Taken::Waiting),
            PartOutcome::Complete(parts) => self.pass_on_frame(route, key, &parts).await,
            // Which of the two is genuine cannot be known here; the app has both.
            PartOutcome::Mixed => self.pass_on_sealed(route, &alone, None).await,
            PartOutcome::Full => Err(Refused::Full),
        }
    }

    /// A frame whose parts are all there.
    async fn pass_on_frame(&self, route: &Route, key: FrameKey, parts: &[StoredPart]) -> Result<Taken, Refused> {
        let found = parts.iter().filter_map(|part| part_of(&part.row));
        match join(found) {
            Some(envelope) => self.pass_on(route, envelope, Some(key)).await,
            None => self.pass_on_parts(route, key, parts, true).await,
        }
    }

    /// Parts that do not make an envelope: the app may know better.
    async fn pass_on_parts(
        &self,
        route: &Route,
        key: FrameKey,
        parts: &[StoredPart],
        is_over: bool,
    ) -> Result<Taken, Refused> {
        for part in parts {
            let Ok(delivery) = CarrierDelivery::parse(&part.row) else { continue };
            self.pass_on_sealed(route, &Arrival::of_delivery(delivery), None).await?;
        }
        let marks = if is_over { vec![self.mark(frame_mark(&key))] } else { Vec::new() };
        self.store.settle(Settle { queue: None, marks, joined: Some(key) }).await?;
        Ok(Taken::Forwarded)
    }

    fn mark(&self, id: EnvelopeId) -> (EnvelopeId, rcseal_store::UnixMillis) {
        (id, self.clock.now().plus_seconds(u64::from(KEEP_SECONDS)))
    }

    /// Passes an envelope on as it is.
    async fn pass_on(&self, route: &Route, envelope: Vec<u8>, joined: Option<FrameKey>) -> Result<Taken, Refused> {
        let id = forwarded_id(&route.to.mailbox, &envelope);
        if joined.is_none() && self.is_recent(&id) {
            return Ok(Taken::Duplicate);
        }
        let marks = joined.iter().map(frame_mark).collect();
        self.submit(Outgoing { route, id, envelope: envelope.into(), marks, joined }).await
    }

    /// Seals what came in to the device, and passes that on.
    pub(super) async fn pass_on_sealed(
        &self,
        route: &Route,
        arrival: &Arrival,
        joined: Option<FrameKey>,
    ) -> Result<Taken, Refused> {
        if arrival.body.len() > BODY_LEN_MAX {
            return Err(Refused::TooLarge);
        }
        let id = arrival.plain_id();
        if self.is_recent(&id) || self.store.is_marked(id).await? {
            return Ok(Taken::Duplicate);
        }
        let delivery = arrival.delivery(id, self.clock.now().get());
        let sealed = delivery.seal(&route.sealing_key, route.to.device, &mut rand::rng());
        let envelope = sealed.map_err(|error| match error {
            CarrierDeliveryError::TooLarge { .. } => Refused::TooLarge,
            // Headers that are longer than any, or not of visible characters.
            CarrierDeliveryError::Malformed
            | CarrierDeliveryError::UnknownVersion { .. }
            | CarrierDeliveryError::SealBroken => Refused::TooLarge,
        })?;
        self.submit(Outgoing { route, id, envelope: envelope.into(), marks: vec![id], joined }).await
    }

    async fn submit(&self, outgoing: Outgoing<'_>) -> Result<Taken, Refused> {
        let Outgoing { route, id, envelope, marks, joined } = outgoing;
        let submit = Submit {
            mailbox: route.to.mailbox,
            token: route.to.token.duplicate(),
            id,
            ttl_seconds: KEEP_SECONDS,
            envelope: envelope.clone(),
        };
        let marks: Vec<_> = marks.into_iter().map(|id| self.mark(id)).collect();
        let taken = match self.relays.submit(&route.to.relay, &submit).await {
            Ok(Submitted::Stored) => Taken::Forwarded,
            // Of what is sealed, every sealing has other bytes; what the id stands for is the same.
            Ok(Submitted::Duplicate | Submitted::IdConflict) => Taken::Duplicate,
            Ok(Submitted::Refused) => return Err(Refused::UnknownNumber),
            Ok(Submitted::Full) => return Err(Refused::Full),
            Ok(Submitted::Unfit) => return Err(Refused::TooLarge),
            Err(away) => {
                log_away(away);
                let expires_at = self.clock.now().plus_seconds(QUEUE_SECONDS);
                let queue = Some(Queued { device: route.to.device, id, expires_at, envelope });
                return match self.store.settle(Settle { queue, marks, joined }).await? {
                    SettleOutcome::Done => {
                        self.remember(id);
                        self.queued.notify_one();
                        Ok(Taken::Queued)
                    }
                    SettleOutcome::QueueFull => Err(Refused::Full),
                };
            }
        };
        if !marks.is_empty() || joined.is_some() {
            self.store.settle(Settle { queue: None, marks, joined }).await?;
        }
        self.remember(id);
        Ok(taken)
    }

    fn is_recent(&self, id: &EnvelopeId) -> bool {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).holds(id)
    }

    fn remember(&self, id: EnvelopeId) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).put(id);
    }

    /// A frame that was open for too long, or that was whole when we stopped.
    pub(super) async fn close_frame(&self, open: OpenFrame) -> Result<(), Refused> {
        let Some(route) = self.routes.route(&open.key.to).await? else {
            // Whoever had the number has it no more, and what came for them is nobody else's.
            self.store.settle(Settle { queue: None, marks: Vec::new(), joined: Some(open.key) }).await?;
            return Ok(());
        };
        let is_whole = open.parts.first().is_some_and(|part| usize::from(part.of) == open.parts.len());
        let result = if is_whole {
            self.pass_on_frame(&route, open.key, &open.parts).await
        } else {
            self.pass_on_parts(&route, open.key, &open.parts, false).await
        };
        result.map(drop)
    }

    /// Forgets what limits remember of those who have been quiet.
    pub(super) fn tidy(&self) {
        self.senders.tidy();
        self.recipients.tidy();
    }
}

fn log_away(away: Away) {
    tracing::debug!(code = away.code(), "forward.relay_away");
}

/// A frame that is over is named by this.
fn frame_mark(key: &FrameKey) -> EnvelopeId {
    let hash = sha256(&[b"rcseal/broker-frame/v1", &key.peer, &key.frame, key.to.as_str().as_bytes()]);
    EnvelopeId::from_bytes(*hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes"))
}

/// The parts in what came in: none where anything about it is out of order, because then the app should see all of it.
fn parts_in(arrival: &Arrival) -> Vec<Part<'static>> {
    let unwrapped = chat::unwrap(&arrival.content_type, arrival.content_encoding.as_deref(), &arrival.body);
    let found = match unwrapped.map(|unwrapped| unwrapped.content) {
        Ok(Content::Body { content_type, body }) => frame::find_in(Some(&content_type), None, &body).into_owned(),
        Ok(Content::Receipt(_) | Content::Composing(_)) | Err(_) => return Vec::new(),
    };
    if found.damage.is_empty() { found.parts } else { Vec::new() }
}

/// The part in a kept row.
fn part_of(row: &[u8]) -> Option<Part<'static>> {
    let delivery = CarrierDelivery::parse(row).ok()?;
    Part::parse(&delivery.body).ok().map(Part::into_owned)
}

/// The envelope that these parts are, if they are one that a device made.
fn join<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Option<Vec<u8>> {
    let mut assembly = Assembly::new(AssemblyLimits { frames: 1, ..AssemblyLimits::default() });
    let mut whole = None;
    for part in parts {
        match assembly.add(part, 0) {
            Ok(Progress::Complete(blob)) => whole = Some(blob.into_owned().bytes.into_owned()),
            Ok(Progress::Waiting { .. } | Progress::Duplicate) => {}
            Err(_) => return None,
        }
    }
    let bytes = whole?;
    match Envelope::parse(&bytes) {
        Ok(Envelope::First { .. } | Envelope::Session { .. }) => Some(bytes),
        Ok(Envelope::Forwarded { .. }) | Err(_) => None,
    }
}
