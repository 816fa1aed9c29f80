//! The catalogue of words for users, as apps ask for it. `docs/manual/words.md` shows all of it.
//!
//! The keys of states that the engine has come from `rcseal_words`; those of states that only the shell has are matched here, as
//! exhaustively.

use rcseal_words::{Key, Language, Severity, error_key};

use crate::error::RcsealError;

/// How loudly an app should say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum WordsSeverity {
    /// As it should be.
    Info,
    /// Worth a look; nothing is at risk.
    Notice,
    /// Something was lost, or somebody else can read, or a contact is not certain any more.
    Warning,
    /// The user should act now.
    Critical,
}

/// What is said about one state in one language.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct WordsEntry {
    /// The stable name of the state, as `message.delivered`.
    pub key: String,
    /// A few words, for a list or a headline.
    pub title: String,
    /// A sentence or two: what happened, what it means, what to do.
    pub body: String,
    /// What a screen reader says in place of an icon, or of title and body.
    pub accessibility: String,
    /// How serious it is.
    pub severity: WordsSeverity,
    /// What the app fills in: `name` stands as `{name}` in the texts, `time` as `{time}`. None in what may be a notification.
    pub placeholders: Vec<String>,
}

fn entry(key: Key, language: Language) -> WordsEntry {
    let said = rcseal_words::words(key, language);
    WordsEntry {
        key: key.as_str().to_owned(),
        title: said.title.to_owned(),
        body: said.body.to_owned(),
        accessibility: said.accessibility.to_owned(),
        severity: match said.severity {
            Severity::Info => WordsSeverity::Info,
            Severity::Notice => WordsSeverity::Notice,
            Severity::Warning => WordsSeverity::Warning,
            Severity::Critical => WordsSeverity::Critical,
        },
        placeholders: said.placeholders().map(str::to_owned).collect(),
    }
}

fn unknown(name: &'static str) -> RcsealError {
    RcsealError::invalid("words.unknown_key", name)
}

/// The tags of the languages that there are words in.
///
/// # Errors
/// None so far.
#[uniffi::export]
pub fn words_languages() -> Result<Vec<String>, RcsealError> {
    Ok(Language::ALL.iter().map(|language| language.tag().to_owned()).collect())
}

/// The words of a key, in the language of a tag as phones name them (`de-AT`), or in English. The code of an error is taken for a key, too;
/// errors that are no user's matter have no words.
///
/// # Errors
/// `words.unknown_key`.
#[uniffi::export]
pub fn words(key: String, language: String) -> Result<WordsEntry, RcsealError> {
    let key =
        Key::parse(&key).or_else(|| error_key(&key)).ok_or_else(|| unknown("there are no words under this key"))?;
    Ok(entry(key, Language::choose(&language)))
}

/// Every entry, in the order of the catalogue: for an app that puts them into resources of its own.
///
/// # Errors
/// None so far.
#[uniffi::export]
pub fn all_words(language: String) -> Result<Vec<WordsEntry>, RcsealError> {
    let language = Language::choose(&language);
    Ok(Key::ALL.iter().map(|key| entry(*key, language)).collect())
}

/// The words for the state of a message, as messages name it, with the code of its reason where it failed.
///
/// # Errors
/// `words.unknown_key`.
#[uniffi::export]
pub fn words_for_message(state: String, reason: Option<String>, language: String) -> Result<WordsEntry, RcsealError> {
    let state = state.to_ascii_lowercase();
    let name = match (state.as_str(), reason.as_deref()) {
        // The one code that is named otherwise in the catalogue.
        ("failed", Some("server_key_destroyed")) => "failed.server_key_gone".to_owned(),
        ("failed", Some(reason)) => format!("failed.{reason}"),
        _ => format!("message.{state}"),
    };
    words(name, language)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcseal_client::client::Status;
    use rcseal_client::vault::ProtectionLevel;
    use rcseal_engine::message::FailureReason;
    use rcseal_words::Worded as _;

    use super::*;

    /// The key for how a client stands with its server.
    const fn status_key(status: Status) -> Key {
        match status {
            Status::Stopped => Key::ConnectionStopped,
            Status::Connecting => Key::ConnectionConnecting,
            Status::Delivering => Key::ConnectionDelivering,
            Status::Online => Key::ConnectionOnline,
            Status::Offline { code: _ } => Key::ConnectionOffline,
        }
    }

    /// The key for where the wrapping key lives.
    const fn protection_key(level: ProtectionLevel) -> Key {
        match level {
            ProtectionLevel::Software => Key::VaultSoftware,
            ProtectionLevel::Tee => Key::VaultTee,
            ProtectionLevel::StrongBox => Key::VaultStrongBox,
            ProtectionLevel::SecureEnclave => Key::VaultSecureEnclave,
        }
    }

    #[test]
    fn every_state_of_the_shell_has_words() {
        let states =
            [Status::Stopped, Status::Connecting, Status::Delivering, Status::Online, Status::Offline { code: "x" }];
        for state in states {
            assert_eq!(status_key(state).group(), "connection");
        }
        let levels = [
            ProtectionLevel::Software,
            ProtectionLevel::Tee,
            ProtectionLevel::StrongBox,
            ProtectionLevel::SecureEnclave,
        ];
        for level in levels {
            assert_eq!(protection_key(level).group(), "vault");
        }
    }

    #[test]
    fn a_message_has_the_words_of_its_state_and_reason() {
        let said = words_for_message("Delivered".into(), None, "de".into()).unwrap();
        assert_eq!((said.key.as_str(), said.title.as_str()), ("message.delivered", "Zugestellt"));
        let reasons = [
            FailureReason::Refused,
            FailureReason::Expired,
            FailureReason::Rejected,
            FailureReason::NoKeys,
            FailureReason::NotAllowed,
            FailureReason::Unconfirmed,
            FailureReason::ServerKeyGone,
            FailureReason::RegionMismatch,
            FailureReason::RetentionUnknown,
        ];
        for reason in reasons {
            let said = words_for_message("failed".into(), Some(reason.code().into()), "en".into()).unwrap();
            assert_eq!(said.key, reason.key().as_str());
        }
        let lost = words_for_message("lost".into(), None, "en".into()).unwrap_err();
        assert_eq!(lost.code(), "words.unknown_key");
    }

    #[test]
    fn the_code_of_an_error_leads_to_its_words() {
        let key = |code: &str| words(code.into(), "en".into()).map(|said| said.key);
        assert_eq!(key("backup_wrong_secret").unwrap(), "backup.wrong_passphrase");
        assert_eq!(key("store.in_use").unwrap(), "store.in_use");
        assert_eq!(key("vault.not_found").unwrap(), "vault.invalidated");
        assert_eq!(key("argument_malformed").unwrap_err().code(), "words.unknown_key");
    }

    #[test]
    fn all_words_are_there_in_every_language() {
        for language in words_languages().unwrap() {
            let all = all_words(language.clone()).unwrap();
            assert_eq!(all.len(), Key::ALL.len());
            assert_eq!(words(all[0].key.clone(), language).unwrap(), all[0]);
        }
    }
}
