//! Which problem answers which refusal of the blob store.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use rcseal_front::refusal::Refusal;
use rcseal_store::BlobError;
use rcseal_store::blob::BeginBlobError;
use rcseal_wire::api::UPLOAD_OFFSET_HEADER;
use rcseal_wire::problem::ProblemCode;

/// A refusal with the headers that let a client go on: where the upload stands, how long the blob is.
pub(super) struct BlobRefusal {
    refusal: Refusal,
    received: Option<u64>,
    size: Option<u64>,
}

impl From<Refusal> for BlobRefusal {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, received: None, size: None }
    }
}

impl From<ProblemCode> for BlobRefusal {
    fn from(code: ProblemCode) -> Self {
        Refusal::new(code).into()
    }
}

impl From<BeginBlobError> for BlobRefusal {
    fn from(error: BeginBlobError) -> Self {
        match error {
            // A fresh random id is never taken; if it is, the client tries again.
            BeginBlobError::IdTaken => Refusal::retry_after(ProblemCode::Unavailable, 1).into(),
            BeginBlobError::UnknownAccount => ProblemCode::DeviceUnknown.into(),
            BeginBlobError::QuotaExceeded => ProblemCode::QuotaExceeded.into(),
            BeginBlobError::Empty => Refusal::with_detail(ProblemCode::OutOfRange, "the blob is empty").into(),
            BeginBlobError::Store(source) => Refusal::from(source).into(),
        }
    }
}

impl From<BlobError> for BlobRefusal {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Unknown => ProblemCode::NotFound.into(),
            BlobError::Offset { received } | BlobError::Incomplete { received } => {
                Self { refusal: ProblemCode::OffsetConflict.into(), received: Some(received), size: None }
            }
            BlobError::ChunkLength { .. } => {
                Refusal::with_detail(ProblemCode::OutOfRange, "pieces are whole, except the last").into()
            }
            BlobError::Busy => Refusal::retry_after(ProblemCode::OffsetConflict, 1).into(),
            BlobError::DigestMismatch => ProblemCode::DigestMismatch.into(),
            BlobError::Range { size } => {
                Self { refusal: ProblemCode::RangeNotSatisfiable.into(), received: None, size: Some(size) }
            }
            BlobError::Store(source) => Refusal::from(source).into(),
            BlobError::Objects(error) => {
                tracing::warn!(event = "blob_objects_failed", code = error.code());
                Refusal::retry_after(ProblemCode::Unavailable, 2).into()
            }
        }
    }
}

impl IntoResponse for BlobRefusal {
    fn into_response(self) -> Response {
        let mut response = self.refusal.into_response();
        if let Some(received) = self.received {
            response.headers_mut().insert(UPLOAD_OFFSET_HEADER, received.into());
        }
        if let (Some(size), StatusCode::RANGE_NOT_SATISFIABLE) = (self.size, response.status())
            && let Ok(value) = format!("bytes */{size}").parse()
        {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
        response
    }
}
