//! Two `rcseal` processes with a real Kamailio between them: as a carrier that carries, that changes what it carries, that refuses and that
//! loses it, and that keeps it for a phone that is off.
//!
//! Each carrier is handed a short text and one of some 5 kB. Both have to be shown at the other end once, exactly as they were written; by
//! the carrier where that is possible, and otherwise by the relay, which the sender's journal then says with the reason. What was damaged
//! is named at the receiving end.
//!
//! A machine may have no Kamailio. Then this says so and looks at nothing, unless `CI` is set, which makes it a failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../it/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the program, which need more of it")]
mod support;

use rcseal_sim::peers::kamailio::DOMAIN;
use rcseal_sim::peers::{Kamailio, Mangle, Role, Setup, User, version};

use support::{Answer, Device, World};

/// How long something may stay unconfirmed before the relay gets it: short, since several of these carriers never let it arrive.
const PATIENCE: &str = "2";

/// Carriers in a runtime of their own, and the two subscribers that each of them has.
struct Carriers {
    runtime: tokio::runtime::Runtime,
    users: [User; 2],
}

impl Carriers {
    /// `None` where there is no Kamailio, which is said.
    fn find() -> Option<Self> {
        if let Some(program) = ["kamailio", "sqlite3"].into_iter().find(|program| version(program).is_none()) {
            assert!(std::env::var_os("CI").is_none(), "there is no {program}: `cargo xtask test --only packages`");
            eprintln!("SKIPPED: there is no {program}: `cargo xtask test --only packages`");
            return None;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Some(Self { runtime, users: [User::nth(1), User::nth(2)] })
    }

    fn start(&self, role: Role, mangle: Mangle) -> Kamailio {
        let setup = Setup { role, mangle, ..Setup::of(self.users.to_vec()) };
        self.runtime.block_on(Kamailio::start(&setup)).unwrap()
    }

    /// Gives both devices their account at this carrier.
    fn enter(&self, world: &World, carrier: &Kamailio, devices: [&Device; 2], more: &[&str]) {
        let registrar = format!("udp:{}", carrier.address());
        for (device, user) in devices.into_iter().zip(&self.users) {
            let password = world.path("password.txt");
            std::fs::write(&password, format!("{}\n", user.password)).unwrap();
            let password = password.display().to_string();
            let mut arguments = vec!["carrier", "set", "sip", "--registrar", &registrar, "--domain", DOMAIN];
            arguments.extend(["--number", &user.number, "--password-file", &password, "--local", "127.0.0.1:0"]);
            arguments.extend(["--preference", "native"]);
            arguments.extend(more);
            let set = device.run(&arguments);
            assert_eq!(set.lines[0]["registered"], true, "{}: {}", set.stdout, carrier.said());
        }
    }

    /// Two new devices that know each other's number and that the other takes frames.
    fn acquaint(&self, world: &World, carrier: &Kamailio, name: &str, more: &[&str]) -> (Device, Device) {
        let (near, far) = (format!("alice {name}"), format!("bob {name}"));
        let (alice, bob) = world.acquainted(&near, &far);
        self.enter(world, carrier, [&alice, &bob], &[&["--patience", PATIENCE], more].concat());
        alice.run(&["contact", "number", &far, &self.users[1].number]);
        bob.run(&["contact", "number", &near, &self.users[0].number]);
        // Each hears of the other's number, inside the session.
        alice.drain();
        bob.drain();
        alice.drain();
        (alice, bob)
    }
}

/// A text with what is likely to be changed on a way: line ends, letters that have two spellings, spaces at the ends, and each letter that a
/// script exchanges. `step` makes it this one and no other.
fn text(step: &str, len: usize) -> String {
    let mut text =
        format!(" {step} {len}: zig\r\nzag\n\ttab, e\u{301} and \u{e9}, räksmörgås \u{1f990}, \"quoted\", \\, <b> ");
    for line in 0.. {
        if text.len() >= len {
            break;
        }
        text.push_str(&format!("line {line} of many, no two of them alike\r\n"));
    }
    text + "the end  "
}

/// How a message went: natively, or as the sender's journal has it with the reason.
fn way(sender: &Device, sent: &Answer) -> String {
    let (message, mode) = (&sent.lines[0]["message"], sent.text("mode"));
    let journal = sender.run(&["policy", "journal"]);
    let about: Vec<_> = journal.lines.iter().filter(|entry| entry["message"] == *message).collect();
    let [entry] = about.as_slice() else {
        assert!(about.is_empty(), "more than one fallback of one message: {}", journal.stdout);
        return mode;
    };
    assert_eq!((&entry["kind"], &entry["wanted"]), (&"fallback".into(), &"native".into()), "{}", journal.stdout);
    assert_eq!(entry["taken"], *mode);
    format!("{mode}: {}", entry["reason"].as_str().unwrap())
}

/// A carrier, and how the devices are set for it.
type Step = (Mangle, &'static [&'static str]);

const NATIVE: &str = "native";
const UNCONFIRMED: &str = "relayed: carrier_unconfirmed";

/// Sessions do not pass through the scripts, so there are none but in the first step.
const IN_MESSAGES: &[&str] = &["--sessions", "off"];
const AS_TEXT: &[&str] = &["--sessions", "off", "--text-only"];

