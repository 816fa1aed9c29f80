//! The relay that every cell shares, and the broker beside it: a real `rcseald` and a real `rcseal-broker` in this process, on loopback,
//! over real TLS and real stores.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use rcseal_client::net::TrustAnchors;
use rcseal_server::config::ServerEncryptionConfig;
use rcseal_server::{Config, RunningServer, Server, init};
use rcseal_wire::origin::Origin;
use tempfile::TempDir;

use super::MatrixError;
use crate::broker::SimBroker;
use crate::hsm::Hsm;
use crate::proxy::{BoundProxy, FaultProxy, Faults};

/// What the relay's key is called in its module.
const KEY_LABEL: &str = "retained-1";

/// What stands before a broker's routes.
type Front = Box<dyn Fn(Router) -> Router + Send + Sync>;

/// A running relay.
pub struct Relay {
    /// `None` between a stop and the next start.
    server: Mutex<Option<RunningServer>>,
    config: Config,
    broker: Option<SimBroker>,
    proxy: Option<FaultProxy>,
    origin: Origin,
    trust: TrustAnchors,
    folder: TempDir,
}

impl Relay {
    /// Starts a relay. Its operator has a key for what it may read where this process has a module for one.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn start() -> Result<Self, MatrixError> {
        Self::start_in(None, None, Hsm::of_process().map(|hsm| hsm.encryption(KEY_LABEL))).await
    }

    /// Starts a relay whose operator has this key.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn start_with_key(encryption: ServerEncryptionConfig) -> Result<Self, MatrixError> {
        Self::start_in(None, None, Some(encryption)).await
    }

    /// Starts a relay whose broker is not honest: something stands before its routes.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn start_with_broker_behind(
        front: impl Fn(Router) -> Router + Send + Sync + 'static,
    ) -> Result<Self, MatrixError> {
        Self::start_in(None, Some(Box::new(front)), None).await
    }

    /// Starts a relay that clients reach through a proxy with these faults.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn start_behind(faults: Faults, seed: u64) -> Result<Self, MatrixError> {
        Self::start_in(Some((faults, seed)), None, None).await
    }

    async fn start_in(
        faults: Option<(Faults, u64)>,
        front: Option<Front>,
        encryption: Option<ServerEncryptionConfig>,
    ) -> Result<Self, MatrixError> {
        let stage = |what: &'static str| move |source| MatrixError::Io { what, source };
        let folder = tempfile::Builder::new().prefix("rcseal-matrix-relay-").tempdir().map_err(stage("a folder"))?;
        init::write_development_identity(folder.path()).map_err(|error| MatrixError::Relay(Box::new(error)))?;
        let mut config = Config::development(folder.path());
        config.server_encryption = encryption;
        // A login is bound to the origin, so the relay has to know under which address it is reached.
        let bound = match faults {
            Some((faults, seed)) => {
                let proxy = BoundProxy::bind().await.map_err(stage("a proxy"))?;
                let origin = format!("https://localhost:{}", proxy.addr().port());
                config.server.origin = Some(origin.parse().map_err(|_| MatrixError::Setup { what: "an origin" })?);
                Some((proxy, faults, seed))
            }
            None => None,
        };
        let is_behind_proxy = bound.is_some();
        let server = Server::start(config.clone()).await.map_err(|error| MatrixError::Relay(Box::new(error)))?;
        let address: SocketAddr = server.addr();
        // Started again it is to be found where it was: logins are bound to its origin.
        config.server.listen = address;
        let proxy = bound.map(|(proxy, faults, seed)| proxy.lead_to(address, faults, seed));
        let pem = server.ca_pem().ok_or(MatrixError::Setup { what: "the relay's authority" })?;
        let origin = server.origin().clone();
        let refused = |error| MatrixError::Relay(Box::new(error));
        // Behind a proxy nobody needs one: it is the way to the relay that is tried there.
        let broker = match front {
            _ if is_behind_proxy => None,
            Some(front) => Some(SimBroker::start_behind(&origin, pem, front).await.map_err(refused)?),
            None => Some(SimBroker::start(&origin, pem).await.map_err(refused)?),
        };
        let trust = match &broker {
            Some(broker) => broker.trust_with(pem).map_err(refused)?,
            None => TrustAnchors::from_pem(pem.as_bytes()).map_err(|error| MatrixError::Relay(Box::new(error)))?,
        };
        let server = Mutex::new(Some(server));
        Ok(Self { server, config, broker, proxy, origin, trust, folder })
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whom its clients trust.
    #[must_use]
    pub fn trust(&self) -> &TrustAnchors {
        &self.trust
    }

    /// The broker for its accounts.
    #[must_use]
    pub fn broker(&self) -> Option<&SimBroker> {
        self.broker.as_ref()
    }

    /// The proxy in front of it.
    #[must_use]
    pub fn proxy(&self) -> Option<&FaultProxy> {
        self.proxy.as_ref()
    }

    /// Stops the relay and starts it again on what it has on disk, with a configuration that was changed.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn restart_with(&self, change: impl FnOnce(&mut Config)) -> Result<(), MatrixError> {
        let running = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.shutdown().await;
        }
        let mut config = self.config.clone();
        change(&mut config);
        let server = Server::start(config).await.map_err(|error| MatrixError::Relay(Box::new(error)))?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Stops both and leaves what they have on disk, until the answer is dropped: the relay's, and the broker's where there is one.
    pub async fn stop(self) -> (TempDir, Option<TempDir>) {
        let Self { server, broker, folder, .. } = self;
        let broker = match broker {
            Some(broker) => Some(broker.stop().await),
            None => None,
        };
        let running = server.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running {
            running.shutdown().await;
        }
        (folder, broker)
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("origin", &self.origin).finish_non_exhaustive()
    }
}
