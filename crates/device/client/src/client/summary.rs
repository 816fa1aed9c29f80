//! What a screen with conversations shows, read in one transaction.

use std::collections::HashMap;

use rcseal_engine::contact::ContactView;
use rcseal_engine::policy::DeliveryMode;
use rcseal_engine::summary::ConversationSummary;
use rcseal_wire::id::{AccountId, ConversationId};

use super::{Client, ClientError};

/// One line of the list.
#[derive(Debug)]
pub struct ConversationLine {
    /// The conversation, its newest message, and what is unseen.
    pub summary: ConversationSummary,
    /// The other side of a direct conversation, if it is a contact still.
    pub contact: Option<ContactView>,
    /// The readable mode that the user has acknowledged, where there is one.
    pub acknowledged: Option<DeliveryMode>,
}

impl Client {
    /// Conversations in the order of their newest messages, those after `after` or from the beginning.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn conversation_lines(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<ConversationLine>, ClientError> {
        self.core
            .engine(move |engine| {
                let own = engine.account_view()?.map(|account| account.address.account);
                let summaries = engine.conversation_summaries(after, limit)?;
                let mut contacts: HashMap<AccountId, ContactView> =
                    engine.contacts()?.into_iter().map(|contact| (contact.account, contact)).collect();
                let mut lines = Vec::with_capacity(summaries.len());
                for summary in summaries {
                    let mut others = summary
                        .conversation
                        .participants
                        .iter()
                        .map(|participant| participant.account)
                        .filter(|account| Some(*account) != own);
                    let contact = match (others.next(), others.next()) {
                        (Some(other), None) => contacts.remove(&other),
                        _ => None,
                    };
                    let acknowledged = engine.acknowledged_downgrade(summary.conversation.id)?;
                    lines.push(ConversationLine { summary, contact, acknowledged });
                }
                Ok::<_, ClientError>(lines)
            })
            .await
    }
}
