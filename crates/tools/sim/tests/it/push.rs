//! Woken, whole: a real relay that makes wake-ups, a client that takes in what they are about, and a process of its own that does it within
//! the memory that phones allow.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rcseal_client::client::{Client, ClientError, PushError, PushKind, PushOutcome, PushProvider};
use rcseal_server::clock::SystemClock;
use rcseal_server::{PushSink, PushSinkError, PushTarget, RunningServer, Server};
use rcseal_wire::id::ConversationId;

use crate::phones::{config, phone, trust, vault};

const LIMIT: Duration = Duration::from_secs(60);
/// What iOS leaves an extension is some 24 MB; this is what we may use of it.
const PEAK_KIB_MAX: u64 = 20 * 1024;

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

#[async_trait]
impl PushSink for Recorder {
    async fn wake(&self, target: PushTarget) -> Result<(), PushSinkError> {
        self.0.lock().unwrap().push(target.wake_up.to_text());
        Ok(())
    }
}

/// A relay, Ada who writes, and Bob who is woken.
struct Scene {
    folder: tempfile::TempDir,
    server: RunningServer,
    woken: Arc<Recorder>,
    ada: Client,
    conversation: ConversationId,
}

impl Scene {
    /// Both have written to each other.
    async fn set() -> (Self, Client) {
        let folder = tempfile::tempdir().unwrap();
        rcseal_server::init::write_development_identity(folder.path()).unwrap();
        let mut settings = rcseal_server::Config::development(folder.path());
        settings.push.interval_seconds = 0;
        settings.push.jitter_millis = 0;
        let woken = Arc::new(Recorder::default());
        let server = Server::start_waking(settings, Arc::new(SystemClock), woken.clone()).await.unwrap();
        let (ada, bob) = (
            phone(&server, trust(&server), folder.path(), "ada").await,
            phone(&server, trust(&server), folder.path(), "bob").await,
        );
        let contact = ada.add_contact(bob.invite().await.unwrap(), "Bob".to_owned()).await.unwrap();
        let conversation = ada.direct_conversation(contact).await.unwrap();
        ada.send_text(conversation, "hello".to_owned()).await.unwrap();
        for client in [&ada, &bob, &ada, &bob] {
            client.sync_once().await.unwrap();
        }
        bob.send_text(bob.conversations().await.unwrap()[0].id, "hello yourself".to_owned()).await.unwrap();
        for client in [&bob, &ada, &bob] {
            client.sync_once().await.unwrap();
        }
        (Self { folder, server, woken, ada, conversation }, bob)
    }

    async fn write(&self, count: usize) {
        for n in 0..count {
            self.ada.send_text(self.conversation, format!("message {n} of {count}")).await.unwrap();
        }
        self.ada.sync_once().await.unwrap();
    }

