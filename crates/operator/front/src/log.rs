//! Logging: events as fields, never sentences, and ids only through [`LogId`].

use std::fmt;
use std::io::IsTerminal as _;

use rcseal_crypto::hash::sha256;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// An id as it may appear in a log: the first four bytes of a salted hash. Enough to follow one id through one log, useless to
/// look it up in a database by somebody who only has the log of another run.
pub struct LogId([u8; 4]);

impl LogId {
    /// The log form of `id`.
    #[must_use]
    pub fn of(id: &[u8]) -> Self {
        let [a, b, c, d, ..] = sha256(&[run_salt(), id]);
        Self([a, b, c, d])
    }
}

/// Random per process, so that logs of two runs cannot be joined on ids.
fn run_salt() -> &'static [u8; 16] {
    static SALT: std::sync::OnceLock<[u8; 16]> = std::sync::OnceLock::new();
    SALT.get_or_init(rand::random)
}

impl fmt::Display for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(formatter, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The filter does not parse.
#[derive(Debug, thiserror::Error)]
#[error("`log.filter` does not parse")]
pub struct LogError(#[from] tracing_subscriber::filter::ParseError);

/// Installs the process-wide subscriber, writing to standard error. Called once by the binary, never by the library.
pub fn install(config: &LogConfig) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let stderr = std::io::stderr;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr);
    // A second installation means that the embedding program has its own subscriber, which then is the one wanted.
    let _ = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_id_shows_nothing_of_the_id() {
        let id = [0xab; 16];
        let logged = LogId::of(&id).to_string();
        assert_eq!(logged.len(), 8);
        assert!(!logged.contains("abab"));
        assert_eq!(logged, LogId::of(&id).to_string());
    }
}
