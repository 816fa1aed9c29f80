//! What may go in a mode that others can read: the account's policy, and messages that wait for the user's word.

use rcseal_engine::policy::PolicyScope;
use rcseal_wire::id::{ConversationId, MessageId};

use crate::argument::parse;
use crate::client::RcsealClient;
use crate::error::RcsealError;
use crate::model::FallbackPolicy;

/// A message that waits for the user's word, because a device it goes to has other keys than before.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct HeldMessage {
    /// Where.
    pub conversation_id: String,
    /// Which.
    pub message_id: String,
    /// Since when.
    pub held_at_ms: u64,
}

#[uniffi::export]
impl RcsealClient {
    /// The account's fallback policy; absent where none was set, and nothing that others can read is sent.
    pub async fn fallback_policy(&self) -> Result<Option<FallbackPolicy>, RcsealError> {
        self.call(
            |client| async move { Ok(client.fallback_policy(PolicyScope::Account).await?.map(FallbackPolicy::from)) },
        )
        .await
    }

    /// Sets it, or takes it back. Of several policies that apply the strictest counts.
    pub async fn set_fallback_policy(&self, policy: Option<FallbackPolicy>) -> Result<(), RcsealError> {
        let policy = policy.map(Into::into);
        self.call(move |client| async move { Ok(client.set_fallback_policy(PolicyScope::Account, policy).await?) })
            .await
    }

    /// Messages that wait for the user's word.
    pub async fn held_messages(&self) -> Result<Vec<HeldMessage>, RcsealError> {
        self.call(|client| async move {
            let held = client.held_resends().await?.into_iter();
            Ok(held
                .map(|held| HeldMessage {
                    conversation_id: held.conversation.to_string(),
                    message_id: held.message.to_string(),
                    held_at_ms: held.held_at.0,
                })
                .collect())
        })
        .await
    }

    /// The user has decided that a held message goes to the keys its recipients have now.
    pub async fn approve_held(&self, conversation_id: String, message_id: String) -> Result<(), RcsealError> {
        let conversation: ConversationId = parse("conversation_id", &conversation_id)?;
        let message: MessageId = parse("message_id", &message_id)?;
        self.call(move |client| async move {
            client.approve_resend(conversation, message).await?;
            Ok(())
        })
        .await
    }
}
