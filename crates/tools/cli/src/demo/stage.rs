//! The demo's stage: a folder, a relay in a process of its own, and phones, each a profile that this executable's own commands run on.
//!
//! Every process is a child that is killed by its id when the stage goes away, however the demo ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rcseal_client::ClientError;
use rcseal_client::net::{EndpointError, NetError};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::error::CliError;

/// How long one command may take: many times what the slowest does on a busy machine.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(90);

/// Why a step did not show what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A command failed, or succeeded where it should not have.
    #[error("`rcseal {command}` exited with {code:?}: {stderr}")]
    Process {
        /// Its arguments.
        command: String,
        /// What it exited with.
        code: Option<i32>,
        /// What it said.
        stderr: String,
    },
    /// A command did not come to its end.
    #[error("`rcseal {command}` took longer than {} seconds", COMMAND_TIME_MAX.as_secs())]
    Slow {
        /// Its arguments.
        command: String,
    },
    /// A process could not be started or a file not be used.
    #[error("a process or file failed")]
    Io(#[from] std::io::Error),
    /// The library, used in this process, failed.
    #[error(transparent)]
    Library(#[from] CliError),
    /// The step ran and showed something else.
    #[error("not shown: {what}")]
    NotShown {
        /// What should have been.
        what: String,
    },
}

macro_rules! from_library {
    ($($error:ty),*) => {$(
        impl From<$error> for StepError {
            fn from(error: $error) -> Self {
                Self::Library(CliError::Client(error.into()))
            }
        }
    )*};
}
from_library!(ClientError, NetError, EndpointError);

/// Turns a fact into a step's success.
pub(crate) fn ensure(holds: bool, what: impl Into<String>) -> Result<(), StepError> {
    if holds { Ok(()) } else { Err(StepError::NotShown { what: what.into() }) }
}

/// A profile that stands for a phone.
#[derive(Debug, Clone)]
pub(crate) struct Phone {
    /// What the story calls it.
    pub(crate) name: &'static str,
    /// Its folder.
    pub(crate) profile: PathBuf,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What it exited with.
    pub(crate) code: Option<i32>,
    /// Its JSON lines.
    pub(crate) lines: Vec<Value>,
    /// What it said on standard error.
    pub(crate) stderr: String,
}

impl Answer {
    /// The first line with this event name.
    pub(crate) fn event(&self, name: &str) -> Option<&Value> {
        self.lines.iter().find(|line| line["event"] == name)
    }

    /// A text field of the only line that has it.
    pub(crate) fn text(&self, field: &str) -> Result<String, StepError> {
        let found = self.lines.iter().find_map(|line| line[field].as_str());
        found.map(str::to_owned).ok_or_else(|| StepError::NotShown { what: format!("an answer with {field:?}") })
    }
}

/// A command that goes on while others run.
#[derive(Debug)]
pub(crate) struct Live {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    command: String,
}

impl Live {
    /// The next JSON line.
    pub(crate) async fn next(&mut self) -> Result<Value, StepError> {
        let slow = || StepError::Slow { command: self.command.clone() };
        match timeout(COMMAND_TIME_MAX, self.lines.next_line()).await.map_err(|_| slow())?? {
            Some(line) => serde_json::from_str(&line)
                .map_err(|_| StepError::NotShown { what: format!("a line of JSON, but got {line:?}") }),
            None => {
                let code = self.child.wait().await?.code();
                Err(StepError::Process { command: self.command.clone(), code, stderr: "its output ended".to_owned() })
            }
        }
    }

    /// Waits for a line with this event name.
    pub(crate) async fn event(&mut self, name: &str) -> Result<Value, StepError> {
        loop {
            let line = self.next().await?;
            if line["event"] == name {
                return Ok(line);
            }
        }
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Result<Option<i32>, StepError> {
        while self.lines.next_line().await?.is_some() {}
        Ok(self.child.wait().await?.code())
    }

    /// Tells it to stop, and waits until it has finished what it was doing.
    pub(crate) async fn stop(self) -> Result<Option<i32>, StepError> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::TERM).map_err(std::io::Error::from)?;
        }
        self.end().await
    }

    /// Kills it: SIGKILL, so that it can do nothing more.
    pub(crate) async fn kill(mut self) -> Result<(), StepError> {
        Ok(self.child.kill().await?)
    }
}

/// Where everything happens.
#[derive(Debug)]
pub(crate) struct Stage {
    executable: PathBuf,
    folder: PathBuf,
    relay: Option<Live>,
    /// The relay's origin, once it runs.
    pub(crate) server: String,
}

