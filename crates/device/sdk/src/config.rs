//! What a client is opened with.

use std::path::PathBuf;
use std::time::Duration;

use rcseal_client::net::{PIN_LEN, Proxy, Timeouts, TrustAnchors};
use rcseal_wire::origin::Origin;
use zeroize::Zeroizing;

use crate::argument::parse;
use crate::error::RcsealError;

/// How long a key vault may take where the app says nothing: as long as people need for a fingerprint.
pub(crate) const VAULT_LIMIT: Duration = Duration::from_secs(60);
/// The shortest limit: secure hardware needs some hundred milliseconds.
const VAULT_LIMIT_MIN_MS: u64 = 50;

/// A key that a server must have, beside a certificate of the authorities.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct Pin {
    /// The server, as `https://host:port`.
    pub origin: String,
    /// SHA-256 of the public key of its own certificate (SubjectPublicKeyInfo). Give two for one server while it changes its key.
    pub sha256: Vec<u8>,
}

/// Through what every server is reached: a proxy that understands CONNECT.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct ProxyConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user's name there, where it asks for one.
    #[uniffi(default = None)]
    pub user: Option<String>,
    /// And the password.
    #[uniffi(default = None)]
    pub password: Option<String>,
}

/// Where a client lives and whom it trusts.
#[derive(Debug, Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Deserialize), serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct ClientConfig {
    /// A folder for this client alone. It is made when it is not there. On phones it must be left out of the system's backups.
    pub folder: String,
    /// The authorities of every server it talks to, in PEM: one or more certificates. The system's own are never trusted.
    pub authorities_pem: String,
    /// How long the key vault may take for one call, in milliseconds; 60,000 where it is absent. Afterwards the call ends with
    /// `vault.timeout`.
    #[uniffi(default = None)]
    pub vault_timeout_ms: Option<u64>,
    /// How long servers may take to answer, in milliseconds; the client's own limits where it is absent.
    #[uniffi(default = None)]
    pub network_timeout_ms: Option<u64>,
    /// Keys that servers must have, beside a certificate of those authorities.
    #[uniffi(default = [])]
    #[cfg_attr(feature = "node", serde(default))]
    pub pins: Vec<Pin>,
    /// Through what every server is reached.
    #[uniffi(default = None)]
    pub proxy: Option<ProxyConfig>,
    /// Whether what happens is counted, for `telemetry_report`. Only with the user's own word. Nothing is sent by itself.
    #[uniffi(default = false)]
    #[cfg_attr(feature = "node", serde(default))]
    pub telemetry: bool,
    /// The Ed25519 public key of whoever may send remote configuration: 32 bytes.
    #[uniffi(default = None)]
    pub remote_config_key: Option<Vec<u8>>,
}

impl ClientConfig {
    pub(crate) fn vault_limit(&self) -> Duration {
        self.vault_timeout_ms.map_or(VAULT_LIMIT, |limit| Duration::from_millis(limit.max(VAULT_LIMIT_MIN_MS)))
    }

    pub(crate) fn to_client(&self) -> Result<rcseal_client::Config, RcsealError> {
        if self.folder.is_empty() {
            return Err(RcsealError::argument("folder"));
        }
        let trust = TrustAnchors::from_pem(self.authorities_pem.as_bytes())
            .map_err(|_| RcsealError::argument("authorities_pem"))?;
        let mut timeouts = Timeouts::default();
        if let Some(limit) = self.network_timeout_ms {
            let limit = Duration::from_millis(limit.max(1));
            timeouts.connect = limit;
            timeouts.answer = limit;
        }
        let mut config = rcseal_client::Config::new(PathBuf::from(&self.folder), trust, timeouts);
        for pin in &self.pins {
            let origin: Origin = parse("pins", &pin.origin)?;
            let digest: [u8; PIN_LEN] = pin.sha256.as_slice().try_into().map_err(|_| RcsealError::argument("pins"))?;
            config.pins = config.pins.with(origin, digest);
        }
        config.proxy = self.proxy.as_ref().map(ProxyConfig::to_client).transpose()?;
        config.telemetry = self.telemetry;
        config.remote_config_key = match &self.remote_config_key {
            Some(key) => Some(key.as_slice().try_into().map_err(|_| RcsealError::argument("remote_config_key"))?),
            None => None,
        };
        Ok(config)
    }
}

impl ProxyConfig {
    fn to_client(&self) -> Result<Proxy, RcsealError> {
        let refused = |_| RcsealError::argument("proxy");
        let proxy = Proxy::new(self.host.clone(), self.port).map_err(refused)?;
        match (&self.user, &self.password) {
            (None, None) => Ok(proxy),
            (Some(user), password) => {
                let password = Zeroizing::new(password.clone().unwrap_or_default());
                proxy.with_credentials(user, password).map_err(refused)
            }
            (None, Some(_)) => Err(RcsealError::argument("proxy")),
        }
    }
}

impl std::fmt::Debug for ProxyConfig {
    /// Without user and password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyConfig").field("port", &self.port).finish_non_exhaustive()
    }
}
