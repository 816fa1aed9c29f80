//! The routes: which key, taking a message, and handing messages over.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use rcseal_crypto::hpke_p256::SEAL_OVERHEAD;
use rcseal_front::body::ApiJson;
use rcseal_front::log::LogId;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::refusal::{ApiQuery, Refusal};
use rcseal_front::requests::Outcome;
use rcseal_store::audit::AuditActor;
use rcseal_store::retained::{NewRetained, RetainedLimit};
use rcseal_wire::api::Base64;
use rcseal_wire::api::retained::{
    RETAINED_PAGE_LEN_MAX, RETAINED_SEALED_LEN_MAX, ReadableBy, RetainedMessage, RetainedPage, RetainedStored,
    RetainedSubmit, RetentionClass, ServerKey, Tenant, UnreadableReason,
};
use rcseal_wire::id::AccountId;
use rcseal_wire::problem::Problem;
use rcseal_wire::token::{DELIVERY_TOKEN_HEADER, DeliveryToken};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::{self, accepted};
use super::{Opened, RetainedError, Unreadable, open};
use crate::auth;
use crate::state::AppState;

/// How long a sender may go on sealing to a key without asking again.
const KEY_SECONDS: u64 = 24 * 3600;
/// Bytes of sealed messages on one page: with base64 around them, about a mebibyte.
const PAGE_BYTES_MAX: usize = 768 * 1024;
const DAY_SECONDS: u64 = 24 * 3600;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(server_key)).routes(routes!(submit, fetch))
}

/// The key that messages are sealed to which this server can read, whose it is, and how long such messages are kept.
#[utoipa::path(
    get, path = "/v1/server-key", tag = "retained", security(("login" = [])),
    responses(
        (status = 200, body = ServerKey, description = "the key to seal to now"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found: this server reads no messages"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "region_mismatch"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "server_key_destroyed"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "kms_unavailable"),
    ),
)]
async fn server_key(State(state): State<AppState>, _device: AuthenticatedDevice) -> Result<Json<ServerKey>, Refusal> {
    let key = keys::current(&state).await?;
    let config = &keys::of(&state)?.config;
    Ok(Json(ServerKey {
        tenant: Tenant { id: config.tenant, name: config.tenant_name.clone() },
        key_id: key.id,
        public_key: Base64(key.public_key.to_vec()),
        region: key.region,
        classes: config
            .classes
            .iter()
            .map(|class| RetentionClass { name: class.name.clone(), days: class.days })
            .collect(),
        default_class: config.default_class.clone(),
        not_after_ms: state.clock.now().plus_seconds(KEY_SECONDS).get(),
    }))
}

/// Keeps a message for its recipient, for as long as its class says. Repeating the same submission is safe and answers the same.
#[utoipa::path(
    post, path = "/v1/retained", tag = "retained", security(("login" = [], "delivery_token" = [])),
    request_body = RetainedSubmit,
    responses(
        (status = 201, body = RetainedStored, description = "kept"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "forbidden"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "id_conflict, region_mismatch"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "server_key_destroyed"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "too_large"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "retention_unknown"),
        (status = 507, body = Problem, content_type = "application/problem+json", description = "quota_exceeded"),
    ),
)]
async fn submit(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    headers: HeaderMap,
    ApiJson(submission): ApiJson<RetainedSubmit>,
) -> Result<(StatusCode, Json<RetainedStored>), Refusal> {
    // The body may have taken a minute to come in; see `AuthenticatedDevice`.
    auth::record(&state, device).await?;
    let outcome = keep(&state, device, &headers, submission).await;
    state.metrics.retained_stored(match &outcome {
        Ok(_) => Outcome::Accepted,
        Err(error) if error.is_failure() => Outcome::Failed,
        Err(_) => Outcome::Refused,
    });
    Ok((StatusCode::CREATED, Json(outcome?)))
}

