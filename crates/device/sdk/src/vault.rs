//! The key vault, as apps implement it, and how it is called.
//!
//! A vault may be slow, may wait for a person, may hang for ever, and may throw what it likes. It is therefore called on one thread of its
//! own per client, one call at a time, and never under a lock. A caller waits for a limited time; a call that hangs costs that thread and
//! nothing else, and calls after it wait behind it for the same limit. What an app's exception said is not passed on.

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

/// The whole text of an unexpected exception is the app's own and may hold anything: only that there was one goes further.
impl From<uniffi::UnexpectedUniFFICallbackError> for VaultError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unexpected { reason: error.reason }
    }
}

/// Where a wrapping key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
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

#[cfg(feature = "client")]
pub(crate) use self::worker::ForeignVault;

#[cfg(feature = "client")]
mod worker {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use rcseal_client::vault::{self, KeyAlias, ProtectionLevel};
    use zeroize::Zeroizing;

    use super::{KeyProtection, KeyVault, VaultError};
    use crate::error::RcsealError;

    type Call = Box<dyn FnOnce(&dyn KeyVault) + Send>;

    /// An app's vault behind its thread.
    pub(crate) struct ForeignVault {
        calls: Sender<Call>,
        limit: Duration,
        level: ProtectionLevel,
    }

    impl ForeignVault {
        /// Starts the thread and asks where keys live. Blocks.
        pub(crate) fn start(app: Arc<dyn KeyVault>, limit: Duration) -> Result<Self, RcsealError> {
            let (calls, waiting): (_, Receiver<Call>) = channel();
            std::thread::Builder::new()
                .name("rcseal-vault".to_owned())
                .spawn(move || {
                    // Ends when the client is gone and the last call has come back.
                    while let Ok(call) = waiting.recv() {
                        call(&*app);
                    }
                })
                .map_err(|_| RcsealError::internal("sdk.runtime", "the system gives no threads"))?;
            let mut vault = Self { calls, limit, level: ProtectionLevel::Software };
            vault.level = match vault.ask(|app| app.protection()).map_err(failed)? {
                KeyProtection::Software => ProtectionLevel::Software,
                KeyProtection::Tee => ProtectionLevel::Tee,
                KeyProtection::StrongBox => ProtectionLevel::StrongBox,
                KeyProtection::SecureEnclave => ProtectionLevel::SecureEnclave,
            };
            Ok(vault)
        }

        /// One call on the vault's thread. Blocks for at most the limit.
        fn ask<T: Send + 'static>(
            &self,
            call: impl FnOnce(&dyn KeyVault) -> Result<T, VaultError> + Send + 'static,
        ) -> Result<T, vault::VaultError> {
            let (answer, answered) = channel();
            let call = move |app: &dyn KeyVault| {
                // Nobody waits any more: the answer is dropped here.
                let _ = answer.send(call(app));
            };
            // The thread ends before us only when a Rust vault panicked in it; the call that met the panic and all after it fail alike.
            self.calls.send(Box::new(call)).map_err(|_| unexpected())?;
            match answered.recv_timeout(self.limit) {
                Ok(outcome) => outcome.map_err(translated),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(vault::VaultError::Timeout),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => Err(unexpected()),
            }
        }
    }

    impl vault::KeyVault for ForeignVault {
        fn create_wrapping_key(&self, alias: &KeyAlias) -> Result<(), vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.create_wrapping_key(alias))
        }

        fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.has_wrapping_key(alias))
        }

        fn wrap(&self, alias: &KeyAlias, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.wrap(alias, data_key.to_vec()))
        }

        fn unwrap(&self, alias: &KeyAlias, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.unwrap(alias, wrapped).map(Zeroizing::new))
        }

        fn delete(&self, alias: &KeyAlias) -> Result<(), vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.delete(alias))
        }

        fn level(&self) -> ProtectionLevel {
            self.level
        }

        fn generation(&self, alias: &KeyAlias) -> Result<u64, vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.generation(alias))
        }

        fn bump_generation(&self, alias: &KeyAlias) -> Result<u64, vault::VaultError> {
            let alias = alias.as_str().to_owned();
            self.ask(move |app| app.bump_generation(alias))
        }
    }

    fn translated(error: VaultError) -> vault::VaultError {
        match error {
            VaultError::UserNotAuthenticated => vault::VaultError::UserNotAuthenticated,
            VaultError::KeyInvalidated => vault::VaultError::KeyInvalidated,
            VaultError::NotFound => vault::VaultError::NotFound,
            VaultError::AlreadyExists => vault::VaultError::AlreadyExists,
            VaultError::HardwareUnavailable => vault::VaultError::HardwareUnavailable,
            VaultError::Unexpected { .. } => unexpected(),
        }
    }

    fn unexpected() -> vault::VaultError {
        vault::VaultError::Unexpected("the app's key vault threw".into())
    }

    fn failed(error: vault::VaultError) -> RcsealError {
        RcsealError::Vault { code: error.code().to_owned(), retryable: error.is_retryable(), reason: error.to_string() }
    }
}
