//! Jasmin's console: lines in, and a prompt when it is ready for the next.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::super::{PeerError, prepare};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// An open console.
pub(super) struct Console(TcpStream);

impl Console {
    pub(super) async fn open(port: u16) -> Result<Self, PeerError> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(prepare("the console"))?;
        let mut console = Self(stream);
        console.until("Session ref: ").await?;
        Ok(console)
    }

    /// Says lines, each once the one before was answered. An answer that is no success ends it.
    pub(super) async fn say(&mut self, lines: &[&str]) -> Result<String, PeerError> {
        let mut said = String::new();
        for line in lines {
            self.0.write_all(format!("{line}\r\n").as_bytes()).await.map_err(prepare("the console"))?;
            said = self.until_prompt().await?;
            let is_refused = ["Invalid", "Unknown", "must set", "Failed", "Error", "rror:"];
            if is_refused.iter().any(|word| said.contains(word)) {
                return Err(PeerError::Failed { program: "jasmin", said: format!("{line}: {said}") });
            }
        }
        Ok(said)
    }

    /// Waits until a connector is bound.
    pub(super) async fn until_bound(&mut self, connector: &str) -> Result<(), PeerError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.say(&["smppccm -l"]).await?;
            if said.lines().any(|line| line.contains(&format!("#{connector} ")) && line.contains("BOUND_TRX")) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(PeerError::NotReady { program: "jasmin", said });
            }
            sleep(PAUSE).await;
        }
    }

    async fn until_prompt(&mut self) -> Result<String, PeerError> {
        self.read(|said| {
            let said = said.trim_end_matches(' ');
            said.ends_with("\njcli :") || said.ends_with("\n>")
        })
        .await
    }

    async fn until(&mut self, word: &str) -> Result<String, PeerError> {
        self.read(|said| said.contains(word)).await
    }

    async fn read(&mut self, is_enough: impl Fn(&str) -> bool) -> Result<String, PeerError> {
        let mut bytes = Vec::new();
        loop {
            let said = String::from_utf8_lossy(&bytes).into_owned();
            if is_enough(&said) {
                return Ok(said);
            }
            match timeout(PATIENCE, self.0.read_buf(&mut bytes)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return Err(PeerError::NotReady { program: "jasmin", said }),
            }
        }
    }
}
