//! The content itself: one of a dozen bodies, and what it answers.

use std::fmt;

use prost::Message as _;

use super::capabilities::Capabilities;
use super::case::{CaseState, NumberSeen};
use super::contact::ContactEntry;
use super::media::{Card, EnvelopeReference, Media};
use super::receipt::Receipt;
use super::{
    CONTACTS_MAX, ContentError, EMOJI_LEN_MAX, NAME_LEN_MAX, RESEND_LEN_MAX, TEXT_LEN_MAX, fixed, id, limited, proto,
};
use crate::continuation::CaseToken;
use crate::id::{AccountId, EnvelopeId, MessageId};

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
    /// What the sending device takes by way of a carrier; not shown.
    Capabilities(Capabilities),
    /// The mode in which the sender's messages of this conversation go from now on.
    DeliveryNotice(DeliveryNotice),
    /// Where an envelope is kept that is too long for a carrier; not shown.
    EnvelopeReference(Box<EnvelopeReference>),
    /// Which mapping a broker shows of a number; not shown.
    NumberSeen(Box<NumberSeen>),
    /// Goes on with a case that began elsewhere; not shown.
    ContinueCase {
        /// Out of the link.
        token: CaseToken,
    },
    /// What the business makes of that; not shown.
    CaseState(CaseState),
    /// A body of a later version: "update the app to see this message".
    Unknown,
    /// A body of a later version that has nothing to show: it is ignored.
    Ignored,
}

/// In which mode the sender's messages of a conversation go from now on. It goes end to end itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryNotice {
    /// A number of `docs/protocol/delivery.md`: 1 to 3 are end to end, the others are not. Later versions may know more.
    pub mode: u8,
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

impl Content {
    /// A content of this version.
    #[must_use]
    pub fn new(body: Body, reply_to: Option<MessageId>) -> Self {
        let message = proto::Content {
            body: body.to_proto(),
            reply_to: reply_to.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            silent: body.is_silent(),
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
        let unknown = if message.silent { Body::Ignored } else { Body::Unknown };
        let body = message.body.map_or(Ok(unknown), Body::from_proto)?;
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
            Self::Capabilities(_) => "capabilities",
            Self::DeliveryNotice(_) => "delivery_notice",
            Self::EnvelopeReference(_) => "envelope_reference",
            Self::NumberSeen(_) => "number_seen",
            Self::ContinueCase { .. } => "continue_case",
            Self::CaseState(_) => "case_state",
            Self::Unknown => "unknown",
            Self::Ignored => "ignored",
        }
    }

    /// Whether a reader of an earlier version is told to show no placeholder. Bodies of the first version go without the mark: every
    /// reader knows them.
    const fn is_silent(&self) -> bool {
        matches!(
            self,
            Self::Capabilities(_)
                | Self::EnvelopeReference(_)
                | Self::NumberSeen(_)
                | Self::ContinueCase { .. }
                | Self::CaseState(_)
                | Self::Ignored
        )
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
            Self::Card(card) => P::Card(card.to_proto()),
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
            Self::Capabilities(capabilities) => P::Capabilities(capabilities.to_proto()),
            Self::DeliveryNotice(notice) => P::DeliveryNotice(proto::DeliveryNotice { mode: notice.mode.into() }),
            Self::EnvelopeReference(reference) => P::EnvelopeReference(reference.to_proto()),
            Self::NumberSeen(seen) => P::NumberSeen(seen.to_proto()),
            Self::ContinueCase { token } => P::ContinueCase(proto::ContinueCase { token: token.expose().to_vec() }),
            Self::CaseState(state) => P::CaseState(state.to_proto()),
            Self::Unknown | Self::Ignored => return None,
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
            P::Capabilities(capabilities) => Self::Capabilities(Capabilities::from_proto(capabilities)?),
            P::DeliveryNotice(notice) => match u8::try_from(notice.mode) {
                Ok(mode @ 1..) => Self::DeliveryNotice(DeliveryNotice { mode }),
                Ok(0) | Err(_) => Self::Unknown,
            },
            P::EnvelopeReference(reference) => {
                Self::EnvelopeReference(Box::new(EnvelopeReference::from_proto(&reference)?))
            }
            P::NumberSeen(seen) => Self::NumberSeen(Box::new(NumberSeen::from_proto(seen)?)),
            P::ContinueCase(body) => Self::ContinueCase { token: CaseToken::from_bytes(fixed("token", &body.token)?) },
            // A status of a later version is nothing that this one could show.
            P::CaseState(state) => CaseState::from_proto(state)?.map_or(Self::Ignored, Self::CaseState),
        })
    }
}
