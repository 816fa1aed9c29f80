//! A carrier between two processes: a fake registrar and proxy in this one, and real SIP, CPIM and frames in theirs.
//!
//! The fake forwards faithfully and proves nothing about real proxies; those are in the tests of `rcseal-sim`.

#[path = "../../../../shared/carrier/tests/it/sip/registrar.rs"]
#[allow(dead_code, reason = "the fake has more faults than are looked at here")]
mod registrar;

use rcseal_wire::id::AccountId;
use registrar::{Auth, FakeRegistrar, Listen};
use serde_json::Value;

use super::support::{Answer, Device, World, files_below};

const ALICE: &str = "+12015550123";
const BOB: &str = "+12015550124";
const STRANGER: &str = "+12015550125";
const PASSWORD: &str = "open-sesame-4711";

/// A carrier, in a runtime of its own.
struct Carrier {
    runtime: tokio::runtime::Runtime,
    registrar: FakeRegistrar,
}

impl Carrier {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let auth = Auth::Digest("SHA-256", "auth", PASSWORD);
        let registrar = runtime.block_on(FakeRegistrar::start(Listen::Udp, auth));
        Self { runtime, registrar }
    }

    /// Gives a device its account here.
    fn set(&self, world: &World, device: &Device, number: &str, more: &[&str]) -> Answer {
        let password = world.path("password.txt");
        std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        self.attempt(device, number, &password.display().to_string(), more)
    }

    fn attempt(&self, device: &Device, number: &str, password: &str, more: &[&str]) -> Answer {
        let registrar = format!("udp:{}", self.registrar.address);
        let mut arguments = vec!["carrier", "set", "sip", "--registrar", &registrar, "--domain", "carrier.test"];
        arguments.extend(["--number", number, "--password-file", password, "--local", "127.0.0.1:0"]);
        arguments.extend(more);
        device.attempt(&arguments)
    }

    fn messages(&self) -> usize {
        self.registrar.count("MESSAGE")
    }
}

/// Two devices on a carrier that know each other's number and prefer it.
fn on_a_carrier(carrier: &Carrier) -> (World, Device, Device) {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    for (device, number, other, other_number) in [(&alice, ALICE, "bob", BOB), (&bob, BOB, "alice", ALICE)] {
        let answer = carrier.set(&world, device, number, &["--preference", "native"]);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        assert_eq!(answer.lines[0]["registered"], true);
        device.run(&["contact", "number", other, other_number]);
    }
    // Each hears of the other's number, inside the session.
    alice.drain();
    bob.drain();
    alice.drain();
    (world, alice, bob)
}

#[test]
fn a_password_is_in_the_encrypted_store_and_nowhere_else() {
    let carrier = Carrier::start();
    let world = World::new();
    let alice = world.device("alice");
    let set = carrier.set(&world, &alice, ALICE, &[]);
    assert_eq!(set.code, Some(0), "{}", set.stderr);
    let shown = alice.run(&["carrier", "show"]);
    assert_eq!((&shown.lines[0]["number"], &shown.lines[0]["password"]), (&Value::from(ALICE), &Value::from(true)));
    let exported = alice.run(&["export"]);
    for text in [&set.stdout, &set.stderr, &shown.stdout, &exported.stdout] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    for file in files_below(&alice.profile) {
        let bytes = std::fs::read(&file).unwrap();
        let is_in = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!is_in(PASSWORD) && !is_in(ALICE), "{}", file.display());
    }
    // It is used: this carrier asks for it.
    assert_eq!(alice.run(&["carrier", "status"]).lines[0]["registered"], true);
    assert_eq!(alice.run(&["carrier", "remove"]).events("carrier_removed").len(), 1);
    alice.attempt(&["carrier", "show"]).assert_refused(6, "no_carrier");
}

