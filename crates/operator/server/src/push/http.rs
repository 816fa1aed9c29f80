//! Registering for wake-ups, and ending it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use rcseal_front::body::ApiJson;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::refusal::Refusal;
use rcseal_front::requests::Outcome;
use rcseal_store::{NewPush, RegisterPushError};
use rcseal_wire::api::Base64;
use rcseal_wire::api::push::{PushHandle, PushRegister, PushRegisterError, PushRegistered};
use rcseal_wire::problem::{Problem, ProblemCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(register, remove))
}

/// Registers the device at a push service, in place of what it had registered. The handle is a new one each time. A token that another device had registered is this device's from now on.
#[utoipa::path(
    put, path = "/v1/push", tag = "push", security(("login" = [])),
    request_body = PushRegister,
    responses(
        (status = 200, body = PushRegistered, description = "registered"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "malformed, out_of_range"),
    ),
)]
async fn register(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(registration): ApiJson<PushRegister>,
) -> Result<Json<PushRegistered>, Refusal> {
    let outcome = store(&state, device, registration).await;
    state.metrics.push_registration(match &outcome {
        Ok(_) => Outcome::Accepted,
        Err(refusal) if refusal.problem().status >= 500 => Outcome::Failed,
        Err(_) => Outcome::Refused,
    });
    outcome.map(Json)
}

async fn store(
    state: &AppState,
    device: AuthenticatedDevice,
    registration: PushRegister,
) -> Result<PushRegistered, Refusal> {
    // The body may have taken a minute to come in; see `AuthenticatedDevice`.
    auth::record(state, device).await?;
    registration.check().map_err(|error| {
        Refusal::with_detail(
            ProblemCode::OutOfRange,
            match error {
                PushRegisterError::Token => "the token is empty or too long",
                PushRegisterError::App => "the app's name is empty, too long, or has other characters than a name has",
            },
        )
    })?;
    let PushRegister { provider, token: Base64(token), app } = registration;
    let handle = PushHandle::generate(&mut rand::rng());
    let push = NewPush { device: device.address(), provider, token: Bytes::from(token), app, handle };
    state.store.register_push(push).await.map_err(|error| match error {
        RegisterPushError::UnknownDevice => ProblemCode::DeviceUnknown.into(),
        RegisterPushError::Store(source) => Refusal::from(source),
    })?;
    Ok(PushRegistered { handle })
}

/// Ends the device's registration; nothing happens when it has none.
#[utoipa::path(
    delete, path = "/v1/push", tag = "push", security(("login" = [])),
    responses((status = 204, description = "not registered any more")),
)]
async fn remove(State(state): State<AppState>, device: AuthenticatedDevice) -> Result<StatusCode, Refusal> {
    auth::record(&state, device).await?;
    state.store.remove_push(device.address(), None).await?;
    Ok(StatusCode::NO_CONTENT)
}
