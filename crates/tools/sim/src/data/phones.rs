//! Kinds of phones, what runs on them, and what is the matter with them.

use serde::Deserialize;

/// A kind of phone, by stated facts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// What reports call it.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// The system.
    pub system: System,
    /// Whether there is a way into the carrier.
    pub rcs: RcsAccess,
    /// Whether an app runs while nobody looks.
    pub background: Background,
    /// Whether a push wakes it.
    pub push: Push,
    /// Who keeps the key of the store.
    pub key_vault: KeyVaultKind,
}

/// A system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Android.
    Android,
    /// iOS.
    Ios,
    /// A desktop.
    Desktop,
}

/// The way into the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RcsAccess {
    /// The phone's own stack, lent to the app.
    HostStack,
    /// None.
    None,
}

/// What an app may do while nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// It runs.
    Runs,
    /// It stands still but for one round after each wake-up.
    Suspended,
}

/// What wakes a suspended app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Push {
    /// A push for each envelope.
    Wakes,
    /// Its user.
    None,
}

/// Who keeps the key of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyVaultKind {
    /// The device.
    Hardware,
    /// The user's memory.
    Passphrase,
}

/// What runs on a phone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// What reports call it.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// Whether there is a client of ours at all.
    pub client: bool,
    /// Whether it takes frames.
    pub frames: bool,
}

/// What is the matter with the far phone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What reports call it.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// What runs there.
    pub version: String,
    /// What happens to it.
    #[serde(default)]
    pub event: Option<Event>,
    /// The sender's fallback policy; `block`, the default, where nothing is said.
    #[serde(default)]
    pub policy: FallbackWord,
    /// Whether the sender's user has found out by another way that there is no encryption at the far end.
    #[serde(default)]
    pub is_attested: bool,
    /// Whether the sender's user has agreed to messages that the carrier can read.
    #[serde(default)]
    pub has_consent: bool,
    /// Whether the sender's user has said that this conversation goes without end-to-end encryption.
    #[serde(default)]
    pub is_acknowledged: bool,
}

/// What happens to the far phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It is switched off while it is written to, and comes back.
    Offline,
    /// It loses everything and takes its account back.
    Reinstalled,
}

/// A fallback policy by its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackWord {
    /// Nothing less than end to end.
    #[default]
    Block,
    /// Find out first.
    Verify,
    /// Less, by the user's leave.
    Downgrade,
}
