//! placeholder
use std::process::ExitCode;
use crate::{args::DemoArgs, error::CliError, output::Output};
pub(crate) async fn run(_args: DemoArgs, _output: Output) -> Result<ExitCode, CliError> { Ok(ExitCode::SUCCESS) }
