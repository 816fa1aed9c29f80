//! `cargo xtask test`: every check there is, in the order in which they are cheap to fail.
//!
//! Parts share one build profile and one set of features, so that nothing is compiled twice: the programs that `build` makes
//! are the ones that `tests` and `demo` run. A part prints its minutes against a budget; the budgets sum to less than the
//! 90 minutes that a clean two-core machine has. A part that fails does not stop the others, except that nothing can run
//! what did not build. A part that is left out is counted and named, and under `CI=true` that is a failure: a check that
//! silently does not run is worse than none.
//!
//! The last line is plain, `N passed, N failed`: every test that cargo ran, every promise of the demo, and every part that
//! is no test run itself.

mod codes;
mod counts;
mod documents;
mod licences;
mod packages;
mod parts;
mod prune;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::process::{ProcessError, say};
use crate::workspace::{Workspace, WorkspaceError, cache_folder};
pub(crate) use counts::Counts;
pub(crate) use packages::ensure;
pub(crate) use parts::promises;
use parts::{PARTS, Part};

/// What `cargo xtask test` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The developer's loop: no installs, no second set of features, no licence check.
    #[arg(long)]
    quick: bool,
    /// Run this part alone; may be given several times.
    #[arg(long, value_name = "PART", value_parser = part_names())]
    only: Vec<String>,
}

fn part_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(PARTS.iter().map(|part| part.name))
}

/// What the parts need to know of the run.
#[derive(Debug)]
pub(crate) struct Context {
    workspace: Workspace,
    /// Where cargo is told to put what it builds.
    target: PathBuf,
    quick: bool,
    ci: bool,
}

/// Why a part that ran did not pass, or could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    /// A program could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The workspace could not be read.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A file or folder outside the workspace could not be used.
    #[error("cannot use {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A check of our own could not be made.
    #[error(transparent)]
    Check(#[from] Box<dyn Error>),
}

/// How a part ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The part is one check, and it passed.
    Passed,
    /// The part is one check, and it failed for this reason.
    Failed(String),
    /// The part ran tests, and counted them.
    Counted(Counts),
    /// The part was left out, for this reason.
    Skipped(String),
}

/// What became of a part.
struct Record {
    part: &'static Part,
    outcome: Outcome,
    took: Duration,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let ci = env::var_os("CI").is_some_and(|value| value == "true");
    let workspace = Workspace::load()?;
    // CI builds outside the clone, so that a next clone finds what this one built and no developer's build waits for it.
    let target = match (ci, env::var_os("CARGO_TARGET_DIR")) {
        (true, None) => cache_folder().join("target"),
        (_, _) => workspace.target.clone(),
    };
    fs::create_dir_all(&target).map_err(|source| PartError::File { path: target.clone(), source })?;
    if ci {
        prune::prune(&target, &workspace)?;
    }
    let context = Context { workspace, target, quick: arguments.quick, ci };
    let started = Instant::now();
    let mut records: Vec<Record> = Vec::with_capacity(PARTS.len());
    for part in
        PARTS.iter().filter(|part| arguments.only.is_empty() || arguments.only.iter().any(|name| name == part.name))
    {
        say(&format!("\n== {}: {}", part.name, part.what));
        let since = Instant::now();
        let outcome = run_part(part, &context, &records);
        let record = Record { part, outcome, took: since.elapsed() };
        say(&format!("== {record}"));
        records.push(record);
    }
    let (summary, code) = close(&records, started.elapsed(), ci);
    say(&format!("\n{summary}"));
    Ok(code)
}

fn run_part(part: &'static Part, context: &Context, before: &[Record]) -> Outcome {
    if context.quick && part.slow {
        return Outcome::Skipped("--quick leaves it out".to_owned());
    }
    let build_failed =
        before.iter().any(|record| record.part.name == "build" && matches!(record.outcome, Outcome::Failed(_)));
    if part.needs_build && build_failed {
        return Outcome::Failed("the build failed".to_owned());
    }
    (part.run)(context).unwrap_or_else(|error| Outcome::Failed(crate::process::with_causes(&error)))
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.took.as_secs_f64() / 60.0;
        write!(f, "{}: ", self.part.name)?;
        match &self.outcome {
            Outcome::Passed => f.write_str("passed")?,
            Outcome::Failed(reason) => write!(f, "FAILED ({reason})")?,
            Outcome::Counted(counts) => write!(f, "{counts}")?,
            Outcome::Skipped(reason) => return write!(f, "SKIPPED ({reason})"),
        }
        write!(f, ", {minutes:.1} of {:.1} min", self.part.budget_minutes)?;
        if minutes > self.part.budget_minutes {
            f.write_str(", over its budget")?;
        }
        Ok(())
    }
}

