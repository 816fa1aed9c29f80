//! Putting the parts together: from a configuration to a running server, and back to nothing.
//!
//! Shutdown loses nothing: first the listeners close and every handler sees [`stopping`](crate::state::Shared::stopping), WebSockets
//! say goodbye, running requests finish; only then the store closes, so that whatever was acknowledged is durable and whatever was
//! not will be sent again.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcseal_crypto::secret::Secret;

use rcseal_store::{Blobs, FjallStore, SecretName, Store, StoreError, StoreLimits};
use rcseal_wire::origin::Origin;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::admin;
use crate::app;
use crate::auth::TokenKey;
use crate::blob;
use crate::body::BodyBudget;
use crate::clock::{Clock, SystemClock};
use crate::config::{AdmissionMode, Config};
use crate::error::StartError;
use crate::jobs::{self, SweepError, Swept};
use crate::limiter::Limiters;
use crate::link::LinkWaiters;
use crate::mailbox;
use crate::metrics::Metrics;
use crate::net::{Acceptor, AcceptorSettings, serve_plain};
use crate::state::{AppState, Shared, departure_channel};
use crate::takeover::Schedule;
use crate::watch::Watcher;
use crate::{admission, tls};

/// Connections that may wait for `accept`: ten thousand clients that come back at once after a restart.
const BACKLOG: u32 = 16_384;

/// Starts servers.
#[derive(Debug)]
pub struct Server(());

/// A server that runs until [`Self::shutdown`]. Dropping it stops it too, without waiting.
pub struct RunningServer {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    authority_pem: Option<String>,
    state: AppState,
    /// Open connections and background tasks.
    running: TaskTracker,
    stopping: DropGuard,
    killed: DropGuard,
}

impl Server {
    /// Starts a server on the system's clock.
    pub async fn start(config: Config) -> Result<RunningServer, StartError> {
        Self::start_with_clock(config, Arc::new(SystemClock)).await
    }

    /// Starts a server on a clock of the caller's; tests move time with it.
    pub async fn start_with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<RunningServer, StartError> {
        Self::start_on(config, clock, |store| store).await
    }

    /// Starts a server on the system's clock that shows somebody what is submitted.
    pub async fn start_watched(config: Config, watcher: Arc<dyn Watcher>) -> Result<RunningServer, StartError> {
        Self::start_with(config, Arc::new(SystemClock), |store| store, Some(watcher)).await
    }

    /// Starts a server on whatever `wrap` makes of its store; tests let it fail with that.
    pub async fn start_on(
        config: Config,
        clock: Arc<dyn Clock>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Result<RunningServer, StartError> {
        Self::start_with(config, clock, wrap, None).await
    }

    async fn start_with(
        config: Config,
        clock: Arc<dyn Clock>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
        watcher: Option<Arc<dyn Watcher>>,
    ) -> Result<RunningServer, StartError> {
        config.validate()?;
        let identity = tls::load(&config.tls)?;
        point_out_what_is_open(&config);
        let (listener, address) = listen(config.server.listen)?;
        let admin_listener = config.server.admin_listen.map(listen).transpose()?;
        let admin_address = admin_listener.as_ref().map(|(_, address)| *address);
        let origin = match &config.server.origin {
            Some(origin) => origin.clone(),
            None => local_origin(address),
        };
        let store_error = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::Store { path, source }
        };
        let (store, blobs) = open_store(&config).await.map_err(store_error(&config.storage.path))?;
        let store = wrap(store);
        let candidate = Secret::generate(&mut rand::rng());
        let token_key =
            store.server_secret(SecretName::LoginToken, candidate).await.map_err(store_error(&config.storage.path))?;
        let stopping = CancellationToken::new();
        let killed = CancellationToken::new();
        let metrics = Arc::new(Metrics::new());
        let mailboxes = Arc::new(mailbox::Registry::new());
        store.observe(mailboxes.clone());
        let state = AppState::new(Shared {
            origin,
            clock,
            store,
            blobs,
            tokens: TokenKey::new(token_key),
            mailboxes,
            admission: admission::adapter(config.admission.mode),
            limiters: Limiters::new(&config.limits),
            bodies: BodyBudget::new(),
            uploads: blob::upload_slots(),
            downloads: blob::download_slots(),
            resets: Schedule::new(),
            link_waiters: LinkWaiters::new(),
            metrics: Arc::clone(&metrics),
            departures: departure_channel(),
            watcher,
            stopping: stopping.clone(),
            config,
        });
        let running = TaskTracker::new();
        let limits = &state.config.limits;
        #[cfg(unix)]
        {
            let path = state.config.storage.path.join(admin::SOCKET_FILE);
            match admin::serve(state.clone(), path.clone()) {
                Ok(socket) => {
                    running.spawn(socket);
                }
                // A Unix socket's path holds about a hundred bytes. A deeper folder is no reason not to serve messages.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    tracing::warn!(event = "admin_socket_unavailable", reason = "the storage path is too long");
                }
                Err(source) => return Err(StartError::AdminSocket { path, source }),
            }
        }
        if let Some((listener, _)) = admin_listener {
            running.spawn(serve_plain(listener, admin::router(state.clone()), limits.header(), stopping.clone()));
        }
        let acceptor = Acceptor::new(
            identity.config,
            app::router(state.clone()),
            AcceptorSettings::from(limits),
            metrics,
            running.clone(),
            stopping.clone(),
            killed.clone(),
        );
        running.spawn(acceptor.run(listener));
        running.spawn(jobs::run(state.clone()));
        running.close();
        tracing::info!(event = "started", %address, origin = %state.origin);
        Ok(RunningServer {
            address,
            admin_address,
            authority_pem: identity.authority_pem,
            state,
            running,
            stopping: stopping.drop_guard(),
            killed: killed.drop_guard(),
        })
    }
}

