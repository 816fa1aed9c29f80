//! Requests of the directory.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rcseal_front::body::ApiJson;
use rcseal_front::carried_out::carried_out;
use rcseal_front::log::LogId;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::refusal::{ApiPath, ApiQuery, Refusal};
use rcseal_front::requests::Outcome;
use rcseal_store::directory::{Claim, PrekeyCounts as StoredCounts, PublishKeySet, UploadPrekeys};
use rcseal_wire::api::{
    Base64, BundlesRequest, BundlesResponse, DeliveryTokens, DeviceUpload, KeyMap, KeySetBody, KeySetsBody,
    ONE_TIME_PREKEYS_LOW, PrekeyCounts,
};
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, KeySetCounter, MailboxId};
use rcseal_wire::problem::{Problem, ProblemCode};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{DirectoryError, VerifiedKeySet, parse_upload, prekey};
use crate::auth::{self, DirectoryReader};
use crate::metrics::PrekeyKind;
use crate::state::AppState;
use crate::takeover;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(publish_key_set))
        .routes(routes!(get_key_set))
        .routes(routes!(get_key_sets))
        .routes(routes!(claim_bundles))
        .routes(routes!(upload_device))
        .routes(routes!(count_prekeys))
        .routes(routes!(set_delivery_tokens, get_delivery_tokens))
        .routes(routes!(get_key_map))
}

/// Publishes the successor of the account's key set, under the same account key or one that the same account key hands over to. Repeating
/// the stored one is accepted. A pending reset ends with it: the account's devices are alive.
#[utoipa::path(
    put, path = "/v1/account/key-set", tag = "directory", security(("login" = [])),
    request_body = KeySetBody,
    responses(
        (status = 204, description = "stored"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "key_set_conflict: somebody else was first; key_set_rollback; key_set_fork"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "key_set_invalid"),
    ),
)]
async fn publish_key_set(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(body): ApiJson<KeySetBody>,
) -> Result<StatusCode, Refusal> {
    state.limiters.publication(device.address())?;
    carried_out(async move {
        let outcome = publish(&state, device.account(), body.key_set.0).await;
        state.metrics.key_set_published(match &outcome {
            Ok(()) => Outcome::Accepted,
            Err(DirectoryError::Store(_)) => Outcome::Failed,
            Err(_) => Outcome::Refused,
        });
        outcome
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn publish(state: &AppState, account: AccountId, bytes: Vec<u8>) -> Result<(), DirectoryError> {
    let current = state.store.key_set(account).await?.ok_or(DirectoryError::OtherAccount)?;
    if bytes == current.bytes {
        // If the store had no answer the first time, devices that are gone have not heard of it.
        takeover::look_for_departures(state, account);
        return Ok(());
    }
    let previous = current.hash;
    let verified = VerifiedKeySet::successor(bytes, account, current).await?;
    let counter = verified.stored().counter;
    let published = state
        .store
        .publish_key_set(PublishKeySet {
            account,
            previous,
            devices: verified.devices().to_vec(),
            key_set: verified.into_stored(),
            now: state.clock.now(),
        })
        .await
        .map_err(DirectoryError::Publish)?;
    tracing::info!(
        event = "key_set_published",
        account = %LogId::of(account.as_bytes()),
        counter = counter.get(),
        added = published.added.len(),
        removed = published.removed.len(),
    );
    if !published.removed.is_empty() {
        takeover::look_for_departures(state, account);
    }
    if published.reset_ended {
        tracing::info!(event = "reset_ended_by_key_set", account = %LogId::of(account.as_bytes()));
        takeover::announce(state, account).await?;
    }
    Ok(())
}

/// The account's current key set.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/key-set", tag = "directory",
    security(("login" = []), ("delivery_token" = [])),
    params(("account" = String, Path, description = "account id (UUID)")),
    responses(
        (status = 200, body = KeySetBody, description = "the current key set"),
        (status = 403, body = Problem, content_type = "application/problem+json",
         description = "forbidden; also for accounts that do not exist"),
    ),
)]
async fn get_key_set(
    State(state): State<AppState>,
    reader: DirectoryReader,
    ApiPath(account): ApiPath<AccountId>,
) -> Result<Json<KeySetBody>, Refusal> {
    reader.authorize(&state, account).await?;
    let stored = state.store.key_set(account).await?.ok_or(ProblemCode::NotFound)?;
    Ok(Json(KeySetBody { key_set: Base64(stored.bytes.to_vec()) }))
}

/// Where to begin.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct From {
    /// The counter of the first key set wanted.
    from: u64,
}

