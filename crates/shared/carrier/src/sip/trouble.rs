//! Why there is no way to the carrier, for whoever has to do something about it.
//!
//! A sender needs to know only that nothing left ([`SendFailure::Unreachable`](rcseal_rcs::transport::SendFailure::Unreachable)); the person
//! who set the way up needs to know which of its settings to look at. Nothing here holds a name or an address, so that it can be logged.

use std::io;

/// What became of the last try to open the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WayTrouble {
    /// The next hop's name leads to no address that could be used from the local one.
    #[error("the carrier's host name leads nowhere")]
    UnknownHost,
    /// There is such a host, and nobody listens at the port.
    #[error("nobody listens at the carrier's port")]
    Refused,
    /// Nothing came back in time.
    #[error("the carrier's host does not answer")]
    Timeout,
    /// The carrier shows a certificate of another authority, for another domain, or one that is out of date.
    #[error("the carrier's certificate is not one that its authority has signed for its domain")]
    Certificate,
    /// There was no agreement on TLS: an older version, other ciphers, or a peer that speaks something else.
    #[error("the carrier does not speak TLS as we do")]
    Tls,
    /// The network failed in another way.
    #[error("the network failed: {0}")]
    Network(io::ErrorKind),
    /// There was a way, and it ended. It is being opened again.
    #[error("the connection to the carrier ended")]
    Ended,
}

impl WayTrouble {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownHost => "sip_way_unknown_host",
            Self::Refused => "sip_way_refused",
            Self::Timeout => "sip_way_timeout",
            Self::Certificate => "sip_way_certificate",
            Self::Tls => "sip_way_tls",
            Self::Network(_) => "sip_way_network",
            Self::Ended => "sip_way_ended",
        }
    }
}

/// What an error means that came while the way was opened.
impl From<io::Error> for WayTrouble {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => return Self::Certificate,
            Some(_) => return Self::Tls,
            None => {}
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            kind => Self::Network(kind),
        }
    }
}

impl From<tokio::time::error::Elapsed> for WayTrouble {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Timeout
    }
}
