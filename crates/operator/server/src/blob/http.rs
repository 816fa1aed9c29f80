//! Requests for blobs.

use std::error::Error;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::BytesMut;
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use rcseal_front::body::{ApiJson, refuse_broken};
use rcseal_front::login::AuthenticatedDevice;
use rcseal_front::net::{ConnectionInfo, subscriber};
use rcseal_front::refusal::{ApiPath, Refusal};
use rcseal_front::slots::Slot;
use rcseal_store::blob::{BlobRecord, BlobState, NewBlob};
use rcseal_store::{BlobError, UnixMillis};
use rcseal_wire::api::{BlobCreate, BlobCreated, UPLOAD_OFFSET_HEADER};
use rcseal_wire::id::BlobId;
use rcseal_wire::problem::{Problem, ProblemCode};
use tokio::time::{Instant, timeout_at};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::BlobRefusal;
use super::range::{self, Wanted};
use crate::metrics::Direction;
use crate::state::AppState;

/// Time for one piece of an upload: a mebibyte over a line of 28 kbit/s. An upload holds one of few places, so it must get on.
const PIECE_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// Bytes of a download in memory; a divisor of the stored chunks' length.
const PIECE_BYTES: u64 = 128 * 1024;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(download, upload, progress, remove))
}

/// Declares a blob. The id that comes back is what readers will need.
#[utoipa::path(
    post, path = "/v1/blobs", tag = "blobs", security(("login" = [])),
    request_body = BlobCreate,
    responses(
        (status = 201, body = BlobCreated, description = "declared"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "too_large"),
        (status = 507, body = Problem, content_type = "application/problem+json", description = "quota_exceeded"),
    ),
)]
async fn create(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiJson(request): ApiJson<BlobCreate>,
) -> Result<(StatusCode, Json<BlobCreated>), BlobRefusal> {
    let limits = &state.config.limits;
    if request.size > limits.blob_bytes_max {
        return Err(ProblemCode::TooLarge.into());
    }
    let ttl_seconds = u64::from(request.ttl_seconds);
    if ttl_seconds == 0 || ttl_seconds > limits.blob_age_seconds_max {
        return Err(Refusal::with_detail(ProblemCode::OutOfRange, "ttl_seconds is out of range").into());
    }
    let id = BlobId::generate(&mut rand::rng());
    let record = state
        .blobs
        .begin(NewBlob {
            id,
            owner: device.account(),
            size: request.size,
            digest: request.digest,
            expires_at: state.clock.now().plus_seconds(ttl_seconds),
        })
        .await?;
    Ok((StatusCode::CREATED, Json(BlobCreated { id: record.id, chunk_len: u64::from(record.chunk_len) })))
}

/// Uploads from `upload-offset` on: any number of whole pieces, and the rest of the blob at its end. The digest is checked with the
/// last byte. The answer's `upload-offset` says where the server stands.
#[utoipa::path(
    patch, path = "/v1/blobs/{id}", tag = "blobs", security(("login" = [])),
    params(
        ("id" = String, Path, description = "the blob"),
        ("upload-offset" = u64, Header, description = "where this body starts, in bytes"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "stored", headers(("upload-offset" = u64, description = "bytes durable"))),
        (status = 409, body = Problem, content_type = "application/problem+json",
         description = "offset_conflict: continue at the answer's upload-offset",
         headers(("upload-offset" = u64, description = "bytes durable"))),
        (status = 422, body = Problem, content_type = "application/problem+json",
         description = "digest_mismatch: the blob is gone"),
    ),
)]
async fn upload(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(id): ApiPath<BlobId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, BlobRefusal> {
    let offset = header_number(&headers).ok_or(Refusal::with_detail(ProblemCode::Malformed, "upload-offset"))?;
    let record = owned(&state, device, id).await?;
    let _slot = state.uploads.take(device.account()).ok_or(Refusal::retry_after(ProblemCode::RateLimited, 1))?;
    let mut upload = Upload { state: &state, device, record, offset, piece: BytesMut::new() };
    let mut body = body.into_data_stream();
    let mut deadline = Instant::now() + PIECE_TIME_MAX;
    while let Some(data) = timeout_at(deadline, body.next()).await.map_err(|_| ProblemCode::Stalled)? {
        let data = data.map_err(|error| refuse_cut_off(&error))?;
        state.metrics.blob_moved(Direction::Upload, data.len() as u64);
        let before = upload.offset;
        upload.take(data).await?;
        if upload.offset != before {
            deadline = Instant::now() + PIECE_TIME_MAX;
        }
    }
    let received = upload.finish().await?;
    Ok(standing(StatusCode::NO_CONTENT, received))
}

/// An upload in progress. Holds at most one piece.
struct Upload<'a> {
    state: &'a AppState,
    device: AuthenticatedDevice,
    record: BlobRecord,
    /// Where `piece` starts.
    offset: u64,
    piece: BytesMut,
}

