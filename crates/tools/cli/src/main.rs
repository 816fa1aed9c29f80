//! The binary `rcseal`. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use rcseal_cli::args::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    rcseal_cli::run(Cli::parse()).await
}
