//! `rcseal thread …` and `rcseal threads`: words exchanged with phone numbers, readable by every carrier on the way.

use rcseal_engine::plain::{PlainMessageView, PlainSender, PlainState, ThreadView};
use rcseal_rcs::number::PhoneNumber;
use serde_json::{Value, json};

use crate::args::ThreadCommand;
use crate::device;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::safe_text;
use crate::view::{INDENT, READABLE};

/// Runs the command.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(command: ThreadCommand, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    match command {
        ThreadCommand::Open { number, name } => {
            client.open_thread(number.clone(), name).await?;
            let thread = device::thread(&client, &number).await?;
            output.result(
                || thread_json(&thread),
                || {
                    format!(
                        "{}\nwhat is written in it can be read by every carrier on the way; `rcseal policy explain {number}` says \
                         whether anything is sent",
                        thread_line(&thread),
                        number = number.as_str()
                    )
                },
            );
        }
        ThreadCommand::Delete { number } => {
            client.delete_thread(number.clone()).await?;
            output.result(
                || json!({ "event": "thread_deleted", "number": number.as_str() }),
                || format!("the thread with {} is deleted", number.as_str()),
            );
        }
    }
    Ok(())
}

/// Lists the threads.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn list(profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    for thread in client.threads().await? {
        output.result(|| thread_json(&thread), || thread_line(&thread));
    }
    Ok(())
}

fn thread_json(thread: &ThreadView) -> Value {
    json!({
        "number": thread.number.as_str(),
        "name": thread.name,
        "opened": thread.is_opened,
        "unread": thread.unread,
        "changed_at_ms": thread.changed_at.0,
    })
}

fn thread_line(thread: &ThreadView) -> String {
    let mut line = format!("{}  {}", thread.number.as_str(), safe_text::one_line(&thread.name));
    if !thread.is_opened {
        line.push_str("  · begun by the number");
    }
    if thread.unread > 0 {
        line.push_str(&format!("  · {} unread", thread.unread));
    }
    line.trim_end().to_owned()
}

/// A message of a thread, as JSON.
pub(crate) fn message_json(event: &str, number: &PhoneNumber, message: &PlainMessageView) -> Value {
    json!({
        "event": event,
        "number": number.as_str(),
        "order": message.order,
        "message": message.id.to_string(),
        "sender": message.sender.as_str(),
        "outgoing": message.sender == PlainSender::Own,
        "at_ms": message.at.0,
        "state": message.state.as_str(),
        "encryption": { "mode": message.mode.as_str(), "suite": "none", "end_to_end": message.mode.is_end_to_end() },
        "words": message.words,
    })
}

/// A message of a thread, for people: marked, whoever wrote it.
pub(crate) fn message_text(name: &str, number: &PhoneNumber, message: &PlainMessageView) -> String {
    let number = number.as_str();
    let called = if name.is_empty() { number.to_owned() } else { format!("{} {number}", safe_text::one_line(name)) };
    let who = match message.sender {
        PlainSender::Own => "you".to_owned(),
        PlainSender::Asserted => format!("{called} (the carrier says so)"),
        PlainSender::Claimed => format!("{called} (so the message says)"),
    };
    let mut line = format!("{READABLE} {who}: {}", safe_text::lines(&message.words, INDENT));
    if message.sender == PlainSender::Own {
        line.push_str(&format!("  · {}", message.state.as_str()));
    }
    line
}

/// The code for what became of words that will not arrive.
pub(crate) const fn failure(state: PlainState) -> Option<&'static str> {
    match state {
        PlainState::Failed => Some("carrier_failed"),
        PlainState::NotAllowed => Some("not_allowed"),
        PlainState::Queued
        | PlainState::Unconfirmed
        | PlainState::Stored
        | PlainState::Sent
        | PlainState::Delivered
        | PlainState::Displayed
        | PlainState::Received => None,
    }
}
