//! The accept loop: from a TCP connection to requests at the router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rcseal_wire::login::{TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::connection::ConnectionInfo;
use super::guard::{Gate, Place};
use super::metrics::{ConnectionMetrics, ConnectionRefusal};
use super::stall::GuardedStream;

/// Largest request head: our longest path and headers are under 1 KiB, and 16 KiB leaves room for what clients add.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines of a request.
const HEADERS_MAX: usize = 64;
/// What an HTTP/2 peer sends first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// Requests in flight on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Bytes of a request body in flight per HTTP/2 stream. Small, because a connection may hold [`STREAMS_MAX`] of them.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// Bytes in flight per HTTP/2 connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Pause after a failed `accept`, which means that descriptors or memory ran out; trying again at once would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Time limits and counts of a listener.
#[derive(Clone, Copy, Debug)]
pub struct AcceptorSettings {
    /// Open connections in all.
    pub connections_max: u32,
    /// Open connections per IPv4 address or IPv6 /64.
    pub connections_per_address_max: u32,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time between a connection becoming idle and the next complete request head.
    pub header: Duration,
    /// The longest a peer may refuse to read what we write.
    pub stall: Duration,
}

/// Everything an accepted connection needs, shared by all.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    router: Router,
    settings: AcceptorSettings,
    gate: Gate,
    metrics: ConnectionMetrics,
    /// Cancelled when the server stops: no new connections, running requests finish.
    stopping: CancellationToken,
    /// Cancelled when the time for that is over.
    killed: CancellationToken,
}

impl Acceptor {
    /// `open` counts every open connection, including upgraded ones; waiting for it waits for all of them.
    pub fn new(
        tls: Arc<rustls::ServerConfig>,
        router: Router,
        settings: AcceptorSettings,
        metrics: ConnectionMetrics,
        open: TaskTracker,
        stopping: CancellationToken,
        killed: CancellationToken,
    ) -> Self {
        let gate = Gate::new(settings.connections_max, settings.connections_per_address_max, open, metrics.clone());
        Self { tls: TlsAcceptor::from(tls), router, settings, gate, metrics, stopping, killed }
    }

    /// Accepts until the server stops; the listening socket closes with that.
    pub async fn run(self, listener: TcpListener) {
        while let Some((stream, peer)) = accept(&listener, &self.stopping).await {
            match self.gate.admit(peer.ip()) {
                Ok(place) => {
                    let connection = self.clone();
                    tokio::spawn(async move {
                        let killed = connection.killed.clone();
                        tokio::select! {
                            () = connection.serve(stream, peer, place) => {}
                            () = killed.cancelled() => {}
                        }
                    });
                }
                Err(refusal) => self.metrics.refused(refusal),
            }
        }
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr, place: Place) {
        // Small frames must leave at once; a failure here means that the peer is gone already, which the handshake will notice.
        let _ = stream.set_nodelay(true);
        let handshake = timeout(self.settings.handshake, self.tls.accept(stream));
        let tls = tokio::select! {
            outcome = handshake => match outcome {
                Ok(Ok(tls)) => tls,
                Ok(Err(error)) => {
                    tracing::debug!(event = "handshake_failed", kind = ?error.kind());
                    return self.metrics.refused(ConnectionRefusal::Handshake);
                }
                Err(_) => return self.metrics.refused(ConnectionRefusal::HandshakeTimeout),
            },
            () = self.stopping.cancelled() => return,
        };
        let (_, session) = tls.get_ref();
        let http2 = session.alpn_protocol() == Some(b"h2");
        let Ok(exporter) = session.export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None) else {
            // Impossible after a completed TLS 1.3 handshake; without the value nobody could log in, so the connection is useless.
            tracing::error!(event = "exporter_unavailable");
            return;
        };
        let info = ConnectionInfo::new(peer, exporter);
        let stream = GuardedStream::new(tls, self.settings.stall, place, info.clone());
        if http2 {
            let (stream, opened) = stream.expecting(PREFACE_BYTES, self.settings.header);
            // hyper would wait for the preface even while the server stops.
            let stopped_unopened = async {
                self.stopping.cancelled().await;
                if opened.is_open() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = Box::pin(serve_http2(stream, self.router, info, &self.stopping)) => {}
                () = stopped_unopened => {}
            }
        } else {
            Box::pin(serve_http1(stream, self.router, info, self.settings.header, &self.stopping)).await;
        }
    }
}

/// The next connection, or `None` when the server stops.
async fn accept(listener: &TcpListener, stopping: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return None,
            accepted = listener.accept() => match accepted {
                Ok(connection) => return Some(connection),
                Err(error) => {
                    tracing::warn!(event = "accept_failed", kind = ?error.kind());
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
}

macro_rules! drive {
    ($connection:ident, $stopping:ident) => {{
        tokio::pin!($connection);
        let outcome = tokio::select! {
            outcome = $connection.as_mut() => outcome,
            () = $stopping.cancelled() => {
                $connection.as_mut().graceful_shutdown();
                $connection.await
            }
        };
        if let Err(error) = outcome {
            // Peers leave in many ways, and each of them is ordinary.
            tracing::debug!(event = "connection_ended", timeout = error.is_timeout(), parse = error.is_parse());
        }
    }};
}

async fn serve_http1<S>(stream: S, router: Router, info: ConnectionInfo, header: Duration, stopping: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| dispatch(&router, &info, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    drive!(connection, stopping);
}

async fn serve_http2<S>(stream: S, router: Router, info: ConnectionInfo, stopping: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| dispatch(&router, &info, request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20))
        .serve_connection(TokioIo::new(stream), service);
    drive!(connection, stopping);
}

fn dispatch(
    router: &Router,
    info: &ConnectionInfo,
    mut request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + use<> {
    request.extensions_mut().insert(info.clone());
    router.clone().call(request.map(Body::new))
}

/// Serves `router` over plain HTTP/1.1 until the server stops: the admin listener, which is on loopback unless the operator says otherwise.
pub async fn serve_plain(listener: TcpListener, router: Router, header: Duration, stopping: CancellationToken) {
    while let Some((stream, _)) = accept(&listener, &stopping).await {
        let router = router.clone();
        let stopping = stopping.clone();
        tokio::spawn(async move {
            let service =
                service_fn(move |request: hyper::Request<Incoming>| router.clone().call(request.map(Body::new)));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header)
                .max_header_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            let stopping = &stopping;
            drive!(connection, stopping);
        });
    }
}
