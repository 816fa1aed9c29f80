//! `rcseal-sim peers`: every run against real peers, as one report.

use std::process::ExitCode;

use rcseal_report::{Format, Report};

use super::{Kamailio, Setup, User, missing_program, version};

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
        report.measure(rcseal_report::Row::equal(program, version(program).unwrap_or_default(), ""));
    }
    let started = Kamailio::start(&Setup::of(vec![User::nth(1)])).await;
    report.promise("kamailio_starts", started.is_ok());
    ExitCode::from(report.finish(Format::from_json_flag(arguments.json)))
}
