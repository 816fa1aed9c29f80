//! A server in a temporary folder, a small HTTPS client that knows its TLS exporter, and accounts with real keys.

mod client;
mod owner;
mod plane;

use std::sync::{Arc, OnceLock};

use rcseal_server::clock::ManualClock;
use rcseal_server::{Config, RunningServer, Server};
use rcseal_store::conformance::FaultyStore;
use rcseal_store::{Store, UnixMillis};
use rcseal_wire::frame::{MAILBOX_PATH, SUBMIT_PATH};
use tempfile::TempDir;

pub use client::{Client, Reply, Tls, full};
pub use owner::{Owner, body, challenge, device_upload, log_in};
pub use plane::{Closed, Plane, ids, submission};

/// Where the tests' clocks begin.
pub const START: UnixMillis = UnixMillis::new(1_800_000_000_000);

pub struct TestServer {
    pub running: RunningServer,
    pub clock: Arc<ManualClock>,
    pub tls: Tls,
    pub folder: TempDir,
    pub config: Config,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        rcseal_server::init::write_development_identity(folder.path()).unwrap();
        let mut config = Config::development(folder.path());
        change(&mut config);
        Self::start_in(folder, config, Arc::new(ManualClock::at(START))).await
    }

    async fn start_in(folder: TempDir, config: Config, clock: Arc<ManualClock>) -> Self {
        Self::start_on(folder, config, clock, |store| store).await
    }

    /// A server on a store that can be told to fail.
    pub async fn start_faulty() -> (Self, Arc<FaultyStore>) {
        let folder = tempfile::tempdir().unwrap();
        rcseal_server::init::write_development_identity(folder.path()).unwrap();
        let config = Config::development(folder.path());
        let faulty = OnceLock::new();
        let wrap = |store| Arc::clone(faulty.get_or_init(|| Arc::new(FaultyStore::new(store)))) as _;
        let server = Self::start_on(folder, config, Arc::new(ManualClock::at(START)), wrap).await;
        (server, faulty.into_inner().unwrap())
    }

    async fn start_on(
        folder: TempDir,
        config: Config,
        clock: Arc<ManualClock>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let running = Server::start_on(config.clone(), clock.clone(), wrap).await.unwrap();
        let tls = Tls::trusting(running.ca_pem().unwrap());
        Self { running, clock, tls, folder, config }
    }

    /// Stops the server and starts it again on the same data.
    pub async fn restart(self) -> Self {
        let Self { running, clock, folder, config, .. } = self;
        running.shutdown().await;
        Self::start_in(folder, config, clock).await
    }

    pub async fn connect(&self) -> Client {
        Client::connect(&self.tls, self.running.addr()).await
    }

    /// A connection of somebody who may write to the account.
    pub async fn contact(&self, owner: &Owner) -> Client {
        let mut client = self.connect().await;
        client.delivery_token = Some(owner.delivery_token.expose_text());
        client
    }

    /// A connection on which anybody may hand envelopes in.
    pub async fn submitter(&self) -> Plane {
        Plane::open(&self.tls, self.running.addr(), SUBMIT_PATH, None).await.unwrap()
    }

    /// The mailbox connection of a client's device.
    pub async fn mailbox(&self, client: &Client) -> Plane {
        Plane::open(&self.tls, self.running.addr(), MAILBOX_PATH, client.token.as_deref()).await.unwrap()
    }

    /// A registered account with its primary device, logged in on its own connection.
    pub async fn registered(&self) -> (Owner, Client) {
        let owner = Owner::new();
        let mut client = self.connect().await;
        let reply = client.post("/v1/accounts", &owner.register_request()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        owner.log_in(self, &mut client).await;
        (owner, client)
    }
}
