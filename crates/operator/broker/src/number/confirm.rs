//! The code comes back, with a statement.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rcseal_credential::mapping::{Action, SignedStatement, WAIT_MS};
use rcseal_front::carried_out::carried_out;
use rcseal_front::{ApiJson, ApiPath, AuthenticatedDevice, Refusal};
use rcseal_store::broker::{
    Charge, ClaimId, ClaimRecord, MappingRecord, NumberRecord, QuotaKind, TryCode, TryCodeError, Wait, WaitingRecord,
};
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{ClaimState, ConfirmAnswer, ConfirmRequest, MappingHead, NoticeKind};
use rcseal_wire::b64;
use rcseal_wire::problem::{Problem, ProblemCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::bind::{Binding, bind, is_for};
use super::decide::{Decision, decide};
use super::tend::tell;
use super::{NumberRefusal, tend};
use crate::enrolment::refresh;
use crate::metrics::{CodeEvent, WaitEvent};
use crate::state::AppState;

/// Characters of a code that are looked at: six digits, and what people type between them.
const CODE_TEXT_LEN_MAX: usize = 32;
/// A day.
const DAY: u64 = 24 * 3600;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(confirm))
}

/// Shows the code, and binds the number by a signed statement. Repeating the request answers the same mapping.
#[utoipa::path(
    post, path = "/v1/numbers/{number}/confirm", tag = "numbers", security(("login" = [])),
    params(("number" = String, Path, description = "the claim (16 bytes in base64url)")),
    request_body = ConfirmRequest,
    responses(
        (status = 200, body = ConfirmAnswer, description = "mapped; or verified: a statement that follows `current` is needed"),
        (status = 202, body = ConfirmAnswer, description = "pending: another account has the number and can object"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "code_refused"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "number_conflict: somebody else was faster; relay_disagrees"),
        (status = 410, body = Problem, content_type = "application/problem+json",
         description = "claim_gone: expired, used, or its tries are used up"),
        (status = 422, body = Problem, content_type = "application/problem+json",
         description = "statement_invalid, release_invalid"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "relay_unreachable"),
    ),
)]
async fn confirm(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(claim): ApiPath<String>,
    ApiJson(request): ApiJson<ConfirmRequest>,
) -> Result<(StatusCode, Json<ConfirmAnswer>), Refusal> {
    let id: Option<[u8; 16]> = b64::decode(&claim).ok().and_then(|bytes| bytes.try_into().ok());
    let id = ClaimId::from_bytes(id.ok_or(ProblemCode::NotFound)?);
    let answer = carried_out(async move { check(&state, device, id, request).await }).await?;
    let status = match answer.state {
        ClaimState::Verified | ClaimState::Mapped => StatusCode::OK,
        ClaimState::Pending => StatusCode::ACCEPTED,
    };
    Ok((status, Json(answer)))
}

async fn check(
    state: &AppState,
    device: AuthenticatedDevice,
    id: ClaimId,
    request: ConfirmRequest,
) -> Result<ConfirmAnswer, NumberRefusal> {
    let claim = try_code(state, device, id, &request.code).await?;
    let record = state.store.number(claim.number.clone()).await?;
    let Some(statement) = request.statement else { return Ok(verified(record.as_ref())) };
    let statement = SignedStatement::parse(&statement.0).map_err(NumberRefusal::Form)?;
    if let Some(head) = record.as_ref().map(|record| &record.head).filter(|head| is_for(head, &statement)) {
        // The answer was lost on the way.
        return Ok(mapped(head));
    }
    if claim.used_for.is_some() {
        return Err(NumberRefusal::ClaimGone);
    }
    check_subject(state, device, &claim, &statement)?;
    if !follows(record.as_ref(), &statement) {
        return Ok(verified(record.as_ref()));
    }
    let release = parse_release(request.release, record.as_ref())?;
    // The relay is asked now: whoever was removed from an account a minute ago signs nothing for it any more.
    let account = refresh(state, device.account()).await?;
    let stated = statement.statement();
    if account.key_set.hash != stated.key_set_hash || account.key_set.counter != stated.key_set_counter {
        return Err(NumberRefusal::Statement { about: "it names another key set than the account's newest" });
    }
    let quarantine = state.config.numbers.quarantine_seconds;
    match decide(record.as_ref(), device.account(), release, state.now(), quarantine) {
        Decision::Bind(grounds) => {
            let binding = Binding {
                before: record.map(|record| record.head),
                statement,
                key_set: account.key_set.bytes,
                grounds: *grounds,
                claim: Some(id),
            };
            Ok(mapped(&bind(state, binding).await?))
        }
        Decision::Wait => {
            // A wait is decided for numbers that somebody has only.
            let record = record.ok_or(NumberRefusal::Conflict)?;
            wait(state, device, &record, &statement, account.key_set.bytes).await
        }
    }
}

