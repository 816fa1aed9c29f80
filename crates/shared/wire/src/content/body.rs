//! The content itself: one of a dozen bodies, and what it answers.

use std::fmt;

use prost::Message as _;
use rcseal_crypto::secret::Secret;

use super::{
    CONTACTS_MAX, ContentError, EMOJI_LEN_MAX, MEDIA_LEN_MAX, NAME_LEN_MAX, RECEIPT_LEN_MAX, RESEND_LEN_MAX,
    SUGGESTIONS_MAX, TEXT_LEN_MAX, id, limited, proto,
};
use crate::id::{AccountId, BlobId, Digest, EnvelopeId, KeySetCounter, KeySetHash, MessageId};
use crate::origin::Origin;
use crate::token::DeliveryToken;

/// A content, with the bytes it was made of.
pub struct Content {
    bytes: Vec<u8>,
    body: Body,
    reply_to: Option<MessageId>,
}

/// What a message says.
pub enum Body {
    /// Words.
    Text(String),
    /// New words for an earlier message of the same sender.
    Edit {
        /// Which message.
        target: MessageId,
        /// The new words.
        text: String,
    },
    /// Takes an earlier message of the same sender back.
    Delete {
        /// Which message.
        target: MessageId,
    },
    /// An emoji on a message.
    Reaction {
        /// Which message.
        target: MessageId,
        /// The emoji.
        emoji: String,
        /// Takes it off again.
        removed: bool,
    },
    /// What became of messages.
    Receipt(Receipt),
    /// The sender is writing, or stopped.
    Typing(bool),
    /// A picture, a film, a file.
    Media(Box<Media>),
    /// A card with suggestions.
    Card(Box<Card>),
    /// A suggestion that was chosen.
    Suggested {
        /// The card's message.
        card: MessageId,
        /// The suggestion's id.
        suggestion: [u8; 16],
    },
    /// Something happened to a group.
    GroupEvent {
        /// What.
        kind: GroupEventKind,
        /// To whom, where it was to somebody.
        subject: Option<AccountId>,
        /// The new title, where it was that.
        title: String,
    },
    /// The choice between end to end and retained.
    ConsentEvent {
        /// The choice.
        choice: ConsentChoice,
        /// How long a transcript is kept, where one is.
        retention_days: u32,
    },
    /// The sender's key set has a successor; not shown.
    KeySetChanged,
    /// Contacts, between devices of one account; not shown.
    ContactSync(Vec<ContactEntry>),
    /// Turns the ratchet between two devices; not shown.
    Rekey(RekeyStep),
    /// Envelopes that came here and could not be decrypted, asked for once more; not shown.
    ResendRequest {
        /// Which envelopes; the sender knows which message was in them.
        envelopes: Vec<EnvelopeId>,
    },
    /// A body of a later version: "update the app to see this message".
    Unknown,
}

/// One half of a round trip that gives both directions of a session new ratchet keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekeyStep {
    /// Asks for a pong.
    Ping {
        /// Drawn by the device that asks.
        id: [u8; 16],
    },
    /// Answers a ping.
    Pong {
        /// The ping's.
        id: [u8; 16],
    },
}

/// What became of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// They reached a device and were decrypted there.
    Delivered(Vec<MessageId>),
    /// Somebody saw them.
    Read(Vec<MessageId>),
    /// Envelopes that reached a device and could not be decrypted.
    Undecryptable {
        /// Which envelopes; the sender knows which message was in them.
        envelopes: Vec<EnvelopeId>,
        /// A code of `docs/protocol/envelope.md`.
        reason: u32,
    },
}

/// An encrypted blob and the key to it.
pub struct BlobReference {
    /// Where it is at the server.
    pub id: BlobId,
    /// Opens it.
    pub key: Secret<32>,
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// Bytes of plaintext.
    pub size: u64,
    /// The server that has it.
    pub origin: Origin,
}

impl fmt::Debug for BlobReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReference").field("size", &self.size).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A picture, a film, a file.
#[derive(Debug)]
pub struct Media {
    /// The thing itself.
    pub blob: BlobReference,
    /// Its media type.
    pub content_type: String,
    /// Its name; never a path.
    pub file_name: String,
    /// Words with it; may be empty.
    pub caption: String,
    /// Pixels, or 0.
    pub width: u32,
    /// Pixels, or 0.
    pub height: u32,
    /// A small picture that the sender made.
    pub thumbnail: Option<BlobReference>,
}

