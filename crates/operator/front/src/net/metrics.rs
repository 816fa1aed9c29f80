//! Counting connections.
//!
//! | name | kind | unit | labels | meaning |
//! |---|---|---|---|---|
//! | `connections_open` | gauge | connections | | open TLS connections, WebSockets included |
//! | `connections_refused_total` | counter | connections | `reason` | connections closed before their first request |
//!
//! The server's registry puts its prefix in front. Labels are a closed enum: no address can become one.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a connection was closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ConnectionRefusal {
    /// The server has as many connections as it may.
    Total,
    /// The peer's address has as many as it may.
    Address,
    /// The TLS handshake failed.
    Handshake,
    /// The TLS handshake took too long.
    HandshakeTimeout,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: ConnectionRefusal,
}

/// What a listener counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    open: Gauge,
    refused: Family<RefusalLabels, Counter>,
}

impl ConnectionMetrics {
    /// Counts from zero, shown by `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections_open", "Open TLS connections, WebSockets included", metrics.open.clone());
        registry.register(
            "connections_refused",
            "Connections closed before their first request",
            metrics.refused.clone(),
        );
        metrics
    }

    pub(crate) fn opened(&self) {
        self.open.inc();
    }

    pub(crate) fn closed(&self) {
        self.open.dec();
    }

    /// Counts a connection that was closed before its first request.
    pub fn refused(&self, reason: ConnectionRefusal) {
        self.refused.get_or_create(&RefusalLabels { reason }).inc();
    }
}
