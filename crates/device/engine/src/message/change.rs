//! Changes to a message that is there: edits, deletions, reactions.
//!
//! Words are changed and taken back by the account that wrote them, and by nobody else; anybody in the conversation may react. A change
//! may overtake its message, since devices send side by side and envelopes wait for key sets: it is kept, within a bound, and applied when
//! the message arrives.

use rcseal_wire::content::{Body, Content, NAME_LEN_MAX};
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use super::Message;
use crate::context::Engine;
use crate::event::Event;
use crate::record::key;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Changes that wait in one conversation: what overtakes in practice is a handful, and a contact must not fill the store with changes to
/// messages that never were.
const EARLY_CHANGES_MAX: usize = 256;

/// Where a change waits: by its target first, so that the message finds all of them.
fn early_key(conversation: ConversationId, target: MessageId, author: AccountId, kind: u8) -> Vec<u8> {
    key(&[conversation.as_bytes(), target.as_bytes(), author.as_bytes(), &[kind]])
}

/// The message that a body changes, and the kind of change as it orders those of one author: an edit before a deletion. `None` for a body
/// that changes nothing.
const fn target(body: &Body) -> Option<(MessageId, u8)> {
    match body {
        Body::Edit { target, .. } => Some((*target, 1)),
        Body::Delete { target } => Some((*target, 2)),
        Body::Reaction { target, .. } => Some((*target, 3)),
        _ => None,
    }
}

impl Engine<'_> {
    /// Applies a content that changes another message, or keeps it until that message is here. Answers whether it was such a content.
    pub(crate) fn apply_change(
        &mut self,
        conversation: ConversationId,
        author: AccountId,
        content: &Content,
    ) -> Result<bool, StoreError> {
        let Some((target, kind)) = target(content.body()) else { return Ok(false) };
        if !self.change(conversation, author, content.body())? {
            self.keep_change(conversation, early_key(conversation, target, author, kind), content)?;
        }
        Ok(true)
    }

    /// A message has arrived: changes that overtook it are applied.
    pub(crate) fn apply_early_changes(
        &mut self,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<(), StoreError> {
        let prefix = key(&[conversation.as_bytes(), id.as_bytes()]);
        let rows =
            self.tx.scan(Table::EarlyChange, &prefix, &prefix_end(&prefix), EARLY_CHANGES_MAX, Order::Ascending)?;
        for (row_key, content) in rows {
            let bad = || BadRow::error(Table::EarlyChange);
            let author = row_key.get(prefix.len()..prefix.len() + AccountId::LEN).ok_or_else(bad)?;
            let author = AccountId::parse(author).map_err(|_| bad())?;
            let content = Content::parse(content).map_err(|_| bad())?;
            // An edit by somebody else than the author stays what it was: without effect.
            if self.change(conversation, author, content.body())? {
                self.tx.delete(Table::EarlyChange, &row_key)?;
            }
        }
        Ok(())
    }

    fn keep_change(
        &mut self,
        conversation: ConversationId,
        row_key: Vec<u8>,
        content: &Content,
    ) -> Result<(), StoreError> {
        let prefix = conversation.as_bytes();
        let waiting =
            self.tx.scan(Table::EarlyChange, prefix, &prefix_end(prefix), EARLY_CHANGES_MAX, Order::Ascending)?;
        if waiting.len() >= EARLY_CHANGES_MAX && !waiting.iter().any(|(waiting_key, _)| *waiting_key == row_key) {
            return Ok(());
        }
        self.tx.put(Table::EarlyChange, &row_key, content.as_bytes())
    }

    /// Carries a change out. Answers whether its message is here.
    fn change(&mut self, conversation: ConversationId, author: AccountId, body: &Body) -> Result<bool, StoreError> {
        let changed: Message = match body {
            Body::Edit { target, text } => {
                let Some(mut message) = self.find_message(conversation, author, *target)? else { return Ok(false) };
                if message.content.is_empty() {
                    return Ok(true);
                }
                let reply_to = Content::parse(message.content).ok().and_then(|content| content.reply_to());
                message.content = Content::new(Body::Text(text.clone()), reply_to).as_bytes().to_vec();
                message.is_edited = true;
                self.put_message(&message)?;
                message
            }
            Body::Delete { target } => {
                let Some(mut message) = self.find_message(conversation, author, *target)? else { return Ok(false) };
                message.content = Vec::new();
                self.put_message(&message)?;
                message
            }
            Body::Reaction { target, emoji, removed } => {
                let Some(message) = self.find_any_message(conversation, *target)? else { return Ok(false) };
                let shown =
                    Some(emoji.as_str()).filter(|emoji| !removed && !emoji.is_empty() && emoji.len() <= NAME_LEN_MAX);
                self.put_reaction(message.key, author, shown)?;
                message
            }
            _ => return Ok(true),
        };
        self.emit(Event::MessageChanged { conversation, sender: changed.sender.account, message: changed.id })?;
        Ok(true)
    }
}
