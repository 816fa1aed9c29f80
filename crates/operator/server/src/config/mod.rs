//! The server's configuration: one TOML file, then environment variables, then nothing.
//!
//! Every key has a default that suits a development machine, except that a server reachable from outside must be told its
//! `origin` and its certificate. Unknown keys are refused with the nearest known one named, because a misspelt limit that is
//! silently ignored is a limit that does not exist. No key holds a secret: keys live in files that the configuration names.
//!
//! Environment variables start with `RCSEALD_` and use two underscores between table and key
//! (`RCSEALD_LIMITS__CONNECTIONS_MAX=500`). The prefix differs from the user tool's `RCSEAL_`, so that a shell set up for
//! `rcseal` cannot change, or stop, a server started from it.
//!
//! Manual: `docs/manual/operator.md`.

mod load;
mod server_encryption;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcseal_front::net::AcceptorSettings;
use rcseal_store::StoreLimits;
use rcseal_wire::api::BLOB_LEN_MAX;
use rcseal_wire::frame::TTL_SECONDS_MAX;
use rcseal_wire::origin::Origin;
use serde::{Deserialize, Serialize};

pub use server_encryption::{RetentionClassConfig, ServerEncryptionConfig};

pub use rcseal_front::config::{ConfigError, LogConfig, LogFormat, TlsConfig};

/// The whole configuration, with every default filled in and every path absolute or relative to the working folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the server listens and what it calls itself.
    pub server: ServerConfig,
    /// Certificate and key.
    pub tls: TlsConfig,
    /// Where data lives.
    pub storage: StorageConfig,
    /// Who may register.
    pub admission: AdmissionConfig,
    /// Everything that is bounded.
    pub limits: LimitsConfig,
    /// Accounts whose owner has lost everything.
    pub reset: ResetConfig,
    /// Periodic work.
    pub jobs: JobsConfig,
    /// Waking devices that are not connected.
    pub push: PushConfig,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Messages that this server can read. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_encryption: Option<ServerEncryptionConfig>,
}

/// Table `[server]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port of the public TLS listener. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin clients sign at login, such as `https://relay.example.org`: scheme, host and, unless it is 443, the port.
    /// May be left out on a loopback address only, where it becomes `https://localhost:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Address and port of the plain-HTTP admin listener (`/metrics`, `/healthz`, `/readyz`); loopback by default so that
    /// metrics are not public. Left out: no admin listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<SocketAddr>,
}

/// Table `[storage]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// Folder of the embedded store; made when missing.
    pub path: PathBuf,
    /// Folder of blobs; `blobs` inside `path` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobs: Option<PathBuf>,
    /// Below this much free disk space new envelopes, blobs and accounts are refused; acknowledging still works, and frees some.
    pub free_bytes_min: u64,
}

/// Table `[admission]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionConfig {
    /// How new accounts are admitted.
    pub mode: AdmissionMode,
}

/// How new accounts are admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionMode {
    /// Anybody may register; for development and demos.
    Open,
    /// Only the holder of a single-use code that the operator made. The default: a server that forgets this key must not be open.
    #[default]
    Invite,
}

/// Table `[limits]`. Each default says why it is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Open connections in all. At 25 KiB per idle connection the default needs half a gigabyte.
    pub connections_max: u32,
    /// Open connections per IPv4 address or IPv6 /64. Generous, because phones share carrier NAT addresses.
    pub connections_per_address_max: u32,
    /// Time for a TLS handshake.
    pub handshake_seconds_max: u64,
    /// Time between a connection becoming idle and the next complete request head.
    pub header_seconds_max: u64,
    /// Time between two pieces of a request body, and the longest a peer may refuse to read what we write.
    pub stall_seconds_max: u64,
    /// Time requests get to finish at shutdown.
    pub shutdown_seconds_max: u64,
    /// Life of a login token.
    pub token_seconds_max: u64,
    /// Largest blob.
    pub blob_bytes_max: u64,
    /// Sum of the unexpired blobs of one account.
    pub blob_account_bytes_max: u64,
    /// Longest life of a blob.
    pub blob_age_seconds_max: u64,
    /// Messages waiting in one mailbox.
    pub mailbox_messages_max: u64,
    /// Bytes waiting in one mailbox.
    pub mailbox_bytes_max: u64,
    /// One-time prekeys handed out per target account and hour, after a burst of the same size; beyond it only last-resort keys.
    pub prekey_claims_per_hour_max: u32,
    /// Bundle requests of any kind per target account and minute.
    pub bundle_requests_per_minute_max: u32,
    /// Unauthenticated requests (links, registrations, challenges) per address and minute.
    pub anonymous_requests_per_minute_max: u32,
    /// Requests of one logged-in device per minute.
    pub device_requests_per_minute_max: u32,
    /// Recoveries and resets per account and hour that show the right key or ticket: each costs checking and storing a key set.
    pub takeovers_per_hour_max: u32,
    /// Submissions per address and second, after a burst of four times as many. Generous, because phones share carrier NAT addresses.
    pub submissions_per_second_max: u32,
    /// Open linking slots in all.
    pub link_slots_max: u32,
}

