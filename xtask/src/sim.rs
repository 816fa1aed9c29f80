//! The program `rcseal-sim`, which links client, relay, broker and carriers; this crate links none of them.
//!
//! It prints a report as its last line, and what was wrong beside it.

use std::path::PathBuf;
use std::process::Command;

use rcseal_report::Report;

use crate::process::{ProcessError, cargo, run, run_lines};
use crate::workspace::{Workspace, WorkspaceError};

/// The program.
pub(crate) const PROGRAM: &str = "rcseal-sim";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SimError {
    /// The program could not be built.
    #[error("rcseal-sim could not be built")]
    Build,
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The workspace could not be read.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The program printed no report.
    #[error("rcseal-sim printed no report")]
    Report(#[source] rcseal_report::ReportError),
}

/// Builds the program, runs it with these arguments, and reads its report.
pub(crate) fn report(arguments: &[String]) -> Result<Report, SimError> {
    let workspace = Workspace::load()?;
    let mut command = Command::new(build(&workspace)?);
    command.args(arguments).arg("--json");
    let mut output = String::new();
    let _judged_by_its_report = run_lines(&mut command, |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    Report::from_output(&output).map_err(SimError::Report)
}

/// Builds the program and says where it is.
fn build(workspace: &Workspace) -> Result<PathBuf, SimError> {
    let mut command = cargo();
    command.current_dir(&workspace.root).args(["build", "--locked", "--package", PROGRAM, "--bin", PROGRAM]);
    if !run(&mut command)?.success() {
        return Err(SimError::Build);
    }
    Ok(workspace.target.join("debug").join(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)))
}
