//! Clients of the library that stay connected, as an app's do, to a server in this process: what sessions do by themselves while people
//! talk, and that they do nothing where nobody does.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcseal_client::client::{Client, Config};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::vault::{SoftwareKeyVault, Unlock};
use rcseal_engine::account::NewAccount;
use rcseal_engine::event::Event;
use rcseal_engine::overview::SessionView;
use rcseal_engine::rekey::RekeyInterval;
use rcseal_server::{RunningServer, Server, init};
use rcseal_wire::id::{AccountId, ConversationId, Custody, Platform};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::support::SOON;

/// The shortest interval after which a conversation is turned.
const MINUTE: Duration = Duration::from_secs(60);
/// Texts of each side after which a session must have begun its second post-quantum key epoch, several times what it takes.
const TEXTS_MAX: usize = 500;

/// A server, and room for clients.
struct Place {
    folder: TempDir,
    server: RunningServer,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("rcseal-live-").tempdir().unwrap();
        let relay = folder.path().join("relay");
        init::write_development_identity(&relay).unwrap();
        let server = Server::start(rcseal_server::Config::development(&relay)).await.unwrap();
        Self { folder, server }
    }

    /// A client with an account, connected.
    async fn client(&self, name: &str) -> Live {
        let authority = std::fs::read(self.folder.path().join("relay").join(init::AUTHORITY_FILE)).unwrap();
        let folder = self.folder.path().join(name);
        let config =
            Config::new(folder.join("store"), TrustAnchors::from_pem(&authority).unwrap(), Timeouts::default());
        let vault = SoftwareKeyVault::new(&folder.join("vault"), Unlock::KeyFile).unwrap();
        let client = Client::open(config, Arc::new(vault)).await.unwrap();
        let new = NewAccount {
            origin: self.server.origin().clone(),
            platform: Platform::Desktop,
            custody: Custody::User,
            display_name: name.to_owned(),
        };
        let account = client.create_account(new).await.unwrap().account;
        client.register(None).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = client.clone();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            running.run(stopped).await.unwrap();
        });
        Live { client, account, stop, serving }
    }

    /// Stops clients and the server in order.
    async fn end<const N: usize>(self, clients: [Live; N]) {
        for live in clients {
            let _ = live.stop.send(());
            live.serving.await.unwrap();
        }
        self.server.shutdown().await;
    }
}

