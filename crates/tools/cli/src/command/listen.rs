//! `rcseal listen`: receives and prints, until it is told to stop or until nothing waits.

use super::incoming::Incoming;
use crate::args::ListenArgs;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::serve::wait_for_stop;
use crate::view;

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(args: ListenArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    let mut incoming = Incoming::new(&client, output, args.save, args.read).await?;
    let mut events = client.events();
    if args.until_empty {
        let mut report = client.sync_once().await?;
        while let Some(event) = events.try_next().await? {
            incoming.handle(event).await?;
        }
        if incoming.has_read() {
            // The read receipts leave as well.
            let after = client.sync_once().await?;
            report.received += after.received;
            report.undecryptable += after.undecryptable;
            report.duplicates += after.duplicates;
            report.submitted += after.submitted;
            report.is_complete = after.is_complete;
        }
        output.result(
            || view::sync_json("empty", &report),
            || format!("nothing more waits ({} received, {} undecryptable)", report.received, report.undecryptable),
        );
        return Ok(());
    }
    let served = client.run(wait_for_stop());
    tokio::pin!(served);
    loop {
        tokio::select! {
            stopped = &mut served => return Ok(stopped?),
            event = events.next() => {
                incoming.handle(event?).await?;
            }
        }
    }
}
