//! The other process: requests and answers of `xtask/peers/libsignal/peer.mjs`, one JSON object a line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::Failure;

/// libsignal refused, in its own words.
#[derive(Clone, Debug)]
pub(crate) struct PeerRefusal {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl std::fmt::Display for PeerRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "libsignal refused: {}: {}", self.name, self.message)
    }
}

impl std::error::Error for PeerRefusal {}

/// A running peer. It ends when its standard input closes.
pub(crate) struct Peer {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let mut process = Command::new("node")
            .arg("peer.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().ok_or("the peer has no output")?);
        Ok(Self { process, input, output })
    }

    /// One request. The outer error is a broken peer, the inner one a refusal.
    pub(crate) fn ask(&mut self, op: &str, mut request: Value) -> Result<Result<Value, PeerRefusal>, Failure> {
        request["op"] = json!(op);
        let input = self.input.as_mut().ok_or("the peer has ended")?;
        writeln!(input, "{request}")?;
        input.flush()?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(format!("the peer ended at {op}").into());
        }
        let answer: Value = serde_json::from_str(&line)?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(match answer["ok"] {
            Value::Bool(true) => Ok(answer),
            _ => Err(PeerRefusal { name: text("name"), message: text("message") }),
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Closing its input lets it end; waiting leaves no zombie.
        self.input = None;
        let _ = self.process.wait();
    }
}

/// Bytes from a field of an answer.
pub(crate) fn bytes(value: &Value) -> Result<Vec<u8>, Failure> {
    Ok(hex::decode(value.as_str().ok_or("a byte string is missing")?)?)
}

/// A number from a field of an answer.
pub(crate) fn number(value: &Value) -> Result<u32, Failure> {
    Ok(u32::try_from(value.as_u64().ok_or("a number is missing")?)?)
}
