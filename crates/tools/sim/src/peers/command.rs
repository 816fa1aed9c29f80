//! `rcseal-sim peers`: every run against real peers, as one report.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::ValueEnum;
use rcseal_report::{Format, Report, Row};

use super::runs::RunError;
use super::{missing_program, runs, version};
use crate::story::with_causes;

/// What it can be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Make only these runs.
    #[arg(long, value_enum)]
    only: Vec<Run>,
}

/// One run against peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Run {
    /// Registration with digest over UDP, TCP and TLS.
    Registering,
    /// Frames through every script.
    Carrying,
    /// Sessions, from end to end and by a relay.
    Sessions,
    /// Frames through a store.
    Storing,
    /// A trusted trunk.
    Trunk,
    /// Somebody else's client.
    Legacy,
    /// Broken traffic.
    Hostile,
    /// Short messages through Jasmin.
    Sms,
    /// Two clients of ours through every script, and one with somebody else's client.
    Clients,
    /// Networks that fail between user agents and their carrier.
    Faulty,
}

impl Run {
    async fn make(self, report: &mut Report) -> Result<(), RunError> {
        match self {
            Self::Registering => runs::registering::run(report).await,
            Self::Carrying => runs::carrying::run(report).await,
            Self::Sessions => runs::sessions::run(report).await,
            Self::Storing => runs::storing::run(report).await,
            Self::Trunk => runs::trunk::run(report).await,
            Self::Legacy => runs::legacy::run(report).await,
            Self::Hostile => runs::hostile::run(report).await,
            Self::Sms => runs::sms::run(report).await,
            Self::Clients => runs::clients::run(report).await,
            Self::Faulty => runs::faulty::run(report).await,
        }
    }
}

/// Runs it.
#[allow(clippy::print_stderr, reason = "what is missing is told to who runs it")]
pub async fn run(arguments: &Arguments) -> ExitCode {
    if let Some(program) = missing_program() {
        eprintln!("{program} is not installed");
        return ExitCode::FAILURE;
    }
    let mut report = Report::new("interop carrier");
    for program in ["kamailio", "linphonec", "sipp"] {
        report.measure(Row::equal(program, version(program).unwrap_or_default(), ""));
    }
    let panics = count_panics();
    for run in Run::value_variants().iter().filter(|run| arguments.only.is_empty() || arguments.only.contains(run)) {
        let since = Instant::now();
        if let Err(error) = run.make(&mut report).await {
            eprintln!("{run:?}: {}", with_causes(&error));
            report.promise(&format!("{run:?}_could_be_made").to_lowercase(), false);
        }
        let name = format!("{run:?}_seconds").to_lowercase();
        report.measure(Row::lower(&name, since.elapsed().as_secs_f64(), "s"));
    }
    report.promise_row(Row::equal("panics", panics.load(Ordering::SeqCst), "").goal(0));
    ExitCode::from(report.finish(Format::from_json_flag(arguments.json)))
}

/// Counts panics anywhere in this process, in tasks too, where nobody else would notice.
fn count_panics() -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::SeqCst);
        before(panic);
    }));
    count
}
