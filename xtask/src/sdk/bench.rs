//! `cargo xtask bench sdk`: what each face costs over the Rust call.
//!
//! A face brings a program that is started with the address of a relay and the file of its authority, and prints as its last line
//! `{"rows":[{"id":…,"value":…,"unit":…,"goal":…}]}`; a row without a goal is there to be read beside the others. Lower is better in all.

use std::process::Stdio;

use rcseal_report::{Report, Row};
use serde_json::Value;

use super::relay::Relay;
use super::{Kit, SdkError, kotlin, python, size, store, swift, typescript};
use crate::process::{program_name, run_lines};

/// Rows of one face.
type Rows = fn(&Kit<'_>, &mut Report) -> Result<(), SdkError>;

/// Every face that has rows, one line for each, the store, and the sizes.
const FACES: &[Rows] = &[of_kotlin, of_swift, of_python, of_typescript, store::rows, size::rows];

/// Measures every face.
pub(crate) fn report(kit: &Kit<'_>) -> Result<Report, SdkError> {
    let mut report = Report::new("bench sdk");
    for face in FACES {
        face(kit, &mut report)?;
    }
    Ok(report)
}

fn of_kotlin(kit: &Kit<'_>, report: &mut Report) -> Result<(), SdkError> {
    let command = kotlin::program(kit, "org.rcseal.cross.BenchKt")?;
    program(kit, command, report)
}

fn of_swift(kit: &Kit<'_>, report: &mut Report) -> Result<(), SdkError> {
    let command = swift::bench(kit, &kit.folder("bench-relay")?)?;
    program(kit, command, report)
}

fn of_python(kit: &Kit<'_>, report: &mut Report) -> Result<(), SdkError> {
    let command = python::bench(kit)?;
    program(kit, command, report)
}

fn of_typescript(kit: &Kit<'_>, report: &mut Report) -> Result<(), SdkError> {
    let command = typescript::bench(kit)?;
    program(kit, command, report)
}

/// Runs a face's program beside a relay, and takes its rows in.
pub(super) fn program(kit: &Kit<'_>, mut command: std::process::Command, report: &mut Report) -> Result<(), SdkError> {
    let folder = kit.folder("bench-relay")?;
    let relay = Relay::start(kit, &folder)?;
    command.arg(&relay.server).arg(&relay.authority).stderr(Stdio::inherit());
    let name = program_name(&command);
    let mut last = String::new();
    let status = run_lines(&mut command, |line| last = line.to_owned())?;
    drop(relay);
    std::fs::remove_dir_all(&folder).map_err(SdkError::file(&folder))?;
    if !status.success() {
        return Err(SdkError::step(name));
    }
    take(&last, &name, report)
}

/// Takes in the rows that a program has printed as its last line.
pub(super) fn take(line: &str, name: &str, report: &mut Report) -> Result<(), SdkError> {
    let rows: Value = serde_json::from_str(line).unwrap_or_default();
    let Some(rows) = rows["rows"].as_array().filter(|rows| !rows.is_empty()) else {
        return Err(SdkError::step(name));
    };
    for row in rows {
        let (Some(id), Some(value), Some(unit)) = (row["id"].as_str(), row["value"].as_f64(), row["unit"].as_str())
        else {
            return Err(SdkError::step(name));
        };
        let measured = Row::lower(id, value, unit);
        report.measure(match row["goal"].as_f64() {
            Some(goal) => measured.goal(goal),
            None => measured,
        });
    }
    Ok(())
}
