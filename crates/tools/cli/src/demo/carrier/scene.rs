//! The scene of a demo over a carrier: a relay, a carrier, and two phones that have a number each.
//!
//! Everything is in this process: the phones are clients of the library with stores of their own, the carrier is a simulated one, and the
//! relay is the one that `rcseald` runs, reached over TLS on loopback. What the relay is handed is shown to whoever asks
//! ([`Scene::submissions`]), as its operator could see it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rcseal_carrier::host::HostStack;
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::vault::{SoftwareKeyVault, Unlock};
use rcseal_client::{Client, ClientError, Config};
use rcseal_engine::account::NewAccount;
use rcseal_engine::message::MessageView;
use rcseal_engine::policy::{DeliveryMode, RoutePreference, Subject};
use rcseal_rcs::number::PhoneNumber;
use rcseal_server::{RunningServer, Server, Submitted, Watcher, init};
use rcseal_sim::carrier::SimCarrier;
use rcseal_sim::data::CarrierProfile;
use rcseal_sim::story;
use rcseal_wire::id::{AccountId, ConversationId, Custody, MailboxId, Platform};
use rcseal_wire::origin::Origin;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::demo::stage::{StepError, ensure};
use crate::error::CliError;

/// Numbers that are reserved for stories.
pub(crate) const ALICE_NUMBER: &str = "+14155550101";
const BOB_NUMBER: &str = "+14155550102";
/// A phone with standard messaging only.
pub(crate) const CAROL_NUMBER: &str = "+14155550103";

/// How long something may take that has to happen: many times what it takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Messages read at once: more than a demo has.
pub(crate) const PAGE: usize = 200;
/// Submissions that are remembered: more than anybody looks at.
const SUBMISSIONS_MAX: usize = 2_000;

/// What the relay was handed.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    /// The mailbox that it is for.
    pub(crate) mailbox: MailboxId,
    /// From which network address.
    pub(crate) peer: std::net::IpAddr,
    /// Its bytes.
    pub(crate) envelope: Vec<u8>,
}

/// What the relay was handed so far, the first [`SUBMISSIONS_MAX`] of it.
#[derive(Debug, Default)]
struct Submissions(Mutex<Vec<Arc<Submission>>>);

impl Submissions {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Submission>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Submissions {
    fn submitted(&self, submitted: Submitted<'_>) {
        let Submitted { peer, mailbox, envelope, .. } = submitted;
        let mut known = self.lock();
        if known.len() < SUBMISSIONS_MAX {
            known.push(Arc::new(Submission { mailbox, peer, envelope: envelope.to_vec() }));
        }
    }
}

/// A client that runs until it is told to stop.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), ClientError>>);

/// A phone with a client of ours.
pub(crate) struct Phone {
    /// What the story calls its owner.
    pub(crate) name: &'static str,
    /// Its number.
    pub(crate) number: PhoneNumber,
    /// Its client.
    pub(crate) client: Client,
    /// Its account.
    pub(crate) account: AccountId,
    /// Kept, because a carrier does not keep its members' stacks.
    stack: Option<Arc<HostStack>>,
    running: Option<Running>,
}

impl Phone {
    async fn new(name: &'static str, number: &str, folder: &Path, relay: &Relay) -> Result<Self, StepError> {
        let folder = folder.join(name.to_lowercase());
        let vault = SoftwareKeyVault::new(&folder.join("vault"), Unlock::KeyFile).map_err(CliError::from)?;
        let trust = TrustAnchors::from_pem(relay.authority.as_bytes()).map_err(CliError::from)?;
        let config = Config::new(folder.join("store"), trust, Timeouts::default());
        let client = Client::open(config, Arc::new(vault)).await?;
        let origin = relay.origin.clone();
        let display_name = name.to_owned();
        let new = NewAccount { origin, platform: Platform::Android, custody: Custody::User, display_name };
        let account = client.create_account(new).await?.account;
        client.register(None).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runner = client.clone();
        let task = tokio::spawn(async move { runner.run(async { drop(stopped.await) }).await });
        Ok(Self { name, number: phone_number(number)?, client, account, stack: None, running: Some((stop, task)) })
    }

    async fn join(&mut self, carrier: &Arc<SimCarrier>) -> Result<(), StepError> {
        self.stack = Some(carrier.lend(&self.number, &self.client).await?);
        Ok(())
    }

    /// The texts of a conversation, the oldest first.
    pub(crate) async fn texts(&self, conversation: ConversationId) -> Result<Vec<(MessageView, String)>, StepError> {
        let mut texts = story::texts(&self.client, conversation, PAGE).await?;
        texts.reverse();
        Ok(texts)
    }

    async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            let _ = stop.send(());
            // Whatever it ended with: the demo is over.
            let _ = task.await;
        }
    }
}

struct Relay {
    server: RunningServer,
    origin: Origin,
    authority: String,
    submissions: Arc<Submissions>,
    folder: TempDir,
}

