//! Account keys that change: by rotation, by recovery, by a reset; and what contacts see and decide.

use std::io::Write as _;
use std::process::Stdio;

use super::support::{Answer, Device, World, until};

/// Runs a command that reads a secret from standard input.
pub(crate) fn with_input(device: &Device, arguments: &[&str], input: &str) -> Answer {
    let mut command = device.command(arguments);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Answer::from(child.wait_with_output().unwrap())
}

fn verification(device: &Device) -> String {
    device.run(&["contacts"]).text("verification")
}

#[test]
fn a_new_account_key_of_a_verified_contact_holds_messages_until_it_is_accepted() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    bob.confirm("alice");
    let before = bob.run(&["verify", "alice"]).text("safety_number");
    let rotated = alice.run(&["account", "rotate-key"]);
    assert_eq!(rotated.lines[0]["published"], true);
    let told = bob.drain();
    assert_eq!(told.events("account_key_changed")[0]["how"], "migrated");
    let seen = bob.run(&["contacts"]).lines[0].clone();
    assert_eq!((&seen["verification"], &seen["changed_how"]), (&"changed".into(), &"migrated".into()));
    bob.attempt(&["send", "alice", "are you still you?"]).assert_refused(7, "verification_changed");
    assert_ne!(bob.run(&["verify", "alice"]).text("safety_number"), before);

    let accepted = bob.run(&["contact", "accept", "alice"]);
    assert_eq!(accepted.text("accepted"), "migrated");
    assert_eq!(accepted.text("verification"), "unverified");
    bob.run(&["send", "alice", "so you are"]);
    assert_eq!(alice.drain().events("message").len(), 1);
    bob.attempt(&["contact", "accept", "alice"]).assert_refused(6, "contact_not_changed");
}

#[test]
fn an_unverified_contact_changes_its_key_without_further_ado() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    alice.run(&["account", "rotate-key"]);
    assert_eq!(bob.drain().events("account_key_changed").len(), 1);
    assert_eq!(verification(&bob), "unverified");
    bob.run(&["send", "alice", "hello again"]);
}

#[test]
fn several_changes_that_were_missed_are_caught_up() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    bob.confirm("alice");
    for _ in 0..3 {
        alice.run(&["account", "rotate-key"]);
    }
    let told = bob.drain();
    assert_eq!(told.events("key_set_refused").len(), 0);
    assert_eq!(bob.run(&["contacts"]).lines[0]["changed_how"], "migrated");
    assert_eq!(
        alice.run(&["verify", "bob"]).text("safety_number"),
        bob.run(&["verify", "alice"]).text("safety_number")
    );
}

#[test]
fn comparing_again_ends_a_change_too() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    bob.confirm("alice");
    alice.run(&["account", "rotate-key"]);
    bob.drain();
    let code = world.path("alice.png").display().to_string();
    alice.run(&["verify", "bob", "--qr", &code]);
    assert_eq!(bob.run(&["verify", "alice", "--scan-png", &code]).text("verification"), "verified");
    bob.run(&["send", "alice", "good to see you"]);
}

#[test]
fn what_sending_does_after_a_change_is_policy_and_the_stricter_one_counts() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    bob.confirm("alice");
    assert_eq!(bob.run(&["account", "policy"]).text("on_change"), "block");
    assert_eq!(bob.run(&["account", "policy", "--on-change", "warn"]).text("on_change"), "warn");
    alice.run(&["account", "rotate-key"]);
    bob.drain();
    bob.run(&["send", "alice", "I trust you"]);
    assert_eq!(bob.drain().events("verification_suggested").len(), 1);

    let of_contact = bob.run(&["account", "policy", "--on-change", "block", "--contact", "alice"]);
    assert_eq!(of_contact.lines[0]["contacts"][0]["effective"], "block");
    bob.attempt(&["send", "alice", "or do I"]).assert_refused(7, "verification_changed");
    let milder = bob.run(&["account", "policy", "--on-change", "allow", "--contact", "alice"]);
    assert_eq!(milder.lines[0]["contacts"][0]["effective"], "warn");
    bob.run(&["send", "alice", "I do"]);
    assert_eq!(bob.attempt(&["account", "policy", "--on-change", "perhaps"]).code, Some(2));
}

