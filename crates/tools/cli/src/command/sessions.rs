//! `rcseal sessions`: which sessions there are with whose devices, how old they are, and when their keys last turned.

use rcseal_client::client::Client;
use rcseal_engine::overview::{DeviceSessions, SessionView};
use rcseal_engine::rekey::RekeyInterval;
use rcseal_wire::id::AccountId;
use serde_json::{Value, json};

use crate::device::{self, Names};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::view;

/// Runs the command. Reads this device's store and talks to nobody.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(contact: Option<String>, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let own = device::account(&client).await?.address.account;
    let names = Names::read(&client).await?;
    let accounts = match contact {
        Some(wanted) => vec![device::contact(&client, &wanted).await?.account],
        None => {
            let contacts = client.contacts().await?.into_iter().map(|contact| contact.account);
            contacts.chain([own]).collect()
        }
    };
    let held = client.held_resends().await?;
    for account in accounts {
        let interval = interval(&client, own, account).await?;
        for device in client.sessions(account).await? {
            let waiting = held.iter().filter(|held| held.device == device.device).count();
            output
                .result(|| device_json(&device, interval, waiting), || device_text(&device, &names, waiting, now_ms()));
        }
    }
    Ok(())
}

/// How often the sessions with a contact turn by themselves. Those with the own devices do with every conversation.
async fn interval(client: &Client, own: AccountId, account: AccountId) -> Result<Option<RekeyInterval>, CliError> {
    if account == own {
        return Ok(None);
    }
    let conversation = client.direct_conversation(account).await?;
    Ok(client.rekey_interval(conversation).await?)
}

fn device_json(device: &DeviceSessions, interval: Option<RekeyInterval>, held: usize) -> Value {
    json!({
        "account": device.device.account.to_string(),
        "device": device.device.device.get(),
        "rekey_minutes": interval.map(RekeyInterval::minutes),
        "held": held,
        "sessions": device.sessions.iter().map(session_json).collect::<Vec<_>>(),
    })
}

fn session_json(session: &SessionView) -> Value {
    json!({
        "active": session.is_active,
        "archived": session.is_archived,
        "initiator": session.is_initiator,
        "answered": session.is_answered,
        "created_at_ms": session.created_at.0,
        "turned_at_ms": session.turned_at.0,
        "heard_at_ms": session.heard_at.0,
        "post_quantum_epoch": session.post_quantum_epoch,
        "sent": session.sent,
        "received": session.received,
        "failures": session.failures,
    })
}

fn device_text(device: &DeviceSessions, names: &Names, held: usize, now_ms: u64) -> String {
    let mut text = format!("{} device {}", names.whose(device.device.account), device.device.device.get());
    if held > 0 {
        text.push_str(&format!("  · {held} held: see `rcseal resend`"));
    }
    if device.sessions.is_empty() {
        text.push_str("\n    no session yet");
    }
    for session in &device.sessions {
        let age = |since: u64| view::age(now_ms.saturating_sub(since));
        text.push_str(&format!(
            "\n    {} old, new keys {} ago, post-quantum epoch {}, {} sent, {} received",
            age(session.created_at.0),
            age(session.turned_at.0),
            session.post_quantum_epoch,
            session.sent,
            session.received
        ));
        for (holds, note) in [
            (session.is_active, "in use"),
            (session.is_archived, "only receives"),
            (!session.is_answered, "not answered yet"),
            (session.failures > 0, "the last messages did not decrypt"),
        ] {
            if holds {
                text.push_str(&format!("  · {note}"));
            }
        }
    }
    text
}

fn now_ms() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
