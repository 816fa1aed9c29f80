//! The relay that every cell shares: a real `rcseald` in this process, on loopback, over real TLS and a real store.

use std::net::SocketAddr;

use rcseal_client::net::TrustAnchors;
use rcseal_server::{Config, RunningServer, Server, init};
use rcseal_wire::origin::Origin;
use tempfile::TempDir;

use super::MatrixError;
use crate::proxy::{BoundProxy, FaultProxy, Faults};

/// A running relay.
pub struct Relay {
    server: RunningServer,
    proxy: Option<FaultProxy>,
    origin: Origin,
    trust: TrustAnchors,
    folder: TempDir,
}

impl Relay {
    /// Starts a relay.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn start() -> Result<Self, MatrixError> {
        Self::start_in(None).await
    }

    /// Starts a relay that clients reach through a proxy with these faults.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub async fn start_behind(faults: Faults, seed: u64) -> Result<Self, MatrixError> {
        Self::start_in(Some((faults, seed))).await
    }

    async fn start_in(faults: Option<(Faults, u64)>) -> Result<Self, MatrixError> {
        let stage = |what: &'static str| move |source| MatrixError::Io { what, source };
        let folder = tempfile::Builder::new().prefix("rcseal-matrix-relay-").tempdir().map_err(stage("a folder"))?;
        init::write_development_identity(folder.path()).map_err(|error| MatrixError::Relay(Box::new(error)))?;
        let mut config = Config::development(folder.path());
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
        let server = Server::start(config).await.map_err(|error| MatrixError::Relay(Box::new(error)))?;
        let address: SocketAddr = server.addr();
        let proxy = bound.map(|(proxy, faults, seed)| proxy.lead_to(address, faults, seed));
        let pem = server.ca_pem().ok_or(MatrixError::Setup { what: "the relay's authority" })?;
        let trust = TrustAnchors::from_pem(pem.as_bytes()).map_err(|error| MatrixError::Relay(Box::new(error)))?;
        let origin = server.origin().clone();
        Ok(Self { server, proxy, origin, trust, folder })
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

    /// The proxy in front of it.
    #[must_use]
    pub fn proxy(&self) -> Option<&FaultProxy> {
        self.proxy.as_ref()
    }

    /// Stops it and leaves what it has on disk, until the answer is dropped.
    pub async fn stop(self) -> TempDir {
        let Self { server, folder, .. } = self;
        server.shutdown().await;
        folder
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("origin", &self.origin).finish_non_exhaustive()
    }
}
