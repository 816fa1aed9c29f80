//! Look-ups: from a number to an account, for logged-in devices, within a quota.
//!
//! Every answer has one shape and one size and takes at least one time, whatever it says, so that whoever watches the line, or the clock,
//! learns nothing. What the answers mean:
//!
//! | answer | where |
//! |---|---|
//! | `found` | the number has a mapping in force, and its account shows it |
//! | `absent` | nobody ever claimed the number here, or gave it up, or its mapping expired long ago; a hint, no evidence |
//! | `undiscoverable` | the account hides it; its mapping expired a while ago; it moved to another carrier; or such numbers are not served |
//!
//! Whoever tries numbers in a row finds nothing most of the time: look-ups in vain have a quota of their own, and who uses it up is counted
//! as a suspected harvest.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use rcseal_front::{ApiJson, AuthenticatedDevice, ConnectionInfo, Refusal};
use rcseal_store::broker::{Charge, NumberRecord, QuotaKind};
use rcseal_store::{StoreError, UnixMillis};
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{
    LOOKUP_ANSWER_LEN, LOOKUP_KEY_SET_LEN_MAX, LookupAnswer, LookupInvitation, LookupOutcome, LookupRequest,
};
use rcseal_wire::number::E164;
use rcseal_wire::problem::{Problem, ProblemCode};
use tokio::time::{Instant, sleep_until};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::number::{is_in_force, served};
use crate::state::AppState;

const DAY: u64 = 24 * 3600;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(look_up))
}

