//! File transfer over HTTP (RCC.07), for ciphertext.
//!
//! A file goes to a content server of the carrier and a descriptor with its address goes to the peer in a message. Upload is a POST of
//! a form with the parts `tid` and `File`, after a first empty POST that fetches the challenge of digest authentication; one that is cut
//! is asked for by its `tid` and continued with PUT. Download is a GET, continued with `Range`.
//!
//! The content server reads what it stores, so that only a [`SealedBlob`] can be uploaded. What a server answers is bounded in bytes and
//! in time, and a peer's descriptor leads neither into the device's own network nor from TLS to plain HTTP (see [`config`]).

pub mod config;
pub mod download;
pub mod error;
mod http;
mod login;
pub mod sealed;
pub mod upload;

pub use config::{Dangerous, FtConfig, FtLimits};
pub use download::{BlobSink, FileSink, Source};
pub use error::{Forbidden, FtError, Stage};
pub use rcseal_rcs::ft::{ContentUrl, UrlError};
pub use sealed::{NotSealed, SealedBlob};
pub use upload::{SealedType, TransferId};

/// A client of content servers.
#[derive(Debug)]
pub struct FtClient {
    config: FtConfig,
}

impl FtClient {
    /// A client.
    #[must_use]
    pub const fn new(config: FtConfig) -> Self {
        Self { config }
    }
}
