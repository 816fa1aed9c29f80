//! The registration request.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use rcseal_front::body::ApiJson;
use rcseal_front::log::LogId;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::Refusal;
use rcseal_front::requests::Outcome;
use rcseal_store::Register;
use rcseal_wire::api::RegisterRequest;
use rcseal_wire::id::{DeviceAddress, DeviceNumber};
use rcseal_wire::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::RegistrationError;
use crate::directory::{DirectoryError, VerifiedKeySet, parse_upload, put_device};
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(register)).routes(routes!(super::deletion::delete_account))
}

/// Registers an account with its primary device. Repeating the request unchanged is accepted.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "account",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "registered"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "admission_refused"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "account_exists, mailbox_taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "key_set_invalid"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
async fn register(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<RegisterRequest>,
) -> Result<StatusCode, Refusal> {
    state.limiters.anonymous(connection.peer().ip())?;
    let outcome = create(&state, request).await;
    state.metrics.registration(match &outcome {
        Ok(()) => Outcome::Accepted,
        Err(error) if error.is_failure() => Outcome::Failed,
        Err(_) => Outcome::Refused,
    });
    outcome?;
    Ok(StatusCode::CREATED)
}

async fn create(state: &AppState, request: RegisterRequest) -> Result<(), RegistrationError> {
    let admitted = state.admission.admit(request.invite.as_deref())?;
    let verified = VerifiedKeySet::first(request.key_set.0).await?;
    let account = verified.account();
    let mailbox = request.device.mailbox;
    if request.device.signed.is_none() {
        return Err(DirectoryError::PrekeyMissing { field: "device.signed is missing" }.into());
    }
    if request.device.last_resort.is_none() {
        return Err(DirectoryError::PrekeyMissing { field: "device.last_resort is missing" }.into());
    }
    let prekeys = parse_upload(request.device)?;
    state
        .store
        .register(Register {
            account,
            key_set: verified.into_stored(),
            device: DeviceNumber::PRIMARY,
            mailbox,
            delivery_tokens: vec![request.delivery_token_hash],
            invite: admitted.invite,
            now: state.clock.now(),
        })
        .await?;
    let device = DeviceAddress { account, device: DeviceNumber::PRIMARY };
    // Nobody is logged in here, and contacts know the key set and the mailbox: a repeated registration completes an interrupted one,
    // and never replaces the prekeys of a device that has some.
    let record = state.store.device(device).await.map_err(DirectoryError::Store)?;
    if !record.is_some_and(|record| record.reachable) {
        put_device(state, device, mailbox, prekeys).await?;
    }
    tracing::info!(event = "registered", account = %LogId::of(account.as_bytes()));
    Ok(())
}
