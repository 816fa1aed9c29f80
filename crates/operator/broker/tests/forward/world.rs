//! A relay, a broker, a carrier, and people with real keys.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use prost::Message as _;
use rcseal_broker::code::{Code, CodeNotSent, CodeSender};
use rcseal_broker::config::{Prefix, RelayConfig, TrunkMsrpConfig};
use rcseal_broker::{Broker, Parts, RunningBroker};
use rcseal_carrier::msrp::{MsrpConfig, Protection};
use rcseal_carrier::sip::{Access, Config as AgentConfig, PagerMessage, Peer, Trunk, UserAgent, Wire};
use rcseal_carrier::sip_transport::{SipTransport, SipTransportConfig};
use rcseal_credential::mapping::{Action, UnverifiedMapping};
use rcseal_front::clock::{Clock as _, ManualClock};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_server::{RunningServer, Server};
use rcseal_store::UnixMillis;
use rcseal_wire::api::broker::{ClaimRequest, ClaimStarted, ConfirmAnswer, ConfirmRequest, MappingHead};
use rcseal_wire::api::{Base64, LoginResponse};
use rcseal_wire::carrier_delivery::CarrierDelivery;
use rcseal_wire::envelope::Envelope;
use rcseal_wire::frame::{Acknowledge, Deliveries};
use rcseal_wire::id::{AccountId, EnvelopeId};
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;
use tempfile::TempDir;

use crate::client::{Client, Reply, Tls};
pub use crate::keys::Person;
use crate::keys::rng;

pub const ALICE: &str = "+447700900123";
pub const BOB: &str = "+447700900124";
pub const STRANGER: &str = "+447700900199";
const CARRIER: &str = "+447700900100";
pub const START: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// Longer than anything takes on a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn phone(number: &str) -> PhoneNumber {
    number.parse().unwrap()
}

/// Catches one-time codes.
#[derive(Default)]
pub struct Codes(Mutex<Option<String>>);

impl Codes {
    fn take(&self) -> String {
        self.0.lock().unwrap().take().unwrap()
    }
}

#[async_trait]
impl CodeSender for Codes {
    async fn send(&self, _to: &PhoneNumber, code: &Code) -> Result<(), CodeNotSent> {
        *self.0.lock().unwrap() = Some(code.expose().to_owned());
        Ok(())
    }
}

/// A relay in a folder, on a fixed port so that it can come back.
pub struct Relay {
    pub running: Option<RunningServer>,
    config: rcseal_server::Config,
    clock: Arc<ManualClock>,
    pub origin: Origin,
    pub pem: String,
    _folder: TempDir,
}

impl Relay {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        rcseal_server::init::write_development_identity(folder.path()).unwrap();
        let mut config = rcseal_server::Config::development(folder.path());
        let clock = Arc::new(ManualClock::at(START));
        let running = Server::start_with_clock(config.clone(), clock.clone()).await.unwrap();
        config.server.listen = running.addr();
        let (origin, pem) = (running.origin().clone(), running.ca_pem().unwrap().to_owned());
        Self { running: Some(running), config, clock, origin, pem, _folder: folder }
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().shutdown().await;
    }

    pub async fn start_again(&mut self) {
        let running = Server::start_with_clock(self.config.clone(), self.clock.clone()).await.unwrap();
        self.running = Some(running);
    }

    fn address(&self) -> SocketAddr {
        self.config.server.listen
    }
}

/// Everything.
pub struct World {
    pub relay: Relay,
    pub broker: Option<RunningBroker>,
    pub broker_config: rcseal_broker::Config,
    pub clock: Arc<ManualClock>,
    pub codes: Arc<Codes>,
    has_codes: bool,
    core: Option<UserAgent>,
    /// The newest mapping of each account.
    newest: Mutex<HashMap<AccountId, MappingHead>>,
    core_address: SocketAddr,
    trunk_address: SocketAddr,
    folder: TempDir,
}

