//! That an error leads to words, held against the list of codes in the manual.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rcseal_credential::ScanError;
use rcseal_engine::link::LinkFailure;
use rcseal_engine::policy::Reason;
use rcseal_words::{Key, Worded, error_key, scan_key};

/// Codes about the store, the vault, linking and backups that have no words: what they ask for is the app's or its maker's to do.
const WITHOUT_WORDS: [&str; 8] = [
    // The extension asks for the app to be opened, and shows `notification.pending`.
    "store.needs_main",
    // A file system that refuses for a reason that nobody knows.
    "store.io",
    "store_io",
    "vault.io",
    // The app's own store or vault does not do what it should.
    "store.conflict",
    "store.failed",
    "vault.already_exists",
    // Only programs have a vault with a passphrase; they ask for it again.
    "vault.wrong_passphrase",
];

/// The codes of the manual, by the source they were read from.
fn listed() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/manual/errors.md");
    let (mut source, mut codes) = (String::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for line in fs::read_to_string(page).unwrap().lines() {
        if let Some(path) = line.strip_prefix("From `") {
            source = path.split('`').next().unwrap().to_owned();
        } else if let Some(code) = line.strip_prefix("| `") {
            codes.entry(source.clone()).or_default().insert(code.split('`').next().unwrap().to_owned());
        }
    }
    codes
}

#[test]
fn every_error_of_store_vault_linking_and_backups_has_words_or_is_named_as_one_without() {
    let listed = listed();
    for source in [
        "crates/device/client/src/store/error.rs",
        "crates/device/engine/src/store.rs",
        "crates/device/client/src/vault/mod.rs",
        "crates/device/engine/src/link.rs",
        "crates/device/engine/src/backup/mod.rs",
        "crates/device/client/src/backup/mod.rs",
        "crates/device/client/src/recovery_code.rs",
        "crates/shared/credential/src/safety_number.rs",
        "crates/device/pairwise/src/vault.rs",
    ] {
        for code in &listed[source] {
            assert_eq!(error_key(code).is_none(), WITHOUT_WORDS.contains(&code.as_str()), "{source}: {code}");
        }
    }
    let pairwise = &listed["crates/device/pairwise/src/error.rs"];
    for code in pairwise.iter().filter(|code| code.starts_with("store.")) {
        assert_eq!(error_key(code).is_none(), WITHOUT_WORDS.contains(&code.as_str()), "{code}");
    }
}

#[test]
fn a_code_that_is_a_key_too_means_that_key() {
    for code in listed().into_values().flatten() {
        if let (Some(named), Some(key)) = (Key::parse(&code), error_key(&code)) {
            assert_eq!(named, key, "{code}");
        }
    }
}

#[test]
fn an_error_has_the_words_of_its_state() {
    for reason in Reason::ALL {
        assert_eq!(error_key(reason.code()), Some(reason.key()));
    }
    for failure in
        [LinkFailure::Message, LinkFailure::Number, LinkFailure::NotNamed, LinkFailure::OtherServer, LinkFailure::Order]
    {
        assert_eq!(error_key(failure.code()), Some(failure.key()));
    }
    for failure in [ScanError::Malformed, ScanError::WrongVersion { version: 9 }, ScanError::Mismatch] {
        assert_eq!(error_key(failure.code()), Some(scan_key(Err(failure))));
    }
    assert_eq!(error_key("argument_malformed"), None);
}
