//! Table `[server_encryption]`: messages that this server can read. Left out, there are none.

use std::path::{Path, PathBuf};

use rcseal_front::config::{ConfigError, anchor, within};
use rcseal_store::StoreLimits;
use rcseal_wire::api::retained::{RETENTION_CLASSES_MAX, is_class_name};
use rcseal_wire::id::TenantId;
use serde::{Deserialize, Serialize};

/// The longest that anything is kept: a century is for archives, which this is not.
const DAYS_MAX: u64 = 36_500;
/// Characters of a tenant's name, a label and a region.
const TEXT_LEN_MAX: usize = 64;

/// Table `[server_encryption]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerEncryptionConfig {
    /// The tenant's id: 16 bytes, base64url. Fixed for ever, because every sealing covers it.
    pub tenant: TenantId,
    /// The tenant's name, which apps show as who can read.
    pub tenant_name: String,
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    /// The label of the token that holds the key.
    pub token: String,
    /// A file with the token's PIN and nothing else.
    pub pin_file: PathBuf,
    /// The key's label. A new label means a new key, which is made when there is none; old messages are opened with the old one.
    pub key_label: String,
    /// Where this server, and its key, are. A key of another region is refused.
    pub region: String,
    /// The class of messages whose senders name none.
    pub default_class: String,
    /// How long messages are kept, by class.
    pub classes: Vec<RetentionClassConfig>,
    /// How long the record of who opened what is kept. At least as long as the longest class.
    #[serde(default = "default_audit_days")]
    pub audit_days: u32,
    /// Messages kept for one account.
    #[serde(default = "default_messages_max")]
    pub account_messages_max: u64,
    /// Bytes of messages kept for one account.
    #[serde(default = "default_bytes_max")]
    pub account_bytes_max: u64,
}

/// An entry of `classes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionClassConfig {
    /// Lower-case letters, digits and hyphens.
    pub name: String,
    /// Days from the server's taking a message to its removal.
    pub days: u32,
}

/// Ten years: longer than most rules on such records ask for.
const fn default_audit_days() -> u32 {
    3_653
}

fn default_messages_max() -> u64 {
    StoreLimits::default().account_retained_messages_max
}

fn default_bytes_max() -> u64 {
    StoreLimits::default().account_retained_bytes_max
}

impl ServerEncryptionConfig {
    /// Makes its paths relative to `folder`.
    pub(super) fn anchor(&mut self, folder: &Path) {
        anchor(folder, &mut self.module);
        anchor(folder, &mut self.pin_file);
    }

    /// How long a class keeps, in days.
    #[must_use]
    pub fn days_of(&self, class: &str) -> Option<u32> {
        self.classes.iter().find(|known| known.name == class).map(|known| known.days)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let texts = [
            ("server_encryption.tenant_name", &self.tenant_name),
            ("server_encryption.token", &self.token),
            ("server_encryption.key_label", &self.key_label),
            ("server_encryption.region", &self.region),
        ];
        for (key, text) in texts {
            if text.trim().is_empty() || text.chars().count() > TEXT_LEN_MAX || text.chars().any(char::is_control) {
                return Err(ConfigError::Invalid { key, fault: "it must be one line of 1 to 64 characters" });
            }
        }
        let invalid = |fault| Err(ConfigError::Invalid { key: "server_encryption.classes", fault });
        if !(1..=RETENTION_CLASSES_MAX).contains(&self.classes.len()) {
            return invalid("there must be 1 to 16 classes");
        }
        for (at, class) in self.classes.iter().enumerate() {
            if !is_class_name(&class.name) {
                return invalid("a name has 1 to 32 lower-case letters, digits and hyphens");
            }
            if self.classes[..at].iter().any(|other| other.name == class.name) {
                return invalid("two classes have the same name");
            }
        }
        if self.days_of(&self.default_class).is_none() {
            return Err(ConfigError::Invalid {
                key: "server_encryption.default_class",
                fault: "there is no class of this name",
            });
        }
        let days: Vec<_> = self.classes.iter().map(|class| u64::from(class.days)).collect();
        for days in &days {
            within(&[("server_encryption.classes.days", *days, 1, DAYS_MAX)])?;
        }
        let longest = days.into_iter().max().unwrap_or(1);
        within(&[
            ("server_encryption.audit_days", u64::from(self.audit_days), longest, DAYS_MAX),
            ("server_encryption.account_messages_max", self.account_messages_max, 1, 100_000_000),
            ("server_encryption.account_bytes_max", self.account_bytes_max, 1, u64::MAX),
        ])
    }
}
