//! SIP peers: whether they are there, and the program that drives them.
//!
//! They come from Debian (see `test::packages`), are started on loopback with configurations of the crate `sim`, and are stopped
//! by it. Our side is what is shipped: the transports of `carrier`, and two clients with their engines and stores.

use std::process::{Command, Stdio};

use super::{InteropError, jasmin};
use crate::process::cargo;
use crate::sim::PROGRAM;
use crate::workspace::Workspace;

/// What it is told.
pub(crate) const ARGUMENTS: [&str; 2] = ["peers", "--json"];

/// The first peer that is needed and does not answer.
pub(crate) fn missing_program() -> Option<&'static str> {
    const PEERS: [(&str, &str); 6] = [
        ("kamailio", "-v"),
        ("linphonec", "--version"),
        ("sipp", "-v"),
        ("sqlite3", "--version"),
        ("redis-server", "--version"),
        ("epmd", "-help"),
    ];
    PEERS
        .into_iter()
        .find(|(program, flag)| {
            // Some of them answer with a status of their own; what counts is that they can be started.
            let mut command = Command::new(program);
            command.arg(flag).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        })
        .map(|(program, _)| program)
}

/// The program, built if need be.
pub(super) fn runner(workspace: &Workspace) -> Result<Command, InteropError> {
    if let Some(program) = missing_program() {
        return Err(InteropError::Missing { program });
    }
    jasmin::install(workspace)?;
    let mut command = cargo();
    command
        .current_dir(&workspace.root)
        .args(["run", "--quiet", "--locked", "--package", PROGRAM, "--"])
        .args(ARGUMENTS);
    Ok(command)
}