    /// The newest wake-up.
    async fn wake_up(&self) -> String {
        let looking = async {
            loop {
                self.server.wake_due().await.unwrap();
                if let Some(payload) = std::mem::take(&mut *self.woken.0.lock().unwrap()).pop() {
                    return payload;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, looking).await.expect("a wake-up")
    }

    async fn bob(&self) -> Client {
        Client::open(config(trust(&self.server), self.folder.path(), "bob"), vault(self.folder.path(), "bob"))
            .await
            .unwrap()
    }

    /// The process that a push message wakes.
    fn child(&self, deadline_millis: u64, payload: &str) -> Command {
        let authority = self.folder.path().join("authority.pem");
        std::fs::write(&authority, self.server.ca_pem().unwrap()).unwrap();
        let mut command = Command::new(example());
        command
            .args([self.folder.path().join("bob"), self.folder.path().join("bob-vault"), authority])
            .args([&deadline_millis.to_string(), payload])
            .stdout(Stdio::piped());
        command
    }
}

/// Where cargo puts the example that it builds with these tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples/push_child")
}

async fn register(bob: &Client, token: &[u8]) {
    bob.register_push_token(PushProvider::Apns, token.to_vec(), "org.example.app".to_owned()).await.unwrap();
}

/// Bob's messages of Ada's, whose words begin so.
async fn received(bob: &Client) -> usize {
    let conversation = bob.conversations().await.unwrap()[0].id;
    let messages = bob.messages(conversation, None, 10_000).await.unwrap();
    messages.iter().filter(|message| !message.is_outgoing).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_leads_to_messages_and_to_words_that_say_nothing() {
    let (scene, bob) = Scene::set().await;
    register(&bob, b"token").await;
    scene.write(3).await;
    let payload = scene.wake_up().await;
    let outcome = bob.process_push(payload.as_bytes(), LIMIT).await.unwrap();
    assert!(outcome.is_complete, "{outcome:?}");
    // The first message of the scene is told too: the app has not forgotten it.
    let [notification] = &outcome.notifications[..] else { panic!("{outcome:?}") };
    assert_eq!(
        (notification.kind, notification.count, notification.words),
        (PushKind::Message, 4, "notification.messages")
    );
    assert_eq!(received(&bob).await, 4);
    // What was told is not told again, and a wake-up that comes twice does nothing.
    let again = bob.process_push(payload.as_bytes(), LIMIT).await.unwrap();
    assert_eq!((again.notifications, again.received, again.is_complete), (Vec::new(), 0, true));
    assert!(!bob.push_state().await.unwrap().is_work_left);
    scene.ada.sync_once().await.unwrap();
    let newest = scene.ada.messages(scene.conversation, None, 1).await.unwrap().remove(0);
    assert_eq!(newest.state, rcseal_engine::message::MessageState::Delivered, "the receipt went out with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wake_ups_of_others_and_of_before_are_named_and_fetch_nothing() {
    let (scene, bob) = Scene::set().await;
    let refused = |payload: String| {
        let bob = bob.clone();
        async move {
            match bob.process_push(payload.as_bytes(), LIMIT).await.unwrap_err() {
                ClientError::Push(error) => error.code(),
                other => panic!("{other:?}"),
            }
        }
    };
    let foreign = r#"{"v":1,"t":"AAAAAAAAAAAAAAAAAAAAAA","n":"0000000000000001"}"#.to_owned();
    assert_eq!(refused(foreign.clone()).await, "push_not_registered");
    register(&bob, b"token").await;
    assert_eq!(refused(foreign).await, "push_handle_foreign");
    assert_eq!(refused("{}".to_owned()).await, "push_malformed");
    assert_eq!(refused(r#"{"v":9}"#.to_owned()).await, "push_version");
    scene.write(1).await;
    let old = scene.wake_up().await;
    register(&bob, b"token").await;
    assert_eq!(refused(old).await, "push_handle_old");
    assert_eq!(received(&bob).await, 1, "nothing was fetched");
    bob.unregister_push_token().await.unwrap();
    let empty = bob.register_push_token(PushProvider::Fcm, Vec::new(), "app".to_owned()).await.unwrap_err();
    assert!(matches!(empty, ClientError::Push(PushError::Token)), "{empty:?}");
    assert_eq!(bob.push_state().await.unwrap().provider, None);
}

fn told(outcome: &PushOutcome) -> u32 {
    outcome.notifications.iter().map(|notification| notification.count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_deadline_or_the_network_leaves_the_next_run_finishes() {
    let (scene, bob) = Scene::set().await;
    register(&bob, b"token").await;
    scene.write(5).await;
    let payload = scene.wake_up().await;
    let outcome = bob.process_push(payload.as_bytes(), Duration::ZERO).await.unwrap();
    assert_eq!((outcome.received, outcome.is_complete), (0, false));
    let mut before = told(&outcome);
    let outcome = bob.process_push(payload.as_bytes(), Duration::from_millis(1)).await.unwrap();
    assert!(!outcome.is_complete, "{outcome:?}");
    before += told(&outcome);
    drop(bob);
    let bob = scene.bob().await;
    bob.sync_once().await.unwrap();
    assert_eq!((received(&bob).await, bob.push_state().await.unwrap().is_work_left), (6, false));
    // A relay that is away is no error: there is something to say, and something to do later.
    scene.server.shutdown().await;
    let outcome = bob.process_push(payload.as_bytes(), LIMIT).await.unwrap();
    assert!(!outcome.is_complete);
    assert!(bob.push_state().await.unwrap().is_work_left);
    // What came in without a wake-up is told with the next. Whether the scene's first message was told before is the deadline's matter.
    assert!(before <= 1, "{before}");
    let now = told(&outcome);
    assert!((5..=6 - before).contains(&now), "{now} after {before}");
    let outcome = bob.process_push(payload.as_bytes(), LIMIT).await.unwrap();
    assert_eq!((outcome.notifications.len(), outcome.pending_words), (0, Some("notification.pending")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_point_loses_and_doubles_nothing() {
    let (scene, bob) = Scene::set().await;
    register(&bob, b"token").await;
    drop(bob);
    let mut expected = 1;
    for millis in [1, 10, 25, 50, 75, 100, 150, 200, 300] {
        scene.write(10).await;
        expected += 10;
        let payload = scene.wake_up().await;
        let mut child = scene.child(60_000, &payload).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let bob = scene.bob().await;
    bob.sync_once().await.unwrap();
    assert_eq!(received(&bob).await, expected);
    assert!(bob.quarantined().await.unwrap().is_empty(), "nothing was decrypted twice");
    assert!(!bob.push_state().await.unwrap().is_work_left);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_process_stays_within_the_memory_that_phones_allow() {
    let (scene, bob) = Scene::set().await;
    register(&bob, b"token").await;
    // A store that has seen use: two thousand messages.
    for _ in 0..10 {
        scene.write(200).await;
        bob.sync_once().await.unwrap();
    }
    let told = bob.process_push(scene_payload(&scene).await.as_bytes(), LIMIT).await.unwrap();
    assert!(told.is_complete);
    assert_eq!(received(&bob).await, 2_001);
    scene.woken.0.lock().unwrap().clear();
    drop(bob);
    scene.write(50).await;
    let payload = scene.wake_up().await;
    let output = scene.child(30_000, &payload).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(&words[..3], ["50", "50", "true"], "received, told, complete");
    let peak: u64 = words[3].parse().unwrap();
    assert!(peak <= PEAK_KIB_MAX, "{peak} KiB");
    assert_eq!(received(&scene.bob().await).await, 2_051);
}

/// A wake-up of the current registration, made for one more message.
#[cfg(target_os = "linux")]
async fn scene_payload(scene: &Scene) -> String {
    scene.server.wake_due().await.unwrap();
    let known = scene.woken.0.lock().unwrap().last().cloned();
    match known {
        Some(payload) => payload,
        None => scene.wake_up().await,
    }
}
