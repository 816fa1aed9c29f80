//! What an account does with its own numbers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use rcseal_credential::mapping::{Action, SignedStatement};
use rcseal_front::carried_out::carried_out;
use rcseal_front::{ApiJson, ApiPath, AuthenticatedDevice, Refusal};
use rcseal_store::StoreError;
use rcseal_store::broker::{NumberRecord, WaitingRecord};
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{NoticeKind, NumberView, NumbersView, ReleaseRequest, Visibility, Waiting};
use rcseal_wire::id::AccountId;
use rcseal_wire::number::E164;
use rcseal_wire::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::bind::read_mapping;
use super::tend::tell;
use super::{NumberRefusal, tend};
use crate::enrolment::read_verified;
use crate::metrics::WaitEvent;
use crate::state::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(view_all))
        .routes(routes!(view, release))
        .routes(routes!(set_visibility))
        .routes(routes!(veto))
}

fn waiting(record: &WaitingRecord) -> Waiting {
    Waiting {
        announced_at_ms: record.announced_at.map(rcseal_store::UnixMillis::get),
        effective_at_ms: record.effective_at.get(),
    }
}

/// What an account sees of a number; `None` where it has nothing to do with it.
fn view_of(number: E164, record: &NumberRecord, account: AccountId) -> Option<NumberView> {
    let is_mine = record.head.account == account;
    let waits = record.waiting.as_ref();
    let mine_waits = waits.filter(|waiting| waiting.device.account == account);
    if !is_mine && mine_waits.is_none() {
        return None;
    }
    Some(NumberView {
        number,
        mapping: is_mine.then(|| Base64(record.head.bytes.to_vec())),
        expires_at_ms: is_mine.then(|| record.head.expires_at.get()),
        // Whoever only waits learns nothing of how the holder has set it.
        discoverable: is_mine && record.discoverable,
        released: is_mine && (record.released.is_some() || record.ported_at.is_some()),
        claimed_by_another: waits.filter(|_| is_mine).map(waiting),
        waiting: mine_waits.map(waiting),
    })
}

/// The caller's numbers, and those it waits for.
#[utoipa::path(
    get, path = "/v1/numbers", tag = "numbers", security(("login" = [])),
    responses((status = 200, body = NumbersView, description = "all of them")),
)]
async fn view_all(State(state): State<AppState>, device: AuthenticatedDevice) -> Result<Json<NumbersView>, Refusal> {
    let account = device.account();
    let mut numbers = Vec::new();
    for number in state.store.numbers_of(account).await? {
        if let Some(record) = state.store.number(number.clone()).await? {
            numbers.extend(view_of(number, &record, account));
        }
    }
    Ok(Json(NumbersView { numbers }))
}

/// One of the caller's numbers. Somebody else's is not found, like one that nobody has.
#[utoipa::path(
    get, path = "/v1/numbers/{number}", tag = "numbers", security(("login" = [])),
    params(("number" = String, Path, description = "the number, with its plus sign")),
    responses(
        (status = 200, body = NumberView, description = "as the caller sees it"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
    ),
)]
async fn view(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(number): ApiPath<E164>,
) -> Result<Json<NumberView>, Refusal> {
    let record = state.store.number(number.clone()).await?;
    let view = record.and_then(|record| view_of(number, &record, device.account()));
    Ok(Json(view.ok_or(NumberRefusal::NotYours)?))
}