#[test]
fn only_the_primary_device_replaces_the_account_key() {
    let world = World::new();
    let alice = world.device("alice");
    let tablet = super::linking::link(&world, &alice, "tablet");
    tablet.attempt(&["account", "rotate-key"]).assert_refused(6, "not_primary");
    alice.run(&["account", "rotate-key"]);
    // The other device goes on, under the new key.
    tablet.drain();
    assert_eq!(tablet.run(&["device", "keys"]).lines[0]["disagreements"].as_array().unwrap().len(), 0);
}

#[test]
fn an_account_is_recovered_on_a_new_device_and_the_old_one_is_out() {
    let world = World::new();
    let phone = world.blank("phone");
    let created = phone.run(&world.create_arguments("alice"));
    let (account, code) = (created.text("account"), created.text("recovery_code"));
    let bob = world.device("bob");
    let invitation = phone.run(&["contact", "invite"]).text("invitation");
    bob.run(&["contact", "add", &invitation, "--name", "alice"]);
    bob.run(&["send", "alice", "hello"]);
    phone.drain();
    bob.confirm("alice");

    let new = world.blank("new");
    let authority = world.authority();
    let recover =
        ["account", "recover", "--account", &account, "--server", &world.server, "--ca", &authority, "--name", "alice"];
    // Another code is refused, and leaves nothing behind.
    let wrong = code.replace(|c: char| c.is_ascii_digit(), "0");
    with_input(&new, &recover, &wrong).assert_refused(4, "recovery_refused");
    with_input(&new, &recover, "not a code").assert_refused(2, "recovery_code_malformed");
    new.attempt(&["account", "show"]).assert_refused(6, "no_account");

    let recovered = with_input(&new, &recover, &code);
    assert_eq!(recovered.code, Some(0), "{}", recovered.stderr);
    assert_eq!(recovered.text("account"), account);
    assert_ne!(recovered.text("recovery_code"), code);
    assert_eq!(recovered.lines[1]["registered"], true);
    phone.attempt(&["listen", "--until-empty"]).assert_refused(4, "login_refused");

    // Bob writes to a mailbox that is gone, so his device looks who Alice is now. Nothing goes to her new keys before he has decided.
    let sent = bob.attempt(&["send", "alice", "are you there?"]).text("message");
    until("Bob knows of the recovery", || {
        bob.drain();
        bob.run(&["contacts"]).lines[0]["changed_how"] == "recovered"
    });
    bob.attempt(&["send", "alice", "is it you?"]).assert_refused(7, "verification_changed");
    until("the message is held", || {
        bob.drain();
        !bob.run(&["resend"]).lines.is_empty()
    });
    let held = bob.run(&["resend"]);
    assert_eq!((held.text("message"), &held.lines[0]["device"]), (sent.clone(), &1.into()));
    assert_eq!(bob.run(&["sessions"]).lines.len(), 1);
    bob.attempt(&["resend", "approve", &sent]).assert_refused(7, "verification_changed");
    bob.run(&["contact", "accept", "alice"]);
    bob.run(&["send", "alice", "welcome back"]);
    assert_eq!(bob.run(&["resend", "approve", &sent]).lines[0]["devices"], 1);
    assert_eq!(bob.run(&["resend"]).lines.len(), 0);
    new.drain();
    let mut texts = new.texts();
    texts.sort();
    assert_eq!(texts, ["are you there?", "welcome back"]);
}

