//! Contacts: their names, blocks, and the leave to write.

use std::path::Path;

use super::support::{Device, World};

fn contact(device: &Device) -> serde_json::Value {
    device.run(&["contacts"]).lines[0].clone()
}

#[test]
fn a_contact_goes_by_its_new_name() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    assert_eq!(alice.run(&["contact", "rename", "bob", "the plumber"]).text("name"), "the plumber");
    alice.run(&["send", "the plumber", "the tap again"]);
    assert_eq!(bob.drain().events("message").len(), 1);
    // Without a name of the user's, a contact goes by what it calls itself.
    alice.run(&["contact", "rename", "the plumber", ""]);
    assert_eq!(contact(&alice)["display_name"], "bob");
    alice.run(&["send", "bob", "still dripping"]);
    alice.attempt(&["contact", "rename", "bob", &"x".repeat(10_000)]).assert_refused(2, "name_too_long");
}

#[test]
fn nothing_goes_to_a_blocked_contact_and_nothing_of_it_is_shown() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    assert_eq!(alice.run(&["contact", "block", "bob"]).lines[0]["blocked"], true);
    assert_eq!(contact(&alice)["blocked"], true);
    alice.attempt(&["send", "bob", "after all"]).assert_refused(6, "contact_blocked");
    bob.run(&["send", "alice", "can you hear me?"]);
    assert_eq!(alice.drain().events("message").len(), 0);
    assert_eq!(alice.run(&["contact", "unblock", "bob"]).lines[0]["blocked"], false);
    // What came meanwhile does not come back, and the session has not suffered.
    bob.run(&["send", "alice", "and now?"]);
    assert_eq!(alice.drain().events("message")[0]["content"]["text"], "and now?");
    assert_eq!(alice.texts(), ["hello", "hello to you", "and now?"]);
}

#[test]
fn a_removed_contact_is_gone_and_what_was_said_is_not() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    assert_eq!(alice.run(&["contact", "remove", "bob"]).events("contact_removed").len(), 1);
    assert_eq!(alice.run(&["contacts"]).lines.len(), 0);
    alice.attempt(&["send", "bob", "hello?"]).assert_refused(6, "contact_unknown");
    assert_eq!(alice.texts(), ["hello", "hello to you"]);
}

#[test]
fn a_replaced_token_voids_invitations_and_contacts_go_on_writing() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let leaked = bob.run(&["contact", "invite"]).text("invitation");
    bob.run(&["contact", "token", "replace", "--now"]);
    // Alice hears of the new token over her session.
    alice.drain();
    bob.drain();
    let mallory = world.device("mallory");
    mallory.run(&["contact", "add", &leaked, "--name", "bob"]);
    assert_ne!(mallory.attempt(&["send", "bob", "a word, sir?"]).code, Some(0));
    alice.run(&["send", "bob", "still me"]);
    let received = bob.drain();
    let texts: Vec<_> = received.events("message").iter().map(|line| line["content"]["text"].clone()).collect();
    assert_eq!(texts, ["still me"]);
    // An invitation made from now on is good.
    let invitation = bob.run(&["contact", "invite"]).text("invitation");
    assert_ne!(invitation, leaked);
    mallory.run(&["contact", "add", &invitation, "--name", "bob"]);
}

#[test]
fn a_token_that_is_good_for_another_week_leaves_nothing_undone() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    bob.run(&["contact", "token", "replace"]);
    assert_eq!(bob.drain().events("empty")[0]["complete"], true);
    alice.drain();
    // A removal replaces the token too.
    let carol = world.device("carol");
    let invitation = bob.run(&["contact", "invite"]).text("invitation");
    carol.run(&["contact", "add", &invitation, "--name", "bob"]);
    carol.run(&["send", "bob", "hello"]);
    bob.drain();
    bob.run(&["contact", "remove", "carol"]);
    assert_eq!(bob.run(&["rekey", "alice"]).lines[0]["asked"], 1);
}

#[test]
fn nothing_is_asked_of_a_blocked_contact() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    alice.run(&["contact", "block", "bob"]);
    alice.attempt(&["rekey", "bob"]).assert_refused(6, "contact_blocked");
}

#[test]
fn the_keys_that_the_server_hands_out_are_those_that_are_here() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    let answer = alice.run(&["device", "keys"]);
    let device = &answer.lines[0]["devices"][0];
    assert_eq!(answer.lines[0]["disagreements"].as_array().unwrap().len(), 0);
    for kind in ["signed", "last_resort"] {
        assert_eq!(device[kind]["fingerprint"], device["here"][kind]["fingerprint"], "{kind}");
        assert!(device[kind]["id"].as_u64().is_some_and(|id| id > 0), "{kind}");
    }
    assert!(!answer.stdout.contains("secret"));
}

#[test]
fn a_server_that_was_put_back_exits_with_7_when_its_keys_are_compared() {
    let mut world = World::new();
    let alice = world.device("alice");
    world.stop_relay();
    let (relay, before) = (world.relay_folder(), world.path("before"));
    copy(&relay, &before);
    world.start_relay();
    alice.run(&["account", "rotate-key"]);
    world.stop_relay();
    std::fs::remove_dir_all(&relay).unwrap();
    std::fs::rename(&before, &relay).unwrap();
    world.start_relay();
    let answer = alice.attempt(&["device", "keys"]);
    answer.assert_refused(7, "keys_disagree");
    assert_eq!(answer.lines[0]["disagreements"][0]["code"], "older_key_set");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            std::fs::copy(path, target).unwrap();
        }
    }
}
