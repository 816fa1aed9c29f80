//! Runs other programs and passes on what they print.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A program that could not be run at all. One that ran and failed is an answer, not an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The program is missing or may not be executed.
    #[error("cannot start {program}")]
    Start {
        /// The program as it was called.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its output could not be read, or its end not awaited.
    #[error("lost track of {program}")]
    Follow {
        /// The program as it was called.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The cargo that runs us, so that a toolchain chosen on the command line stays chosen.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    // `cargo run` describes the package of xtask in its environment; the cargo called here must not mistake it for its own.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end with our own input and output.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus, ProcessError> {
    let program = program_name(command);
    command.status().map_err(|source| ProcessError::Start { program, source })
}

/// Runs a program to its end and hands every line of its standard output to `each`. Its standard error stays ours.
pub(crate) fn run_lines(command: &mut Command, each: impl FnMut(&str)) -> Result<ExitStatus, ProcessError> {
    follow(command.stdout(Stdio::piped()), |child| child.stdout.take().map(BufReader::new), each)
}

/// Runs a program to its end and hands every line of its standard error to `each`. Its standard output stays ours.
pub(crate) fn run_error_lines(command: &mut Command, each: impl FnMut(&str)) -> Result<ExitStatus, ProcessError> {
    follow(command.stderr(Stdio::piped()), |child| child.stderr.take().map(BufReader::new), each)
}

fn follow<R: BufRead>(
    command: &mut Command,
    stream: fn(&mut Child) -> Option<R>,
    mut each: impl FnMut(&str),
) -> Result<ExitStatus, ProcessError> {
    let program = program_name(command);
    let mut child = command.spawn().map_err(|source| ProcessError::Start { program: program.clone(), source })?;
    for line in stream(&mut child).into_iter().flat_map(|stream| stream.split(b'\n')) {
        let line = line.map_err(|source| ProcessError::Follow { program: program.clone(), source })?;
        each(&String::from_utf8_lossy(&line));
    }
    child.wait().map_err(|source| ProcessError::Follow { program, source })
}

/// Prints a line at once, also when standard output is a file or a pipe. A reader that has gone away is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// The program and its arguments, for a message.
pub(crate) fn program_name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// An error with all its causes on one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn lines_arrive_one_by_one_and_the_status_at_the_end() {
        let mut lines = Vec::new();
        let status = run_lines(Command::new("sh").args(["-c", "echo one; echo two; exit 3"]), |line| {
            lines.push(line.to_owned());
        })
        .unwrap();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn standard_error_is_followed_the_same_way() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        run_error_lines(command.args(["-c", "echo one >&2"]), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one"]);
    }

    #[test]
    fn a_missing_program_is_named_with_its_cause() {
        let error = run(&mut Command::new("rcseal-no-such-program")).unwrap_err();
        assert!(matches!(error, ProcessError::Start { .. }));
        assert!(with_causes(&error).starts_with("cannot start rcseal-no-such-program: "));
    }
}
