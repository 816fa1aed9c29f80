//! A SIP user agent (RFC 3261, RFC 3428) with one way to one carrier.
//!
//! It registers and stays registered, sends and takes messages in pager mode, asks and tells what a device can do, and opens and takes sessions
//! for what is larger. It is spoken to by the composed transports of this crate; what the bodies mean is theirs to know. It never resolves
//! or contacts an address that a message names: everything leaves by the configured next hop, and only the next hop is listened to.
//!
//! | module | what |
//! |---|---|
//! | [`message`], `field`, `stream` | reading what comes in: strict about where things end |
//! | `write` | writing: no value ends its line |
//! | `table` | which answer belongs to which request, and which request was seen before |
//! | `link`, `trouble` | sockets, connections, keep-alive; why there is no way |
//! | `request`, `register` | requests of ours, credentials, the registration |
//! | `inbound`, `dialog` | requests of others, sessions |
//! | `agent`, `config` | the user agent and what it is told |
//!
//! Not here: finding the next hop by SRV records, GRUU, forked sessions (the first far end that answers has it), changing a session that
//! stands.

mod agent;
mod config;
mod dialog;
mod field;
mod inbound;
mod link;
pub mod message;
mod register;
mod request;
mod stream;
mod table;
mod trouble;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use agent::{PagerMessage, UserAgent};
pub use config::{Access, Config, ICSI_MESSAGE, ICSI_SESSION, Limits, Peer, StartError, Timers, Trunk, Wire};
pub use dialog::{Dialog, IncomingInvite};
pub use register::Registration;
pub use stream::count_messages;
pub use trouble::WayTrouble;

/// Nothing that is done under a lock here leaves its state half changed, so that a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
