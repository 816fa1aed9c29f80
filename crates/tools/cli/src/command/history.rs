//! `rcseal history`: what was said with a contact, oldest first.

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
    let contact = device::contact(&client, &args.contact).await?;
    let conversation = client.direct_conversation(contact.account).await?;
    let names = Names::read(&client).await?;
    let mut messages = client.messages(conversation, None, usize::from(args.limit)).await?;
    messages.reverse();
    for message in &messages {
        output.result(
            || view::message_json("message", message),
            || format!("{}  {}", message.id, view::message_text(message, &names)),
        );
    }
    if let Some(warning) = view::warning(&contact) {
        output.note(&warning);
    }
    Ok(())
}
