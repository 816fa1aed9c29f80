//! Requests about a reset: by whoever shows the operator's ticket, and by the account's devices.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rcseal_front::body::ApiJson;
use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::{ApiPath, Refusal};
use rcseal_store::takeover::{AddTicketError, BeginReset, CancelReset, ResetState};
use rcseal_store::{StoreError, Takeover, UnixMillis};
use rcseal_wire::api::{Base64, PendingReset, ResetAccepted, ResetRequest, ResetStatus};
use rcseal_wire::id::AccountId;
use rcseal_wire::problem::Problem;

use super::{ResetTicket, TakeoverRefusal, announce, parse_device, settle_due};
use crate::directory::TakeoverSet;
use crate::metrics::TakeoverEvent;
use crate::state::AppState;

/// How much later than the server's delay a reset may want to take effect: clocks differ, and nobody waits for years.
const NOT_BEFORE_SLACK_SECONDS: u64 = 24 * 3600;

/// Asks for a reset of the account: it is pending for the server's delay, and any device of the account can veto. Repeating the request
/// unchanged says how far it has come.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/reset", tag = "takeover",
    params(("account" = String, Path, description = "account id (UUID)")),
    request_body = ResetRequest,
    responses(
        (status = 200, body = ResetAccepted, description = "pending, or in force"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "out_of_range: the key set's time is too far away"),
        (status = 403, body = Problem, content_type = "application/problem+json",
         description = "reset_ticket_refused: unknown, expired, used, or the reset was called off"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "key_set_conflict, key_set_rollback, key_set_fork, mailbox_taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "key_set_invalid"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
pub(super) async fn request(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiPath(account): ApiPath<AccountId>,
    ApiJson(request): ApiJson<ResetRequest>,
) -> Result<Json<ResetAccepted>, Refusal> {
    state.limiters.takeover_request(connection.peer().ip())?;
    settle_due(&state).await;
    let accepted = carried_out(async move {
        let outcome = begin(&state, account, request).await;
        state.metrics.takeover(match &outcome {
            Ok(_) => TakeoverEvent::ResetRequested,
            Err(error) if error.is_failure() => TakeoverEvent::ResetFailed,
            Err(_) => TakeoverEvent::ResetRefused,
        });
        outcome
    })
    .await?;
    Ok(Json(accepted))
}

async fn begin(state: &AppState, account: AccountId, request: ResetRequest) -> Result<ResetAccepted, TakeoverRefusal> {
    let ticket = request.ticket.parse::<ResetTicket>()?.hash();
    let now = state.clock.now();
    let (mailbox, prekeys) = parse_device(request.device)?;
    let set = TakeoverSet::reset(request.key_set.0.clone(), account).await?;
    let current = state.store.key_set(account).await?.ok_or(TakeoverRefusal::Ticket)?;
    if set.is(&current) {
        // Its ticket is gone, and who has the bytes of the set that a reset has brought hears no more than that it is the newest.
        return Ok(ResetAccepted { effective_at_ms: now.get(), in_force: true });
    }
    if !state.store.is_reset_ticket(account, ticket, now).await? {
        return Err(TakeoverRefusal::Ticket);
    }
    if let Some(pending) = pending(state, account).await?
        && pending.key_set == request.key_set
    {
        // Asked about again: nothing to check, nothing to announce, and nothing that uses up what the account may try.
        return Ok(ResetAccepted { effective_at_ms: pending.effective_at_ms, in_force: false });
    }
    state.limiters.takeover_of(account).map_err(TakeoverRefusal::RateLimited)?;
    let previous = current.hash;
    let soonest = now.plus_seconds(state.config.reset.delay_seconds);
    let effective_at = soonest.max(UnixMillis::new(set.not_before_ms()));
    if effective_at > soonest.plus_seconds(NOT_BEFORE_SLACK_SECONDS) {
        return Err(TakeoverRefusal::NotBefore);
    }
    let (device, key_set) = set.verify(current).await?;
    let takeover = Takeover { account, previous, key_set, device, mailbox, prekeys };
    let effective_at = state.store.begin_reset(BeginReset { ticket, takeover, effective_at, now }).await?;
    state.resets.enter(effective_at).await;
    tracing::info!(
        event = "reset_requested",
        account = %LogId::of(account.as_bytes()),
        seconds = effective_at.get().saturating_sub(now.get()) / 1000,
    );
    announce(state, account).await?;
    Ok(ResetAccepted { effective_at_ms: effective_at.get(), in_force: false })
}

/// The account's pending reset.
pub(crate) async fn pending(state: &AppState, account: AccountId) -> Result<Option<PendingReset>, StoreError> {
    if state.resets.is_empty() {
        return Ok(None);
    }
    Ok(match state.store.reset(account).await?.map(|record| record.state) {
        Some(ResetState::Pending { requested_at, effective_at, key_set }) => Some(PendingReset {
            requested_at_ms: requested_at.get(),
            effective_at_ms: effective_at.get(),
            key_set: Base64(key_set.bytes.to_vec()),
        }),
        Some(ResetState::Allowed { .. }) | None => None,
    })
}

/// When the account's pending reset takes effect.
pub(crate) async fn pending_until(state: &AppState, account: AccountId) -> Result<Option<u64>, StoreError> {
    Ok(pending(state, account).await?.map(|reset| reset.effective_at_ms))
}

/// The reset of the account that is pending, if one is.
#[utoipa::path(
    get, path = "/v1/account/reset", tag = "takeover", security(("login" = [])),
    responses((status = 200, body = ResetStatus, description = "what is pending")),
)]
pub(super) async fn status(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
) -> Result<Json<ResetStatus>, Refusal> {
    Ok(Json(ResetStatus { pending: pending(&state, device.account()).await? }))
}

/// Calls the pending reset off. Its ticket is used up. Also accepted when none is pending.
#[utoipa::path(
    delete, path = "/v1/account/reset", tag = "takeover", security(("login" = [])),
    responses((status = 204, description = "no reset is pending")),
)]
pub(super) async fn veto(State(state): State<AppState>, device: AuthenticatedDevice) -> Result<StatusCode, Refusal> {
    carried_out(async move { call_off(&state, device.account()).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn call_off(state: &AppState, account: AccountId) -> Result<(), StoreError> {
    if state.store.cancel_reset(account, CancelReset::Pending).await? {
        state.metrics.takeover(TakeoverEvent::ResetVetoed);
        tracing::info!(event = "reset_vetoed", account = %LogId::of(account.as_bytes()));
        announce(state, account).await?;
    }
    Ok(())
}

/// The operator allows one reset of an account, by whoever shows `ticket` before `expires_at`.
pub(crate) async fn allow(
    state: &AppState,
    account: AccountId,
    ticket: &ResetTicket,
    expires_at: UnixMillis,
) -> Result<(), AddTicketError> {
    state.store.add_reset_ticket(account, ticket.hash(), expires_at).await?;
    state.resets.enter(expires_at).await;
    Ok(())
}

/// The operator ends a ticket or a pending reset. Whether there was one.
pub(crate) async fn cancel(state: &AppState, account: AccountId) -> Result<bool, StoreError> {
    settle_due(state).await;
    let is_ended = state.store.cancel_reset(account, CancelReset::Everything).await?;
    if is_ended {
        state.metrics.takeover(TakeoverEvent::ResetCancelled);
        tracing::info!(event = "reset_cancelled", account = %LogId::of(account.as_bytes()));
        announce(state, account).await?;
    }
    Ok(is_ended)
}
