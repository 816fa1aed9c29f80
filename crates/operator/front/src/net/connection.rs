//! What handlers may know about the TLS connection a request came over.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rcseal_store::UnixMillis;
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN};

use crate::body::Meter;

/// Facts about one TLS connection, placed in the extensions of every request that arrives over it.
#[derive(Clone)]
pub struct ConnectionInfo(Arc<Facts>);

struct Facts {
    peer: SocketAddr,
    exporter: [u8; TLS_EXPORTER_LEN],
    nonce: Mutex<Option<PendingNonce>>,
    meter: Meter,
}

/// A login nonce that was given out on this connection and not used yet.
#[derive(Clone, Copy)]
pub struct PendingNonce {
    /// The nonce.
    pub nonce: [u8; LOGIN_NONCE_LEN],
    /// When it is worth nothing any more.
    pub expires_at: UnixMillis,
}

impl ConnectionInfo {
    /// Facts about a new connection.
    #[must_use]
    pub fn new(peer: SocketAddr, exporter: [u8; TLS_EXPORTER_LEN]) -> Self {
        Self(Arc::new(Facts { peer, exporter, nonce: Mutex::new(None), meter: Meter::default() }))
    }

    /// Address of the peer. For limits only; never logged.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.0.peer
    }

    /// The connection's TLS exporter value (RFC 8446, section 7.5) that a login signs.
    #[must_use]
    pub fn exporter(&self) -> &[u8; TLS_EXPORTER_LEN] {
        &self.0.exporter
    }

    /// Counts what is read on this connection, once it is started.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Stores the nonce of a new challenge; an earlier unused one is forgotten.
    pub fn put_nonce(&self, nonce: PendingNonce) {
        *self.0.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
    }

    /// Takes the nonce; it is gone whatever comes of the login, so that one challenge allows one attempt.
    pub fn take_nonce(&self) -> Option<PendingNonce> {
        self.0.nonce.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for ConnectionInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ConnectionInfo")
    }
}
