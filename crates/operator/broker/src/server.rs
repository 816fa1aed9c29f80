//! Putting the parts together: from a configuration to a running broker, and back to nothing.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_crypto::secret::Secret;
use rcseal_front::clock::{Clock, SystemClock};
use rcseal_front::login::{Login, TokenKey};
use rcseal_front::{BodyBudget, Lifecycle, process, serve, tls};
use rcseal_store::{BrokerStore, FjallBrokerStore, SecretName, StoreError};
use rcseal_wire::origin::Origin;

use crate::business::metrics::BusinessMetrics;
use crate::business::setup::Ways;
use crate::business::{Business, BusinessParts};
use crate::code::{CodeSender, NoCodes};
use crate::config::Config;
use crate::error::StartError;
use crate::forward::metrics::ForwardMetrics;
use crate::forward::{ForwardParts, Forwarding};
use crate::hashes::Hashes;
use crate::init::read_signing_key;
use crate::jobs::{self, SweepError, Swept};
use crate::metrics::Metrics;
use crate::notice::NoticeSender;
use crate::number::{NumberRoutes, SealingKeys};
use crate::relay::Relays;
use crate::state::{AppState, Limiters, Shared};
use crate::{admin, app};

/// Starts brokers.
#[derive(Debug)]
pub struct Broker(());

/// Puts something before a store; tests let it fail with that.
pub type WrapStore = Box<dyn FnOnce(Arc<dyn BrokerStore>) -> Arc<dyn BrokerStore> + Send>;

/// What a test, or a program round the broker, brings instead of what the configuration says.
pub struct Parts {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Sends codes.
    pub codes: Option<Arc<dyn CodeSender>>,
    /// Puts notices into mailboxes.
    pub notices: Option<Arc<dyn NoticeSender>>,
    /// Stands before the store.
    pub wrap: WrapStore,
    /// Stands before the public routes.
    pub front: Box<dyn FnOnce(Router) -> Router + Send>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            codes: None,
            notices: None,
            wrap: Box::new(|store| store),
            front: Box::new(|router| router),
        }
    }
}

/// A broker that runs until [`Self::shutdown`]. Dropping it stops it too, without waiting.
pub struct RunningBroker {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    authority_pem: Option<String>,
    state: AppState,
    life: Lifecycle,
}

impl Broker {
    /// Starts a broker as its configuration says.
    pub async fn start(config: Config) -> Result<RunningBroker, StartError> {
        Self::start_with(config, Parts::default()).await
    }

    /// Starts a broker with parts of the caller's.
    pub async fn start_with(config: Config, parts: Parts) -> Result<RunningBroker, StartError> {
        config.validate()?;
        let identity = tls::load(&config.tls)?;
        point_out_what_is_open(&config);
        let signing = read_signing_key(&config.signing.key)?;
        let relays = Arc::new(Relays::new(&config.relays)?);
        let listen = |address| serve::listen(address).map_err(|source| StartError::Listen { address, source });
        let (listener, address) = listen(config.server.listen)?;
        let admin_listener = config.server.admin_listen.map(listen).transpose()?;
        let admin_address = admin_listener.as_ref().map(|(_, address)| *address);
        let origin = config.server.origin.clone().unwrap_or_else(|| serve::local_origin(address));
        let path = config.storage.path.clone();
        let store_error = |source| StartError::Store { path: path.clone(), source };
        let store: Arc<dyn BrokerStore> = Arc::new(open_store(&config).await.map_err(store_error)?);
        let store = (parts.wrap)(store);
        let draw = || Secret::generate(&mut rand::rng());
        let token_key = store.server_secret(SecretName::LoginToken, draw()).await.map_err(store_error)?;
        let hash_key = store.server_secret(SecretName::BrokerHashes, draw()).await.map_err(store_error)?;
        let key_id = *signing.verifying_key().as_bytes();
        let bound = store.server_secret(SecretName::BrokerKeyId, Secret::from_bytes(key_id)).await;
        if *bound.map_err(store_error)?.expose() != key_id {
            return Err(StartError::AnotherSigningKey { path: config.signing.key });
        }
        let (metrics, (forward_metrics, business_metrics)) =
            Metrics::new(|registry| (ForwardMetrics::register(registry), BusinessMetrics::register(registry)));
        let metrics = Arc::new(metrics);
        let sealing_keys = Arc::new(SealingKeys::default());
        let clock = parts.clock;
        let forward_parts = ForwardParts {
            routes: Arc::new(NumberRoutes {
                store: Arc::clone(&store),
                clock: Arc::clone(&clock),
                keys: Arc::clone(&sealing_keys),
            }),
            store: Arc::clone(&store),
            tls: {
                let relays = Arc::clone(&relays);
                Arc::new(move |origin: &Origin| relays.tls(origin))
            },
            clock: Arc::clone(&clock),
            metrics: forward_metrics,
        };
        let ways = Ways::open(&config.sms, &config.business, &config.numbers)?;
        let sms_codes = ways.codes();
        let business_parts =
            BusinessParts { store: Arc::clone(&store), clock: Arc::clone(&clock), metrics: business_metrics };
        let business = Business::start(ways, business_parts).await.map_err(store_error)?;
        let forward = Forwarding::start(&config.forward, forward_parts).await?;
        if let Some(gateway) = business.gateway() {
            forward.attach_sms(Arc::clone(gateway)).await;
        }
        let life = Lifecycle::new();
        let state = AppState::new(Shared {
            login: Login {
                origin,
                tokens: TokenKey::new(token_key),
                token_seconds: config.limits.token_seconds_max,
                clock,
            },
            store,
            signing,
            hashes: Hashes::new(hash_key),
            codes: match (parts.codes, sms_codes) {
                (Some(codes), _) => codes,
                (None, Some(codes)) => Arc::new(codes),
                (None, None) => {
                    if !config.numbers.served.is_empty() || !config.numbers.served_of_any_kind.is_empty() {
                        tracing::warn!(
                            event = "no_sms_way",
                            reason = "no code can be sent, so nobody can claim a number"
                        );
                    }
                    Arc::new(NoCodes)
                }
            },
            notices: parts.notices.unwrap_or_else(|| forward.clone()),
            relays,
            sealing_keys,
            limiters: Limiters::new(&config.limits),
            bodies: BodyBudget::new(),
            metrics: Arc::clone(&metrics),
            forward,
            business,
            stopping: life.stopping().clone(),
            config,
        });
        let limits = &state.config.limits;
        #[cfg(unix)]
        serve_operator(&state, &life)?;
        if let Some((listener, _)) = admin_listener {
            life.serve_plain(listener, admin::router(state.clone()), limits.acceptor().header);
        }
        let router = (parts.front)(app::router(state.clone()));
        life.serve_tls(listener, identity.config, router, limits.acceptor(), metrics.connections.clone());
        life.spawn(jobs::run(state.clone()));
        tracing::info!(event = "started", %address, origin = %state.login.origin);
        Ok(RunningBroker { address, admin_address, authority_pem: identity.authority_pem, state, life })
    }
}