/// Gives a number up. Repeating it is accepted.
#[utoipa::path(
    delete, path = "/v1/numbers/{number}", tag = "numbers", security(("login" = [])),
    params(("number" = String, Path, description = "the number, with its plus sign")),
    request_body = ReleaseRequest,
    responses(
        (status = 204, description = "given up"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "release_invalid"),
    ),
)]
async fn release(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(number): ApiPath<E164>,
    ApiJson(request): ApiJson<ReleaseRequest>,
) -> Result<StatusCode, Refusal> {
    carried_out(async move { give_up(&state, device.account(), number, request.statement.0).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn give_up(state: &AppState, account: AccountId, number: E164, signed: Vec<u8>) -> Result<(), NumberRefusal> {
    let record = state.store.number(number.clone()).await?;
    let record = record.filter(|record| record.head.account == account).ok_or(NumberRefusal::NotYours)?;
    let statement = SignedStatement::parse(&signed).map_err(|_| NumberRefusal::Release)?;
    let stated = statement.statement();
    let is_of_it = stated.action == Action::Release
        && stated.number == number
        && stated.account == account
        && stated.broker == state.key_id()
        && stated.previous == Some(record.head.hash)
        && record.head.sequence.checked_add(1) == Some(stated.sequence);
    if !is_of_it {
        return Err(NumberRefusal::Release);
    }
    let enrolment = state.store.account_enrolment(account).await?;
    let (key, head) = (state.verifying_key(), record.head.clone());
    let holds = tokio::task::spawn_blocking(move || {
        // It may name the key set of the mapping, or the account's newest; the account key must be the one that the mapping has, because
        // that is the one by which readers check it.
        let mapping = read_mapping(&key, &head)?;
        let newest = enrolment.map(|enrolment| enrolment.key_set.bytes).filter(|bytes| *bytes != head.key_set);
        for bytes in [Some(head.key_set), newest].into_iter().flatten() {
            let key_set = read_verified(&bytes)?;
            if let Ok(verified) = statement.clone().verify(&key_set) {
                return Ok(verified.account_key() == mapping.account_key());
            }
        }
        Ok::<_, StoreError>(false)
    });
    if !holds.await.map_err(|_| StoreError::Closed)?? {
        return Err(NumberRefusal::Release);
    }
    state.store.release(number.clone(), record.head.hash, Bytes::from(signed), state.now()).await?;
    tracing::info!(event = "number_released", number = %state.hashes.log(&number));
    // Whoever waits for it need not wait any longer.
    tend(state, number).await
}

/// Shows a number to others, or hides it from look-ups.
#[utoipa::path(
    put, path = "/v1/numbers/{number}/visibility", tag = "numbers", security(("login" = [])),
    params(("number" = String, Path, description = "the number, with its plus sign")),
    request_body = Visibility,
    responses(
        (status = 204, description = "set"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
    ),
)]
async fn set_visibility(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(number): ApiPath<E164>,
    ApiJson(request): ApiJson<Visibility>,
) -> Result<StatusCode, Refusal> {
    let set = state.store.set_discoverable(number, device.account(), request.discoverable).await;
    set.map_err(|error| match error.into() {
        NumberRefusal::Conflict => NumberRefusal::NotYours,
        other => other,
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Objects to another account's claim of the caller's number: its wait is over, and it does not get the number. Also accepted where nobody
/// waits.
#[utoipa::path(
    post, path = "/v1/numbers/{number}/veto", tag = "numbers", security(("login" = [])),
    params(("number" = String, Path, description = "the number, with its plus sign")),
    responses(
        (status = 204, description = "nobody waits for the number"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
    ),
)]
async fn veto(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(number): ApiPath<E164>,
) -> Result<StatusCode, Refusal> {
    carried_out(async move { object(&state, device.account(), number).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn object(state: &AppState, account: AccountId, number: E164) -> Result<(), NumberRefusal> {
    let record = state.store.number(number.clone()).await?;
    record.filter(|record| record.head.account == account).ok_or(NumberRefusal::NotYours)?;
    // Who has lost the number in this moment ends nobody's wait: binding has ended it already.
    let Some(waiting) = state.store.end_waiting(number.clone(), None).await? else { return Ok(()) };
    state.metrics.wait(WaitEvent::Vetoed);
    tracing::info!(event = "wait_vetoed", number = %state.hashes.log(&number));
    tell(state, waiting.device, NoticeKind::ClaimEnded, number, state.now()).await;
    Ok(())
}
