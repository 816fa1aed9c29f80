//! Conversations: the list, and what one does in one.

use std::path::PathBuf;
use std::sync::Arc;

use rcseal_client::Client;
use rcseal_client::client::{ConversationLine, MediaPart as ClientPart};
use rcseal_client::net::Progress;
use rcseal_engine::contact::{ContactView, Verification as Compared};
use rcseal_engine::policy::{DeliveryMode as Mode, PolicyScope, Subject};
use rcseal_wire::b64;
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use crate::argument::{page_len, parse, parse_some};
use crate::client::{RcsealClient, no_account};
use crate::contact::padlock;
use crate::error::RcsealError;
use crate::inner::Inner;
use crate::message::{Message, MessageState};
use crate::model::{DeliveryMode, FallbackPolicy, Padlock, Reader, Verification, readers};
use crate::observe::{ProgressListener, Reporter};
use crate::safety::SafetyNumber;

/// Conversations in one page.
const CONVERSATIONS_MAX: usize = rcseal_engine::summary::SUMMARIES_MAX;
/// Messages in one page: more than a screen shows, few enough that a page stays below a megabyte of words.
const MESSAGES_MAX: usize = 500;
/// Characters of words in a list.
const PREVIEW_LEN: usize = 120;

/// A conversation in a list.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct ConversationSummary {
    /// Its id.
    pub id: String,
    /// The contact it is with; absent where that is no contact any more, and in groups.
    pub contact_id: Option<String>,
    /// What to show as its name: the user's name for the contact, or what the contact calls itself; may be empty.
    pub title: String,
    /// Whether the title is a name that the contact gave itself, and to be shown as a claim.
    pub is_title_claimed: bool,
    /// Its newest message; words cut to 120 characters.
    pub last_message: Option<Message>,
    /// Messages that the user has not seen, up to 999.
    pub unread_count: u32,
    /// What the lock shows.
    pub padlock: Padlock,
}

/// What to send.
#[derive(Clone, uniffi::Enum)]
#[cfg_attr(
    feature = "node",
    derive(serde::Deserialize),
    serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)
)]
pub enum OutgoingMessage {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// The message it answers.
        reply_to: Option<String>,
    },
    /// A file. The call returns when it is at the server.
    Media {
        /// Where it is.
        path: String,
        /// Words with it; may be empty.
        caption: String,
    },
    /// An emoji on a message.
    Reaction {
        /// The message.
        message_id: String,
        /// The emoji.
        emoji: String,
        /// Takes it off again.
        is_removed: bool,
    },
    /// Other words for a message of one's own.
    Edit {
        /// The message.
        message_id: String,
        /// The words.
        text: String,
    },
    /// Takes a message of one's own back.
    Delete {
        /// The message.
        message_id: String,
    },
    /// A suggestion of a card.
    CardReply {
        /// The card's message.
        message_id: String,
        /// The suggestion.
        suggestion_id: String,
    },
}

/// What became of a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct MessageReceipt {
    /// The message. Of a reaction, an edit or a deletion it is the id of that, which nothing else takes.
    pub message_id: String,
    /// How far it has come.
    pub state: MessageState,
    /// How it goes; absent for what is no message of its own.
    pub mode: Option<DeliveryMode>,
    /// Why it goes so: a stable code.
    pub reason: Option<String>,
    /// Who can read it.
    pub readers: Vec<Reader>,
}

/// How safe a conversation is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct ConversationSecurity {
    /// How the next message would go; absent where it would be refused.
    pub mode: Option<DeliveryMode>,
    /// Why: a stable code.
    pub reason: String,
    /// Whether only the participants' devices could read it.
    pub is_end_to_end: bool,
    /// Who could read it.
    pub readers: Vec<Reader>,
    /// What the user would have to do first where it would be refused: `needed`, `acknowledgement_needed`, `verification_needed`, or
    /// `not_needed`.
    pub consent: String,
    /// Whether somebody compared safety numbers.
    pub verification: Verification,
    /// The readable mode that the user has acknowledged for this conversation.
    pub acknowledged: Option<DeliveryMode>,
    /// The server that can read, where there is one.
    pub server: Option<String>,
    /// What the lock shows.
    pub padlock: Padlock,
}

/// Which file of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum MediaPart {
    /// The file itself.
    File,
    /// The small picture that the sender made.
    Thumbnail,
}

