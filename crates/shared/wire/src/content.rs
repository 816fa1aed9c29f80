//! What is inside the encryption: the payload round a message, and the message's content.
//!
//! The schema is `proto/content.proto`; `docs/protocol/content.md` explains it. It is versioned and extensible: a body that this version
//! does not know is kept byte for byte ([`Body::Unknown`]) and shown as "update the app", never dropped. To that end a [`Content`] keeps
//! the bytes it was parsed from.
//!
//! Limits are those of a message that a person writes; anything larger is a blob.

mod body;
mod capabilities;
mod case;
mod contact;
mod media;
mod payload;
mod receipt;

pub use body::{Body, ConsentChoice, Content, DeliveryNotice, GroupEventKind, RekeyStep};
pub use capabilities::{Capabilities, FrameForm, MappingClaim};
pub use case::{CaseId, CaseState, CaseStatus, NumberSeen};
pub use contact::{ContactEntry, KeyChange};
pub use media::{BlobReference, Card, EnvelopeReference, Media, Suggestion};
pub use payload::{Conversation, ConversationKind, Introduction, Participant, Payload, Role};
pub use receipt::Receipt;

use crate::id::IdError;

/// The generated types.
#[allow(missing_docs, unreachable_pub, clippy::doc_markdown, clippy::all)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/rcseal.content.v1.rs"));
}

/// Bytes of a text: what fits a bucket of 32 KiB with room to spare.
pub const TEXT_LEN_MAX: usize = 16 * 1024;
/// Bytes of an emoji: the longest sequences in use are below 40.
pub const EMOJI_LEN_MAX: usize = 64;
/// Bytes of a title, a name, a label, a file name, a media type.
pub const NAME_LEN_MAX: usize = 512;
/// Messages that one receipt names: as many as fit the smallest bucket.
pub const RECEIPT_LEN_MAX: usize = 8;
/// Envelopes that one request for another sending names: as a receipt, for the same reason.
pub const RESEND_LEN_MAX: usize = RECEIPT_LEN_MAX;
/// Forms that one capability card names: more than there are, few enough to bound what a peer makes us read.
pub const FORMS_MAX: usize = 8;
/// Digits of a phone number, by E.164.
pub const NUMBER_DIGITS_MAX: usize = 15;
/// Bytes of a mapping of a number, as it goes between contacts: those of the longest that is accepted anywhere.
pub const MAPPING_LEN_MAX: usize = 2 * 1024;
/// Bytes of what people call a case: a number, a few words.
pub const REFERENCE_LEN_MAX: usize = 128;
/// Suggestions on a card.
pub const SUGGESTIONS_MAX: usize = 16;
/// Participants of a conversation that is not a group.
pub const PARTICIPANTS_MAX: usize = 32;
/// Bytes of a file before encryption: what still fits a server's limit for blobs after padding and sealing.
pub const MEDIA_LEN_MAX: u64 = 90 * 1024 * 1024;
/// Contacts in one synchronisation message.
pub const CONTACTS_MAX: usize = 256;

/// Why bytes are not a payload or a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not protobuf of this schema.
    #[error("not a payload")]
    Malformed,
    /// A later version of the payload: update.
    #[error("the payload has unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u32,
    },
    /// A required field is absent or has the wrong length.
    #[error("the field {field} is absent or malformed")]
    Field {
        /// Its name in the schema.
        field: &'static str,
    },
    /// A field is over its limit.
    #[error("the field {field} is too long")]
    TooLong {
        /// Its name in the schema.
        field: &'static str,
    },
}

impl ContentError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "content_malformed",
            Self::UnknownVersion { .. } => "content_unknown_version",
            Self::Field { .. } => "content_field",
            Self::TooLong { .. } => "content_too_long",
        }
    }
}

fn field<T>(field: &'static str) -> impl FnOnce(IdError) -> Result<T, ContentError> {
    move |_| Err(ContentError::Field { field })
}

/// Parses an id field.
fn id<T>(name: &'static str, parsed: Result<T, IdError>) -> Result<T, ContentError> {
    parsed.or_else(field(name))
}

/// Takes a field of exactly `N` bytes.
fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], ContentError> {
    bytes.try_into().map_err(|_| ContentError::Field { field })
}

/// Checks a text field's length in bytes.
fn limited(name: &'static str, text: String, limit: usize) -> Result<String, ContentError> {
    if text.len() > limit { Err(ContentError::TooLong { field: name }) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
