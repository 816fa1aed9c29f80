//! Debian packages that the build needs and a bare machine lacks.
//!
//! AWS-LC and SQLite are C; OpenSSL, which SQLCipher encrypts with, is configured by perl and built by make. Only what is
//! missing is installed, and it is named before. On a system without dpkg nothing is installed: the build will say what it
//! misses. Node and its package manager are for libsignal, which the part `interop` runs beside ours; Kamailio, linphone and SIPp are
//! for the part `carriers`, and so are RabbitMQ and Redis, which Jasmin needs. Jasmin itself comes from PyPI into the cache folder. Some
//! of these packages bring daemons, and a package's own scripts would start them: while packages are installed, Debian's switch for that
//! (`policy-rc.d`) says no, and afterwards it is as it was.

use std::process::{Command, Stdio};

use super::{Context, Outcome, PartError};
use crate::interop;
use crate::process::{self, say};

const NEEDED: [&str; 4] = ["gcc", "libc6-dev", "make", "perl"];
/// For the part `interop`. A machine may have Node from elsewhere, in another version than Debian's; what runs is not replaced.
const NODE: [&str; 2] = ["nodejs", "npm"];
/// For the part `carriers`. Kamailio needs the database of protocols (`netbase`) for TCP, and its store a schema (`sqlite3`).
const PEERS: [&str; 9] = [
    "kamailio",
    "kamailio-extra-modules",
    "kamailio-presence-modules",
    "kamailio-sqlite-modules",
    "kamailio-tls-modules",
    "linphone-cli",
    "netbase",
    "sip-tester",
    "sqlite3",
];
/// For the relay's tests of server-side encryption: a hardware security module in software.
const MODULE: [&str; 1] = ["softhsm2"];
/// For the part `carriers`, too: what Jasmin keeps its queues and states in.
const GATEWAY: [&str; 2] = ["rabbitmq-server", "redis-server"];
/// For pages of our own that are looked at in a real browser.
const BROWSER: [&str; 1] = ["chromium"];

/// Runs a command with daemons forbidden to start, and puts back what had been said about that before, however it ends.
const WITHOUT_DAEMONS: &str = r#"
policy=/usr/sbin/policy-rc.d
kept=
put_back() {
    if [ -n "$kept" ]; then mv -f "$kept" "$policy"; else rm -f "$policy"; fi
}
if [ -e "$policy" ]; then kept=$(mktemp) && cp -p "$policy" "$kept" || exit 1; fi
trap put_back EXIT
trap 'exit 1' INT TERM HUP
printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy" || exit 1
"$@"
"#;

/// Runs the part.
pub(crate) fn run(context: &Context) -> Result<Outcome, PartError> {
    let mut packages = [&NEEDED[..], &PEERS, &GATEWAY, &MODULE, &BROWSER].concat();
    if interop::missing_program().is_some() {
        packages.extend(NODE);
    }
    if !interop::jasmin::has_python() {
        packages.extend(["python3", interop::jasmin::VENV_PACKAGE]);
    }
    let outcome = ensure(&packages)?;
    if !matches!(outcome, Outcome::Passed) {
        return Ok(outcome);
    }
    Ok(match interop::jasmin::install(&context.workspace) {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::Failed(process::with_causes(&error)),
    })
}

/// Installs those of `packages` that are missing.
pub(crate) fn ensure(packages: &[&str]) -> Result<Outcome, PartError> {
    if !answers(Command::new("dpkg").arg("--version")) {
        say("no dpkg here: nothing is installed");
        return Ok(Outcome::Passed);
    }
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        say(&format!("already here: {}", packages.join(", ")));
        return Ok(Outcome::Passed);
    }
    say(&format!("installing with apt-get: {}", missing.join(", ")));
    let install = ["install", "--yes", "--no-install-recommends"];
    // The lists of a fresh machine may be missing or too old to name a version that still exists; fetching them is the
    // cure, and not needed otherwise.
    if apt(&[&install[..], &missing[..]].concat())?.is_ok() {
        return Ok(Outcome::Passed);
    }
    if let Err(command) = apt(&["update"])? {
        return Ok(Outcome::Failed(format!("{command} failed")));
    }
    Ok(match apt(&[&install[..], &missing[..]].concat())? {
        Ok(()) => Outcome::Passed,
        Err(command) => Outcome::Failed(format!("{command} failed")),
    })
}

fn installed(package: &str) -> bool {
    answers(Command::new("dpkg").args(["--status", package]))
}

fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs apt-get as root; the inner error is the command that failed.
fn apt(arguments: &[&str]) -> Result<Result<(), String>, PartError> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "sh", "-c", WITHOUT_DAEMONS, "sh", "apt-get"]).args(arguments);
    let status = process::run(&mut command)?;
    Ok(if status.success() { Ok(()) } else { Err(format!("apt-get {}", arguments.join(" "))) })
}
