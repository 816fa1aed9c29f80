//! What forwarding counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of something that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum InboundOutcome {
    Forwarded,
    Queued,
    Waiting,
    Duplicate,
    UnknownNumber,
    TooLarge,
    TooMuch,
    Unavailable,
}

/// What became of something that waited for a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum QueueOutcome {
    Delivered,
    Refused,
    Gone,
    Expired,
}

/// What became of something that an app sent out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum OutboundOutcome {
    Taken,
    Repeated,
    Refused,
    Failed,
}

macro_rules! label_sets {
    ($($set:ident: $label:ident),*) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $set { outcome: $label }
    )*};
}

label_sets! { Inbound: InboundOutcome, Queue: QueueOutcome, Outbound: OutboundOutcome }

/// Counters of the way between carriers and mailboxes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForwardMetrics {
    inbound: Family<Inbound, Counter>,
    queue: Family<Queue, Counter>,
    outbound: Family<Outbound, Counter>,
    waiting: Gauge,
}

impl ForwardMetrics {
    /// Shows them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("forward_inbound", "Messages from carriers, by what became of them", metrics.inbound.clone());
        registry.register(
            "forward_queue",
            "Envelopes that waited for a relay, by what became of them",
            metrics.queue.clone(),
        );
        registry.register("forward_outbound", "Messages to carriers, by what became of them", metrics.outbound.clone());
        registry.register("forward_waiting", "Envelopes that wait for relays", metrics.waiting.clone());
        metrics
    }

    pub(crate) fn inbound(&self, outcome: InboundOutcome) {
        self.inbound.get_or_create(&Inbound { outcome }).inc();
    }

    pub(crate) fn queue(&self, outcome: QueueOutcome) {
        self.queue.get_or_create(&Queue { outcome }).inc();
    }

    pub(crate) fn outbound(&self, outcome: OutboundOutcome) {
        self.outbound.get_or_create(&Outbound { outcome }).inc();
    }

    pub(crate) fn waiting(&self, count: u64) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
