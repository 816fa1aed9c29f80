//! The lint over every text of every language.

use std::collections::BTreeSet;

use rcseal_words::{Key, Language, PLACEHOLDERS, Severity, Words, words};

/// A headline on a narrow phone, in the longest language.
const TITLE_MAX: usize = 60;
/// Three lines in a dialog.
const BODY_MAX: usize = 180;
/// What a locked screen shows before it cuts.
const NOTIFICATION_TITLE_MAX: usize = 40;
const NOTIFICATION_BODY_MAX: usize = 90;

/// Words of ours, and words that put the fault on whoever reads. In lower case; matched anywhere in a text.
const UNWANTED: [(Language, &[&str]); 2] = [
    (
        Language::English,
        &[
            "ciphertext",
            "plaintext",
            "decrypt",
            "key set",
            "prekey",
            "ratchet",
            "handshake",
            "payload",
            "envelope",
            "token",
            "relay",
            "broker",
            "session",
            "protocol",
            "endpoint",
            "mailbox",
            "hash",
            "fingerprint",
            "cryptograph",
            "authenticat",
            "sip ",
            "imdn",
            "exception",
            "error",
            "invalid",
            "illegal",
            "fatal",
            "your fault",
            "you failed",
            "you forgot",
            "you must",
            "mistake",
            "oops",
            "sorry",
            "!",
        ],
    ),
    (
        Language::German,
        &[
            "chiffr",
            "klartext",
            "entschlüssel",
            "schlüsselsatz",
            "prekey",
            "ratsche",
            "handshake",
            "nutzlast",
            "umschlag",
            "token",
            "relais",
            "relay",
            "broker",
            "sitzung",
            "protokoll",
            "endpunkt",
            "postfach",
            "hash",
            "fingerabdruck",
            "kryptograf",
            "authenti",
            "ausnahme",
            "fehler",
            "ungültig",
            "illegal",
            "fatal",
            "deine schuld",
            "du hast vergessen",
            "du musst",
            "falsch ",
            "hoppla",
            "!",
        ],
    ),
];

fn everything() -> impl Iterator<Item = (Language, Words)> {
    Language::ALL.into_iter().flat_map(|language| Key::ALL.iter().map(move |key| (language, words(*key, language))))
}

fn texts(words: &Words) -> [&'static str; 3] {
    [words.title, words.body, words.accessibility]
}

#[test]
fn every_key_has_a_name_of_its_own_that_leads_back_to_it() {
    let names: BTreeSet<_> = Key::ALL.iter().map(|key| key.as_str()).collect();
    assert_eq!(names.len(), Key::ALL.len());
    for key in Key::ALL {
        assert_eq!(Key::parse(key.as_str()), Some(*key));
        assert!(key.as_str().chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_')), "{}", key.as_str());
    }
    assert_eq!(Key::parse("message.lost"), None);
}

#[test]
fn every_text_of_every_language_is_there_and_a_sentence() {
    for (language, said) in everything() {
        let name = (language.tag(), said.key.as_str());
        assert!(texts(&said).iter().all(|text| !text.trim().is_empty() && text.trim() == *text), "{name:?}");
        assert!(!said.title.ends_with('.') && said.body.ends_with(['.', '?']), "{name:?}");
        assert!(!texts(&said).iter().any(|text| text.contains("  ")), "{name:?}");
    }
}

#[test]
fn both_languages_have_the_same_placeholders() {
    for key in Key::ALL {
        let of = |language| words(*key, language).placeholders().collect::<Vec<_>>();
        assert_eq!(of(Language::English), of(Language::German), "{}", key.as_str());
    }
}

/// A text has no place for content, a number or an id: only the two allowed placeholders, and no digits at all.
#[test]
fn no_text_has_a_place_for_what_must_not_be_shown() {
    for (language, said) in everything() {
        for text in texts(&said) {
            let name = (language.tag(), said.key.as_str(), text);
            let rest = PLACEHOLDERS.iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), ""));
            assert!(!rest.contains(['{', '}', '%', '@', '+', '<', '\n', '\\']), "{name:?}");
            assert!(!text.chars().any(|character| character.is_ascii_digit()), "{name:?}");
        }
    }
}

/// A notification is read over somebody's shoulder, and on a locked phone: not even a name.
#[test]
fn a_notification_says_nothing_of_content_number_or_sender() {
    let notifications: Vec<_> = everything().filter(|(_, said)| said.key.is_notification()).collect();
    assert_eq!(notifications.len(), 7 * Language::ALL.len());
    for (language, said) in notifications {
        let name = (language.tag(), said.key.as_str());
        assert_eq!(said.placeholders().count(), 0, "{name:?}");
        assert!(said.title.chars().count() <= NOTIFICATION_TITLE_MAX, "{name:?}");
        assert!(said.body.chars().count() <= NOTIFICATION_BODY_MAX, "{name:?}");
    }
}

#[test]
fn texts_fit_where_they_are_shown() {
    for (language, said) in everything() {
        let (title, body) = (said.title.chars().count(), said.body.chars().count());
        assert!(title <= TITLE_MAX, "{} {}: {title}", language.tag(), said.key.as_str());
        assert!(body <= BODY_MAX, "{} {}: {body}", language.tag(), said.key.as_str());
    }
}

#[test]
fn nobody_is_blamed_and_nothing_is_said_in_our_jargon() {
    for (language, said) in everything() {
        let unwanted = UNWANTED.iter().find(|(of, _)| *of == language).unwrap().1;
        for text in texts(&said) {
            let text = text.to_lowercase();
            let found = unwanted.iter().find(|word| text.contains(*word));
            assert_eq!(found, None, "{} {}: {text}", language.tag(), said.key.as_str());
        }
    }
}

/// German is not English with other words: no text was left untranslated.
#[test]
fn no_text_was_left_in_english() {
    for key in Key::ALL {
        let (english, german) = (words(*key, Language::English), words(*key, Language::German));
        assert_ne!(english.body, german.body, "{}", key.as_str());
    }
}

#[test]
fn a_language_is_chosen_as_phones_name_them() {
    for (tag, language) in [
        ("de", Language::German),
        ("de-AT", Language::German),
        ("DE_ch", Language::German),
        ("en-GB", Language::English),
        ("fr-FR", Language::English),
        ("", Language::English),
    ] {
        assert_eq!(Language::choose(tag), language, "{tag}");
    }
}

#[test]
fn what_needs_an_answer_is_the_most_serious() {
    assert_eq!(Key::AccountResetPending.severity(), Severity::Critical);
    assert_eq!(Key::ScanMismatch.severity(), Severity::Critical);
    assert_eq!(Key::VerificationChanged.severity(), Severity::Warning);
    assert_eq!(Key::MessageDelivered.severity(), Severity::Info);
}
