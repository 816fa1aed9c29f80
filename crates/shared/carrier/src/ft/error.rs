//! Why a file did not go up or come down.

use rcseal_rcs::ft::{FtError as DescriptorError, UrlError};

/// Why an address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Plain HTTP, and not to this machine.
    #[error("plain HTTP")]
    PlainHttp,
    /// An address in a private network or on this machine, which the configuration does not name.
    #[error("an address of the own network")]
    LocalAddress,
    /// From TLS to plain HTTP.
    #[error("a redirect from TLS to plain HTTP")]
    Downgrade,
    /// One redirect too many.
    #[error("too many redirects")]
    TooManyRedirects,
}

/// Which part took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting, with TLS.
    Connect,
    /// Nothing moved.
    Stall,
    /// The whole transfer.
    Whole,
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum FtError {
    /// The configuration has no address to upload to.
    #[error("no content server to upload to")]
    NoContentServer,
    /// An address is not one.
    #[error("the address cannot be used")]
    Url(#[from] UrlError),
    /// An address may not be connected to.
    #[error("the address may not be connected to")]
    Forbidden(#[from] Forbidden),
    /// No connection.
    #[error("the content server cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// The server's certificate is not one we accept, or TLS failed.
    #[error("no TLS with the content server")]
    Tls(#[source] std::io::Error),
    /// Too slow.
    #[error("the content server is too slow ({0:?})")]
    Timeout(Stage),
    /// The connection broke; so many bytes of the file had come or gone.
    #[error("the transfer was cut after {transferred} bytes")]
    Cut {
        /// Bytes.
        transferred: u64,
    },
    /// Our credentials are not taken, or there are none.
    #[error("the content server does not accept our credentials")]
    Unauthorized,
    /// Try later, after so many seconds where it was said.
    #[error("the content server is busy")]
    Busy {
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// The file is not there (any more).
    #[error("the file is not there")]
    NotFound,
    /// Larger than we or the server take.
    #[error("the file is too large")]
    TooLarge,
    /// Another status.
    #[error("refused with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// The server's answer is not HTTP, or not one that fits the request.
    #[error("the content server's answer does not fit")]
    Protocol,
    /// The server gives another number of bytes than announced.
    #[error("the file has another length than announced")]
    Length,
    /// The file is another one than when the transfer began.
    #[error("the file changed on the server")]
    Changed,
    /// The file is not the one that was announced.
    #[error("the file is not the one that was announced")]
    Digest,
    /// The server's description of the uploaded file cannot be read.
    #[error("the content server's descriptor cannot be read")]
    Descriptor(#[from] DescriptorError),
    /// What was received cannot be stored.
    #[error("the file cannot be stored")]
    Store(#[source] std::io::Error),
}

impl FtError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoContentServer => "ft_no_content_server",
            Self::Url(_) => "ft_url",
            Self::Forbidden(_) => "ft_forbidden",
            Self::Unreachable(_) => "ft_unreachable",
            Self::Tls(_) => "ft_tls",
            Self::Timeout(_) => "ft_timeout",
            Self::Cut { .. } => "ft_cut",
            Self::Unauthorized => "ft_unauthorized",
            Self::Busy { .. } => "ft_busy",
            Self::NotFound => "ft_not_found",
            Self::TooLarge => "ft_too_large",
            Self::Refused { .. } => "ft_refused",
            Self::Protocol => "ft_protocol",
            Self::Length => "ft_length",
            Self::Changed => "ft_changed",
            Self::Digest => "ft_digest",
            Self::Descriptor(_) => "ft_descriptor",
            Self::Store(_) => "ft_store",
        }
    }

    /// Whether taking the transfer up again where it stopped may help.
    pub(super) const fn is_cut(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Unreachable(_) | Self::Timeout(Stage::Connect | Stage::Stall))
    }
}
