//! A relay and devices as child processes. Every process is killed by its id when its test ends, however it ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A limit for everything that should happen soon, many times what it takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How often [`until`] looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A folder, a relay in it, and devices.
pub(crate) struct World {
    folder: TempDir,
    relay: Option<Running>,
    pub(crate) server: String,
}

impl World {
    /// With a relay that anybody may register at.
    pub(crate) fn new() -> Self {
        let mut world = Self::without_relay();
        world.start_relay();
        world
    }

    /// With a folder only.
    pub(crate) fn without_relay() -> Self {
        let folder = tempfile::Builder::new().prefix("rcseal-it-").tempdir().unwrap();
        Self { folder, relay: None, server: String::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn relay_folder(&self) -> PathBuf {
        self.path("relay")
    }

    pub(crate) fn authority(&self) -> String {
        self.relay_folder().join("authority.pem").display().to_string()
    }

    /// Starts the relay: on a free port first, on the same one ever after.
    pub(crate) fn start_relay(&mut self) {
        self.start_relay_with(&[]);
    }

    /// Answers the line that the relay begins with.
    pub(crate) fn start_relay_with(&mut self, more: &[&str]) -> Value {
        let port = self.server.rsplit_once(':').map_or("0", |(_, port)| port);
        let listen = format!("127.0.0.1:{port}");
        let mut command = rcseal();
        command.args(["serve", "--listen", &listen, "--dir"]).arg(self.relay_folder()).args(more);
        let mut relay = Running::start(command);
        let serving = relay.event("serving");
        self.server = serving["server"].as_str().unwrap().to_owned();
        self.relay = Some(relay);
        serving
    }

    /// Kills the relay with SIGKILL.
    pub(crate) fn kill_relay(&mut self) {
        self.relay.take().unwrap().kill();
    }

    /// Stops the relay in order; answers its exit code.
    pub(crate) fn stop_relay(&mut self) -> Option<i32> {
        self.relay.take().unwrap().terminate()
    }

    /// A device that nobody has set up.
    pub(crate) fn blank(&self, name: &str) -> Device {
        Device { profile: self.path(name) }
    }

    /// A device with an account of its own.
    pub(crate) fn device(&self, name: &str) -> Device {
        let device = self.blank(name);
        device.run(&self.create_arguments(name));
        device
    }

    /// The arguments that create an account.
    pub(crate) fn create_arguments<'a>(&'a self, name: &'a str) -> Vec<String> {
        ["account", "create", "--server", &self.server, "--ca", &self.authority(), "--name", name]
            .map(str::to_owned)
            .to_vec()
    }

    /// Two devices, of which `one` can write to `other` by its name.
    pub(crate) fn pair(&self, one: &str, other: &str) -> (Device, Device) {
        let (first, second) = (self.device(one), self.device(other));
        let invitation = second.run(&["contact", "invite"]).text("invitation");
        first.run(&["contact", "add", &invitation, "--name", other]);
        (first, second)
    }

    /// Two devices that have written to each other, under the names that they were given here.
    pub(crate) fn acquainted(&self, one: &str, other: &str) -> (Device, Device) {
        let (first, second) = self.pair(one, other);
        first.run(&["send", other, "hello"]);
        second.run(&["listen", "--until-empty"]);
        second.run(&["send", one, "hello to you"]);
        first.run(&["listen", "--until-empty"]);
        (first, second)
    }
}

/// The executable under test, with JSON for an answer.
pub(crate) fn rcseal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcseal"));
    command.arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["RCSEAL_PROFILE", "RCSEAL_PASSPHRASE", "RCSEAL_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// A profile.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) profile: PathBuf,
}

impl Device {
    /// Verifies a contact by the digits that are shown for it.
    pub(crate) fn confirm(&self, contact: &str) -> Answer {
        let digits = self.run(&["verify", contact]).text("safety_number");
        self.run(&["verify", contact, "--confirm", &digits])
    }

    /// Runs a command that has to succeed.
    pub(crate) fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Answer {
        let answer = self.attempt(arguments);
        assert_eq!(answer.code, Some(0), "{:?}: {}", shown(arguments), answer.stderr);
        answer
    }

    /// Runs a command, whatever comes of it.
    pub(crate) fn attempt<S: AsRef<str>>(&self, arguments: &[S]) -> Answer {
        finish(self.command(arguments))
    }

    /// A command that goes on while others run; its standard input is ours.
    pub(crate) fn start<S: AsRef<str>>(&self, arguments: &[S]) -> Running {
        Running::start(self.command(arguments))
    }

    pub(crate) fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = rcseal();
        command.arg("--profile").arg(&self.profile).args(arguments.iter().map(AsRef::as_ref));
        command
    }

    /// Receives until nothing waits, and answers what was printed.
    pub(crate) fn drain(&self) -> Answer {
        self.run(&["listen", "--until-empty"])
    }

    /// The messages of an export.
    pub(crate) fn exported(&self) -> Vec<Value> {
        self.run(&["export"]).lines.into_iter().filter(|line| line["type"] == "message").collect()
    }

    /// The texts of an export, oldest first.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.exported().iter().filter_map(|line| line["content"]["text"].as_str().map(str::to_owned)).collect()
    }
}

fn shown<S: AsRef<str>>(arguments: &[S]) -> Vec<&str> {
    arguments.iter().map(AsRef::as_ref).collect()
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Answer {
    Answer::from(command.output().unwrap())
}

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<Value>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code(),
            lines: stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
            stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Answer {
    /// A text field of the first line that has it.
    pub(crate) fn text(&self, field: &str) -> String {
        self.lines
            .iter()
            .find_map(|line| line[field].as_str())
            .unwrap_or_else(|| panic!("no {field}: {}", self.stdout))
            .to_owned()
    }

    /// Lines with this event name.
    pub(crate) fn events(&self, name: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event"] == name).collect()
    }

    /// Asserts an exit code and the code that ends the message.
    pub(crate) fn assert_refused(&self, exit: i32, code: &str) {
        assert_eq!(self.code, Some(exit), "{}", self.stderr);
        let last = self.stderr.trim_end().lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.ends_with(&format!("[{code}]")), "{}", self.stderr);
    }
}

/// A process that goes on.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // The last line of a process that was killed may be cut off.
                let Ok(Ok(line)) = line.map(|line| serde_json::from_str(&line)) else { break };
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, lines }
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// The next line of the output, if it comes soon.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(SOON) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the process said nothing for {SOON:?}"),
        }
    }

    /// A line that is there already.
    pub(crate) fn ready(&mut self) -> Option<Value> {
        self.lines.try_recv().ok()
    }

    /// Waits for a line with this event name.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.next().unwrap_or_else(|| panic!("the process ended before {name:?}"));
            if line["event"] == name {
                return line;
            }
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Closes its input and waits for its end; answers its exit code. A process that crashes is a failure by itself.
    pub(crate) fn end(mut self) -> Option<i32> {
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        assert!(status.code().is_some(), "the process ended by itself with {status}");
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < SOON, "{what} did not come to be within {SOON:?}");
        // Between two looks the processes under test need the processor.
        std::thread::park_timeout(LOOK_AGAIN);
    }
}

/// Every regular file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}