/// Looks a number up. Every answer has the same number of bytes.
#[utoipa::path(
    post, path = "/v1/lookups", tag = "lookups", security(("login" = [])),
    request_body = LookupRequest,
    responses(
        (status = 200, body = LookupAnswer, description = "found, absent, or undiscoverable"),
        (status = 429, body = Problem, content_type = "application/problem+json",
         description = "lookup_quota_exceeded, whatever the number"),
    ),
)]
async fn look_up(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    Extension(connection): Extension<ConnectionInfo>,
    ApiJson(request): ApiJson<LookupRequest>,
) -> Result<Response, Refusal> {
    let leaves_at = Instant::now() + Duration::from_millis(state.config.lookups.answer_millis);
    let now = state.now();
    charge(&state, device, &connection, now).await?;
    let answer = find(&state, request.number, now).await?;
    state.metrics.lookup(answer.answer);
    if answer.answer != LookupOutcome::Found {
        // Noted while the answer waits for its time.
        let (state, charge) = (state.clone(), in_vain(&state, device, 1));
        tokio::spawn(async move {
            if let Err(error) = state.store.charge(vec![charge], now).await {
                tracing::warn!(event = "lookup_not_counted", code = error.code());
            }
        });
    }
    let body = padded(answer)?;
    sleep_until(leaves_at).await;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn in_vain(state: &AppState, device: AuthenticatedDevice, amount: u32) -> Charge {
    Charge {
        kind: QuotaKind::LookupsInVain,
        key: state.hashes.of_account(device.account()),
        amount,
        limit: state.config.lookups.in_vain_per_account_day_max,
        window_seconds: DAY,
    }
}

async fn charge(
    state: &AppState,
    device: AuthenticatedDevice,
    connection: &ConnectionInfo,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let (lookups, hashes) = (&state.config.lookups, &state.hashes);
    let charge = |kind, key, limit| Charge { kind, key, amount: 1, limit, window_seconds: DAY };
    let charges = vec![
        in_vain(state, device, 0),
        charge(QuotaKind::LookupsByAccount, hashes.of_account(device.account()), lookups.per_account_day_max),
        charge(QuotaKind::LookupsByAddress, hashes.of_address(connection.peer().ip()), lookups.per_address_day_max),
    ];
    let Err(exhausted) = state.store.charge(charges, now).await? else { return Ok(()) };
    state.metrics.lookup_limited();
    if exhausted.kind == QuotaKind::LookupsInVain {
        state.metrics.harvests_suspected.inc();
        let account = rcseal_front::log::LogId::of(device.account().as_bytes());
        tracing::warn!(event = "harvest_suspected", %account);
    }
    let seconds = exhausted.until.get().saturating_sub(now.get()).div_ceil(1000);
    Err(Refusal::retry_after(ProblemCode::LookupQuotaExceeded, seconds.max(1)))
}

/// What may be said of a number.
fn outcome(state: &AppState, number: &E164, record: Option<&NumberRecord>, now: UnixMillis) -> LookupOutcome {
    if served(&state.config.numbers, number).is_none() {
        return LookupOutcome::Undiscoverable;
    }
    let Some(record) = record else { return LookupOutcome::Absent };
    if record.ported_at.is_some() || !record.discoverable {
        return LookupOutcome::Undiscoverable;
    }
    if is_in_force(record, now) {
        return LookupOutcome::Found;
    }
    let quarantine = state.config.numbers.quarantine_seconds;
    let is_over = record.released.is_some() || record.head.expires_at.plus_seconds(quarantine) <= now;
    if is_over { LookupOutcome::Absent } else { LookupOutcome::Undiscoverable }
}

async fn find(state: &AppState, number: E164, now: UnixMillis) -> Result<LookupAnswer, StoreError> {
    let record = state.store.number(number.clone()).await?;
    // An account is read for every number, so that the store is asked as often.
    let account = record.as_ref().map(|record| record.head.account);
    let reader = account.unwrap_or(rcseal_wire::id::AccountId::from_bytes([0; 16]));
    let enrolment = state.store.account_enrolment(reader).await?;
    let nothing = |answer| LookupAnswer {
        answer,
        mapping: None,
        key_set: None,
        invitation: None,
        proof: None,
        padding: String::new(),
    };
    let answer = outcome(state, &number, record.as_ref(), now);
    let (LookupOutcome::Found, Some(record)) = (answer, record) else { return Ok(nothing(answer)) };
    // A mapping whose account is gone from here leads nowhere.
    let Some(enrolment) = enrolment else { return Ok(nothing(LookupOutcome::Undiscoverable)) };
    Ok(LookupAnswer {
        mapping: Some(Base64(record.head.bytes.to_vec())),
        key_set: (record.head.key_set.len() <= LOOKUP_KEY_SET_LEN_MAX).then(|| Base64(record.head.key_set.to_vec())),
        invitation: Some(LookupInvitation {
            relay: enrolment.relay,
            account: record.head.account,
            delivery_token: Base64(enrolment.delivery_token.expose().to_vec()),
        }),
        ..nothing(LookupOutcome::Found)
    })
}

/// Fills an answer up to its one size.
fn padded(mut answer: LookupAnswer) -> Result<Vec<u8>, Refusal> {
    let internal = |_| Refusal::new(ProblemCode::Internal);
    let len = serde_json::to_vec(&answer).map_err(internal)?.len();
    answer.padding = "=".repeat(LOOKUP_ANSWER_LEN.saturating_sub(len));
    serde_json::to_vec(&answer).map_err(internal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcseal_credential::mapping::MAPPING_LEN_MAX;

    use super::*;

    #[test]
    fn the_emptiest_and_the_fullest_answer_have_one_size() {
        let nothing = LookupAnswer {
            answer: LookupOutcome::Absent,
            mapping: None,
            key_set: None,
            invitation: None,
            proof: None,
            padding: String::new(),
        };
        let everything = LookupAnswer {
            answer: LookupOutcome::Undiscoverable,
            mapping: Some(Base64(vec![0xff; MAPPING_LEN_MAX])),
            key_set: Some(Base64(vec![0xff; LOOKUP_KEY_SET_LEN_MAX])),
            invitation: Some(LookupInvitation {
                relay: format!("https://{}.example:65535", vec!["a".repeat(60); 4].join(".")).parse().unwrap(),
                account: rcseal_wire::id::AccountId::from_bytes([0xff; 16]),
                delivery_token: Base64(vec![0xff; 32]),
            }),
            ..nothing.clone()
        };
        for answer in [nothing, everything] {
            assert_eq!(padded(answer).unwrap().len(), LOOKUP_ANSWER_LEN);
        }
    }
}