#[test]
fn a_wrong_password_and_a_carrier_that_is_away_have_codes_of_their_own() {
    let carrier = Carrier::start();
    let world = World::new();
    let alice = world.device("alice");
    let wrong = world.path("wrong.txt");
    std::fs::write(&wrong, "abracadabra").unwrap();
    carrier.attempt(&alice, ALICE, &wrong.display().to_string(), &[]).assert_refused(4, "carrier_unauthorized");
    carrier.attempt(&alice, ALICE, "/no/such/file", &[]).assert_refused(1, "file");
    let empty = world.path("empty.txt");
    std::fs::write(&empty, "\n").unwrap();
    carrier.attempt(&alice, ALICE, &empty.display().to_string(), &[]).assert_refused(1, "file");
    assert_eq!(carrier.attempt(&alice, "911", &wrong.display().to_string(), &[]).code, Some(2));
    let tls = ["carrier", "set", "sip", "--registrar", "tls:localhost", "--domain", "d.test", "--number", ALICE];
    alice.attempt(&tls).assert_refused(2, "carrier_authority_missing");
    drop(carrier);
    // Nobody is at the port any more; what was set stays, and the relay takes what there is to send.
    alice.attempt(&["carrier", "status"]).assert_refused(3, "carrier_no_answer");
    assert_eq!(alice.drain().events("empty")[0]["complete"], true);
}

#[test]
fn a_carrier_that_cannot_be_reached_is_said_to_be_and_why() {
    let world = World::new();
    let alice = world.device("alice");
    let others = World::new();
    let relay = world.server.strip_prefix("https://").unwrap().replace("localhost", "127.0.0.1");
    let (ours, theirs) = (world.authority(), others.authority());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (registrar, authority, reason) in [
        (format!("tcp:{nobody}"), None, "sip_way_refused"),
        (format!("tls:{nobody}"), Some(&ours), "sip_way_refused"),
        ("tcp:carrier.invalid".to_owned(), None, "sip_way_unknown_host"),
        // The relay speaks TLS, too: it shows another authority's certificate, and then one for another domain.
        (format!("tls:{relay}"), Some(&theirs), "sip_way_certificate"),
        (format!("tls:{relay}"), Some(&ours), "sip_way_certificate"),
    ] {
        let mut set = vec!["carrier", "set", "sip", "--registrar", &registrar, "--domain", "carrier.test"];
        set.extend(["--number", ALICE]);
        set.extend(authority.iter().flat_map(|path| ["--ca", path.as_str()]));
        for answer in [alice.attempt(&set), alice.attempt(&["carrier", "status"])] {
            answer.assert_refused(3, "carrier_unreachable");
            assert_eq!(answer.text("reason"), reason, "{registrar}: {}", answer.stdout);
        }
    }
}

#[test]
fn a_message_goes_natively_from_process_to_process_and_is_confirmed_by_the_other_device() {
    let carrier = Carrier::start();
    let (_world, alice, bob) = on_a_carrier(&carrier);
    let shown = alice.run(&["contact", "show", "bob"]);
    assert_eq!(shown.lines[0]["number"], BOB);
    assert_eq!(shown.lines[0]["carrier_devices"][0]["native"], true, "{}", shown.stdout);
    let why = alice.run(&["policy", "explain", "bob"]);
    assert_eq!((why.text("reason"), why.text("mode")), ("native_preferred".to_owned(), "native".to_owned()));

    let mut listening = bob.start(&["listen"]);
    assert_eq!(listening.event("carrier")["registered"], true);
    for words in ["over the air".to_owned(), "a long one: ".to_owned() + &"lorem ipsum ".repeat(300)] {
        let sent = alice.run(&["send", "bob", &words]);
        assert_eq!((&sent.lines[0]["mode"], &sent.lines[0]["state"]), (&"native".into(), &"delivered".into()));
        let received = listening.event("message");
        assert_eq!(received["content"]["text"], words);
        assert_eq!(received["encryption"]["end_to_end"], true);
    }
    assert!(carrier.messages() > 0);
    assert_eq!(listening.terminate(), Some(0));
    let journal = alice.run(&["policy", "journal"]);
    assert!(journal.lines.is_empty(), "nothing fell back: {}", journal.stdout);
}

