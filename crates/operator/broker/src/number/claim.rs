//! Sending a code.
//!
//! What a stranger can make the operator pay for is counted before anything is sent, by number, block of numbers, account, address and in
//! all, and the counts outlive a restart. The answer is the same whether somebody has the number or not.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_front::{ApiJson, AuthenticatedDevice, ConnectionInfo, Refusal};
use rcseal_store::broker::{BeginClaim, Charge, ClaimId, QuotaKey, QuotaKind};
use rcseal_wire::api::broker::{ClaimRequest, ClaimStarted, MappingHead};
use rcseal_wire::b64;
use rcseal_wire::number::E164;
use rcseal_wire::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{NumberRefusal, served};
use crate::code::Code;
use crate::metrics::CodeEvent;
use crate::state::AppState;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(begin))
}

/// Begins a claim of a number, or sends another code for the one that is running. Says nothing about who has the number.
#[utoipa::path(
    post, path = "/v1/numbers", tag = "numbers", security(("login" = [])),
    request_body = ClaimRequest,
    responses(
        (status = 202, body = ClaimStarted, description = "a code is on its way"),
        (status = 422, body = Problem, content_type = "application/problem+json",
         description = "number_not_served: numbers of this range or kind cannot be claimed here"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "code_not_sent"),
    ),
)]
async fn begin(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<ClaimRequest>,
) -> Result<(StatusCode, Json<ClaimStarted>), Refusal> {
    let peer = connection.peer().ip();
    let started = carried_out(async move { start(&state, device, peer, request.number).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

/// What sending a code uses up. The account that has the number has a count of its own: nobody keeps it from renewing by asking for codes.
fn charges(
    state: &AppState,
    device: AuthenticatedDevice,
    peer: IpAddr,
    (number, is_own): (&E164, bool),
) -> Vec<Charge> {
    let (codes, hashes) = (&state.config.codes, &state.hashes);
    let charge = |kind, key: QuotaKey, limit, window_seconds| Charge { kind, key, amount: 1, limit, window_seconds };
    vec![
        charge(
            QuotaKind::CodesToNumber,
            if is_own { hashes.of_own_number(number) } else { hashes.of_number(number) },
            codes.per_number_day_max,
            DAY,
        ),
        charge(QuotaKind::CodesByAccount, hashes.of_account(device.account()), codes.per_account_day_max, DAY),
        charge(QuotaKind::CodesByAddress, hashes.of_address(peer), codes.per_address_day_max, DAY),
        charge(QuotaKind::CodesToBlock, hashes.of_block(number), codes.per_block_hour_max, HOUR),
        charge(QuotaKind::CodesAtAll, hashes.of_everybody(), codes.per_hour_max, HOUR),
    ]
}

async fn start(
    state: &AppState,
    device: AuthenticatedDevice,
    peer: IpAddr,
    number: E164,
) -> Result<ClaimStarted, NumberRefusal> {
    let Some(to) = served(&state.config.numbers, &number) else {
        state.metrics.code(CodeEvent::NotServed);
        return Err(NumberRefusal::NotServed);
    };
    let codes = &state.config.codes;
    let now = state.now();
    // Looked up for every number, and said of the caller's own only.
    let own = state.store.number(number.clone()).await?.filter(|record| record.head.account == device.account());
    let begin = BeginClaim {
        id: ClaimId::from_bytes(rand::random()),
        device: device.address(),
        number: number.clone(),
        tries_max: codes.tries_max,
        resend_after_seconds: codes.resend_after_seconds.clone(),
        expires_at: now.plus_seconds(codes.lifetime_seconds),
        charges: charges(state, device, peer, (&number, own.is_some())),
        now,
    };
    let begun = state.store.begin_claim(begin).await.map_err(|error| match error.into() {
        NumberRefusal::TooOften { until, .. } => {
            state.metrics.code(CodeEvent::Limited);
            tracing::info!(event = "code_limited", number = %state.hashes.log(&number));
            NumberRefusal::TooOften { until, now }
        }
        other => other,
    })?;
    let code = Code::generate(&mut rand::rng());
    let mac = state.hashes.code(begun.id, &number, code.expose());
    // The hash is durable before the code leaves, so that a code that arrives is one that is good.
    if !state.store.set_code(begun.id, mac).await? {
        return Err(NumberRefusal::ClaimGone);
    }
    let account = LogId::of(device.account().as_bytes());
    if let Err(error) = state.codes.send(&to, &code).await {
        state.metrics.code(CodeEvent::NotSent);
        tracing::warn!(event = "code_not_sent", number = %state.hashes.log(&number), code = error.code);
        return Err(error.into());
    }
    state.metrics.code(CodeEvent::Sent);
    tracing::info!(event = "code_sent", number = %state.hashes.log(&number), %account);
    Ok(ClaimStarted {
        claim: b64::encode(begun.id.as_bytes()),
        expires_in_seconds: begun.expires_at.get().saturating_sub(now.get()) / 1000,
        resend_after_seconds: begun.resend_at.get().saturating_sub(now.get()).div_ceil(1000),
        current: own.map(|record| MappingHead { sequence: record.head.sequence, hash: record.head.hash }),
    })
}
