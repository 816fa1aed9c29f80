//! Request bodies: read within limits of size, time and memory, then parsed.
//!
//! Handlers that need a whole body take [`ApiJson`] or [`ApiBytes`]. The size limit is the route's; a body must be complete within
//! [`BODY_TIME_MAX`], whatever its pauses; and all bodies that are being read together hold at most [`BODIES_BYTES_MAX`], counted by
//! what has arrived, so that memory is bought with bandwidth and not with promises. Blobs are streamed and have limits of their own.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::BytesMut;
use http_body_util::{BodyExt as _, LengthLimitError};
use rcseal_wire::problem::ProblemCode;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower_http::timeout::TimeoutError;

use crate::refusal::Refusal;
use crate::state::AppState;

/// Bytes of unfinished bodies in memory.
const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Time for a whole body: a mebibyte over a line of 140 kbit/s.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// Seconds after which somebody who found no room may try again.
const ROOM_RETRY_SECONDS: u64 = 5;

/// The memory for bodies that are being read.
pub(crate) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_MAX)))
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).ok()
    }
}

/// A JSON body of a known shape.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            return Err(Refusal::with_detail(ProblemCode::UnsupportedMediaType, "send application/json"));
        }
        let (body, _room) = read(request, state).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| match error.classify() {
            Category::Data => {
                Refusal::with_detail(ProblemCode::Malformed, "a field is missing, unknown or has the wrong form")
            }
            Category::Syntax | Category::Eof | Category::Io => {
                Refusal::with_detail(ProblemCode::Malformed, "the body is not JSON")
            }
        })
    }
}

/// A body of bytes.
pub(crate) struct ApiBytes(pub(crate) Bytes);

impl FromRequest<AppState> for ApiBytes {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Refusal> {
        Ok(Self(read(request, state).await?.0))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a whole body. The permit stands for the memory; it is given back when the body is parsed.
async fn read(request: Request, state: &AppState) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    // The route's limit (`DefaultBodyLimit`) ends a longer body with an error.
    let mut body = request.into_limited_body();
    let reading = async {
        let mut bytes = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| refuse_broken(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            let more = state
                .bodies
                .take(data.len())
                .ok_or_else(|| Refusal::retry_after(ProblemCode::Unavailable, ROOM_RETRY_SECONDS))?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok((bytes.freeze(), room))
    };
    timeout(BODY_TIME_MAX, reading).await.unwrap_or_else(|_| Err(ProblemCode::Stalled.into()))
}

/// Refuses a body that could not be read: too long, stalled, or cut off.
pub(crate) fn refuse_broken(error: &(dyn Error + 'static)) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ProblemCode::TooLarge.into();
        }
        if error.is::<TimeoutError>() {
            return ProblemCode::Stalled.into();
        }
        cause = error.source();
    }
    Refusal::with_detail(ProblemCode::Malformed, "the body ended early")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn memory_for_bodies_is_given_back() {
        let budget = BodyBudget::new();
        let all = budget.take(BODIES_BYTES_MAX).unwrap();
        assert!(budget.take(1).is_none());
        drop(all);
        assert!(budget.take(1).is_some());
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(with("application/json"));
        assert!(with("Application/JSON; charset=utf-8"));
        assert!(!with("text/plain"));
        assert!(!with("application/jsonp"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
