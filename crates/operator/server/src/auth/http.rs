//! The two login requests.

use axum::extract::State;
use axum::{Extension, Json};
use rcseal_crypto::ed25519::Signature;
use rcseal_wire::api::{Base64, LoginChallenge, LoginRequest, LoginResponse};
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::login::{LOGIN_NONCE_LEN, login_bytes};
use rcseal_wire::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AuthError, Bearer};
use crate::body::ApiJson;
use crate::directory;
use crate::log::LogId;
use crate::metrics::Outcome;
use crate::net::{ConnectionInfo, PendingNonce};
use crate::refusal::Refusal;
use crate::state::AppState;
use crate::takeover::{self, settle_due};

/// A challenge is answered by a program at once; a minute covers a slow phone asking its key vault.
const CHALLENGE_SECONDS: u64 = 60;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(challenge)).routes(routes!(login))
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
    state.limiters.anonymous(connection.peer().ip())?;
    let nonce: [u8; LOGIN_NONCE_LEN] = rand::random();
    let expires_at = state.clock.now().plus_seconds(CHALLENGE_SECONDS);
    connection.put_nonce(PendingNonce { nonce, expires_at });
    Ok(Json(LoginChallenge { nonce: Base64(nonce.to_vec()) }))
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
async fn login(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<Json<LoginResponse>, Refusal> {
    let address = DeviceAddress { account: request.account, device: request.device };
    settle_due(&state).await;
    let outcome = verify_login(&state, &connection, address, &request.signature.0).await;
    state.metrics.login(match &outcome {
        Ok(_) => Outcome::Accepted,
        Err(AuthError::Store(_)) => Outcome::Failed,
        Err(_) => Outcome::Refused,
    });
    let bearer = match outcome {
        Ok(bearer) => bearer,
        Err(error) => {
            tracing::info!(event = "login_refused", device = %LogId::of(&address.to_bytes()), reason = %error);
            return Err(error.into());
        }
    };
    let expires_in_seconds = state.config.limits.token_seconds_max;
    let token = state.tokens.issue(bearer, state.clock.now().plus_seconds(expires_in_seconds));
    let reset_effective_at_ms = takeover::pending_until(&state, address.account).await?;
    Ok(Json(LoginResponse { token, expires_in_seconds, reset_effective_at_ms }))
}

async fn verify_login(
    state: &AppState,
    connection: &ConnectionInfo,
    address: DeviceAddress,
    signature: &[u8],
) -> Result<Bearer, AuthError> {
    // Taken before anything else is looked at: one challenge, one attempt.
    let pending = connection.take_nonce().ok_or(AuthError::NoChallenge)?;
    if state.clock.now() >= pending.expires_at {
        return Err(AuthError::NoChallenge);
    }
    let signature = signature.try_into().map(Signature).map_err(|_| AuthError::LoginRefused)?;
    let (key, listed_at) = directory::device_auth_key(state, address).await?.ok_or(AuthError::LoginRefused)?;
    let signed = login_bytes(&state.origin, connection.exporter(), address, &pending.nonce);
    key.verify(&[&signed], &signature).map_err(|_| AuthError::LoginRefused)?;
    // Nobody but a device of the account comes this far, so it may hear that it left it a moment ago.
    // A row that is younger than the key set is another device's, which has had the number since the account was taken over meanwhile.
    let record = state.store.device(address).await?.filter(|record| record.added_at <= listed_at);
    let added_at = record.ok_or(AuthError::DeviceUnknown)?.added_at;
    Ok(Bearer { address, added_at })
}