#[test]
fn a_message_to_a_phone_that_is_off_is_with_the_relay_when_the_patience_ends() {
    let carrier = Carrier::start();
    let (world, alice, bob) = on_a_carrier(&carrier);
    carrier.set(&world, &alice, ALICE, &["--patience", "2"]);
    let sent = alice.run(&["send", "bob", "are you there?"]);
    assert_eq!(sent.lines[0]["state"], "stored");
    let journal = alice.run(&["policy", "journal"]);
    assert_eq!(journal.lines[0]["kind"], "fallback", "{}", journal.stdout);
    assert_eq!((&journal.lines[0]["wanted"], &journal.lines[0]["taken"]), (&"native".into(), &"relayed".into()));
    assert_eq!(bob.drain().events("message")[0]["content"]["text"], "are you there?");
}

#[test]
fn words_to_a_number_go_after_policy_evidence_and_consent_and_are_marked_on_both_sides() {
    let carrier = Carrier::start();
    let world = World::new();
    let (alice, bob) = (world.device("alice"), world.device("bob"));
    carrier.set(&world, &alice, ALICE, &[]);
    carrier.set(&world, &bob, BOB, &[]);
    alice.run(&["thread", "open", BOB, "Plumber"]);
    let refused = alice.attempt(&["send", "Plumber", "the tap drips"]);
    refused.assert_refused(4, "policy_blocks");
    assert!(refused.stderr.contains("rcseal policy set downgrade"), "{}", refused.stderr);
    alice.run(&["policy", "set", "downgrade"]);
    let refused = alice.attempt(&["send", BOB, "the tap drips"]);
    refused.assert_refused(4, "capability_unknown");
    assert!(refused.stderr.contains(&format!("rcseal policy absence attest {BOB}")), "{}", refused.stderr);
    alice.run(&["policy", "absence", "attest", BOB]);
    let refused = alice.attempt(&["send", "Plumber", "the tap drips"]);
    refused.assert_refused(4, "consent_missing");
    assert!(refused.stderr.contains("rcseal policy consent give"), "{}", refused.stderr);
    let consent = alice.run(&["policy", "consent", "give", "Plumber", "carrier_readable", "--for", "30d"]);

    let mut listening = bob.start(&["listen"]);
    listening.event("carrier");
    let sent = alice.run(&["send", "Plumber", "the tap drips"]);
    assert_eq!(sent.lines[0]["encryption"]["mode"], "carrier_readable");
    assert_eq!(sent.lines[0]["encryption"]["end_to_end"], false);
    // The far end's receipt may be here before the command ends.
    let state = sent.lines[0]["state"].as_str().unwrap();
    assert!(["sent", "delivered"].contains(&state), "{state}");
    let received = listening.event("plain_received");
    assert_eq!((&received["words"], &received["number"]), (&"the tap drips".into(), &ALICE.into()));
    assert_eq!((&received["sender"], &received["encryption"]["end_to_end"]), (&"claimed".into(), &false.into()));
    assert_eq!(listening.terminate(), Some(0));
    assert_eq!(bob.run(&["threads"]).lines[0]["opened"], false);
    assert_eq!(bob.run(&["history", ALICE]).lines[0]["words"], "the tap drips");

    let journal = alice.run(&["policy", "journal"]);
    let kinds: Vec<_> = journal.lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refusal", "refusal", "refusal", "downgrade"]);
    let summary = alice.run(&["policy", "journal", "--operator", "summary"]);
    assert_eq!((&summary.lines[0]["entries"], &summary.lines[0]["is_unbroken"]), (&4.into(), &true.into()));
    assert!(!summary.stdout.contains(BOB), "an operator sees no numbers");
    alice.run(&["policy", "consent", "withdraw", &consent.lines[0]["consent"].to_string()]);
    alice.attempt(&["send", "Plumber", "still"]).assert_refused(4, "consent_missing");
    alice.attempt(&["send", "Plumber", "--file", "x"]).assert_refused(2, "content_unfit");
}

