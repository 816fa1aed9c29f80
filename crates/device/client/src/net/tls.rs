//! TLS 1.3 to one server, on two planes that nothing ties together.
//!
//! The authenticated plane says who the device is; the anonymous one must not. Each has a TLS configuration of its own, resumption is off
//! in both, and neither ever sends a ticket or a pre-shared key of the other: what a relay could still compare is the network address.
//! Trust is what the configuration names, and nothing of the system's.

use std::sync::Arc;

use rcseal_wire::login::{TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN};
use rcseal_wire::origin::Origin;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{NetError, Stage};
use super::limits::Timeouts;

/// The authorities whose certificates a client accepts.
#[derive(Clone)]
pub struct TrustAnchors(Arc<RootCertStore>);

/// Why a text gave no trust anchors.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It is not PEM.
    #[error("not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("no certificate in it")]
    Empty,
    /// A certificate cannot be an authority.
    #[error("a certificate cannot be used as an authority")]
    Certificate(#[source] rustls::Error),
}

impl TrustError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Pem(_) => "trust.pem",
            Self::Empty => "trust.empty",
            Self::Certificate(_) => "trust.certificate",
        }
    }
}

impl TrustAnchors {
    /// Reads one or more certificates in PEM.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(TrustError::Pem)?).map_err(TrustError::Certificate)?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self(Arc::new(roots)))
    }
}

impl std::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TrustAnchors({})", self.0.len())
    }
}

/// A server, and how to reach it.
#[derive(Clone)]
pub struct Endpoint {
    origin: Origin,
    name: ServerName<'static>,
    authenticated: Arc<ClientConfig>,
    anonymous: Arc<ClientConfig>,
    timeouts: Timeouts,
}

/// Which of the two kinds of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    Authenticated,
    Anonymous,
}

/// The origin's host is neither a DNS name nor an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the origin's host is no name a certificate can carry")]
pub struct EndpointError;

/// A TLS connection that is up, and what a login on it signs.
pub(super) struct Tls {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) exporter: [u8; TLS_EXPORTER_LEN],
}

impl Endpoint {
    /// A server under this origin.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn new(origin: Origin, trust: &TrustAnchors, timeouts: Timeouts) -> Result<Self, EndpointError> {
        let name = ServerName::try_from(origin.host().to_owned()).map_err(|_| EndpointError)?;
        Ok(Self { origin, name, authenticated: config(trust), anonymous: config(trust), timeouts })
    }

    /// The server's origin.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How long things may take.
    #[must_use]
    pub const fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    pub(super) async fn connect(&self, plane: Plane) -> Result<Tls, NetError> {
        let address = (self.origin.host(), self.origin.port());
        let tcp = timeout(self.timeouts.connect, TcpStream::connect(address))
            .await
            .map_err(|_| NetError::Timeout(Stage::Connect))?
            .map_err(NetError::Connect)?;
        // Frames are written whole; waiting for more to send with them only adds delay.
        tcp.set_nodelay(true).map_err(NetError::Connect)?;
        let config = match plane {
            Plane::Authenticated => &self.authenticated,
            Plane::Anonymous => &self.anonymous,
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = timeout(self.timeouts.tls, connector.connect(self.name.clone(), tcp))
            .await
            .map_err(|_| NetError::Timeout(Stage::Tls))?
            .map_err(handshake_error)?;
        let exporter = stream
            .get_ref()
            .1
            .export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None)
            .map_err(|error| NetError::Tls(std::io::Error::other(error)))?;
        Ok(Tls { stream, exporter })
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A server that hangs up during the handshake may be restarting; one whose certificate does not fit stays wrong.
fn handshake_error(error: std::io::Error) -> NetError {
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        NetError::Tls(error)
    } else {
        NetError::closed(error)
    }
}

fn config(trust: &TrustAnchors) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has cipher suites of TLS 1.3")
        .with_root_certificates(Arc::clone(&trust.0))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}
