//! The scene: a relay, a broker with an agent at a fake provider and a fake SMS network, the business's client, and apps of customers.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcseal_broker::config::{AgentConfig, HttpSmsConfig, RbmAgentConfig, RelayConfig, TenantConfig, TenantSmsConfig};
use rcseal_broker::{Broker, RunningBroker};
use rcseal_carrier::business::fake::rbm::FakeRbm;
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::vault::{SoftwareKeyVault, Unlock};
use rcseal_client::{Client, ClientError, Config};
use rcseal_engine::account::NewAccount;
use rcseal_engine::case::CaseView;
use rcseal_engine::message::{MessageState, MessageView};
use rcseal_server::{RunningServer, Server, Submitted, Watcher};
use rcseal_sim::story;
use rcseal_wire::content::CaseId;
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::{AccountId, ConversationId, Custody, MessageId, Platform};
use rcseal_wire::origin::Origin;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::network::{CALLBACK_SECRET, FakeSmsNetwork};
use super::tenant::{AGENT, BrokerHttp, TENANT_KEY_HASH};
use crate::demo::carrier::scene::{LIMIT, PAGE, until};
use crate::demo::stage::{StepError, ensure};
use crate::error::CliError;

/// In whose name the business's SMS leave. Numbers of this range are reserved for stories.
pub(super) const BUSINESS_NUMBER: &str = "+14155550120";
/// The customer's.
pub(super) const CUSTOMER_NUMBER: &str = "+14155550121";
/// What the fake provider knows the agent and the broker by.
const AGENT_ID: &str = "support-desk-agent";
const ACCESS_TOKEN: &str = "demo-access-token";
const CLIENT_TOKEN: &str = "demo-client-token";

/// An error of a part that does not start.
fn not_started(what: &str, error: &(dyn std::error::Error + 'static)) -> StepError {
    StepError::NotShown { what: format!("{what} that starts: {}", story::with_causes(error)) }
}

/// A client that runs until it is told to stop.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), ClientError>>);

/// A client of the library, with an account and a store of its own.
pub(super) struct App {
    pub(super) client: Client,
    pub(super) account: AccountId,
    running: Option<Running>,
}

impl App {
    /// A new account at the relay, online.
    pub(super) async fn new(
        name: &str,
        scene_folder: &Path,
        trust: &TrustAnchors,
        relay: &Origin,
    ) -> Result<Self, StepError> {
        let folder = scene_folder.join(name.to_lowercase());
        let vault = SoftwareKeyVault::new(&folder.join("vault"), Unlock::KeyFile).map_err(CliError::from)?;
        let config = Config::new(folder.join("store"), trust.clone(), Timeouts::default());
        let client = Client::open(config, Arc::new(vault)).await?;
        let (origin, display_name) = (relay.clone(), name.to_owned());
        let new = NewAccount { origin, platform: Platform::Ios, custody: Custody::User, display_name };
        let account = client.create_account(new).await?.account;
        client.register(None).await?;
        let mut app = Self { client, account, running: None };
        app.open();
        Ok(app)
    }

    /// The user opens the app.
    pub(super) fn open(&mut self) {
        let (stop, stopped) = oneshot::channel::<()>();
        let runner = self.client.clone();
        let task = tokio::spawn(async move { runner.run(async { drop(stopped.await) }).await });
        self.running = Some((stop, task));
    }

    /// The user closes the app, or the story ends.
    pub(super) async fn close(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            let _ = stop.send(());
            // Whatever it ended with: nothing runs any more.
            let _ = task.await;
        }
    }

    /// The texts of a conversation, the oldest first.
    pub(super) async fn texts(&self, conversation: ConversationId) -> Result<Vec<(MessageView, String)>, StepError> {
        let mut texts = story::texts(&self.client, conversation, PAGE).await?;
        texts.reverse();
        Ok(texts)
    }

    /// Waits for a text; answers whether it came end to end.
    pub(super) async fn wait_for_text(&self, conversation: ConversationId, text: &str) -> Result<(), StepError> {
        let find = || async {
            let texts = self.texts(conversation).await?;
            Ok::<_, StepError>(texts.into_iter().find(|(_, known)| known == text))
        };
        ensure(until(LIMIT, || async { Ok(find().await?.is_some()) }).await?, "a text that arrives in the app")?;
        let is_end_to_end = find().await?.is_some_and(|(message, _)| message.encryption.is_end_to_end());
        ensure(is_end_to_end, "a text that came end to end")
    }

    /// Says something, and waits until the other side's device has it.
    pub(super) async fn say(&self, conversation: ConversationId, text: &str) -> Result<MessageId, StepError> {
        let id = self.client.send_text(conversation, text.to_owned()).await?;
        let is_delivered = until(LIMIT, || async { self.is_delivered(conversation, id).await });
        ensure(is_delivered.await?, "a receipt of the other side's device")?;
        Ok(id)
    }

    /// Whether the other side's device has confirmed a message of this one's.
    pub(super) async fn is_delivered(&self, conversation: ConversationId, id: MessageId) -> Result<bool, StepError> {
        let message = self.client.message(conversation, self.account, id).await?;
        Ok(message.is_some_and(|message| matches!(message.state, MessageState::Delivered | MessageState::Read)))
    }

    /// A case of a conversation as this side sees it.
    pub(super) async fn case(&self, conversation: ConversationId, case: CaseId) -> Result<Option<CaseView>, StepError> {
        let cases = self.client.cases_of(conversation).await?;
        Ok(cases.into_iter().find(|view| view.case == case))
    }

    /// Waits until a case of a conversation is as it should be, on this side.
    pub(super) async fn wait_for_case(
        &self,
        conversation: ConversationId,
        case: CaseId,
        holds: impl Fn(&CaseView) -> bool,
        what: &str,
    ) -> Result<CaseView, StepError> {
        let look = || async { Ok(self.case(conversation, case).await?.is_some_and(|view| holds(&view))) };
        ensure(until(LIMIT, look).await?, what)?;
        self.case(conversation, case).await?.ok_or_else(|| StepError::NotShown { what: what.to_owned() })
    }
}

