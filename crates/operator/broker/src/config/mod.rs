//! The broker's configuration: one TOML file, then environment variables, then nothing.
//!
//! What would cost the operator money or trust is off until it is asked for: no number can be claimed before `numbers.served` names a
//! beginning, and no account can enrol before a relay is listed. Unknown keys are refused. No key holds a secret: keys live in files that
//! the configuration names.
//!
//! Environment variables start with `RCSEAL_BROKER_` and use two underscores between table and key
//! (`RCSEAL_BROKER_LIMITS__CONNECTIONS_MAX=500`).
//!
//! Manual: `docs/manual/broker.md`.

mod limits;
mod load;
mod numbers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rcseal_store::StoreLimits;
use rcseal_wire::origin::Origin;
use serde::{Deserialize, Serialize};

pub use crate::business::config::{
    AgentConfig, BusinessConfig, HttpSmsConfig, RbmAgentConfig, SinchAgentConfig, SmppConfig, SmsConfig, TenantConfig,
    TenantSmsConfig,
};
pub use crate::forward::config::{ForwardConfig, TrunkConfig, TrunkMsrpConfig, TrunkWire};
pub use limits::{CodesConfig, LimitsConfig, LookupsConfig};
pub use numbers::{NumbersConfig, Prefix, PrefixError};
pub use rcseal_front::config::{ConfigError, LogConfig, LogFormat, TlsConfig};

/// The whole configuration, with every default filled in and every path absolute or relative to the working folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the broker listens and what it calls itself.
    pub server: ServerConfig,
    /// Certificate and key.
    pub tls: TlsConfig,
    /// Where data lives.
    pub storage: StorageConfig,
    /// The key that countersigns.
    pub signing: SigningConfig,
    /// The relays whose accounts can enrol.
    pub relays: Vec<RelayConfig>,
    /// Which numbers can be claimed, and for how long a mapping is good.
    pub numbers: NumbersConfig,
    /// One-time codes.
    pub codes: CodesConfig,
    /// Look-ups.
    pub lookups: LookupsConfig,
    /// The way between carriers and mailboxes.
    pub forward: ForwardConfig,
    /// The SMS gateway, for codes and for SMS in a message's place.
    pub sms: SmsConfig,
    /// Business messages.
    pub business: BusinessConfig,
    /// Everything else that is bounded.
    pub limits: LimitsConfig,
    /// Periodic work.
    pub jobs: JobsConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Table `[server]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port of the public TLS listener. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin clients sign at login, such as `https://broker.example.org`. May be left out on a loopback address only, where it
    /// becomes `https://localhost:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Address and port of the plain-HTTP admin listener (`/metrics`, `/healthz`, `/readyz`). Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<SocketAddr>,
}

/// Table `[storage]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// Folder of the embedded store; made when missing. Never a relay's.
    pub path: PathBuf,
    /// Below this much free disk space whatever adds rows is refused.
    pub free_bytes_min: u64,
}

/// Table `[signing]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigningConfig {
    /// File with the seed of the countersigning key, in base64url; `rcseal-broker init` makes one. Whoever has it can countersign. Losing
    /// it makes this another broker for every client.
    pub key: PathBuf,
}

/// One of `[[relays]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// The relay's origin.
    pub origin: Origin,
    /// PEM file with the authorities that may vouch for it, such as the system's bundle.
    pub authority: PathBuf,
}

/// Table `[jobs]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Pause between two sweeps: notices to send, waits that end, claims and counters to forget.
    pub sweep_seconds: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8446)), origin: None, admin_listen: None }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), free_bytes_min: StoreLimits::default().free_bytes_min }
    }
}

impl Default for SigningConfig {
    fn default() -> Self {
        Self { key: PathBuf::from(crate::init::SIGNING_KEY_FILE) }
    }
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { sweep_seconds: 60 }
    }
}

impl Config {
    /// Reads `file` and the environment, checks every value, and makes paths relative to the file's folder.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        load::load(file)
    }

    /// A configuration for demonstrations and tests: loopback, a free port, everything inside `folder`, which
    /// [`crate::init::write_development_identity`] has prepared. Add relays and served numbers.
    #[must_use]
    pub fn development(folder: &Path) -> Self {
        Self {
            server: ServerConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                origin: None,
                admin_listen: None,
            },
            tls: TlsConfig {
                certificate: Some(folder.join(crate::init::CERTIFICATE_FILE)),
                private_key: Some(folder.join(crate::init::PRIVATE_KEY_FILE)),
                authority: Some(folder.join(crate::init::AUTHORITY_FILE)),
            },
            storage: StorageConfig { path: folder.join("data"), ..StorageConfig::default() },
            signing: SigningConfig { key: folder.join(crate::init::SIGNING_KEY_FILE) },
            // On loopback every client has the same address.
            limits: LimitsConfig {
                connections_per_address_max: LimitsConfig::default().connections_max,
                anonymous_requests_per_minute_max: 1_000_000,
                device_requests_per_minute_max: 1_000_000,
                ..LimitsConfig::default()
            },
            codes: CodesConfig { per_address_day_max: 1_000_000, ..CodesConfig::default() },
            lookups: LookupsConfig { per_address_day_max: 1_000_000, ..LookupsConfig::default() },
            ..Self::default()
        }
    }

    /// Checks what types cannot: relations between values, and what a broker outside loopback needs.
    pub fn validate(&self) -> Result<(), ConfigError> {
        load::validate(self)
    }
}
