//! Messages, as they cross the border: flat, with every field an app shows.

use rcseal_engine::message::{MessageState as State, MessageView};
use rcseal_wire::b64;
use rcseal_wire::content::{Body, Card as WireCard, Media};

use crate::model::{DeliveryMode, Reader, readers};

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum MessageState {
    /// Written here; not yet at a relay for every device of the recipient.
    Queued,
    /// At the relay for every device of the recipient.
    Stored,
    /// A device of the recipient decrypted it.
    Delivered,
    /// The recipient has seen it.
    Read,
    /// It reached the recipient and no device could decrypt it.
    Undecryptable,
    /// It will not arrive.
    Failed,
    /// Somebody else wrote it, and it is here.
    Received,
    /// Somebody else wrote it, and the user has seen it.
    Seen,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum MessageKind {
    /// Words.
    Text,
    /// A picture, a film, a file.
    Media,
    /// A card with suggestions.
    Card,
    /// A suggestion that was chosen.
    CardReply,
    /// Something about the conversation: a mode that others can read, a group event, a consent.
    Notice,
    /// It was taken back.
    Deleted,
    /// Of a later version: "update the app to see this message".
    Unknown,
}

/// A file of a message.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct MediaInfo {
    /// Its name, as the sender gave it; never a path.
    pub file_name: String,
    /// Its media type, as the sender says.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// Words with it; may be empty.
    pub caption: String,
    /// Pixels, or 0.
    pub width: u32,
    /// Pixels, or 0.
    pub height: u32,
    /// Whether there is a small picture to fetch.
    pub has_thumbnail: bool,
}

/// A card.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Card {
    /// Its title.
    pub title: String,
    /// Its words.
    pub text: String,
    /// What one may choose.
    pub suggestions: Vec<Suggestion>,
}

/// One thing to choose.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Suggestion {
    /// What `OutgoingMessage.CardReply` takes.
    pub id: String,
    /// What it says.
    pub label: String,
    /// What it opens; empty for a reply.
    pub url: String,
}

/// A reaction.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Reaction {
    /// Whose.
    pub account_id: String,
    /// Which.
    pub emoji: String,
}

/// A message.
#[derive(Clone, uniffi::Record)]
#[cfg_attr(feature = "node", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct Message {
    /// Its id: with the sender's, it names the message.
    pub id: String,
    /// Where it belongs.
    pub conversation_id: String,
    /// Its place there, ascending: what pages go by.
    pub order: u64,
    /// Who wrote it.
    pub sender_id: String,
    /// On which device.
    pub sender_device: u8,
    /// Whether this account wrote it.
    pub is_outgoing: bool,
    /// The sender's clock.
    pub sent_at_ms: u64,
    /// Our clock.
    pub received_at_ms: u64,
    /// How far it has come.
    pub state: MessageState,
    /// Why it will not arrive or could not be decrypted: a stable code.
    pub state_reason: Option<String>,
    /// What it is.
    pub kind: MessageKind,
    /// Its words, edits applied; a file's caption; a card's title. Absent where there are none.
    pub text: Option<String>,
    /// Its file.
    pub media: Option<MediaInfo>,
    /// Its card.
    pub card: Option<Card>,
    /// Which message it answers.
    pub reply_to: Option<String>,
    /// Whether it was edited.
    pub is_edited: bool,
    /// How it went.
    pub mode: DeliveryMode,
    /// Whether only the participants' devices could read it.
    pub is_end_to_end: bool,
    /// Who could read it.
    pub readers: Vec<Reader>,
    /// Reactions to it.
    pub reactions: Vec<Reaction>,
}

impl MessageState {
    /// The state and why.
    pub(crate) fn of(state: State) -> (Self, Option<String>) {
        match state {
            State::Queued => (Self::Queued, None),
            State::Stored => (Self::Stored, None),
            State::Delivered => (Self::Delivered, None),
            State::Read => (Self::Read, None),
            State::Undecryptable { reason } => (Self::Undecryptable, Some(reason.code().to_owned())),
            State::Failed { reason } => (Self::Failed, Some(reason.code().to_owned())),
            State::Received => (Self::Received, None),
            State::Seen => (Self::Seen, None),
        }
    }
}

