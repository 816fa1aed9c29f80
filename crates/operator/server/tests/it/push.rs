//! Waking devices: who is woken, when, how often, with what, and what nobody learns from it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rcseal_server::clock::ManualClock;
use rcseal_server::{Config, PushSink, PushSinkError, PushTarget, Server};
use rcseal_store::Store as _;
use rcseal_wire::api::Base64;
use rcseal_wire::api::push::{PUSH_PATH, PushHandle, PushProvider, PushRegister, PushRegistered, WAKE_UP_LEN, WakeUp};
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::EnvelopeId;

use crate::support::{Client, Owner, START, TestServer, Tls, submission};

/// Keeps what it is handed, and answers what it was told to.
#[derive(Default)]
struct Recorder {
    taken: Mutex<Vec<PushTarget>>,
    next: Mutex<Option<PushSinkError>>,
}

#[async_trait]
impl PushSink for Recorder {
    async fn wake(&self, target: PushTarget) -> Result<(), PushSinkError> {
        if let Some(error) = self.next.lock().unwrap().take() {
            return Err(error);
        }
        self.taken.lock().unwrap().push(target);
        Ok(())
    }
}

impl Recorder {
    fn taken(&self) -> Vec<PushTarget> {
        std::mem::take(&mut *self.taken.lock().unwrap())
    }
}

const INTERVAL_SECONDS: u64 = 20;
const JITTER_MILLIS: u64 = 1_000;

async fn start() -> (TestServer, Arc<Recorder>) {
    let folder = tempfile::tempdir().unwrap();
    rcseal_server::init::write_development_identity(folder.path()).unwrap();
    let mut config = Config::development(folder.path());
    config.push.interval_seconds = INTERVAL_SECONDS;
    config.push.jitter_millis = JITTER_MILLIS;
    start_in(folder, config, Arc::new(ManualClock::at(START))).await
}

async fn start_in(folder: tempfile::TempDir, config: Config, clock: Arc<ManualClock>) -> (TestServer, Arc<Recorder>) {
    let sink = Arc::new(Recorder::default());
    let running = Server::start_waking(config.clone(), clock.clone(), sink.clone()).await.unwrap();
    let tls = Tls::trusting(running.ca_pem().unwrap());
    (TestServer { running, clock, tls, folder, config }, sink)
}

fn registration(token: &[u8]) -> PushRegister {
    PushRegister { provider: PushProvider::Apns, token: Base64(token.to_vec()), app: "org.example.app".to_owned() }
}

async fn register(client: &mut Client, token: &[u8]) -> PushHandle {
    let reply = client.put(PUSH_PATH, &registration(token)).await.expect(200);
    reply.json::<PushRegistered>().handle
}

/// Bob's device, which is registered for wake-ups and not connected.
struct Scene {
    server: TestServer,
    sink: Arc<Recorder>,
    bob: Owner,
    client: Client,
    handle: PushHandle,
}

impl Scene {
    async fn set() -> Self {
        let (server, sink) = start().await;
        let (bob, mut client) = server.registered().await;
        let handle = register(&mut client, b"token").await;
        Self { server, sink, bob, client, handle }
    }
}

async fn write_to(server: &TestServer, owner: &Owner, n: u8) {
    let envelope = submission(owner.mailbox, &owner.delivery_token, EnvelopeId::from_bytes([n; 16]), b"sealed");
    assert_eq!(server.submitter().await.submit(vec![envelope]).await, [SubmitStatus::Stored]);
}

/// Lets a time pass that is longer than the jitter, and looks at what was made since the last look.
async fn later(server: &TestServer, sink: &Recorder) -> Vec<PushTarget> {
    server.clock.advance_seconds(JITTER_MILLIS / 1000);
    server.running.wake_due().await.unwrap();
    sink.taken()
}

