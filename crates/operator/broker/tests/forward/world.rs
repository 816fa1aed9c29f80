//! A relay, a broker, a carrier, and people with real keys.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use prost::Message as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rcseal_broker::code::{Code, CodeNotSent, CodeSender};
use rcseal_broker::config::{Prefix, RelayConfig, TrunkMsrpConfig};
use rcseal_broker::{Broker, Parts, RunningBroker};
use rcseal_carrier::msrp::{MsrpConfig, Protection};
use rcseal_carrier::sip::{Access, Config as AgentConfig, PagerMessage, Peer, Trunk, UserAgent, Wire};
use rcseal_carrier::sip_transport::{SipTransport, SipTransportConfig};
use rcseal_credential::mapping::{Action, NumberStatement, UnverifiedMapping};
use rcseal_credential::{
    AccountSigner, DeviceClaims, IdentityProfile, KeySetBuilder, RecoveryKey, VerifiedKeySet, prove_device,
};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{ed25519, mlkem1024, x25519};
use rcseal_front::clock::{Clock as _, ManualClock};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_server::{RunningServer, Server};
use rcseal_store::UnixMillis;
use rcseal_wire::api::broker::{ClaimRequest, ClaimStarted, ConfirmAnswer, ConfirmRequest, EnrolmentRequest};
use rcseal_wire::api::{
    Base64, DeviceUpload, KemPreKey, LoginChallenge, LoginRequest, LoginResponse, RegisterRequest, SignedPreKey,
};
use rcseal_wire::carrier_delivery::CarrierDelivery;
use rcseal_wire::envelope::Envelope;
use rcseal_wire::frame::{Acknowledge, Deliveries};
use rcseal_wire::id::{
    AccountId, BrokerKeyId, Custody, DeviceAddress, DeviceNumber, EnvelopeId, MailboxId, MappingHash, Platform,
};
use rcseal_wire::login::login_bytes;
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tempfile::TempDir;

use crate::client::{Client, Reply, Tls};

pub const ALICE: &str = "+447700900123";
pub const BOB: &str = "+447700900124";
pub const STRANGER: &str = "+447700900199";
const CARRIER: &str = "+447700900100";
pub const START: UnixMillis = UnixMillis::new(1_800_000_000_000);
/// Longer than anything takes on a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed(rand::random())
}

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

/// Somebody with an account and one device.
pub struct Person {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub token: DeliveryToken,
    key_set: VerifiedKeySet,
    signer: AccountSigner,
    auth: ed25519::SigningKey,
    pub sealing: SealingSecretKey,
    newest: Mutex<Option<(u64, MappingHash)>>,
}

fn upload(mailbox: MailboxId) -> DeviceUpload {
    let rng = &mut rng();
    let ec = Base64(x25519::SecretKey::generate(rng).public_key().as_bytes().to_vec());
    let kem = Base64(mlkem1024::SecretKey::generate(rng).public_key().as_bytes().to_vec());
    let signature = Base64(vec![7; 64]);
    DeviceUpload {
        mailbox,
        signed: Some(SignedPreKey { id: 1, key: ec, signature: signature.clone() }),
        last_resort: Some(KemPreKey { id: 1_000_000, key: kem, signature }),
        one_time: Vec::new(),
        one_time_kem: Vec::new(),
    }
}

impl Person {
    pub async fn register(world: &World) -> Self {
        let rng = &mut rng();
        let account = AccountId::generate(rng);
        let (signer, recovery) = (AccountSigner::generate(rng), RecoveryKey::generate(rng));
        let auth = ed25519::SigningKey::generate(rng);
        let sealing = SealingSecretKey::generate(rng);
        let identity = x25519::SecretKey::generate(rng);
        let claims = DeviceClaims {
            account,
            number: DeviceNumber::PRIMARY,
            platform: Platform::Android,
            custody: Custody::User,
            auth_key: &auth,
            identity_keys: &[(IdentityProfile::Native, &identity)],
            sealing_key: &sealing.public_key(),
            mls_leaf_keys: &[],
        };
        let entry = prove_device(rng, &claims).unwrap();
        let key_set =
            KeySetBuilder::first(account, recovery.commitment()).add_device(entry).unwrap().sign(&signer).unwrap();
        let (mailbox, token) = (MailboxId::generate(rng), DeliveryToken::generate(rng));
        let request = RegisterRequest {
            invite: None,
            key_set: Base64(key_set.as_bytes().to_vec()),
            device: upload(mailbox),
            delivery_token_hash: token.hash(),
        };
        let reply = world.connect_relay().await.post("/v1/accounts", &request).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Self { account, mailbox, token, key_set, signer, auth, sealing, newest: Mutex::default() }
    }