/// What the broker put into mailboxes.
#[derive(Debug, Default)]
pub(super) struct Forwarded(AtomicUsize);

impl Watcher for Forwarded {
    fn submitted(&self, submitted: Submitted<'_>) {
        if matches!(Envelope::parse(submitted.envelope), Ok(Envelope::Forwarded { .. })) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Everything on the stage.
pub(super) struct Scene {
    relay: RunningServer,
    relay_folder: TempDir,
    broker: RunningBroker,
    broker_folder: TempDir,
    forwarded: Arc<Forwarded>,
    trust: TrustAnchors,
    /// Requests to the broker.
    pub(super) http: BrokerHttp,
    /// The fake provider.
    pub(super) provider: FakeRbm,
    /// The fake SMS network.
    pub(super) network: FakeSmsNetwork,
    /// The business's client.
    pub(super) business: App,
    /// The customer's app.
    pub(super) customer: App,
    folder: TempDir,
}

impl Scene {
    pub(super) async fn new() -> Result<Self, StepError> {
        let relay_folder = tempfile::Builder::new().prefix("rcseal-demo-relay-").tempdir()?;
        rcseal_server::init::write_development_identity(relay_folder.path()).map_err(CliError::from)?;
        let forwarded = Arc::new(Forwarded::default());
        let config = rcseal_server::Config::development(relay_folder.path());
        let relay = Server::start_watched(config, Arc::clone(&forwarded) as _).await.map_err(CliError::from)?;
        let relay_pem = std::fs::read_to_string(relay_folder.path().join(rcseal_server::init::AUTHORITY_FILE))?;

        let provider = FakeRbm::start(AGENT_ID, ACCESS_TOKEN, CLIENT_TOKEN).await?;
        let network = FakeSmsNetwork::start().await?;
        let broker_folder = tempfile::Builder::new().prefix("rcseal-demo-broker-").tempdir()?;
        let config = broker_config(broker_folder.path(), &relay, &relay_pem, &provider, &network)?;
        let broker = Broker::start(config).await.map_err(|error| not_started("a broker", &error))?;
        let broker_pem = broker.ca_pem().unwrap_or_default().to_owned();

        let trust = TrustAnchors::from_pem(format!("{relay_pem}\n{broker_pem}").as_bytes()).map_err(CliError::from)?;
        let http = BrokerHttp::new(broker.origin().clone(), broker.addr(), &trust);
        let folder = tempfile::Builder::new().prefix("rcseal-demo-apps-").tempdir()?;
        let (business, customer) = tokio::join!(
            App::new("Support", folder.path(), &trust, relay.origin()),
            App::new("Alice", folder.path(), &trust, relay.origin())
        );
        let (business, customer) = (business?, customer?);
        Ok(Self {
            relay,
            relay_folder,
            broker,
            broker_folder,
            forwarded,
            trust,
            http,
            provider,
            network,
            business,
            customer,
            folder,
        })
    }

    /// Somebody else with the app.
    pub(super) async fn stranger(&self) -> Result<App, StepError> {
        App::new("Mallory", self.folder.path(), &self.trust, self.relay.origin()).await
    }

    /// Where the relay is reached.
    pub(super) fn relay_origin(&self) -> &Origin {
        self.relay.origin()
    }

    /// Where the broker is reached.
    pub(super) fn broker_origin(&self) -> &Origin {
        self.broker.origin()
    }

    /// How often the broker has put something into a mailbox, sealed to its device.
    pub(super) fn forwarded(&self) -> usize {
        self.forwarded.0.load(Ordering::SeqCst)
    }

    /// Hands over everything that the provider has to report, as often as it says it. Each must be taken.
    pub(super) async fn report(&self) -> Result<usize, StepError> {
        let posted = self.provider.take_webhooks();
        for one in &posted {
            let status = self.http.webhook(one).await?;
            ensure(status == 200, format!("a webhook that the broker takes, but it said {status}"))?;
        }
        Ok(posted.len())
    }

    /// Ends it all; answers what is left of the relay and of the broker, on disk until that is dropped.
    pub(super) async fn end(self) -> (TempDir, TempDir) {
        let Self { relay, relay_folder, broker, broker_folder, mut business, mut customer, .. } = self;
        customer.close().await;
        business.close().await;
        broker.shutdown().await;
        relay.shutdown().await;
        (relay_folder, broker_folder)
    }
}

/// A port on loopback that nobody has right now: call-backs name it before the broker listens.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

fn broker_config(
    folder: &Path,
    relay: &RunningServer,
    relay_pem: &str,
    provider: &FakeRbm,
    network: &FakeSmsNetwork,
) -> Result<rcseal_broker::Config, StepError> {
    rcseal_broker::init::write_development_identity(folder).map_err(|error| not_started("a broker", &error))?;
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, format!("{text}\n")).map(|()| path)
    };
    let mut config = rcseal_broker::Config::development(folder);
    config.server.listen = free_address()?;
    config.relays = vec![RelayConfig { origin: relay.origin().clone(), authority: file("relay.pem", relay_pem)? }];
    // The numbers of stories are no mobile numbers by the numbering plan.
    let served = "+1".parse().map_err(|_| StepError::NotShown { what: "the beginning of a number".to_owned() })?;
    config.numbers.served_of_any_kind = vec![served];
    config.lookups.answer_millis = 0;
    config.sms.sender = Some(BUSINESS_NUMBER.to_owned());
    config.sms.http = Some(HttpSmsConfig {
        url: network.url(),
        user: "demo".to_owned(),
        password: file("sms-password", "demo")?,
        authority: None,
        callback_secret: file("sms-callback", CALLBACK_SECRET)?,
        callback_origin: Some(format!("https://localhost:{}", config.server.listen.port())),
        signing_key: None,
    });
    config.business.tenants = vec![TenantConfig {
        name: "business".to_owned(),
        key_hashes: vec![TENANT_KEY_HASH.to_owned()],
        requests_per_minute: 6_000,
        sms: TenantSmsConfig::default(),
    }];
    config.business.agents = vec![AgentConfig {
        name: AGENT.to_owned(),
        tenant: "business".to_owned(),
        rbm: Some(RbmAgentConfig {
            agent_id: AGENT_ID.to_owned(),
            endpoint: Some(provider.url()),
            authority: None,
            token: file("provider-token", ACCESS_TOKEN)?,
            client_token: file("provider-client-token", CLIENT_TOKEN)?,
        }),
        sinch: None,
    }];
    Ok(config)
}
