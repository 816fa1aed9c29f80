//! What every part of a client shares: the store, the servers, and the signal that something changed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcseal_engine::account::{AccountError, AccountView};
use rcseal_engine::{Engine, UnixMillis};
use rcseal_wire::api::LoginRequest;
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LEN};
use rcseal_wire::origin::Origin;
use tokio::sync::watch;

use super::carrier::Desk;
use super::media::Downloads;
use super::run::{Gates, Status};
use super::sms::SmsDesk;
use super::telemetry::Telemetry;
use super::{ClientError, Config};
use crate::net::{Anonymous, Authenticated, Endpoint, LoginSigner, Pins, Proxy, Timeouts, TrustAnchors};
use crate::store::Store;
use crate::vault::{KeyAlias, KeyVault};

/// Between two looks whether another process has written: 24 bytes are read.
const FOREIGN_PAUSE: Duration = Duration::from_millis(500);

/// Shared by all clones of a client and by its tasks.
pub(super) struct Core {
    pub(super) store: Arc<Store>,
    pub(super) vault: Arc<dyn KeyVault>,
    pub(super) alias: KeyAlias,
    pub(super) was_rolled_back: bool,
    trust: TrustAnchors,
    timeouts: Timeouts,
    pins: Pins,
    proxy: Option<Proxy>,
    pub(super) remote_config_key: Option<[u8; 32]>,
    pub(super) telemetry: Telemetry,
    servers: Mutex<Servers>,
    /// Goes up with every transaction that may have left something to do or to tell.
    changed: watch::Sender<u64>,
    pub(super) status: watch::Sender<Status>,
    /// Held by whoever serves the mailbox: a second connection would take it over from the first.
    pub(super) serving: tokio::sync::Mutex<()>,
    pub(super) gates: Mutex<Gates>,
    pub(super) downloads: Downloads,
    pub(super) carrier: Desk,
    pub(super) sms: SmsDesk,
    /// Wakes a reconnect that waits for its turn.
    pub(super) retry: tokio::sync::Notify,
}

#[derive(Default)]
struct Servers {
    anonymous: HashMap<Origin, Arc<Anonymous>>,
    authenticated: Option<Arc<Authenticated>>,
    brokers: HashMap<Origin, Arc<Authenticated>>,
}

impl Core {
    pub(super) fn new(
        store: Arc<Store>,
        vault: Arc<dyn KeyVault>,
        alias: KeyAlias,
        was_rolled_back: bool,
        config: &Config,
    ) -> Self {
        Self {
            store,
            vault,
            alias,
            was_rolled_back,
            trust: config.trust.clone(),
            timeouts: config.timeouts,
            pins: config.pins.clone(),
            proxy: config.proxy.clone(),
            remote_config_key: config.remote_config_key,
            telemetry: Telemetry::new(config.telemetry),
            servers: Mutex::default(),
            changed: watch::Sender::new(0),
            status: watch::Sender::new(Status::Stopped),
            serving: tokio::sync::Mutex::new(()),
            gates: Mutex::default(),
            downloads: Downloads::default(),
            carrier: Desk::default(),
            sms: SmsDesk::default(),
            retry: tokio::sync::Notify::new(),
        }
    }

