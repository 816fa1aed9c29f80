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
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Plane;
use crate::state::AppState;
use crate::{account, auth, blob, directory, link, mailbox, push, retained, takeover};

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
        .merge(push::routes())
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