impl From<MessageView> for Message {
    fn from(message: MessageView) -> Self {
        let (state, state_reason) = MessageState::of(message.state);
        let mode = message.encryption.mode();
        let reply_to = message.content.as_ref().and_then(|content| content.reply_to()).map(|id| id.to_string());
        let (kind, text, media, card) = match message.content.map(rcseal_wire::content::Content::into_body) {
            None => (MessageKind::Deleted, None, None, None),
            Some(Body::Text(text)) => (MessageKind::Text, Some(text), None, None),
            Some(Body::Media(media)) => {
                let caption = (!media.caption.is_empty()).then(|| media.caption.clone());
                (MessageKind::Media, caption, Some(MediaInfo::from(*media)), None)
            }
            Some(Body::Card(card)) => (MessageKind::Card, Some(card.title.clone()), None, Some(Card::from(*card))),
            Some(Body::Suggested { .. }) => (MessageKind::CardReply, None, None, None),
            Some(Body::DeliveryNotice(_) | Body::GroupEvent { .. } | Body::ConsentEvent { .. }) => {
                (MessageKind::Notice, None, None, None)
            }
            // What is not shown makes no message; what a later version sends does.
            Some(
                Body::Edit { .. }
                | Body::Delete { .. }
                | Body::Reaction { .. }
                | Body::Receipt(_)
                | Body::Typing(_)
                | Body::KeySetChanged
                | Body::ContactSync(_)
                | Body::Rekey(_)
                | Body::ResendRequest { .. }
                | Body::Capabilities(_)
                | Body::EnvelopeReference(_)
                | Body::NumberSeen(_)
                | Body::ContinueCase { .. }
                | Body::CaseState(_)
                | Body::Ignored
                | Body::Unknown,
            ) => (MessageKind::Unknown, None, None, None),
        };
        Self {
            id: message.id.to_string(),
            conversation_id: message.conversation.to_string(),
            order: message.order,
            sender_id: message.sender.account.to_string(),
            sender_device: message.sender.device.get(),
            is_outgoing: message.is_outgoing,
            sent_at_ms: message.sent_at.0,
            received_at_ms: message.received_at.0,
            state,
            state_reason,
            kind,
            text,
            media,
            card,
            reply_to,
            is_edited: message.is_edited,
            mode: mode.into(),
            is_end_to_end: mode.is_end_to_end(),
            readers: readers(mode),
            reactions: message
                .reactions
                .into_iter()
                .map(|reaction| Reaction { account_id: reaction.account.to_string(), emoji: reaction.emoji })
                .collect(),
        }
    }
}

impl From<Media> for MediaInfo {
    fn from(media: Media) -> Self {
        Self {
            size: media.blob.size,
            has_thumbnail: media.thumbnail.is_some(),
            file_name: media.file_name,
            content_type: media.content_type,
            caption: media.caption,
            width: media.width,
            height: media.height,
        }
    }
}

impl From<WireCard> for Card {
    fn from(card: WireCard) -> Self {
        let suggestions = card.suggestions.into_iter();
        Self {
            title: card.title,
            text: card.text,
            suggestions: suggestions
                .map(|choice| Suggestion { id: b64::encode(&choice.id), label: choice.label, url: choice.url })
                .collect(),
        }
    }
}

/// Debug prints what a message is and nothing it says.
macro_rules! silent {
    ($($name:ident { $($field:ident),* })*) => {
        $(
            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
                }
            }
        )*
    };
}

silent! {
    MediaInfo { size }
    Card {}
    Suggestion {}
    Reaction {}
    Message { order, is_outgoing, state, kind, mode }
}