/// The conversation with one contact.
#[derive(uniffi::Object)]
pub struct Conversation {
    inner: Arc<Inner>,
    id: ConversationId,
    contact: AccountId,
}

#[uniffi::export]
impl RcsealClient {
    /// Conversations, those with the newest messages first: the page after the conversation `after`, or the first one.
    pub async fn conversations(
        &self,
        limit: u32,
        after: Option<String>,
    ) -> Result<Vec<ConversationSummary>, RcsealError> {
        let after: Option<ConversationId> = parse_some("after", after.as_deref())?;
        let limit = page_len(limit, CONVERSATIONS_MAX);
        self.call(move |client| async move {
            let lines = client.conversation_lines(after, limit).await?;
            Ok(lines.into_iter().map(ConversationSummary::from).collect())
        })
        .await
    }

    /// The conversation with a contact.
    pub async fn conversation(&self, contact_id: String) -> Result<Arc<Conversation>, RcsealError> {
        let contact: AccountId = parse("contact_id", &contact_id)?;
        let inner = self.inner();
        self.call(move |client| async move {
            let id = client.direct_conversation(contact).await?;
            Ok(Arc::new(Conversation { inner, id, contact }))
        })
        .await
    }
}

#[uniffi::export]
impl Conversation {
    /// Its id.
    pub fn id(&self) -> Result<String, RcsealError> {
        Ok(self.id.to_string())
    }

    /// The contact's id.
    pub fn contact_id(&self) -> Result<String, RcsealError> {
        Ok(self.contact.to_string())
    }

    /// Messages with a place below `before_order`, or the newest ones; newest first, 500 at most.
    pub async fn messages(&self, before_order: Option<u64>, limit: u32) -> Result<Vec<Message>, RcsealError> {
        let (id, limit) = (self.id, page_len(limit, MESSAGES_MAX));
        self.inner
            .call(move |client| async move {
                let page = client.messages(id, before_order, limit).await?;
                Ok(page.into_iter().map(Message::from).collect())
            })
            .await
    }

    /// One message.
    pub async fn message(&self, sender_id: String, message_id: String) -> Result<Option<Message>, RcsealError> {
        let id = self.id;
        let sender: AccountId = parse("sender_id", &sender_id)?;
        let message: MessageId = parse("message_id", &message_id)?;
        self.inner
            .call(move |client| async move { Ok(client.message(id, sender, message).await?.map(Message::from)) })
            .await
    }

    /// Sends. The message is durable here when this returns, and leaves when a server can be reached. It goes on when the caller is
    /// cancelled.
    pub async fn send(&self, message: OutgoingMessage) -> Result<MessageReceipt, RcsealError> {
        self.send_reporting(message, None).await
    }

    /// The same, and tells how far a file has come.
    pub async fn send_with_progress(
        &self,
        message: OutgoingMessage,
        progress: Arc<dyn ProgressListener>,
    ) -> Result<MessageReceipt, RcsealError> {
        self.send_reporting(message, Some(progress)).await
    }

    /// The user has seen the messages up to this place.
    pub async fn mark_read(&self, up_to_order: u64) -> Result<(), RcsealError> {
        let id = self.id;
        self.inner.call(move |client| async move { Ok(client.mark_read(id, up_to_order).await?) }).await
    }

    /// Tells the contact that the user is writing, or has stopped.
    pub async fn set_typing(&self, is_typing: bool) -> Result<(), RcsealError> {
        let id = self.id;
        self.inner
            .call(move |client| async move {
                client.send(id, Body::Typing(is_typing), None).await?;
                Ok(())
            })
            .await
    }

    /// How safe the conversation is, and how the next message would go.
    pub async fn security(&self) -> Result<ConversationSecurity, RcsealError> {
        let (id, contact) = (self.id, self.contact);
        self.inner.call(move |client| async move { security(&client, id, contact).await }).await
    }

    /// The fallback policy set for this conversation; absent where none is, and the account's alone counts.
    pub async fn fallback_policy(&self) -> Result<Option<FallbackPolicy>, RcsealError> {
        let scope = self.scope();
        self.inner
            .call(move |client| async move { Ok(client.fallback_policy(scope).await?.map(FallbackPolicy::from)) })
            .await
    }

