//! A handful of named secrets that a server draws once and keeps, such as the key that authenticates its login tokens.

use async_trait::async_trait;
use rcseal_crypto::secret::Secret;

use crate::StoreError;

/// The names, closed so that two uses never share a key by a typing mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretName {
    /// Authenticates login tokens.
    LoginToken,
    /// Authenticates login nonces.
    LoginNonce,
    /// Keys the hashes of phone numbers, codes and addresses in a broker's counters and log.
    BrokerHashes,
    /// No secret: the public countersigning key under which a broker's store was made.
    BrokerKeyId,
}

impl SecretName {
    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginToken => "login-token",
            Self::LoginNonce => "login-nonce",
            Self::BrokerHashes => "broker-hashes",
            Self::BrokerKeyId => "broker-key-id",
        }
    }
}

/// The secrets.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The secret of that name; the first caller's `candidate` becomes it. Durable before it returns.
    async fn server_secret(&self, name: SecretName, candidate: Secret<32>) -> Result<Secret<32>, StoreError>;
}
