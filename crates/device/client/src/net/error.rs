//! Why a request had no answer, or another one than was hoped for.

use std::time::Duration;

use rcseal_wire::problem::{Problem, ProblemCode};

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No address answered.
    #[error("cannot connect to the server")]
    Connect(#[source] std::io::Error),
    /// The server could not prove who it is, or speaks no TLS 1.3.
    #[error("the server's TLS is not acceptable")]
    Tls(#[source] std::io::Error),
    /// The server has another key than the pins name, whoever vouches for it.
    #[error("the server has another key than it is pinned to")]
    Pin,
    /// The proxy does not let us through.
    #[error("the proxy does not let us through: {0}")]
    Proxy(#[source] ProxyFault),
    /// Something took too long.
    #[error("timed out: {0}")]
    Timeout(Stage),
    /// The connection ended in the middle. Whether the server acted is not known; every request here may be repeated.
    #[error("the connection was lost")]
    Closed(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The server refused, in the words of a problem document.
    #[error("the server refused: {} (status {})", .0.code(), .0.status)]
    Problem(Refused),
    /// The server answered something that the protocol does not have.
    #[error("the server broke the protocol: {0}")]
    Protocol(Fault),
    /// The answer is larger than anything the protocol has.
    #[error("the answer exceeds {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The device could not sign the login.
    #[error("the device could not sign the login")]
    Login(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A local file could not be read or written.
    #[error("a local file failed")]
    File(#[source] std::io::Error),
    /// The downloaded bytes are not those that were announced. They have been deleted.
    #[error("the downloaded bytes do not have the announced digest")]
    DigestMismatch,
}

/// A refusal of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status; 0 where the refusal came over a WebSocket.
    pub status: u16,
    /// The code, where it is one that this client knows.
    pub known: Option<ProblemCode>,
    /// When to come back, if the server said so.
    pub retry_after: Option<Duration>,
}

impl Refused {
    pub(super) fn from_problem(status: u16, problem: &Problem) -> Self {
        Self {
            status,
            known: ProblemCode::from_code(&problem.code),
            retry_after: problem.retry_after_seconds.map(Duration::from_secs),
        }
    }

    /// The stable code; a made-up one for a code that this client does not know, so that a server cannot put words into metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.known.map_or("unknown", ProblemCode::as_str)
    }

    fn is_retryable(&self) -> bool {
        use ProblemCode as P;
        match self.known {
            Some(P::RateLimited | P::ShuttingDown | P::Unavailable | P::Internal | P::Stalled | P::TokenExpired) => {
                true
            }
            // A full mailbox empties when its owner comes by.
            Some(P::QuotaExceeded) => true,
            // Of somebody behind the server that is away, or of a quota that fills again.
            Some(
                P::KmsUnavailable
                | P::ProviderUnavailable
                | P::RelayUnreachable
                | P::CodeNotSent
                | P::LookupQuotaExceeded
                | P::CarrierBusy
                | P::CarrierUnauthorized
                | P::CarrierNoAnswer
                | P::CarrierUnreachable,
            ) => true,
            Some(
                P::Malformed
                | P::OutOfRange
                | P::Unauthenticated
                | P::LoginRefused
                | P::DeviceUnknown
                | P::Forbidden
                | P::AdmissionRefused
                | P::RecoveryRefused
                | P::ResetTicketRefused
                | P::NotFound
                | P::MethodNotAllowed
                | P::AccountExists
                | P::MailboxTaken
                | P::KeySetConflict
                | P::KeySetRollback
                | P::KeySetFork
                | P::MailboxFixed
                | P::OffsetConflict
                | P::IdConflict
                | P::Gone
                | P::TooLarge
                | P::UnsupportedMediaType
                | P::RangeNotSatisfiable
                | P::KeySetInvalid
                | P::DigestMismatch
                | P::TakenOver
                | P::WebhookRefused
                | P::ServerKeyDestroyed
                | P::RegionMismatch
                | P::RetentionUnknown
                | P::RelayUnknown
                | P::RelayDisagrees
                | P::NumberNotServed
                | P::CodeRefused
                | P::ClaimGone
                | P::StatementInvalid
                | P::ReleaseInvalid
                | P::NumberConflict
                | P::NumberNotYours
                | P::CarrierUnsupportedMedia
                | P::CarrierNotFound
                | P::CarrierTooLarge
                | P::CarrierRefused
                | P::CarrierUnfit
                | P::TenantKeyUnknown,
            ) => false,
            None => self.status == 0 || self.status == 408 || self.status == 429 || self.status >= 500,
        }
    }
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reaching the server.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The beginning of an answer.
    Answer,
    /// The next piece of an answer.
    Body,
    /// Writing to the server.
    Write,
    /// Any sign of life on an open connection.
    Silence,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "TLS handshake",
            Self::Answer => "waiting for an answer",
            Self::Body => "reading an answer",
            Self::Write => "writing",
            Self::Silence => "no sign of life",
        })
    }
}

