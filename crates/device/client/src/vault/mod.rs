//! The key vault: whoever keeps the key that wraps the store's key.
//!
//! The store is encrypted under a random 32-byte data key. The data key is never stored as it is: it is wrapped by a key that lives in a
//! [`KeyVault`] (Android Keystore, Secure Enclave, or [`SoftwareKeyVault`] where there is no hardware) and kept beside the store as opaque
//! bytes. One unwrap per start of the process; no message key ever goes through a vault.
//!
//! The vault also keeps one **generation number** per alias. The store holds the same number inside its encryption; when the two differ,
//! the store's file is older than the vault remembers, or was cloned ([`crate::store::OpenedStore`]). A vault has to keep the number where
//! a restored backup of the store does not bring it along.
//!
//! The trait is synchronous and takes bytes by value, because platforms implement it across a language border. It is called off the
//! runtime's workers and never while the store's lock is held.

mod file;
mod software;

use std::fmt;

use zeroize::Zeroizing;

pub use file::{Argon2Params, FileError, ParamsError};
pub use software::{SoftwareKeyVault, Unlock};

/// Keeps wrapping keys and generation numbers.
pub trait KeyVault: Send + Sync {
    /// Creates the wrapping key of an alias, generation 0. An alias that is there already is refused.
    ///
    /// # Errors
    /// [`VaultError`].
    fn create_wrapping_key(&self, alias: &KeyAlias) -> Result<(), VaultError>;

    /// Whether the alias has a wrapping key.
    ///
    /// # Errors
    /// [`VaultError`].
    fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, VaultError>;

    /// Wraps a data key. The answer is opaque and may be stored anywhere.
    ///
    /// # Errors
    /// [`VaultError`].
    fn wrap(&self, alias: &KeyAlias, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultError>;

    /// Unwraps what [`KeyVault::wrap`] answered.
    ///
    /// # Errors
    /// [`VaultError`].
    fn unwrap(&self, alias: &KeyAlias, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError>;

    /// Deletes the wrapping key and its generation. What it wrapped is lost, which is how a store is erased for good.
    ///
    /// # Errors
    /// [`VaultError`].
    fn delete(&self, alias: &KeyAlias) -> Result<(), VaultError>;

    /// Where the wrapping key lives.
    fn level(&self) -> ProtectionLevel;

    /// The generation number.
    ///
    /// # Errors
    /// [`VaultError`].
    fn generation(&self, alias: &KeyAlias) -> Result<u64, VaultError>;

    /// Adds one to the generation number, durably, and answers the new one.
    ///
    /// # Errors
    /// [`VaultError`].
    fn bump_generation(&self, alias: &KeyAlias) -> Result<u64, VaultError>;
}

/// Where a wrapping key lives, so that an app can show it and a policy can ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtectionLevel {
    /// In a file, under a passphrase or beside it. Whoever copies the files and learns the passphrase has the key.
    Software,
    /// Android: the trusted execution environment.
    Tee,
    /// Android: a discrete secure element.
    StrongBox,
    /// iOS: the Secure Enclave.
    SecureEnclave,
}

impl ProtectionLevel {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Tee => "tee",
            Self::StrongBox => "strongbox",
            Self::SecureEnclave => "secure_enclave",
        }
    }
}

/// Names one wrapping key in a vault: 1 to 64 of `a-z`, `0-9` and `-`, so that it can be a file name on every system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyAlias(String);

/// The text is no alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key alias is 1 to 64 of a-z, 0-9 and -")]
pub struct AliasError;

impl KeyAlias {
    /// Checks the text.
    ///
    /// # Errors
    /// [`AliasError`] when it is empty, too long, or has another character.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(AliasError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The alias of a client's store.
    #[must_use]
    pub fn store() -> Self {
        Self("store".to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a vault did not answer.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The passphrase does not open the vault. A vault file that somebody altered looks the same.
    #[error("the passphrase does not open the key vault")]
    WrongPassphrase,
    /// The system wants the user to unlock the phone or to authenticate first.
    #[error("the user has not authenticated")]
    UserNotAuthenticated,
    /// The wrapping key is not the one that was used, or the system has discarded it. The store cannot be read any more.
    #[error("the wrapping key is no longer valid")]
    KeyInvalidated,
    /// There is no wrapping key under this alias.
    #[error("the key vault has no key under this alias")]
    NotFound,
    /// There is one already.
    #[error("the key vault has a key under this alias already")]
    AlreadyExists,
    /// The secure hardware does not answer.
    #[error("the secure hardware is not available")]
    HardwareUnavailable,
    /// The vault did not answer in time. The call may still come to an end, unheard.
    #[error("the key vault did not answer in time")]
    Timeout,
    /// The vault's file is not one, or of a version this program does not know.
    #[error("the key vault's file cannot be read")]
    File(#[source] FileError),
    /// The file system refused.
    #[error("the key vault's files cannot be reached")]
    Io(#[source] std::io::Error),
    /// A platform's vault failed in a way of its own.
    #[error("the key vault failed")]
    Unexpected(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl VaultError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPassphrase => "vault.wrong_passphrase",
            Self::UserNotAuthenticated => "vault.user_not_authenticated",
            Self::KeyInvalidated => "vault.key_invalidated",
            Self::NotFound => "vault.not_found",
            Self::AlreadyExists => "vault.already_exists",
            Self::HardwareUnavailable => "vault.hardware_unavailable",
            Self::Timeout => "vault.timeout",
            Self::File(_) => "vault.file",
            Self::Io(_) => "vault.io",
            Self::Unexpected(_) => "vault.unexpected",
        }
    }

    /// Whether asking again later may help without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::UserNotAuthenticated | Self::HardwareUnavailable | Self::Timeout | Self::Io(_))
    }
}