/// Table `[reset]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResetConfig {
    /// How long a reset is pending, in which any device of the account can veto. At least a day on a server that others can reach.
    pub delay_seconds: u64,
}

/// Table `[jobs]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Pause between two sweeps of expired messages, blobs and links.
    pub sweep_seconds: u64,
}

/// Table `[push]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushConfig {
    /// Seconds between two wake-ups of one device, whatever comes in between.
    pub interval_seconds: u64,
    /// The longest pause, drawn for each wake-up, between a message and the wake-up for it: the push service does not learn when messages come.
    pub jitter_millis: u64,
    /// Folder that wake-ups are written to, a file each, for a program that hands them to push services. Left out: nobody is woken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)), origin: None, admin_listen: None }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), blobs: None, free_bytes_min: StoreLimits::default().free_bytes_min }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 2_000,
            handshake_seconds_max: 10,
            header_seconds_max: 60,
            stall_seconds_max: 30,
            shutdown_seconds_max: 20,
            // Long enough that a phone in use logs in a few times an hour, short enough that a stolen token is soon worthless.
            token_seconds_max: 15 * 60,
            // The largest file that RCS file transfer commonly allows.
            blob_bytes_max: BLOB_LEN_MAX,
            blob_account_bytes_max: StoreLimits::default().account_blob_bytes_max,
            // As long as a message waits: media that outlives its message is waste, and the other way round is a loss.
            blob_age_seconds_max: u64::from(TTL_SECONDS_MAX),
            mailbox_messages_max: StoreLimits::default().mailbox_envelopes_max,
            mailbox_bytes_max: StoreLimits::default().mailbox_bytes_max,
            // A contact with many devices and a re-install stays below this; somebody draining a target's keys does not.
            prekey_claims_per_hour_max: 120,
            bundle_requests_per_minute_max: 120,
            anonymous_requests_per_minute_max: 600,
            // Twenty a second: a hundred-piece upload passes, a loop without a pause does not.
            device_requests_per_minute_max: 1_200,
            takeovers_per_hour_max: 20,
            submissions_per_second_max: 1_000,
            link_slots_max: 10_000,
        }
    }
}

impl Default for ResetConfig {
    fn default() -> Self {
        // A week: a phone that is switched off for a holiday, or a laptop that is opened at weekends, still hears of it.
        Self { delay_seconds: 7 * 24 * 3600 }
    }
}

impl Default for PushConfig {
    fn default() -> Self {
        // A phone that was woken has fetched everything long before; and push services slow down who wakes more often.
        Self { interval_seconds: 20, jitter_millis: 2_000, spool: None }
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

    /// A configuration for demonstrations and tests: loopback, a free port, open admission, everything inside `folder`.
    /// The certificate is the one that [`crate::init::write_development_identity`] leaves there.
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
            admission: AdmissionConfig { mode: AdmissionMode::Open },
            // On loopback every client has the same address.
            limits: LimitsConfig {
                connections_per_address_max: LimitsConfig::default().connections_max,
                anonymous_requests_per_minute_max: 1_000_000,
                device_requests_per_minute_max: 1_000_000,
                submissions_per_second_max: 1_000_000,
                ..LimitsConfig::default()
            },
            ..Self::default()
        }
    }

    /// Checks what types cannot: relations between values, and what a server outside loopback needs.
    pub fn validate(&self) -> Result<(), ConfigError> {
        load::validate(self)
    }

    /// Folder of blobs.
    #[must_use]
    pub fn blob_folder(&self) -> PathBuf {
        match &self.storage.blobs {
            Some(folder) => folder.clone(),
            None => self.storage.path.join("blobs"),
        }
    }
}

impl LimitsConfig {
    /// Time for a TLS handshake.
    #[must_use]
    pub fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds_max)
    }

    /// Time for a request head.
    #[must_use]
    pub fn header(&self) -> Duration {
        Duration::from_secs(self.header_seconds_max)
    }

    /// Time a peer may stall.
    #[must_use]
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds_max)
    }

    /// Time requests get at shutdown.
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds_max)
    }

    /// What the listener needs to know.
    #[must_use]
    pub fn acceptor(&self) -> AcceptorSettings {
        AcceptorSettings {
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
            handshake: self.handshake(),
            header: self.header(),
            stall: self.stall(),
        }
    }
}