#[tokio::test]
async fn a_device_that_is_away_is_woken_once_for_many_messages() {
    let Scene { server, sink, bob, handle, .. } = Scene::set().await;
    for n in 0..5 {
        write_to(&server, &bob, n).await;
    }
    let taken = later(&server, &sink).await;
    let [target] = &taken[..] else { panic!("one wake-up, not {}", taken.len()) };
    let seen = (target.provider, &target.token[..], &target.app[..]);
    assert_eq!(seen, (PushProvider::Apns, &b"token"[..], "org.example.app"));
    assert_eq!(target.wake_up, WakeUp { handle, counter: 1 });
    // What goes through the push service is this, and as long as any other.
    let text = target.wake_up.to_text();
    assert_eq!((text.len(), WakeUp::parse(text.as_bytes())), (WAKE_UP_LEN, Ok(WakeUp { handle, counter: 1 })));
    assert_eq!(later(&server, &sink).await, [], "nothing new came");
}

#[tokio::test]
async fn wake_ups_of_a_device_are_an_interval_apart_also_over_a_restart() {
    let Scene { server, sink, bob, .. } = Scene::set().await;
    write_to(&server, &bob, 1).await;
    assert_eq!(later(&server, &sink).await.len(), 1);
    write_to(&server, &bob, 2).await;
    assert_eq!(later(&server, &sink).await, [], "too soon");
    let TestServer { running, clock, folder, config, .. } = server;
    running.shutdown().await;
    let (server, sink) = start_in(folder, config, clock).await;
    assert_eq!(later(&server, &sink).await, [], "still too soon");
    assert_eq!(later(&server, &sink).await, [], "still too soon");
    server.clock.advance_seconds(INTERVAL_SECONDS);
    let woken = later(&server, &sink).await;
    assert_eq!(woken.len(), 1, "what waits is known from the mailbox");
    assert_eq!(woken[0].wake_up.counter, 2);
}

#[tokio::test]
async fn a_device_that_is_connected_or_has_fetched_everything_is_not_woken() {
    let Scene { server, sink, bob, client, .. } = Scene::set().await;
    let mut device = server.mailbox(&client).await;
    assert_eq!(device.backlog().await, []);
    write_to(&server, &bob, 1).await;
    assert_eq!(device.delivered(1).await, [EnvelopeId::from_bytes([1; 16])]);
    assert_eq!(later(&server, &sink).await, []);
    assert_eq!(device.acknowledge(&[EnvelopeId::from_bytes([1; 16])]).await, 1);
    drop(device);
    server.clock.advance_seconds(60);
    assert_eq!(later(&server, &sink).await, [], "nothing is left");
}

