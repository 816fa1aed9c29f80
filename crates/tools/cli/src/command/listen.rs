//! `rcseal listen`: receives and prints, until it is told to stop or until nothing waits.

use std::time::Duration;

use rcseal_client::client::{Client, SyncReport};

use super::incoming::Incoming;
use crate::args::ListenArgs;
use crate::carrier::{self, REGISTER_WAIT, Way};
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::serve::wait_for_stop;
use crate::view;

/// How long a carrier may take to deliver the next of what waited there, after a registration or after the one before.
const CARRIER_QUIET: Duration = Duration::from_millis(1500);

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(args: ListenArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    device::account(&client).await?;
    let way = carrier::attach(&client, output, REGISTER_WAIT).await?;
    if let Some(way) = &way
        && !(args.until_empty && output.is_json() && way.is_registered())
    {
        if output.is_json() { output.json(&way.json()) } else { output.note(&way.text()) }
    }
    let listened = listen(args, &client, way.as_ref(), output).await;
    if let Some(way) = way {
        way.close(&client).await;
    }
    listened
}

async fn listen(args: ListenArgs, client: &Client, way: Option<&Way>, output: Output) -> Result<(), CliError> {
    let mut incoming = Incoming::new(client, output, args.save, args.read).await?;
    let mut events = client.events();
    if args.until_empty {
        let mut report = client.sync_once().await?;
        if way.is_some_and(Way::is_registered) {
            drain_carrier(client, &mut report).await?;
        }
        while let Some(event) = events.try_next().await? {
            incoming.handle(event).await?;
        }
        if incoming.has_read() {
            // The read receipts leave as well.
            let after = client.sync_once().await?;
            add(&mut report, &after);
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

fn add(report: &mut SyncReport, after: &SyncReport) {
    report.received += after.received;
    report.undecryptable += after.undecryptable;
    report.duplicates += after.duplicates;
    report.submitted += after.submitted;
    report.is_complete = after.is_complete;
}

/// Takes in what waited at the carrier: it delivers by itself, one after another, and does not say when it has done.
async fn drain_carrier(client: &Client, report: &mut SyncReport) -> Result<(), CliError> {
    let mut seen = None;
    loop {
        let received = client.carrier_status().await?.received;
        if seen == Some(received) {
            return Ok(());
        }
        seen = Some(received);
        tokio::time::sleep(CARRIER_QUIET).await;
        add(report, &client.sync_once().await?);
    }
}
