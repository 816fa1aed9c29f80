//! `rcseald`: the server's binary. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use rcseal_server::cli::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await
}
