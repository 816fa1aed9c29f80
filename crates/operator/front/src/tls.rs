//! TLS: version 1.3 only, the hybrid key exchange X25519MLKEM768 preferred, no resumption.
//!
//! TLS ends in this process because a login signs the connection's exporter value; a proxy in between would see other keys, and
//! the login would fail, which is the intent. Tickets are off: a resumed connection would let an observer, or the server itself,
//! tie a device's authenticated connection to its unauthenticated one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;

use crate::config::TlsConfig;

/// Application protocols offered: HTTP/2 for many requests at once, HTTP/1.1 for WebSockets.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A key of the configuration is missing.
    #[error("`{key}` is missing from the configuration")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A PEM file cannot be read or holds something else.
    #[error("cannot read PEM from {}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not make a server identity.
    #[error("certificate and private key cannot be used")]
    Identity(#[source] rustls::Error),
}

impl TlsError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "tls.missing",
            Self::Pem { .. } => "tls.pem",
            Self::Identity(_) => "tls.identity",
        }
    }
}

/// The TLS side of the listener, and the authority that development clients should trust.
pub struct TlsIdentity {
    /// What the acceptor needs.
    pub config: Arc<ServerConfig>,
    /// The development authority, in PEM.
    pub authority_pem: Option<String>,
}

/// Reads certificate and key and builds the server's TLS configuration.
pub fn load(config: &TlsConfig) -> Result<TlsIdentity, TlsError> {
    let certificate = config.certificate.as_deref().ok_or(TlsError::Missing { key: "tls.certificate" })?;
    let private_key = config.private_key.as_deref().ok_or(TlsError::Missing { key: "tls.private_key" })?;
    let pem_error = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem_error(certificate))?;
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(pem_error(private_key))?;
    let authority_pem = match &config.authority {
        None => None,
        Some(path) => {
            Some(std::fs::read_to_string(path).map_err(rustls::pki_types::pem::Error::Io).map_err(pem_error(path))?)
        }
    };
    Ok(TlsIdentity { config: Arc::new(server_config(chain, key).map_err(TlsError::Identity)?), authority_pem })
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}
