//! Why a broker does not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use rcseal_front::tls::TlsError;
use rcseal_store::StoreError;

use crate::business::setup::WayError;
use crate::config::ConfigError;
use crate::forward::config::TrunkError;
use crate::init::SigningKeyError;
use crate::relay::RelayTrustError;

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration does not hold together.
    #[error("the configuration is refused")]
    Config(#[from] ConfigError),
    /// Certificate or key is unusable.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The countersigning key cannot be had.
    #[error("the countersigning key cannot be used")]
    SigningKey(#[from] SigningKeyError),
    /// The store belongs to another countersigning key: whoever has mappings by it would find nothing that follows them.
    #[error("the store was made under another countersigning key than {}", .path.display())]
    AnotherSigningKey {
        /// The key's file.
        path: PathBuf,
    },
    /// A relay's authorities cannot be used.
    #[error("a relay's authorities cannot be used")]
    Relay(#[from] RelayTrustError),
    /// The storage folder cannot be made or opened.
    #[error("the store in {} cannot be opened", .path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// What the engine said.
        #[source]
        source: StoreError,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The admin socket cannot be made.
    #[error("cannot make the admin socket {}", .path.display())]
    AdminSocket {
        /// The socket's path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The way to the carrier does not start.
    #[error("the way to the carrier does not start")]
    Trunk(#[from] TrunkError),
    /// A provider or an SMS gateway cannot be used.
    #[error("a provider or an SMS gateway cannot be used")]
    Way(#[from] WayError),
}

impl StartError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(source) => source.code(),
            Self::Tls(source) => source.code(),
            Self::SigningKey(source) => source.code(),
            Self::AnotherSigningKey { .. } => "signing_key.another",
            Self::Relay(source) => source.code(),
            Self::Store { .. } => "start.store",
            Self::Listen { .. } => "start.listen",
            Self::AdminSocket { .. } => "start.admin_socket",
            Self::Trunk(source) => source.code(),
            Self::Way(source) => source.code(),
        }
    }
}