/// A card with suggestions.
#[derive(Debug)]
pub struct Card {
    /// Its title.
    pub title: String,
    /// Its words.
    pub text: String,
    /// Its picture.
    pub media: Option<Media>,
    /// What one may choose.
    pub suggestions: Vec<Suggestion>,
}

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Comes back in [`Body::Suggested`].
    pub id: [u8; 16],
    /// What it says.
    pub label: String,
    /// What it opens; empty for a reply.
    pub url: String,
}

/// What happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupEventKind {
    /// It was made.
    Created,
    /// Somebody was added.
    Added,
    /// Somebody was removed.
    Removed,
    /// Somebody left.
    Left,
    /// It has a new title.
    Renamed,
}

/// The choice between end to end and retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentChoice {
    /// Nobody but the participants reads; no transcript.
    EndToEnd,
    /// A transcript is kept.
    Retained,
}

/// A contact, as devices of one account tell each other.
#[derive(Debug)]
pub struct ContactEntry {
    /// The account.
    pub account: AccountId,
    /// The leave to write to it.
    pub delivery_token: DeliveryToken,
    /// Where its mailboxes are.
    pub origin: Origin,
    /// What the user calls it.
    pub name: String,
    /// The key set last seen.
    pub key_set_counter: KeySetCounter,
    /// Its hash.
    pub key_set_hash: KeySetHash,
    /// The account key behind it, without which a later key set could be anybody's; `None` where it is not known yet.
    pub account_key: Option<[u8; 32]>,
    /// The user compared safety numbers, over that account key.
    pub verified: bool,
    /// The account key was replaced, and the user has not decided about that.
    pub changed: Option<KeyChange>,
    /// The user wants nothing to do with the contact.
    pub blocked: bool,
}

/// By whose leave a contact's account key was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// The key before signed.
    Migrated,
    /// The recovery key signed.
    Recovered,
    /// Nobody signed. What a later version may know beside these is taken for this one.
    Reset,
}

impl Content {
    /// A content of this version.
    #[must_use]
    pub fn new(body: Body, reply_to: Option<MessageId>) -> Self {
        let message = proto::Content {
            body: body.to_proto(),
            reply_to: reply_to.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        };
        Self { bytes: message.encode_to_vec(), body, reply_to }
    }

    /// Parses the bytes and keeps them.
    ///
    /// # Errors
    /// [`ContentError`]; an unknown body is none.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ContentError> {
        let message = proto::Content::decode(&bytes[..]).map_err(|_| ContentError::Malformed)?;
        let reply_to =
            if message.reply_to.is_empty() { None } else { Some(id("reply_to", MessageId::parse(&message.reply_to))?) };
        let body = message.body.map_or(Ok(Body::Unknown), Body::from_proto)?;
        Ok(Self { bytes, body, reply_to })
    }

    /// The bytes it was made of, unknown parts included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// What it says.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The message it answers.
    #[must_use]
    pub const fn reply_to(&self) -> Option<MessageId> {
        self.reply_to
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Says which kind it is and nothing of what it says.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Body").field(&self.kind()).finish()
    }
}

