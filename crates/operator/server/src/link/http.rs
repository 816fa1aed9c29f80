//! Requests of the rendezvous.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rcseal_front::body::ApiBytes;
use rcseal_front::net::ConnectionInfo;
use rcseal_front::refusal::{ApiPath, ApiQuery, Refusal};
use rcseal_wire::api::{LINK_MESSAGES_MAX, LinkCreated};
use rcseal_wire::id::LinkId;
use rcseal_wire::problem::{Problem, ProblemCode};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::refusal;
use crate::state::AppState;

/// Longest wait of one read: shorter than the idle limits of middleboxes.
const WAIT_SECONDS_MAX: u64 = 30;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(put_message, get_message))
}

/// Opens a rendezvous.
#[utoipa::path(
    post, path = "/v1/links", tag = "linking",
    responses(
        (status = 201, body = LinkCreated, description = "opened"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "rate_limited"),
    ),
)]
async fn open(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
) -> Result<(StatusCode, Json<LinkCreated>), Refusal> {
    state.limiters.rendezvous(connection.peer().ip())?;
    let id = LinkId::generate(&mut rand::rng());
    let now = state.clock.now();
    let ends_at = state.store.open_link(id, now).await.map_err(refusal)?;
    let expires_in_seconds = ends_at.get().saturating_sub(now.get()) / 1000;
    Ok((StatusCode::CREATED, Json(LinkCreated { id, expires_in_seconds })))
}

/// Leaves message `n`, once. Repeating the same bytes is accepted, other bytes are `id_conflict`.
#[utoipa::path(
    put, path = "/v1/links/{id}/{n}", tag = "linking",
    params(
        ("id" = String, Path, description = "the rendezvous"),
        ("n" = u8, Path, description = "message number, 1 to 4"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204, description = "stored"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "id_conflict"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "too_large"),
    ),
)]
async fn put_message(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiPath((id, n)): ApiPath<(LinkId, u8)>,
    ApiBytes(message): ApiBytes,
) -> Result<StatusCode, Refusal> {
    state.limiters.anonymous(connection.peer().ip())?;
    state.store.put_link_message(id, slot(n)?, message, state.clock.now()).await.map_err(refusal)?;
    state.link_waiters.announce(id);
    Ok(StatusCode::NO_CONTENT)
}

/// How long to wait.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// Seconds to wait for the message, 0 (the default) to 30.
    #[serde(default)]
    wait: u64,
}

/// Reads message `n`; 204 when it is still not there at the end of the wait.
#[utoipa::path(
    get, path = "/v1/links/{id}/{n}", tag = "linking",
    params(
        ("id" = String, Path, description = "the rendezvous"),
        ("n" = u8, Path, description = "message number, 1 to 4"),
        Wait,
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "the bytes"),
        (status = 204, description = "not there yet"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "not_found"),
    ),
)]
async fn get_message(
    State(state): State<AppState>,
    Extension(connection): Extension<ConnectionInfo>,
    ApiPath((id, n)): ApiPath<(LinkId, u8)>,
    ApiQuery(Wait { wait }): ApiQuery<Wait>,
) -> Result<Response, Refusal> {
    state.limiters.anonymous(connection.peer().ip())?;
    let slot = slot(n)?;
    let deadline = Instant::now() + Duration::from_secs(wait.min(WAIT_SECONDS_MAX));
    // Listening starts before the first look, so that no message falls between the two.
    let mut announcements = state.link_waiters.listen();
    loop {
        if let Some(message) = state.store.link_message(id, slot, state.clock.now()).await.map_err(refusal)? {
            return Ok(binary(message));
        }
        loop {
            tokio::select! {
                heard = timeout_at(deadline, announcements.recv()) => match heard {
                    Err(_) => return Ok(StatusCode::NO_CONTENT.into_response()),
                    // Some other rendezvous; a lagging listener looks to be safe.
                    Ok(Ok(announced)) if announced != id => {}
                    Ok(_) => break,
                },
                () = state.stopping.cancelled() => return Ok(StatusCode::NO_CONTENT.into_response()),
            }
        }
    }
}

fn binary(message: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], message).into_response()
}

/// Messages are numbered from 1 on the wire and from 0 in the store.
fn slot(number: u8) -> Result<u8, Refusal> {
    match number {
        1..=LINK_MESSAGES_MAX => Ok(number - 1),
        _ => Err(ProblemCode::NotFound.into()),
    }
}
