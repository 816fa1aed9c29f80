//! What the operator may ask about messages that the server can read: over the admin socket, as the person at the console says who they are
//! and why. Both ends of the conversation are here.
//!
//! | command | answer |
//! |---|---|
//! | `retained-list ACCOUNT SEQUENCE`, `retained-list` | up to a page of lines after that place, without any words, then `ok` |
//! | `retained-read ID OPERATOR REASON` | `ok WORDS`, all base64url; the record has a row before the answer leaves |
//! | `audit NUMBER` | up to a page of rows after that one as JSON, then `ok` and both ends of the chain |
//! | `retained-check` | `ok` and the key, where it can be used |

use std::fmt::{self, Write as _};
use std::path::Path;

use rcseal_front::admin_socket::{AdminSocketError, Answer, ask};
use rcseal_store::UnixMillis;
use rcseal_store::audit::{
    AuditActor, AuditBreak, AuditEntry, AuditHash, AuditHead, AuditOutcome, AuditRow, OPERATOR_LEN_MAX, REASON_LEN_MAX,
};
use rcseal_wire::b64;
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, RetainedId, ServerKeyId};
use serde::{Deserialize, Serialize};

use crate::retained::{self, Unreadable};
use crate::state::AppState;

/// Lines and rows of one answer.
const PAGE: usize = 1000;

/// A row of the record as `rcseald admin audit --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// From 1.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who.
    pub actor: ActorLine,
    /// Which message.
    pub message: RetainedId,
    /// Whose.
    pub recipient: AccountId,
    /// With which key.
    pub key: ServerKeyId,
    /// What came of it.
    pub outcome: String,
    /// The row's hash, which covers the row before.
    #[serde(with = "rcseal_wire::b64")]
    pub hash: Vec<u8>,
}

/// Who opened a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorLine {
    /// A device of the recipient.
    Device {
        /// Its account.
        account: AccountId,
        /// Its number.
        device: DeviceNumber,
    },
    /// Somebody with the operator's rights.
    Operator {
        /// Who they said they are.
        name: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, at_ms, actor, message, recipient, outcome, .. } = self;
        write!(f, "{number} at_ms {at_ms} message {message} of {recipient} {outcome} by ")?;
        match actor {
            ActorLine::Device { account, device } => write!(f, "device {device} of {account}"),
            ActorLine::Operator { name, reason } => write!(f, "operator {name:?} because {reason:?}"),
        }
    }
}

/// Why the record cannot be shown, or is not what it was.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The server could not be asked.
    #[error(transparent)]
    Socket(#[from] AdminSocketError),
    /// The server's answer makes no sense.
    #[error("the server's answer makes no sense")]
    Answer,
    /// Somebody changed the record.
    #[error("the record was tampered with")]
    Broken(#[source] AuditBreak),
    /// The newest rows were cut off.
    #[error("the record ends at row {found}, and should end at row {expected}")]
    Cut {
        /// The row that the server's store says is the newest.
        expected: u64,
        /// The newest one that is there.
        found: u64,
    },
}

impl AuditError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Socket(source) => source.code(),
            Self::Answer => "audit.answer",
            Self::Broken(_) => "audit.broken",
            Self::Cut { .. } => "audit.cut",
        }
    }
}

impl From<&AuditRow> for AuditLine {
    fn from(row: &AuditRow) -> Self {
        let actor = match &row.entry.actor {
            AuditActor::Device(DeviceAddress { account, device }) => {
                ActorLine::Device { account: *account, device: *device }
            }
            AuditActor::Operator { name, reason } => ActorLine::Operator { name: name.clone(), reason: reason.clone() },
        };
        Self {
            number: row.number,
            at_ms: row.entry.at.get(),
            actor,
            message: row.entry.message,
            recipient: row.entry.recipient,
            key: row.entry.key,
            outcome: row.entry.outcome.as_str().to_owned(),
            hash: row.hash.0.to_vec(),
        }
    }
}

impl AuditLine {
    fn row(&self) -> Option<AuditRow> {
        let actor = match &self.actor {
            ActorLine::Device { account, device } => {
                AuditActor::Device(DeviceAddress { account: *account, device: *device })
            }
            ActorLine::Operator { name, reason } => AuditActor::Operator { name: name.clone(), reason: reason.clone() },
        };
        let entry = AuditEntry {
            at: UnixMillis::new(self.at_ms),
            actor,
            message: self.message,
            recipient: self.recipient,
            key: self.key,
            outcome: AuditOutcome::from_name(&self.outcome)?,
        };
        Some(AuditRow { number: self.number, entry, hash: AuditHash(self.hash.as_slice().try_into().ok()?) })
    }
}

fn failed(error: &dyn std::error::Error) -> String {
    error.to_string()
}

pub(super) async fn list(state: &AppState, after: Option<(AccountId, u64)>) -> Answer {
    retained::of(state).map_err(|error| failed(&error))?;
    let entries = state.store.list_retained(state.clock.now(), after, PAGE).await.map_err(|error| failed(&error))?;
    let mut lines = String::new();
    for entry in entries {
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            "{} to {} sequence {} from {} device {} class {} sent_at_ms {} expires_at_ms {} bytes {}",
            entry.id,
            entry.to,
            entry.sequence,
            entry.from.account,
            entry.from.device,
            entry.class,
            entry.sent_at.get(),
            entry.expires_at.get(),
            entry.sealed_len
        );
    }
    lines.push_str("ok\n");
    Ok(lines)
}

