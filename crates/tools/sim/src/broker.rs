//! A broker in this process: a real `rcseal-broker` over real TLS and a real store, with a trunk into simulated carriers.
//!
//! Its one-time codes go into [`Codes`] in the place of an SMS, so that a story can read them off. Everything else is as shipped.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use rcseal_broker::code::{Code, CodeNotSent, CodeSender};
use rcseal_broker::config::{ForwardConfig, RelayConfig};
use rcseal_broker::{Broker, Config, Parts, RunningBroker, init};
use rcseal_client::client::CarrierOptions;
use rcseal_client::net::TrustAnchors;
use rcseal_client::{Client, ClientError};
use rcseal_engine::number::Claimed;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::origin::Origin;
use tempfile::TempDir;

use crate::carrier::{CORE_NUMBER, Core, DOMAIN, SimCarrier};

/// The longest message that the trunk takes as one datagram.
const PAGER_LEN_MAX: usize = 60_000;

/// How long the trunk waits for a carrier that does not answer: simulated carriers answer at once or never.
const ANSWER_SECONDS: u64 = 3;

/// Why there is no broker, or no number at it.
#[derive(Debug, thiserror::Error)]
pub enum BrokerSetupError {
    /// It does not start.
    #[error("the broker does not start")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A client was refused.
    #[error("a client was refused")]
    Client(#[from] ClientError),
    /// The broker sent no code to this number.
    #[error("no code was sent")]
    NoCode,
    /// The broker did not map the number.
    #[error("the number was not mapped")]
    NotMapped,
}

fn start(error: impl std::error::Error + Send + Sync + 'static) -> BrokerSetupError {
    BrokerSetupError::Start(Box::new(error))
}

/// Codes on their way to numbers, instead of by SMS.
#[derive(Default)]
pub struct Codes(Mutex<HashMap<String, String>>);

impl Codes {
    /// Reads the newest code of a number off, once.
    #[must_use]
    pub fn take(&self, number: &PhoneNumber) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(number.as_str())
    }
}

#[async_trait]
impl CodeSender for Codes {
    async fn send(&self, to: &PhoneNumber, code: &Code) -> Result<(), CodeNotSent> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.insert(to.as_str().to_owned(), code.expose().to_owned());
        Ok(())
    }
}

/// What stands before the broker's routes each time that it is started.
type Front = Arc<dyn Fn(Router) -> Router + Send + Sync>;

/// A running broker.
pub struct SimBroker {
    front: Front,
    running: Option<RunningBroker>,
    config: Config,
    core: Arc<Core>,
    codes: Arc<Codes>,
    origin: Origin,
    pem: String,
    folder: TempDir,
}

impl SimBroker {
    /// Starts a broker for the accounts of one relay.
    ///
    /// # Errors
    /// [`BrokerSetupError::Start`].
    pub async fn start(relay: &Origin, relay_pem: &str) -> Result<Self, BrokerSetupError> {
        Self::start_with(relay, relay_pem, |_| {}).await
    }

    /// Starts one that is not honest: something stands before its routes.
    ///
    /// # Errors
    /// [`BrokerSetupError::Start`].
    pub async fn start_behind(
        relay: &Origin,
        relay_pem: &str,
        front: impl Fn(Router) -> Router + Send + Sync + 'static,
    ) -> Result<Self, BrokerSetupError> {
        Self::start_in(relay, relay_pem, |_| {}, Arc::new(front)).await
    }

