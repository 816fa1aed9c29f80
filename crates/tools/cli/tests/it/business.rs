//! A broker's numbers and a business's cases, by commands: a real broker in this process, a relay and devices as processes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcseal_broker::code::{Code, CodeNotSent, CodeSender};
use rcseal_broker::config::RelayConfig;
use rcseal_broker::{Broker, Parts, RunningBroker};
use rcseal_rcs::number::PhoneNumber;
use tokio::runtime::Runtime;

use super::support::{Device, World};

const ALICE: &str = "+14155550131";
const NOBODY: &str = "+14155550139";

/// Catches codes in the place of a gateway.
#[derive(Default)]
struct Codes(Mutex<HashMap<String, String>>);

#[async_trait::async_trait]
impl CodeSender for Codes {
    async fn send(&self, to: &PhoneNumber, code: &Code) -> Result<(), CodeNotSent> {
        self.0.lock().unwrap().insert(to.as_str().to_owned(), code.expose().to_owned());
        Ok(())
    }
}

/// A broker for the world's relay.
struct Beside {
    runtime: Runtime,
    broker: Option<RunningBroker>,
    codes: Arc<Codes>,
    authority: PathBuf,
}

impl Beside {
    fn start(world: &World) -> Self {
        let folder = world.path("broker");
        std::fs::create_dir(&folder).unwrap();
        rcseal_broker::init::write_development_identity(&folder).unwrap();
        let mut config = rcseal_broker::Config::development(&folder);
        config.relays =
            vec![RelayConfig { origin: world.server.parse().unwrap(), authority: world.authority().into() }];
        config.numbers.served_of_any_kind = vec!["+1".parse().unwrap()];
        config.lookups.answer_millis = 0;
        let codes = Arc::new(Codes::default());
        let parts = Parts { codes: Some(codes.clone()), ..Parts::default() };
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(Broker::start_with(config, parts)).unwrap();
        let authority = world.path("broker-ca.pem");
        std::fs::write(&authority, broker.ca_pem().unwrap()).unwrap();
        Self { runtime, broker: Some(broker), codes, authority }
    }

    fn origin(&self) -> String {
        self.broker.as_ref().unwrap().origin().to_string()
    }

    /// A device takes this broker.
    fn used_by(&self, device: &Device) {
        let authority = self.authority.display().to_string();
        let shown = device.run(&["broker", "use", &self.origin(), "--ca", &authority]);
        assert_eq!(shown.text("broker"), self.origin());
    }

    fn code(&self, number: &str) -> String {
        self.codes.0.lock().unwrap().remove(number).unwrap()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            self.runtime.block_on(broker.shutdown());
        }
    }
}

#[test]
fn a_number_is_claimed_found_and_let_go() {
    let world = World::new();
    let beside = Beside::start(&world);
    let (alice, bob) = (world.device("alice"), world.device("bob"));
    assert_eq!(alice.attempt(&["broker", "use", &beside.origin()]).code, Some(3), "nobody vouches for it yet");
    beside.used_by(&alice);
    beside.used_by(&bob);
    alice.attempt(&["number", "confirm", "123456"]).assert_refused(6, "number_not_waiting");
    alice.attempt(&["carrier", "set", "broker", "--number", ALICE]).assert_refused(6, "number_not_waiting");
    alice.run(&["number", "claim", ALICE]);
    let confirmed = alice.run(&["number", "confirm", &beside.code(ALICE)]);
    assert_eq!(confirmed.text("state"), "mapped");
    assert_eq!(alice.run(&["number", "show"]).text("state"), "mapped");
    assert_eq!(alice.run(&["number", "watch"]).text("state"), "mapped");

    alice.run(&["number", "visibility", ALICE, "on"]);
    let found = bob.run(&["number", "find", ALICE, "--add", "Alice"]);
    assert_eq!((found.text("result"), found.text("grounds")), ("found".to_owned(), "first".to_owned()));
    assert_eq!(bob.run(&["number", "find", NOBODY]).text("number"), NOBODY);
    bob.run(&["send", "Alice", "hello"]);
    assert_eq!(alice.drain().events("message").len(), 1);
    assert!(bob.run(&["number", "evidence"]).lines.is_empty());

    assert_eq!(alice.run(&["carrier", "set", "broker", "--number", ALICE]).text("access"), "broker");
    assert_eq!(alice.run(&["carrier", "status"]).text("access"), "broker");
    alice.run(&["carrier", "remove"]);
    alice.attempt(&["carrier", "show"]).assert_refused(6, "no_carrier");

    let release = world.path("release").display().to_string();
    alice.run(&["number", "release", ALICE, "--to", &release]);
    bob.run(&["number", "claim", ALICE]);
    let confirmed = bob.run(&["number", "confirm", &beside.code(ALICE), "--release", &release]);
    assert_eq!(confirmed.text("state"), "mapped");
    bob.run(&["broker", "forget"]);
    assert!(bob.run(&["broker", "show"]).lines[0]["broker"].is_null());
}

#[test]
fn a_case_goes_on_with_whoever_follows_its_link_first() {
    let world = World::new();
    let (shop, alice, mallory) = (world.device("shop"), world.device("alice"), world.device("mallory"));
    let opened =
        shop.run(&["case", "open", "claim 4711", "--greeting", "How can we help?", "--site", "https://shop.example"]);
    let (case, link) = (opened.text("case"), opened.text("link"));
    assert!(link.starts_with("https://shop.example/c#"), "{link}");
    alice.attempt(&["case", "continue", "https://shop.example/c#?"]).assert_refused(2, "continuation_malformed");

    let listening = shop.start(&["listen"]);
    let followed = alice.run(&["case", "continue", &link]);
    assert_eq!((followed.text("progress"), followed.text("reference")), ("open".to_owned(), "claim 4711".to_owned()));
    mallory.attempt(&["case", "continue", &link]).assert_refused(4, "refused_used");
    drop(listening);

    let held = shop.run(&["case", "list"]);
    assert_eq!((held.text("case"), held.text("progress")), (case.clone(), "open".to_owned()));
    assert_eq!(held.lines[0]["refused"], 1);
    assert_eq!(alice.drain().events("message").len(), 1);
    shop.run(&["case", "close", &case]);
    assert_eq!(shop.run(&["case", "list"]).text("progress"), "closed");

    let other = shop.run(&["case", "open", "claim 4712"]);
    shop.run(&["case", "revoke", &other.text("case")]);
    shop.attempt(&["case", "revoke", &case]).assert_refused(6, "case_progress");
}

#[test]
fn a_server_that_reads_nothing_says_so() {
    let world = World::new();
    let alice = world.device("alice");
    assert!(alice.run(&["retained", "key"]).lines[0]["state"].is_null());
    assert!(alice.run(&["retained", "list"]).lines.is_empty());
}
