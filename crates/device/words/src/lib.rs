//! What a user is told: one catalogue of words for every state that an app shows.
//!
//! Whoever builds an app on RCSeal should not have to find out what "undecryptable, prekey gone" means, nor how to say it to somebody who
//! has never heard of a prekey. Each state has a stable [`Key`], and each key has a title, a body, a text for screen readers and a
//! [`Severity`], in every [`Language`]. The words are files that a translator can edit: `catalogue/<language>/*.toml`.
//!
//! What holds, and where it is held:
//!
//! - *No state is forgotten.* Every enum of states has [`Worded`], an exhaustive `match`: a new state does not compile before it has a key.
//! - *No words are missing.* The catalogue becomes a `match` over the keys at build time: a key without words in one language does not
//!   compile, nor do words without a key.
//! - *Nothing leaks.* No text has a place for content, a number or an id. Two placeholders exist, `{name}` and `{time}`, which the app fills
//!   in; a notification has none, because it may be read over somebody's shoulder. The tests are the lint.
//! - *Nobody is blamed, and nothing is said in our own jargon.* There is a list of words that no text may have.
//!
//! ```
//! use rcseal_engine::message::MessageState;
//! use rcseal_words::{Language, Severity, Worded, words};
//!
//! let said = words(MessageState::Stored.key(), Language::choose("de-AT"));
//! assert_eq!((said.key.as_str(), said.title, said.severity), ("message.stored", "Gesendet", Severity::Info));
//! ```
//!
//! Called by the SDK, which hands the entries to every language, and by anything else that shows a state. Never does I/O, and knows no
//! state that its users do not have. `docs/manual/words.md` is the whole catalogue in English, checked by a test.

mod error;
mod key;
mod states;

pub use error::error_key;
pub use key::{Key, Severity};
pub use states::{Worded, event_key, scan_key};

/// The placeholders that a text may have. The app puts in what the user calls a contact, and a time in the user's own form.
pub const PLACEHOLDERS: [&str; 2] = ["name", "time"];

/// A language of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// Its tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language of a tag, as phones name them: `de`, `de-AT`, `de_CH`. English where there is no other.
    #[must_use]
    pub fn choose(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary)).unwrap_or(Self::English)
    }
}

/// What is said about one state in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The state.
    pub key: Key,
    /// A few words, for a list or a headline.
    pub title: &'static str,
    /// A sentence or two: what happened, what it means, what to do.
    pub body: &'static str,
    /// What a screen reader says in place of an icon, or of title and body.
    pub accessibility: &'static str,
    /// How serious it is.
    pub severity: Severity,
}

impl Words {
    /// The placeholders in any of the texts, in the order of [`PLACEHOLDERS`].
    pub fn placeholders(&self) -> impl Iterator<Item = &'static str> {
        let texts = [self.title, self.body, self.accessibility];
        PLACEHOLDERS.into_iter().filter(move |name| texts.iter().any(|text| text.contains(&format!("{{{name}}}"))))
    }
}

/// The words for a state.
#[must_use]
pub const fn words(key: Key, language: Language) -> Words {
    let Text { title, body, accessibility } = match language {
        Language::English => en(key),
        Language::German => de(key),
    };
    Words { key, title, body, accessibility, severity: key.severity() }
}

struct Text {
    title: &'static str,
    body: &'static str,
    accessibility: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));
