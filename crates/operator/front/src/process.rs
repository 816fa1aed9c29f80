//! What a server asks of the system it runs on: signals, open files, private folders, and words for its operator.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

use tokio::signal;

/// Descriptors beside those of connections: store, listeners, running uploads and downloads.
#[cfg(unix)]
const DESCRIPTORS_BESIDE: u64 = 1024;

/// Raises the soft limit of open files as far as the hard limit and the configured connections ask for. The usual soft limit of
/// 1,024 stands for programs that use `select`, which none of ours does.
#[cfg(unix)]
pub fn raise_descriptor_limit(connections_max: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::from(connections_max) + DESCRIPTORS_BESIDE;
    let limit = getrlimit(Resource::Nofile);
    // `None` is unlimited.
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return };
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let outcome = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    if outcome.is_err() || raised < wanted {
        tracing::warn!(event = "few_descriptors", current, raised, wanted);
    }
}

/// Does nothing where the system has no such limit.
#[cfg(not(unix))]
pub fn raise_descriptor_limit(_connections_max: u32) {}

/// Returns at the first SIGTERM or SIGINT.
pub async fn wait_for_stop() {
    #[cfg(unix)]
    {
        // Handlers for these two signals can always be installed; without one, Ctrl-C alone stops the server.
        if let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = signal::ctrl_c().await;
}

/// Writes an error with its stable code, and everything that caused it, to standard error, one line each.
pub fn report(program: &str, code: &str, error: &(dyn Error + 'static)) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{program}: {error} [{code}]");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(stderr, "  because: {error}");
        cause = error.source();
    }
}

/// Makes a storage folder, for its owner only, or closes one that is there to others: who talks when is nobody else's business, and the
/// keys that login tokens are made with lie in such folders too.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            // A folder that is not ours to change is its owner's decision, which we can only point out.
            match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7700)) {
                Ok(()) => tracing::warn!(event = "storage_folder_closed_to_others"),
                Err(error) => tracing::warn!(event = "storage_folder_open_to_others", kind = ?error.kind()),
            }
        }
    }
    Ok(())
}

/// Whether others than its owner can read a file: its mode has more than `0600`. One that cannot be asked is not.
#[must_use]
pub fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Points out a private key, or another secret, that other users of the machine can read.
pub fn point_out_open_key(key: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(key).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
            tracing::warn!(event = "private_key_open_to_others", path = %key.display());
        }
    }
    #[cfg(not(unix))]
    let _ = key;
}
