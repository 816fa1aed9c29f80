//! `rcseal serve`: a development relay in this process. The same server as `rcseald`, on loopback, open to whoever reaches it, with a
//! certificate of its own. What it stores is on disk as `rcseald` stores it.

use rcseal_server::{Config, Server, create_invite, init};
use serde_json::json;

use crate::args::ServeArgs;
use crate::error::CliError;
use crate::output::Output;

/// How long the printed invite codes are good for: a day's work on a development machine.
const INVITE_SECONDS: u64 = 24 * 3600;

/// Runs the relay until SIGTERM or Ctrl-C.
///
/// # Errors
/// [`CliError`] when it does not start.
pub async fn run(args: ServeArgs, output: Output) -> Result<(), CliError> {
    init::write_development_identity(&args.dir)?;
    let mut config = Config::development(&args.dir);
    config.server.listen = args.listen;
    if args.invites.is_some() {
        config.admission.mode = rcseal_server::config::AdmissionMode::Invite;
    }
    if let Some(seconds) = args.reset_delay {
        config.reset.delay_seconds = seconds;
    }
    if let Some(folder) = args.wake_ups {
        config.push.spool = Some(folder);
        config.push.interval_seconds = 0;
        config.push.jitter_millis = 0;
    }
    let storage = config.storage.path.clone();
    let server = Server::start(config).await?;
    let mut invites = Vec::new();
    for _ in 0..args.invites.unwrap_or(0) {
        invites.push(create_invite(&storage, INVITE_SECONDS).await?);
    }
    let authority = args.dir.join(init::AUTHORITY_FILE);
    let authority = std::path::absolute(&authority).unwrap_or(authority);
    output.result(
        || {
            json!({
                "event": "serving",
                "server": server.origin().as_str(),
                "ca": authority.display().to_string(),
                "pid": std::process::id(),
                "invites": invites,
            })
        },
        || {
            let mut text = format!(
                "serving {}\nca      {}\nnext    rcseal --profile DIR account create --server {} --ca {}",
                server.origin(),
                authority.display(),
                server.origin(),
                authority.display()
            );
            for invite in &invites {
                text.push_str(&format!("\ninvite  {invite}"));
            }
            text
        },
    );
    wait_for_stop().await;
    server.shutdown().await;
    Ok(())
}

/// Returns at the first SIGTERM or SIGINT.
pub(crate) async fn wait_for_stop() {
    #[cfg(unix)]
    {
        // A handler for this signal can always be installed; without one, Ctrl-C alone stops the process.
        if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
