//! `rcseal-broker`: the broker's binary. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use rcseal_broker::cli::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await
}