    /// Runs one operation of the engine in one transaction, off the runtime's workers. Once begun it runs to its end, whether or not
    /// somebody still waits for the answer.
    pub(super) async fn engine<T, E>(
        &self,
        operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ClientError>
    where
        T: Send + 'static,
        E: Into<ClientError>,
    {
        let store = Arc::clone(&self.store);
        blocking(move || in_transaction(&store, operation)).await?
    }

    /// The same for an operation that leaves something to do or to tell.
    pub(super) async fn change<T, E>(
        &self,
        operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ClientError>
    where
        T: Send + 'static,
        E: Into<ClientError>,
    {
        let (store, changed) = (Arc::clone(&self.store), self.changed.clone());
        blocking(move || {
            let outcome = in_transaction(&store, operation);
            // Told from inside, so that it is told also when nobody waits for the answer any more.
            changed.send_modify(|count| *count = count.wrapping_add(1));
            outcome
        })
        .await?
    }

    /// Waits for changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Wakes whoever waits for changes.
    pub(super) fn poke(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until another process has written into the store since `seen` was asked for ([`Store::foreign_commits`]).
    pub(super) async fn foreign_change(&self, seen: &mut Option<u64>) {
        loop {
            tokio::time::sleep(FOREIGN_PAUSE).await;
            let now = self.store.foreign_commits();
            if now != *seen {
                *seen = now;
                return;
            }
        }
    }

    /// Wakes whoever waits for changes when another process has made them, for ever.
    pub(super) async fn heed_others(&self) -> Infallible {
        let mut seen = self.store.foreign_commits();
        loop {
            self.foreign_change(&mut seen).await;
            self.poke();
        }
    }

    /// This device's account.
    pub(super) async fn account(&self) -> Result<AccountView, ClientError> {
        self.engine(|engine| engine.account_view()?.ok_or(AccountError::NoAccount)).await
    }

    /// How a server is reached.
    fn endpoint(&self, origin: &Origin) -> Result<Endpoint, ClientError> {
        let endpoint = Endpoint::new(origin.clone(), &self.trust, self.timeouts)?;
        Ok(endpoint.by(self.pins.clone(), self.proxy.clone()))
    }

    /// A server, unauthenticated.
    pub(super) fn anonymous(&self, origin: &Origin) -> Result<Arc<Anonymous>, ClientError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.anonymous.get(origin) {
            return Ok(Arc::clone(known));
        }
        let server = Arc::new(Anonymous::new(self.endpoint(origin)?));
        servers.anonymous.insert(origin.clone(), Arc::clone(&server));
        Ok(server)
    }

    /// This account's server, logged in.
    pub(super) async fn authenticated(&self) -> Result<Arc<Authenticated>, ClientError> {
        let origin = self.account().await?.origin;
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &servers.authenticated {
            return Ok(Arc::clone(known));
        }
        let endpoint = self.endpoint(&origin)?;
        let signer = Arc::new(EngineSigner(Arc::clone(&self.store)));
        let server = Arc::new(Authenticated::new(endpoint, signer));
        servers.authenticated = Some(Arc::clone(&server));
        Ok(server)
    }

    /// Where a broker is.
    pub(super) fn broker_endpoint(&self, origin: &Origin) -> Result<Endpoint, ClientError> {
        self.endpoint(origin)
    }

    /// A broker, logged in. What is signed there names the broker, so that it is of no use at the account's server.
    pub(super) fn broker(&self, origin: &Origin) -> Result<Arc<Authenticated>, ClientError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.brokers.get(origin) {
            return Ok(Arc::clone(known));
        }
        let endpoint = self.endpoint(origin)?;
        let signer = Arc::new(BrokerSigner { store: Arc::clone(&self.store), origin: origin.clone() });
        let broker = Arc::new(Authenticated::new(endpoint, signer));
        servers.brokers.insert(origin.clone(), Arc::clone(&broker));
        Ok(broker)
    }

    /// Where encrypted files lie while they are on their way.
    pub(super) fn media_folder(&self) -> PathBuf {
        media_folder(self.store.folder())
    }
}

/// Where encrypted files lie while they are on their way.
pub(super) fn media_folder(store: &Path) -> PathBuf {
    store.join("media")
}

/// Runs something that blocks. A panic in it goes on here.
pub(super) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, ClientError> {
    match tokio::task::spawn_blocking(f).await {
        Ok(value) => Ok(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ClientError::Stopped),
        },
    }
}

pub(super) fn in_transaction<T, E: Into<ClientError>>(
    store: &Store,
    operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
) -> Result<T, ClientError> {
    store.run(|tx| operation(&mut Engine::new(tx, now(), &mut rand::rng())).map_err(Into::into))
}

/// The system's clock. The engine takes a clock that went back without harm.
pub(super) fn now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Signs logins at a broker with the same key.
struct BrokerSigner {
    store: Arc<Store>,
    origin: Origin,
}

impl LoginSigner for BrokerSigner {
    fn sign(
        &self,
        _origin: &Origin,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, Box<dyn std::error::Error + Send + Sync>> {
        Ok(in_transaction(&self.store, |engine| engine.login_request_at(&self.origin, exporter, nonce))?)
    }
}

/// Signs logins with the device-auth key in the store.
struct EngineSigner(Arc<Store>);

impl LoginSigner for EngineSigner {
    fn sign(
        &self,
        _origin: &Origin,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, Box<dyn std::error::Error + Send + Sync>> {
        // The origin under the signature is the account's own, whatever server this connection went to.
        Ok(in_transaction(&self.0, |engine| engine.login_request(exporter, nonce))?)
    }
}
