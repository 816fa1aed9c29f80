//! Requests by holders of a recovery key, and the one request that serves both ways back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rcseal_front::body::ApiJson;
use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::{ApiPath, Refusal};
use rcseal_store::Takeover;
use rcseal_store::directory::PublishError;
use rcseal_store::takeover::TakeoverError;
use rcseal_wire::api::{Base64, KeySetBasis, KeySetProof, RecoveryRequest};
use rcseal_wire::backup::restoration_proof;
use rcseal_wire::id::AccountId;
use rcseal_wire::problem::Problem;

use super::{ResetTicket, TakeoverRefusal, announce, look_for_departures, parse_device, settle_due};
use crate::directory::{self, TakeoverSet};
use crate::metrics::TakeoverEvent;
use crate::state::AppState;

/// How often a recovery is checked against a newer key set when somebody else publishes at the same moment: a thief who holds the account
/// key and publishes without a pause is limited to about one a second.
const ATTEMPTS_MAX: u32 = 4;

/// The account's current key set, for somebody who has lost every device: a recovery or a reset continues it. Shown is the recovery key's
/// public half, which nobody else knows before it is used, a signature by the account key, which a backup brought back, or a reset ticket,
/// which stays unused.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/key-set", tag = "takeover",
    params(("account" = String, Path, description = "account id (UUID)")),
    request_body = KeySetProof,
    responses(
        (status = 200, body = KeySetBasis, description = "the current key set, and what a reset needs to know"),
        (status = 403, body = Problem, content_type = "application/problem+json",
         description = "recovery_refused: also for accounts that do not exist; reset_ticket_refused"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
pub(super) async fn key_set_by_proof(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiPath(account): ApiPath<AccountId>,
    ApiJson(proof): ApiJson<KeySetProof>,
) -> Result<Json<KeySetBasis>, Refusal> {
    state.limiters.takeover_request(connection.peer().ip())?;
    settle_due(&state).await;
    Ok(Json(read_by_proof(&state, account, proof).await?))
}

async fn read_by_proof(
    state: &AppState,
    account: AccountId,
    proof: KeySetProof,
) -> Result<KeySetBasis, TakeoverRefusal> {
    let now = state.clock.now();
    let key_set = match proof {
        KeySetProof { recovery_key: Some(key), reset_ticket: None, account_signature: None } => {
            let current = state.store.key_set(account).await?.ok_or(TakeoverRefusal::Recovery)?;
            if !directory::commits_to(current.clone(), key.0).await? {
                return Err(TakeoverRefusal::Recovery);
            }
            current
        }
        KeySetProof { recovery_key: None, reset_ticket: None, account_signature: Some(signature) } => {
            let current = state.store.key_set(account).await?.ok_or(TakeoverRefusal::Recovery)?;
            let message = restoration_proof(&account);
            if !directory::is_signed_by_account(current.clone(), message, signature.0).await? {
                return Err(TakeoverRefusal::Recovery);
            }
            current
        }
        KeySetProof { recovery_key: None, reset_ticket: Some(ticket), account_signature: None } => {
            let ticket: ResetTicket = ticket.parse()?;
            if !state.store.is_reset_ticket(account, ticket.hash(), now).await? {
                return Err(TakeoverRefusal::Ticket);
            }
            state.store.key_set(account).await?.ok_or(TakeoverRefusal::Ticket)?
        }
        _ => return Err(TakeoverRefusal::Proof),
    };
    Ok(KeySetBasis {
        key_set: Base64(key_set.bytes.to_vec()),
        now_ms: now.get(),
        reset_delay_seconds: state.config.reset.delay_seconds,
    })
}

/// Takes the account back, at once: the key set becomes current, its one device takes the place of all others. By the recovery key, or by
/// the account key itself, which a backup brought back. Repeating the request unchanged is accepted.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/recovery", tag = "takeover",
    params(("account" = String, Path, description = "account id (UUID)")),
    request_body = RecoveryRequest,
    responses(
        (status = 204, description = "the new device can log in, the old ones cannot any more"),
        (status = 403, body = Problem, content_type = "application/problem+json",
         description = "recovery_refused: another recovery or account key, or no such account"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "key_set_conflict, key_set_rollback, mailbox_taken"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "key_set_invalid"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
pub(super) async fn recover(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiPath(account): ApiPath<AccountId>,
    ApiJson(request): ApiJson<RecoveryRequest>,
) -> Result<StatusCode, Refusal> {
    state.limiters.takeover_request(connection.peer().ip())?;
    settle_due(&state).await;
    carried_out(async move {
        let outcome = take_back(&state, account, request).await;
        state.metrics.takeover(match &outcome {
            Ok(()) => TakeoverEvent::Recovered,
            Err(error) if error.is_failure() => TakeoverEvent::RecoveryFailed,
            Err(_) => TakeoverEvent::RecoveryRefused,
        });
        outcome
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take_back(state: &AppState, account: AccountId, request: RecoveryRequest) -> Result<(), TakeoverRefusal> {
    let (mailbox, prekeys) = parse_device(request.device)?;
    let signature = request.account_signature.map(|signature| signature.0);
    let set = TakeoverSet::recovery(request.key_set.0, account, signature.is_some()).await?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let current = state.store.key_set(account).await?.ok_or(TakeoverRefusal::Recovery)?;
        if set.keeps_account_key() {
            let signature = signature.clone().unwrap_or_default();
            if !directory::is_signed_by_account(current.clone(), restoration_proof(&account), signature).await? {
                return Err(TakeoverRefusal::Recovery);
            }
        }
        if set.is(&current) {
            // If the store had no answer the first time, the old devices have not heard of it.
            look_for_departures(state, account);
            return Ok(());
        }
        let previous = current.hash;
        let (device, key_set) = set.verify(current).await?;
        if attempt == 1 {
            // Only whoever has signed with the recovery key comes this far, so a stranger cannot use up what the owner needs.
            state.limiters.takeover_of(account).map_err(TakeoverRefusal::RateLimited)?;
        }
        let takeover = Takeover { account, previous, key_set, device, mailbox, prekeys: prekeys.clone() };
        match state.store.take_over(takeover, state.clock.now()).await {
            Ok(published) => {
                tracing::info!(
                    event = "recovered",
                    account = %LogId::of(account.as_bytes()),
                    removed = published.removed.len(),
                );
                look_for_departures(state, account);
                if published.reset_ended {
                    announce(state, account).await?;
                }
                return Ok(());
            }
            Err(TakeoverError::KeySet(PublishError::Conflict { .. })) if attempt < ATTEMPTS_MAX => {}
            Err(error) => return Err(error.into()),
        }
    }
}
