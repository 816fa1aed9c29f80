//! The parts of `cargo xtask test`, in their order.

use std::process::Command;

use rcseal_report::{Format, Report};

use super::counts::Counts;
use super::{Context, Outcome, PartError, documents, licences, packages};
use crate::process::{ProcessError, cargo, run, run_lines, say, with_causes};
use crate::{arrows, drill, interop, matrix, sdk, sim};

/// One part.
pub(crate) struct Part {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it does, for people.
    pub(crate) what: &'static str,
    /// How long it may take on two cores that have built nothing yet.
    pub(crate) budget_minutes: f64,
    /// Whether `--quick` leaves it out.
    pub(crate) slow: bool,
    /// Whether it is pointless after a failed build.
    pub(crate) needs_build: bool,
    /// The work.
    pub(crate) run: fn(&Context) -> Result<Outcome, PartError>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// One set of features for lints, build and tests, so that nothing is compiled twice: what is shipped, and beside it the second
/// cryptographic back end, because the tests compare the two. Other features are off in what is shipped and therefore off here;
/// the part `features` looks at them.
const SHIPPED: [&str; 4] = ["--workspace", "--locked", "--features", "rcseal-crypto/portable"];

/// All parts. The cheap ones come first, because they fail most often.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "packages",
        what: "Debian packages that the build needs",
        budget_minutes: 5.0,
        slow: true,
        needs_build: false,
        run: packages::run,
    },
    Part { name: "format", what: "cargo fmt", budget_minutes: 0.5, slow: false, needs_build: false, run: format },
    Part {
        name: "arrows",
        what: "who may use whom",
        budget_minutes: 0.5,
        slow: false,
        needs_build: false,
        run: arrows,
    },
    Part {
        name: "documents",
        what: "tests that documents name, and links",
        budget_minutes: 0.5,
        slow: false,
        needs_build: false,
        run: documents::run,
    },
    Part { name: "lints", what: "cargo clippy", budget_minutes: 12.0, slow: false, needs_build: false, run: lints },
    Part {
        name: "features",
        what: "what is off in what is shipped",
        budget_minutes: 5.0,
        slow: true,
        needs_build: false,
        run: features,
    },
    Part {
        name: "licences",
        what: "licences, banned crates and sources, by cargo deny",
        budget_minutes: 5.0,
        slow: true,
        needs_build: false,
        run: licences::run,
    },
    Part { name: "build", what: "everything, once", budget_minutes: 21.0, slow: false, needs_build: false, run: build },
    Part {
        name: "tests",
        what: "unit and integration tests",
        budget_minutes: 15.0,
        slow: false,
        needs_build: true,
        run: tests,
    },
    Part {
        name: "doctests",
        what: "the examples in the documentation",
        budget_minutes: 3.0,
        slow: false,
        needs_build: true,
        run: doctests,
    },
    Part {
        name: "corpus",
        what: "every input that fuzzing has kept",
        budget_minutes: 2.0,
        slow: false,
        needs_build: true,
        run: corpus,
    },
    Part {
        name: "interop",
        what: "the signal-v4 profile against libsignal",
        budget_minutes: 3.0,
        slow: true,
        needs_build: true,
        run: libsignal,
    },
    Part {
        name: "matrix",
        what: "two clients through simulated carriers, a quick look",
        budget_minutes: 1.0,
        slow: false,
        needs_build: true,
        run: carrier_matrix,
    },
    Part {
        name: "drill",
        what: "a broker that cheats, and who notices",
        budget_minutes: 1.0,
        slow: false,
        needs_build: true,
        run: broker_drill,
    },
    Part {
        name: "demo",
        what: "rcseal demo, as a user would run it, also over carriers, and a business's story",
        budget_minutes: 2.0,
        slow: false,
        needs_build: true,
        run: demo,
    },
    Part {
        name: "carriers",
        what: "our SIP against Kamailio, linphone and SIPp, short messages against Jasmin",
        budget_minutes: 4.0,
        slow: true,
        needs_build: true,
        run: carriers,
    },
    Part {
        name: "sdk",
        what: "the SDK in every language, and one language with another, against a real relay",
        budget_minutes: 9.0,
        slow: true,
        needs_build: true,
        run: faces,
    },
];

/// The crate that replays the fuzz corpus; it has a part of its own, so that `--only corpus` exists.
const CORPUS: &str = "rcseal-corpus";
/// Its targets of the opt-in profile begin like this.
const OPT_IN_TARGETS: &str = "v4_";

fn format(context: &Context) -> Result<Outcome, PartError> {
    // Only the names of the files: `cargo fmt` shows the rest by doing it.
    one_check(context, &["fmt", "--all", "--check", "--", "-l"])
}

