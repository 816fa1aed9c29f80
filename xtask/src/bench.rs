//! `cargo xtask bench NAME`: runs a benchmark in release mode and prints its rows.
//!
//! The measuring is done by programs in the crates they measure; each prints a report as its last line. Peers and floors are
//! measured in the same run, because figures from two runs of a busy machine do not compare.

use std::error::Error;

use rcseal_report::{Format, Report};

use crate::process::{cargo, run_lines};
use crate::sdk::{self, Kit, Library};
use crate::workspace::Workspace;

/// What `cargo xtask bench` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which benchmark.
    #[arg(value_enum)]
    name: Name,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Passed on to the benchmark, after `--`.
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Name {
    /// The Signal suite beside vodozemac and the sum of the raw primitives.
    Signal,
    /// The relay over TLS beside its raw storage engine and a probe of fsync.
    Relay,
    /// Frames, policy decisions, and messages by way of Kamailio beside SIPp.
    Delivery,
    /// The broker beside the relay alone, webhooks, and SMS beside the SMSC's own limit.
    Broker,
    /// What each face of the SDK costs over the Rust call.
    Sdk,
}

impl Name {
    /// The package and the bench in it; faces of the SDK are measured by programs of their own.
    fn package_and_bench(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Signal => Some(("rcseal-signal", "signal")),
            Self::Relay => Some(("rcseal-server", "relay")),
            Self::Delivery => Some(("rcseal-sim", "delivery")),
            Self::Broker => Some(("rcseal-sim", "broker")),
            Self::Sdk => None,
        }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    let Some((package, bench)) = arguments.name.package_and_bench() else {
        let kit = Kit {
            workspace: &workspace,
            target: workspace.target.clone(),
            library: Library::Shipped,
            bless: false,
            rest: arguments.rest.clone(),
        };
        return Ok(sdk::bench::report(&kit)?.finish(Format::from_json_flag(arguments.json)));
    };
    let mut command = cargo();
    command.current_dir(&workspace.root).args([
        "bench",
        "--locked",
        "--package",
        package,
        "--bench",
        bench,
        "--",
        "--json",
    ]);
    command.args(&arguments.rest);
    let mut output = String::new();
    let status = run_lines(&mut command, |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    match Report::from_output(&output) {
        Ok(report) => {
            let code = report.finish(Format::from_json_flag(arguments.json));
            // A benchmark that broke off after its report has not kept its promises either.
            Ok(if status.success() { code } else { 1 })
        }
        Err(error) => Err(Box::new(error)),
    }
}
