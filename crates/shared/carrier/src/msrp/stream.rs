//! Connections, with and without TLS, and frames on them while a session is not there yet.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcseal_rcs::msrp::{Frame, Parser};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::OpenError;
use crate::reach::{self, Place};

/// A connection, whatever is under it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Bytes read at once.
pub(super) const READ_LEN: usize = 16 << 10;

/// A connection and what was read of it already.
pub(super) struct Connection {
    pub(super) wire: Box<dyn Wire>,
    pub(super) parser: Parser,
}

impl Connection {
    pub(super) fn new(wire: Box<dyn Wire>) -> Self {
        Self { wire, parser: Parser::new() }
    }

    /// Connects to a host, with TLS if there is a configuration for it. A host that a peer names is one that `within` may be led to.
    pub(super) async fn open(
        host: &str,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
        limit: Duration,
        within: Option<Place>,
    ) -> Result<Self, OpenError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let connecting = async {
            let judge = |address: IpAddr| match within {
                Some(within) if !within.may_lead_to(Place::of(address)) => Err(OpenError::Forbidden),
                Some(_) | None => Ok(()),
            };
            let tcp = reach::connect(bare, port, judge, OpenError::Unreachable).await?;
            tcp.set_nodelay(true).map_err(OpenError::Unreachable)?;
            let Some(config) = tls else { return Ok(Self::new(Box::new(tcp))) };
            let name = ServerName::try_from(bare.to_owned()).map_err(|_| OpenError::Address)?;
            let tls = TlsConnector::from(config).connect(name, tcp).await.map_err(handshake_error)?;
            Ok(Self::new(Box::new(tls)))
        };
        timeout(limit, connecting).await.map_err(|_| OpenError::Timeout)?
    }

    pub(super) async fn write(&mut self, frame: &Frame, limit: Duration) -> Result<(), OpenError> {
        let writing = async {
            self.wire.write_all(&frame.to_bytes()).await?;
            self.wire.flush().await
        };
        timeout(limit, writing).await.map_err(|_| OpenError::Timeout)?.map_err(OpenError::Unreachable)
    }

    /// The next frame, within a time for all of it.
    pub(super) async fn read(&mut self, limit: Duration) -> Result<Frame, OpenError> {
        let reading = async {
            let mut buffer = vec![0; READ_LEN];
            loop {
                if let Some(frame) = self.parser.next_frame().map_err(|_| OpenError::Protocol)? {
                    return Ok(frame);
                }
                match self.wire.read(&mut buffer).await.map_err(handshake_error)? {
                    0 => return Err(OpenError::Unreachable(io::ErrorKind::UnexpectedEof.into())),
                    read => self.parser.push(&buffer[..read]),
                }
            }
        };
        timeout(limit, reading).await.map_err(|_| OpenError::Timeout)?
    }
}

/// A certificate that the verifier refused, told from a network that failed. With TLS 1.3 the peer's refusal of *our* certificate arrives
/// as an alert with the first bytes that are read.
fn handshake_error(error: io::Error) -> OpenError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => OpenError::WrongFingerprint,
        Some(_) => OpenError::Protocol,
        None => OpenError::Unreachable(error),
    }
}