impl Relay {
    async fn start() -> Result<Self, StepError> {
        let folder = tempfile::Builder::new().prefix("rcseal-demo-relay-").tempdir()?;
        init::write_development_identity(folder.path()).map_err(CliError::from)?;
        let submissions = Arc::new(Submissions::default());
        let config = rcseal_server::Config::development(folder.path());
        let server = Server::start_watched(config, Arc::clone(&submissions) as _).await.map_err(CliError::from)?;
        let authority = std::fs::read_to_string(folder.path().join(init::AUTHORITY_FILE))?;
        Ok(Self { origin: server.origin().clone(), server, authority, submissions, folder })
    }
}

/// Everything on the stage.
pub(crate) struct Scene {
    relay: Relay,
    /// The carrier of now.
    pub(crate) carrier: Arc<SimCarrier>,
    /// One phone.
    pub(crate) alice: Phone,
    /// The other one.
    pub(crate) bob: Phone,
    /// Theirs.
    pub(crate) conversation: ConversationId,
    // The phones' stores go last.
    _folder: TempDir,
}

impl Scene {
    /// Starts the relay, and two phones on a carrier that know nothing of each other. Then Bob invites Alice, she writes, he answers, and
    /// each is given the other's number and prefers the carrier.
    pub(crate) async fn new(profile: CarrierProfile, seed: u64) -> Result<Self, StepError> {
        let folder = tempfile::Builder::new().prefix("rcseal-demo-phones-").tempdir()?;
        let relay = Relay::start().await?;
        let carrier = SimCarrier::new(profile, seed);
        let (alice, bob) = tokio::join!(
            Phone::new("Alice", ALICE_NUMBER, folder.path(), &relay),
            Phone::new("Bob", BOB_NUMBER, folder.path(), &relay)
        );
        let (mut alice, mut bob) = (alice?, bob?);
        alice.join(&carrier).await?;
        bob.join(&carrier).await?;
        alice.client.add_contact(bob.client.invite().await?, "Bob".to_owned()).await?;
        let conversation = alice.client.direct_conversation(bob.account).await?;
        Ok(Self { relay, carrier, alice, bob, conversation, _folder: folder })
    }

    /// A first message and its answer, over the relay; then both prefer the carrier, and wait until each knows that the other is on it.
    pub(crate) async fn meet(&self, first: &str, answer: &str) -> Result<(), StepError> {
        self.alice.client.send_text(self.conversation, first.to_owned()).await?;
        self.wait_for_text(&self.bob, first).await?;
        for (of, to) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            of.client.set_contact_number(to.account, Some(to.number.clone())).await?;
        }
        self.bob.client.send_text(self.conversation, answer.to_owned()).await?;
        self.wait_for_text(&self.alice, answer).await?;
        for phone in [&self.alice, &self.bob] {
            phone.client.set_route_preference(None, Some(RoutePreference::Native)).await?;
        }
        Ok(())
    }

    /// Whether both would go by the carrier if it let them.
    pub(crate) async fn is_native(&self) -> Result<bool, StepError> {
        for phone in [&self.alice, &self.bob] {
            let explained = phone.client.explain(Subject::Conversation(self.conversation)).await?;
            if !explained.inputs.ways.has(DeliveryMode::Native) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn wait_for_text(&self, phone: &Phone, text: &str) -> Result<(), StepError> {
        let arrived =
            until(LIMIT, || async { Ok(phone.texts(self.conversation).await?.iter().any(|(_, known)| known == text)) });
        ensure(arrived.await?, format!("a message that reaches {}", phone.name))
    }

    /// Both phones go to another carrier.
    pub(crate) async fn change_carrier(&mut self, profile: CarrierProfile, seed: u64) -> Result<(), StepError> {
        let carrier = SimCarrier::new(profile, seed);
        self.alice.join(&carrier).await?;
        self.bob.join(&carrier).await?;
        self.carrier = carrier;
        Ok(())
    }

    /// What the relay was handed, from the given one on.
    pub(crate) fn submissions(&self, from: usize) -> Vec<Arc<Submission>> {
        self.relay.submissions.lock().get(from..).unwrap_or_default().to_vec()
    }

    /// Where the relay is reached.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.relay.origin
    }

    /// Ends it all; answers what is left of the relay, on disk until that is dropped.
    pub(crate) async fn end(self) -> TempDir {
        let Self { relay, mut alice, mut bob, .. } = self;
        alice.stop().await;
        bob.stop().await;
        let Relay { server, folder, .. } = relay;
        server.shutdown().await;
        folder
    }
}

/// Looks until it holds; answers whether it did within the limit.
pub(crate) async fn until<R>(limit: Duration, mut look: impl FnMut() -> R) -> Result<bool, StepError>
where
    R: Future<Output = Result<bool, StepError>>,
{
    let ends_at = Instant::now() + limit;
    loop {
        if look().await? {
            return Ok(true);
        }
        if Instant::now() >= ends_at {
            return Ok(false);
        }
        sleep(PAUSE).await;
    }
}

/// A number out of a text of this program's.
pub(crate) fn phone_number(text: &str) -> Result<PhoneNumber, StepError> {
    text.parse().map_err(|_| StepError::NotShown { what: "a phone number".to_owned() })
}
