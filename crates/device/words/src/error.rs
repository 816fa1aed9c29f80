//! From the stable codes of errors to keys.
//!
//! An app has the code of an error and nothing else of it, so codes are what is matched here. Only errors that are a user's matter have words:
//! a phone to unlock, a backup to choose again, a safety number to compare. What is left is for whoever writes the app, who says it in the
//! app's own words. The tests hold this list against `docs/manual/errors.md`: every code of the store, the vault, linking and backups is here,
//! or is named there as one without words.

use rcseal_engine::policy::Reason;

use crate::{Key, Worded as _};

/// What a user is told about an error with this stable code; `None` where the error is not a user's matter.
#[must_use]
pub fn error_key(code: &str) -> Option<Key> {
    Some(match code {
        // The store. What only setting it aside helps has the words that say so.
        "store.in_use" | "store_busy" | "store.busy" => Key::StoreInUse,
        "store.damaged"
        | "store.wrong_key"
        | "store.key_missing"
        | "store.database_missing"
        | "store.key_damaged"
        | "store.missing"
        | "store_corrupt" => Key::StoreDamaged,
        "store.newer" => Key::StoreNewer,
        "store.rolled_back" => Key::StoreRolledBack,
        "store_full" | "store.full" => Key::StoreFull,
        // The vault.
        "vault.user_not_authenticated" | "store_locked" => Key::VaultLocked,
        "vault.key_invalidated" | "vault.not_found" | "vault.file" => Key::VaultInvalidated,
        "vault.hardware_unavailable" | "vault.timeout" | "vault.unexpected" => Key::VaultUnavailable,
        // The network.
        "net.connect" | "net.timeout" | "net.closed" => Key::ConnectionOffline,
        // Linking, recovery and the account.
        "link_message" | "link_key" | "link_number" | "link_not_named" => Key::LinkNotGenuine,
        "link_other_server" => Key::LinkOtherServer,
        "link_order" | "link_expired" | "sdk.link_used" => Key::LinkStartOver,
        "recovery_code_malformed" => Key::RecoveryCodeMismatch,
        "reset_pending" => Key::AccountResetting,
        // Backups.
        "backup_wrong_secret" => Key::BackupWrongPassphrase,
        "backup_other_secret" => Key::BackupOtherSecret,
        "backup_secret_malformed" => Key::BackupCodeMismatch,
        "backup_weak_passphrase" => Key::BackupWeakPassphrase,
        "backup_truncated" => Key::BackupTruncated,
        "backup_not_a_backup"
        | "backup_tampered"
        | "backup_malformed"
        | "backup_weak_params"
        | "backup_costly_params"
        | "backup_too_large" => Key::BackupTampered,
        "backup_old_version" | "backup_newer_version" => Key::BackupUnsupported,
        "backup_target_not_empty" => Key::BackupNotEmpty,
        "backup_needs_account" | "backup_account_key_replaced" => Key::BackupAccountFirst,
        // Contacts.
        "verify_malformed" => Key::ScanMalformed,
        "verify_wrong_version" => Key::ScanWrongVersion,
        "verify_mismatch" => Key::ScanMismatch,
        "verification_changed" => Key::VerificationChanged,
        // A refusal of the delivery policy has the code of its reason.
        _ => return Reason::ALL.iter().find(|reason| reason.code() == code).map(|reason| reason.key()),
    })
}
