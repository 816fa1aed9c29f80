//! `cargo xtask fuzz [TARGET]`: feeds parsers with inputs that grow towards uncovered code.
//!
//! The fuzzer is `fuzz/`, a crate outside the workspace. It is compiled here with the coverage counters that libFuzzer reads,
//! which a stable compiler can insert; address sanitizers would need another compiler, and code without `unsafe` gains little
//! from them. What the fuzzer finds grows in the target folder. With `--keep`, the fewest inputs that reach everything found
//! are written to `fuzz/corpus/`, where `cargo xtask test` replays them for ever. An input that breaks a promise is left in
//! `fuzz/artifacts/`; its repair begins with a named test.

mod corpus;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcseal_report::{Format, Report, Row};

use crate::process::{cargo, run_error_lines, run_lines, say};
use crate::workspace::Workspace;

/// Counters at every edge, and the operands of comparisons, so that magic bytes are found.
const COVERAGE_FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// What `cargo xtask fuzz` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The target; all in turn when none is named.
    target: Option<String>,
    /// How long for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Write the fewest inputs that reach everything found to fuzz/corpus/.
    #[arg(long)]
    keep: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Why fuzzing could not begin.
#[derive(Debug, thiserror::Error)]
enum FuzzError {
    /// The fuzzer does not compile.
    #[error("the fuzzer does not build")]
    Build,
    /// The compiler did not say what it compiles for.
    #[error("cannot tell the host's target triple")]
    Host,
    /// What was found could not be thinned out.
    #[error("the fuzzer could not choose what to keep")]
    Merge,
    /// There is no target of that name.
    #[error("no target is called {name}; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    let fuzzer = build(&workspace)?;
    let targets = names(&fuzzer)?;
    let chosen = match &arguments.target {
        None => targets,
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => return Err(FuzzError::Unknown { name: name.clone(), known: targets.join(", ") }.into()),
    };
    let mut report = Report::new("fuzz");
    for target in &chosen {
        let folders = Folders::of(&workspace, target);
        folders.make()?;
        let outcome = fuzz(&fuzzer, target, &folders, arguments)?;
        report.measure(Row::higher(&format!("{target}_runs"), outcome.runs, "runs"));
        report.measure(Row::higher(&format!("{target}_coverage"), outcome.coverage, "edges"));
        report.promise(&format!("{target}_holds"), outcome.held);
        if arguments.keep && outcome.held {
            keep(&fuzzer, target, &folders)?;
        }
    }
    Ok(report.finish(Format::from_json_flag(arguments.json)))
}

/// Where inputs of a target lie.
struct Folders {
    /// What is replayed by the tests; in the repository, one file for each target.
    corpus: PathBuf,
    /// The same as files of their own.
    kept: PathBuf,
    /// What will be kept.
    chosen: PathBuf,
    /// What our own writers make.
    seeds: PathBuf,
    /// What fuzzing has found on this machine.
    found: PathBuf,
    /// What broke a promise.
    broken: PathBuf,
}

impl Folders {
    fn of(workspace: &Workspace, target: &str) -> Self {
        let work = workspace.target.join("fuzz-work").join(target);
        Self {
            corpus: workspace.root.join("fuzz/corpus").join(format!("{target}.hex")),
            kept: work.join("kept"),
            chosen: work.join("chosen"),
            seeds: work.join("seeds"),
            found: work.join("found"),
            broken: workspace.root.join("fuzz/artifacts").join(target),
        }
    }

    /// Makes the folders, and fills the one of kept inputs from the corpus.
    fn make(&self) -> Result<(), Box<dyn Error>> {
        for fresh in [&self.kept, &self.chosen].into_iter().filter(|folder| folder.exists()) {
            fs::remove_dir_all(fresh)?;
        }
        [&self.kept, &self.chosen, &self.seeds, &self.found, &self.broken]
            .into_iter()
            .try_for_each(fs::create_dir_all)?;
        if self.corpus.is_file() {
            let inputs = corpus::unpack(&fs::read_to_string(&self.corpus)?)?;
            for (index, input) in inputs.iter().enumerate() {
                fs::write(self.kept.join(format!("kept-{index}")), input)?;
            }
        }
        Ok(())
    }
}