#[test]
fn a_recovery_that_did_not_reach_the_server_is_repeated() {
    let mut world = World::new();
    let phone = world.blank("phone");
    let created = phone.run(&world.create_arguments("alice"));
    let (account, code) = (created.text("account"), created.text("recovery_code"));
    let new = world.blank("new");
    let authority = world.authority();
    let server = world.server.clone();
    let recover = ["account", "recover", "--account", &account, "--server", &server, "--ca", &authority];
    world.kill_relay();
    with_input(&new, &recover, &code).assert_refused(3, "net.connect");
    world.start_relay();
    assert_eq!(with_input(&new, &recover, &code).lines[1]["registered"], true);
    new.attempt(&recover).assert_refused(6, "account_exists");
}

/// What an operator does with `rcseald reset create`.
fn ticket(world: &World, account: &str) -> String {
    let storage = rcseal_server::Config::development(&world.relay_folder()).storage.path;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let account = account.parse().unwrap();
    runtime.block_on(rcseal_server::create_reset_ticket(&storage, &account, 3600)).unwrap()
}

#[test]
fn a_reset_takes_effect_after_its_delay_and_only_once() {
    let mut world = World::without_relay();
    world.start_relay_with(&["--reset-delay", "1"]);
    let phone = world.device("alice");
    let account = phone.run(&["account", "show"]).text("account");
    let new = world.blank("new");
    let authority = world.authority();
    let request = ["account", "reset", "request", "--account", &account, "--server", &world.server, "--ca", &authority];
    with_input(&new, &request, "rst-nonsense").assert_refused(4, "reset_ticket_refused");
    let ticket = ticket(&world, &account);
    let asked = with_input(&new, &request, &ticket);
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    assert_eq!(asked.lines[1]["in_force"], false);
    assert_eq!(asked.text("recovery_code").len(), 79);
    // Repeated, it needs no ticket and hands out no other code.
    until("the reset is in force", || {
        let again = with_input(&new, &request, "");
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        assert_eq!(again.events("recovery_code").len(), 0);
        again.lines[0]["in_force"] == true
    });
    assert_eq!(new.run(&["account", "show"]).lines[0]["registered"], true);
    phone.attempt(&["listen", "--until-empty"]).assert_refused(4, "login_refused");
}

#[test]
fn a_device_of_the_account_hears_of_a_reset_and_calls_it_off() {
    let world = World::new();
    let phone = world.device("alice");
    let account = phone.run(&["account", "show"]).text("account");
    assert!(phone.run(&["account", "reset", "status"]).lines[0]["effective_at_ms"].is_null());
    let thief = world.blank("thief");
    let authority = world.authority();
    let request = ["account", "reset", "request", "--account", &account, "--server", &world.server, "--ca", &authority];
    let asked = with_input(&thief, &request, &ticket(&world, &account));
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let effective_at = asked.lines[1]["effective_at_ms"].clone();

    let told = phone.drain();
    assert_eq!(told.events("reset_pending")[0]["effective_at_ms"], effective_at);
    assert_eq!(phone.run(&["account", "reset", "status"]).lines[0]["effective_at_ms"], effective_at);
    phone.run(&["account", "reset", "veto"]);
    assert!(phone.run(&["account", "reset", "status"]).lines[0]["effective_at_ms"].is_null());
    assert_eq!(phone.drain().events("reset_called_off").len(), 1);
    let refused = with_input(&thief, &request, "");
    refused.assert_refused(4, "reset_ticket_refused");
    assert!(refused.stderr.contains("account reset abandon"), "{}", refused.stderr);

    // The profile that asked is free again, and only when it is told to be.
    assert_eq!(thief.attempt(&["account", "reset", "abandon"]).code, Some(2));
    assert_eq!(thief.run(&["account", "reset", "abandon", "--yes"]).text("account"), account);
    thief.attempt(&["account", "reset", "abandon", "--yes"]).assert_refused(6, "no_account");
    let again = with_input(&thief, &request, &ticket(&world, &account));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    phone.attempt(&["account", "reset", "abandon", "--yes"]).assert_refused(6, "no_takeover");
}
