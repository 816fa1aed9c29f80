//! The key vault, as apps implement it.

/// Why a vault did not answer.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum VaultError {
    /// The user has to unlock the phone or to authenticate first.
    #[error("the user has not authenticated")]
    UserNotAuthenticated,
    /// The system has discarded the key. The store cannot be read any more.
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
    /// Something else.
    #[error("the key vault failed: {reason}")]
    Unexpected {
        /// What, for developers.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for VaultError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unexpected { reason: error.reason }
    }
}

/// Where a wrapping key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum KeyProtection {
    /// In software.
    Software,
    /// Android: the trusted execution environment.
    Tee,
    /// Android: a discrete secure element.
    StrongBox,
    /// iOS: the Secure Enclave.
    SecureEnclave,
}

/// Keeps the key that wraps the store's key, and a number that a restored backup does not bring along.
#[uniffi::export(foreign)]
pub trait KeyVault: Send + Sync {
    /// Creates the wrapping key of an alias, generation 0. An alias that is there already is refused.
    fn create_wrapping_key(&self, alias: String) -> Result<(), VaultError>;
    /// Whether the alias has a wrapping key.
    fn has_wrapping_key(&self, alias: String) -> Result<bool, VaultError>;
    /// Wraps a data key. The answer is opaque and may be stored anywhere.
    fn wrap(&self, alias: String, data_key: Vec<u8>) -> Result<Vec<u8>, VaultError>;
    /// Unwraps what `wrap` answered.
    fn unwrap(&self, alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, VaultError>;
    /// Deletes the wrapping key and its generation.
    fn delete(&self, alias: String) -> Result<(), VaultError>;
    /// Where the wrapping key lives.
    fn protection(&self) -> Result<KeyProtection, VaultError>;
    /// The generation number of an alias.
    fn generation(&self, alias: String) -> Result<u64, VaultError>;
    /// Adds one to the generation number, durably, and answers the new one.
    fn bump_generation(&self, alias: String) -> Result<u64, VaultError>;
}