/// A UDP port that nobody has right now.
fn free_port() -> SocketAddr {
    std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// The carrier's core: it asserts whoever it says sends.
fn core_config(local: SocketAddr, peer: SocketAddr) -> AgentConfig {
    let peer = Peer { host: peer.ip().to_string(), port: peer.port() };
    let access = Access::Trunk(Trunk::default());
    let mut config = AgentConfig::new(phone(CARRIER), "carrier.example".parse().unwrap(), peer, Wire::Udp, access);
    config.local = local;
    config.timers.answer = Duration::from_secs(8);
    config
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut rcseal_broker::Config)) -> Self {
        Self::start_at(START, true, |_, config| change(config)).await
    }

    /// At a time of the caller's; without `has_codes` codes leave as the configuration says. `change` is told the broker's folder.
    pub async fn start_at(
        now: UnixMillis,
        has_codes: bool,
        change: impl FnOnce(&Path, &mut rcseal_broker::Config),
    ) -> Self {
        let relay = Relay::start().await;
        let folder = tempfile::tempdir().unwrap();
        rcseal_broker::init::write_development_identity(folder.path()).unwrap();
        let authority = folder.path().join("relay.pem");
        std::fs::write(&authority, &relay.pem).unwrap();
        let (core_address, trunk_address) = (free_port(), free_port());
        let mut config = rcseal_broker::Config::development(folder.path());
        config.relays = vec![RelayConfig { origin: relay.origin.clone(), authority }];
        config.numbers.served_of_any_kind = vec!["+44".parse::<Prefix>().unwrap()];
        config.forward.trunk = Some(
            toml::from_str(&format!(
                "own = \"{CARRIER}\"\ndomain = \"carrier.example\"\nhost = \"127.0.0.1\"\nport = {}\nwire = \"udp\"\n\
                 local = \"{trunk_address}\"\npager_len_max = 60000\n",
                core_address.port()
            ))
            .unwrap(),
        );
        change(folder.path(), &mut config);
        let clock = Arc::new(ManualClock::at(now));
        let codes = Arc::new(Codes::default());
        let mut world = Self {
            relay,
            broker: None,
            broker_config: config,
            clock,
            codes,
            has_codes,
            newest: Mutex::default(),
            core: Some(UserAgent::start(core_config(core_address, trunk_address)).await.unwrap()),
            core_address,
            trunk_address,
            folder,
        };
        world.start_broker().await;
        world.broker_config.server.listen = world.broker().addr();
        world
    }

    /// Where the broker's files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The carrier's core.
    pub fn core(&self) -> &UserAgent {
        self.core.as_ref().unwrap()
    }

    /// A core in the place of the one before, that opens sessions for what is too long for a SIP message.
    pub async fn core_with_sessions(&mut self) -> Arc<SipTransport> {
        self.core = None;
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let listen = "127.0.0.1:0".parse().unwrap();
            let agent = core_config(self.core_address, self.trunk_address);
            let config = SipTransportConfig::new(agent, Some(MsrpConfig::new(listen, Protection::Plain)));
            // The one before gives its port back when its tasks have ended.
            match SipTransport::start(config).await {
                Ok(transport) => return transport,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn broker(&self) -> &RunningBroker {
        self.broker.as_ref().unwrap()
    }

    pub async fn start_broker(&mut self) {
        let codes = self.has_codes.then(|| self.codes.clone() as Arc<dyn CodeSender>);
        let parts = Parts { clock: self.clock.clone(), codes, ..Parts::default() };
        self.broker = Some(Broker::start_with(self.broker_config.clone(), parts).await.unwrap());
    }

    pub async fn restart_broker(&mut self) {
        self.broker.take().unwrap().shutdown().await;
        self.start_broker().await;
    }

    pub async fn connect_broker(&self) -> Client {
        Client::connect(&Tls::trusting(self.broker().ca_pem().unwrap()), self.broker().addr()).await
    }

    pub async fn connect_relay(&self) -> Client {
        Client::connect(&Tls::trusting(&self.relay.pem), self.relay.address()).await
    }

    /// Somebody with an account at the relay, enrolled at the broker, to whom a number is bound.
    pub async fn person(&self, number: &str) -> Person {
        let person = Person::register(self).await;
        person.enrol(self).await;
        person.claim(self, number, None).await;
        person
    }

    /// What the carrier brings, as it is: a SIP message in whose name the core says.
    pub async fn bring(&self, from: &str, to: &str, content_type: &str, body: &[u8]) -> Result<Taken, SendFailure> {
        let message = PagerMessage {
            to: phone(to),
            content_type: content_type.to_owned(),
            body: Bytes::copy_from_slice(body),
            conversation: Some([7; 16]),
        };
        self.core().message_from(&phone(from), message).await
    }
}

/// Waits until something holds.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "it never held");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Person {
    pub async fn register(world: &World) -> Self {
        let person = Self::of_account(AccountId::generate(&mut rng()));
        person.register_at(&mut world.connect_relay().await).await;
        person
    }

    /// The mapping of this person's that the broker countersigned last.
    pub fn newest_mapping(&self, world: &World) -> MappingHead {
        world.newest.lock().unwrap()[&self.account]
    }

    /// A connection on which the device is logged in at the relay.
    pub async fn at_relay(&self, world: &World) -> Client {
        self.log_in(world.connect_relay().await, &world.relay.origin).await
    }

    /// A connection on which the device is logged in at the broker.
    pub async fn at_broker(&self, world: &World) -> Client {
        self.log_in(world.connect_broker().await, world.broker().origin()).await
    }

    async fn log_in(&self, mut client: Client, origin: &Origin) -> Client {
        let reply = self.try_log_in_at(&mut client, origin).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        client.token = Some(reply.json::<LoginResponse>().token);
        client
    }

    pub async fn enrol(&self, world: &World) {
        let mut client = world.connect_broker().await;
        let request = self.enrolment(&mut client, &world.relay.origin, world.broker().origin()).await;
        let reply = client.post("/v1/broker/enrolment", &request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    fn statement(&self, world: &World, action: Action, number: &str, before: Option<MappingHead>) -> Base64 {
        let at = (world.broker().signing_key(), world.clock.now().get());
        Base64(self.state(at, action, &number.parse().unwrap(), before).as_bytes().to_vec())
    }

    /// Claims a number, with the release of whoever had it.
    pub async fn claim(&self, world: &World, number: &str, before: Option<(MappingHead, Base64)>) {
        let mut client = self.at_broker(world).await;
        let number_e164: E164 = number.parse().unwrap();
        let reply = client.post("/v1/numbers", &ClaimRequest { number: number_e164 }).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        let code = world.codes.take();
        self.confirm_after(world, number, &reply, &code, before).await;
    }

    /// Shows the code of a claim that was begun.
    pub async fn confirm(&self, world: &World, number: &str, begun: &Reply, code: &str) {
        self.confirm_after(world, number, begun, code, None).await;
    }

    async fn confirm_after(
        &self,
        world: &World,
        number: &str,
        begun: &Reply,
        code: &str,
        before: Option<(MappingHead, Base64)>,
    ) {
        let claim = begun.json::<ClaimStarted>().claim;
        let (before, release) = before.unzip();
        let statement = Some(self.statement(world, Action::Bind, number, before));
        let request = ConfirmRequest { code: code.to_owned(), statement, release };
        let mut client = self.at_broker(world).await;
        let reply = client.post(&format!("/v1/numbers/{claim}/confirm"), &request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mapping = UnverifiedMapping::parse(&reply.json::<ConfirmAnswer>().mapping.unwrap().0).unwrap();
        let head = MappingHead { sequence: mapping.sequence(), hash: mapping.hash() };
        world.newest.lock().unwrap().insert(self.account, head);
    }

    pub fn release(&self, world: &World, number: &str, before: MappingHead) -> Base64 {
        self.statement(world, Action::Release, number, Some(before))
    }

    /// What waits in the mailbox, in order.
    pub async fn mail(&self, world: &World) -> Vec<(EnvelopeId, Vec<u8>)> {
        let mut client = self.at_relay(world).await;
        let reply = client.get("/v1/mailbox/messages").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let deliveries = Deliveries::decode(reply.body).unwrap();
        let one = |delivery: rcseal_wire::frame::Delivery| {
            (EnvelopeId::parse(&delivery.id).unwrap(), delivery.envelope.to_vec())
        };
        deliveries.envelopes.into_iter().map(one).collect()
    }

    pub async fn acknowledge(&self, world: &World, ids: &[EnvelopeId]) {
        let consumed = ids.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect();
        let body = Acknowledge { request: 1, consumed, undecryptable: vec![] }.encode_to_vec();
        let mut client = self.at_relay(world).await;
        let headers = [("content-type", "application/x-protobuf")];
        let reply = client.bytes(Method::POST, "/v1/mailbox/acknowledge", &headers, &body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// What the broker sealed to this device.
    pub fn open(&self, envelope: &[u8]) -> CarrierDelivery {
        let Envelope::Forwarded { sealed } = Envelope::parse(envelope).unwrap() else { panic!("another kind") };
        CarrierDelivery::open(&self.sealing, self.address(), sealed).unwrap()
    }
}

/// A session's envelope of so many bytes, as a relay and a broker see one.
pub fn envelope(seed: u8, len: usize) -> Vec<u8> {
    let ciphertext: Vec<u8> = (0..len - 29).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect();
    Envelope::Session { tag: rcseal_wire::envelope::Tag([seed; 16]), nonce: [seed; 12], ciphertext: &ciphertext }
        .to_bytes()
}

/// A trunk that takes sessions for what is longer than a usual SIP message.
pub fn with_sessions(config: &mut rcseal_broker::Config) {
    let trunk = config.forward.trunk.as_mut().unwrap();
    trunk.pager_len_max = 1300;
    let listen = "127.0.0.1:0".parse().unwrap();
    trunk.msrp = Some(TrunkMsrpConfig { listen, advertised_host: None, tls: false });
}
