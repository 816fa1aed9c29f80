//! What wraps every public router.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use rcseal_wire::api::JSON_BODY_LEN_MAX;
use rcseal_wire::problem::ProblemCode;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::answers::{self, Answers};
use crate::linger::linger;
use crate::refusal::Refusal;

/// Wraps a public router: unknown paths and methods, bodies that are too long or stall (`stall` between two pieces), peers that do not
/// read, and panics all end in problem documents. A route may set a `DefaultBodyLimit` of its own.
pub fn bounded<S: Clone + Send + Sync + 'static>(router: Router<S>, stall: Duration) -> Router<S> {
    router
        .fallback(async || Refusal::new(ProblemCode::NotFound))
        .method_not_allowed_fallback(async || Refusal::new(ProblemCode::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(JSON_BODY_LEN_MAX))
        .layer(middleware::from_fn(linger))
        .layer(RequestBodyTimeoutLayer::new(stall))
        .layer(middleware::from_fn_with_state(Answers::new(), answers::bound))
        .layer(CatchPanicLayer::custom(report_panic))
}

/// Keeps shared caches away from an answer, unless its handler has said otherwise.
pub fn keep_from_caches(response: &mut Response) {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

/// A panic is a bug of ours; the peer gets an ordinary problem document, and the connection lives on.
fn report_panic(_payload: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!(event = "handler_panicked");
    Refusal::new(ProblemCode::Internal).into_response()
}
