//! A program behind a pipe: one line goes in, one comes back, and neither may take for ever.
//!
//! Reading and writing block, so a thread does each. Whoever waits for an answer waits on a channel, which has a limit; past it the
//! program is killed by its id, and both threads end with its pipes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a program may take to end by itself after its standard input was closed.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// Why there was no answer.
#[derive(Debug)]
pub(crate) enum PipeError {
    /// It has ended, or closed its standard output.
    Ended,
    /// It said nothing for this long. It was killed.
    Silent(Duration),
    /// Its output cannot be read.
    Read(io::Error),
}

impl fmt::Display for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => write!(f, "it has ended"),
            Self::Silent(limit) => write!(f, "it gave no answer within {limit:?} and was killed"),
            Self::Read(error) => write!(f, "its output cannot be read: {error}"),
        }
    }
}

impl std::error::Error for PipeError {}

/// A running program. Its standard input closes when this is dropped, which is its time to end.
pub(crate) struct Pipe {
    process: Child,
    requests: Option<Sender<String>>,
    answers: Receiver<io::Result<String>>,
}

impl Pipe {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(mut input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("a child without the pipes it was given"));
        };
        let (requests, to_write) = channel::<String>();
        std::thread::spawn(move || {
            for line in to_write {
                // A program that has gone away is noticed by whoever waits for its answer.
                if writeln!(input, "{line}").and_then(|()| input.flush()).is_err() {
                    break;
                }
            }
        });
        let (read, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if read.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { process, requests: Some(requests), answers })
    }

    /// Sends a line, and waits at most `limit` for the line that answers it.
    pub(crate) fn ask(&mut self, line: String, limit: Duration) -> Result<String, PipeError> {
        let Some(Ok(())) = self.requests.as_ref().map(|requests| requests.send(line)) else {
            return Err(PipeError::Ended);
        };
        match self.answers.recv_timeout(limit) {
            Ok(answer) => answer.map_err(PipeError::Read),
            Err(RecvTimeoutError::Disconnected) => Err(PipeError::Ended),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(PipeError::Silent(limit))
            }
        }
    }

    /// The program's id.
    #[allow(dead_code, reason = "only the tests of this file ask")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn kill(&mut self) {
        self.requests = None;
        // One that has ended cannot be killed; awaiting it works either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.requests = None;
        loop {
            match self.answers.recv_timeout(END_TIME_MAX) {
                Ok(_) => {}
                // Its output is closed, so it is ending.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.process.kill();
                    break;
                }
            }
        }
        let _ = self.process.wait();
    }
}
