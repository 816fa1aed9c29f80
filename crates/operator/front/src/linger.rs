//! Lets a peer that is still sending hear why it was refused.
//!
//! On HTTP/1.1 a handler that answers before it has read the body makes hyper close the connection, and the peer, busy writing, may
//! see a reset instead of the answer. So after a refusal the rest of the body is read and dropped, up to a limit, before the answer
//! goes out. Peers that keep sending beyond the limit, or stop in the middle, are cut off as before. HTTP/2 needs none of this.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Version;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::timeout;

/// Bytes read and dropped at most: two pieces of a blob, or twice the largest JSON body.
const DROPPED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Time for it.
const DROPPING_MAX: Duration = Duration::from_secs(5);

/// A body that can still be read after the handler has dropped its share.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    fn with<T>(&self, read: impl FnOnce(&mut Body) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// The middleware.
pub async fn linger(request: Request, next: Next) -> Response {
    if request.version() >= Version::HTTP_2 || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut shared = SharedBody(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(parts, Body::new(shared.clone()))).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        // Whatever happens while dropping, the answer is already decided.
        let _ = timeout(DROPPING_MAX, drop_rest(&mut shared)).await;
    }
    response
}

async fn drop_rest(body: &mut SharedBody) {
    let mut dropped = 0;
    while dropped <= DROPPED_BYTES_MAX && !body.is_end_stream() {
        let Some(Ok(frame)) = body.frame().await else { return };
        dropped += frame.data_ref().map_or(0, Bytes::len);
    }
}
