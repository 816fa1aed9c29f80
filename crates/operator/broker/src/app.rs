//! The router: every public route, its OpenAPI description, and what wraps all of them.

use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use rcseal_front::http::bounded;
use rcseal_front::openapi;
use rcseal_wire::problem::Problem;
use utoipa::openapi::OpenApi as OpenApiDocument;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Plane;
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
    openapi::add_problems(&mut document);
    document
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "meta", responses((status = 200, description = "OpenAPI 3.1")))]
async fn describe() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    openapi::answer(DOCUMENT.get_or_init(|| openapi::encode(&openapi_document())).clone())
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
    state.metrics.requests.observe(plane, request, next).await
}