impl RunningBroker {
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

    /// The key that countersigns.
    #[must_use]
    pub fn signing_key(&self) -> VerifyingKey {
        self.state.verifying_key()
    }

    /// The storage folder, in which the admin socket is.
    #[must_use]
    pub fn storage(&self) -> &Path {
        &self.state.config.storage.path
    }

    /// Does what is due, now.
    pub async fn sweep(&self) -> Result<Swept, SweepError> {
        jobs::sweep(&self.state).await
    }

    /// The metrics page.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.state.metrics.render()
    }

    /// Stops: no new connections, running requests finish within the configured time, the ways to carriers end, the store closes.
    pub async fn shutdown(self) {
        self.life.stop(self.state.config.limits.shutdown()).await;
        self.state.forward.stop().await;
        self.state.business.stop().await;
        self.state.store.close().await;
        tracing::info!(event = "stopped");
    }
}

/// What is allowed, and seldom meant, on a broker that others can reach.
fn point_out_what_is_open(config: &Config) {
    if config.server.admin_listen.is_some_and(|address| !address.ip().is_loopback()) {
        tracing::warn!(event = "admin_listener_not_on_loopback");
    }
    if let Some(key) = &config.tls.private_key {
        process::point_out_open_key(key);
    }
    if config.numbers.served.iter().any(|prefix| prefix.as_str() == "+1") {
        // Twenty-five countries share the code, some of them far away and dear to send to.
        tracing::warn!(event = "served_prefix_is_many_countries", prefix = "+1");
    }
}

/// Opens the store on a blocking thread: a journal may have to be replayed.
async fn open_store(config: &Config) -> Result<FjallBrokerStore, StoreError> {
    let (path, free_bytes_min) = (config.storage.path.clone(), config.storage.free_bytes_min);
    let open = move || {
        process::make_private_folder(&path).map_err(|error| StoreError::Open(Box::new(error)))?;
        FjallBrokerStore::open(path, free_bytes_min)
    };
    tokio::task::spawn_blocking(open).await.map_err(|error| StoreError::Open(Box::new(error)))?
}

#[cfg(unix)]
fn serve_operator(state: &AppState, life: &Lifecycle) -> Result<(), StartError> {
    use rcseal_front::admin_socket;
    let path = state.config.storage.path.join(admin_socket::SOCKET_FILE);
    let commands = {
        let state = state.clone();
        move |line| admin::command(state.clone(), line)
    };
    match admin_socket::serve(path.clone(), life.stopping().clone(), commands) {
        Ok(socket) => life.spawn(socket),
        // A Unix socket's path holds about a hundred bytes. A deeper folder is no reason not to serve.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            tracing::warn!(event = "admin_socket_unavailable", reason = "the storage path is too long");
        }
        Err(source) => return Err(StartError::AdminSocket { path, source }),
    }
    Ok(())
}