    /// Sets it, or takes it back. Of several policies that apply the strictest counts.
    pub async fn set_fallback_policy(&self, policy: Option<FallbackPolicy>) -> Result<(), RcsealError> {
        let (scope, policy) = (self.scope(), policy.map(Into::into));
        self.inner.call(move |client| async move { Ok(client.set_fallback_policy(scope, policy).await?) }).await
    }

    /// The user agrees that messages of this conversation go in a readable mode until a time. Only with the user's own word.
    pub async fn give_consent(&self, mode: DeliveryMode, expires_at_ms: u64) -> Result<(), RcsealError> {
        let subject = Subject::Conversation(self.id);
        self.inner
            .call(move |client| async move {
                client.give_consent(subject, mode.into(), rcseal_engine::UnixMillis(expires_at_ms)).await?;
                Ok(())
            })
            .await
    }

    /// The user acknowledges that the conversation goes without end-to-end encryption. The other side is told, end to end.
    pub async fn acknowledge_downgrade(&self, mode: DeliveryMode) -> Result<(), RcsealError> {
        let id = self.id;
        self.inner
            .call(move |client| async move {
                client.acknowledge_downgrade(id, mode.into()).await?;
                Ok(())
            })
            .await
    }

    /// A downgraded conversation is end to end again.
    pub async fn restore_end_to_end(&self) -> Result<(), RcsealError> {
        let id = self.id;
        self.inner
            .call(move |client| async move {
                client.restore_conversation(id).await?;
                Ok(())
            })
            .await
    }

    /// Fetches a file of a message and writes it to `path`, which appears only when it is whole and authentic. A download that was cut
    /// short goes on where it was.
    pub async fn fetch_encrypted_blob(
        &self,
        sender_id: String,
        message_id: String,
        part: MediaPart,
        path: String,
        progress: Option<Arc<dyn ProgressListener>>,
    ) -> Result<(), RcsealError> {
        let id = self.id;
        let sender: AccountId = parse("sender_id", &sender_id)?;
        let message: MessageId = parse("message_id", &message_id)?;
        let part = match part {
            MediaPart::File => ClientPart::File,
            MediaPart::Thumbnail => ClientPart::Thumbnail,
        };
        if path.is_empty() {
            return Err(RcsealError::argument("path"));
        }
        self.inner
            .call(move |client| async move {
                let reporter = progress.map(Reporter::start).transpose()?;
                let mut report = |moved: Progress| {
                    if let Some(reporter) = &reporter {
                        reporter.report(moved.done, moved.total);
                    }
                };
                client.download_media(id, sender, message, part, &PathBuf::from(path), &mut report).await?;
                Ok(())
            })
            .await
    }

    /// The safety number with the contact, once its keys are known.
    pub async fn safety_number(&self) -> Result<Arc<SafetyNumber>, RcsealError> {
        let (inner, contact) = (Arc::clone(&self.inner), self.contact);
        self.inner.call(move |client| async move { SafetyNumber::of(inner, &client, contact).await }).await
    }
}

/// A body that needs no upload, and the message it answers.
pub(crate) fn body(message: OutgoingMessage) -> Result<(Body, Option<MessageId>), RcsealError> {
    Ok(match message {
        OutgoingMessage::Text { text, reply_to } => (Body::Text(text), parse_some("reply_to", reply_to.as_deref())?),
        OutgoingMessage::Reaction { message_id, emoji, is_removed } => {
            (Body::Reaction { target: parse("message_id", &message_id)?, emoji, removed: is_removed }, None)
        }
        OutgoingMessage::Edit { message_id, text } => {
            (Body::Edit { target: parse("message_id", &message_id)?, text }, None)
        }
        OutgoingMessage::Delete { message_id } => (Body::Delete { target: parse("message_id", &message_id)? }, None),
        OutgoingMessage::CardReply { message_id, suggestion_id } => {
            let suggestion = b64::decode(&suggestion_id).ok().and_then(|id| id.try_into().ok());
            let suggestion = suggestion.ok_or_else(|| RcsealError::argument("suggestion_id"))?;
            (Body::Suggested { card: parse("message_id", &message_id)?, suggestion }, None)
        }
        OutgoingMessage::Media { .. } => return Err(RcsealError::argument("message")),
    })
}

impl Conversation {
    const fn scope(&self) -> PolicyScope {
        PolicyScope::Subject(Subject::Conversation(self.id))
    }