fn arrows(context: &Context) -> Result<Outcome, PartError> {
    let violations = arrows::check_workspace(&context.workspace)?;
    for violation in &violations {
        say(&violation.to_string());
    }
    Ok(match violations.len() {
        0 => Outcome::Passed,
        count => Outcome::Failed(format!("{count} broken rules")),
    })
}

fn lints(context: &Context) -> Result<Outcome, PartError> {
    one_check(context, &[&["clippy"], &SHIPPED[..], &["--all-targets", "--", "-D", "warnings"]].concat())
}

/// What is off in what is shipped: lints over all features at once, the pure-Rust back end alone, and the tests and the corpus of the
/// profile that is opt-in.
fn features(context: &Context) -> Result<Outcome, PartError> {
    let deny = ["--all-targets", "--", "-D", "warnings"];
    let all = ["clippy", "--workspace", "--locked", "--all-features"];
    let portable =
        ["clippy", "--package", "rcseal-crypto", "--locked", "--no-default-features", "--features", "portable"];
    for lints in [&all[..], &portable[..]] {
        let linted = one_check(context, &[lints, &deny].concat())?;
        if !matches!(linted, Outcome::Passed) {
            return Ok(linted);
        }
    }
    // The core of the suite runs where there is no operating system.
    let no_std = ["build", "--package", "rcseal-signal", "--locked", "--no-default-features", "--features", "portable"];
    let built = one_check(context, &no_std)?;
    if !matches!(built, Outcome::Passed) {
        return Ok(built);
    }
    let replay = ["test", "--package", CORPUS, "--locked", "--features", "signal-v4,rcseal-crypto/portable"];
    let replayed = one_check(context, &[&replay[..], &["--test", "corpus", "--", OPT_IN_TARGETS]].concat())?;
    if !matches!(replayed, Outcome::Passed) {
        return Ok(replayed);
    }
    let opt_in = ["test", "--package", "rcseal-signal", "--locked", "--features", "signal-v4,rcseal-crypto/portable"];
    count_tests(context, &[&opt_in[..], &["--lib", "--tests", "--no-fail-fast"]].concat())
}

fn build(context: &Context) -> Result<Outcome, PartError> {
    one_check(context, &[&["build"], &SHIPPED[..], &["--all-targets"]].concat())
}

/// Benches are built and linted but not run: `--all-targets` would run them.
fn tests(context: &Context) -> Result<Outcome, PartError> {
    let kinds = ["--exclude", CORPUS, "--lib", "--bins", "--tests", "--examples", "--no-fail-fast"];
    count_tests(context, &[&["test"], &SHIPPED[..], &kinds].concat())
}

fn doctests(context: &Context) -> Result<Outcome, PartError> {
    count_tests(context, &[&["test"], &SHIPPED[..], &["--doc", "--no-fail-fast"]].concat())
}

fn corpus(context: &Context) -> Result<Outcome, PartError> {
    count_tests(context, &[&["test"], &SHIPPED[..], &["--test", "corpus", "--no-fail-fast"]].concat())
}

/// A carrier of each kind: one that carries, one that destroys everything, one that lies about it.
const DEMO_CARRIERS: [&str; 3] = ["clean", "truncate_everything", "lying_receipts"];
/// The browsers in which `tests` looks at the demo's page, if one is here; with none, it is said here that nobody has looked.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Runs the demo as a user would, and counts its promises. The phones' code is played by `sdk cross`, which builds it.
fn demo(context: &Context) -> Result<Outcome, PartError> {
    let mut counts = Counts::default();
    let carriers = DEMO_CARRIERS.map(|carrier| vec!["demo", "--carrier", carrier, "--json"]);
    for arguments in
        [vec!["demo", "--engines", "rust", "--json"], vec!["demo", "support", "--json"]].into_iter().chain(carriers)
    {
        match reporting_program(context, "rcseal", &arguments)? {
            Outcome::Counted(more) => counts.add(&more),
            other => return Ok(other),
        }
    }
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !BROWSERS.iter().any(|program| is_there(program)) {
        counts.skipped += 1;
        counts.skipped_names.push("the page of demo --web: no browser is installed".to_owned());
    }
    Ok(Outcome::Counted(counts))
}

/// Without the peers there is nothing to run against, which under CI is a failure like every part that was left out.
fn carriers(context: &Context) -> Result<Outcome, PartError> {
    if let Some(program) = interop::carrier::missing_program() {
        return Ok(Outcome::Skipped(format!("{program} is not installed")));
    }
    reporting_program(context, sim::PROGRAM, &interop::carrier::ARGUMENTS)
}

