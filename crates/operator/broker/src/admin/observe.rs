//! Metrics and probes.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::state::AppState;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes of the admin listener.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(state)
}

async fn metrics(State(state): State<AppState>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], state.metrics.render()).into_response()
}

/// The process answers.
async fn health() -> &'static str {
    "ok\n"
}

/// The broker takes traffic: it is not stopping, and its store just made a row durable.
async fn ready(State(state): State<AppState>) -> Response {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match state.store.check().await {
        Ok(()) => {
            state.metrics.store_ready.set(1);
            "ready\n".into_response()
        }
        Err(error) => {
            state.metrics.store_ready.set(0);
            tracing::warn!(event = "not_ready", code = error.code());
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", error.code())).into_response()
        }
    }
}
