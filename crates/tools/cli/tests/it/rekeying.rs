//! New keys for sessions, on demand and by the clock, and what sessions look like.

use rcseal_wire::invitation::Invitation;
use serde_json::Value;

use super::support::{Device, World};

/// The session in use with the first device of a contact, as one side sees it.
fn session(device: &Device, contact: &str) -> Value {
    let answer = device.run(&["sessions", contact]);
    let sessions = answer.lines[0]["sessions"].as_array().unwrap();
    sessions.iter().find(|session| session["active"] == true).cloned().unwrap()
}

#[test]
fn sessions_say_how_old_they_are_and_whether_they_were_answered() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    assert_eq!(alice.run(&["sessions", "bob"]).lines[0]["sessions"].as_array().unwrap().len(), 0);
    alice.run(&["send", "bob", "hello"]);
    let begun = session(&alice, "bob");
    assert_eq!((&begun["initiator"], &begun["answered"], &begun["sent"]), (&true.into(), &false.into(), &1.into()));
    assert_eq!(begun["post_quantum_epoch"], 0);
    bob.drain();
    bob.run(&["send", "alice", "hello to you"]);
    alice.drain();
    let answered = session(&alice, "bob");
    assert_eq!(answered["answered"], true);
    assert!(answered["received"].as_u64().unwrap() >= 1, "{answered}");
    assert_eq!(answered["created_at_ms"], begun["created_at_ms"]);
    alice.attempt(&["sessions", "nobody"]).assert_refused(6, "contact_unknown");
}

#[test]
fn a_rekey_on_demand_turns_a_session_both_ways() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let turned = |device: &Device, contact: &str| session(device, contact)["turned_at_ms"].as_u64().unwrap();
    let before = (turned(&alice, "bob"), turned(&bob, "alice"));
    let answer = alice.run(&["rekey", "bob"]);
    assert_eq!((&answer.lines[0]["asked"], &answer.lines[0]["minutes"]), (&1.into(), &60.into()));
    // Nobody is shown anything of it.
    assert_eq!(bob.drain().events("message").len(), 0);
    assert_eq!(alice.drain().events("message").len(), 0);
    alice.run(&["send", "bob", "under a new key"]);
    bob.drain();
    assert!(turned(&alice, "bob") > before.0);
    assert!(turned(&bob, "alice") > before.1);
}

#[test]
fn a_rekey_without_a_session_asks_nobody() {
    let world = World::new();
    let (alice, _) = world.pair("alice", "bob");
    assert_eq!(alice.run(&["rekey", "bob"]).lines[0]["asked"], 0);
}

#[test]
fn a_rekey_has_gone_out_whatever_keys_are_still_to_be_fetched_for_others() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    let invitation = world.device("carol").run(&["contact", "invite"]).text("invitation");
    let invitation = Invitation { origin: "https://localhost:1".parse().unwrap(), ..invitation.parse().unwrap() };
    alice.attempt(&["contact", "add", &invitation.expose_text(), "--name", "carol"]);
    // Carol's server is away, so what was begun for her is not complete.
    let waits = alice.run(&["listen", "--until-empty"]);
    assert_eq!(waits.events("empty")[0]["complete"], false, "{:?}", waits.lines);
    assert_eq!(alice.run(&["rekey", "bob"]).lines[0]["asked"], 1);
}

#[test]
fn a_rekey_while_the_server_is_away_waits() {
    let mut world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    world.kill_relay();
    alice.attempt(&["rekey", "bob"]).assert_refused(3, "net.connect");
    world.start_relay();
    let before = session(&alice, "bob")["turned_at_ms"].as_u64().unwrap();
    alice.drain();
    bob.drain();
    alice.drain();
    assert!(session(&alice, "bob")["turned_at_ms"].as_u64().unwrap() > before);
}

#[test]
fn how_often_is_chosen_for_each_contact_and_has_limits() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    let minutes = || alice.run(&["sessions", "bob"]).lines[0]["rekey_minutes"].clone();
    assert_eq!(minutes(), 60);
    assert_eq!(alice.run(&["rekey", "bob", "--every", "15m"]).lines[0]["minutes"], 15);
    assert_eq!(minutes(), 15);
    assert!(alice.run(&["rekey", "bob", "--every", "off"]).lines[0]["minutes"].is_null());
    assert!(minutes().is_null());
    for wrong in ["0m", "31d", "soon", "15"] {
        assert_eq!(alice.attempt(&["rekey", "bob", "--every", wrong]).code, Some(2), "{wrong}");
    }
}

#[test]
fn nothing_is_held_unless_keys_changed() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    assert_eq!(alice.run(&["resend"]).lines.len(), 0);
    alice.attempt(&["resend", "approve", "AAAAAAAAAAAAAAAAAAAAAA"]).assert_refused(6, "resend_not_held");
    alice.attempt(&["resend", "approve", "!"]).assert_refused(2, "id_malformed");
}
