//! What a push message wakes, as a process of its own: opens the client in its push role, works for one wake-up on a runtime of one thread,
//! and says what came of it and how much memory the process has had at most. For the test that keeps that below what phones allow.
//!
//! Arguments: folder of the store, folder of the vault, file with the authority in PEM, milliseconds until the deadline, the payload.

// What it says is its answer to the test that started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::vault::{Argon2Params, SoftwareKeyVault, Unlock};
use rcseal_client::{Client, Config};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, vault, authority, deadline, payload] = &arguments[..] else { return Err("five arguments".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let stage = |what: &str| {
        if std::env::var_os("PUSH_CHILD_STAGES").is_some() {
            eprintln!("{what}: {} KiB", peak_kib().unwrap_or(0));
        }
    };
    stage("started");
    runtime.block_on(async {
        // A phone's vault asks its hardware; the one of the tests stretches a passphrase, as cheaply as it can.
        let unlock = Unlock::Passphrase("pass".to_owned().into(), Argon2Params::new(8, 1, 1)?);
        let vault = SoftwareKeyVault::new(Path::new(vault), unlock)?;
        let trust = TrustAnchors::from_pem(&std::fs::read(authority)?)?;
        let config = Config::new(folder.into(), trust, Timeouts::default());
        let client = Client::open_push(config, Arc::new(vault)).await?;
        stage("open");
        let outcome = client.process_push(payload.as_bytes(), Duration::from_millis(deadline.parse()?)).await?;
        let told: u32 = outcome.notifications.iter().map(|notification| notification.count).sum();
        println!("{} {} {} {}", outcome.received, told, outcome.is_complete, peak_kib().unwrap_or(0));
        Ok(())
    })
}

/// The most memory that this process has had, in KiB, where the system says so.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
