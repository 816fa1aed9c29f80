//! Showing somebody what is submitted, as an operator could who changed this program. For demonstrations: `rcseal demo` shows beside the
//! phones what their relay sees. `rcseald` has no setting that reaches this; a watcher is handed over by the program that starts the
//! server ([`crate::Server::start_watched`]).

use std::net::IpAddr;

use rcseal_wire::id::{EnvelopeId, MailboxId};

/// An envelope that somebody submitted.
#[derive(Debug, Clone, Copy)]
pub struct Submitted<'a> {
    /// The network address that it came from.
    pub peer: IpAddr,
    /// The mailbox that it is for.
    pub mailbox: MailboxId,
    /// Its id.
    pub id: EnvelopeId,
    /// Its bytes.
    pub envelope: &'a [u8],
}

/// Is shown every envelope before it is stored.
pub trait Watcher: Send + Sync {
    /// An envelope was submitted. Called in the way of the request: it must return at once.
    fn submitted(&self, submitted: Submitted<'_>);
}
