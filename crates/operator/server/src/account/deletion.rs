//! The deletion of an account, asked for by its primary device.
//!
//! A login is not enough: a device that was borrowed for a minute must not be able to end the account. The account key signs the
//! account's current key set, so a request is good for no other account, and for no later state of this one. What goes in one transaction is
//! everything the relay has of the account but its blobs: key sets, devices, mailboxes with what waits in them, prekeys, delivery tokens,
//! push tokens, a pending reset. Blobs are what others were sent; they stay until they expire, readable to whoever has their key.

use axum::extract::State;
use axum::http::StatusCode;
use rcseal_front::body::ApiJson;
use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::refusal::Refusal;
use rcseal_wire::api::AccountDeletion;
use rcseal_wire::backup::account_deletion;
use rcseal_wire::id::AccountId;
use rcseal_wire::problem::{Problem, ProblemCode};

use crate::directory;
use crate::state::AppState;
use crate::takeover::look_for_departures;

/// Deletes the account and everything that is stored for it but blobs, which stay until they expire. There is no way back, and no mark of
/// it: afterwards the account is as unknown as one that never was.
#[utoipa::path(
    post, path = "/v1/account/deletion", tag = "account", security(("login" = [])),
    request_body = AccountDeletion,
    responses(
        (status = 204, description = "deleted"),
        (status = 403, body = Problem, content_type = "application/problem+json",
         description = "forbidden: not signed by the account key over the current key set"),
    ),
)]
pub(super) async fn delete_account(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(request): ApiJson<AccountDeletion>,
) -> Result<StatusCode, Refusal> {
    let account = device.account();
    carried_out(async move { remove(&state, account, request).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(state: &AppState, account: AccountId, request: AccountDeletion) -> Result<(), Refusal> {
    let current = state.store.key_set(account).await?.ok_or(ProblemCode::DeviceUnknown)?;
    let message = account_deletion(&account, &current.hash);
    if !directory::is_signed_by_account(current, message, request.signature.0).await? {
        return Err(ProblemCode::Forbidden.into());
    }
    state.store.remove_account(account).await?;
    tracing::info!(event = "account_deleted", account = %LogId::of(account.as_bytes()));
    look_for_departures(state, account);
    Ok(())
}
