//! TLS 1.3 to one server, on two planes that nothing ties together.
//!
//! The authenticated plane says who the device is; the anonymous one must not. Each has a TLS configuration of its own, resumption is off
//! in both, and neither ever sends a ticket or a pre-shared key of the other: what a relay could still compare is the network address.
//! Trust is what the configuration names, and nothing of the system's.

use std::sync::Arc;

use rcseal_carrier::tls::TrustAnchors;
use rcseal_wire::login::{TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN};
use rcseal_wire::origin::Origin;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{NetError, ProxyFault, Stage};
use super::limits::Timeouts;
use super::pins::Pins;
use super::proxy::Proxy;

/// A server, and how to reach it.
#[derive(Clone)]
pub struct Endpoint {
    origin: Origin,
    name: ServerName<'static>,
    authenticated: Arc<ClientConfig>,
    anonymous: Arc<ClientConfig>,
    timeouts: Timeouts,
    pins: Pins,
    proxy: Option<Proxy>,
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
        Ok(Self {
            origin,
            name,
            authenticated: config(trust),
            anonymous: config(trust),
            timeouts,
            pins: Pins::none(),
            proxy: None,
        })
    }

    /// The same by a proxy, and with keys that the server must have.
    #[must_use]
    pub fn by(self, pins: Pins, proxy: Option<Proxy>) -> Self {
        Self { pins, proxy, ..self }
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
        let tcp =
            timeout(self.timeouts.connect, self.reach()).await.map_err(|_| NetError::Timeout(Stage::Connect))??;
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
        // Before a byte is said: whoever has another key learns nothing but that somebody came.
        if !self.pins.admit(&self.origin, stream.get_ref().1.peer_certificates()) {
            return Err(NetError::Pin);
        }
        let exporter = stream
            .get_ref()
            .1
            .export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None)
            .map_err(|error| NetError::Tls(std::io::Error::other(error)))?;
        Ok(Tls { stream, exporter })
    }

    /// A connection to the server, or through the proxy.
    async fn reach(&self) -> Result<TcpStream, NetError> {
        let Some(proxy) = &self.proxy else {
            let address = (self.origin.host(), self.origin.port());
            return TcpStream::connect(address).await.map_err(NetError::Connect);
        };
        let connected = TcpStream::connect(proxy.address()).await;
        let mut stream = connected.map_err(|error| NetError::Proxy(ProxyFault::Unreachable(error)))?;
        proxy.tunnel(&mut stream, &self.origin).await?;
        Ok(stream)
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
    let mut config = ClientConfig::clone(&trust.client_config());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
