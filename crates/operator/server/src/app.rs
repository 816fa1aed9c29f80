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
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Content, OpenApi as OpenApiDocument, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::{Outcome, Plane, Running};
use crate::state::AppState;
use crate::{account, auth, blob, directory, link, mailbox, retained, takeover};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "RCSeal relay",
        description = "Login, directory, blobs and linking of an RCSeal relay. Byte strings are base64url without padding; \
                       errors are RFC 9457 problem documents with a stable `code`. The message plane (WebSockets) is described in \
                       docs/protocol/relay-api.md."
    ),
    components(schemas(Problem)),
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
                    .description(Some("The token that POST /v1/login answers."))
                    .build(),
            ),
        );
        components.add_security_scheme(
            "delivery_token",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                rcseal_wire::token::DELIVERY_TOKEN_HEADER,
                "A delivery token of the account, from an invitation or a session.",
            ))),
        );
    }
}

/// Every documented route, not yet bound to a state.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(ApiDocument::openapi())
        .merge(account::routes())
        .merge(auth::routes())
        .merge(directory::routes())
        .merge(blob::routes())
        .merge(link::routes())
        .merge(takeover::routes())
        .merge(mailbox::routes())
        .merge(retained::routes())
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
    // The document never changes while the server runs, and writing it takes a millisecond that anybody could ask for.
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