/// Runs a program that `build` made, by its path, and counts the promises of the report that it prints.
fn reporting_program(context: &Context, name: &str, arguments: &[&str]) -> Result<Outcome, PartError> {
    let program = context.target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        // With `--only` nothing has built it yet.
        let built = one_check(context, &[&["build"], &SHIPPED[..], &["--all-targets"]].concat())?;
        if !matches!(built, Outcome::Passed) {
            return Ok(built);
        }
    }
    Ok(promises(Command::new(&program).args(arguments))?)
}

/// Runs a program, and counts the promises of the report that it prints.
pub(crate) fn promises(command: &mut Command) -> Result<Outcome, ProcessError> {
    let mut output = String::new();
    let status = run_lines(command, |line| {
        output.push_str(line);
        output.push('\n');
    })?;
    let report = match Report::from_output(&output) {
        Ok(report) => report,
        Err(error) => return Ok(Outcome::Failed(with_causes(&error))),
    };
    if !status.success() && report.failed() == 0 {
        return Ok(Outcome::Failed(format!("it ended with {status}")));
    }
    Ok(count_promises(&report))
}

/// Every face of the SDK. One that cannot be run does not keep the others from running.
fn faces(context: &Context) -> Result<Outcome, PartError> {
    let kit = sdk::Kit {
        workspace: &context.workspace,
        target: context.target.clone(),
        library: sdk::Library::Dev,
        bless: false,
        rest: Vec::new(),
    };
    let mut counts = Counts::default();
    for &face in sdk::Face::TESTED {
        say(&format!("-- sdk {face:?}"));
        match face.run(&kit) {
            Ok(more) => {
                say(&format!("-- sdk {face:?}: {more}"));
                counts.add(&more);
            }
            Err(error) => {
                say(&format!("-- sdk {face:?}: {}", with_causes(&error)));
                counts.failed += 1;
            }
        }
    }
    Ok(Outcome::Counted(counts))
}

/// A quick look at the carrier matrix.
fn carrier_matrix(context: &Context) -> Result<Outcome, PartError> {
    reporting_program(context, sim::PROGRAM, &matrix::SMOKE)
}

/// A broker that does everything it can against those it serves.
fn broker_drill(context: &Context) -> Result<Outcome, PartError> {
    reporting_program(context, sim::PROGRAM, &drill::BROKER)
}

/// Fewer messages than the command's default, which a developer runs: enough for several epochs in every conversation.
const INTEROP_MESSAGES: usize = 500;

/// Without Node there is no peer, which under CI is a failure like every part that was left out.
fn libsignal(context: &Context) -> Result<Outcome, PartError> {
    if let Some(program) = interop::missing_program() {
        return Ok(Outcome::Skipped(format!("{program} is not installed")));
    }
    let options = interop::Options { messages: INTEROP_MESSAGES, seed: 1, record: false };
    Ok(match interop::against_libsignal(&context.workspace, &context.target, options) {
        Ok(report) => count_promises(&report),
        Err(error) => Outcome::Failed(with_causes(&error)),
    })
}

/// Prints a report for people, and counts its promises.
fn count_promises(report: &Report) -> Outcome {
    let _ = report.write_to(&mut std::io::stdout().lock(), Format::Table);
    if report.passed() + report.failed() == 0 {
        return Outcome::Failed("it promised nothing".to_owned());
    }
    Outcome::Counted(Counts { passed: report.passed(), failed: report.failed(), ..Counts::default() })
}

fn cargo_in(context: &Context, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.current_dir(&context.workspace.root).env("CARGO_TARGET_DIR", &context.target).args(arguments);
    if context.ci {
        // A clone is built once, so what speeds up the second build of the same clone only costs time and disk.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

fn one_check(context: &Context, arguments: &[&str]) -> Result<Outcome, PartError> {
    let mut command = cargo_in(context, arguments);
    let status = run(&mut command)?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed(format!("cargo {} said no", arguments[0])) })
}

fn count_tests(context: &Context, arguments: &[&str]) -> Result<Outcome, PartError> {
    let mut counts = Counts::default();
    let mut command = cargo_in(context, arguments);
    let status = run_lines(&mut command, |line| {
        counts.read_line(line);
        say(line);
    })?;
    if !status.success() && counts.failed == 0 {
        return Ok(Outcome::Failed(format!("cargo {} stopped before it could count", arguments[0])));
    }
    if counts == Counts::default() {
        return Ok(Outcome::Failed("no test ran".to_owned()));
    }
    Ok(Outcome::Counted(counts))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_has_its_own_name() {
        let names: BTreeSet<&str> = PARTS.iter().map(|part| part.name).collect();
        assert_eq!(names.len(), PARTS.len());
    }

    #[test]
    fn what_needs_the_build_comes_after_it() {
        let build = PARTS.iter().position(|part| part.name == "build");
        let first = PARTS.iter().position(|part| part.needs_build);
        assert!(build < first);
    }
}
