//! Metrics and probes.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use rcseal_front::probes;

use crate::state::AppState;

/// The routes of the admin listener.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(probes::health))
        .route("/readyz", get(ready))
        .with_state(state)
}

async fn metrics(State(state): State<AppState>) -> Response {
    probes::metrics(state.metrics.render())
}

async fn ready(State(state): State<AppState>) -> Response {
    probes::ready(&state.stopping, &state.metrics.store_ready, state.store.check()).await
}
