//! libsignal: where it is installed, and the runner that drives it.
//!
//! Its licence is AGPL-3.0, so it stays outside: installed by the package manager of Node into the cache folder, started as a
//! process, never vendored, linked or shipped. No lock file is kept, because it would name where packages come from; the
//! version of the one direct dependency is exact.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{InteropError, Options};
use crate::process::{cargo, run};
use crate::workspace::{Workspace, cache_folder};

/// The peer's files, relative to the workspace.
const SOURCE: &str = "xtask/peers/libsignal";
const FILES: [&str; 2] = ["package.json", "peer.mjs"];
/// What the installed package is recognised by.
const INSTALLED: &str = "node_modules/@signalapp/libsignal-client/package.json";
/// Where the runner looks for the peer.
const PEER_FOLDER: &str = "RCSEAL_PEER_LIBSIGNAL";
const RECORDING: &str = "vectors/signal/libsignal-v4.json";

/// The first program that is needed and does not answer.
pub(crate) fn missing_program() -> Option<&'static str> {
    ["node", "npm"].into_iter().find(|program| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        !command.status().is_ok_and(|status| status.success())
    })
}

/// Puts the peer's files into place and installs the package beside them. The folder is named after the version, so that
/// another version never meets an old installation.
pub(super) fn install(workspace: &Workspace) -> Result<PathBuf, InteropError> {
    if let Some(program) = missing_program() {
        return Err(InteropError::Missing { program });
    }
    let manifest = workspace.read(&format!("{SOURCE}/package.json"))?;
    let folder = cache_folder().join("peers").join(format!("libsignal-{}", version(&manifest)));
    std::fs::create_dir_all(&folder).map_err(|source| InteropError::File { path: folder.clone(), source })?;
    for file in FILES {
        let path = folder.join(file);
        std::fs::write(&path, workspace.read(&format!("{SOURCE}/{file}"))?)
            .map_err(|source| InteropError::File { path, source })?;
    }
    if !folder.join(INSTALLED).is_file() {
        let mut command = Command::new("npm");
        command.current_dir(&folder).args(["install", "--no-audit", "--no-fund", "--no-package-lock"]);
        // Standard output belongs to the report.
        command.stdout(Stdio::null());
        if !run(&mut command)?.success() {
            return Err(InteropError::Install);
        }
    }
    Ok(folder)
}

/// The exact version that the manifest asks for.
fn version(manifest: &str) -> &str {
    manifest
        .split_once("\"@signalapp/libsignal-client\": \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("unknown", |(version, _)| version)
}

/// The test target that drives the peer.
pub(super) fn runner(workspace: &Workspace, target: &Path, folder: &Path, options: Options) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root).env("CARGO_TARGET_DIR", target).env(PEER_FOLDER, folder).args([
        "test",
        "--quiet",
        "--locked",
        "--package",
        "rcseal-signal",
        "--features",
        // The same features as the part `features` builds with, so that nothing is compiled twice.
        "signal-v4,rcseal-crypto/portable",
        "--test",
        "interop",
        "--",
        "--json",
        "--messages",
        &options.messages.to_string(),
        "--seed",
        &options.seed.to_string(),
    ]);
    if options.record {
        command.arg("--record").arg(workspace.root.join(RECORDING));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_named_after_the_exact_version() {
        assert_eq!(version(r#"{ "dependencies": { "@signalapp/libsignal-client": "1.2.3" } }"#), "1.2.3");
        assert_eq!(version("{}"), "unknown");
    }
}
