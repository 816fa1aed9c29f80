//! The route by which devices send out.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::{ApiJson, Refusal};
use rcseal_rcs::transport::SendFailure;
use rcseal_wire::api::outbound::{OUTBOUND_REQUEST_LEN_MAX, OutboundAnswer, OutboundRequest};
use rcseal_wire::problem::{Problem, ProblemCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::outbound::OutboundError;
use crate::state::AppState;

/// How long a device waits that sends too much: its limit counts by the minute.
const RETRY_SECONDS: u64 = 5;

/// The routes.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(outbound)).layer(DefaultBodyLimit::max(OUTBOUND_REQUEST_LEN_MAX))
}

/// Sends a message by the carrier.
#[utoipa::path(
    post, path = "/v1/outbound", tag = "forward",
    request_body = OutboundRequest,
    responses(
        (status = 202, body = OutboundAnswer),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem), (status = 502, body = Problem), (status = 503, body = Problem),
        (status = 504, body = Problem),
    )
)]
async fn outbound(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(request): ApiJson<OutboundRequest>,
) -> Result<(StatusCode, Json<OutboundAnswer>), Refusal> {
    let (address, forward) = (device.address(), std::sync::Arc::clone(&state.forward));
    // Sent is sent: whether the device waits for the answer does not matter to the carrier, and the outcome must be noted down.
    let sending = async move { forward.outbound.send(address, request).await };
    let taken = rcseal_front::carried_out::carried_out(sending).await.map_err(Refusal::from)?;
    Ok((StatusCode::ACCEPTED, Json(OutboundAnswer { taken })))
}

impl From<OutboundError> for Refusal {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Malformed => Self::new(ProblemCode::Malformed),
            OutboundError::TooLarge => Self::new(ProblemCode::TooLarge),
            OutboundError::NotYours => Self::new(ProblemCode::NumberNotYours),
            OutboundError::IdConflict => Self::new(ProblemCode::IdConflict),
            OutboundError::TooMany => Self::retry_after(ProblemCode::RateLimited, RETRY_SECONDS),
            OutboundError::Carrier(failure) => of_failure(&failure),
            OutboundError::Store(source) => Self::from(source),
        }
    }
}

fn of_failure(failure: &SendFailure) -> Refusal {
    match failure {
        SendFailure::UnsupportedMedia => Refusal::new(ProblemCode::CarrierUnsupportedMedia),
        SendFailure::NotFound => Refusal::new(ProblemCode::CarrierNotFound),
        SendFailure::TooLarge => Refusal::new(ProblemCode::CarrierTooLarge),
        SendFailure::Refused { .. } => Refusal::new(ProblemCode::CarrierRefused),
        SendFailure::Busy { retry_after } => {
            Refusal::retry_after(ProblemCode::CarrierBusy, u64::from(retry_after.unwrap_or(1)))
        }
        SendFailure::Unauthorized => Refusal::new(ProblemCode::CarrierUnauthorized),
        SendFailure::NoAnswer => Refusal::new(ProblemCode::CarrierNoAnswer),
        SendFailure::Unreachable => Refusal::new(ProblemCode::CarrierUnreachable),
        SendFailure::Unfit => Refusal::new(ProblemCode::CarrierUnfit),
    }
}
