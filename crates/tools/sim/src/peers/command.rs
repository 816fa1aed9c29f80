//! `rcseal-sim peers`: every run against real peers, as one report.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcseal_report::{Format, Report, Row};

use super::{missing_program, runs, version};

/// What it can be told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
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
    let mut failures = Vec::new();
    failures.extend(runs::registering::run(&mut report).await.err().map(|error| ("registering", error)));
    failures.extend(runs::carrying::run(&mut report).await.err().map(|error| ("carrying", error)));
    failures.extend(runs::storing::run(&mut report).await.err().map(|error| ("storing", error)));
    failures.extend(runs::trunk::run(&mut report).await.err().map(|error| ("trunk", error)));
    failures.extend(runs::legacy::run(&mut report).await.err().map(|error| ("legacy", error)));
    failures.extend(runs::hostile::run(&mut report).await.err().map(|error| ("hostile", error)));
    for (run, error) in failures {
        eprintln!("{run}: {}", with_causes(&error));
        report.promise(&format!("{run}_could_be_run"), false);
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

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
