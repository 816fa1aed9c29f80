//! `cargo deny check` over licences, banned crates and sources, as deny.toml says.
//!
//! Advisories are not part of it: they change without any change of ours, so they are checked on their own schedule and not
//! by a test that must give the same answer tomorrow. The tool is built once per machine, beside CI's target folder.

use std::path::PathBuf;
use std::process::Command;

use super::{Context, Outcome, PartError};
use crate::process::{self, cargo, say};
use crate::workspace::cache_folder;

/// One version for everybody, so that the verdict does not depend on the day the tool was installed.
const VERSION: &str = "0.20.2";

/// Runs the part.
pub(crate) fn run(context: &Context) -> Result<Outcome, PartError> {
    let tool = tool();
    if !tool.is_file() {
        say(&format!("installing cargo-deny {VERSION} into the cache folder"));
        // A debug build takes a third of the time to make, and the check still ends within seconds.
        let mut install = cargo();
        install
            .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--root"])
            .arg(tools_folder())
            .env("CARGO_TARGET_DIR", cache_folder().join("tools-target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .current_dir(cache_folder());
        if !process::run(&mut install)?.success() {
            return Ok(Outcome::Failed("cargo-deny could not be installed".to_owned()));
        }
        // Only the program is needed; what it was built from would fill the cache.
        let _ = std::fs::remove_dir_all(cache_folder().join("tools-target"));
    }
    // Crates that are here in two versions are warnings, for whoever runs the tool by hand.
    let mut check = Command::new(&tool);
    check
        .args(["--log-level", "error", "--all-features", "--locked", "check", "licenses", "bans", "sources"])
        .current_dir(&context.workspace.root);
    if let Some(cargo) = std::env::var_os("CARGO") {
        check.env("CARGO", cargo);
    }
    Ok(if process::run(&mut check)?.success() {
        Outcome::Passed
    } else {
        Outcome::Failed("cargo deny said no".to_owned())
    })
}

fn tools_folder() -> PathBuf {
    cache_folder().join(format!("tools/cargo-deny-{VERSION}"))
}

fn tool() -> PathBuf {
    tools_folder().join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX))
}
