//! Reading an operator's configuration: one TOML file, then environment variables, then nothing; and the tables that every server has.
//!
//! Unknown keys are refused with the nearest known one named, because a misspelt limit that is silently ignored is a limit that does not
//! exist. No key holds a secret: keys live in files that the configuration names. A server defines its own type with
//! `#[serde(deny_unknown_fields, default)]`, and checks the relations between its values itself.

mod error;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use error::ConfigError;

/// Below this similarity a suggestion is noise.
const NEAREST_SIMILARITY_MIN: f64 = 0.6;

/// Table `[tls]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM file with the certificate chain, leaf first. A server's `init` writes one for development.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of the leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PathBuf>,
    /// PEM file with the certificate authority that development clients should trust. Only ever shown, never used by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
}

/// Table `[log]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A `tracing` filter such as `info` or `rcseal_server=debug,info`.
    pub filter: String,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            // The storage engine tells of its housekeeping at this level, which is nobody's news.
            filter: "info,fjall=warn,lsm_tree=warn".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl TlsConfig {
    /// Whether both files are named.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.certificate.is_none() {
            return Err(ConfigError::TlsMissing { key: "tls.certificate" });
        }
        if self.private_key.is_none() {
            return Err(ConfigError::TlsMissing { key: "tls.private_key" });
        }
        Ok(())
    }

    /// Makes its paths relative to `folder`.
    pub fn anchor(&mut self, folder: &Path) {
        for path in [&mut self.certificate, &mut self.private_key, &mut self.authority].into_iter().flatten() {
            anchor(folder, path);
        }
    }
}

impl LogConfig {
    /// Whether the filter is one.
    pub fn validate(&self) -> Result<(), ConfigError> {
        tracing_subscriber::EnvFilter::try_new(&self.filter)
            .map_err(|source| ConfigError::LogFilter { filter: self.filter.clone(), source })?;
        Ok(())
    }
}

/// Reads `file`, and over it the environment variables that start with `prefix` and have two underscores between table and key.
pub fn read<T: DeserializeOwned>(file: &Path, prefix: &str) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { path: file.to_owned(), source })?;
    parse(&text, Env::prefixed(prefix).split("__"))
}

/// Parses a file's text and whatever is laid over it.
pub fn parse<T: DeserializeOwned>(text: &str, environment: impl figment::Provider) -> Result<T, ConfigError> {
    Figment::from(Toml::string(text)).merge(environment).extract().map_err(refuse)
}

/// A path in the file means "beside the file", wherever the server was started.
pub fn anchor(folder: &Path, path: &mut PathBuf) {
    if path.is_relative() {
        *path = folder.join(&*path);
    }
}

/// Whether every value lies in its range: key, value, smallest and largest.
pub fn within(ranges: &[(&'static str, u64, u64, u64)]) -> Result<(), ConfigError> {
    for &(key, value, min, max) in ranges {
        if !(min..=max).contains(&value) {
            return Err(ConfigError::OutOfRange { key, value, min, max });
        }
    }
    Ok(())
}

fn refuse(mut error: figment::Error) -> ConfigError {
    let Kind::UnknownField(name, known) = &error.kind else {
        // Keys as they stand in the file, without the library's own words for file and profile.
        error.metadata = error.metadata.map(|mut source| {
            if source.name == "TOML source string" {
                source.name = "the file".into();
            }
            source.interpolater(|_, keys| keys.join("."))
        });
        return ConfigError::Parse(Box::new(error));
    };
    let table = error.path.iter().filter(|part| *part != name).cloned().collect::<Vec<_>>().join(".");
    let in_table = |key: &str| if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    let nearest = known
        .iter()
        .map(|key| (strsim::jaro_winkler(key, name), *key))
        .filter(|(similarity, _)| *similarity >= NEAREST_SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| in_table(key));
    ConfigError::UnknownKey { key: in_table(name), nearest }
}
