//! Why a session did not come about, or a message did not go through it.

use std::io;

use rcseal_rcs::transport::SendFailure;

use crate::tls::TlsSetupError;

/// Why an endpoint or a session did not come about.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The listening address cannot be used.
    #[error("the address cannot be listened on")]
    Listen(#[source] io::Error),
    /// Our certificate cannot be used.
    #[error("TLS cannot be set up")]
    TlsSetup(#[from] TlsSetupError),
    /// An address that we would tell peers cannot be written.
    #[error("the host cannot stand in an address of MSRP")]
    Address,
    /// There are as many sessions as are allowed.
    #[error("too many sessions")]
    TooManySessions,
    /// No connection to the peer, or to a relay.
    #[error("the peer cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Nobody connected in time, or the peer did not answer.
    #[error("the peer was too slow")]
    Timeout,
    /// The certificate is not the one in the peer's session description.
    #[error("the certificate is not the one that was announced")]
    WrongFingerprint,
    /// The peer's session description leads into a network that is not the peer's.
    #[error("the peer's session description leads into a network of ours")]
    Forbidden,
    /// Our description speaks of TLS and the peer's does not, or has no fingerprint.
    #[error("the peer's session description does not fit ours")]
    Mismatch,
    /// A relay or the peer refused the session.
    #[error("refused with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// What came back was not MSRP, or not an answer.
    #[error("the peer does not speak MSRP")]
    Protocol,
}

impl OpenError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Listen(_) => "msrp_listen",
            Self::TlsSetup(_) => "msrp_tls_setup",
            Self::Address => "msrp_address",
            Self::TooManySessions => "msrp_too_many_sessions",
            Self::Unreachable(_) => "msrp_unreachable",
            Self::Timeout => "msrp_timeout",
            Self::WrongFingerprint => "msrp_wrong_fingerprint",
            Self::Forbidden => "msrp_forbidden",
            Self::Mismatch => "msrp_mismatch",
            Self::Refused { .. } => "msrp_refused",
            Self::Protocol => "msrp_protocol",
        }
    }
}

/// Why a message did not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A chunk was answered, or the message reported on, with this status.
    #[error("refused with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// Nothing came back in time. All of it was sent: it may have arrived.
    #[error("no answer")]
    NoAnswer,
    /// The connection broke before all of it was sent: it did not arrive.
    #[error("the connection broke before the message was sent")]
    Cut,
    /// The peer takes nothing off the connection.
    #[error("the peer is too slow")]
    Slow,
    /// The session had ended before.
    #[error("the session has ended")]
    Ended,
    /// A message with this id is under way.
    #[error("a message with this id is under way")]
    InUse,
}

impl SessionError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "msrp_message_refused",
            Self::NoAnswer => "msrp_no_answer",
            Self::Cut => "msrp_cut",
            Self::Slow => "msrp_slow",
            Self::Ended => "msrp_ended",
            Self::InUse => "msrp_in_use",
        }
    }

    /// What a transport says of it.
    #[must_use]
    pub const fn to_failure(self) -> SendFailure {
        match self {
            Self::Refused { status: 415 } => SendFailure::UnsupportedMedia,
            Self::Refused { status: 413 } => SendFailure::TooLarge,
            Self::Refused { status: 401 | 403 } => SendFailure::Unauthorized,
            Self::Refused { status: 408 } | Self::NoAnswer => SendFailure::NoAnswer,
            Self::Refused { status: 503 } => SendFailure::Busy { retry_after: None },
            Self::Refused { status } => SendFailure::Refused { status },
            Self::Cut | Self::Slow | Self::Ended => SendFailure::Unreachable,
            Self::InUse => SendFailure::Unfit,
        }
    }
}