impl Body {
    /// A stable name of the kind, for stores and reports.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Reaction { .. } => "reaction",
            Self::Receipt(_) => "receipt",
            Self::Typing(_) => "typing",
            Self::Media(_) => "media",
            Self::Card(_) => "card",
            Self::Suggested { .. } => "suggested",
            Self::GroupEvent { .. } => "group_event",
            Self::ConsentEvent { .. } => "consent_event",
            Self::KeySetChanged => "key_set_changed",
            Self::ContactSync(_) => "contact_sync",
            Self::Rekey(_) => "rekey",
            Self::ResendRequest { .. } => "resend_request",
            Self::Unknown => "unknown",
        }
    }

    fn to_proto(&self) -> Option<proto::content::Body> {
        use proto::content::Body as P;
        Some(match self {
            Self::Text(text) => P::Text(proto::Text { text: text.clone() }),
            Self::Edit { target, text } => {
                P::Edit(proto::Edit { target: target.as_bytes().to_vec(), text: text.clone() })
            }
            Self::Delete { target } => P::Delete(proto::Delete { target: target.as_bytes().to_vec() }),
            Self::Reaction { target, emoji, removed } => P::Reaction(proto::Reaction {
                target: target.as_bytes().to_vec(),
                emoji: emoji.clone(),
                removed: *removed,
            }),
            Self::Receipt(receipt) => P::Receipt(receipt.to_proto()),
            Self::Typing(active) => P::Typing(proto::Typing { active: *active }),
            Self::Media(media) => P::Media(media.to_proto()),
            Self::Card(card) => P::Card(proto::Card {
                title: card.title.clone(),
                text: card.text.clone(),
                media: card.media.as_ref().map(Media::to_proto),
                suggestions: card
                    .suggestions
                    .iter()
                    .map(|suggestion| proto::Suggestion {
                        id: suggestion.id.to_vec(),
                        label: suggestion.label.clone(),
                        url: suggestion.url.clone(),
                    })
                    .collect(),
            }),
            Self::Suggested { card, suggestion } => {
                P::Suggested(proto::Suggested { card: card.as_bytes().to_vec(), suggestion: suggestion.to_vec() })
            }
            Self::GroupEvent { kind, subject, title } => P::GroupEvent(proto::GroupEvent {
                kind: match kind {
                    GroupEventKind::Created => proto::GroupEventKind::Created,
                    GroupEventKind::Added => proto::GroupEventKind::Added,
                    GroupEventKind::Removed => proto::GroupEventKind::Removed,
                    GroupEventKind::Left => proto::GroupEventKind::Left,
                    GroupEventKind::Renamed => proto::GroupEventKind::Renamed,
                }
                .into(),
                subject: subject.map(|account| account.as_bytes().to_vec()).unwrap_or_default(),
                title: title.clone(),
            }),
            Self::ConsentEvent { choice, retention_days } => P::ConsentEvent(proto::ConsentEvent {
                choice: match choice {
                    ConsentChoice::EndToEnd => proto::ConsentChoice::EndToEnd,
                    ConsentChoice::Retained => proto::ConsentChoice::Retained,
                }
                .into(),
                retention_days: *retention_days,
            }),
            Self::KeySetChanged => P::KeySetChanged(proto::KeySetChanged {}),
            Self::ContactSync(contacts) => {
                P::ContactSync(proto::ContactSync { contacts: contacts.iter().map(ContactEntry::to_proto).collect() })
            }
            Self::Rekey(step) => {
                let (step, id) = match step {
                    RekeyStep::Ping { id } => (proto::RekeyStep::Ping, id),
                    RekeyStep::Pong { id } => (proto::RekeyStep::Pong, id),
                };
                P::Rekey(proto::Rekey { step: step.into(), id: id.to_vec() })
            }
            Self::ResendRequest { envelopes } => P::ResendRequest(proto::ResendRequest {
                envelopes: envelopes.iter().map(|id| id.as_bytes().to_vec()).collect(),
            }),
            Self::Unknown => return None,
        })
    }

    fn from_proto(body: proto::content::Body) -> Result<Self, ContentError> {
        use proto::content::Body as P;
        let target = |bytes: &[u8]| id("target", MessageId::parse(bytes));
        Ok(match body {
            P::Text(text) => Self::Text(limited("text", text.text, TEXT_LEN_MAX)?),
            P::Edit(edit) => {
                Self::Edit { target: target(&edit.target)?, text: limited("text", edit.text, TEXT_LEN_MAX)? }
            }
            P::Delete(delete) => Self::Delete { target: target(&delete.target)? },
            P::Reaction(reaction) => Self::Reaction {
                target: target(&reaction.target)?,
                emoji: limited("emoji", reaction.emoji, EMOJI_LEN_MAX)?,
                removed: reaction.removed,
            },
            P::Receipt(receipt) => match Receipt::from_proto(&receipt)? {
                Some(receipt) => Self::Receipt(receipt),
                None => Self::Unknown,
            },
            P::Typing(typing) => Self::Typing(typing.active),
            P::Media(media) => Self::Media(Box::new(Media::from_proto(media)?)),
            P::Card(card) => Self::Card(Box::new(Card::from_proto(card)?)),
            P::Suggested(suggested) => Self::Suggested {
                card: id("card", MessageId::parse(&suggested.card))?,
                suggestion: fixed("suggestion", &suggested.suggestion)?,
            },
            P::GroupEvent(event) => {
                let kind = match event.kind() {
                    proto::GroupEventKind::Created => GroupEventKind::Created,
                    proto::GroupEventKind::Added => GroupEventKind::Added,
                    proto::GroupEventKind::Removed => GroupEventKind::Removed,
                    proto::GroupEventKind::Left => GroupEventKind::Left,
                    proto::GroupEventKind::Renamed => GroupEventKind::Renamed,
                    proto::GroupEventKind::Unspecified => return Ok(Self::Unknown),
                };
                let subject = if event.subject.is_empty() {
                    None
                } else {
                    Some(id("subject", AccountId::parse(&event.subject))?)
                };
                Self::GroupEvent { kind, subject, title: limited("title", event.title, NAME_LEN_MAX)? }
            }
            P::ConsentEvent(event) => {
                let choice = match event.choice() {
                    proto::ConsentChoice::EndToEnd => ConsentChoice::EndToEnd,
                    proto::ConsentChoice::Retained => ConsentChoice::Retained,
                    proto::ConsentChoice::Unspecified => return Ok(Self::Unknown),
                };
                Self::ConsentEvent { choice, retention_days: event.retention_days }
            }
            P::KeySetChanged(_) => Self::KeySetChanged,
            P::ContactSync(sync) => {
                if sync.contacts.len() > CONTACTS_MAX {
                    return Err(ContentError::TooLong { field: "contacts" });
                }
                Self::ContactSync(sync.contacts.into_iter().map(ContactEntry::from_proto).collect::<Result<_, _>>()?)
            }
            P::Rekey(rekey) => {
                let id = fixed("rekey.id", &rekey.id)?;
                match rekey.step() {
                    proto::RekeyStep::Ping => Self::Rekey(RekeyStep::Ping { id }),
                    proto::RekeyStep::Pong => Self::Rekey(RekeyStep::Pong { id }),
                    proto::RekeyStep::Unspecified => return Err(ContentError::Field { field: "rekey.step" }),
                }
            }
            P::ResendRequest(request) => {
                if request.envelopes.len() > RESEND_LEN_MAX {
                    return Err(ContentError::TooLong { field: "envelopes" });
                }
                let envelopes = request
                    .envelopes
                    .iter()
                    .map(|bytes| id("envelopes", EnvelopeId::parse(bytes)))
                    .collect::<Result<_, _>>()?;
                Self::ResendRequest { envelopes }
            }
        })
    }
}

fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], ContentError> {
    bytes.try_into().map_err(|_| ContentError::Field { field })
}

impl Receipt {
    fn to_proto(&self) -> proto::Receipt {
        let (kind, messages, reason) = match self {
            Self::Delivered(ids) => {
                (proto::ReceiptKind::Delivered, ids.iter().map(|id| id.as_bytes().to_vec()).collect(), 0)
            }
            Self::Read(ids) => (proto::ReceiptKind::Read, ids.iter().map(|id| id.as_bytes().to_vec()).collect(), 0),
            Self::Undecryptable { envelopes, reason } => (
                proto::ReceiptKind::Undecryptable,
                envelopes.iter().map(|id| id.as_bytes().to_vec()).collect(),
                *reason,
            ),
        };
        proto::Receipt { kind: kind.into(), messages, reason }
    }

    /// `None` for a kind of a later version.
    fn from_proto(receipt: &proto::Receipt) -> Result<Option<Self>, ContentError> {
        if receipt.messages.len() > RECEIPT_LEN_MAX {
            return Err(ContentError::TooLong { field: "messages" });
        }
        let messages = || {
            receipt.messages.iter().map(|bytes| id("messages", MessageId::parse(bytes))).collect::<Result<Vec<_>, _>>()
        };
        Ok(match receipt.kind() {
            proto::ReceiptKind::Delivered => Some(Self::Delivered(messages()?)),
            proto::ReceiptKind::Read => Some(Self::Read(messages()?)),
            proto::ReceiptKind::Undecryptable => {
                let envelopes = receipt
                    .messages
                    .iter()
                    .map(|bytes| id("messages", EnvelopeId::parse(bytes)))
                    .collect::<Result<_, _>>()?;
                Some(Self::Undecryptable { envelopes, reason: receipt.reason })
            }
            proto::ReceiptKind::Unspecified => None,
        })
    }
}

impl BlobReference {
    fn to_proto(&self) -> proto::Blob {
        proto::Blob {
            id: self.id.as_bytes().to_vec(),
            key: self.key.expose().to_vec(),
            digest: self.digest.as_bytes().to_vec(),
            size: self.size,
            origin: self.origin.to_string(),
        }
    }

