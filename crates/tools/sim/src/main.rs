//! `rcseal-sim`: what is run against carriers, simulated and real. `cargo xtask` calls it; nobody installs it.
#![allow(clippy::print_stderr, reason = "printing is what this program is for")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "rcseal-sim", about = "Runs against carriers, simulated and real", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every mode, carrier, pair of platforms and state.
    Matrix(rcseal_sim::matrix::Arguments),
    /// Let something go wrong on purpose, and see who notices.
    Drill(rcseal_sim::drill::Arguments),
    /// Run against Kamailio, linphone and SIPp.
    Peers(rcseal_sim::peers::command::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Matrix(arguments) => rcseal_sim::matrix::command(&arguments).await,
        Command::Drill(arguments) => rcseal_sim::drill::command(&arguments).await,
        Command::Peers(arguments) => rcseal_sim::peers::command::run(&arguments).await,
    }
}
