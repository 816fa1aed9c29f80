//! Every documented exit code, and what profiles and vaults do.

use super::support::{World, finish, rcseal};

#[test]
fn a_wrong_command_line_exits_with_2() {
    let world = World::without_relay();
    let device = world.blank("nobody");
    for wrong in [
        &["send", "bob"][..],
        &["frobnicate"],
        &["send", "bob", ""],
        &["verify", "bob", "--confirm", "1", "--scan", "x"],
        // Options of another story are not passed over.
        &["demo", "--seed", "3"],
        &["demo", "--port", "1"],
        &["demo", "support", "--engines", "phones"],
        &["demo", "--carrier", "list", "--port", "1"],
    ] {
        assert_eq!(device.attempt(wrong).code, Some(2), "{wrong:?}");
    }
    device.attempt(&["device", "approve", "rcseal://link/!!"]).assert_refused(2, "link_malformed");
    assert_eq!(device.attempt(&["serve", "--dir", "x", "--listen", "0.0.0.0:0"]).code, Some(2));
}

#[test]
fn a_profile_without_a_device_exits_with_6_and_stays_empty() {
    let world = World::without_relay();
    let device = world.blank("nobody");
    for command in [&["contacts"][..], &["listen"], &["export"], &["account", "show"], &["send", "bob", "hi"]] {
        device.attempt(command).assert_refused(6, "no_account");
    }
    assert!(!device.profile.exists());
}

#[test]
fn an_unknown_contact_or_message_exits_with_6() {
    let world = World::new();
    let alice = world.device("alice");
    alice.attempt(&["send", "bob", "hi"]).assert_refused(6, "contact_unknown");
    alice.attempt(&world.create_arguments("alice")).assert_refused(6, "account_exists");
    let (bob, _) = world.acquainted("bob", "carol");
    let nowhere = "AAAAAAAAAAAAAAAAAAAAAA";
    bob.attempt(&["send", "carol", "yes", "--reply-to", nowhere]).assert_refused(6, "message_unknown");
    bob.attempt(&["send", "carol", "--reaction", "+", "--to", nowhere]).assert_refused(6, "message_unknown");
    bob.attempt(&["device", "remove", "9"]).assert_refused(6, "key_set_no_such_device");
}

#[test]
fn what_cannot_be_sent_names_the_file_or_the_field() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    let missing = world.path("missing.png").display().to_string();
    let answer = alice.attempt(&["send", "bob", "--file", &missing]);
    answer.assert_refused(1, "file");
    assert!(answer.stderr.contains("missing.png"), "{}", answer.stderr);
    alice.attempt(&["send", "bob", &"a".repeat(16_385)]).assert_refused(2, "content_too_long");
    let taken = alice.profile.join("authority.pem").display().to_string();
    let answer = alice.attempt(&["export", "--to", &taken]);
    answer.assert_refused(1, "file");
    assert!(answer.stderr.contains("authority.pem"), "{}", answer.stderr);
}

#[test]
fn a_refused_command_does_not_change_whom_a_device_trusts() {
    let (world, other) = (World::new(), World::new());
    let alice = world.device("alice");
    for command in [&["account", "create"], &["device", "link"]] {
        let arguments = [command[0], command[1], "--server", &other.server, "--ca", &other.authority()];
        alice.attempt(&arguments).assert_refused(6, "account_exists");
    }
    alice.drain();
}

#[test]
fn a_registration_that_has_begun_is_finished_at_its_own_server() {
    let mut world = World::new();
    world.kill_relay();
    let alice = world.blank("alice");
    alice.attempt(&world.create_arguments("alice")).assert_refused(3, "net.connect");
    world.start_relay();
    let other = World::new();
    alice.attempt(&other.create_arguments("alice")).assert_refused(6, "account_other_server");
    assert_eq!(alice.run(&world.create_arguments("alice")).lines[0]["registered"], true);
}

#[test]
fn a_server_that_is_away_exits_with_3_and_the_account_registers_later() {
    let mut world = World::new();
    world.kill_relay();
    let alice = world.blank("alice");
    let answer = alice.attempt(&world.create_arguments("alice"));
    answer.assert_refused(3, "net.connect");
    // The recovery code exists once, so it is printed all the same.
    assert_eq!(answer.text("recovery_code").len(), 79);
    assert_eq!(answer.lines[0]["registered"], false);
    world.start_relay();
    let again = alice.run(&world.create_arguments("alice"));
    assert_eq!(again.text("account"), answer.text("account"));
    assert_eq!(again.lines[0]["registered"], true);
    assert!(again.lines[0]["recovery_code"].is_null());
}

