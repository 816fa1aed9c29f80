//! How the phones' programs are started: read from a file that their build writes, so that no path of a machine is known here.
//!
//! `cargo xtask sdk cross` builds a device in Kotlin and one in Swift and writes `sdk/phones.json` into the target folder: for each side
//! what to run, with which environment, and which files it needs. Called by the demo alone. Nothing but what the file names is run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::args::Engines;
use crate::error::CliError;

/// Where the file is, from the folder of this program.
const BESIDE: &str = "../sdk/phones.json";
/// The form of the file that is read here.
const VERSION: u32 = 1;

/// Both sides.
#[derive(Debug, Deserialize)]
pub(super) struct Phones {
    version: u32,
    /// In Kotlin.
    pub(super) android: Program,
    /// In Swift.
    pub(super) ios: Program,
}

/// One side's program.
#[derive(Debug, Deserialize)]
pub(super) struct Program {
    /// The program and its arguments.
    pub(super) argv: Vec<String>,
    /// What is added to its environment.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// What has to be there for it to start.
    #[serde(default)]
    needs: Vec<PathBuf>,
    /// Where its files can be; without it, anywhere.
    #[serde(default)]
    pub(super) folder: Option<Folder>,
}

/// A folder of a program that sees the file system differently.
#[derive(Debug, Deserialize)]
pub(super) struct Folder {
    /// As this process sees it.
    pub(super) here: PathBuf,
    /// As the program sees it.
    pub(super) there: PathBuf,
}

/// The phones to play with, or none for the form that is all in Rust.
///
/// # Errors
/// [`CliError::PhonesNotBuilt`] and [`CliError::PhonesMalformed`], where they were demanded.
pub(crate) fn find(engines: Engines, file: Option<PathBuf>) -> Result<Option<Found>, CliError> {
    if engines == Engines::Rust {
        return Ok(None);
    }
    let file = file.unwrap_or_else(beside);
    match read(&file) {
        Ok(phones) => Ok(Some(Found(phones))),
        Err(CliError::PhonesNotBuilt { .. }) if engines == Engines::Auto => Ok(None),
        Err(error) => Err(error),
    }
}

/// Phones that were found.
#[derive(Debug)]
pub(crate) struct Found(pub(super) Phones);

/// Beside the folder that this program is in, where a build leaves it.
fn beside() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().unwrap_or(Path::new("")).join(BESIDE)
}

fn read(file: &Path) -> Result<Phones, CliError> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(CliError::PhonesNotBuilt { missing: file.to_owned() });
        }
        Err(source) => return Err(CliError::File { path: file.to_owned(), source }),
    };
    let malformed = || CliError::PhonesMalformed { path: file.to_owned() };
    let phones: Phones = serde_json::from_slice(&text).map_err(|_| malformed())?;
    if phones.version != VERSION || phones.android.argv.is_empty() || phones.ios.argv.is_empty() {
        return Err(malformed());
    }
    // A target folder that was cleaned in part still has the file.
    let missing = [&phones.android, &phones.ios].into_iter().find_map(|program| {
        let folder = program.folder.as_ref().map(|folder| &folder.here);
        program.needs.iter().chain(folder).find(|path| !path.exists()).cloned()
    });
    match missing {
        Some(missing) => Err(CliError::PhonesNotBuilt { missing }),
        None => Ok(phones),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phones.json");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn both_sides_are_read_with_what_they_need() {
        let text = r#"{"version":1,"android":{"argv":["java","Main"],"env":{"A":"b"}},"ios":{"argv":["driver"]}}"#;
        let (_folder, path) = file(text);
        let phones = find(Engines::Phones, Some(path)).unwrap().unwrap().0;
        assert_eq!(phones.android.argv, ["java", "Main"]);
        assert_eq!(phones.android.env["A"], "b");
        assert_eq!(phones.ios.argv, ["driver"]);
    }

    #[test]
    fn what_a_program_needs_and_is_gone_is_a_phone_that_is_not_built() {
        let text = r#"{"version":1,"android":{"argv":["java"],"needs":["no/such/classes"]},"ios":{"argv":["driver"]}}"#;
        let (_folder, path) = file(text);
        assert!(find(Engines::Auto, Some(path.clone())).unwrap().is_none());
        let refused = find(Engines::Phones, Some(path));
        assert!(
            matches!(refused, Err(CliError::PhonesNotBuilt { missing }) if missing == Path::new("no/such/classes"))
        );
    }

    #[test]
    fn a_file_of_another_form_is_refused_even_where_phones_are_not_demanded() {
        let programs = r#""android":{"argv":["java"]},"ios":{"argv":["driver"]}}"#;
        let empty = r#"{"version":1,"android":{"argv":[]},"ios":{"argv":["driver"]}}"#.to_owned();
        for text in [format!(r#"{{"version":2,{programs}"#), format!("{{{programs}"), empty, "[]".to_owned()] {
            let (_folder, path) = file(&text);
            assert!(matches!(find(Engines::Auto, Some(path)), Err(CliError::PhonesMalformed { .. })), "{text}");
        }
    }

    #[test]
    fn the_form_in_rust_looks_for_nothing() {
        let (_folder, path) = file("[]");
        assert!(find(Engines::Rust, Some(path)).unwrap().is_none());
    }
}
