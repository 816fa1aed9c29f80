//! What the operator, and nobody else, asks the broker.
//!
//! Two doors, neither of them the public listener. The *admin listener* (plain HTTP, loopback unless configured otherwise) answers
//! `/metrics`, `/healthz` and `/readyz` and changes nothing. The *admin socket*, in the storage folder, takes commands about numbers, and
//! whatever such a command changes is noted in the audit before it is answered.

mod observe;
#[cfg(unix)]
mod socket;

pub(crate) use observe::router;
#[cfg(unix)]
pub use rcseal_front::admin_socket::AdminSocketError;
#[cfg(unix)]
pub(crate) use socket::command;
#[cfg(unix)]
pub use socket::{audit, number_ported, number_state};