/// Parses one of the two texts that an operator gives.
fn parse_text(what: &str, text: &str, len_max: usize) -> Result<String, String> {
    let text = b64::decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) if !text.trim().is_empty() && text.len() <= len_max && !text.chars().any(char::is_control) => {
            Ok(text)
        }
        _ => Err(format!("{what} must be one line of 1 to {len_max} bytes")),
    }
}

pub(super) async fn read(state: &AppState, id: &str, operator: &str, reason: &str) -> Answer {
    let id: RetainedId = id.parse().map_err(|_| "not the id of a message".to_owned())?;
    let name = parse_text("the operator's name", operator, OPERATOR_LEN_MAX)?;
    let reason = parse_text("the reason", reason, REASON_LEN_MAX)?;
    retained::of(state).map_err(|error| failed(&error))?;
    let record = state.store.retained_message(state.clock.now(), id).await.map_err(|error| failed(&error))?;
    let record = record.ok_or_else(|| "there is no such message".to_owned())?;
    let actor = AuditActor::Operator { name, reason };
    let opened = retained::open(state, vec![record], &actor).await.map_err(|error| failed(&error))?;
    tracing::info!(event = "retained_read_by_operator");
    match opened.into_iter().next().map(|opened| opened.words) {
        Some(Ok(words)) => Ok(format!("ok {}\n", b64::encode(&words))),
        Some(Err(Unreadable::KeyDestroyed)) => Err("the key that it was sealed to is destroyed".to_owned()),
        Some(Err(Unreadable::NotAuthentic)) => Err("it was not sealed as it is stored".to_owned()),
        None => Err("there is no such message".to_owned()),
    }
}

pub(super) async fn audit(state: &AppState, after: &str) -> Answer {
    let after: u64 = after.parse().map_err(|_| "not the number of a row".to_owned())?;
    let ends = state.store.audit_ends().await.map_err(|error| failed(&error))?;
    let rows = state.store.audit(after, PAGE).await.map_err(|error| failed(&error))?;
    let mut lines = String::new();
    for row in &rows {
        lines.push_str(&serde_json::to_string(&AuditLine::from(row)).map_err(|error| failed(&error))?);
        lines.push('\n');
    }
    let _ = writeln!(lines, "ok {} {}", head_text(ends.tail), head_text(ends.head));
    Ok(lines)
}

pub(super) async fn check(state: &AppState) -> Answer {
    let key = retained::current(state).await.map_err(|error| failed(&error))?;
    Ok(format!("ok key {} label {} region {}\n", key.id, key.label, key.region))
}

fn head_text(head: AuditHead) -> String {
    format!("{}:{}", head.number, b64::encode(&head.hash.0))
}

fn parse_head(text: &str) -> Option<AuditHead> {
    let (number, hash) = text.split_once(':')?;
    let hash = b64::decode(hash).ok()?.try_into().ok()?;
    Some(AuditHead { number: number.parse().ok()?, hash: AuditHash(hash) })
}

/// Asks for a line about every kept message, and none of their words.
pub async fn list_retained(storage: &Path, mut each: impl FnMut(&str)) -> Result<(), AdminSocketError> {
    let mut command = "retained-list".to_owned();
    loop {
        let (lines, _) = ask(storage, &command).await?;
        for line in &lines {
            each(line);
        }
        // Where the last line stands is where the next page begins.
        let place = lines.last().and_then(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            Some((words.get(2)?.to_string(), words.get(4)?.to_string()))
        });
        match place {
            Some((account, sequence)) => command = format!("retained-list {account} {sequence}"),
            None => return Ok(()),
        }
    }
}

/// Has a message opened. The record says who asked and why, before the words are handed over.
pub async fn read_retained(
    storage: &Path,
    id: &RetainedId,
    operator: &str,
    reason: &str,
) -> Result<Vec<u8>, AdminSocketError> {
    let (operator, reason) = (b64::encode(operator.as_bytes()), b64::encode(reason.as_bytes()));
    let (_, words) = ask(storage, &format!("retained-read {id} {operator} {reason}")).await?;
    b64::decode(&words).map_err(|_| AdminSocketError::Broken(std::io::ErrorKind::InvalidData.into()))
}

/// Asks for the whole record, checks that every row follows from the one before, and says where it ends: `NUMBER:HASH`.
pub async fn read_audit(storage: &Path, mut each: impl FnMut(&AuditLine)) -> Result<String, AuditError> {
    let mut place: Option<AuditHead> = None;
    loop {
        // Before the first row it is not known where the oldest that is kept begins, and any number before it will do.
        let after = place.map_or(0, |head| head.number);
        let (lines, ends) = ask(storage, &format!("audit {after}")).await?;
        let (tail, newest) = ends.split_once(' ').ok_or(AuditError::Answer)?;
        let tail = parse_head(tail).ok_or(AuditError::Answer)?;
        let newest = parse_head(newest).ok_or(AuditError::Answer)?;
        let mut head = place.unwrap_or(tail);
        for line in &lines {
            let line: AuditLine = serde_json::from_str(line).map_err(|_| AuditError::Answer)?;
            let row = line.row().ok_or(AuditError::Broken(AuditBreak::Changed { number: line.number }))?;
            head = head.follow(&row).map_err(AuditError::Broken)?;
            each(&line);
        }
        if lines.is_empty() {
            if head.number != newest.number {
                return Err(AuditError::Cut { expected: newest.number, found: head.number });
            }
            if head.hash != newest.hash {
                return Err(AuditError::Broken(AuditBreak::Changed { number: head.number }));
            }
            return Ok(head_text(head));
        }
        place = Some(head);
    }
}

/// Asks whether the key can be used. Returns a line about it.
pub async fn check_retained(storage: &Path) -> Result<String, AdminSocketError> {
    ask(storage, "retained-check").await.map(|(_, line)| line)
}
