//! MSRP sessions (RFC 4975): what is too large for a SIP message, over a connection of its own.
//!
//! ```text
//! Endpoint::prepare ──► Local (a path and a fingerprint for our session description)
//!         │                      │   + Remote (what the peer's description says)
//!         ▼                      ▼
//!   our listener ◄── passive ── Endpoint::open ── active ──► the peer, or its relay
//!                                │
//!                                ▼
//!                            Session::send, and messages that come in
//! ```
//!
//! One connection carries one session. With TLS both ends compare the other's certificate with the fingerprint in its description;
//! between an end and a relay the relay's name is checked. A connection that somebody opens to us belongs to a session once its first
//! request names that session's address, which only the peer was told.
//!
//! A message is handed to an [`Inlet`] once it is whole, and the response to its last chunk waits for the inlet's answer: 200 says that the
//! message is durable at the far end of this connection. Behind a relay that is the relay, so that a sender also waits for the far end's
//! success report there. Neither is delivery.

mod endpoint;
pub mod error;
mod relay;
mod session;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rcseal_rcs::msrp::{CHUNK_LEN, Received, Uri};

pub use endpoint::{Endpoint, Local, Remote, Role};
pub use error::{OpenError, SessionError};
pub use session::Session;

use crate::auth::Credentials;
use crate::tls::{SelfSigned, TrustAnchors};
use crate::transport::Answer;

/// Takes messages that are whole, and says what became of them.
#[async_trait]
pub trait Inlet: Send + Sync {
    /// A message. [`Answer::Accepted`] only once it is durable.
    async fn take(&self, message: Received) -> Answer;
}

/// How connections are protected.
#[derive(Clone)]
pub enum Protection {
    /// TCP. Whoever is on the path sees and changes everything; for tests, and inside a network that protects otherwise.
    Plain,
    /// TLS, with a certificate of our own whose fingerprint stands in the session description.
    Tls(Arc<SelfSigned>),
}

/// A relay of ours (RFC 4976), through which peers reach us.
#[derive(Debug, Clone)]
pub struct RelayAccess {
    /// Its address.
    pub uri: Uri,
    /// Who we are to it.
    pub credentials: Credentials,
    /// The authorities that vouch for it.
    pub trust: TrustAnchors,
}

/// How much and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsrpLimits {
    /// Bytes of body in one chunk that we send.
    pub chunk_len: usize,
    /// The largest message that is taken.
    pub message_len_max: usize,
    /// Messages of one session that have come in part.
    pub partial_messages_max: usize,
    /// Bytes that were sent and not answered: more wait.
    pub in_flight_max: u32,
    /// Sessions at once. With the limits above it bounds what peers make us hold.
    pub sessions_max: usize,
    /// Connections that have not yet said which session they are for. Beyond them the oldest is hung up on.
    pub unbound_max: usize,
    /// Until a connection is up, and until one that was opened to us names its session.
    pub connect: Duration,
    /// Until a chunk is answered or reported on. RFC 4975 says 30 seconds.
    pub response: Duration,
    /// Until the far end takes bytes off the connection, or sends the rest of something that it began.
    pub stall: Duration,
    /// Until a session on which nothing comes in is ended.
    pub idle: Duration,
}

impl Default for MsrpLimits {
    fn default() -> Self {
        Self {
            chunk_len: CHUNK_LEN,
            message_len_max: 1 << 20,
            partial_messages_max: 2,
            in_flight_max: 64 << 10,
            sessions_max: 32,
            unbound_max: 16,
            connect: Duration::from_secs(15),
            response: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            idle: Duration::from_secs(600),
        }
    }
}

/// An endpoint's configuration.
#[derive(Clone)]
pub struct MsrpConfig {
    /// Where peers connect to; port 0 takes any.
    pub listen: SocketAddr,
    /// The host that peers are told, where it is not the listening address.
    pub advertised_host: Option<String>,
    /// How connections are protected.
    pub protection: Protection,
    /// Our relay, if we use one.
    pub relay: Option<RelayAccess>,
    /// For relays of peers.
    pub trust: TrustAnchors,
    /// How much and how long.
    pub limits: MsrpLimits,
}

impl MsrpConfig {
    /// A configuration without a relay.
    #[must_use]
    pub fn new(listen: SocketAddr, protection: Protection) -> Self {
        Self {
            listen,
            advertised_host: None,
            protection,
            relay: None,
            trust: TrustAnchors::none(),
            limits: MsrpLimits::default(),
        }
    }
}