/// What frames survive.
const GENTLE: [&[Step]; 2] = [
    &[(Mangle::Carry, &[]), (Mangle::Carry, IN_MESSAGES), (Mangle::StripHeaders, IN_MESSAGES)],
    &[(Mangle::TextType, IN_MESSAGES), (Mangle::Prefix, IN_MESSAGES), (Mangle::BareLf, AS_TEXT)],
];

/// What some frames do not survive. A few failures in a row and the relay is taken at once, so a pair of devices gets few of them.
const HARSH: [&[Step]; 3] = [
    &[(Mangle::BareLf, IN_MESSAGES), (Mangle::RefuseAbove1300, IN_MESSAGES)],
    &[(Mangle::Corrupt, AS_TEXT), (Mangle::Truncate, IN_MESSAGES)],
    &[(Mangle::DropAbove1300, IN_MESSAGES), (Mangle::RefuseCpim, IN_MESSAGES)],
];

/// Plays a step between two devices, and answers how the short text and the long one went.
fn play(carriers: &Carriers, world: &World, name: &str, (alice, bob): (&Device, &Device), step: Step) -> Vec<String> {
    let (mangle, more) = step;
    let carrier = carriers.start(Role::Registrar, mangle);
    carriers.enter(world, &carrier, [alice, bob], &[&["--patience", PATIENCE], more].concat());
    let mut listening = bob.start(&["listen"]);
    assert_eq!(listening.event("carrier")["registered"], true);
    let about = mangle.name();
    let texts = [20, 5_000].map(|len| text(&format!("{about} {}", more.len()), len));
    let mut ways = Vec::new();
    for words in &texts {
        let sent = alice.run(&["send", &format!("bob {name}"), words]);
        let received = listening.event("message");
        assert_eq!(received["content"]["text"].as_str().unwrap().as_bytes(), words.as_bytes(), "{about}");
        assert_eq!(received["encryption"]["end_to_end"], true, "{about}");
        assert_eq!(received["encryption"]["mode"], sent.lines[0]["mode"], "both ends say the same of it: {about}");
        ways.push(way(alice, &sent));
    }
    assert_eq!(listening.terminate(), Some(0));
    let late = bob.drain();
    assert!(late.events("message").is_empty(), "{about}: shown again: {}", late.stdout);
    assert!(bob.texts().ends_with(&texts), "{about}: {:?}", bob.texts());
    ways
}

/// Plays each list with a pair of devices and a relay of its own. Most of the time is a carrier's or a patience's, so that the lists are played at
/// the same time.
fn play_each(lists: &[&[Step]], look: impl Fn(&str, &[String]) + Sync) {
    std::thread::scope(|scope| {
        for (index, steps) in lists.iter().enumerate() {
            let look = &look;
            scope.spawn(move || {
                let Some(carriers) = Carriers::find() else { return };
                let world = World::new();
                let name = index.to_string();
                let first = carriers.start(Role::Registrar, Mangle::Carry);
                let (alice, bob) = carriers.acquaint(&world, &first, &name, &[]);
                drop(first);
                for &step in *steps {
                    look(step.0.name(), &play(&carriers, &world, &name, (&alice, &bob), step));
                }
            });
        }
    });
}

#[test]
fn what_frames_survive_goes_by_the_carrier_and_arrives_once_as_it_was_written() {
    play_each(&GENTLE, |carrier, ways| assert_eq!(ways, [NATIVE; 2], "{carrier}"));
}

#[test]
fn what_frames_do_not_survive_goes_by_the_relay_for_a_reason_and_arrives_once_as_it_was_written() {
    play_each(&HARSH, |carrier, ways| {
        for way in ways {
            let is_named = way == NATIVE || way.strip_prefix("relayed: ").is_some_and(|reason| !reason.is_empty());
            assert!(is_named, "{carrier}: {way}");
        }
    });
}

#[test]
fn what_a_carrier_keeps_arrives_while_the_relay_is_away_and_the_relays_copy_is_not_shown_again() {
    let Some(carriers) = Carriers::find() else { return };
    let mut world = World::new();
    let carrier = carriers.start(Role::Store, Mangle::Carry);
    let (alice, bob) = carriers.acquaint(&world, &carrier, "kept", &[]);
    let words = text("kept", 20);
    // Bob's phone is off: the carrier keeps the message, and after the patience the relay has it, too.
    let sent = alice.run(&["send", "bob kept", &words]);
    assert_eq!(sent.lines[0]["state"], "stored", "{}", sent.stdout);
    assert_eq!(way(&alice, &sent), UNCONFIRMED);
    assert_eq!(world.stop_relay(), Some(0));
    let mut listening = bob.start(&["listen"]);
    let received = listening.event("message");
    assert_eq!(
        (&received["content"]["text"], &received["encryption"]["mode"]),
        (&words.as_str().into(), &NATIVE.into())
    );
    assert_eq!(listening.terminate(), Some(0));
    world.start_relay();
    let late = bob.drain();
    assert!(late.events("message").is_empty(), "shown again: {}", late.stdout);
    assert_eq!(bob.texts().iter().filter(|text| **text == words).count(), 1);
    alice.drain();
    let history = alice.run(&["history", "bob kept"]);
    let last = history.lines.last().unwrap();
    assert_eq!((&last["content"]["text"], &last["state"]), (&words.into(), &"delivered".into()));
}