/// How a server broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are not HTTP, or not WebSocket frames.
    Framing,
    /// An answer is not the JSON or protobuf it should be.
    Body,
    /// A success with the wrong status.
    Status(u16),
    /// An error without a problem document.
    Refusal(u16),
    /// A header is missing or makes no sense.
    Header,
    /// An answer that fits no question.
    Unexpected,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Framing => f.write_str("malformed framing"),
            Self::Body => f.write_str("malformed body"),
            Self::Status(status) => write!(f, "unexpected status {status}"),
            Self::Refusal(status) => write!(f, "status {status} without a problem document"),
            Self::Header => f.write_str("malformed header"),
            Self::Unexpected => f.write_str("unexpected message"),
        }
    }
}

/// What is wrong with the proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFault {
    /// It cannot be connected to.
    #[error("it cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// It hung up.
    #[error("it hung up")]
    Lost(#[source] std::io::Error),
    /// It wants other credentials.
    #[error("it wants other credentials")]
    Unauthorized,
    /// It refused, with this status.
    #[error("it refused with status {0}")]
    Refused(u16),
    /// It does not speak HTTP.
    #[error("it does not speak HTTP")]
    Malformed,
}

impl NetError {
    /// The stable code. That of a refusal is the server's.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(_) => "net.connect",
            Self::Tls(_) => "net.tls",
            Self::Pin => "net.pin",
            Self::Proxy(ProxyFault::Unauthorized) => "net.proxy_auth",
            Self::Proxy(_) => "net.proxy",
            Self::Timeout(_) => "net.timeout",
            Self::Closed(_) => "net.closed",
            Self::Problem(refused) => refused.code(),
            Self::Protocol(_) => "net.protocol",
            Self::TooLarge { .. } => "net.too_large",
            Self::Login(_) => "net.login",
            Self::File(_) => "net.file",
            Self::DigestMismatch => "net.digest_mismatch",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout(_) | Self::Closed(_) => true,
            Self::Problem(refused) => refused.is_retryable(),
            Self::Protocol(Fault::Refusal(status)) => *status >= 500 || *status == 429,
            Self::Proxy(ProxyFault::Unreachable(_) | ProxyFault::Lost(_)) => true,
            Self::Proxy(ProxyFault::Refused(status)) => *status >= 500 || *status == 429,
            Self::Tls(_)
            | Self::Pin
            | Self::Proxy(ProxyFault::Unauthorized | ProxyFault::Malformed)
            | Self::Protocol(_)
            | Self::TooLarge { .. }
            | Self::Login(_)
            | Self::File(_)
            | Self::DigestMismatch => false,
        }
    }

    /// How long the server asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(refused) => refused.retry_after,
            _ => None,
        }
    }

    /// The refusal's code, if it is a refusal with one that is known.
    #[must_use]
    pub fn problem(&self) -> Option<ProblemCode> {
        match self {
            Self::Problem(refused) => refused.known,
            _ => None,
        }
    }

    pub(super) fn closed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Closed(Some(error.into()))
    }
}