/// Builds the fuzzer and returns where it is.
fn build(workspace: &Workspace) -> Result<PathBuf, Box<dyn Error>> {
    let host = host()?;
    let target_folder = workspace.target.join("fuzz-build");
    let mut command = cargo();
    // Naming the host as target keeps the counters out of build scripts and macros, which run without a fuzzer.
    command
        .current_dir(workspace.root.join("fuzz"))
        .env("CARGO_TARGET_DIR", &target_folder)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE_FLAGS.join("\u{1f}"))
        .args(["build", "--release", "--locked", "--target", &host]);
    if !command.status()?.success() {
        return Err(FuzzError::Build.into());
    }
    Ok(target_folder.join(host).join("release").join(format!("rcseal-fuzz{}", std::env::consts::EXE_SUFFIX)))
}

fn host() -> Result<String, Box<dyn Error>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut host = None;
    run_lines(Command::new(rustc).arg("-vV"), |line| {
        if let Some(triple) = line.strip_prefix("host: ") {
            host = Some(triple.to_owned());
        }
    })?;
    host.ok_or_else(|| FuzzError::Host.into())
}

fn names(fuzzer: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    run_lines(Command::new(fuzzer).env("RCSEAL_FUZZ_LIST", "1"), |line| names.push(line.to_owned()))?;
    Ok(names)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    held: bool,
    runs: u64,
    coverage: u64,
}

impl Outcome {
    /// Takes in a line that libFuzzer prints, such as `#4096 pulse cov: 211 ft: 640 …` or `stat::number_of_executed_units: 9`.
    fn read_line(&mut self, line: &str) {
        if let Some(runs) =
            line.strip_prefix("stat::number_of_executed_units:").and_then(|rest| rest.trim().parse().ok())
        {
            self.runs = runs;
        }
        let mut words = line.split_whitespace().skip_while(|word| *word != "cov:").skip(1);
        if let Some(coverage) = words.next().and_then(|word| word.parse().ok()) {
            self.coverage = coverage;
        }
    }
}

fn fuzz(fuzzer: &Path, target: &str, folders: &Folders, arguments: &Arguments) -> Result<Outcome, Box<dyn Error>> {
    let mut prefix = folders.broken.clone().into_os_string();
    prefix.push("/");
    let mut artifacts = std::ffi::OsString::from("-artifact_prefix=");
    artifacts.push(prefix);
    let mut command = Command::new(fuzzer);
    command
        .env("RCSEAL_FUZZ_TARGET", target)
        .env("RCSEAL_FUZZ_SEEDS", &folders.seeds)
        .arg(format!("-max_total_time={}", arguments.seconds))
        .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=2048"])
        .arg(artifacts)
        .args([&folders.found, &folders.seeds, &folders.kept]);
    let mut outcome = Outcome::default();
    if !arguments.json {
        say(&format!("fuzzing {target} for {} s", arguments.seconds));
    }
    let mut last_lines = Vec::new();
    let status = run_error_lines(&mut command, |line| {
        outcome.read_line(line);
        last_lines.push(line.to_owned());
        if last_lines.len() > 60 {
            last_lines.remove(0);
        }
    })?;
    outcome.held = status.success();
    if !outcome.held {
        last_lines.iter().for_each(|line| eprintln!("{line}"));
    }
    Ok(outcome)
}

/// Chooses the fewest inputs that reach everything found, and writes them to the corpus.
fn keep(fuzzer: &Path, target: &str, folders: &Folders) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(fuzzer);
    // Edges only: how often a loop ran is worth finding, but not worth keeping an input for.
    command.env("RCSEAL_FUZZ_TARGET", target).args(["-set_cover_merge=1", "-use_counters=0"]);
    command.args([&folders.chosen, &folders.kept, &folders.seeds, &folders.found]);
    if !run_error_lines(&mut command, |_| {})?.success() {
        return Err(FuzzError::Merge.into());
    }
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&folders.chosen)? {
        inputs.push(fs::read(entry?.path())?);
    }
    if let Some(parent) = folders.corpus.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&folders.corpus, corpus::pack(inputs))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_and_runs_are_read_from_what_libfuzzer_prints() {
        let mut outcome = Outcome::default();
        outcome.read_line("#2	INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb");
        outcome.read_line("#4096	pulse  cov: 211 ft: 640 corp: 9/81b lim: 43 exec/s: 2048 rss: 36Mb");
        outcome.read_line("stat::number_of_executed_units: 8192");
        outcome.read_line("Done 8192 runs in 4 second(s)");
        assert_eq!(outcome, Outcome { held: false, runs: 8192, coverage: 211 });
    }
}
