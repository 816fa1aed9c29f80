//! The message plane as plain HTTPS requests, for clients behind proxies that do not speak WebSocket, and for background fetches.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use rcseal_front::body::ApiBytes;
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::Refusal;
use rcseal_store::{FetchLimit, MailboxSeq};
use rcseal_wire::frame::{Acknowledge, Acknowledged, Acks, BatchError, PROTOBUF_CONTENT_TYPE, SubmitBatch};
use rcseal_wire::id::MailboxId;
use rcseal_wire::problem::{Problem, ProblemCode};

use super::deliver::{count_acknowledged, deliveries, ids};
use super::submit as plane;
use crate::auth;
use crate::state::AppState;

/// Envelopes of one answer.
const FETCH_ENVELOPES_MAX: usize = 256;
/// Bytes of envelopes of one answer.
const FETCH_BYTES_MAX: usize = 1024 * 1024;

/// A protobuf answer.
struct Protobuf(Vec<u8>);

impl IntoResponse for Protobuf {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, PROTOBUF_CONTENT_TYPE)], self.0).into_response()
    }
}

fn expect_protobuf(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(header::CONTENT_TYPE).is_some_and(|value| value == PROTOBUF_CONTENT_TYPE) {
        Ok(())
    } else {
        Err(Refusal::with_detail(ProblemCode::UnsupportedMediaType, "send application/x-protobuf"))
    }
}

fn parse<M: prost::Message + Default>(body: Bytes) -> Result<M, Refusal> {
    M::decode(body).map_err(|_| not_protobuf())
}

fn not_protobuf() -> Refusal {
    Refusal::with_detail(ProblemCode::Malformed, "the body is not the expected protobuf message")
}

/// Submits a batch. Body `SubmitBatch`, answer `SubmitResults` (frame.proto): one status per submission.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses(
        (status = 200, content_type = "application/x-protobuf", body = Vec<u8>, description = "SubmitResults"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "malformed"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "too_large"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unsupported_media_type"),
    ),
)]
pub(super) async fn submit(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    headers: HeaderMap,
    ApiBytes(body): ApiBytes,
) -> Result<Response, Refusal> {
    expect_protobuf(&headers)?;
    let batch = SubmitBatch::parse(body).map_err(|error| match error {
        BatchError::Malformed => not_protobuf(),
        BatchError::TooMany => Refusal::with_detail(ProblemCode::TooLarge, "too many submissions in one batch"),
    })?;
    let peer = connection.peer().ip();
    let results = plane::submit(&state, peer, batch).await;
    Ok(Protobuf(results.encode_to_vec()).into_response())
}

async fn mailbox_of(state: &AppState, device: AuthenticatedDevice) -> Result<MailboxId, Refusal> {
    auth::record(state, device)
        .await?
        .mailbox
        .ok_or(Refusal::with_detail(ProblemCode::NotFound, "the device has no mailbox yet"))
}

/// Fetches what waits, oldest first, without removing it. Answer `Deliveries` (frame.proto); `more` says that acknowledging these and
/// fetching again will bring others.
#[utoipa::path(
    get, path = "/v1/mailbox/messages", tag = "messages", security(("login" = [])),
    responses(
        (status = 200, content_type = "application/x-protobuf", body = Vec<u8>, description = "Deliveries"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "unauthenticated, token_expired, device_unknown"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found: the device has no mailbox yet"),
    ),
)]
pub(super) async fn fetch(State(state): State<AppState>, device: AuthenticatedDevice) -> Result<Response, Refusal> {
    let mailbox = mailbox_of(&state, device).await?;
    let limit = FetchLimit { envelopes: FETCH_ENVELOPES_MAX, bytes: FETCH_BYTES_MAX };
    let fetched = state.store.fetch(state.clock.now(), mailbox, MailboxSeq::START, limit).await?;
    state.metrics.messages_delivered.inc_by(fetched.envelopes.len() as u64);
    Ok(Protobuf(deliveries(fetched.envelopes, fetched.more).encode_to_vec()).into_response())
}

/// Acknowledges envelopes. Body `Acknowledge`, answer `Acknowledged` (frame.proto). Ids that are not in the caller's mailbox count
/// nowhere and harm nobody.
#[utoipa::path(
    post, path = "/v1/mailbox/acknowledge", tag = "messages", security(("login" = [])),
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses(
        (status = 200, content_type = "application/x-protobuf", body = Vec<u8>, description = "Acknowledged"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "malformed"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "unauthenticated, token_expired, device_unknown"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found: the device has no mailbox yet"),
    ),
)]
pub(super) async fn acknowledge(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    headers: HeaderMap,
    ApiBytes(body): ApiBytes,
) -> Result<Response, Refusal> {
    expect_protobuf(&headers)?;
    let mailbox = mailbox_of(&state, device).await?;
    let frame: Acknowledge = parse(body)?;
    let acks = Acks::parse(&frame).map_err(|_| {
        Refusal::with_detail(ProblemCode::Malformed, "an id has the wrong length, or there are too many")
    })?;
    let outcome = state.store.acknowledge(mailbox, ids(&acks)).await?;
    count_acknowledged(&state, &acks, outcome.removed);
    Ok(Protobuf(Acknowledged { request: acks.request, removed: outcome.removed }.encode_to_vec()).into_response())
}