#[tokio::test]
async fn a_device_that_left_without_acknowledging_is_woken() {
    let Scene { server, sink, bob, client, .. } = Scene::set().await;
    let mut device = server.mailbox(&client).await;
    assert_eq!(device.backlog().await, []);
    write_to(&server, &bob, 1).await;
    device.delivered(1).await;
    drop(device);
    // The server has to notice first that the connection is gone.
    let mut woken = 0;
    for _ in 0..1_000 {
        woken += later(&server, &sink).await.len();
        if woken > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(woken, 1);
}

#[tokio::test]
async fn every_registration_has_another_handle_and_ends_with_the_next() {
    let Scene { server, sink, bob, mut client, handle: first } = Scene::set().await;
    let second = register(&mut client, b"token").await;
    assert_ne!(first, second);
    write_to(&server, &bob, 1).await;
    let woken = later(&server, &sink).await;
    assert_eq!(woken.iter().map(|target| target.wake_up.handle).collect::<Vec<_>>(), [second]);
    assert_eq!(client.delete(PUSH_PATH).await.status, 204);
    assert_eq!(client.delete(PUSH_PATH).await.status, 204, "repeating it changes nothing");
    write_to(&server, &bob, 2).await;
    server.clock.advance_seconds(INTERVAL_SECONDS);
    assert_eq!(later(&server, &sink).await, []);
}

#[tokio::test]
async fn a_token_that_another_device_registers_moves_there() {
    let (server, sink) = start().await;
    let (bob, mut bobs) = server.registered().await;
    let (eve, mut eves) = server.registered().await;
    register(&mut bobs, b"the phone").await;
    let handle = register(&mut eves, b"the phone").await;
    write_to(&server, &bob, 1).await;
    write_to(&server, &eve, 2).await;
    let woken = later(&server, &sink).await;
    assert_eq!(woken.iter().map(|target| target.wake_up.handle).collect::<Vec<_>>(), [handle]);
}

#[tokio::test]
async fn what_the_push_service_says_is_followed() {
    let Scene { server, sink, bob, .. } = Scene::set().await;
    *sink.next.lock().unwrap() = Some(PushSinkError::Retry { after_seconds: 60 });
    write_to(&server, &bob, 1).await;
    assert_eq!(later(&server, &sink).await, []);
    server.clock.advance_seconds(30);
    assert_eq!(later(&server, &sink).await, [], "it asked for a minute");
    server.clock.advance_seconds(30);
    assert_eq!(later(&server, &sink).await.len(), 1);
    *sink.next.lock().unwrap() = Some(PushSinkError::Unregistered);
    server.clock.advance_seconds(INTERVAL_SECONDS);
    write_to(&server, &bob, 2).await;
    assert_eq!(later(&server, &sink).await, []);
    server.clock.advance_seconds(INTERVAL_SECONDS);
    write_to(&server, &bob, 3).await;
    assert_eq!(later(&server, &sink).await, [], "the registration has ended");
}

#[tokio::test]
async fn only_a_device_registers_and_only_what_a_token_can_be() {
    let (server, _sink) = start().await;
    let (_, mut client) = server.registered().await;
    for (bad, code) in [
        (PushRegister { token: Base64(Vec::new()), ..registration(b"") }, "out_of_range"),
        (PushRegister { token: Base64(vec![1; 2049]), ..registration(b"") }, "out_of_range"),
        (PushRegister { app: "two words".to_owned(), ..registration(b"t") }, "out_of_range"),
    ] {
        assert_eq!(client.put(PUSH_PATH, &bad).await.code(), code);
    }
    let unknown = serde_json::json!({"provider": "pigeon", "token": "AA", "app": "a"});
    assert_eq!(client.put(PUSH_PATH, &unknown).await.code(), "malformed");
    let mut stranger = server.connect().await;
    assert_eq!(stranger.put(PUSH_PATH, &registration(b"t")).await.code(), "unauthenticated");
    assert_eq!(stranger.delete(PUSH_PATH).await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_spool_holds_whole_wake_ups_for_its_owner_only() {
    let spool = tempfile::tempdir().unwrap();
    let folder = spool.path().join("wake-ups");
    let server = TestServer::start_with(|config| {
        config.push.spool = Some(folder.clone());
        config.push.jitter_millis = 0;
    })
    .await;
    let (bob, mut client) = server.registered().await;
    let handle = register(&mut client, b"token").await;
    write_to(&server, &bob, 1).await;
    let files = loop {
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        if files.iter().any(|path| path.extension().is_some_and(|extension| extension == "json")) {
            break files;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let [file] = &files[..] else { panic!("one file, not {files:?}") };
    let entry: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!((&entry["provider"], &entry["token"]), (&"apns".into(), &"dG9rZW4".into()));
    let payload = entry["payload"].as_str().unwrap();
    assert_eq!(WakeUp::parse(payload.as_bytes()), Ok(WakeUp { handle, counter: 1 }));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(file)), (0o700, 0o600));
    }
}

#[tokio::test]
async fn registrations_are_kept_where_nobody_is_woken() {
    let server = TestServer::start().await;
    let (bob, mut client) = server.registered().await;
    register(&mut client, b"token").await;
    write_to(&server, &bob, 1).await;
    assert_eq!(server.running.wake_due().await.unwrap(), 0);
    let path = server.config.storage.path.clone();
    server.running.shutdown().await;
    let store = rcseal_store::FjallStore::open(path, rcseal_store::StoreLimits::default()).unwrap();
    let (waiting, _) = rcseal_store::PushStore::waiting_pushes(&store, None, 10).await.unwrap();
    assert_eq!(waiting, [bob.mailbox]);
    store.close().await;
}
