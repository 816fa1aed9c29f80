//! `cargo xtask drill NAME`: something goes wrong on purpose, and it is seen who notices, by which name, and what is lost.

use std::error::Error;

use rcseal_report::Format;

use crate::sim;

/// What the program is told for the drill of the broker.
pub(crate) const BROKER: [&str; 3] = ["drill", "broker", "--json"];

/// What `cargo xtask drill` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which drill.
    #[arg(value_enum)]
    name: Name,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Name {
    /// A broker that replays, swaps, withholds and forks.
    Broker,
}

impl Name {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
        }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let told = ["drill".to_owned(), arguments.name.as_str().to_owned()];
    Ok(sim::report(&told)?.finish(Format::from_json_flag(arguments.json)))
}