/// The account's key sets from a counter on, oldest first: whoever is behind checks every link.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/key-sets", tag = "directory",
    security(("login" = []), ("delivery_token" = [])),
    params(("account" = String, Path, description = "account id (UUID)"), From),
    responses(
        (status = 200, body = KeySetsBody, description = "key sets in a row"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "forbidden"),
    ),
)]
async fn get_key_sets(
    State(state): State<AppState>,
    reader: DirectoryReader,
    ApiPath(account): ApiPath<AccountId>,
    ApiQuery(From { from }): ApiQuery<From>,
) -> Result<Json<KeySetsBody>, Refusal> {
    reader.authorize(&state, account).await?;
    let stored = state.store.key_sets_from(account, KeySetCounter::new(from)).await?;
    Ok(Json(KeySetsBody { key_sets: stored.iter().map(|key_set| Base64(key_set.bytes.to_vec())).collect() }))
}

/// Hands out what starts a session with devices of an account: each costs the account a one-time prekey.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/bundles", tag = "directory",
    security(("login" = []), ("delivery_token" = [])),
    params(("account" = String, Path, description = "account id (UUID)")),
    request_body = BundlesRequest,
    responses(
        (status = 200, body = BundlesResponse, description = "one bundle per device that is there"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "forbidden"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
async fn claim_bundles(
    State(state): State<AppState>,
    reader: DirectoryReader,
    ApiPath(account): ApiPath<AccountId>,
    ApiJson(mut request): ApiJson<BundlesRequest>,
) -> Result<Json<BundlesResponse>, Refusal> {
    reader.authorize(&state, account).await?;
    if request.devices.is_empty() || request.devices.len() > usize::from(DeviceNumber::MAX) {
        return Err(DirectoryError::DeviceCount.into());
    }
    request.devices.sort_unstable();
    request.devices.dedup();
    state.limiters.bundle_request(account)?;
    let mut bundles = Vec::with_capacity(request.devices.len());
    for device in request.devices {
        let one_time_allowed = state.limiters.may_claim_one_time(account);
        let claim = if one_time_allowed { Claim::OneTime } else { Claim::LastResort };
        let Some(claimed) = state.store.claim_bundle(DeviceAddress { account, device }, claim).await? else {
            continue;
        };
        let Some(mailbox) = claimed.mailbox else { continue };
        if claimed.one_time.is_some() && counts(claimed.remaining).low {
            state.mailboxes.prekeys_low(mailbox);
        }
        state.metrics.prekey_claimed(match (&claimed.one_time_kem, one_time_allowed) {
            (Some(_), _) => PrekeyKind::OneTimeKem,
            (None, true) => PrekeyKind::LastResortEmpty,
            (None, false) => PrekeyKind::LastResortLimited,
        });
        if claimed.one_time.is_some() {
            state.metrics.prekey_claimed(PrekeyKind::OneTimeEc);
        }
        let Some(bundle) = prekey::bundle(device, mailbox, &claimed) else {
            tracing::error!(event = "stored_prekey_corrupt", account = %LogId::of(account.as_bytes()));
            return Err(ProblemCode::Internal.into());
        };
        bundles.push(bundle);
    }
    Ok(Json(BundlesResponse { bundles }))
}

/// Sets the device's mailbox, once, and adds or replaces prekeys.
#[utoipa::path(
    put, path = "/v1/device", tag = "directory", security(("login" = [])),
    request_body = DeviceUpload,
    responses(
        (status = 200, body = PrekeyCounts, description = "what is left"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "malformed, out_of_range"),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "mailbox_taken: another device has the id; mailbox_fixed: this device has another mailbox"),
    ),
)]
async fn upload_device(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(upload): ApiJson<DeviceUpload>,
) -> Result<Json<PrekeyCounts>, Refusal> {
    let mailbox = upload.mailbox;
    let prekeys = parse_upload(upload)?;
    Ok(Json(put_device(&state, device.address(), mailbox, prekeys).await?))
}

