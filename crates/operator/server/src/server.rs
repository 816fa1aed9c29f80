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
#[cfg(unix)]
use rcseal_front::admin_socket;
use rcseal_front::body::BodyBudget;
use rcseal_front::clock::{Clock, SystemClock};
use rcseal_front::login::{Login, TokenKey};
use rcseal_front::refusal::Refusal;
use rcseal_front::{Lifecycle, process, serve, tls};
use rcseal_store::{Blobs, FjallStore, SecretName, Store, StoreError, StoreLimits};
use rcseal_wire::origin::Origin;

use crate::admin;
use crate::admission;
use crate::app;
use crate::blob;
use crate::config::{AdmissionMode, Config};
use crate::error::StartError;
use crate::jobs::{self, SweepError, Swept};
use crate::limiter::Limiters;
use crate::link::LinkWaiters;
use crate::mailbox;
use crate::metrics::Metrics;
use crate::push::{self, PushSink, SpoolSink, Waker};
use crate::retained::{self, ServerEncryption};
use crate::state::{AppState, Shared, departure_channel};
use crate::takeover::Schedule;
use crate::watch::Watcher;

/// Starts servers.
#[derive(Debug)]
pub struct Server(());

/// A server that runs until [`Self::shutdown`]. Dropping it stops it too, without waiting.
pub struct RunningServer {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    authority_pem: Option<String>,
    state: AppState,
    life: Lifecycle,
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
        Self::start_with(config, Arc::new(SystemClock), |store| store, Some(watcher), None).await
    }

    /// Starts a server on a clock of the caller's that hands wake-ups to this sink, whatever the configuration says.
    pub async fn start_waking(
        config: Config,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn PushSink>,
    ) -> Result<RunningServer, StartError> {
        Self::start_with(config, clock, |store| store, None, Some(sink)).await
    }

    /// Starts a server on whatever `wrap` makes of its store; tests let it fail with that.
    pub async fn start_on(
        config: Config,
        clock: Arc<dyn Clock>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Result<RunningServer, StartError> {
        Self::start_with(config, clock, wrap, None, None).await
    }

    async fn start_with(
        config: Config,
        clock: Arc<dyn Clock>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
        watcher: Option<Arc<dyn Watcher>>,
        push_sink: Option<Arc<dyn PushSink>>,
    ) -> Result<RunningServer, StartError> {
        config.validate()?;
        let identity = tls::load(&config.tls)?;
        point_out_what_is_open(&config);
        let listen = |address| serve::listen(address).map_err(|source| StartError::Listen { address, source });
        let (listener, address) = listen(config.server.listen)?;
        let admin_listener = config.server.admin_listen.map(listen).transpose()?;
        let admin_address = admin_listener.as_ref().map(|(_, address)| *address);
        let origin = match &config.server.origin {
            Some(origin) => origin.clone(),
            None => serve::local_origin(address),
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
        let life = Lifecycle::new();
        let server_encryption =
            config.server_encryption.clone().map(ServerEncryption::start).transpose().map_err(StartError::Thread)?;
        let metrics = Arc::new(Metrics::new());
        let mailboxes = Arc::new(mailbox::Registry::new());
        let push_sink = match (push_sink, &config.push.spool) {
            (None, Some(folder)) => Some(spool(folder, &clock)?),
            (sink, _) => sink,
        };
        let waker = Arc::new(Waker::new(Arc::clone(&clock), config.push.jitter_millis));
        if push_sink.is_some() {
            // What came while no server ran, or was noted by one that was killed.
            waker.note_everybody();
            mailboxes.tell_departures(Arc::clone(&waker));
            store.observe(Arc::new(push::Observer { registry: Arc::clone(&mailboxes), waker: Arc::clone(&waker) }));
        } else {
            store.observe(mailboxes.clone());
        }
        let state = AppState::new(Shared {
            login: Login {
                origin,
                tokens: TokenKey::new(token_key),
                token_seconds: config.limits.token_seconds_max,
                clock: Arc::clone(&clock),
            },
            clock,
            store,
            blobs,
            mailboxes,
            admission: admission::adapter(config.admission.mode),
            limiters: Limiters::new(&config.limits),
            bodies: BodyBudget::new(),
            uploads: blob::upload_slots(),
            downloads: blob::download_slots(),
            resets: Schedule::new(),
            link_waiters: LinkWaiters::new(),
            server_encryption,
            waker,
            push_sink,
            metrics: Arc::clone(&metrics),
            departures: departure_channel(),
            watcher,
            stopping: life.stopping().clone(),
            config,
        });
        let limits = &state.config.limits;
        #[cfg(unix)]
        {
            let path = state.config.storage.path.join(admin_socket::SOCKET_FILE);
            let commands = {
                let state = state.clone();
                move |line| admin::command(state.clone(), line)
            };
            match admin_socket::serve(path.clone(), life.stopping().clone(), commands) {
                Ok(socket) => {
                    life.spawn(socket);
                }
                // A Unix socket's path holds about a hundred bytes. A deeper folder is no reason not to serve messages.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    tracing::warn!(event = "admin_socket_unavailable", reason = "the storage path is too long");
                }
                Err(source) => return Err(StartError::AdminSocket { path, source }),
            }
        }
        if let Some((listener, _)) = admin_listener {
            life.serve_plain(listener, admin::router(state.clone()), limits.header());
        }
        let router = app::router(state.clone());
        life.serve_tls(listener, identity.config, router, limits.acceptor(), metrics.connections.clone());
        life.spawn(jobs::run(state.clone()));
        life.spawn(push::run(state.clone()));
        if state.server_encryption.is_some() {
            life.spawn(look_for_key(state.clone()));
        }
        tracing::info!(event = "started", %address, origin = %state.login.origin);
        Ok(RunningServer { address, admin_address, authority_pem: identity.authority_pem, state, life })
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
        &self.state.login.origin
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

    /// Makes the wake-ups that are due, now; how many devices were woken.
    pub async fn wake_due(&self) -> Result<usize, StoreError> {
        push::make_due(&self.state).await
    }

    /// The metrics page.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.state.metrics.render()
    }

    /// Stops: no new connections, running requests finish within the configured time, WebSockets close with 1001, the store closes.
    pub async fn shutdown(self) {
        self.life.stop(self.state.config.limits.shutdown()).await;
        self.state.store.close().await;
        tracing::info!(event = "stopped");
    }
}

