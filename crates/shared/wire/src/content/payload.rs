//! The payload: what travels with every content.

use prost::Message as _;

use super::{ContentError, NAME_LEN_MAX, PARTICIPANTS_MAX, id, limited, proto};
use crate::id::{AccountId, ConversationId, DeviceNumber, KeySetCounter, MailboxId, MessageId};
use crate::origin::Origin;
use crate::token::DeliveryToken;

use super::body::Content;

const VERSION: u32 = 1;

/// One message as its sender made it.
#[derive(Debug)]
pub struct Payload {
    /// The same at every recipient device.
    pub message_id: MessageId,
    /// Which conversation it belongs to.
    pub conversation_id: ConversationId,
    /// The sender's clock, Unix milliseconds.
    pub sent_at_ms: u64,
    /// The sender's current key set: a higher one than known asks the recipient to fetch it.
    pub key_set_counter: KeySetCounter,
    /// With the first message of a conversation, and when it changes.
    pub conversation: Option<Conversation>,
    /// The content.
    pub content: Content,
    /// How to answer.
    pub introduction: Option<Introduction>,
}

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// What kind.
    pub kind: ConversationKind,
    /// Everybody, ascending by account; the sender among them.
    pub participants: Vec<Participant>,
    /// May be empty.
    pub title: String,
}

/// Kinds of conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationKind {
    /// Two accounts; the id follows from theirs.
    Direct,
}

/// One account in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The account.
    pub account: AccountId,
    /// What it is there for.
    pub role: Role,
    /// Which of its devices; `None` is every device whose custody is the user's.
    pub devices: Option<Vec<DeviceNumber>>,
}

/// What a participant is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A person among persons.
    Member,
    /// A business's customer.
    Customer,
    /// A business's agent.
    Agent,
    /// A recorder that both sides consented to.
    Recorder,
}

impl Role {
    /// The name in texts and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Recorder => "recorder",
        }
    }
}

/// How to answer the sender.
#[derive(Debug)]
pub struct Introduction {
    /// The leave to write to the sender.
    pub delivery_token: DeliveryToken,
    /// Where the sender's mailboxes are.
    pub origin: Origin,
    /// What the sender calls themselves; may be empty. A claim, not a proof.
    pub display_name: String,
    /// The mailbox of the device that sends this.
    pub mailbox: MailboxId,
}

impl Payload {
    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        proto::Payload {
            version: VERSION,
            message_id: self.message_id.as_bytes().to_vec(),
            conversation_id: self.conversation_id.as_bytes().to_vec(),
            sent_at_ms: self.sent_at_ms,
            key_set_counter: self.key_set_counter.get(),
            conversation: self.conversation.as_ref().map(Conversation::to_proto),
            content: self.content.as_bytes().to_vec(),
            introduction: self.introduction.as_ref().map(|introduction| proto::Introduction {
                delivery_token: introduction.delivery_token.expose().to_vec(),
                origin: introduction.origin.to_string(),
                display_name: introduction.display_name.clone(),
                mailbox: introduction.mailbox.as_bytes().to_vec(),
            }),
        }
        .encode_to_vec()
    }

    /// Parses it.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentError> {
        let payload = proto::Payload::decode(bytes).map_err(|_| ContentError::Malformed)?;
        if payload.version != VERSION {
            return Err(ContentError::UnknownVersion { version: payload.version });
        }
        Ok(Self {
            message_id: id("message_id", MessageId::parse(&payload.message_id))?,
            conversation_id: id("conversation_id", ConversationId::parse(&payload.conversation_id))?,
            sent_at_ms: payload.sent_at_ms,
            key_set_counter: KeySetCounter::new(payload.key_set_counter),
            conversation: payload.conversation.map(Conversation::from_proto).transpose()?,
            content: Content::parse(payload.content)?,
            introduction: payload.introduction.map(Introduction::from_proto).transpose()?,
        })
    }
}

impl Introduction {
    fn from_proto(introduction: proto::Introduction) -> Result<Self, ContentError> {
        Ok(Self {
            delivery_token: DeliveryToken::parse(&introduction.delivery_token)
                .map_err(|_| ContentError::Field { field: "delivery_token" })?,
            origin: introduction.origin.parse().map_err(|_| ContentError::Field { field: "origin" })?,
            display_name: limited("display_name", introduction.display_name, NAME_LEN_MAX)?,
            mailbox: id("mailbox", MailboxId::parse(&introduction.mailbox))?,
        })
    }
}

impl Conversation {
    /// Writes it, for records.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Parses what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentError> {
        Self::from_proto(proto::Conversation::decode(bytes).map_err(|_| ContentError::Malformed)?)
    }

    fn to_proto(&self) -> proto::Conversation {
        proto::Conversation {
            kind: match self.kind {
                ConversationKind::Direct => proto::ConversationKind::Direct.into(),
            },
            participants: self
                .participants
                .iter()
                .map(|participant| proto::Participant {
                    account: participant.account.as_bytes().to_vec(),
                    role: match participant.role {
                        Role::Member => proto::Role::Member,
                        Role::Customer => proto::Role::Customer,
                        Role::Agent => proto::Role::Agent,
                        Role::Recorder => proto::Role::Recorder,
                    }
                    .into(),
                    devices: participant.devices.iter().flatten().map(|device| u32::from(device.get())).collect(),
                })
                .collect(),
            title: self.title.clone(),
        }
    }

    fn from_proto(conversation: proto::Conversation) -> Result<Self, ContentError> {
        let kind = match conversation.kind() {
            proto::ConversationKind::Direct => ConversationKind::Direct,
            proto::ConversationKind::Unspecified => return Err(ContentError::Field { field: "kind" }),
        };
        if conversation.participants.len() > PARTICIPANTS_MAX {
            return Err(ContentError::TooLong { field: "participants" });
        }
        let participants =
            conversation.participants.into_iter().map(Participant::from_proto).collect::<Result<Vec<_>, _>>()?;
        if !participants.is_sorted_by(|left, right| left.account < right.account) {
            return Err(ContentError::Field { field: "participants" });
        }
        Ok(Self { kind, participants, title: limited("title", conversation.title, NAME_LEN_MAX)? })
    }
}

impl Participant {
    fn from_proto(participant: proto::Participant) -> Result<Self, ContentError> {
        let role = match participant.role() {
            proto::Role::Member => Role::Member,
            proto::Role::Customer => Role::Customer,
            proto::Role::Agent => Role::Agent,
            proto::Role::Recorder => Role::Recorder,
            proto::Role::Unspecified => return Err(ContentError::Field { field: "role" }),
        };
        let devices = if participant.devices.is_empty() {
            None
        } else {
            let number = |device: u32| {
                let number = u8::try_from(device).map_err(|_| ContentError::Field { field: "devices" })?;
                id("devices", DeviceNumber::new(number))
            };
            Some(participant.devices.into_iter().map(number).collect::<Result<Vec<_>, _>>()?)
        };
        Ok(Self { account: id("account", AccountId::parse(&participant.account))?, role, devices })
    }
}
