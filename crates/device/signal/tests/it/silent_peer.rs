//! The pipe that another implementation is driven over: one that hangs makes a run fail, and does not make it hang.
#![allow(clippy::disallowed_types, reason = "the programs behind the pipe are processes")]

use std::process::Command;
use std::time::Duration;

use crate::pipe::{Pipe, PipeError};

/// Far longer than any of these programs takes to answer.
const LONG: Duration = Duration::from_secs(60);
/// What a program that never answers is given.
const SHORT: Duration = Duration::from_millis(50);

fn shell(script: &str) -> Pipe {
    Pipe::start(Command::new("sh").args(["-c", script])).unwrap()
}

/// Whether a process exists, as a zombie too.
fn exists(id: u32) -> bool {
    Command::new("sh").args(["-c", &format!("kill -0 {id} 2>/dev/null")]).status().unwrap().success()
}

#[test]
fn each_line_is_answered_by_the_next() {
    let mut echo = shell("while read -r line; do echo \"heard $line\"; done");
    assert_eq!(echo.ask("one".to_owned(), LONG).unwrap(), "heard one");
    assert_eq!(echo.ask("two".to_owned(), LONG).unwrap(), "heard two");
}

#[test]
fn a_program_that_never_answers_is_killed_and_named_as_the_cause() {
    // It reads everything, says nothing, and does not end when its input does.
    let mut silent = shell("cat >/dev/null; exec sleep 600");
    let id = silent.id();
    assert!(exists(id));
    let error = silent.ask("hello".to_owned(), SHORT).unwrap_err();
    assert!(matches!(error, PipeError::Silent(limit) if limit == SHORT), "{error:?}");
    assert_eq!(error.to_string(), "it gave no answer within 50ms and was killed");
    assert!(!exists(id));
    // Every request after that fails at once.
    assert!(matches!(silent.ask("hello".to_owned(), LONG), Err(PipeError::Ended)));
}

#[test]
fn a_program_that_reads_nothing_hangs_nobody_either() {
    let mut deaf = shell("exec sleep 600");
    // More than a pipe holds: a write would block for as long as the program lives.
    let error = deaf.ask("x".repeat(1 << 20), SHORT).unwrap_err();
    assert!(matches!(error, PipeError::Silent(_)), "{error:?}");
}

#[test]
fn a_program_that_ends_is_told_from_one_that_hangs() {
    let error = shell("exit 0").ask("hello".to_owned(), LONG).unwrap_err();
    assert!(matches!(error, PipeError::Ended), "{error:?}");
}
