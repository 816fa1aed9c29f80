//! The store's rows of `cargo xtask bench sdk`: what a start costs with a long history.
//!
//! The program is an example of the client crate. It makes a store with 100,000 messages in 50 conversations through the client itself,
//! and opens it in a new process for every run, with the system's page cache as it is. The figures are the middle of its runs.

use std::process::Stdio;

use rcseal_report::Report;

use super::bench::take;
use super::{Kit, SdkError};
use crate::process::run_lines;

/// Builds the program in release mode, runs it, and takes its rows in.
pub(super) fn rows(kit: &Kit<'_>, report: &mut Report) -> Result<(), SdkError> {
    kit.cargo(&["build", "--locked", "--release", "--package", "rcseal-client", "--example", "store_bench"])?;
    let program = kit.target.join("release/examples").join(format!("store_bench{}", std::env::consts::EXE_SUFFIX));
    let mut command = kit.command(program);
    command.stderr(Stdio::inherit());
    let mut last = String::new();
    let status = run_lines(&mut command, |line| last = line.to_owned())?;
    if !status.success() {
        return Err(SdkError::step("store_bench"));
    }
    take(&last, "store_bench", report)
}
