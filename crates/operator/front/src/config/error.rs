//! Why a configuration is refused.

use std::path::PathBuf;

/// Why a configuration is refused. The text is for the operator and names the key, the value's fault and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    Read {
        /// The file named on the command line.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}`{}", match .nearest { Some(known) => format!("; did you mean `{known}`?"), None => String::new() })]
    UnknownKey {
        /// The key as written, with its table.
        key: String,
        /// The nearest key that exists, when one is near.
        nearest: Option<String>,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("the configuration does not parse")]
    Parse(#[source] Box<figment::Error>),
    /// A value outside its range.
    #[error("`{key}` must be between {min} and {max}, and is {value}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// Smallest value accepted.
        min: u64,
        /// Largest value accepted.
        max: u64,
    },
    /// The origin is missing although the server is reachable from outside.
    #[error("`server.origin` is needed because {listen} is not a loopback address")]
    OriginMissing {
        /// The address the server would listen on.
        listen: std::net::SocketAddr,
    },
    /// The log filter does not parse.
    #[error("`log.filter` is {filter:?}, which is not a filter")]
    LogFilter {
        /// The value.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A key without which another makes no sense.
    #[error("`{key}` is missing")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// A value of the right type that means nothing.
    #[error("`{key}` is wrong: {fault}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// No certificate or no private key.
    #[error("`{key}` is missing; `init` writes a development certificate")]
    TlsMissing {
        /// The key that is missing.
        key: &'static str,
    },
}

impl ConfigError {
    /// Stable code for scripts and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "config.read",
            Self::UnknownKey { .. } => "config.unknown_key",
            Self::Parse(_) => "config.parse",
            Self::OutOfRange { .. } => "config.out_of_range",
            Self::OriginMissing { .. } => "config.origin_missing",
            Self::LogFilter { .. } => "config.log_filter",
            Self::Missing { .. } => "config.missing",
            Self::Invalid { .. } => "config.invalid",
            Self::TlsMissing { .. } => "config.tls_missing",
        }
    }
}