    async fn send_reporting(
        &self,
        message: OutgoingMessage,
        progress: Option<Arc<dyn ProgressListener>>,
    ) -> Result<MessageReceipt, RcsealError> {
        let id = self.id;
        if let OutgoingMessage::Media { path, caption } = message {
            if path.is_empty() {
                return Err(RcsealError::argument("path"));
            }
            return self
                .inner
                .call(move |client| async move {
                    let reporter = progress.map(Reporter::start).transpose()?;
                    let mut report = |moved: Progress| {
                        if let Some(reporter) = &reporter {
                            reporter.report(moved.done, moved.total);
                        }
                    };
                    let sent = client.send_media(id, &PathBuf::from(path), caption, &mut report).await?;
                    receipt(&client, id, sent).await
                })
                .await;
        }
        let (body, reply_to) = body(message)?;
        self.inner
            .call(move |client| async move {
                let sent = client.send(id, body, reply_to).await?;
                receipt(&client, id, sent).await
            })
            .await
    }
}

/// How a message that was just sent stands.
async fn receipt(
    client: &Client,
    conversation: ConversationId,
    sent: MessageId,
) -> Result<MessageReceipt, RcsealError> {
    let own = client.account().await?.ok_or_else(no_account)?.address.account;
    let view = client.message(conversation, own, sent).await?;
    let decision = client.decision_of(sent).await?.map(|stored| stored.decision);
    let mode = decision.and_then(|decision| decision.mode()).or(view.as_ref().map(|view| view.encryption.mode()));
    Ok(MessageReceipt {
        message_id: sent.to_string(),
        state: view.map_or(MessageState::Queued, |view| MessageState::of(view.state).0),
        mode: mode.map(DeliveryMode::from),
        reason: decision.map(|decision| decision.reason.code().to_owned()),
        readers: mode.map(readers).unwrap_or_default(),
    })
}

async fn security(
    client: &Client,
    conversation: ConversationId,
    contact: AccountId,
) -> Result<ConversationSecurity, RcsealError> {
    let view: Option<ContactView> = client.contacts().await?.into_iter().find(|known| known.account == contact);
    let explained = client.explain(Subject::Conversation(conversation)).await?;
    let acknowledged = client.acknowledged_downgrade(conversation).await?;
    let mode = explained.decision.mode();
    let server = match mode {
        Some(Mode::ServerEncrypted) => client.server_key().await?.map(|key| key.origin.as_str().to_owned()),
        _ => None,
    };
    Ok(ConversationSecurity {
        mode: mode.map(DeliveryMode::from),
        reason: explained.decision.reason.code().to_owned(),
        is_end_to_end: mode.is_some_and(Mode::is_end_to_end),
        readers: mode.map(readers).unwrap_or_default(),
        consent: explained.decision.consent.as_str().to_owned(),
        verification: view.as_ref().map_or(Compared::Unverified, |view| view.verification).into(),
        acknowledged: acknowledged.map(DeliveryMode::from),
        server,
        padlock: padlock(view.as_ref(), explained.decision.is_readable() || acknowledged.is_some()),
    })
}

impl From<ConversationLine> for ConversationSummary {
    fn from(line: ConversationLine) -> Self {
        let padlock = padlock(line.contact.as_ref(), line.acknowledged.is_some());
        let contact_id = line.contact.as_ref().map(|contact| contact.account.to_string());
        let (title, is_title_claimed) = match line.contact {
            Some(contact) if !contact.name.is_empty() => (contact.name, false),
            Some(contact) => (contact.display_name, true),
            None => (line.summary.conversation.title, true),
        };
        Self {
            id: line.summary.conversation.id.to_string(),
            contact_id,
            title,
            is_title_claimed,
            last_message: line.summary.last.map(|last| {
                let mut last = Message::from(last);
                last.text = last.text.map(|text| text.chars().take(PREVIEW_LEN).collect());
                last
            }),
            unread_count: line.summary.unread,
            padlock,
        }
    }
}

impl std::fmt::Debug for ConversationSummary {
    /// Without names and words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConversationSummary")
            .field("unread_count", &self.unread_count)
            .field("padlock", &self.padlock)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutgoingMessage {
    /// Which kind, and nothing of what it says.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text",
            Self::Media { .. } => "Media",
            Self::Reaction { .. } => "Reaction",
            Self::Edit { .. } => "Edit",
            Self::Delete { .. } => "Delete",
            Self::CardReply { .. } => "CardReply",
        })
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Conversation")
    }
}
