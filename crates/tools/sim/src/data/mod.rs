//! The worlds of the carrier matrix, as data.
//!
//! Four files in `data/` are built into the program: carriers, platforms, client versions, states. This module is their types; each refuses
//! keys that it does not know, so that a misspelt setting is an error and not a run that tests something else. `data/README.md` says
//! what every key means.

mod carriers;
mod phones;

use std::collections::BTreeSet;

use serde::Deserialize;

pub use carriers::{
    Capabilities, CarrierProfile, DropAnswer, Expectation, LineEnds, MediaTypes, Place, Step, Transfer, Transport,
};
pub use phones::{Background, Event, FallbackWord, KeyVaultKind, Platform, Push, RcsAccess, State, System, Version};

const CARRIERS: &str = include_str!("../../data/carriers.toml");
const PLATFORMS: &str = include_str!("../../data/platforms.toml");
const VERSIONS: &str = include_str!("../../data/versions.toml");
const STATES: &str = include_str!("../../data/states.toml");

/// Everything that the files say.
#[derive(Debug, Clone)]
pub struct World {
    /// Networks.
    pub carriers: Vec<CarrierProfile>,
    /// Kinds of phones.
    pub platforms: Vec<Platform>,
    /// What runs on phones.
    pub versions: Vec<Version>,
    /// What is the matter with them.
    pub states: Vec<State>,
}

/// Why a file of worlds is none.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It is not of the form.
    #[error("{file} is not of its form")]
    Form {
        /// Which.
        file: &'static str,
        /// Where, and what.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A name twice, or one that has no place in a report.
    #[error("{file} has {name:?} twice, or it is no name")]
    Name {
        /// Which.
        file: &'static str,
        /// The name.
        name: String,
    },
    /// A state names a version that is not there.
    #[error("the state {state:?} is of the unknown version {version:?}")]
    Version {
        /// The state.
        state: String,
        /// The version.
        version: String,
    },
    /// There is nothing of that name.
    #[error("there is no {what} called {name:?}")]
    Unknown {
        /// A carrier, a platform, a state.
        what: &'static str,
        /// The name.
        name: String,
    },
}

impl DataError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "sim_data_form",
            Self::Name { .. } => "sim_data_name",
            Self::Version { .. } => "sim_data_version",
            Self::Unknown { .. } => "sim_data_unknown",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Carriers {
    carrier: Vec<CarrierProfile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Platforms {
    platform: Vec<Platform>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Versions {
    version: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct States {
    state: Vec<State>,
}

fn read<'a, T: Deserialize<'a>>(file: &'static str, text: &'a str) -> Result<T, DataError> {
    toml::from_str(text).map_err(|source| DataError::Form { file, source: Box::new(source) })
}

fn check_names<'a>(file: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), DataError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_name || !seen.insert(name) {
            return Err(DataError::Name { file, name: name.to_owned() });
        }
    }
    Ok(())
}

/// Reads carriers out of a text of the form of `data/carriers.toml`.
///
/// # Errors
/// [`DataError`].
pub fn parse_carriers(text: &str) -> Result<Vec<CarrierProfile>, DataError> {
    let carriers = read::<Carriers>("carriers.toml", text)?.carrier;
    check_names("carriers.toml", carriers.iter().map(|carrier| carrier.name.as_str()))?;
    Ok(carriers)
}

impl World {
    /// The built-in world.
    ///
    /// # Errors
    /// [`DataError`]; a test keeps the built-in files from being wrong.
    pub fn load() -> Result<Self, DataError> {
        let carriers = parse_carriers(CARRIERS)?;
        let platforms = read::<Platforms>("platforms.toml", PLATFORMS)?.platform;
        let versions = read::<Versions>("versions.toml", VERSIONS)?.version;
        let states = read::<States>("states.toml", STATES)?.state;
        check_names("platforms.toml", platforms.iter().map(|platform| platform.name.as_str()))?;
        check_names("versions.toml", versions.iter().map(|version| version.name.as_str()))?;
        check_names("states.toml", states.iter().map(|state| state.name.as_str()))?;
        let known: BTreeSet<&str> = versions.iter().map(|version| version.name.as_str()).collect();
        if let Some(state) = states.iter().find(|state| !known.contains(state.version.as_str())) {
            return Err(DataError::Version { state: state.name.clone(), version: state.version.clone() });
        }
        Ok(Self { carriers, platforms, versions, states })
    }

    /// A carrier by its name.
    ///
    /// # Errors
    /// [`DataError::Unknown`].
    pub fn carrier(&self, name: &str) -> Result<&CarrierProfile, DataError> {
        let found = self.carriers.iter().find(|carrier| carrier.name == name);
        found.ok_or_else(|| DataError::Unknown { what: "carrier", name: name.to_owned() })
    }

    /// The version that a state is of.
    #[must_use]
    pub fn version_of(&self, state: &State) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == state.version)
    }
}
