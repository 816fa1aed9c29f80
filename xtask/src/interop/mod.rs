//! `cargo xtask interop PEER`: runs another implementation of a protocol against ours.
//!
//! The other implementation is a development tool: it is installed into the cache folder outside the clone, at the version that
//! its folder in `xtask/peers/` names, and runs in a process of its own. What drives it is a test target of the crate that
//! speaks the protocol; it prints a report as its last line. Nothing of a peer is linked or shipped.
//!
//! SIP peers are Debian packages, which the part `packages` of `cargo xtask test` installs; `rcseal-sim` drives them, and Jasmin, a gateway for
//! short messages out of PyPI, as well.

pub(crate) mod carrier;
pub(crate) mod jasmin;
mod libsignal;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcseal_report::{Format, Report};

pub(crate) use self::libsignal::missing_program;
use crate::process::{ProcessError, run_lines};
use crate::workspace::{Workspace, WorkspaceError};

/// What `cargo xtask interop` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which implementation.
    #[arg(value_enum)]
    peer: Peer,
    /// Messages in each of the long conversations. From 2,000 on, limits that take thousands of messages to reach are run too.
    #[arg(long, default_value_t = 2_000)]
    messages: usize,
    /// What our side draws its randomness from, and the channel its losses.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Also write recordings that replay without the peer to vectors/signal/.
    #[arg(long)]
    record: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Peer {
    /// libsignal, by its package for Node.
    Libsignal,
    /// Kamailio as a carrier, linphone as somebody else's client, SIPp for load and broken traffic, Jasmin as a gateway for short messages.
    Carrier,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InteropError {
    /// A program that is needed is not there.
    #[error("{program} is not installed")]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// The package could not be installed.
    #[error("the peer's package could not be installed")]
    Install,
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The workspace could not be read.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A file of the peer could not be put into place.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The runner printed no report.
    #[error("the runner printed no report")]
    Report(#[source] rcseal_report::ReportError),
}

/// How a run is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Messages in each of the long conversations.
    pub(crate) messages: usize,
    /// The run's seed.
    pub(crate) seed: u64,
    /// Whether to write recordings.
    pub(crate) record: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    let options = Options { messages: arguments.messages, seed: arguments.seed, record: arguments.record };
    let report = match arguments.peer {
        Peer::Libsignal => against_libsignal(&workspace, &workspace.target, options)?,
        Peer::Carrier => reported(&mut carrier::runner(&workspace)?)?,
    };
    Ok(report.finish(Format::from_json_flag(arguments.json)))
}

/// Installs libsignal if it is not there, and gives the report of the runner.
pub(crate) fn against_libsignal(
    workspace: &Workspace,
    target: &Path,
    options: Options,
) -> Result<Report, InteropError> {
    let folder = libsignal::install(workspace)?;
    let mut command = libsignal::runner(workspace, target, &folder, options);
    reported(&mut command)
}

/// Runs a command and reads the report that it prints last.
fn reported(command: &mut Command) -> Result<Report, InteropError> {
    let mut output = String::new();
    let _judged_by_its_report = run_lines(command, |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    Report::from_output(&output).map_err(InteropError::Report)
}
