//! Export: everything a user wrote and received, readable, in a file of theirs.
//!
//! JSON Lines, UTF-8: one object per line with a `type` of `account`, `contact`, `conversation`, `message`, `thread`, `plain_message` or
//! `journal`, in this order, messages oldest first within each conversation or thread, and the whole journal of fallbacks, downgrades and
//! refusals at the end. It holds no key and no token: it is for reading, not for restoring. The file is for its owner
//! alone.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use rcseal_engine::message::MessageView;
use rcseal_engine::plain::PlainMessageView;
use rcseal_engine::policy::{DeliveryMode, JournalEntry, Subject};
use rcseal_wire::b64;
use rcseal_wire::content::{Body, Content};
use rcseal_wire::id::ConversationId;
use serde_json::{Value, json};

use super::core::{blocking, in_transaction};
use super::{Client, ClientError};
use crate::files;
use crate::store::Store;

/// Messages read by one transaction.
const PAGE_LEN: usize = 256;

/// What an export wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportSummary {
    /// Conversations.
    pub conversations: usize,
    /// Messages.
    pub messages: usize,
}

impl Client {
    /// Writes everything readable into a new file.
    ///
    /// # Errors
    /// [`ClientError::File`] when the file is there already or cannot be written, and those of the store.
    pub async fn export(&self, to: &Path) -> Result<ExportSummary, ClientError> {
        let (store, to) = (Arc::clone(&self.core.store), to.to_owned());
        blocking(move || export(&store, &to)).await?
    }
}

fn export(store: &Store, to: &Path) -> Result<ExportSummary, ClientError> {
    let file = files::private_options().write(true).create_new(true).open(to).map_err(ClientError::File)?;
    let mut file = io::BufWriter::new(file);
    let mut line = |value: &Value| writeln!(file, "{value}").map_err(ClientError::File);
    let (account, contacts, conversations) = in_transaction(store, |engine| {
        Ok::<_, ClientError>((engine.account_view()?, engine.contacts()?, engine.conversations()?))
    })?;
    if let Some(account) = account {
        line(&json!({
            "type": "account",
            "account": account.address.account.to_string(),
            "device": account.address.device.get(),
            "server": account.origin.as_str(),
            "name": account.display_name,
        }))?;
    }
    for contact in contacts {
        line(&json!({
            "type": "contact",
            "account": contact.account.to_string(),
            "name": contact.name,
            "display_name": contact.display_name,
            "verification": contact.verification.as_str(),
        }))?;
    }
    let mut summary = ExportSummary::default();
    for conversation in conversations {
        summary.conversations += 1;
        let participants: Vec<_> =
            conversation.participants.iter().map(|participant| participant.account.to_string()).collect();
        line(&json!({
            "type": "conversation",
            "conversation": conversation.id.to_string(),
            "title": conversation.title,
            "participants": participants,
        }))?;
        for place in places(store, conversation.id)? {
            // One at a time and by its place, so that memory does not grow with the history.
            let page = in_transaction(store, |engine| engine.messages(conversation.id, place.checked_add(1), 1))?;
            for message in &page {
                line(&describe(message))?;
                summary.messages += 1;
            }
        }
    }
    for thread in in_transaction(store, |engine| engine.threads())? {
        line(&json!({ "type": "thread", "number": thread.number.as_str(), "name": thread.name }))?;
        let (mut orders, mut before) = (Vec::new(), None);
        loop {
            let page = in_transaction(store, |engine| engine.plain_messages(&thread.number, before, PAGE_LEN))?;
            let Some(oldest) = page.last() else { break };
            before = Some(oldest.order);
            orders.extend(page.iter().map(|message| message.order));
        }
        for order in orders.into_iter().rev() {
            let page = in_transaction(store, |engine| engine.plain_messages(&thread.number, order.checked_add(1), 1))?;
            for message in &page {
                line(&plain(thread.number.as_str(), message))?;
            }
        }
    }
    let mut after = 0;
    loop {
        let page = in_transaction(store, |engine| engine.journal(after, PAGE_LEN))?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for entry in &page {
            line(&journalled(entry))?;
        }
    }
    let file = file.into_inner().map_err(|error| ClientError::File(error.into_error()))?;
    file.sync_all().map_err(ClientError::File)?;
    Ok(summary)
}

