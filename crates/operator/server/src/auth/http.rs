//! The two login requests.

use axum::extract::State;
use axum::{Extension, Json};
use rcseal_front::body::ApiJson;
use rcseal_front::login;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::Refusal;
use rcseal_wire::api::{LoginChallenge, LoginRequest, LoginResponse};
use rcseal_wire::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;
use crate::takeover;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(challenge)).routes(routes!(log_in))
}

/// Asks for a nonce for one login attempt on this very TLS connection, within a minute.
#[utoipa::path(
    post, path = "/v1/login/challenge", tag = "login",
    responses(
        (status = 200, body = LoginChallenge, description = "a nonce for this connection"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
async fn challenge(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
) -> Result<Json<LoginChallenge>, Refusal> {
    Ok(Json(login::challenge(&state, &connection)?))
}

/// Logs a device in. The signature covers the origin, this connection's TLS exporter value, account, device and the nonce.
#[utoipa::path(
    post, path = "/v1/login", tag = "login",
    request_body = LoginRequest,
    responses(
        (status = 200, body = LoginResponse, description = "logged in"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "login_refused"),
    ),
)]
async fn log_in(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<Json<LoginResponse>, Refusal> {
    let login::LoggedIn { address, token, expires_in_seconds } = login::log_in(&state, &connection, &request).await?;
    let reset_effective_at_ms = takeover::pending_until(&state, address.account).await?;
    Ok(Json(LoginResponse { token, expires_in_seconds, reset_effective_at_ms }))
}
