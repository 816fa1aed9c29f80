//! A key vault that is written in JavaScript.

use napi::Status;
use napi::bindgen_prelude::{Buffer, Promise};
use napi::threadsafe_function::ThreadsafeFunction;
use napi_derive::napi;
use zeroize::Zeroize;

use crate::runtime::runtime;
use crate::vault::{KeyProtection, KeyVault, VaultError};

/// What the vault is asked. The layer in TypeScript hands it to the app's object.
#[napi(object)]
pub struct VaultRequest {
    /// The name of the call, as in `KeyVault`.
    pub method: String,
    /// The alias; empty where the call has none.
    pub alias: String,
    /// The data key to wrap, or the wrapped one.
    pub data: Option<Buffer>,
}

/// What it answers: an error, or the one field that the call is for.
#[napi(object)]
pub struct VaultAnswer {
    /// Which of `VaultError`; anything unknown is unexpected.
    pub error: Option<String>,
    /// A truth.
    pub flag: Option<bool>,
    /// A generation.
    pub generation: Option<f64>,
    /// A wrapped data key, or the data key.
    pub data: Option<Buffer>,
    /// Where the key lives.
    pub protection: Option<String>,
}

/// Hands a request to Node's thread. It does not keep the process alive by itself.
pub(super) type AskVault = ThreadsafeFunction<VaultRequest, Promise<VaultAnswer>, VaultRequest, Status, false, true>;

/// The vault.
pub(super) struct NodeVault(pub(super) AskVault);

impl NodeVault {
    /// Asks and waits. Called on the vault's own thread ([`crate::vault`]), which limits how long that may take.
    fn ask(&self, method: &str, alias: String, data: Option<Vec<u8>>) -> Result<VaultAnswer, VaultError> {
        let request = VaultRequest { method: method.to_owned(), alias, data: data.map(Buffer::from) };
        let runtime = runtime().map_err(|_| unexpected())?;
        let answer = runtime.block_on(async { self.0.call_async(request).await?.await }).map_err(|_| unexpected())?;
        match answer.error.as_deref() {
            None => Ok(answer),
            Some("user_not_authenticated") => Err(VaultError::UserNotAuthenticated),
            Some("key_invalidated") => Err(VaultError::KeyInvalidated),
            Some("not_found") => Err(VaultError::NotFound),
            Some("already_exists") => Err(VaultError::AlreadyExists),
            Some("hardware_unavailable") => Err(VaultError::HardwareUnavailable),
            Some(_) => Err(unexpected()),
        }
    }

    fn data(&self, method: &str, alias: String, data: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        let mut answered = self.ask(method, alias, Some(data))?.data.ok_or_else(unexpected)?;
        let taken = answered.to_vec();
        // The buffer is the layer's own copy; its bytes are not left to the garbage collector.
        answered.as_mut().zeroize();
        Ok(taken)
    }

    fn number(&self, method: &str, alias: String) -> Result<u64, VaultError> {
        let number = self.ask(method, alias, None)?.generation.ok_or_else(unexpected)?;
        super::whole("generation", number).map_err(|_| unexpected())
    }
}

impl KeyVault for NodeVault {
    fn create_wrapping_key(&self, alias: String) -> Result<(), VaultError> {
        self.ask("createWrappingKey", alias, None).map(|_| ())
    }

    fn has_wrapping_key(&self, alias: String) -> Result<bool, VaultError> {
        self.ask("hasWrappingKey", alias, None)?.flag.ok_or_else(unexpected)
    }

    fn wrap(&self, alias: String, data_key: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        self.data("wrap", alias, data_key)
    }

    fn unwrap(&self, alias: String, wrapped: Vec<u8>) -> Result<Vec<u8>, VaultError> {
        self.data("unwrap", alias, wrapped)
    }

    fn delete(&self, alias: String) -> Result<(), VaultError> {
        self.ask("delete", alias, None).map(|_| ())
    }

    fn protection(&self) -> Result<KeyProtection, VaultError> {
        match self.ask("protection", String::new(), None)?.protection.as_deref() {
            Some("software") => Ok(KeyProtection::Software),
            Some("tee") => Ok(KeyProtection::Tee),
            Some("strong_box") => Ok(KeyProtection::StrongBox),
            Some("secure_enclave") => Ok(KeyProtection::SecureEnclave),
            _ => Err(unexpected()),
        }
    }

    fn generation(&self, alias: String) -> Result<u64, VaultError> {
        self.number("generation", alias)
    }

    fn bump_generation(&self, alias: String) -> Result<u64, VaultError> {
        self.number("bumpGeneration", alias)
    }
}

fn unexpected() -> VaultError {
    VaultError::Unexpected { reason: "the vault threw, or answered something else".to_owned() }
}
