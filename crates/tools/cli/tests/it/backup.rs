//! Backups by commands: made, looked at, restored as another device; and the end of an account.

use super::identity::with_input;
use super::support::{Device, World};

/// Makes a backup; answers the secret that was drawn.
fn back_up(device: &Device, file: &str) -> String {
    let made = device.run(&["backup", "create", file]);
    assert_eq!(made.events("backed_up")[0]["has_account_key"], true);
    made.events("backup_secret")[0]["backup_secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_device_is_restored_as_a_new_one_and_its_contact_sees_that_and_writes_on() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    alice.confirm("bob");
    bob.confirm("alice");
    let file = world.path("alice.backup").display().to_string();
    let secret = back_up(&alice, &file);
    let said = alice.texts();
    let info = alice.run(&["backup", "inspect", &file]);
    assert_eq!((info.text("secret"), info.lines[0]["memory_kib"].as_u64()), ("generated".to_owned(), Some(19 * 1024)));
    std::fs::remove_dir_all(&alice.profile).unwrap();

    let phone = world.blank("phone");
    let wrong =
        with_input(&phone, &["backup", "restore", &file, "--ca", &world.authority()], "0000-0000-0000-0000-0000-0000");
    wrong.assert_refused(4, "backup_wrong_secret");
    let slip = with_input(&phone, &["backup", "restore", &file, "--ca", &world.authority()], &secret[1..]);
    slip.assert_refused(2, "backup_secret_malformed");
    let restored = with_input(&phone, &["backup", "restore", &file, "--ca", &world.authority()], &secret);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    assert_eq!(restored.text("kind"), "new_device");
    assert_eq!((&restored.lines[0]["contacts"], &restored.lines[0]["verified"]), (&1.into(), &1.into()));
    assert_eq!(phone.texts(), said);

    let told = bob.drain();
    assert_eq!(told.events("devices_changed").len(), 1, "{}", told.stdout);
    assert_eq!(bob.run(&["contacts"]).text("verification"), "verified");
    assert_eq!(phone.run(&["contacts"]).text("verification"), "verified");
    bob.run(&["send", "alice", "is it you?"]);
    assert_eq!(phone.drain().events("message").len(), 1);
    phone.run(&["send", "bob", "on a new phone"]);
    assert_eq!(bob.drain().events("message").len(), 1);
    assert_eq!(bob.texts().last().unwrap(), "on a new phone");
    let again = with_input(&phone, &["backup", "restore", &file], &secret);
    again.assert_refused(6, "backup_target_not_empty");
}

#[test]
fn a_backup_under_a_passphrase_brings_contacts_and_messages_and_no_account() {
    let world = World::new();
    let (alice, _bob) = world.acquainted("alice", "bob");
    let file = world.path("alice.backup").display().to_string();
    let words = "a lamp over the harbour\n";
    with_input(&alice, &["backup", "create", &file, "--passphrase"], "short\n")
        .assert_refused(2, "backup_weak_passphrase");
    let made = with_input(&alice, &["backup", "create", &file, "--passphrase"], words);
    assert_eq!(made.events("backed_up")[0]["has_account_key"], false);
    let phone = world.blank("phone");
    let restore = ["backup", "restore", &file, "--ca", &world.authority()];
    with_input(&phone, &restore, words).assert_refused(6, "backup_needs_account");
    let other = world.device("other");
    with_input(&other, &["backup", "restore", &file], "another lamp somewhere\n")
        .assert_refused(4, "backup_wrong_secret");
    let restored = with_input(&other, &["backup", "restore", &file], words);
    assert_eq!((restored.code, restored.text("kind")), (Some(0), "imported".to_owned()), "{}", restored.stderr);
    assert_eq!(other.texts(), alice.texts());
    assert_eq!(other.run(&["contacts"]).text("name"), "bob");
}

#[test]
fn a_damaged_backup_says_what_is_wrong_with_it_and_changes_nothing() {
    let world = World::new();
    let (alice, _bob) = world.acquainted("alice", "bob");
    let file = world.path("alice.backup").display().to_string();
    let secret = back_up(&alice, &file);
    let whole = std::fs::read(&file).unwrap();
    let altered = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (whole[..whole.len() - 1].to_vec(), "backup_truncated"),
        (whole[..40].to_vec(), "backup_truncated"),
        (b"something else".to_vec(), "backup_not_a_backup"),
        (altered(8, 0), "backup_old_version"),
        (altered(8, 9), "backup_newer_version"),
        (altered(13, 0), "backup_weak_params"),
        (altered(11, 0xff), "backup_costly_params"),
        (altered(200, whole[200] ^ 1), "backup_tampered"),
    ];
    let phone = world.blank("phone");
    for (bytes, code) in cases {
        std::fs::write(&file, bytes).unwrap();
        with_input(&phone, &["backup", "restore", &file, "--ca", &world.authority()], &secret).assert_refused(4, code);
    }
    std::fs::write(&file, whole).unwrap();
    let restored = with_input(&phone, &["backup", "restore", &file, "--ca", &world.authority()], &secret);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
}

#[test]
fn a_deleted_account_is_gone_at_the_server_and_here() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let tablet = super::linking::link(&world, &alice, "tablet");
    tablet.attempt(&["delete-account", "--yes"]).assert_refused(6, "not_primary");
    assert_eq!(alice.attempt(&["delete-account"]).code, Some(2));
    assert_eq!(alice.run(&["delete-account", "--yes"]).events("account_deleted").len(), 1);
    alice.attempt(&["account", "show"]).assert_refused(6, "no_account");
    let left: Vec<_> =
        std::fs::read_dir(alice.profile.join("vault")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().any(|name| name == "vault.key"), "{left:?}");
    // What is sent from now on is refused; it is not known to have arrived.
    bob.attempt(&["send", "alice", "are you there?"]);
    let state = bob.exported().last().unwrap()["state"].as_str().unwrap().to_owned();
    assert!(matches!(state.as_str(), "failed" | "queued"), "{state}");
    assert_ne!(tablet.attempt(&["listen", "--until-empty"]).code, Some(0));
}
