//! `rcseal resend`: messages whose recipient has other keys than when they were sent. They go to the new keys only if the user says so.

use rcseal_engine::message::MessageState;
use serde_json::json;

use super::send::message_id;
use crate::args::ResendCommand;
use crate::device::{self, Names};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::view;

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: Option<ResendCommand>, profile: &Profile, output: Output) -> Result<(), CliError> {
    match command {
        None => list(profile, output).await,
        Some(ResendCommand::Approve { message }) => approve(&message, profile, output).await,
    }
}

async fn list(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let own = device::account(&client).await?.address.account;
    let names = Names::read(&client).await?;
    let held = client.held_resends().await?;
    for held in &held {
        let message = client.message(held.conversation, own, held.message).await?;
        output.result(
            || {
                json!({
                    "event": "held",
                    "message": held.message.to_string(),
                    "conversation": held.conversation.to_string(),
                    "account": held.device.account.to_string(),
                    "device": held.device.device.get(),
                    "held_at_ms": held.held_at.0,
                })
            },
            || {
                let text = message.map(|message| view::message_text(&message, &names)).unwrap_or_default();
                format!(
                    "{}  for {} device {}, whose keys are others now\n    {text}",
                    held.message,
                    names.whose(held.device.account),
                    held.device.device.get()
                )
            },
        );
    }
    if held.is_empty() {
        output.note("no message waits for you");
    }
    Ok(())
}

async fn approve(message: &str, profile: &Profile, output: Output) -> Result<(), CliError> {
    let message = message_id(message)?;
    let client = device::open(profile).await?;
    let own = device::account(&client).await?.address.account;
    let held = client.held_resends().await?;
    let conversation = match held.iter().find(|held| held.message == message) {
        Some(held) => held.conversation,
        None => return Err(CliError::NotHeld),
    };
    let devices = client.approve_resend(conversation, message).await?;
    let synced = client.sync_once().await;
    let state = client.message(conversation, own, message).await?.map_or(MessageState::Queued, |message| message.state);
    output.result(
        || {
            json!({
                "event": "resent",
                "message": message.to_string(),
                "conversation": conversation.to_string(),
                "devices": devices,
                "state": state.as_str(),
            })
        },
        || format!("{message}  sent again to {devices} device(s), {}", state.as_str()),
    );
    if synced?.is_complete { Ok(()) } else { Err(CliError::StillQueued) }
}