async fn try_code(
    state: &AppState,
    device: AuthenticatedDevice,
    id: ClaimId,
    text: &str,
) -> Result<ClaimRecord, NumberRefusal> {
    if text.len() > CODE_TEXT_LEN_MAX {
        return Err(NumberRefusal::CodeRefused);
    }
    // Without the claim's number there is nothing to compare with, and without the claim there is no number.
    let Some(number) = state.store.claimed_number(id, device.address()).await? else {
        state.metrics.code(CodeEvent::Gone);
        return Err(NumberRefusal::ClaimGone);
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let now = state.now();
    let attempt = TryCode {
        id,
        device: device.address(),
        code: state.hashes.code(id, &number, &digits),
        verified_until: now.plus_seconds(state.config.codes.lifetime_seconds),
        wrong: Charge {
            kind: QuotaKind::WrongCodes,
            key: state.hashes.of_number(&number),
            amount: 1,
            limit: state.config.codes.wrong_per_number_day_max,
            window_seconds: DAY,
        },
        now,
    };
    let tried = state.store.try_code(attempt).await;
    state.metrics.code(match &tried {
        Ok(_) => CodeEvent::Right,
        Err(TryCodeError::Wrong { .. }) => CodeEvent::Wrong,
        Err(TryCodeError::Unknown | TryCodeError::Store(_)) => CodeEvent::Gone,
    });
    if let Err(TryCodeError::Wrong { left }) = &tried {
        tracing::info!(event = "code_wrong", number = %state.hashes.log(&number), left);
    }
    Ok(tried?)
}

/// Whether the statement is about this claim, this device and this broker. Its signature is checked where it is countersigned.
fn check_subject(
    state: &AppState,
    device: AuthenticatedDevice,
    claim: &ClaimRecord,
    statement: &SignedStatement,
) -> Result<(), NumberRefusal> {
    let stated = statement.statement();
    let about = if stated.action != Action::Bind {
        "it binds nothing"
    } else if stated.number != claim.number {
        "it is about another number"
    } else if stated.account != device.account() {
        "it is about another account"
    } else if stated.device != device.address().device {
        "it is about another device"
    } else if stated.broker != state.key_id() {
        "it was made for another broker"
    } else {
        return Ok(());
    };
    Err(NumberRefusal::Statement { about })
}

fn follows(record: Option<&NumberRecord>, statement: &SignedStatement) -> bool {
    let stated = statement.statement();
    match record.map(|record| &record.head) {
        None => stated.sequence == 1 && stated.previous.is_none(),
        Some(head) => head.sequence.checked_add(1) == Some(stated.sequence) && stated.previous == Some(head.hash),
    }
}

/// The release that the caller shows, or the one that was given to the broker.
fn parse_release(
    shown: Option<Base64>,
    record: Option<&NumberRecord>,
) -> Result<Option<SignedStatement>, NumberRefusal> {
    let given = record.and_then(|record| record.released.as_deref());
    let bytes = shown.as_ref().map(|shown| shown.0.as_slice()).or(given);
    bytes.map(|bytes| SignedStatement::parse(bytes).map_err(|_| NumberRefusal::Release)).transpose()
}

async fn wait(
    state: &AppState,
    device: AuthenticatedDevice,
    record: &NumberRecord,
    statement: &SignedStatement,
    key_set: bytes::Bytes,
) -> Result<ConfirmAnswer, NumberRefusal> {
    let number = statement.statement().number.clone();
    let now = state.now();
    let is_new = record.waiting.as_ref().is_none_or(|waiting| waiting.device.account != device.account());
    let waiting = WaitingRecord {
        device: device.address(),
        statement: bytes::Bytes::copy_from_slice(statement.as_bytes()),
        key_set,
        since: now,
        announced_at: None,
        next_at: now,
        effective_at: now.plus_millis(WAIT_MS),
    };
    let in_vain = state.store.wait(Wait { number: number.clone(), previous: record.head.hash, waiting }).await?;
    if let Some(in_vain) = in_vain {
        tell(state, in_vain, NoticeKind::ClaimEnded, number.clone(), now).await;
    }
    if is_new {
        state.metrics.wait(WaitEvent::Begun);
        tracing::info!(event = "wait_begun", number = %state.hashes.log(&number));
    }
    // The account that has the number hears of it before the caller does.
    tend(state, number.clone()).await?;
    let record = state.store.number(number).await?.ok_or(NumberRefusal::Conflict)?;
    if is_for(&record.head, statement) {
        return Ok(mapped(&record.head));
    }
    let waiting = record.waiting.filter(|waiting| waiting.device.account == device.account());
    Ok(ConfirmAnswer {
        state: ClaimState::Pending,
        mapping: None,
        current: None,
        pending_until_ms: Some(waiting.ok_or(NumberRefusal::Conflict)?.effective_at.get()),
    })
}

fn verified(record: Option<&NumberRecord>) -> ConfirmAnswer {
    ConfirmAnswer {
        state: ClaimState::Verified,
        mapping: None,
        current: record.map(|record| MappingHead { sequence: record.head.sequence, hash: record.head.hash }),
        pending_until_ms: None,
    }
}

fn mapped(mapping: &MappingRecord) -> ConfirmAnswer {
    ConfirmAnswer {
        state: ClaimState::Mapped,
        mapping: Some(Base64(mapping.bytes.to_vec())),
        current: None,
        pending_until_ms: None,
    }
}
