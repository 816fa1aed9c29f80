//! A relay and a broker in one temporary folder, whatever the broker sends, and people with real keys.

#[path = "../../../../server/tests/it/support/client.rs"]
#[allow(dead_code)] // It is the relay's too.
mod client;
#[allow(dead_code)] // It is the other binary's too.
mod keys;
mod person;
mod ways;

use std::path::PathBuf;
use std::sync::Arc;

use rcseal_broker::config::RelayConfig;
use rcseal_broker::notice::NoticeSender;
use rcseal_broker::{Broker, Config, Parts, RunningBroker};
use rcseal_front::clock::ManualClock;
use rcseal_server::{RunningServer, Server};
use rcseal_store::conformance::FaultyBrokerStore;
use rcseal_store::{BrokerStore, UnixMillis};
use rcseal_wire::number::E164;
use tempfile::TempDir;

pub use client::{Client, Reply, Tls};
pub use keys::Person;
pub use person::{head, key_set, statement};
pub use ways::{Codes, Notices};

/// Where the tests' clocks begin.
pub const START: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// Seconds of a day.
pub const DAY: u64 = 24 * 3600;

/// A number from the range that is reserved for films.
pub fn number(last: u32) -> E164 {
    format!("+447700900{last:03}").parse().unwrap()
}

pub struct World {
    pub relay: RunningServer,
    pub relay_tls: Tls,
    pub broker: RunningBroker,
    pub tls: Tls,
    pub clock: Arc<ManualClock>,
    pub codes: Arc<Codes>,
    pub notices: Arc<Notices>,
    pub store: Arc<FaultyBrokerStore>,
    pub config: Config,
    pub folder: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::build(change, true).await
    }

    /// Notices go the way that they go outside of tests.
    pub async fn with_real_notices() -> Self {
        Self::build(|_| {}, false).await
    }

    async fn build(change: impl FnOnce(&mut Config), catches_notices: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay_folder = folder.path().join("relay");
        rcseal_server::init::write_development_identity(&relay_folder).unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let relay_config = rcseal_server::Config::development(&relay_folder);
        let relay = Server::start_with_clock(relay_config, clock.clone()).await.unwrap();
        let broker_folder = folder.path().join("broker");
        rcseal_broker::init::write_development_identity(&broker_folder).unwrap();
        let mut config = Config::development(&broker_folder);
        config.relays = vec![RelayConfig {
            origin: relay.origin().clone(),
            authority: relay_folder.join(rcseal_broker::init::AUTHORITY_FILE),
        }];
        config.numbers.served = vec!["+44".parse().unwrap()];
        // Numbers in films are nobody's, so the numbering plan does not know them as mobile ones.
        config.numbers.served_of_any_kind = vec!["+447700900".parse().unwrap()];
        config.lookups.answer_millis = 0;
        // Sweeps are asked for by tests.
        config.jobs.sweep_seconds = DAY;
        change(&mut config);
        let codes = Arc::new(Codes::default());
        let notices = Arc::new(Notices::default());
        let (broker, store) = start(&config, &clock, &codes, catches_notices.then_some(&notices)).await;
        let tls = Tls::trusting(broker.ca_pem().unwrap());
        let relay_tls = Tls::trusting(relay.ca_pem().unwrap());
        Self { relay, relay_tls, broker, tls, clock, codes, notices, store, config, folder }
    }

    /// Stops the broker and starts it again on the same folder.
    pub async fn restart(self) -> Self {
        let Self { relay, relay_tls, broker, clock, codes, notices, store, config, folder, .. } = self;
        broker.shutdown().await;
        drop(store);
        let (broker, store) = start(&config, &clock, &codes, Some(&notices)).await;
        let tls = Tls::trusting(broker.ca_pem().unwrap());
        Self { relay, relay_tls, broker, tls, clock, codes, notices, store, config, folder }
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.tls, self.broker.addr()).await
    }

    pub fn now_ms(&self) -> u64 {
        use rcseal_front::clock::Clock as _;
        self.clock.now().get()
    }

    pub fn storage(&self) -> PathBuf {
        self.broker.storage().to_owned()
    }
}

async fn start(
    config: &Config,
    clock: &Arc<ManualClock>,
    codes: &Arc<Codes>,
    notices: Option<&Arc<Notices>>,
) -> (RunningBroker, Arc<FaultyBrokerStore>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let parts = Parts {
        clock: clock.clone(),
        codes: Some(codes.clone()),
        notices: notices.map(|notices| notices.clone() as Arc<dyn NoticeSender>),
        wrap: Box::new(move |store| {
            let faulty = Arc::new(FaultyBrokerStore::new(store));
            sender.send(faulty.clone()).unwrap();
            faulty as Arc<dyn BrokerStore>
        }),
        ..Parts::default()
    };
    let broker = Broker::start_with(config.clone(), parts).await.unwrap();
    (broker, receiver.recv().unwrap())
}
