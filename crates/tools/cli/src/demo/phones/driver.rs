//! One phone: a process that is asked by lines of JSON (`sdk/DRIVER.md`), and is killed by its id when the demo lets it go.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout_at};

use super::launch::Program;
use crate::demo::stage::{StepError, ensure};

/// How long something may take that should happen soon: many times what it takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// How often a phone's store is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A phone.
pub(super) struct Driver {
    /// What the story calls it.
    pub(super) name: &'static str,
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    asked: u64,
    /// The folder of its files, as this process sees it.
    here: PathBuf,
    /// The same, as the phone sees it.
    there: PathBuf,
    /// The other one, once it is known.
    pub(super) contact: String,
    /// Removes what is in a folder outside the demo's.
    _folder: Option<tempfile::TempDir>,
}

impl Driver {
    /// Starts it; its files are in its own folder, or below the demo's.
    pub(super) fn start(name: &'static str, program: &Program, demo: &Path) -> Result<Self, StepError> {
        let (here, there, folder) = match &program.folder {
            Some(own) => {
                let folder = tempfile::Builder::new().prefix("demo-").tempdir_in(&own.here)?;
                let there = own.there.join(folder.path().file_name().unwrap_or_default());
                (folder.path().to_owned(), there, Some(folder))
            }
            None => {
                let folder = std::path::absolute(demo.join(name.to_lowercase()))?;
                std::fs::create_dir_all(&folder)?;
                (folder.clone(), folder, None)
            }
        };
        let log = std::fs::File::create(demo.join(format!("{}.log", name.to_lowercase())))?;
        let Some((first, rest)) = program.argv.split_first() else { return Err(missing(name, "a program")) };
        let mut command = Command::new(first);
        command.args(rest).envs(&program.env).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.kill_on_drop(true).spawn()?;
        let input = child.stdin.take().ok_or_else(|| missing(name, "a pipe to it"))?;
        let output = child.stdout.take().ok_or_else(|| missing(name, "a pipe from it"))?;
        let lines = BufReader::new(output).lines();
        Ok(Self { name, child, input, lines, asked: 0, here, there, contact: String::new(), _folder: folder })
    }

    /// Asks, and waits for the answer. What it tells in between is not needed: the steps look at what is in its store.
    pub(super) async fn ask(&mut self, what: &str, mut fields: Value) -> Result<Value, StepError> {
        self.asked += 1;
        fields["id"] = self.asked.into();
        fields["do"] = what.into();
        self.input.write_all(format!("{fields}\n").as_bytes()).await?;
        self.input.flush().await?;
        let limit = Instant::now() + SOON;
        let name = self.name;
        let silent = || missing(name, &format!("an answer to `{what}` within {} seconds", SOON.as_secs()));
        while let Some(line) = timeout_at(limit, self.lines.next_line()).await.map_err(|_| silent())?? {
            let line: Value = serde_json::from_str(&line).map_err(|_| missing(name, "lines of JSON"))?;
            if line["id"] == fields["id"] {
                let refused = || missing(name, &format!("success of `{what}`, but {}", line["error"]));
                return line.get("ok").cloned().ok_or_else(refused);
            }
        }
        Err(missing(name, &format!("an answer to `{what}`: the phone ended")))
    }

    /// The same about the conversation with the other.
    pub(super) async fn about(&mut self, what: &str, mut fields: Value) -> Result<Value, StepError> {
        fields["contact"] = self.contact.clone().into();
        self.ask(what, fields).await
    }

    /// The message that a condition holds for, as soon as there is one.
    pub(super) async fn sees(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, StepError> {
        let limit = Instant::now() + SOON;
        loop {
            let answer = self.about("messages", json!({})).await?;
            if let Some(message) = answer["messages"].as_array().into_iter().flatten().find(|message| holds(message)) {
                return Ok(message.clone());
            }
            ensure(Instant::now() < limit, format!("{}: {what}", self.name))?;
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The first who wrote to this phone, as soon as somebody has.
    pub(super) async fn first_contact(&mut self) -> Result<String, StepError> {
        let limit = Instant::now() + SOON;
        loop {
            let answer = self.ask("contacts", json!({})).await?;
            if let Some(contact) = answer["contacts"][0]["contact"].as_str() {
                return Ok(contact.to_owned());
            }
            ensure(Instant::now() < limit, format!("{}: somebody who wrote", self.name))?;
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Opens, creates an account, and connects.
    pub(super) async fn begin(&mut self, server: &str, authority: &Path, platform: &str) -> Result<(), StepError> {
        std::fs::copy(authority, self.here.join("authority.pem"))?;
        let (folder, authority) = (self.there.join("device"), self.there.join("authority.pem"));
        self.ask("open", json!({ "folder": folder, "authority": authority })).await?;
        let fields = json!({ "server": server, "name": self.name, "platform": platform });
        let account = self.ask("account", fields).await?;
        ensure(account["is_registered"] == true, format!("{}: registered", self.name))?;
        self.ask("connect", json!({})).await.map(drop)
    }

    /// Puts a file where the phone finds it; answers its name there.
    pub(super) fn hand_in(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StepError> {
        std::fs::write(self.here.join(name), bytes)?;
        Ok(self.there.join(name))
    }

    /// Has a file of a message fetched, and reads it.
    pub(super) async fn fetch(&mut self, message: &Value, name: &str) -> Result<Vec<u8>, StepError> {
        let (sender, id, path) = (&message["sender"], &message["message"], self.there.join(name));
        self.about("fetch", json!({ "sender": sender, "message": id, "path": path })).await?;
        Ok(std::fs::read(self.here.join(name))?)
    }

    /// Ends it: it closes its client, and its input is over.
    pub(super) async fn end(mut self) -> Result<(), StepError> {
        self.ask("close", json!({})).await?;
        drop(self.input);
        let ended = timeout_at(Instant::now() + SOON, self.child.wait()).await;
        let status = ended.map_err(|_| missing(self.name, "its end"))??;
        ensure(status.success(), format!("{}: a good end, but {status}", self.name))
    }
}

fn missing(name: &str, what: &str) -> StepError {
    StepError::NotShown { what: format!("{name}: {what}") }
}