/// Looks at the start whether the key is there, so that the operator hears of it now and not from the first user. Nothing else waits for it.
async fn look_for_key(state: AppState) {
    match retained::current(&state).await {
        Ok(key) => tracing::info!(event = "server_key_ready", label = key.label, region = key.region),
        Err(error) => {
            let reason = error.to_string();
            let refusal = Refusal::from(error);
            tracing::warn!(event = "server_key_unusable", code = refusal.problem().code, reason);
        }
    }
}

/// The folder that wake-ups are written to.
fn spool(folder: &Path, clock: &Arc<dyn Clock>) -> Result<Arc<dyn PushSink>, StartError> {
    let sink = SpoolSink::new(folder.to_owned(), Arc::clone(clock))
        .map_err(|source| StartError::PushSpool { path: folder.to_owned(), source })?;
    Ok(Arc::new(sink))
}

/// What is allowed, and seldom meant, on a server that others can reach.
fn point_out_what_is_open(config: &Config) {
    if config.admission.mode == AdmissionMode::Open && !config.server.listen.ip().is_loopback() {
        tracing::warn!(event = "anybody_may_register");
    }
    if let Some(encryption) = &config.server_encryption {
        process::point_out_open_key(&encryption.pin_file);
    }
    if config.server.admin_listen.is_some_and(|address| !address.ip().is_loopback()) {
        tracing::warn!(event = "admin_listener_not_on_loopback");
    }
    if let Some(key) = &config.tls.private_key {
        process::point_out_open_key(key);
    }
}

/// Opens the store on a blocking thread: a journal may have to be replayed.
async fn open_store(config: &Config) -> Result<(Arc<dyn Store>, Blobs), StoreError> {
    let path = config.storage.path.clone();
    let limits = store_limits(config);
    let open = move || {
        process::make_private_folder(&path).map_err(|error| StoreError::Open(Box::new(error)))?;
        FjallStore::open(path, limits)
    };
    let store = tokio::task::spawn_blocking(open).await.map_err(|error| StoreError::Open(Box::new(error)))??;
    let blob_folder = config.blob_folder();
    process::make_private_folder(&blob_folder).map_err(|error| StoreError::Open(Box::new(error)))?;
    let blobs = Blobs::local(Arc::new(store.clone()), blob_folder)?;
    Ok((Arc::new(store), blobs))
}

fn store_limits(config: &Config) -> StoreLimits {
    let limits = &config.limits;
    let defaults = StoreLimits::default();
    let retained = config.server_encryption.as_ref();
    StoreLimits {
        mailbox_envelopes_max: limits.mailbox_messages_max,
        mailbox_bytes_max: limits.mailbox_bytes_max,
        account_blob_bytes_max: limits.blob_account_bytes_max,
        live_links_max: u64::from(limits.link_slots_max),
        key_set_history_bytes_max: defaults.key_set_history_bytes_max,
        account_retained_messages_max: retained
            .map_or(defaults.account_retained_messages_max, |config| config.account_messages_max),
        account_retained_bytes_max: retained
            .map_or(defaults.account_retained_bytes_max, |config| config.account_bytes_max),
        account_retained_senders_min: defaults.account_retained_senders_min,
        free_bytes_min: config.storage.free_bytes_min,
    }
}
