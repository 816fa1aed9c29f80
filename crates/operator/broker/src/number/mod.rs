//! Phone numbers: claims with one-time codes, mappings, and the ways in which a number changes hands.
//!
//! ```text
//! claim ──code right──► verified ──statement──► decide ──► mapping          (first, same, released, recycled, ported)
//!                                                    └───► wait, with notices ──7 days, no veto──► mapping  (waited)
//! ```
//!
//! | module | what |
//! |---|---|
//! | `kind` | which numbers are served at all |
//! | `claim` | sending a code, and what it costs |
//! | `confirm` | the code comes back, with a statement |
//! | `decide` | on what grounds a number may go to an account: a pure function |
//! | `bind` | countersigning, and putting the mapping in its place before anybody sees it |
//! | `tend` | notices, and waits that end |
//! | `own` | what an account does with its own numbers: view, release, hide, veto |
//! | `bound` | to which device a number is bound now |
//!
//! Nothing here tells a stranger whether a number is in use before they have shown that they receive at it.
//! Spec: `docs/protocol/broker.md`.

mod bind;
mod bound;
mod claim;
mod confirm;
mod decide;
mod error;
mod kind;
mod own;
mod tend;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use bound::{NumberRoutes, SealingKeys, is_in_force};
pub(crate) use error::NumberRefusal;
pub(crate) use kind::{served, takes_sms};
pub(crate) use tend::{is_readable, notify, tend};

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(claim::routes()).merge(confirm::routes()).merge(own::routes())
}
