//! The order in which a server starts listening and stops.
//!
//! Stopping loses nothing: first the listeners close and every handler sees [`Lifecycle::stopping`], WebSockets say goodbye, running
//! requests finish; what has not finished within the grace is cut off. Only then a server closes its store, so that whatever was
//! acknowledged is durable and whatever was not will be sent again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rcseal_wire::origin::Origin;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::net::{Acceptor, AcceptorSettings, ConnectionMetrics, serve_plain};

/// Connections that may wait for `accept`: ten thousand clients that come back at once after a restart.
const BACKLOG: u32 = 16_384;

/// Binds a listener, and says which port it got.
pub fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted server must not wait for the connections of its predecessor to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The origin of a development server that was given none: `https://localhost` and its port.
#[must_use]
pub fn local_origin(address: SocketAddr) -> Origin {
    let text = match address.port() {
        443 => "https://localhost".to_owned(),
        port => format!("https://localhost:{port}"),
    };
    text.parse().expect("localhost with a bound port is an origin")
}

/// Everything of a server that runs, and the two signals that end it. Dropping it stops the server too, without waiting.
pub struct Lifecycle {
    /// Open connections and background tasks.
    running: TaskTracker,
    stopping: CancellationToken,
    killed: CancellationToken,
    guards: [DropGuard; 2],
}

impl Lifecycle {
    /// Of a server that begins now.
    #[must_use]
    pub fn new() -> Self {
        let (stopping, killed) = (CancellationToken::new(), CancellationToken::new());
        let guards = [stopping.clone().drop_guard(), killed.clone().drop_guard()];
        Self { running: TaskTracker::new(), stopping, killed, guards }
    }

    /// Cancelled when the server stops.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Runs a background task that ends by itself when the server stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    /// Serves `router` over TLS until the server stops.
    pub fn serve_tls(
        &self,
        listener: TcpListener,
        tls: Arc<rustls::ServerConfig>,
        router: Router,
        settings: AcceptorSettings,
        metrics: ConnectionMetrics,
    ) {
        let open = self.running.clone();
        let acceptor = Acceptor::new(tls, router, settings, metrics, open, self.stopping.clone(), self.killed.clone());
        self.running.spawn(acceptor.run(listener));
    }

    /// Serves `router` over plain HTTP until the server stops: for the operator's own listener, and for peers on the same machine.
    pub fn serve_plain(&self, listener: TcpListener, router: Router, header: Duration) {
        self.running.spawn(serve_plain(listener, router, header, self.stopping.clone()));
    }

    /// Stops: no new connections, running requests finish within `grace`, and what is left is cut off.
    pub async fn stop(self, grace: Duration) {
        let Self { running, guards: [stopping, killed], .. } = self;
        running.close();
        stopping.disarm().cancel();
        if timeout(grace, running.wait()).await.is_err() {
            tracing::warn!(event = "shutdown_cut_off", tasks = running.len());
        }
        killed.disarm().cancel();
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
