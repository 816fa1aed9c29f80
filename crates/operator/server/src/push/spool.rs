//! A folder as a sink: a file per wake-up, for a program of the operator's that hands them on, and for tests.
//!
//! A file has its name only when it is whole, and names sort by time. Whoever reads a file deletes it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rcseal_front::clock::Clock;
use rcseal_front::process;
use rcseal_store::PushTarget;
use rcseal_wire::api::Base64;
use rcseal_wire::api::push::PushProvider;
use serde::Serialize;

use super::{PushSink, PushSinkError};

/// Files that may lie in the folder: nobody reads them when there are more, and the disk has other work.
const FILES_MAX: usize = 10_000;
/// When to try again after the folder was full or the disk refused.
const RETRY_SECONDS: u64 = 60;

/// Writes wake-ups into a folder.
pub(crate) struct SpoolSink {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    count: AtomicU64,
}

/// A file's content.
#[derive(Serialize)]
struct Entry {
    provider: PushProvider,
    token: Base64,
    app: String,
    payload: String,
}

impl SpoolSink {
    /// Makes the folder, for its owner only: tokens lie in it.
    pub(crate) fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> io::Result<Self> {
        process::make_private_folder(&folder)?;
        Ok(Self { folder, clock, count: AtomicU64::new(0) })
    }
}

#[async_trait]
impl PushSink for SpoolSink {
    async fn wake(&self, target: PushTarget) -> Result<(), PushSinkError> {
        let name = format!("{:016}-{:08}", self.clock.now().get(), self.count.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.clone();
        let PushTarget { provider, token, app, wake_up } = target;
        let entry = Entry { provider, token: Base64(token.to_vec()), app, payload: wake_up.to_text() };
        let bytes = serde_json::to_vec(&entry).map_err(|_| PushSinkError::Failed)?;
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(event = "push_spool_failed", kind = ?error.kind());
                Err(PushSinkError::Retry { after_seconds: RETRY_SECONDS })
            }
            Err(_) => Err(PushSinkError::Failed),
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    if fs::read_dir(folder)?.count() >= FILES_MAX {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    let unfinished = folder.join(format!(".{name}"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(bytes)?;
    fs::rename(unfinished, folder.join(format!("{name}.json")))
}