#[test]
fn a_refused_registration_exits_with_4_and_an_invite_opens_the_door() {
    let mut world = World::without_relay();
    let serving = world.start_relay_with(&["--invites", "1"]);
    let invite = serving["invites"][0].as_str().unwrap().to_owned();
    let alice = world.blank("alice");
    alice.attempt(&world.create_arguments("alice")).assert_refused(4, "admission_refused");
    let with_invite = [world.create_arguments("Alice B."), vec![format!("--invite={invite}")]].concat();
    let created = alice.run(&with_invite);
    assert_eq!((&created.lines[0]["registered"], created.text("name")), (&true.into(), "Alice B.".to_owned()));
    // A code is good once.
    let bob = world.blank("bob");
    bob.attempt(&[world.create_arguments("bob"), vec![format!("--invite={invite}")]].concat())
        .assert_refused(4, "admission_refused");
    assert_eq!(world.stop_relay(), Some(0));
}

#[test]
fn a_server_under_another_authority_is_not_talked_to() {
    let (world, other) = (World::new(), World::new());
    let alice = world.blank("alice");
    let mut arguments = world.create_arguments("alice");
    let ca = arguments.iter().position(|argument| argument == "--ca").unwrap();
    arguments[ca + 1] = other.authority();
    alice.attempt(&arguments).assert_refused(3, "net.tls");
}

#[test]
fn a_store_in_use_exits_with_5() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let mut listening = bob.start(&["listen"]);
    alice.run(&["send", "bob", "are you there?"]);
    listening.event("message");
    bob.attempt(&["contacts"]).assert_refused(5, "store.in_use");
    assert_eq!(listening.terminate(), Some(0));
    bob.run(&["contacts"]);
}

#[test]
fn a_passphrase_protects_the_profile_and_a_wrong_one_exits_with_5() {
    let world = World::new();
    let alice = world.blank("alice");
    let file = world.path("passphrase");
    std::fs::write(&file, "correct horse battery staple\n").unwrap();
    let with_file = |arguments: &[String]| {
        [vec!["--passphrase-file".to_owned(), file.display().to_string()], arguments.to_vec()].concat()
    };
    let created = alice.run(&with_file(&world.create_arguments("alice")));
    assert!(created.stderr.contains("software vault, under your passphrase"), "{}", created.stderr);
    alice.run(&with_file(&["contacts".to_owned()]));

    let mut command = alice.command(&["contacts"]);
    command.env("RCSEAL_PASSPHRASE", "correct horse battery staple");
    assert_eq!(finish(command).code, Some(0));
    let mut command = alice.command(&["contacts"]);
    command.env("RCSEAL_PASSPHRASE", "incorrect");
    finish(command).assert_refused(5, "vault.wrong_passphrase");
    alice.attempt(&["contacts"]).assert_refused(5, "vault.file");
}

#[cfg(unix)]
#[test]
fn a_profile_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let alice = world.device("alice");
    let mode = |path: &str| std::fs::metadata(alice.profile.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("vault/vault.key"), mode("store/store.db")), (0o700, 0o600, 0o600));
}

#[test]
fn safety_numbers_match_and_another_code_exits_with_7() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let (here, there) = (alice.run(&["verify", "bob"]), bob.run(&["verify", "alice"]));
    let number = here.text("safety_number");
    assert_eq!(number, there.text("safety_number"));
    assert_eq!(number.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
    assert_eq!(here.text("verification"), "unverified");
    alice.attempt(&["verify", "bob", "--scan", &here.text("scan")]).assert_refused(7, "verify_mismatch");
    assert_eq!(alice.run(&["verify", "bob", "--scan", &there.text("scan")]).text("verification"), "verified");
    assert_eq!(bob.confirm("alice").text("verification"), "verified");
}

#[test]
fn contacts_go_by_name_or_id_and_two_of_a_name_by_id_only() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let other = world.device("other");
    let invitation = other.run(&["contact", "invite"]).text("invitation");
    alice.run(&["contact", "add", &invitation, "--name", "bob"]);
    alice.attempt(&["send", "bob", "which one?"]).assert_refused(6, "contact_ambiguous");
    let id = bob.run(&["account", "show"]).text("account");
    alice.run(&["send", &id, "you"]);
    assert_eq!(bob.drain().events("message").len(), 1);
    alice.attempt(&["contact", "add", "rcseal://invite/!!"]).assert_refused(2, "invitation_malformed");
    let own = alice.run(&["contact", "invite"]).text("invitation");
    alice.attempt(&["contact", "add", &own]).assert_refused(2, "contact_own");
}

#[test]
fn an_export_holds_what_was_said_and_writes_over_nothing() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    assert_eq!(alice.texts(), ["hello", "hello to you"]);
    let file = world.path("export.jsonl");
    bob.run(&["export", "--to", file.to_str().unwrap()]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("hello to you"));
    bob.attempt(&["export", "--to", file.to_str().unwrap()]).assert_refused(1, "file");
}

#[test]
fn the_profile_comes_from_the_environment_too() {
    let world = World::new();
    let alice = world.device("alice");
    let mut command = rcseal();
    command.env("RCSEAL_PROFILE", &alice.profile).args(["account", "show"]);
    assert_eq!(finish(command).text("name"), "alice");
}