/// A client that is connected until the test ends.
struct Live {
    client: Client,
    account: AccountId,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Live {
    /// Takes in what `other` gives it to be found by; answers their conversation, which is the same on both sides.
    async fn meet(&self, other: &Live) -> ConversationId {
        let invitation = other.client.invite().await.unwrap();
        self.client.add_contact(invitation, "other".to_owned()).await.unwrap();
        self.client.direct_conversation(other.account).await.unwrap()
    }

    /// Sends a text, and waits until `to` has it.
    async fn say(&self, conversation: ConversationId, to: &Live, text: &str) {
        let id = self.client.send_text(conversation, text.to_owned()).await.unwrap();
        let mut events = to.client.events();
        let arrives = async {
            loop {
                let event = events.next().await.unwrap();
                if let Event::MessageReceived { message, .. } = event.event
                    && message == id
                {
                    return event.number;
                }
            }
        };
        let number = tokio::time::timeout(SOON, arrives).await.expect("a text arrives soon");
        to.client.forget_events(number).await.unwrap();
    }

    /// The session in use with a contact's only device.
    async fn session(&self, contact: &Live) -> SessionView {
        let devices = self.client.sessions(contact.account).await.unwrap();
        *devices[0].sessions.iter().find(|session| session.is_active).unwrap()
    }
}

/// Looks again and again until something holds.
async fn until<F: Future<Output = bool>>(what: &str, limit: Duration, holds: impl Fn() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < limit, "{what} did not come to be within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes a minute of the clock, because that is the shortest interval there is; nothing is asked for by hand.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_turn_by_the_clock_where_people_talk_and_rest_where_nobody_does() {
    let place = Place::new().await;
    let (alice, bob, carol) = (place.client("alice").await, place.client("bob").await, place.client("carol").await);
    let (with_bob, with_carol) = (alice.meet(&bob).await, alice.meet(&carol).await);
    for (conversation, other) in [(with_bob, &bob), (with_carol, &carol)] {
        // Nothing becomes due from the words that make the session.
        alice.client.set_rekey_interval(conversation, None).await.unwrap();
        alice.say(conversation, other, "hello").await;
        other.client.set_rekey_interval(conversation, None).await.unwrap();
        other.say(conversation, &alice, "hello to you").await;
        alice.client.set_rekey_interval(conversation, RekeyInterval::from_minutes(1)).await.unwrap();
    }
    // From here on one side writes, once: by itself the ratchet would not turn again.
    alice.say(with_bob, &bob, "are you there?").await;
    until("every receipt is here", SOON, || async {
        alice.session(&bob).await.received >= 3 && alice.session(&carol).await.received >= 2
    })
    .await;
    let carol_at_rest = alice.session(&carol).await;
    let (before, before_at_bob) = (alice.session(&bob).await, bob.session(&alice).await);
    until("the session turned", MINUTE + SOON, || async {
        alice.session(&bob).await.turned_at.0 > before.turned_at.0
            && bob.session(&alice).await.received > before_at_bob.received
    })
    .await;
    let shown = alice.client.messages(with_bob, None, 10).await.unwrap();
    assert_eq!(shown.len(), 3, "nobody is shown anything of it");
    let idle = alice.session(&carol).await;
    assert_eq!((idle.turned_at, idle.sent), (carol_at_rest.turned_at, carol_at_rest.sent));
    place.end([alice, bob, carol]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rekey_on_demand_turns_both_directions_of_a_live_session() {
    let place = Place::new().await;
    let (alice, bob) = (place.client("alice").await, place.client("bob").await);
    let conversation = alice.meet(&bob).await;
    alice.say(conversation, &bob, "hello").await;
    bob.say(conversation, &alice, "hello to you").await;
    alice.say(conversation, &bob, "how are you?").await;
    let before = (alice.session(&bob).await.turned_at.0, bob.session(&alice).await.turned_at.0);
    assert_eq!(alice.client.rekey_now(conversation).await.unwrap(), 1);
    until("Bob has answered", SOON, || async { alice.session(&bob).await.turned_at.0 > before.0 }).await;
    alice.say(conversation, &bob, "under a new key").await;
    assert!(bob.session(&alice).await.turned_at.0 > before.1);
    place.end([alice, bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_chat_goes_through_post_quantum_key_epochs_in_one_session() {
    let place = Place::new().await;
    let (alice, bob) = (place.client("alice").await, place.client("bob").await);
    let conversation = alice.meet(&bob).await;
    let mut texts = 0;
    loop {
        alice.say(conversation, &bob, "tick").await;
        bob.say(conversation, &alice, "tock").await;
        texts += 1;
        let (ours, theirs) = (alice.session(&bob).await, bob.session(&alice).await);
        assert!(ours.post_quantum_epoch.abs_diff(theirs.post_quantum_epoch) <= 1);
        if ours.post_quantum_epoch >= 2 && theirs.post_quantum_epoch >= 2 {
            break;
        }
        assert!(texts < TEXTS_MAX, "{ours:?}");
    }
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let devices = one.client.sessions(other.account).await.unwrap();
        assert_eq!(devices[0].sessions.len(), 1);
        assert_eq!(devices[0].sessions[0].failures, 0);
        let handshakes = one.client.handshakes().await.unwrap();
        assert_eq!(handshakes.begun + handshakes.accepted, 1);
    }
    place.end([alice, bob]).await;
}
