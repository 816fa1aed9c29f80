//! What the operator, and nobody else, asks the server.
//!
//! Two doors, neither of them the public listener. The *admin listener* (plain HTTP, loopback unless configured otherwise) answers
//! `/metrics`, `/healthz` and `/readyz` and changes nothing. The *admin socket*, a Unix socket in the storage folder that only the
//! server's own user may open, takes commands; `rcseald invite` and `rcseald reset` use it, so that no port and no password stand
//! between the operator and the running server.

mod observe;
#[cfg(unix)]
mod retained;
#[cfg(unix)]
mod socket;

pub(crate) use observe::router;
#[cfg(unix)]
pub use rcseal_front::admin_socket::AdminSocketError;
#[cfg(unix)]
pub use retained::{ActorLine, AuditError, AuditLine, check_retained, list_retained, read_audit, read_retained};
#[cfg(unix)]
pub(crate) use socket::command;
#[cfg(unix)]
pub use socket::{cancel_reset, create_invite, create_reset_ticket, list_resets};