impl Upload<'_> {
    async fn take(&mut self, mut data: Bytes) -> Result<(), BlobRefusal> {
        while !data.is_empty() {
            let whole = u64::from(self.record.chunk_len).min(self.record.size.saturating_sub(self.offset));
            let missing = whole.saturating_sub(self.piece.len() as u64);
            if missing == 0 {
                // More than was declared. What fits is stored already.
                return Err(ProblemCode::TooLarge.into());
            }
            let taken = data.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            self.piece.extend_from_slice(&data.split_to(taken));
            if self.piece.len() as u64 == whole {
                self.store().await?;
            }
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), BlobRefusal> {
        let piece = self.piece.split().freeze();
        let (owner, now) = (self.device.account(), self.state.clock.now());
        self.offset = self.state.blobs.append(self.record.id, owner, self.offset, piece, now).await?;
        Ok(())
    }

    /// Ends the upload: completes the blob if that was its last byte. Returns how much is durable.
    async fn finish(self) -> Result<u64, BlobRefusal> {
        let (owner, now) = (self.device.account(), self.state.clock.now());
        if !self.piece.is_empty() {
            // The body ended within a piece. Nothing of that piece was kept.
            return Err(BlobError::ChunkLength { expected: u64::from(self.record.chunk_len) }.into());
        }
        if self.offset == self.record.size {
            self.state.blobs.complete(self.record.id, owner, now).await?;
        }
        Ok(self.offset)
    }
}

fn refuse_cut_off(error: &axum::Error) -> Refusal {
    let error: &(dyn Error + 'static) = error;
    refuse_broken(error)
}

/// Where an upload stands, for its owner.
#[utoipa::path(
    head, path = "/v1/blobs/{id}", tag = "blobs", security(("login" = [])),
    params(("id" = String, Path, description = "the blob")),
    responses(
        (status = 204, description = "known", headers(("upload-offset" = u64, description = "bytes durable"))),
        (status = 404, description = "not_found"),
    ),
)]
async fn progress(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(id): ApiPath<BlobId>,
) -> Result<Response, BlobRefusal> {
    let record = owned(&state, device, id).await?;
    Ok(standing(StatusCode::NO_CONTENT, record.received))
}

/// Removes a blob, finished or not, before its time.
#[utoipa::path(
    delete, path = "/v1/blobs/{id}", tag = "blobs", security(("login" = [])),
    params(("id" = String, Path, description = "the blob")),
    responses(
        (status = 204, description = "removed"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
    ),
)]
async fn remove(
    State(state): State<AppState>,
    device: AuthenticatedDevice,
    ApiPath(id): ApiPath<BlobId>,
) -> Result<StatusCode, BlobRefusal> {
    state.blobs.remove(id, device.account(), state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Downloads a finished blob, whole or one range of it. Knowing the id is the permission.
#[utoipa::path(
    get, path = "/v1/blobs/{id}", tag = "blobs",
    params(
        ("id" = String, Path, description = "the blob"),
        ("range" = Option<String>, Header, description = "one range of bytes (RFC 9110)"),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "the bytes"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream", description = "the range"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
        (status = 416, body = Problem, content_type = "application/problem+json", description = "range_not_satisfiable"),
    ),
)]
async fn download(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiPath(id): ApiPath<BlobId>,
    headers: HeaderMap,
) -> Result<Response, BlobRefusal> {
    let now = state.clock.now();
    let record = state.blobs.record(id, now).await?;
    if record.state != BlobState::Complete {
        return Err(ProblemCode::NotFound.into());
    }
    let size = record.size;
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, range) = match range::parse(asked, size) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => return Err(BlobError::Range { size }.into()),
    };
    let peer = subscriber(connection.peer().ip());
    let slot = state.downloads.take(peer).ok_or(Refusal::retry_after(ProblemCode::RateLimited, 1))?;
    let pieces = pieces(&state, id, range.clone(), slot, now);
    let mut response = (status, Body::from_stream(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = format!("bytes {}-{}/{size}", range.start, range.end - 1).parse()
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// A range of a finished blob, in pieces that are read when the peer is ready for them. The stream holds its place while it lives.
fn pieces(
    state: &AppState,
    id: BlobId,
    range: Range<u64>,
    slot: Slot<IpAddr>,
    now: UnixMillis,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + use<> {
    let state = state.clone();
    stream::try_unfold((range, slot), move |(range, slot)| {
        let state = state.clone();
        async move {
            if range.is_empty() {
                return Ok(None);
            }
            // Pieces end at multiples of their length, so that none reaches over two stored chunks.
            let end = range.end.min((range.start / PIECE_BYTES + 1) * PIECE_BYTES);
            let (_, mut chunks) = state.blobs.read(id, range.start..end, now).await?;
            let piece = chunks.try_next().await?.ok_or(BlobError::Unknown)?;
            state.metrics.blob_moved(Direction::Download, piece.len() as u64);
            let next = range.start + piece.len() as u64;
            Ok(Some((piece, (next..range.end, slot))))
        }
    })
}

/// The record of a blob that the caller owns; somebody else's looks as if it did not exist.
async fn owned(state: &AppState, device: AuthenticatedDevice, id: BlobId) -> Result<BlobRecord, BlobRefusal> {
    let record = state.blobs.record(id, state.clock.now()).await?;
    if record.owner == device.account() { Ok(record) } else { Err(ProblemCode::NotFound.into()) }
}

fn standing(status: StatusCode, received: u64) -> Response {
    (status, [(UPLOAD_OFFSET_HEADER, HeaderValue::from(received))]).into_response()
}

fn header_number(headers: &HeaderMap) -> Option<u64> {
    headers.get(UPLOAD_OFFSET_HEADER)?.to_str().ok()?.parse().ok()
}