/// The places of a conversation's messages, oldest first.
fn places(store: &Store, conversation: ConversationId) -> Result<Vec<u64>, ClientError> {
    let (mut places, mut before) = (Vec::new(), None);
    loop {
        let page = in_transaction(store, |engine| engine.messages(conversation, before, PAGE_LEN))?;
        let Some(oldest) = page.last() else { break };
        before = Some(oldest.order);
        places.extend(page.iter().map(|message| message.order));
    }
    places.reverse();
    Ok(places)
}

fn plain(number: &str, message: &PlainMessageView) -> Value {
    json!({
        "type": "plain_message",
        "number": number,
        "message": message.id.to_string(),
        "sender": message.sender.as_str(),
        "at_ms": message.at.0,
        "state": message.state.as_str(),
        "mode": message.mode.as_str(),
        "end_to_end": message.mode.is_end_to_end(),
        "text": message.words,
    })
}

fn journalled(entry: &JournalEntry) -> Value {
    let (conversation, number) = match entry.subject {
        Subject::Conversation(id) => (Some(id.to_string()), None),
        Subject::Number(number) => (None, Some(number.text().to_owned())),
        Subject::Server => (None, None),
    };
    json!({
        "type": "journal",
        "number": entry.number,
        "at_ms": entry.at.0,
        "kind": entry.kind.as_str(),
        "conversation": conversation,
        "thread": number,
        "message": entry.message.map(|id| id.to_string()),
        "wanted": entry.wanted.as_str(),
        "taken": entry.taken.map(DeliveryMode::as_str),
        "reason": entry.reason.code(),
        "consent": entry.consent.map(|consent| consent.0),
        "decision": entry.decision,
        "chain": entry.chain.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}

fn describe(message: &MessageView) -> Value {
    let reactions: Vec<_> = message
        .reactions
        .iter()
        .map(|reaction| json!({ "account": reaction.account.to_string(), "emoji": reaction.emoji }))
        .collect();
    json!({
        "type": "message",
        "message": message.id.to_string(),
        "conversation": message.conversation.to_string(),
        "sender": message.sender.account.to_string(),
        "device": message.sender.device.get(),
        "outgoing": message.is_outgoing,
        "sent_at_ms": message.sent_at.0,
        "received_at_ms": message.received_at.0,
        "state": message.state.as_str(),
        "edited": message.is_edited,
        "encryption": {
            "mode": message.encryption.mode().as_str(),
            "suite": message.encryption.suite(),
            "end_to_end": message.encryption.is_end_to_end(),
        },
        "reply_to": message.content.as_ref().and_then(Content::reply_to).map(|id| id.to_string()),
        "content": message.content.as_ref().map(content),
        "reactions": reactions,
    })
}

fn content(content: &Content) -> Value {
    let mut value = json!({ "kind": content.body().kind() });
    match content.body() {
        Body::Text(text) => value["text"] = json!(text),
        Body::Media(media) => {
            value["file_name"] = json!(media.file_name);
            value["content_type"] = json!(media.content_type);
            value["size"] = json!(media.blob.size);
            // Where its ciphertext is, as long as the server keeps it. The key is not for reading, and stays here.
            value["blob"] = json!({
                "id": b64::encode(media.blob.id.as_bytes()),
                "server": media.blob.origin.as_str(),
                "sha256": b64::encode(media.blob.digest.as_bytes()),
            });
            value["caption"] = json!(media.caption);
        }
        Body::Card(card) => {
            value["title"] = json!(card.title);
            value["text"] = json!(card.text);
        }
        // Nothing else is shown as words, or shown at all.
        Body::Edit { .. }
        | Body::Delete { .. }
        | Body::Reaction { .. }
        | Body::Receipt(_)
        | Body::Typing(_)
        | Body::Suggested { .. }
        | Body::GroupEvent { .. }
        | Body::ConsentEvent { .. }
        | Body::KeySetChanged
        | Body::ContactSync(_)
        | Body::Rekey(_)
        | Body::ResendRequest { .. }
        | Body::Capabilities(_)
        | Body::EnvelopeReference(_)
        | Body::NumberSeen(_)
        | Body::ContinueCase { .. }
        | Body::CaseState(_)
        | Body::DeliveryNotice(_)
        | Body::Ignored
        | Body::Unknown => {}
    }
    value
}
