//! `rcseal-sim drill`: something goes wrong on purpose, and it is seen who notices, by which name.
//!
//! The drill of the broker has a real relay, a real broker and real clients, and a broker that is compromised: whoever runs it has its
//! countersigning key, answers what they like ([`lies`]), knows the mailboxes and delivery tokens that accounts gave it, and sits on the trunk.
//! Each attempt is a row: who noticed and the stable code, beside what is expected. What a broker may do, delay and drop, is a row too:
//! the message then comes another way. What nobody can notice is said as such.
//!
//! | file | what |
//! |---|---|
//! | `lies.rs` | what stands before the broker's routes |
//! | `stage.rs` | relay, broker, and people with numbers |
//! | `mappings.rs` | attempts on mappings and look-ups |
//! | `mail.rs` | attempts on mailboxes and on what goes out |

mod lies;
mod mail;
mod mappings;
mod stage;

use std::process::ExitCode;

use rcseal_report::{Format, Report, Row};

use self::stage::Stage;
use crate::matrix::MatrixError;
use crate::story::with_causes;

/// What the drill can be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which drill.
    #[arg(value_enum)]
    name: Name,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Name {
    /// A broker that replays, swaps, withholds and forks.
    Broker,
}

/// Runs the command.
pub async fn command(arguments: &Arguments) -> ExitCode {
    let Name::Broker = arguments.name;
    match broker().await {
        Ok(report) => ExitCode::from(report.finish(Format::from_json_flag(arguments.json))),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "this is what the command prints where there is no report")]
fn complain(error: &MatrixError) {
    eprintln!("rcseal-sim: {}", with_causes(error));
}

/// The drill of the broker.
///
/// # Errors
/// What keeps it from being played; what goes unnoticed is in the report.
pub async fn broker() -> Result<Report, MatrixError> {
    let stage = Stage::start().await?;
    let mut attempts = mappings::play(&stage).await?;
    attempts.extend(mail::play(&stage).await?);
    attempts.push(stage.search().await?);
    let mut report = Report::new("drill broker");
    for attempt in attempts {
        report.promise_row(Row::equal(attempt.id, attempt.noticed, "").goal(attempt.expected));
    }
    Ok(report)
}

/// One attempt, and what came of it.
struct Attempt {
    id: &'static str,
    noticed: String,
    expected: &'static str,
}

impl Attempt {
    fn new(id: &'static str, noticed: impl Into<String>, expected: &'static str) -> Self {
        Self { id, noticed: noticed.into(), expected }
    }
}
