//! The router: every public route, its OpenAPI description, and what wraps all of them.

use std::sync::OnceLock;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use rcseal_front::http::{bounded, keep_from_caches};
use rcseal_wire::problem::{PROBLEM_CONTENT_TYPE, Problem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Content, OpenApi as OpenApiDocument, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::{Outcome, Plane, Running};
use crate::state::AppState;
use crate::{about, business, enrolment, forward, lookup, number};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "RCSeal broker",
        description = "Which account a phone number belongs to, and the way between carriers and mailboxes. Byte strings are base64url \
                       without padding; errors are RFC 9457 problem documents with a stable `code`. What is signed is described in \
                       docs/protocol/mapping.md, the rest in docs/protocol/broker.md."
    ),
    components(schemas(Problem, rcseal_wire::api::broker::BrokerNotice)),
    modifiers(&SecuritySchemes)
)]
struct ApiDocument;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApiDocument) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "login",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some("The token that POST /v1/login or POST /v1/broker/enrolment answers."))
                    .build(),
            ),
        );
    }
}

/// Every documented route, not yet bound to a state.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(ApiDocument::openapi())
        .merge(about::routes())
        .merge(enrolment::routes())
        .merge(number::routes())
        .merge(lookup::routes())
        .merge(forward::http::routes())
        .merge(business::http::routes())
        .routes(routes!(describe))
}

/// The OpenAPI 3.1 document of every route.
#[must_use]
pub fn openapi_document() -> OpenApiDocument {
    let mut document = routes().into_openapi();
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.head, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), any_problem().into());
        }
    }
    document
}

/// What every route may answer beside its own refusals: a malformed or oversized request, a missing login, a failing store.
fn any_problem() -> openapi::Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description("Refused: a problem document, whose `code` says why.")
        .content(PROBLEM_CONTENT_TYPE, problem)
        .build()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "meta", responses((status = 200, description = "OpenAPI 3.1")))]
async fn describe() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| {
        openapi_document().to_json().expect("a document of strings, numbers and lists has a JSON form").into()
    });
    ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
}

/// The public router.
pub(crate) fn router(state: AppState) -> Router {
    let stall = state.config.limits.stall();
    let (router, _) = routes().split_for_parts();
    bounded(router, stall).layer(middleware::from_fn_with_state(state.clone(), observe)).with_state(state)
}

/// Counts and times every request by plane, and keeps shared caches away from answers.
async fn observe(State(state): State<AppState>, route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let plane = route.as_ref().map_or(Plane::Other, |route| Plane::of(route.as_str()));
    let begun = Instant::now();
    let mut response = {
        let _running = Running::begin(&state.metrics.requests_running);
        next.run(request).await
    };
    let status = response.status();
    let outcome = if status.is_server_error() {
        Outcome::Failed
    } else if status.is_client_error() {
        Outcome::Refused
    } else {
        Outcome::Accepted
    };
    state.metrics.request(plane, outcome, begun.elapsed());
    tracing::debug!(event = "request", ?plane, status = status.as_u16(), micros = begun.elapsed().as_micros());
    keep_from_caches(&mut response);
    response
}