/// Creates the mailbox, then stores the prekeys; both may be repeated.
pub(crate) async fn put_device(
    state: &AppState,
    device: DeviceAddress,
    mailbox: MailboxId,
    prekeys: UploadPrekeys,
) -> Result<PrekeyCounts, DirectoryError> {
    state.store.create_mailbox(device, mailbox).await.map_err(DirectoryError::Mailbox)?;
    let uploaded =
        state.store.upload_prekeys(device, prekeys, state.clock.now()).await.map_err(DirectoryError::Upload)?;
    Ok(counts(uploaded.counts))
}

/// How many one-time prekeys the device has left.
#[utoipa::path(
    get, path = "/v1/device/prekeys", tag = "directory", security(("login" = [])),
    responses((status = 200, body = PrekeyCounts, description = "what is left")),
)]
async fn count_prekeys(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
) -> Result<Json<PrekeyCounts>, Refusal> {
    Ok(Json(counts(auth::record(&state, device).await?.prekeys)))
}

fn counts(stored: StoredCounts) -> PrekeyCounts {
    let StoredCounts { one_time, one_time_kem } = stored;
    let low = one_time < ONE_TIME_PREKEYS_LOW || one_time_kem < ONE_TIME_PREKEYS_LOW;
    PrekeyCounts { one_time, one_time_kem, low }
}

/// Replaces the list of delivery tokens that open the account's mailboxes.
#[utoipa::path(
    put, path = "/v1/account/delivery-tokens", tag = "directory", security(("login" = [])),
    request_body = DeliveryTokens,
    responses(
        (status = 204, description = "stored"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "out_of_range"),
    ),
)]
async fn set_delivery_tokens(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(tokens): ApiJson<DeliveryTokens>,
) -> Result<StatusCode, Refusal> {
    let (address, added_at) = (device.address(), device.added_at());
    state.store.set_delivery_tokens(address, added_at, tokens.hashes).await.map_err(DirectoryError::Tokens)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hashes of the delivery tokens that open the account's mailboxes: a device that took the account back keeps those that contacts have.
#[utoipa::path(
    get, path = "/v1/account/delivery-tokens", tag = "directory", security(("login" = [])),
    responses((status = 200, body = DeliveryTokens, description = "the whole list")),
)]
async fn get_delivery_tokens(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
) -> Result<Json<DeliveryTokens>, Refusal> {
    let record = state.store.account(device.account()).await?.ok_or(ProblemCode::DeviceUnknown)?;
    Ok(Json(DeliveryTokens { hashes: record.delivery_tokens }))
}

/// Which public keys of the account's devices are stored here, and since when. There is nothing else of their keys here.
#[utoipa::path(
    get, path = "/v1/account/key-map", tag = "directory", security(("login" = [])),
    responses((status = 200, body = KeyMap, description = "by device")),
)]
async fn get_key_map(State(state): State<AppState>, device: AuthenticatedDevice) -> Result<Json<KeyMap>, Refusal> {
    let map = state.store.key_map(device.account()).await?.ok_or(ProblemCode::DeviceUnknown)?;
    let Some(map) = prekey::key_map(map) else {
        tracing::error!(event = "stored_prekey_corrupt", account = %LogId::of(device.account().as_bytes()));
        return Err(ProblemCode::Internal.into());
    };
    Ok(Json(map))
}
