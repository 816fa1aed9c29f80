//! Why a server does not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use rcseal_front::tls::TlsError;
use rcseal_store::StoreError;

use crate::config::ConfigError;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration does not hold together.
    #[error("the configuration is refused")]
    Config(#[from] ConfigError),
    /// Certificate or key is unusable.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
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
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The folder for wake-ups cannot be made.
    #[error("cannot make the folder for wake-ups {}", .path.display())]
    PushSpool {
        /// The folder.
        path: PathBuf,
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
}

impl StartError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(source) => source.code(),
            Self::Tls(source) => source.code(),
            Self::Store { .. } => "start.store",
            Self::Listen { .. } => "start.listen",
            Self::PushSpool { .. } => "start.push_spool",
            Self::Thread(_) => "start.thread",
            Self::AdminSocket { .. } => "start.admin_socket",
        }
    }
}
