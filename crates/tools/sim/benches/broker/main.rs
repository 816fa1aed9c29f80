//! `cargo xtask bench broker`: what the broker costs between a carrier and a mailbox.
//!
//! Three things are measured. *Passing*: an envelope submitted to the relay, and the same envelope brought by a carrier's trunk to the
//! broker, which submits it to the same relay before it answers; one at a time for the latency, many at a time for the throughput, in
//! rounds that take turns. *Webhook*: from a provider's call to the message that the business reads. *Short messages*: submits in one
//! window to an SMSC, beside another client of the same SMSC. Everything runs in this process or on this machine, so that figures are a
//! floor and ratios are what counts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a bench ends where a figure cannot be had, and says what it leaves out"
)]

mod passing;
mod webhook;

use std::process::ExitCode;

use rcseal_report::{Format, Report};

fn main() -> ExitCode {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    // `cargo bench` says so; a test run that starts every target wants no figures, least of all of a debug build.
    if !given("--bench") {
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new("bench broker");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(passing::measure(&mut report));
    runtime.block_on(webhook::measure(&mut report));
    if !given("--no-peers")
        && let Err(error) = runtime.block_on(rcseal_sim::peers::measure_submits(&mut report))
    {
        eprintln!("nothing is measured against an SMSC: {error}");
    }
    ExitCode::from(report.finish(Format::from_json_flag(given("--json"))))
}

/// The middle of some figures.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
