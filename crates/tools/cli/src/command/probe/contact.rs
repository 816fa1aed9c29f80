//! Real messages to a contact, and whether its device confirms them.

use std::time::{Duration, Instant};

use rcseal_client::client::{Client, ClientError};
use rcseal_engine::contact::ContactView;
use rcseal_engine::message::MessageState;
use rcseal_engine::policy::{
    DeliveryMode, EntryKind, JOURNAL_PAGE_MAX, JournalEntry, Reader, RoutePreference, Subject,
};
use rcseal_engine::send::SendError;
use rcseal_sim::matrix::{Fate, Mode};
use rcseal_wire::content::{Body, TEXT_LEN_MAX};
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use tokio::time::sleep_until;

use super::Probed;
use crate::device;
use crate::error::CliError;

/// Sends a text of every size that a text may have, and tells what became of each.
///
/// # Errors
/// Those of the client.
pub(super) async fn run(
    client: &Client,
    contact: &ContactView,
    sizes: &[usize],
    wait: Duration,
    mut tell: impl FnMut(Probed),
) -> Result<(), CliError> {
    let conversation = client.direct_conversation(contact.account).await?;
    let own = device::account(client).await?.address.account;
    let mode = match client.route_preference(Subject::Conversation(conversation)).await? {
        RoutePreference::Native => Mode::Native,
        RoutePreference::Relayed => Mode::Relayed,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = client.run(async {
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    let probing = async {
        for len in sizes.iter().filter(|len| **len <= TEXT_LEN_MAX) {
            tell(one(client, conversation, own, mode, *len, wait).await?);
        }
        Ok::<_, CliError>(())
    };
    let outcome = tokio::select! {
        served = &mut serving => return Ok(served?),
        outcome = probing => outcome,
    };
    let _ = stop.send(());
    serving.await?;
    outcome
}

async fn one(
    client: &Client,
    conversation: ConversationId,
    own: AccountId,
    mode: Mode,
    len: usize,
    wait: Duration,
) -> Result<Probed, CliError> {
    let mut row = Probed {
        mode,
        len,
        form: "message",
        parts: None,
        fate: Fate::Lost(MessageState::Queued.as_str()),
        damage: Vec::new(),
        took: None,
        receipt: None,
        readers: vec![Reader::Participants.as_str()],
    };
    let words: String = "rcseal probe ".chars().cycle().take(len).collect();
    let begun = Instant::now();
    let id = match client.send(conversation, Body::Text(words), None).await {
        Ok(id) => id,
        Err(ClientError::Send(SendError::Refused(refused))) => {
            row.fate = Fate::Refused(refused.decision.reason.code());
            return Ok(row);
        }
        Err(error) => return Err(error.into()),
    };
    let latest = tokio::time::Instant::now() + wait;
    let mut events = client.events();
    let state = loop {
        let message = client.message(conversation, own, id).await?;
        let state = message.map_or(MessageState::Queued, |message| message.state);
        if !matches!(state, MessageState::Queued | MessageState::Stored) {
            break state;
        }
        tokio::select! {
            event = events.next() => {
                event?;
            }
            () = sleep_until(latest) => break state,
        }
    };
    let decided = client.decision_of(id).await?.and_then(|stored| stored.decision.mode());
    if let Some(decided) = decided {
        row.readers = decided.readers().iter().copied().map(Reader::as_str).collect();
    }
    row.fate = match state {
        MessageState::Delivered | MessageState::Read => {
            row.took = Some(begun.elapsed());
            match fallback(client, id).await? {
                Some(code) => Fate::FellBack(code),
                None => Fate::Delivered(decided.unwrap_or(DeliveryMode::Relayed)),
            }
        }
        MessageState::Failed { reason } => Fate::Failed(reason.code()),
        MessageState::Undecryptable { reason } => Fate::Failed(reason.code()),
        // It is durable somewhere, and the other device has not said a word.
        MessageState::Queued | MessageState::Stored | MessageState::Received | MessageState::Seen => {
            Fate::Unconfirmed(state.as_str())
        }
    };
    Ok(row)
}

/// Why a message went another way than was decided, if it did.
async fn fallback(client: &Client, id: MessageId) -> Result<Option<&'static str>, CliError> {
    let mut after = 0;
    let mut found = None;
    loop {
        let entries = client.journal(after, JOURNAL_PAGE_MAX).await?;
        let Some(last) = entries.last() else { return Ok(found) };
        after = last.number;
        let is_fallback = |entry: &&JournalEntry| entry.message == Some(id) && entry.kind == EntryKind::Fallback;
        found = entries.iter().rev().find(is_fallback).map(|entry| entry.reason.code()).or(found);
    }
}