    pub fn address(&self) -> DeviceAddress {
        DeviceAddress { account: self.account, device: DeviceNumber::PRIMARY }
    }

    /// Sequence and hash of the mapping that the broker countersigned last.
    pub fn newest_mapping(&self) -> (u64, MappingHash) {
        self.newest.lock().unwrap().unwrap()
    }

    async fn sign_login(&self, client: &mut Client, origin: &Origin) -> Base64 {
        let reply = client.post("/v1/login/challenge", &()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let nonce = reply.json::<LoginChallenge>().nonce.0;
        let bytes = login_bytes(origin, &client.exporter, self.address(), nonce.as_slice().try_into().unwrap());
        Base64(self.auth.sign(&[&bytes]).0.to_vec())
    }

    /// A connection on which the device is logged in at the relay.
    pub async fn at_relay(&self, world: &World) -> Client {
        let mut client = world.connect_relay().await;
        let signature = self.sign_login(&mut client, &world.relay.origin).await;
        self.finish_login(client, signature).await
    }

    /// A connection on which the device is logged in at the broker.
    pub async fn at_broker(&self, world: &World) -> Client {
        let mut client = world.connect_broker().await;
        let signature = self.sign_login(&mut client, world.broker().origin()).await;
        self.finish_login(client, signature).await
    }

    async fn finish_login(&self, mut client: Client, signature: Base64) -> Client {
        let request = LoginRequest { account: self.account, device: DeviceNumber::PRIMARY, signature };
        let reply = client.post("/v1/login", &request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        client.token = Some(reply.json::<LoginResponse>().token);
        client
    }

    pub async fn enrol(&self, world: &World) {
        let mut client = world.connect_broker().await;
        let signature = self.sign_login(&mut client, world.broker().origin()).await;
        let request = EnrolmentRequest {
            key_set: Base64(self.key_set.as_bytes().to_vec()),
            relay: world.relay.origin.clone(),
            device: DeviceNumber::PRIMARY,
            mailbox: self.mailbox,
            delivery_token: Base64(self.token.expose().to_vec()),
            signature,
        };
        let reply = client.post("/v1/broker/enrolment", &request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    fn statement(
        &self,
        world: &World,
        action: Action,
        number: &str,
        sequence: u64,
        previous: Option<MappingHash>,
    ) -> Base64 {
        let statement = NumberStatement {
            action,
            number: number.parse().unwrap(),
            account: self.account,
            device: DeviceNumber::PRIMARY,
            sequence,
            previous,
            key_set_counter: self.key_set.counter(),
            key_set_hash: self.key_set.hash(),
            broker: BrokerKeyId::from_bytes(*world.broker().signing_key().as_bytes()),
            issued_at_ms: world.clock.now().get(),
        };
        Base64(statement.sign(&self.signer).unwrap().as_bytes().to_vec())
    }

    /// Claims a number, with the release of whoever had it.
    pub async fn claim(&self, world: &World, number: &str, before: Option<(u64, MappingHash, Base64)>) {
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
        before: Option<(u64, MappingHash, Base64)>,
    ) {
        let claim = begun.json::<ClaimStarted>().claim;
        let (sequence, previous, release) = match before {
            Some((sequence, hash, release)) => (sequence + 1, Some(hash), Some(release)),
            None => (1, None, None),
        };
        let statement = Some(self.statement(world, Action::Bind, number, sequence, previous));
        let request = ConfirmRequest { code: code.to_owned(), statement, release };
        let mut client = self.at_broker(world).await;
        let reply = client.post(&format!("/v1/numbers/{claim}/confirm"), &request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mapping = UnverifiedMapping::parse(&reply.json::<ConfirmAnswer>().mapping.unwrap().0).unwrap();
        *self.newest.lock().unwrap() = Some((mapping.sequence(), mapping.hash()));
    }

    pub fn release(&self, world: &World, number: &str, sequence: u64, previous: MappingHash) -> Base64 {
        self.statement(world, Action::Release, number, sequence, Some(previous))
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
