//! Everything a developer or CI runs, as `cargo xtask <command>`.
//!
//! The commands are thin: they find the workspace, call cargo, and judge what it printed. No command knows a path of the
//! machine it runs on; what it needs comes from the environment at run time. The crate links nothing of the product but the
//! report, so that it builds in seconds on a fresh clone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program is for")]

mod arrows;
mod bench;
mod drill;
mod fuzz;
mod interop;
mod matrix;
mod process;
mod sdk;
mod sim;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a developer or CI runs", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check every dependency between our crates against the table in ARCHITECTURE.md.
    Arrows,
    /// Run every check, and close with the counts.
    Test(test::Arguments),
    /// Measure, beside peers and the raw primitives, in one run.
    Bench(bench::Arguments),
    /// Feed one parser (or each in turn) with inputs that grow towards uncovered code.
    Fuzz(fuzz::Arguments),
    /// Run another implementation of a protocol against ours.
    Interop(interop::Arguments),
    /// Run two clients through every simulated carrier.
    Matrix(matrix::Arguments),
    /// Build one face of the SDK and run its tests.
    Sdk(sdk::Arguments),
    /// Let something go wrong on purpose, and see who notices.
    Drill(drill::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Arrows => arrows::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Interop(arguments) => interop::run(&arguments),
        Command::Matrix(arguments) => matrix::run(&arguments),
        Command::Sdk(arguments) => sdk::run_face(&arguments),
        Command::Drill(arguments) => drill::run(&arguments),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xtask: {}", process::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
