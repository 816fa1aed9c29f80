//! `cargo xtask matrix`: two clients through every simulated carrier, on every pair of platforms, in every state.
//!
//! The runs are made by the program `rcseal-sim`, which links client, relay and carriers; this crate links none of them. The program
//! prints a report as its last line, and what was wrong, cell by cell, beside it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcseal_report::{Format, Report};

use crate::process::{ProcessError, cargo, run as run_command, run_lines};
use crate::workspace::{Workspace, WorkspaceError};

/// The program.
pub(crate) const PROGRAM: &str = "rcseal-sim";
/// What it is told for a quick look.
pub(crate) const SMOKE: [&str; 3] = ["matrix", "--smoke", "--json"];

/// What `cargo xtask matrix` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only a quick look: each kind of outcome once.
    #[arg(long)]
    smoke: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Passed on to the program, after `--`, such as `--only native/clean/`.
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MatrixError {
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
    #[error("the matrix printed no report")]
    Report(#[source] rcseal_report::ReportError),
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    let program = build(&workspace)?;
    let mut rest = arguments.rest.clone();
    if arguments.smoke {
        rest.push("--smoke".to_owned());
    }
    let report = play(&program, &rest)?;
    Ok(report.finish(Format::from_json_flag(arguments.json)))
}

/// Builds the program and says where it is.
fn build(workspace: &Workspace) -> Result<PathBuf, MatrixError> {
    let mut command = cargo();
    command.current_dir(&workspace.root).args(["build", "--locked", "--package", PROGRAM, "--bin", PROGRAM]);
    if !run_command(&mut command)?.success() {
        return Err(MatrixError::Build);
    }
    Ok(workspace.target.join("debug").join(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)))
}

/// Plays the matrix with a program that is built.
fn play(program: &Path, rest: &[String]) -> Result<Report, MatrixError> {
    let mut command = Command::new(program);
    command.args(["matrix", "--json"]).args(rest);
    let mut output = String::new();
    let _judged_by_its_report = run_lines(&mut command, |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    Report::from_output(&output).map_err(MatrixError::Report)
}
