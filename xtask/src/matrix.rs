//! `cargo xtask matrix`: two clients through every simulated carrier, on every pair of platforms, in every state.

use std::error::Error;

use rcseal_report::Format;

use crate::sim;

/// What the program is told for a quick look.
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

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let mut told = vec!["matrix".to_owned()];
    told.extend(arguments.rest.iter().cloned());
    if arguments.smoke {
        told.push("--smoke".to_owned());
    }
    Ok(sim::report(&told)?.finish(Format::from_json_flag(arguments.json)))
}
