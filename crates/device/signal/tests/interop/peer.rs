//! The other process: requests and answers of `xtask/peers/libsignal/peer.mjs`, one JSON object a line.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;
use crate::pipe::Pipe;

/// How long one answer may take. The slowest is the first, which waits for Node to load the package: seconds on a busy machine. A peer
/// that needs longer hangs, and the run fails with it instead of hanging too.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

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

/// A running peer. It ends when this is dropped.
pub(crate) struct Peer {
    pipe: Pipe,
}

impl Peer {
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("node");
        Ok(Self { pipe: Pipe::start(command.arg("peer.mjs").current_dir(folder))? })
    }

    /// One request. The outer error is a broken peer, the inner one a refusal.
    pub(crate) fn ask(&mut self, op: &str, mut request: Value) -> Result<Result<Value, PeerRefusal>, Failure> {
        request["op"] = json!(op);
        let line = self
            .pipe
            .ask(request.to_string(), ANSWER_TIME_MAX)
            .map_err(|error| format!("libsignal's process, asked to {op}: {error}"))?;
        let answer: Value = serde_json::from_str(&line)?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(match answer["ok"] {
            Value::Bool(true) => Ok(answer),
            _ => Err(PeerRefusal { name: text("name"), message: text("message") }),
        })
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
