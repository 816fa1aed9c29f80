//! The admin socket: one command per connection, one line there, and lines back of which the last one begins with `ok` or `error`.
//!
//! | command | answer |
//! |---|---|
//! | `invite SECONDS` | `ok CODE`: a fresh single-use code that admits one account for that long |
//! | `reset-create ACCOUNT SECONDS` | `ok TICKET`: a fresh ticket, good for that long, for one reset of the account |
//! | `reset-list` | one line per reset, then `ok` |
//! | `reset-cancel ACCOUNT` | `ok` |
//! | anything else, or a failure | `error REASON` |
//!
//! The file's mode is 0600; the kernel decides who may speak.

use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcseal_store::limits::RESETS_MAX;
use rcseal_store::takeover::ResetState;
use rcseal_wire::id::{AccountId, IdError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::admission::InviteCode;
use crate::log::LogId;
use crate::state::AppState;
use crate::takeover::{self, ResetTicket};

/// The socket's name in the storage folder.
pub(crate) const SOCKET_FILE: &str = "admin.sock";
/// Longest command.
const LINE_LEN_MAX: u64 = 256;
/// Longest answer: a line for each of as many resets as there may be.
const ANSWER_LEN_MAX: u64 = 256 * RESETS_MAX;
/// Resets read from the store at once; a pending one comes with its key set.
const RESETS_PAGE: usize = 64;
/// A command is typed by a program.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);
/// An invite or a ticket that waits longer than a year is forgotten by everybody but its finder.
const LIFETIME_SECONDS_MAX: u64 = 366 * 24 * 3600;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminSocketError {
    /// No server listens there.
    #[error("no server is running on {}", .path.display())]
    NoServer {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the server did not answer")]
    Broken(#[source] io::Error),
    /// The server refused.
    #[error("the server refused: {reason}")]
    Refused {
        /// In the server's words.
        reason: String,
    },
}

/// Binds the socket, replacing one that a killed server left behind: the store's lock already says that we are the only server.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Binds the socket and answers commands until the server stops.
pub(crate) fn serve(state: AppState, path: PathBuf) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    let listener = bind(&path)?;
    Ok(async move {
        loop {
            let stream = tokio::select! {
                () = state.stopping.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(event = "admin_accept_failed", kind = ?error.kind());
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            // One at a time: there is one operator, and a stalled one is cut off by the time limit.
            let _ = timeout(LINE_TIMEOUT, converse(&state, stream)).await;
        }
        // Nobody is harmed by a socket file without a server; the next start removes it.
        let _ = fs::remove_file(&path);
    })
}

async fn converse(state: &AppState, mut stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE_LEN_MAX)).read_line(&mut line).await?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let answer = match words[..] {
        ["invite", seconds] => match parse_seconds(seconds) {
            Ok(seconds) => invite(state, seconds).await,
            Err(reason) => Err(reason),
        },
        ["reset-create", account, seconds] => match (parse_account(account), parse_seconds(seconds)) {
            (Ok(account), Ok(seconds)) => allow_reset(state, account, seconds).await,
            (Err(reason), _) | (_, Err(reason)) => Err(reason),
        },
        ["reset-list"] => resets(state).await,
        ["reset-cancel", account] => match parse_account(account) {
            Ok(account) => end_reset(state, account).await,
            Err(reason) => Err(reason),
        },
        _ => Err("unknown command".to_owned()),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(reason) => format!("error {reason}\n"),
    };
    writer.write_all(answer.as_bytes()).await?;
    writer.shutdown().await
}

fn parse_seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds @ 1..=LIFETIME_SECONDS_MAX) => Ok(seconds),
        _ => Err(format!("seconds must be 1 to {LIFETIME_SECONDS_MAX}")),
    }
}

fn parse_account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|_: IdError| "not an account id".to_owned())
}

