//! The SMSC's own limit: what a second client reaches that does nothing but keep one window full (`peers/jasmin/flood.py`).

use std::net::SocketAddr;

use tokio::process::Command;

use super::super::{PeerError, prepare};

const PROGRAM: &str = include_str!("../../../peers/jasmin/flood.py");

/// Submits `count` messages to a number in one window, and says how many answers came in a second.
///
/// # Errors
/// [`PeerError`].
pub async fn flood(
    smsc: SocketAddr,
    account: (&str, &str),
    to: &str,
    count: usize,
    window: usize,
) -> Result<f64, PeerError> {
    let folder = tempfile::tempdir().map_err(prepare("a folder"))?;
    let program = folder.path().join("flood.py");
    std::fs::write(&program, PROGRAM).map_err(prepare("a second client"))?;
    let to = to.trim_start_matches('+');
    let output = Command::new("python3")
        .arg(&program)
        .args([&smsc.port().to_string(), account.0, account.1, to, &count.to_string(), &window.to_string()])
        .output()
        .await
        .map_err(|source| PeerError::Start { program: "python3", source })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = said.split_whitespace();
    let rate = words.next().and_then(|rate| rate.parse().ok());
    let refused = words.next();
    match (rate, refused) {
        (Some(rate), Some("0")) => Ok(rate),
        _ => {
            let said = format!("{said} {}", String::from_utf8_lossy(&output.stderr));
            Err(PeerError::Failed { program: "python3", said })
        }
    }
}
