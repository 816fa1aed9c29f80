//! `rcseal send`: one text, file or reaction. What is sent is durable here first; then it is handed to the relay or the carrier.
//!
//! A message that a carrier has is waited for until the recipient's device confirms it, or until the patience ends and the relay has it:
//! what a carrier answers says nothing about that device.

use std::time::Duration;

use rcseal_client::client::{Client, ClientError};
use rcseal_engine::contact::ContactView;
use rcseal_engine::message::MessageState;
use rcseal_engine::plain::PlainState;
use rcseal_engine::policy::DeliveryMode;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use serde_json::json;

use tokio::time::{Instant, sleep_until};

use super::{attach, thread};
use crate::args::SendArgs;
use crate::carrier::{self, REGISTER_WAIT, Way};
use crate::device::Whom;
use crate::error::{CliError, with_recipient};
use crate::output::Output;
use crate::profile::Profile;
use crate::{device, view};

/// What it takes after the patience until the relay has a message.
const AFTER_PATIENCE: Duration = Duration::from_secs(15);

/// Runs the command.
///
/// # Errors
/// [`CliError`]; [`CliError::StillQueued`] when the message waits for its relay.
pub(crate) async fn run(args: SendArgs, profile: &Profile, output: Output) -> Result<(), CliError> {
    let client = device::open(profile).await?;
    let whom = device::whom(&client, &args.contact).await?;
    match whom {
        Whom::Contact(contact) => to_contact(&client, &contact, args, output).await,
        Whom::Number { number, .. } => to_thread(&client, number, args, output).await,
    }
}

/// The way into the carrier, if it can be used: a registration that failed is told, and the relay is there.
async fn way(client: &Client, output: Output) -> Result<Option<Way>, CliError> {
    let Some(way) = carrier::attach(client, output, REGISTER_WAIT).await? else { return Ok(None) };
    if !way.is_registered() {
        output.note(&way.text());
    }
    Ok(Some(way))
}

async fn to_contact(client: &Client, contact: &ContactView, args: SendArgs, output: Output) -> Result<(), CliError> {
    let conversation = client.direct_conversation(contact.account).await?;
    let reply_to = args.reply_to.as_deref().map(message_id).transpose()?;
    if let Some(target) = reply_to {
        must_be_here(client, conversation, contact.account, target).await?;
    }
    if let (Some(emoji), Some(target)) = (args.reaction, args.to) {
        let target = message_id(&target)?;
        must_be_here(client, conversation, contact.account, target).await?;
        return react(client, conversation, target, emoji, output).await;
    }
    let text = args.text.unwrap_or_default();
    if let Some(warning) = view::warning(contact) {
        output.note(&warning);
    }
    let way = way(client, output).await?;
    let refused = |error: CliError| with_recipient(error, device::argument_for(contact));
    let sent = match args.file {
        Some(file) => attach::send(client, conversation, &file, text, output).await,
        None => client.send(conversation, Body::Text(text), reply_to).await.map_err(CliError::from),
    };
    let sent = sent.map_err(refused);
    let outcome = match sent {
        Ok(id) => deliver(client, conversation, id, way.as_ref(), output).await,
        Err(error) => Err(error),
    };
    if let Some(way) = way {
        way.close(client).await;
    }
    outcome
}

/// Hands a message over, waits for what there is to wait for, and prints what became of it.
async fn deliver(
    client: &Client,
    conversation: ConversationId,
    id: MessageId,
    way: Option<&Way>,
    output: Output,
) -> Result<(), CliError> {
    let synced = client.sync_once().await;
    let own = device::account(client).await?.address.account;
    let message = client.message(conversation, own, id).await?;
    let mut state = message.as_ref().map_or(MessageState::Queued, |message| message.state);
    if let Some(way) = way
        && state == MessageState::Queued
        && client.carrier_status().await?.view.handed_over > 0
    {
        if output.shows_progress() {
            output.note("the carrier has it; waiting until the other device confirms it");
        }
        state = settled(client, conversation, id, way.patience()).await?;
    }
    let mode = client.message(conversation, own, id).await?.map(|message| message.encryption.mode());
    output.result(
        || {
            json!({
                "event": "sent",
                "message": id.to_string(),
                "conversation": conversation.to_string(),
                "state": state.as_str(),
                "reason": view::reason(state),
                "mode": mode.map(DeliveryMode::as_str),
                "end_to_end": mode.map(DeliveryMode::is_end_to_end),
            })
        },
        || {
            let readable = if mode.is_some_and(|mode| !mode.is_end_to_end()) { view::READABLE } else { "" };
            format!("{id}  {}  {readable}", state.as_str()).trim_end().to_owned()
        },
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

/// Serves the device until a message that a carrier has is confirmed, or with the relay, or until that has taken far too long.
async fn settled(
    client: &Client,
    conversation: ConversationId,
    id: MessageId,
    patience: Duration,
) -> Result<MessageState, CliError> {
    let own = device::account(client).await?.address.account;
    let latest = Instant::now() + patience + AFTER_PATIENCE;
    let mut events = client.events();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = client.run(async {
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    let state = loop {
        let state = client.message(conversation, own, id).await?.map_or(MessageState::Queued, |message| message.state);
        if state != MessageState::Queued {
            break state;
        }
        tokio::select! {
            served = &mut serving => {
                served?;
                return Ok(state);
            }
            // What it tells is printed by the next `listen`: nothing here forgets it.
            event = events.next() => {
                event?;
            }
            () = sleep_until(latest) => break state,
        }
    };
    let _ = stop.send(());
    serving.await?;
    Ok(state)
}

/// Sends words to a number: what is decided about them is in the answer, whether they go or not.
async fn to_thread(client: &Client, number: PhoneNumber, args: SendArgs, output: Output) -> Result<(), CliError> {
    if args.file.is_some() || args.reaction.is_some() || args.reply_to.is_some() {
        return Err(CliError::WordsOnly);
    }
    let refused = |error| with_recipient(error, number.as_str().to_owned());
    let order = client.send_plain(number.clone(), args.text.unwrap_or_default()).await.map_err(refused)?;
    let way = way(client, output).await?;
    let synced = client.sync_once().await;
    if let Some(way) = way {
        way.close(client).await;
    }
    let newest = client.plain_messages(number.clone(), Some(order.saturating_add(1)), 1).await?;
    let Some(message) = newest.into_iter().find(|message| message.order == order) else {
        return Err(ClientError::UnknownMessage.into());
    };
    output.result(
        || thread::message_json("sent", &number, &message),
        || format!("{}  {}  {}", message.id, message.state.as_str(), view::READABLE),
    );
    match (message.state, thread::failure(message.state)) {
        (_, Some(reason)) => Err(CliError::NotDelivered { reason }),
        (PlainState::Queued, None) => {
            synced?;
            Err(CliError::StillQueued)
        }
        (_, None) => Ok(()),
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
