//! What an admin listener answers: the metrics page, and whether the process lives and takes traffic. It is plain HTTP and changes nothing.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::metrics::gauge::Gauge;
use rcseal_store::StoreError;
use tokio_util::sync::CancellationToken;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics`: a page in the OpenMetrics text format.
#[must_use]
pub fn metrics(page: String) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], page).into_response()
}

/// `/healthz`: the process answers. Says nothing about the store: a supervisor that restarts on this probe must not restart for a full disk.
pub async fn health() -> &'static str {
    "ok\n"
}

/// `/readyz`: the server takes traffic, because it is not `stopping` and `check`, which makes a row of its store durable, succeeds.
/// `store_ready` shows the same to whoever reads metrics.
pub async fn ready(
    stopping: &CancellationToken,
    store_ready: &Gauge,
    check: impl Future<Output = Result<(), StoreError>>,
) -> Response {
    if stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match check.await {
        Ok(()) => {
            store_ready.set(1);
            "ready\n".into_response()
        }
        Err(error) => {
            store_ready.set(0);
            tracing::warn!(event = "not_ready", code = error.code());
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", error.code())).into_response()
        }
    }
}
