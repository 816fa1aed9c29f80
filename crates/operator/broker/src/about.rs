//! Who this broker is.

use axum::Json;
use axum::extract::State;
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::BrokerInfo;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(about))
}

/// Origin, countersigning key, relays and served numbers. Public.
#[utoipa::path(
    get, path = "/v1/broker", tag = "meta",
    responses((status = 200, body = BrokerInfo, description = "who this is")),
)]
async fn about(State(state): State<AppState>) -> Json<BrokerInfo> {
    let numbers = &state.config.numbers;
    let served = numbers.served.iter().chain(&numbers.served_of_any_kind);
    Json(BrokerInfo {
        origin: state.login.origin.clone(),
        signing_key: Base64(state.verifying_key().as_bytes().to_vec()),
        relays: state.config.relays.iter().map(|relay| relay.origin.clone()).collect(),
        served: served.map(ToString::to_string).collect(),
        mapping_lifetime_seconds: numbers.mapping_lifetime_seconds,
        now_ms: state.now().get(),
    })
}
