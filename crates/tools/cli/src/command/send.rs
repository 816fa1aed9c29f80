//! `rcseal send`: one text, file or reaction. What is sent is durable here first; then it is handed to the relay, if there is one.

use rcseal_client::client::{Client, ClientError};
use rcseal_engine::message::MessageState;
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use serde_json::json;

use super::attach;
use crate::args::SendArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::{device, view};

/// Runs the command.
///
/// # Errors
/// [`CliError`]; [`CliError::StillQueued`] when the message waits for its relay.
pub(crate) async fn run(args: SendArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let contact = device::contact(&client, &args.contact).await?;
    let conversation = client.direct_conversation(contact.account).await?;
    let reply_to = args.reply_to.as_deref().map(message_id).transpose()?;
    if let Some(target) = reply_to {
        must_be_here(&client, conversation, contact.account, target).await?;
    }
    if let (Some(emoji), Some(target)) = (args.reaction, args.to) {
        let target = message_id(&target)?;
        must_be_here(&client, conversation, contact.account, target).await?;
        return react(&client, conversation, target, emoji, output).await;
    }
    let text = args.text.unwrap_or_default();
    if let Some(warning) = view::warning(&contact) {
        output.note(&warning);
    }
    let id = match args.file {
        Some(file) => attach::send(&client, conversation, &file, text, output).await?,
        None => client.send(conversation, Body::Text(text), reply_to).await?,
    };
    let synced = client.sync_once().await;
    let own = device::account(&client).await?.address.account;
    let state = client.message(conversation, own, id).await?.map_or(MessageState::Queued, |message| message.state);
    output.result(
        || {
            json!({
                "event": "sent",
                "message": id.to_string(),
                "conversation": conversation.to_string(),
                "state": state.as_str(),
                "reason": view::reason(state),
            })
        },
        || format!("{id}  {}", state.as_str()),
    );
    match state {
        MessageState::Failed { reason } => Err(CliError::NotDelivered { reason: reason.code() }),
        MessageState::Undecryptable { reason } => Err(CliError::NotDelivered { reason: reason.code() }),
        MessageState::Queued => {
            synced?;
            Err(CliError::StillQueued)
        }
        MessageState::Stored
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Received
        | MessageState::Seen => Ok(()),
    }
}

async fn react(
    client: &Client,
    conversation: ConversationId,
    target: MessageId,
    emoji: String,
    output: Output,
) -> Result<(), CliError> {
    let removed = emoji.is_empty();
    let id = client.send(conversation, Body::Reaction { target, emoji, removed }, None).await?;
    let synced = client.sync_once().await;
    output.result(
        || json!({ "event": "sent", "message": id.to_string(), "target": target.to_string() }),
        || format!("{id}  {}", if removed { "reaction taken back" } else { "reaction sent" }),
    );
    if synced?.is_complete { Ok(()) } else { Err(CliError::StillQueued) }
}

/// Refuses a message that neither side of the conversation has written: who reacts to it or answers it has mistyped its id.
async fn must_be_here(
    client: &Client,
    conversation: ConversationId,
    contact: AccountId,
    message: MessageId,
) -> Result<(), CliError> {
    let own = device::account(client).await?.address.account;
    for sender in [contact, own] {
        if client.message(conversation, sender, message).await?.is_some() {
            return Ok(());
        }
    }
    Err(ClientError::UnknownMessage.into())
}

/// Parses a message id of the command line.
pub(crate) fn message_id(text: &str) -> Result<MessageId, CliError> {
    text.parse()
        .map_err(|error: rcseal_wire::id::IdError| CliError::Malformed { what: "the message id", code: error.code() })
}