#[test]
fn a_downgrade_with_a_contact_needs_consent_and_acknowledgement_and_shows_on_both_sides() {
    let carrier = Carrier::start();
    let (world, alice, bob) = on_a_carrier(&carrier);
    let early = alice.attempt(&["policy", "acknowledge", "bob", "carrier_readable"]);
    early.assert_refused(4, "downgrade_not_allowed");
    assert!(early.stderr.contains("rcseal policy set downgrade"), "it says what is missing: {}", early.stderr);
    alice.run(&["policy", "set", "downgrade"]);
    alice.run(&["policy", "consent", "give", "bob", "carrier_readable", "--for", "1h"]);
    alice.attempt(&["policy", "absence", "attest", BOB]).assert_refused(4, "recipient_known_capable");
    // Consent alone changes nothing for somebody who has encryption.
    assert_eq!(alice.run(&["policy", "explain", "bob"]).text("mode"), "native");
    alice.run(&["policy", "acknowledge", "bob", "carrier_readable"]);
    assert_eq!(alice.run(&["policy", "explain", "bob"]).text("mode"), "carrier_readable");
    // Nobody who looks at the contact now takes the conversation for encrypted.
    assert_eq!(alice.run(&["contact", "show", "bob"]).lines[0]["acknowledged"], "carrier_readable");
    std::fs::write(world.path("photo"), "a photo").unwrap();
    let photo = world.path("photo").display().to_string();
    let refused = alice.attempt(&["send", "bob", "--file", &photo]);
    refused.assert_refused(4, "content_unfit");
    assert!(refused.stderr.contains("rcseal policy restore"), "it says what would help: {}", refused.stderr);
    let told = bob.drain();
    let downgraded = told.events("conversation_downgraded");
    assert_eq!(downgraded[0]["mode"], "carrier_readable");
    assert!(downgraded[0]["by"].as_str().unwrap().parse::<AccountId>().is_ok());
    alice.run(&["policy", "restore", "bob"]);
    assert_eq!(alice.run(&["policy", "explain", "bob"]).text("mode"), "native");
    assert!(alice.run(&["contact", "show", "bob"]).lines[0]["acknowledged"].is_null());
    assert_eq!(bob.drain().events("conversation_restored").len(), 1);
}

#[test]
fn a_probe_sees_what_comes_back_over_a_faithful_carrier() {
    let carrier = Carrier::start();
    let (_world, alice, bob) = on_a_carrier(&carrier);
    let second = bob.profile.display().to_string();
    let probe = alice.run(&["probe", "--second", &second, "--sizes", "100,4000", "--platform", "test"]);
    let rows: Vec<_> = probe.lines.iter().filter(|line| line["event"] == "probe").collect();
    assert!(rows.iter().all(|row| row["near"] == "test" && row["readers"] == "participants"), "{}", probe.stdout);
    let fates: Vec<_> = rows.iter().map(|row| row["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["native"; 4], "two sizes, as bytes and as text: {}", probe.stdout);
    assert!(rows.iter().all(|row| row["damage"].as_array().unwrap().is_empty()));
    let end = &probe.events("probed")[0];
    assert_eq!((&end["frames_announced"], &end["lost"]), (&true.into(), &0.into()), "{}", probe.stdout);
    assert!(carrier.runtime.metrics().num_workers() > 0);
    // A text is never longer than a text may be; what is left out is said.
    let mut listening = bob.start(&["listen"]);
    assert_eq!(listening.event("carrier")["registered"], true);
    let probe = alice.run(&["probe", "--to", "bob", "--sizes", "100,60000"]);
    assert_eq!(probe.events("probe").len(), 1, "{}", probe.stdout);
    assert!(probe.stderr.contains("60000 B is left out"), "{}", probe.stderr);
    assert_eq!(listening.terminate(), Some(0));
    let _ = STRANGER;
}
