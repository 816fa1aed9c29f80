//! `linphonec`, somebody else's client.
//!
//! It knows nothing of frames: it shows text, sends receipts (bare, deflated), fetches files that a message names, and answers 415 to
//! media types it does not know. It checks that the sender in a message's wrapper is the sender of the SIP request, and answers 488
//! if not. It gets a home of its own, since it keeps databases there, and ends at the end of its standard input.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::kamailio::{DOMAIN, Kamailio, User};
use super::process::{ends_within, free_port, tail};
use super::{PeerError, prepare, probe};

const CONFIGURATION: &str = include_str!("../../peers/linphonerc");
/// It registers within a second or two.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// It closes its databases first.
const STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// How it talks to its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
}

/// A running `linphonec` with an account.
#[derive(Debug)]
pub struct Linphone {
    child: Child,
    input: Option<ChildStdin>,
    home: TempDir,
}

impl Linphone {
    /// Starts it and waits until it answers by way of the carrier.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn start(carrier: &Kamailio, user: &User, leg: Leg) -> Result<Self, PeerError> {
        let home = tempfile::Builder::new().prefix("rcseal-linphone-").tempdir().map_err(prepare("a folder"))?;
        for folder in [".local/share/linphone", ".config/linphone"] {
            std::fs::create_dir_all(home.path().join(folder)).map_err(prepare("a folder"))?;
        }
        let port = free_port().map_err(prepare("a port"))?.to_string();
        let (udp, tcp, transport) = match leg {
            Leg::Udp => (port.as_str(), "0", "udp"),
            Leg::Tcp => ("0", port.as_str(), "tcp"),
        };
        let words = [
            ("@UDP_PORT@", udp),
            ("@TCP_PORT@", tcp),
            ("@TRANSPORT@", transport),
            ("@PROXY@", &carrier.address().to_string()),
            ("@NUMBER@", &user.number),
            ("@PASSWORD@", &user.password),
            ("@DOMAIN@", DOMAIN),
        ];
        let text = words.iter().fold(CONFIGURATION.to_owned(), |text, (word, value)| text.replace(word, value));
        let configuration = home.path().join("linphonerc");
        std::fs::write(&configuration, text).map_err(prepare("the configuration"))?;
        let out = File::create(home.path().join("shown")).map_err(prepare("a log file"))?;
        let error = out.try_clone().map_err(prepare("a log file"))?;
        let mut child = Command::new("linphonec")
            .arg("-c")
            .arg(&configuration)
            .args(["-d", "3", "-l"])
            .arg(home.path().join("log"))
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join(".local/share"))
            .env("XDG_CONFIG_HOME", home.path().join(".config"))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(error)
            .spawn()
            .map_err(|source| PeerError::Start { program: "linphonec", source })?;
        let input = child.stdin.take();
        let started = Self { child, input, home };
        match probe::ask_until(carrier.address(), &user.uri(), READY_LIMIT, |status| status != 480).await {
            Some(200) => Ok(started),
            _ => Err(PeerError::NotReady { program: "linphonec", said: tail(&started.home.path().join("log")) }),
        }
    }

    /// What it has shown to its user.
    #[must_use]
    pub fn shown(&self) -> String {
        std::fs::read(self.home.path().join("shown"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until it has shown a text.
    pub async fn shows(&self, text: &str, limit: Duration) -> bool {
        self.until(limit, || self.shown().contains(text).then_some(())).await.is_some()
    }

    /// Waits until it has fetched a file of that name, and gives its bytes once they are as many as were promised.
    pub async fn fetched(&self, name: &str, len: usize, limit: Duration) -> Option<Vec<u8>> {
        let path: PathBuf = self.home.path().join(".local/share/linphone").join(name);
        self.until(limit, || std::fs::read(&path).ok().filter(|bytes| bytes.len() == len)).await
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn until<T>(&self, limit: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let until = Instant::now() + limit;
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            if Instant::now() >= until {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"quit\n");
        }
        if !ends_within(&mut self.child, STOP_LIMIT) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