async fn keep(
    state: &AppState,
    device: AuthenticatedDevice,
    headers: &HeaderMap,
    submission: RetainedSubmit,
) -> Result<RetainedStored, RetainedError> {
    let config = &keys::of(state)?.config;
    let RetainedSubmit { id, to, key_id, class, sealed: Base64(sealed) } = submission;
    may_write(state, device, to, headers).await?;
    if sealed.len() < SEAL_OVERHEAD {
        return Err(RetainedError::NotSealed);
    }
    if sealed.len() > RETAINED_SEALED_LEN_MAX {
        return Err(rcseal_store::retained::RetainError::TooLarge.into());
    }
    let class = class.unwrap_or_else(|| config.default_class.clone());
    let days = config.days_of(&class).ok_or(RetainedError::RetentionUnknown)?;
    let key = accepted(state, key_id).await?;
    let now = state.clock.now();
    let kept = state
        .store
        .retain(NewRetained {
            to,
            from: device.address(),
            id,
            key: key.id,
            class,
            region: key.region,
            sealed: Bytes::from(sealed),
            now,
            expires_at: now.plus_seconds(u64::from(days) * DAY_SECONDS),
        })
        .await?;
    if kept.is_new {
        tracing::debug!(event = "retained", recipient = %LogId::of(to.as_bytes()), days);
        tell(state, to).await;
    }
    Ok(RetainedStored { sequence: kept.sequence, expires_at_ms: kept.expires_at.get() })
}

/// Whoever writes shows the recipient's delivery token, as for a mailbox. One answer for everything else.
async fn may_write(
    state: &AppState,
    device: AuthenticatedDevice,
    to: AccountId,
    headers: &HeaderMap,
) -> Result<(), RetainedError> {
    if device.account() == to {
        return Ok(());
    }
    let text = headers.get(DELIVERY_TOKEN_HEADER).and_then(|value| value.to_str().ok());
    let token = text.and_then(|text| DeliveryToken::from_text(text).ok()).ok_or(RetainedError::Forbidden)?;
    if state.store.is_delivery_token(to, token.hash()).await? { Ok(()) } else { Err(RetainedError::Forbidden) }
}

/// Lets the recipient's connected devices know. Those that are not told find out when they connect.
async fn tell(state: &AppState, to: AccountId) {
    match state.store.devices(to).await {
        Ok(devices) => {
            for mailbox in devices.into_iter().filter_map(|device| device.mailbox) {
                state.mailboxes.retained(mailbox);
            }
        }
        Err(error) => tracing::warn!(event = "retained_untold", code = error.code()),
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct After {
    /// Messages after this sequence; 0 for all of them.
    #[serde(default)]
    after: u64,
}

/// The account's messages that this server can read, opened: those that came since the device was linked. Each opening is on record before this answers. Reading removes nothing.
#[utoipa::path(
    get, path = "/v1/retained", tag = "retained", security(("login" = [])), params(After),
    responses(
        (status = 200, body = RetainedPage, description = "the oldest of them"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found: this server reads no messages"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "region_mismatch"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "kms_unavailable"),
    ),
)]
async fn fetch(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiQuery(After { after }): ApiQuery<After>,
) -> Result<Json<RetainedPage>, Refusal> {
    keys::of(&state)?;
    let limit = RetainedLimit { messages: RETAINED_PAGE_LEN_MAX, bytes: PAGE_BYTES_MAX };
    let page = state.store.retained(state.clock.now(), device.account(), device.added_at(), after, limit).await?;
    // Reading removes nothing, so that the same page could be asked for without end.
    state.limiters.openings(device.account(), page.records.len())?;
    let opened = open(&state, page.records, &AuditActor::Device(device.address())).await?;
    Ok(Json(RetainedPage { messages: opened.into_iter().map(message).collect(), more: page.more }))
}

fn message(Opened { entry, words }: Opened) -> RetainedMessage {
    let (plaintext, unreadable) = match words {
        Ok(words) => (Some(Base64(words.to_vec())), None),
        Err(Unreadable::KeyDestroyed) => (None, Some(UnreadableReason::ServerKeyDestroyed)),
        Err(Unreadable::NotAuthentic) => (None, Some(UnreadableReason::NotAuthentic)),
    };
    RetainedMessage {
        sequence: entry.sequence,
        id: entry.id,
        from: entry.from.account,
        from_device: entry.from.device,
        sent_at_ms: entry.sent_at.get(),
        class: entry.class,
        expires_at_ms: entry.expires_at.get(),
        plaintext,
        unreadable,
        readable_by: ReadableBy::Server,
    }
}
