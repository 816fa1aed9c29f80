//! `rcseal history`: what was said with a contact, or in a thread with a number, oldest first.

use rcseal_client::client::Client;
use rcseal_engine::plain::ThreadView;

use super::thread;
use crate::args::HistoryArgs;
use crate::device::{self, Names};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::view;

/// Runs the command. Reads this device's store and talks to nobody.
///
/// # Errors
/// [`CliError`].
pub(crate) async fn run(args: HistoryArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    // A number names its thread here, even a contact's: the conversation with a contact goes by its name.
    if let Some(number) = device::as_number(&args.contact) {
        return of_thread(&client, device::thread(&client, &number).await?, args.limit, output).await;
    }
    let contact = match device::contact(&client, &args.contact).await {
        Err(CliError::UnknownContact { .. }) => {
            let thread = device::thread_named(&client, &args.contact).await?;
            return of_thread(&client, thread, args.limit, output).await;
        }
        found => found?,
    };
    let conversation = client.direct_conversation(contact.account).await?;
    let names = Names::read(&client).await?;
    let mut messages = client.messages(conversation, None, usize::from(args.limit)).await?;
    messages.reverse();
    for message in &messages {
        output.result(
            || view::message_json("message", message),
            || {
                let mode = message.encryption.mode().as_str();
                format!("{}  {mode}  {}", message.id, view::message_text(message, &names))
            },
        );
    }
    if let Some(warning) = view::warning(&contact) {
        output.note(&warning);
    }
    Ok(())
}

async fn of_thread(client: &Client, thread: ThreadView, limit: u16, output: Output) -> Result<(), CliError> {
    let mut messages = client.plain_messages(thread.number.clone(), None, usize::from(limit)).await?;
    messages.reverse();
    for message in &messages {
        output.result(
            || thread::message_json("message", &thread.number, message),
            || {
                let mode = message.mode.as_str();
                format!("{}  {mode}  {}", message.id, thread::message_text(&thread.name, &thread.number, message))
            },
        );
    }
    Ok(client.mark_thread_read(thread.number).await?)
}