async fn invite(state: &AppState, seconds: u64) -> Result<String, String> {
    let code = InviteCode::generate(&mut rand::rng());
    let now = state.clock.now();
    state.store.add_invite(code.hash(), now.plus_seconds(seconds), now).await.map_err(|error| error.to_string())?;
    tracing::info!(event = "invite_created", seconds);
    Ok(format!("ok {}\n", code.expose_text()))
}

async fn allow_reset(state: &AppState, account: AccountId, seconds: u64) -> Result<String, String> {
    let ticket = ResetTicket::generate(&mut rand::rng());
    let expires_at = state.clock.now().plus_seconds(seconds);
    takeover::allow(state, account, &ticket, expires_at).await.map_err(|error| error.to_string())?;
    tracing::info!(event = "reset_ticket_created", account = %LogId::of(account.as_bytes()), seconds);
    Ok(format!("ok {}\n", ticket.expose_text()))
}

async fn resets(state: &AppState) -> Result<String, String> {
    let now = state.clock.now();
    let mut lines = String::new();
    let mut after = None;
    loop {
        let page = state.store.resets(after, RESETS_PAGE).await.map_err(|error| error.to_string())?;
        let Some(last) = page.last() else { break };
        after = Some(last.account);
        for record in page {
            let (state, until) = match record.state {
                ResetState::Allowed { until } => ("allowed: its ticket expires in", until),
                ResetState::Pending { effective_at, .. } => ("pending: takes effect in", effective_at),
            };
            let left = until.get().saturating_sub(now.get()) / 1000;
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{} {state} {}", record.account, Span(left));
        }
    }
    lines.push_str("ok\n");
    Ok(lines)
}

async fn end_reset(state: &AppState, account: AccountId) -> Result<String, String> {
    match takeover::cancel(state, account).await {
        Ok(true) => Ok("ok\n".to_owned()),
        Ok(false) => Err("there is no ticket and no pending reset of this account".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A span of time for people, to the minute.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.div_ceil(60);
        let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
        write!(f, "{days}d {hours}h {minutes}m")
    }
}

/// Asks the server whose storage folder is `storage`. Returns the lines before the last one, and what follows its `ok`.
async fn ask(storage: &Path, command: &str) -> Result<(Vec<String>, String), AdminSocketError> {
    let path = storage.join(SOCKET_FILE);
    let mut stream = UnixStream::connect(&path).await.map_err(|source| AdminSocketError::NoServer { path, source })?;
    stream.write_all(format!("{command}\n").as_bytes()).await.map_err(AdminSocketError::Broken)?;
    let mut answer = String::new();
    (&mut stream).take(ANSWER_LEN_MAX).read_to_string(&mut answer).await.map_err(AdminSocketError::Broken)?;
    let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap_or_default();
    let (verdict, rest) = last.split_once(' ').unwrap_or((&last, ""));
    match verdict {
        "ok" => Ok((lines, rest.to_owned())),
        "error" => Err(AdminSocketError::Refused { reason: rest.to_owned() }),
        _ => Err(AdminSocketError::Broken(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// Asks the server whose storage folder is `storage` for an invite that is good for `seconds`. Returns the code's text.
pub async fn create_invite(storage: &Path, seconds: u64) -> Result<String, AdminSocketError> {
    ask(storage, &format!("invite {seconds}")).await.map(|(_, code)| code)
}

/// Asks for a ticket, good for `seconds`, for one reset of an account. Returns its text.
pub async fn create_reset_ticket(
    storage: &Path,
    account: &AccountId,
    seconds: u64,
) -> Result<String, AdminSocketError> {
    ask(storage, &format!("reset-create {account} {seconds}")).await.map(|(_, ticket)| ticket)
}

/// Asks for every ticket and pending reset. Returns a line for each.
pub async fn list_resets(storage: &Path) -> Result<Vec<String>, AdminSocketError> {
    ask(storage, "reset-list").await.map(|(lines, _)| lines)
}

/// Ends an account's ticket or pending reset.
pub async fn cancel_reset(storage: &Path, account: &AccountId) -> Result<(), AdminSocketError> {
    ask(storage, &format!("reset-cancel {account}")).await.map(drop)
}
