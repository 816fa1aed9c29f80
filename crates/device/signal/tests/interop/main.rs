//! `cargo xtask interop libsignal`: this crate's `signal-v4` profile against libsignal itself.
//!
//! libsignal runs in a process of its own (`xtask/peers/libsignal`) and is driven over a pipe. Its licence keeps it out of
//! everything we build or ship, and its source is not what this crate is made from: what is compared is behaviour. The
//! folder it is installed in comes in `RCSEAL_PEER_LIBSIGNAL`; without it there is nothing to compare with, and the
//! target says so and ends.
//!
//! Every scenario runs on its own pair of devices. What does not hold counts in `failed` of the report, which is the
//! last line of the output, and the exit code is 1.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
#![allow(clippy::disallowed_types, reason = "the other implementation runs in a process of its own")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a report is printed, and why a promise broke")]

mod limits;
mod numbers;
mod ours;
mod peer;
#[path = "../shared/pipe.rs"]
mod pipe;
#[path = "../shared/proto.rs"]
mod proto;
mod recording;
mod refusals;
mod setup;
#[path = "../shared/tape.rs"]
mod tape;
mod traffic;
mod wire;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use rcseal_report::{Format, Report, Row};

/// Where xtask has installed libsignal and put the peer beside it.
const PEER_FOLDER: &str = "RCSEAL_PEER_LIBSIGNAL";
/// From this many messages on, limits that take thousands of messages to reach are run too.
const LIMITS_FROM: usize = 2_000;

/// Why a scenario broke off.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// What the runner was told.
struct Arguments {
    messages: usize,
    seed: u64,
    json: bool,
    record: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Result<Self, Failure> {
        let mut read = Self { messages: 2_000, seed: 1, json: false, record: None };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--messages" => read.messages = value()?.parse()?,
                "--seed" => read.seed = value()?.parse()?,
                "--record" => read.record = Some(PathBuf::from(value()?)),
                "--json" => read.json = true,
                // `cargo test` passes its own flags to every target, this one included.
                _ => {}
            }
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("interop: {error}");
            return ExitCode::from(2);
        }
    };
    let Some(folder) = std::env::var_os(PEER_FOLDER).map(PathBuf::from) else {
        println!(
            "interop: not run, because {PEER_FOLDER} names no installed libsignal; use `cargo xtask interop libsignal`"
        );
        return ExitCode::SUCCESS;
    };
    let started = Instant::now();
    let mut run = Run { folder, seed: arguments.seed, report: Report::new("interop libsignal") };
    let about = Row::equal("seed", arguments.seed, "");
    run.report.measure(about);
    setup::run(&mut run);
    setup::simultaneous(&mut run);
    refusals::run(&mut run);
    numbers::run(&mut run);
    traffic::run(&mut run, arguments.messages);
    if arguments.messages >= LIMITS_FROM {
        limits::run(&mut run);
    }
    if let Some(file) = &arguments.record {
        let recorded = recording::write(&run.folder, file);
        run.promise("recording_written", recorded);
    }
    run.report.measure(Row::lower("took", started.elapsed().as_secs_f64(), "s"));
    ExitCode::from(run.report.finish(Format::from_json_flag(arguments.json)))
}

/// One run of the program.
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) seed: u64,
    pub(crate) report: Report,
}

impl Run {
    /// Counts a scenario, and says on standard error why it broke off.
    pub(crate) fn promise(&mut self, id: &str, outcome: Result<(), Failure>) {
        if let Err(error) = &outcome {
            eprintln!("{id}: {error}");
        }
        self.report.promise(id, outcome.is_ok());
    }
}

/// Breaks a scenario off unless `holds`.
pub(crate) fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise.into().into()) }
}
