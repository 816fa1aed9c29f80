//! The admin socket: one command per connection, one line each way.
//!
//! `invite SECONDS\n` → `ok CODE\n`: a fresh single-use code that admits one account for that long. Anything else, or a failure →
//! `error REASON\n`. The file's mode is 0600; the kernel decides who may speak.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::admission::InviteCode;
use crate::state::AppState;

/// The socket's name in the storage folder.
pub(crate) const SOCKET_FILE: &str = "admin.sock";
/// Longest command or answer.
const LINE_LEN_MAX: u64 = 256;
/// A command is typed by a program.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);
/// An invite that waits longer than a year is forgotten by everybody but its finder.
const INVITE_SECONDS_MAX: u64 = 366 * 24 * 3600;

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
    let answer = match line.trim_end().split_once(' ') {
        Some(("invite", seconds)) => match seconds.parse() {
            Ok(seconds @ 1..=INVITE_SECONDS_MAX) => invite(state, seconds).await,
            _ => "error seconds must be 1 to 31622400\n".to_owned(),
        },
        _ => "error unknown command\n".to_owned(),
    };
    writer.write_all(answer.as_bytes()).await?;
    writer.shutdown().await
}

async fn invite(state: &AppState, seconds: u64) -> String {
    let code = InviteCode::generate(&mut rand::rng());
    let now = state.clock.now();
    match state.store.add_invite(code.hash(), now.plus_seconds(seconds), now).await {
        Ok(()) => {
            tracing::info!(event = "invite_created", seconds);
            format!("ok {}\n", code.expose_text())
        }
        Err(error) => format!("error {error}\n"),
    }
}

/// Asks the server whose storage folder is `storage` for an invite that is good for `seconds`. Returns the code's text.
pub async fn create_invite(storage: &Path, seconds: u64) -> Result<String, AdminSocketError> {
    let path = storage.join(SOCKET_FILE);
    let mut stream = UnixStream::connect(&path).await.map_err(|source| AdminSocketError::NoServer { path, source })?;
    stream.write_all(format!("invite {seconds}\n").as_bytes()).await.map_err(AdminSocketError::Broken)?;
    let mut line = String::new();
    BufReader::new((&mut stream).take(LINE_LEN_MAX)).read_line(&mut line).await.map_err(AdminSocketError::Broken)?;
    match line.trim_end().split_once(' ') {
        Some(("ok", code)) => Ok(code.to_owned()),
        Some(("error", reason)) => Err(AdminSocketError::Refused { reason: reason.to_owned() }),
        _ => Err(AdminSocketError::Broken(io::ErrorKind::UnexpectedEof.into())),
    }
}
