//! `cargo xtask bench delivery`: what a carrier costs besides the carrier.
//!
//! Three things are measured. *Framing*: a blob into parts, each part found in a body again, the parts put together, with every digest;
//! CPU time of one thread. *Policy*: one decision, the same way. *Pager*: messages from our user agent by way of Kamailio to our user
//! agent, beside SIPp by way of the same Kamailio to SIPp, in rounds that take turns, as time on the clock, since most of it is
//! other processes'. Without Kamailio and SIPp the third part is left out and says so.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a bench ends where a figure cannot be had, and says what it leaves out"
)]

mod framing;
mod pager;
mod policy;
mod timing;

use std::process::ExitCode;

use rcseal_report::{Format, Report};

fn main() -> ExitCode {
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    // `cargo bench` says so; a test run that starts every target wants no figures, least of all of a debug build.
    if !given("--bench") {
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new("bench delivery");
    framing::measure(&mut report);
    policy::measure(&mut report);
    if !given("--no-peers") {
        pager::measure(&mut report);
    }
    ExitCode::from(report.finish(Format::from_json_flag(given("--json"))))
}