impl RunningServer {
    /// The public listener's address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The admin listener's address, where there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What clients sign at login and connect to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.state.origin
    }

    /// The development certificate authority to trust, in PEM, where the configuration names one.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority_pem.as_deref()
    }

    /// Removes what has expired, now.
    pub async fn sweep(&self) -> Result<Swept, SweepError> {
        jobs::sweep(&self.state).await
    }

    /// The metrics page.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.state.metrics.render()
    }

    /// Stops: no new connections, running requests finish within the configured time, WebSockets close with 1001, the store closes.
    pub async fn shutdown(self) {
        self.stopping.disarm().cancel();
        let grace = self.state.config.limits.shutdown();
        if timeout(grace, self.running.wait()).await.is_err() {
            tracing::warn!(event = "shutdown_cut_off", tasks = self.running.len());
        }
        self.killed.disarm().cancel();
        self.state.store.close().await;
        tracing::info!(event = "stopped");
    }
}

/// What is allowed, and seldom meant, on a server that others can reach.
fn point_out_what_is_open(config: &Config) {
    if config.admission.mode == AdmissionMode::Open && !config.server.listen.ip().is_loopback() {
        tracing::warn!(event = "anybody_may_register");
    }
    if config.server.admin_listen.is_some_and(|address| !address.ip().is_loopback()) {
        tracing::warn!(event = "admin_listener_not_on_loopback");
    }
    #[cfg(unix)]
    if let Some(key) = &config.tls.private_key {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(key).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
            tracing::warn!(event = "private_key_open_to_others");
        }
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind = || -> io::Result<(TcpListener, SocketAddr)> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restarted server must not wait for the connections of its predecessor to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|source| StartError::Listen { address, source })
}

/// The origin of a development server; the configuration allows leaving it out on loopback only.
fn local_origin(address: SocketAddr) -> Origin {
    let text = match address.port() {
        443 => "https://localhost".to_owned(),
        port => format!("https://localhost:{port}"),
    };
    text.parse().expect("localhost with a bound port is an origin")
}

/// Opens the store on a blocking thread: a journal may have to be replayed.
async fn open_store(config: &Config) -> Result<(Arc<dyn Store>, Blobs), StoreError> {
    let path = config.storage.path.clone();
    let limits = store_limits(config);
    let open = move || {
        make_private_folder(&path).map_err(|error| StoreError::Open(Box::new(error)))?;
        FjallStore::open(path, limits)
    };
    let store = tokio::task::spawn_blocking(open).await.map_err(|error| StoreError::Open(Box::new(error)))??;
    let blob_folder = config.blob_folder();
    make_private_folder(&blob_folder).map_err(|error| StoreError::Open(Box::new(error)))?;
    let blobs = Blobs::local(Arc::new(store.clone()), blob_folder)?;
    Ok((Arc::new(store), blobs))
}

/// Makes a storage folder, for its owner only, or closes one that is there to others: who talks when is nobody else's business, the name
/// of a blob is the leave to read it, and the key that login tokens are made with lies here too.
fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            // A folder that is not ours to change is its owner's decision, which we can only point out.
            match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7700)) {
                Ok(()) => tracing::warn!(event = "storage_folder_closed_to_others"),
                Err(error) => tracing::warn!(event = "storage_folder_open_to_others", kind = ?error.kind()),
            }
        }
    }
    Ok(())
}

fn store_limits(config: &Config) -> StoreLimits {
    let limits = &config.limits;
    StoreLimits {
        mailbox_envelopes_max: limits.mailbox_messages_max,
        mailbox_bytes_max: limits.mailbox_bytes_max,
        account_blob_bytes_max: limits.blob_account_bytes_max,
        live_links_max: u64::from(limits.link_slots_max),
        key_set_history_bytes_max: StoreLimits::default().key_set_history_bytes_max,
        free_bytes_min: config.storage.free_bytes_min,
    }
}
