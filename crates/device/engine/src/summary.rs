//! Conversations as a list shows them: the newest first, each with its last message and how many wait to be seen.
//!
//! One transaction reads what a screen needs. Only the conversations that are answered have their messages counted, and the counting stops
//! where [`crate::Engine::mark_read`] would: at a page of messages that were all seen.

use rcseal_wire::id::ConversationId;

use crate::account::AccountError;
use crate::context::Engine;
use crate::conversation::ConversationView;
use crate::message::{MessageState, MessageView};

/// Conversations that one call answers at most: a screen shows a dozen.
pub const SUMMARIES_MAX: usize = 200;
/// Messages looked at in one step while unseen ones are counted.
const STEP: usize = 16;
/// Where counting ends; a list shows "99+".
pub const UNREAD_MAX: u32 = 999;

/// A conversation in a list.
#[derive(Debug)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: ConversationView,
    /// Its newest message, where there is one.
    pub last: Option<MessageView>,
    /// Messages of others that the user has not seen, up to [`UNREAD_MAX`].
    pub unread: u32,
}

impl Engine<'_> {
    /// Conversations in the order of their newest messages, the newest first, those without a message last; those after `after`, or from the
    /// beginning. A conversation that is not there any more begins again at the top.
    ///
    /// # Errors
    /// Those of the store.
    pub fn conversation_summaries(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<ConversationSummary>, AccountError> {
        let mut all = Vec::new();
        for conversation in self.conversations()? {
            let last = self.messages(conversation.id, None, 1)?.pop();
            all.push(ConversationSummary { conversation, last, unread: 0 });
        }
        let place = |summary: &ConversationSummary| {
            let at = summary.last.as_ref().map_or(0, |message| message.received_at.0);
            (std::cmp::Reverse(at), *summary.conversation.id.as_bytes())
        };
        all.sort_by_key(place);
        let start = after
            .and_then(|after| all.iter().position(|summary| summary.conversation.id == after))
            .map_or(0, |place| place.saturating_add(1));
        let mut page: Vec<_> = all.into_iter().skip(start).take(limit.min(SUMMARIES_MAX)).collect();
        for summary in &mut page {
            summary.unread = self.unread(summary.conversation.id)?;
        }
        Ok(page)
    }

    fn unread(&self, conversation: ConversationId) -> Result<u32, AccountError> {
        let (mut unread, mut before) = (0_u32, None);
        while unread < UNREAD_MAX {
            let page = self.message_states(conversation, before, STEP)?;
            let Some((oldest, _)) = page.last() else { break };
            before = Some(*oldest);
            let new = page.iter().filter(|(_, state)| *state == MessageState::Received).count();
            if new == 0 {
                break;
            }
            unread = unread.saturating_add(u32::try_from(new).unwrap_or(u32::MAX));
        }
        Ok(unread.min(UNREAD_MAX))
    }
}
