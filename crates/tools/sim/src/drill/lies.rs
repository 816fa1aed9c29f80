//! What stands before a compromised broker's routes: it reads every request and writes any answer, as whoever runs the machine could.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use rcseal_wire::api::broker::{ClaimStarted, ConfirmRequest, LookupAnswer, MappingHead};
use serde::de::DeserializeOwned;

/// The longest body that is looked at.
const BODY_LEN_MAX: usize = 1 << 20;

/// What the broker does otherwise than an honest one, from now on.
#[derive(Default)]
pub(super) struct Told {
    /// Answered to every look-up.
    pub(super) lookup: Option<LookupAnswer>,
    /// Said to be the newest mapping when a number is claimed.
    pub(super) head: Option<Option<MappingHead>>,
    /// The last honest answer to a look-up.
    pub(super) seen_lookup: Option<LookupAnswer>,
    /// The first statement that somebody sent since this was emptied: what follows an honest answer is another one.
    pub(super) seen_statement: Option<Vec<u8>>,
}

/// The lies, shared by the drill and the routes.
#[derive(Clone, Default)]
pub(super) struct Lies(Arc<Mutex<Told>>);

impl Lies {
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Honest again.
    pub(super) fn stop(&self) {
        let mut told = self.told();
        (told.lookup, told.head) = (None, None);
    }

    /// Puts the lies before routes.
    pub(super) fn before(&self) -> impl Fn(Router) -> Router + Send + Sync + 'static {
        let lies = self.clone();
        move |router| router.layer(from_fn_with_state(lies.clone(), lie))
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Option<T> {
    serde_json::from_slice(body).ok()
}

async fn lie(State(lies): State<Lies>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LEN_MAX).await.unwrap_or_default();
    if path.ends_with("/confirm")
        && let Some(statement) = read::<ConfirmRequest>(&body).and_then(|confirm| confirm.statement)
    {
        lies.told().seen_statement.get_or_insert(statement.0);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !matches!(path.as_str(), "/v1/lookups" | "/v1/numbers") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_LEN_MAX).await.unwrap_or_default();
    let said = {
        let mut told = lies.told();
        if let Some(answer) = read::<LookupAnswer>(&body) {
            told.seen_lookup = Some(answer);
            told.lookup.as_ref().and_then(|lie| serde_json::to_vec(lie).ok())
        } else if let (Some(started), Some(head)) = (read::<ClaimStarted>(&body), told.head) {
            serde_json::to_vec(&ClaimStarted { current: head, ..started }).ok()
        } else {
            None
        }
    };
    let Some(said) = said else { return Response::from_parts(parts, Body::from(body)) };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(said))
}
