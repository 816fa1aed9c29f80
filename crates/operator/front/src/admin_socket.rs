//! The admin socket: one command per connection, one line there, and lines back of which the last one begins with `ok` or `error`.
//!
//! It is a Unix socket in the storage folder that only the server's own user may open, so that no port and no password stand between the
//! operator and the running server. The file's mode is 0600; the kernel decides who may speak. A server says what a line means; this
//! module carries lines.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The socket's name in the storage folder.
pub const SOCKET_FILE: &str = "admin.sock";
/// Longest command.
const LINE_LEN_MAX: u64 = 1024;
/// Longest answer. The operator's own server is trusted not to send more than it holds, and a reader must end somewhere.
const ANSWER_LEN_MAX: u64 = 64 * 1024 * 1024;
/// A command is typed by a program, and carried out at once or not at all.
const CONVERSATION_MAX: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, which means that descriptors or memory ran out; trying again at once would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminSocketError {
    /// No server listens there.
    #[error("no server is running on {}; start it with `serve`, and ask as the same user", .path.display())]
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

impl AdminSocketError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoServer { .. } => "admin.no_server",
            Self::Broken(_) => "admin.no_answer",
            Self::Refused { .. } => "admin.refused",
        }
    }
}

/// What a server answers: lines of which the last one begins with `ok`, or the reason why there are none.
pub type Answer = Result<String, String>;

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

/// Binds the socket, and answers commands by `command` until the server stops.
pub fn serve<F, A>(
    path: PathBuf,
    stopping: CancellationToken,
    command: F,
) -> io::Result<impl Future<Output = ()> + Send + use<F, A>>
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send,
{
    let listener = bind(&path)?;
    Ok(async move {
        loop {
            let stream = tokio::select! {
                () = stopping.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(event = "admin_accept_failed", kind = ?error.kind());
                        tokio::time::sleep(ACCEPT_RETRY).await;
                        continue;
                    }
                },
            };
            // One at a time: there is one operator, and a stalled one is cut off by the time limit.
            let _ = timeout(CONVERSATION_MAX, converse(stream, &command)).await;
        }
        // Nobody is harmed by a socket file without a server; the next start removes it.
        let _ = fs::remove_file(&path);
    })
}

async fn converse<A: Future<Output = Answer>>(
    mut stream: UnixStream,
    command: &impl Fn(String) -> A,
) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE_LEN_MAX)).read_line(&mut line).await?;
    let answer = match command(line).await {
        Ok(answer) => answer,
        Err(reason) => format!("error {reason}\n"),
    };
    writer.write_all(answer.as_bytes()).await?;
    writer.shutdown().await
}

/// Asks the server whose storage folder is `storage`. Returns the lines before the last one, and what follows its `ok`.
pub async fn ask(storage: &Path, command: &str) -> Result<(Vec<String>, String), AdminSocketError> {
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
