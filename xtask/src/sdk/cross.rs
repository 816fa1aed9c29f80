//! `cargo xtask sdk cross`: a device in Kotlin and a device in Swift talk to each other through the real relay.
//!
//! Each is a driver (`sdk/DRIVER.md`): a program over its face that is held by lines of JSON. The conversation is the demo's first chapter,
//! and the demo is told by a file how the drivers are started: it knows no toolchain and no folder of ours. The file stays, so that
//! `rcseal demo` finds the phones from then on.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use super::swift::Built;
use super::{Kit, SdkError, kotlin};
use crate::test::{Counts, Outcome, promises};

/// What the demo looks for in the target folder's `sdk`.
const PHONES: &str = "phones.json";
/// The form of that file.
const VERSION: u32 = 1;

/// Builds both devices, and runs the demo with them.
pub(super) fn run(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let phones = build(kit)?;
    let mut demo = Command::new(kit.program("rcseal"));
    demo.args(["demo", "--engines", "phones", "--json", "--phones"]).arg(&phones);
    match promises(&mut demo)? {
        Outcome::Counted(counts) => Ok(counts),
        _ => Err(SdkError::step("rcseal demo")),
    }
}

/// Builds both devices, and writes how they are started.
fn build(kit: &Kit<'_>) -> Result<PathBuf, SdkError> {
    let swift = Built::new(kit)?;
    let android = kotlin::driver(kit)?;
    let ios = swift.program(&[], "RcsealDriver");
    let android = program(&android, &[kit.library(), kit.folder("kotlin")?])?;
    // The Swift side lives in its own tool folder, so a file has one path for each side.
    let mut ios = program(&ios, &[])?;
    ios["folder"] = json!({ "here": path(&swift.temporary)?, "there": "/tmp" });
    let file = kit.target.join("sdk").join(PHONES);
    let phones = json!({ "version": VERSION, "android": android, "ios": ios });
    fs::write(&file, format!("{phones:#}\n")).map_err(SdkError::file(&file))?;
    Ok(file)
}

/// A program as the file has it.
fn program(command: &Command, needs: &[PathBuf]) -> Result<Value, SdkError> {
    let argv = std::iter::once(command.get_program()).chain(command.get_args()).map(text);
    let mut environment = Map::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            environment.insert(text(name)?, text(value)?.into());
        }
    }
    let needs = needs.iter().map(|needed| path(needed)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "argv": argv.collect::<Result<Vec<_>, _>>()?, "env": environment, "needs": needs }))
}

fn path(path: &Path) -> Result<String, SdkError> {
    text(path.as_os_str())
}

fn text(of: &OsStr) -> Result<String, SdkError> {
    of.to_str().map(str::to_owned).ok_or_else(|| SdkError::step("a path in UTF-8"))
}
