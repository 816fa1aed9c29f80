//! The message plane: submissions in, deliveries out, acknowledgements back.
//!
//! Two kinds of connection, which a client keeps apart so that the server cannot tell who writes to whom: an authenticated one that
//! delivers and takes acknowledgements, and an unauthenticated one that takes submissions, each with its own delivery token. Both
//! exist as WebSockets and as plain HTTPS requests; frames and bodies are the same protobuf (`rcseal_wire::frame`). The specification
//! is docs/protocol/relay-api.md.
//!
//! A delivery connection is *draining* (the backlog goes out in order, a bounded number of envelopes unacknowledged), then *live*
//! (after `QueueEmpty`). One connection serves a mailbox: the newest takes over. What the store holds is the truth; wake-ups only say
//! when to look.
//!
//! Nothing here answers *stored* or *removed* before the store said that it is durable. Nothing here logs ids or addresses.
//!
//! | limit | value | reason |
//! |---|---|---|
//! | unacknowledged envelopes per connection | 256 | what a phone decrypts in a few seconds |
//! | acknowledgements in work per connection | 16 | keeps the connection busy over one disk flush |
//! | batches in work per connection | 256, 8 MiB | the same; beyond it the server stops reading |

mod deliver;
mod http;
mod registry;
mod socket;
mod submit;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use rcseal_wire::frame::{FRAME_LEN_MAX, MAILBOX_PATH, SUBMIT_PATH};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

pub(crate) use self::registry::Registry;

/// The routes of the message plane.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(http::submit))
        .layer(DefaultBodyLimit::max(FRAME_LEN_MAX))
        .routes(routes!(http::fetch))
        .routes(routes!(http::acknowledge))
        .route(MAILBOX_PATH, get(deliver::connect))
        .route(SUBMIT_PATH, get(submit::connect))
}
