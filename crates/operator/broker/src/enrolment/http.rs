//! Challenge, login and enrolment.

use axum::extract::State;
use axum::{Extension, Json};
use rcseal_crypto::ed25519::Signature;
use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_front::login::{self, Bearer, LoginHost as _};
use rcseal_front::requests::Outcome;
use rcseal_front::{ApiJson, ConnectionInfo, Refusal};
use rcseal_store::broker::Enrolment;
use rcseal_wire::api::broker::EnrolmentRequest;
use rcseal_wire::api::{LoginChallenge, LoginRequest, LoginResponse};
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::login::login_bytes;
use rcseal_wire::problem::{Problem, ProblemCode};
use rcseal_wire::token::DeliveryToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::EnrolmentError;
use super::key_set::{check_follows, listed, stored, verify};
use super::refresh::keep_fresh;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(challenge)).routes(routes!(log_in)).routes(routes!(enrol))
}

/// Asks for a nonce for one login or enrolment on this very TLS connection, within a minute.
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

/// Logs an enrolled device in. The signature covers the broker's origin, this connection's TLS exporter value, account, device and nonce.
#[utoipa::path(
    post, path = "/v1/login", tag = "login",
    request_body = LoginRequest,
    responses(
        (status = 200, body = LoginResponse, description = "logged in"),
        (status = 401, body = Problem, content_type = "application/problem+json",
         description = "login_refused; device_unknown: it left its key set. Enrol (again)"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "relay_disagrees: the relay does not take the delivery token any more. Enrol again"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "relay_unreachable"),
    ),
)]
async fn log_in(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<Json<LoginResponse>, Refusal> {
    let added_at = state.added_at(DeviceAddress { account: request.account, device: request.device }).await?;
    let logged_in = login::log_in(&state, &connection, &request).await?;
    // Nobody but a device that the broker knows makes it ask a relay.
    keep_fresh(&state, request.account).await?;
    if state.added_at(logged_in.address).await? != added_at {
        return Err(ProblemCode::DeviceUnknown.into());
    }
    let (token, expires_in_seconds) = (logged_in.token, logged_in.expires_in_seconds);
    Ok(Json(LoginResponse { token, expires_in_seconds, reset_effective_at_ms: None }))
}

/// Enrols a device of an account, and logs it in. On a connection that has asked for a challenge.
#[utoipa::path(
    post, path = "/v1/broker/enrolment", tag = "login",
    request_body = EnrolmentRequest,
    responses(
        (status = 200, body = LoginResponse, description = "enrolled and logged in"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "login_refused"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "relay_disagrees: it answers another key set, or refuses the token; key_set_rollback"),
        (status = 422, body = Problem, content_type = "application/problem+json",
         description = "key_set_invalid; relay_unknown: the broker does not serve it"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "relay_unreachable"),
    ),
)]
async fn enrol(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<EnrolmentRequest>,
) -> Result<Json<LoginResponse>, Refusal> {
    state.limiters.enrolment(connection.peer().ip())?;
    let delivery_token = DeliveryToken::parse(&request.delivery_token.0)
        .map_err(|_| Refusal::with_detail(ProblemCode::Malformed, "a delivery token has 32 bytes"))?;
    let outcome = carried_out(async move {
        let outcome = begin(&state, &connection, request, delivery_token).await;
        state.attempted(match &outcome {
            Ok(_) => Outcome::Accepted,
            Err(error) if error.is_failure() => Outcome::Failed,
            Err(_) => Outcome::Refused,
        });
        outcome
    });
    Ok(Json(outcome.await?))
}

async fn begin(
    state: &AppState,
    connection: &ConnectionInfo,
    request: EnrolmentRequest,
    delivery_token: DeliveryToken,
) -> Result<LoginResponse, EnrolmentError> {
    // Taken before anything else is looked at: one challenge, one attempt.
    let pending = connection.take_nonce().ok_or(EnrolmentError::LoginRefused)?;
    let now = state.now();
    if now >= pending.expires_at {
        return Err(EnrolmentError::LoginRefused);
    }
    if state.relays.tls(&request.relay).is_none() {
        return Err(EnrolmentError::RelayUnknown);
    }
    let sent = request.key_set.0;
    let key_set = verify(sent.clone()).await?;
    let address = DeviceAddress { account: key_set.account(), device: request.device };
    let entry = key_set.device(request.device).ok_or(EnrolmentError::LoginRefused)?;
    let signature = request.signature.0.try_into().map(Signature).map_err(|_| EnrolmentError::LoginRefused)?;
    let signed = login_bytes(&state.login.origin, connection.exporter(), address, &pending.nonce);
    entry.auth_key().verify(&[&signed], &signature).map_err(|_| EnrolmentError::LoginRefused)?;

    if state.relays.key_set(&request.relay, address.account, &delivery_token).await? != sent {
        tracing::info!(event = "relay_disagrees", account = %LogId::of(address.account.as_bytes()));
        return Err(EnrolmentError::RelayDisagrees);
    }
    let key_set = match state.store.account_enrolment(address.account).await? {
        Some(known) => check_follows(state, &request.relay, &delivery_token, &known.key_set, key_set).await?,
        None => key_set,
    };
    let enrolment = Enrolment {
        device: address,
        mailbox: request.mailbox,
        relay: request.relay,
        delivery_token,
        key_set: stored(&key_set),
        listed: listed(&key_set),
        now,
    };
    let enrolled = state.store.enrol(enrolment).await?;
    tracing::info!(event = "enrolled", account = %LogId::of(address.account.as_bytes()), device = address.device.get());
    let expires_in_seconds = state.login.token_seconds;
    let bearer = Bearer { address, added_at: enrolled.added_at };
    let token = state.login.tokens.issue(bearer, state.now().plus_seconds(expires_in_seconds));
    Ok(LoginResponse { token, expires_in_seconds, reset_effective_at_ms: None })
}