    /// The same with a configuration that was changed.
    ///
    /// # Errors
    /// [`BrokerSetupError::Start`].
    pub async fn start_with(
        relay: &Origin,
        relay_pem: &str,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self, BrokerSetupError> {
        Self::start_in(relay, relay_pem, change, Arc::new(|router| router)).await
    }

    async fn start_in(
        relay: &Origin,
        relay_pem: &str,
        change: impl FnOnce(&mut Config),
        front: Front,
    ) -> Result<Self, BrokerSetupError> {
        let folder = tempfile::Builder::new().prefix("rcseal-sim-broker-").tempdir().map_err(start)?;
        init::write_development_identity(folder.path()).map_err(start)?;
        let authority = folder.path().join("relay.pem");
        std::fs::write(&authority, relay_pem).map_err(start)?;
        let (core_address, trunk_address) = two_free_addresses().map_err(start)?;
        let mut config = Config::development(folder.path());
        config.relays = vec![RelayConfig { origin: relay.clone(), authority }];
        config.numbers.served_of_any_kind = vec!["+1".parse().map_err(start)?];
        config.lookups.answer_millis = 0;
        // Hundreds of stories claim numbers in a row, from one address: as much as a configuration may allow.
        let codes = &mut config.codes;
        (codes.per_number_day_max, codes.per_account_day_max) = (100, 10_000);
        (codes.per_block_hour_max, codes.per_hour_max) = (1_000, 10_000_000);
        config.forward = forward(core_address, trunk_address)?;
        change(&mut config);
        let codes = Arc::new(Codes::default());
        let running = run(&config, &codes, &front).await?;
        // A broker that is started again is to be found where it was: logins are bound to its origin.
        config.server.listen = running.addr();
        let core = Core::start(core_address, trunk_address).await.map_err(start)?;
        let pem = running.ca_pem().unwrap_or_default().to_owned();
        let origin = running.origin().clone();
        Ok(Self { front, running: Some(running), config, core, codes, origin, pem, folder })
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The certificate authority to trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The other end of its trunk.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The codes that it sent.
    #[must_use]
    pub fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The file with the seed of its countersigning key.
    #[must_use]
    pub fn signing_key_file(&self) -> &Path {
        &self.config.signing.key
    }

    /// The broker itself; `None` between a stop and the next start.
    #[must_use]
    pub fn running(&self) -> Option<&RunningBroker> {
        self.running.as_ref()
    }

    /// Whom clients of this relay and of the broker trust.
    ///
    /// # Errors
    /// [`BrokerSetupError::Start`], for a certificate that is none.
    pub fn trust_with(&self, relay_pem: &str) -> Result<TrustAnchors, BrokerSetupError> {
        TrustAnchors::from_pem(format!("{relay_pem}\n{}", self.pem).as_bytes()).map_err(start)
    }

    /// A client takes this broker and has a number bound to its account: claimed, and confirmed with the code.
    ///
    /// # Errors
    /// [`BrokerSetupError`].
    pub async fn bind(&self, client: &Client, number: &PhoneNumber) -> Result<(), BrokerSetupError> {
        client.use_broker(&self.origin).await?;
        client.claim_number(number).await?;
        let code = self.codes.take(number).ok_or(BrokerSetupError::NoCode)?;
        let mut claimed = client.confirm_number(number, &code, None).await?;
        if matches!(claimed, Claimed::Verified) {
            claimed = client.confirm_number(number, &code, None).await?;
        }
        if matches!(claimed, Claimed::Mapped) { Ok(()) } else { Err(BrokerSetupError::NotMapped) }
    }

    /// The same, and the number joins a carrier behind the trunk, which becomes the client's way into the carrier.
    ///
    /// # Errors
    /// [`BrokerSetupError`].
    pub async fn join(
        &self,
        client: &Client,
        number: &PhoneNumber,
        carrier: &Arc<SimCarrier>,
    ) -> Result<(), BrokerSetupError> {
        self.bind(client, number).await?;
        self.core.join(number, carrier);
        let patience = Duration::from_millis(carrier.profile().patience_ms);
        let options = CarrierOptions { patience, ..CarrierOptions::by_broker(number.clone()) };
        client.attach_broker_with(&self.origin, options).await?;
        Ok(())
    }

    /// Stops it and starts it again on what it has on disk.
    ///
    /// # Errors
    /// [`BrokerSetupError::Start`].
    pub async fn restart(&mut self) -> Result<(), BrokerSetupError> {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
        self.running = Some(run(&self.config, &self.codes, &self.front).await?);
        Ok(())
    }

    /// Stops it and leaves what it has on disk, until the answer is dropped.
    pub async fn stop(self) -> TempDir {
        let Self { running, folder, .. } = self;
        if let Some(running) = running {
            running.shutdown().await;
        }
        folder
    }
}

impl std::fmt::Debug for SimBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimBroker").field("origin", &self.origin).finish_non_exhaustive()
    }
}

async fn run(config: &Config, codes: &Arc<Codes>, front: &Front) -> Result<RunningBroker, BrokerSetupError> {
    let front = Arc::clone(front);
    let parts =
        Parts { codes: Some(Arc::clone(codes) as _), front: Box::new(move |router| front(router)), ..Parts::default() };
    Broker::start_with(config.clone(), parts).await.map_err(start)
}

fn forward(core: SocketAddr, trunk: SocketAddr) -> Result<ForwardConfig, BrokerSetupError> {
    let text = format!(
        "[trunk]\nown = \"{CORE_NUMBER}\"\ndomain = \"{DOMAIN}\"\nhost = \"{}\"\nport = {}\nwire = \"udp\"\nlocal = \"{trunk}\"\n\
         pager_len_max = {PAGER_LEN_MAX}\nanswer_seconds = {ANSWER_SECONDS}\n",
        core.ip(),
        core.port()
    );
    toml::from_str(&text).map_err(start)
}

/// Two addresses on loopback that nobody has right now. Both ends of a trunk name the other's before either is open.
fn two_free_addresses() -> std::io::Result<(SocketAddr, SocketAddr)> {
    let sockets = [UdpSocket::bind(("127.0.0.1", 0))?, UdpSocket::bind(("127.0.0.1", 0))?];
    Ok((sockets[0].local_addr()?, sockets[1].local_addr()?))
}