    fn from_proto(blob: &proto::Blob) -> Result<Self, ContentError> {
        // A sender names the size, and whoever fetches the blob reserves and writes as much.
        if blob.size > MEDIA_LEN_MAX {
            return Err(ContentError::TooLong { field: "blob.size" });
        }
        Ok(Self {
            id: id("blob.id", BlobId::parse(&blob.id))?,
            key: Secret::from_slice(&blob.key).ok_or(ContentError::Field { field: "blob.key" })?,
            digest: id("blob.digest", Digest::parse(&blob.digest))?,
            size: blob.size,
            origin: blob.origin.parse().map_err(|_| ContentError::Field { field: "blob.origin" })?,
        })
    }
}

impl Media {
    fn to_proto(&self) -> proto::Media {
        proto::Media {
            blob: Some(self.blob.to_proto()),
            content_type: self.content_type.clone(),
            file_name: self.file_name.clone(),
            caption: self.caption.clone(),
            width: self.width,
            height: self.height,
            thumbnail: self.thumbnail.as_ref().map(BlobReference::to_proto),
        }
    }

    fn from_proto(media: proto::Media) -> Result<Self, ContentError> {
        let file_name = limited("file_name", media.file_name, NAME_LEN_MAX)?;
        // A name that walks the recipient's folders is not a name.
        if file_name.contains(['/', '\\', '\0']) || file_name == ".." || file_name == "." {
            return Err(ContentError::Field { field: "file_name" });
        }
        Ok(Self {
            blob: BlobReference::from_proto(&media.blob.ok_or(ContentError::Field { field: "blob" })?)?,
            content_type: limited("content_type", media.content_type, NAME_LEN_MAX)?,
            file_name,
            caption: limited("caption", media.caption, TEXT_LEN_MAX)?,
            width: media.width,
            height: media.height,
            thumbnail: media.thumbnail.as_ref().map(BlobReference::from_proto).transpose()?,
        })
    }
}

impl Card {
    fn from_proto(card: proto::Card) -> Result<Self, ContentError> {
        if card.suggestions.len() > SUGGESTIONS_MAX {
            return Err(ContentError::TooLong { field: "suggestions" });
        }
        let suggestion = |suggestion: proto::Suggestion| {
            Ok(Suggestion {
                id: fixed("suggestion.id", &suggestion.id)?,
                label: limited("suggestion.label", suggestion.label, NAME_LEN_MAX)?,
                url: limited("suggestion.url", suggestion.url, TEXT_LEN_MAX)?,
            })
        };
        Ok(Self {
            title: limited("title", card.title, NAME_LEN_MAX)?,
            text: limited("text", card.text, TEXT_LEN_MAX)?,
            media: card.media.map(Media::from_proto).transpose()?,
            suggestions: card.suggestions.into_iter().map(suggestion).collect::<Result<_, _>>()?,
        })
    }
}

impl ContactEntry {
    fn to_proto(&self) -> proto::Contact {
        proto::Contact {
            account: self.account.as_bytes().to_vec(),
            delivery_token: self.delivery_token.expose().to_vec(),
            origin: self.origin.to_string(),
            name: self.name.clone(),
            key_set_counter: self.key_set_counter.get(),
            key_set_hash: self.key_set_hash.as_bytes().to_vec(),
            verified: self.verified,
            changed: match self.changed {
                None => 0,
                Some(KeyChange::Migrated) => 1,
                Some(KeyChange::Recovered) => 2,
                Some(KeyChange::Reset) => 3,
            },
            blocked: self.blocked,
            account_key: self.account_key.map(Vec::from).unwrap_or_default(),
        }
    }

    fn from_proto(contact: proto::Contact) -> Result<Self, ContentError> {
        Ok(Self {
            account: id("contact.account", AccountId::parse(&contact.account))?,
            delivery_token: DeliveryToken::parse(&contact.delivery_token)
                .map_err(|_| ContentError::Field { field: "contact.delivery_token" })?,
            origin: contact.origin.parse().map_err(|_| ContentError::Field { field: "contact.origin" })?,
            name: limited("contact.name", contact.name, NAME_LEN_MAX)?,
            key_set_counter: KeySetCounter::new(contact.key_set_counter),
            key_set_hash: id("contact.key_set_hash", KeySetHash::parse(&contact.key_set_hash))?,
            account_key: match contact.account_key.as_slice() {
                [] => None,
                key => Some(fixed("contact.account_key", key)?),
            },
            verified: contact.verified,
            changed: match contact.changed {
                0 => None,
                1 => Some(KeyChange::Migrated),
                2 => Some(KeyChange::Recovered),
                _ => Some(KeyChange::Reset),
            },
            blocked: contact.blocked,
        })
    }
}
