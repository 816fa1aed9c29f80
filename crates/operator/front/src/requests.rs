//! Counting requests.
//!
//! | name | kind | unit | labels | meaning |
//! |---|---|---|---|---|
//! | `requests_running` | gauge | requests | | requests whose response head is not written yet |
//! | `requests_total` | counter | requests | `plane`, `outcome` | answered requests |
//! | `request_duration_seconds` | histogram | seconds | `plane` | from request head to response head |
//!
//! The server's registry puts its prefix in front. A *plane* is a closed enum of the server's own: which part of it answered.

use std::fmt;
use std::hash::Hash;
use std::time::Instant;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::http::keep_from_caches;

/// Upper bounds of the latency histogram: an fsync is about 0.2 ms, a long-poll half a minute.
const LATENCY_BOUNDS_SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// It was done.
    Accepted,
    /// The peer was refused.
    Refused,
    /// The server could not.
    Failed,
}

impl Outcome {
    /// What a status says.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        if status.is_server_error() {
            Self::Failed
        } else if status.is_client_error() {
            Self::Refused
        } else {
            Self::Accepted
        }
    }
}

/// The label of what a server counts by outcome alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// How it ended.
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RequestLabels<P> {
    plane: P,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct PlaneLabels<P> {
    plane: P,
}

// The derive knows no type parameters.
impl<P: EncodeLabelValue + Copy> EncodeLabelSet for RequestLabels<P> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("plane", self.plane).encode(encoder.encode_label())?;
        ("outcome", self.outcome).encode(encoder.encode_label())
    }
}

impl<P: EncodeLabelValue + Copy> EncodeLabelSet for PlaneLabels<P> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("plane", self.plane).encode(encoder.encode_label())
    }
}

/// What a server counts of its requests.
#[derive(Clone, Debug)]
pub struct RequestMetrics<P: Clone + Eq + Hash> {
    running: Gauge,
    answered: Family<RequestLabels<P>, Counter>,
    duration: Family<PlaneLabels<P>, Histogram>,
}

impl<P: EncodeLabelValue + Copy + fmt::Debug + Eq + Hash + Send + Sync + 'static> RequestMetrics<P> {
    /// Counts from zero, shown by `registry`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            running: Gauge::default(),
            answered: Family::default(),
            duration: Family::new_with_constructor(latency as fn() -> Histogram),
        };
        let running = "Requests whose response head is not written yet";
        registry.register("requests_running", running, metrics.running.clone());
        registry.register("requests", "Answered requests", metrics.answered.clone());
        let duration = "From request head to response head";
        registry.register_with_unit("request_duration", duration, Unit::Seconds, metrics.duration.clone());
        metrics
    }

    /// Counts and times a request, and keeps shared caches away from its answer.
    pub async fn observe(&self, plane: P, request: Request, next: Next) -> Response {
        let begun = Instant::now();
        let mut response = {
            let _running = Running::begin(&self.running);
            next.run(request).await
        };
        let (status, duration) = (response.status(), begun.elapsed());
        self.answered.get_or_create(&RequestLabels { plane, outcome: Outcome::of(status) }).inc();
        self.duration.get_or_create(&PlaneLabels { plane }).observe(duration.as_secs_f64());
        tracing::debug!(event = "request", ?plane, status = status.as_u16(), micros = duration.as_micros());
        keep_from_caches(&mut response);
        response
    }
}

/// Counts a request while it lives, also one that is dropped because its peer left.
struct Running<'a>(&'a Gauge);

impl<'a> Running<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn latency() -> Histogram {
    Histogram::new(LATENCY_BOUNDS_SECONDS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use prometheus_client::encoding::text;
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
    enum Plane {
        Mailbox,
    }

    #[tokio::test]
    async fn a_request_is_counted_by_plane_and_outcome_and_runs_no_longer() {
        let mut registry = Registry::with_prefix("rcseal");
        let metrics = RequestMetrics::register(&mut registry);
        let router = Router::new().route("/", get(async || StatusCode::NOT_FOUND)).layer(middleware::from_fn(
            move |request, next| {
                let metrics = metrics.clone();
                async move { metrics.observe(Plane::Mailbox, request, next).await }
            },
        ));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        assert!(page.contains("rcseal_requests_total{plane=\"Mailbox\",outcome=\"Refused\"} 1"), "{page}");
        assert!(page.contains("rcseal_request_duration_seconds_count{plane=\"Mailbox\"} 1"), "{page}");
        assert!(page.contains("rcseal_requests_running 0"), "{page}");
    }

    #[test]
    fn a_status_says_who_erred() {
        let statuses = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::GONE, StatusCode::SERVICE_UNAVAILABLE];
        assert_eq!(statuses.map(Outcome::of), [Outcome::Accepted, Outcome::Refused, Outcome::Failed]);
    }
}