impl Stage {
    /// A stage in a folder.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, StepError> {
        Ok(Self { executable: std::env::current_exe()?, folder, relay: None, server: String::new() })
    }

    /// The executable that plays every part.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    /// Everything the relay has on disk.
    pub(crate) fn relay_folder(&self) -> PathBuf {
        self.folder.join("relay")
    }

    /// The authority that the relay's certificate is under.
    pub(crate) fn authority(&self) -> PathBuf {
        self.relay_folder().join(rcseal_server::init::AUTHORITY_FILE)
    }

    /// A phone on this stage.
    pub(crate) fn phone(&self, name: &'static str) -> Phone {
        Phone { name, profile: self.folder.join(name.to_lowercase().replace(' ', "-")) }
    }

    /// A folder for files of the story.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the relay: on a free port first, on the same one ever after.
    pub(crate) async fn start_relay(&mut self) -> Result<(), StepError> {
        let folder = self.relay_folder();
        std::fs::create_dir_all(&folder)?;
        self.start_relay_in(&folder).await
    }

    /// Where the copy is that [`Self::copy_relay`] makes.
    fn copy_folder(&self) -> PathBuf {
        self.folder.join("relay-as-it-was")
    }

    /// Copies everything the relay has on disk. To be called while it is down.
    pub(crate) fn copy_relay(&self) -> Result<(), StepError> {
        Ok(copy_folder(&self.relay_folder(), &self.copy_folder())?)
    }

    /// Starts the copy in the place of the relay: the same address, the same certificate.
    pub(crate) async fn start_copy(&mut self) -> Result<(), StepError> {
        let folder = self.copy_folder();
        self.start_relay_in(&folder).await
    }

    async fn start_relay_in(&mut self, folder: &Path) -> Result<(), StepError> {
        let listen = match self.server.rsplit_once(':') {
            Some((_, port)) => format!("127.0.0.1:{port}"),
            None => "127.0.0.1:0".to_owned(),
        };
        // Beside the relay's folder: what the relay logs is looked at by people, and what it stores is searched.
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("relay.log"))?;
        let mut command = self.command(&["serve", "--listen", &listen, "--dir"]);
        command.arg(folder).stderr(log);
        let mut relay = live(command, format!("serve --listen {listen}"))?;
        let serving = relay.event("serving").await?;
        self.server = serving["server"].as_str().unwrap_or_default().to_owned();
        self.relay = Some(relay);
        Ok(())
    }

    /// Kills the relay in the middle of whatever it does.
    pub(crate) async fn kill_relay(&mut self) -> Result<(), StepError> {
        match self.relay.take() {
            Some(relay) => relay.kill().await,
            None => Ok(()),
        }
    }

    /// Leaves the relay to itself; answers its process id.
    pub(crate) fn leave_relay(&mut self) -> Option<u32> {
        let relay = self.relay.take()?;
        let id = relay.child.id();
        // Dropping would kill it. It is meant to outlive this process.
        std::mem::forget(relay);
        id
    }

    /// Runs a command on a phone; it has to succeed.
    pub(crate) async fn run(&self, phone: &Phone, arguments: &[&str]) -> Result<Answer, StepError> {
        let answer = self.attempt(phone, arguments).await?;
        if answer.code == Some(0) {
            return Ok(answer);
        }
        Err(StepError::Process { command: shown(arguments), code: answer.code, stderr: answer.stderr })
    }

    /// Runs a command on a phone, whatever comes of it.
    pub(crate) async fn attempt(&self, phone: &Phone, arguments: &[&str]) -> Result<Answer, StepError> {
        let mut command = self.command(arguments);
        command.arg("--profile").arg(&phone.profile).stderr(Stdio::piped());
        let slow = |_| StepError::Slow { command: shown(arguments) };
        let output = timeout(COMMAND_TIME_MAX, command.output()).await.map_err(slow)??;
        let lines = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<Value>, _>>()
            .map_err(|_| StepError::NotShown { what: format!("JSON lines from `rcseal {}`", shown(arguments)) })?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(Answer { code: output.status.code(), lines, stderr })
    }

    /// Starts a command on a phone that goes on while others run.
    pub(crate) fn live(&self, phone: &Phone, arguments: &[&str]) -> Result<Live, StepError> {
        let mut command = self.command(arguments);
        command.arg("--profile").arg(&phone.profile).stderr(Stdio::null());
        live(command, shown(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg("--json").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        // A shell that was set up for other profiles must not reach into the demo.
        for variable in ["RCSEAL_PROFILE", "RCSEAL_PASSPHRASE"] {
            command.env_remove(variable);
        }
        command
    }
}

/// Copies regular files and folders; a socket that a killed relay left is neither.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn live(mut command: Command, shown: String) -> Result<Live, StepError> {
    let mut child = command.spawn()?;
    let stdout =
        child.stdout.take().ok_or_else(|| StepError::NotShown { what: "a pipe from a child process".to_owned() })?;
    Ok(Live { child, lines: BufReader::new(stdout).lines(), command: shown })
}

/// A command as it is shown when it fails: invitations and link texts are secrets and are cut.
fn shown(arguments: &[&str]) -> String {
    let cut = |argument: &&str| {
        if argument.starts_with("rcseal://") { "rcseal://…".to_owned() } else { (*argument).to_owned() }
    };
    arguments.iter().map(cut).collect::<Vec<_>>().join(" ")
}