/// The table of parts with the closing line, and the exit code.
fn close(records: &[Record], took: Duration, ci: bool) -> (String, u8) {
    let mut lines: Vec<String> = records.iter().map(Record::to_string).collect();
    let total = total(records);
    let budget: f64 = records.iter().map(|record| record.part.budget_minutes).sum();
    lines.push(format!("total {:.1} of {budget:.1} min", took.as_secs_f64() / 60.0));
    let mut failed = total.failed;
    if total.skipped > 0 {
        let judged = if ci { ", which fails under CI=true" } else { "" };
        lines.push(format!("{} skipped{judged}", total.skipped));
        lines.extend(skipped_names(records).iter().map(|name| format!("  {name}")));
        if ci {
            failed += total.skipped;
        }
    }
    lines.push(format!("{} passed, {failed} failed", total.passed));
    (lines.join("\n"), u8::from(failed > 0))
}

fn total(records: &[Record]) -> Counts {
    let mut total = Counts::default();
    for record in records {
        match &record.outcome {
            Outcome::Passed => total.passed += 1,
            Outcome::Failed(_) => total.failed += 1,
            Outcome::Counted(counts) => total.add(counts),
            Outcome::Skipped(_) => total.skipped += 1,
        }
    }
    total
}

fn skipped_names(records: &[Record]) -> Vec<String> {
    let mut names = Vec::new();
    for record in records {
        match &record.outcome {
            Outcome::Skipped(reason) => names.push(format!("{}: {reason}", record.part.name)),
            Outcome::Counted(counts) => {
                names.extend(counts.skipped_names.iter().map(|name| format!("{}: {name}", record.part.name)));
            }
            Outcome::Passed | Outcome::Failed(_) => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(outcome: Outcome) -> Record {
        Record { part: &PARTS[0], outcome, took: Duration::from_secs(30) }
    }

    #[test]
    fn parts_and_tests_are_summed() {
        let counts = Counts { passed: 10, failed: 1, ..Counts::default() };
        let records =
            [record(Outcome::Passed), record(Outcome::Counted(counts)), record(Outcome::Failed("because".to_owned()))];
        let total = total(&records);
        assert_eq!((total.passed, total.failed, total.skipped), (11, 2, 0));
        let (summary, code) = close(&records, Duration::ZERO, false);
        assert_eq!((summary.lines().last(), code), (Some("11 passed, 2 failed"), 1));
    }

    #[test]
    fn a_skipped_part_is_named_and_fails_only_under_ci() {
        let records = [record(Outcome::Passed), record(Outcome::Skipped("not now".to_owned()))];
        assert_eq!(skipped_names(&records), [format!("{}: not now", PARTS[0].name)]);
        let (summary, code) = close(&records, Duration::ZERO, false);
        assert_eq!((summary.lines().last(), code), (Some("1 passed, 0 failed"), 0));
        let (summary, code) = close(&records, Duration::ZERO, true);
        assert_eq!((summary.lines().last(), code), (Some("1 passed, 1 failed"), 1));
    }

    #[test]
    fn an_ignored_test_is_a_skip_too() {
        let mut counts = Counts::default();
        counts.read_line("test wants_a_phone ... ignored");
        counts
            .read_line("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        let records = [record(Outcome::Counted(counts))];
        assert_eq!(skipped_names(&records), [format!("{}: wants_a_phone", PARTS[0].name)]);
        assert_eq!((close(&records, Duration::ZERO, false).1, close(&records, Duration::ZERO, true).1), (0, 1));
    }

    #[test]
    fn the_budgets_fit_the_time_that_ci_has() {
        let minutes: f64 = PARTS.iter().map(|part| part.budget_minutes).sum();
        assert!(minutes < 90.0, "{minutes}");
    }

    #[test]
    fn a_part_says_when_it_is_over_its_budget() {
        let mut late = record(Outcome::Passed);
        late.took = Duration::from_secs(60 * 60);
        assert!(late.to_string().ends_with(", over its budget"));
        assert!(!record(Outcome::Passed).to_string().contains("over"));
    }
}
