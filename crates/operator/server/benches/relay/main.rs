//! `cargo xtask bench relay`: how fast the relay takes, hands out and forgets envelopes, and what an idle device costs.
//!
//! Two processes: the release `rcseald` on a fresh folder, and this one, which makes the load over real TLS WebSockets. On a small
//! machine both share the processors, so the figures are a floor. Beside them, in the same run and on the same disk: what one flush
//! costs, and what fjall does when it is given batches of the same size directly, without a network. Speeds have goals relative to
//! those; nothing acknowledged may be lost at any speed.
//!
//! | row | what |
//! |---|---|
//! | `submit_1_per_s`, `submit_1_p50_ms` | one envelope in flight |
//! | `submit_1_p50_over_fsync_ms` | the same, less the disk's own time |
//! | `submit_64_per_s` | 64 connections with one envelope in flight each |
//! | `submit_1024_per_s` | 16 connections, 1,024 envelopes in flight, 32 in a frame |
//! | `submit_1024_single_per_s` | the same, each envelope in a frame of its own |
//! | `submit_1024_share_of_fjall` | the first of these two, as a share of direct batches of 1,024 |
//! | `deliver_ack_per_s` | backlogs of 64 devices, delivered and acknowledged |
//! | `deliver_live_p50_ms` | from submission to the other device, one at a time |
//! | `idle_connection_kib` | resident memory of the server per logged-in idle device |
//!
//! Arguments: `--json`, `--quick` (a smoke test: seconds instead of a minute, few connections), `--connections N`, `--mailboxes N`,
//! `--only PART`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod client;
mod probe;
mod server;
mod traffic;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rcseal_report::{Format, Report, Row};

use crate::probe::Probes;
use crate::server::Relay;
use crate::traffic::Load;

/// What was asked for on the command line.
struct Options {
    json: bool,
    /// How long one speed is measured.
    time: Duration,
    connections: usize,
    mailboxes: usize,
    only: Option<String>,
}

impl Options {
    fn parse() -> Self {
        let mut options =
            Self { json: false, time: Duration::from_secs(4), connections: 10_000, mailboxes: 10_000, only: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => options.json = true,
                "--quick" => {
                    options.time = Duration::from_millis(500);
                    options.connections = 200;
                    options.mailboxes = 200;
                }
                "--connections" => {
                    options.connections =
                        arguments.next().and_then(|value| value.parse().ok()).expect("--connections takes a number");
                    options.mailboxes = options.mailboxes.max(options.connections);
                }
                "--mailboxes" => {
                    options.mailboxes =
                        arguments.next().and_then(|value| value.parse().ok()).expect("--mailboxes takes a number");
                }
                "--only" => options.only = arguments.next(),
                // What `cargo bench` adds.
                "--bench" => {}
                other => panic!("unknown argument {other}"),
            }
        }
        options
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    let mut report = Report::new("bench relay");
    runtime.block_on(run(&options, &mut report));
    ExitCode::from(report.finish(Format::from_json_flag(options.json)))
}

fn note(text: &str) {
    // Progress goes to standard error: standard output ends with the report.
    #[allow(clippy::print_stderr)]
    {
        eprintln!("{text}");
    }
}

async fn run(options: &Options, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    note("probing the disk and the engine");
    let probes = Probes::run(folder.path(), options.time);
    report.measure(Row::lower("fsync_p50_ms", probes.fsync_p50_ms, "ms"));
    report.measure(Row::higher("fsync_per_s", probes.fsync_per_s, "1/s"));
    note("seeding accounts");
    let mut relay = Relay::prepare(folder.path(), options.mailboxes).await;
    relay.start().await;
    // First, while the store holds nothing but accounts: what it keeps in memory of envelopes is not a cost of connections.
    if options.wants("idle") {
        let (bytes, opened) = traffic::idle(&relay, options.connections).await;
        let row = Row::lower("idle_connection_kib", bytes / 1024.0, "KiB").goal(25.0);
        report.measure(row.peer("connections", opened as f64));
        relay.restart().await;
    }
    let load = Load::new(&relay);
    if options.wants("submit") {
        submissions(options, report, &probes, &load, folder.path()).await;
    }
    if options.wants("deliver") {
        deliveries(options, report, &load).await;
    }
}

async fn submissions(options: &Options, report: &mut Report, probes: &Probes, load: &Load<'_>, folder: &Path) {
    let warm_up = options.time / 4;
    load.submit(1, 1, 1, warm_up).await;
    note("one in flight");
    let one = load.submit(1, 1, 1, options.time).await;
    report.measure(Row::higher("submit_1_per_s", one.per_second, "1/s").peer("fjall", probes.fjall_1));
    report.measure(Row::lower("submit_1_p50_ms", one.p50_ms, "ms").peer("fsync", probes.fsync_p50_ms));
    report.measure(Row::lower("submit_1_p50_over_fsync_ms", one.p50_ms - probes.fsync_p50_ms, "ms").goal(0.5));
    note("64 in flight");
    let many = load.submit(64, 1, 1, options.time).await;
    report.measure(Row::higher("submit_64_per_s", many.per_second, "1/s").peer("fjall", probes.fjall_64));
    report.measure(Row::lower("submit_64_p50_ms", many.p50_ms, "ms"));
    note("1,024 in flight");
    load.submit(16, 2, 32, warm_up).await;
    let full = load.submit(16, 2, 32, options.time).await;
    // Neighbours come and go: the engine alone is measured again, right beside the figure that it is compared with.
    let engine = f64::midpoint(probes.fjall_1024, probe::fjall(&folder.join("fjall-again"), 1024, options.time));
    report.measure(Row::higher("submit_1024_per_s", full.per_second, "1/s").peer("fjall", engine));
    report.measure(Row::lower("submit_1024_p50_ms", full.p50_ms, "ms"));
    report.measure(Row::higher("submit_1024_share_of_fjall", full.per_second / engine, "").goal(0.2));
    let single = load.submit(16, 64, 1, options.time).await;
    report.measure(Row::higher("submit_1024_single_per_s", single.per_second, "1/s").peer("fjall", engine));
}

async fn deliveries(options: &Options, report: &mut Report, load: &Load<'_>) {
    note("deliveries and acknowledgements");
    let backlog = if options.time < Duration::from_secs(1) { 50 } else { 1500 };
    let drained = load.drain(64, backlog).await;
    report.measure(Row::higher("deliver_ack_per_s", drained.per_second, "1/s"));
    report.promise("every_stored_envelope_delivered_once", drained.complete);
    note("live delivery");
    let live = load.live(options.time).await;
    report.measure(Row::lower("deliver_live_p50_ms", live, "ms"));
}
