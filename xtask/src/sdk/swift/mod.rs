//! The Swift face: a SwiftPM package, built and tested by Swift 6 in a folder of its own ([`toolchain`]).
//!
//! The relay of the tests runs outside that folder, as a child process of ours; its address and the certificate of its authority are
//! in the environment of the tests. What needs Apple's frameworks (the Secure Enclave, the Keychain, SwiftUI) is source that no
//! Linux compiles; the tests reach its logic through seams.

mod package;
mod symbols;
pub(crate) mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::toolchain::Toolchain;
use super::relay::Relay;
use super::{Kit, SdkError, step};
use crate::process::{run, run_lines, say};
use crate::test::Counts;

/// Where the package is inside the tool folder.
pub(super) const PACKAGE: &str = "/rcseal";

/// The package, and the tools that build it.
#[derive(Debug)]
pub(crate) struct Built {
    toolchain: Toolchain,
    package: PathBuf,
    /// `/tmp` of everything that runs inside: empty at the start of a run, and gone with the target folder.
    pub(crate) temporary: PathBuf,
}

impl Built {
    /// Builds the library, the package and its programs.
    pub(crate) fn new(kit: &Kit<'_>) -> Result<Self, SdkError> {
        let toolchain = Toolchain::ready()?;
        kit.build()?;
        let package = package::assemble(kit)?;
        let temporary = kit.folder("swift")?.join("tmp");
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(SdkError::file(&temporary))?;
        }
        fs::create_dir_all(&temporary).map_err(SdkError::file(&temporary))?;
        let built = Self { toolchain, package, temporary };
        // The command's own line is the whole way into the tool folder; an error names what was done there.
        let done = run(built.swift(&["build", "--build-tests"]).stdin(Stdio::null()))?.success();
        if done { Ok(built) } else { Err(SdkError::step("swift build")) }
    }

    /// A command inside, in the package's folder.
    pub(crate) fn command(&self, environment: &[(&str, &str)], program: &str) -> Command {
        let mounts = [(self.package.as_path(), PACKAGE), (self.temporary.as_path(), "/tmp")];
        let mut command = self.toolchain.command(&mounts, "env");
        command.arg(format!("--chdir={PACKAGE}"));
        command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(program);
        command
    }

    /// One of the package's programs.
    pub(crate) fn program(&self, environment: &[(&str, &str)], name: &str) -> Command {
        self.command(environment, &format!("{PACKAGE}/.build/debug/{name}"))
    }

    /// The target that the package was built for, as the compiler calls it: `.build/debug` leads to `.build/TARGET/debug`.
    fn target(&self) -> Result<String, SdkError> {
        let link = self.package.join(".build/debug");
        let to = fs::read_link(&link).map_err(SdkError::file(&link))?;
        let target = to.components().rev().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
        target.ok_or(SdkError::Missing { what: "a target of swift build" })
    }

    fn swift(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&[], "swift");
        command.args(arguments);
        command
    }

    /// Puts a file where programs inside find it, and answers its name there.
    pub(crate) fn hand_in(&self, file: &Path, name: &str) -> Result<String, SdkError> {
        let to = self.temporary.join(name);
        fs::copy(file, &to).map_err(SdkError::file(file))?;
        Ok(format!("/tmp/{name}"))
    }
}

/// Builds, tests, and compares the public interface with its golden file.
pub(super) fn tests(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let built = Built::new(kit)?;
    let relay = Relay::start(kit, &fresh(&kit.folder("swift")?.join("relay"))?)?;
    let authority = built.hand_in(&relay.authority, "authority.pem")?;
    let environment = [("RCSEAL_SERVER", relay.server.as_str()), ("RCSEAL_AUTHORITY", authority.as_str())];
    let mut command = built.command(&environment, "swift");
    command.args(["test", "--skip-build"]).args(&kit.rest).stdin(Stdio::null());
    let mut counts = Counts::default();
    let status = run_lines(&mut command, |line| {
        say(line);
        read_line(&mut counts, line);
    })?;
    if !status.success() && counts.failed == 0 {
        // A test that takes the process with it says nothing about itself.
        counts.failed = 1;
    }
    counts.add(&symbols::check(kit, &built)?);
    Ok(counts)
}

/// The program that measures, optimised, which sees a folder of ours under its own name.
pub(super) fn bench(kit: &Kit<'_>, folder: &Path) -> Result<Command, SdkError> {
    let built = Built::new(kit)?;
    let mut build = built.swift(&["build", "-c", "release", "--product", "RcsealBench"]);
    if !run(build.stdin(Stdio::null()))?.success() {
        return Err(SdkError::step("swift build -c release"));
    }
    let name = folder.to_string_lossy();
    let mounts = [(built.package.as_path(), PACKAGE), (built.temporary.as_path(), "/tmp"), (folder, name.as_ref())];
    let mut command = built.toolchain.command(&mounts, &format!("{PACKAGE}/.build/release/RcsealBench"));
    command.stdin(Stdio::null());
    Ok(command)
}

/// The folder, empty.
pub(crate) fn fresh(folder: &Path) -> Result<PathBuf, SdkError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(SdkError::file(folder))?;
    }
    fs::create_dir_all(folder).map_err(SdkError::file(folder))?;
    Ok(folder.to_owned())
}

/// Takes in one line of what XCTest prints.
fn read_line(counts: &mut Counts, line: &str) {
    let Some((name, verdict)) = line.strip_prefix("Test Case '").and_then(|rest| rest.split_once("' ")) else {
        return;
    };
    match verdict.split_whitespace().next() {
        Some("passed") => counts.passed += 1,
        Some("failed") => counts.failed += 1,
        Some("skipped") => {
            counts.skipped += 1;
            counts.skipped_names.push(name.to_owned());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_counted_by_its_verdict() {
        let mut counts = Counts::default();
        for line in [
            "Test Case 'OpenTests.testOpens' started at 2026-11-23 21:00:00.000",
            "Test Case 'OpenTests.testOpens' passed (0.1 seconds)",
            "Test Case 'OpenTests.testCloses' failed (0.1 seconds)",
            "Executed 2 tests, with 1 failure (0 unexpected) in 0.2 (0.2) seconds",
        ] {
            read_line(&mut counts, line);
        }
        assert_eq!((counts.passed, counts.failed), (1, 1));
    }
}
