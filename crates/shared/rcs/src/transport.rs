//! What a transport can carry, and what is handed to it.
//!
//! A transport is one way through a carrier: a SIP message, an MSRP session, a host's own RCS stack. It states what it can do
//! ([`TransportProfile`]), and whoever sends cuts a ciphertext to that ([`crate::frame`]). It is handed a [`Carriage`]: bytes in a frame,
//! or a body with headers that a standard peer expects word for word.

use std::fmt;

use crate::number::PhoneNumber;

/// What a transport can do. A statement of the operator's or of the stack's, not a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportProfile {
    /// Whether bodies arrive byte for byte. Otherwise frames are sent as text.
    pub is_binary_safe: bool,
    /// The longest body of one message, in bytes.
    pub body_len_max: usize,
    /// How many messages one blob may be cut into.
    pub parts_max: u16,
    /// Whether headers of a message's wrapper arrive.
    pub carries_headers: bool,
    /// Whether the far end's stack says that it has delivered (an IMDN). It says nothing about decryption.
    pub has_receipts: bool,
}

/// Which receipts are asked for, in the words of RFC 5438.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptRequest {
    /// `positive-delivery`.
    pub delivered: bool,
    /// `negative-delivery`.
    pub failed: bool,
    /// `display`.
    pub displayed: bool,
}

/// The id of a message at the carrier (`imdn.Message-ID`): chosen by its sender, echoed in receipts, unlike every id of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarrierMessageId(String);

impl CarrierMessageId {
    /// The longest id that is read.
    pub const LEN_MAX: usize = 64;

    /// An id out of visible ASCII; `None` for anything else, since it goes into headers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_sound = (1..=Self::LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(text.to_owned()))
    }

    /// An id for a random value: an RFC 4122 UUID, which is what application servers accept.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid().hyphenated().to_string())
    }

    /// The bytes of an id that is a UUID, as those of [`Self::from_random`] are.
    #[must_use]
    pub fn uuid_bytes(&self) -> Option<[u8; 16]> {
        uuid::Uuid::try_parse(&self.0).ok().map(uuid::Uuid::into_bytes)
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is carried.
#[derive(Clone, PartialEq, Eq)]
pub enum Carriage {
    /// One part of a framed ciphertext, as bytes or as text.
    Framed {
        /// Whether `bytes` is the text form.
        is_text: bool,
        /// The part, as [`crate::frame`] wrote it.
        bytes: Vec<u8>,
    },
    /// A body that a standard peer expects word for word.
    Verbatim {
        /// Headers of the wrapper by namespace URI, name and value.
        headers: Vec<VerbatimHeader>,
        /// The body's media type.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
}

/// Says how long a body is and not what stands in it: a verbatim one may be somebody's words.
impl fmt::Debug for Carriage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framed { is_text, bytes } => {
                f.debug_struct("Framed").field("is_text", is_text).field("len", &bytes.len()).finish()
            }
            Self::Verbatim { content_type, body, .. } => f
                .debug_struct("Verbatim")
                .field("content_type", content_type)
                .field("len", &body.len())
                .finish_non_exhaustive(),
        }
    }
}

/// A header of the wrapper, in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerbatimHeader {
    /// The namespace's URI.
    pub namespace: String,
    /// The name in it.
    pub name: String,
    /// The value: one line.
    pub value: String,
}

/// A message on its way into a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierMessage {
    /// To whom.
    pub to: PhoneNumber,
    /// Its id at the carrier.
    pub id: CarrierMessageId,
    /// Receipts that are asked for.
    pub receipts: ReceiptRequest,
    /// What it carries.
    pub carriage: Carriage,
}

/// What a carrier took on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The far end answered (2xx but 202).
    Answered,
    /// Somebody on the way keeps it for later (202).
    Stored,
}

/// Why a message was not taken, as far as one is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The far end does not know the media type (415, 488).
    #[error("the far end does not know this media type")]
    UnsupportedMedia,
    /// Nobody is reachable there (404, 410, 480, 604).
    #[error("nobody is there")]
    NotFound,
    /// Too large for somebody on the way (413, 513).
    #[error("too large for the carrier")]
    TooLarge,
    /// Refused with another status.
    #[error("refused with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// Try later (503, 486, 600), after so many seconds where it was said.
    #[error("the carrier is busy")]
    Busy {
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// Our credentials were not taken.
    #[error("the carrier does not accept our credentials")]
    Unauthorized,
    /// Nothing came back in time: it may have arrived.
    #[error("no answer from the carrier")]
    NoAnswer,
    /// No connection to the carrier.
    #[error("the carrier cannot be reached")]
    Unreachable,
    /// The message cannot be carried by this transport at all.
    #[error("the transport cannot carry this")]
    Unfit,
}

impl SendFailure {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedMedia => "carrier_unsupported_media",
            Self::NotFound => "carrier_not_found",
            Self::TooLarge => "carrier_too_large",
            Self::Refused { .. } => "carrier_refused",
            Self::Busy { .. } => "carrier_busy",
            Self::Unauthorized => "carrier_unauthorized",
            Self::NoAnswer => "carrier_no_answer",
            Self::Unreachable => "carrier_unreachable",
            Self::Unfit => "carrier_unfit",
        }
    }
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The carrier asserts this number (P-Asserted-Identity on a trusted trunk).
    Asserted(PhoneNumber),
    /// The message says so, and nobody vouches for it.
    Claimed(PhoneNumber),
    /// No number that can be read.
    Anonymous,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_body() {
        let carriages = [
            (Carriage::Framed { is_text: true, bytes: b"part".to_vec() }, "Framed { is_text: true, len: 4 }"),
            (
                Carriage::Verbatim {
                    headers: vec![VerbatimHeader {
                        namespace: "n".into(),
                        name: "Subject".into(),
                        value: "dinner".into(),
                    }],
                    content_type: "text/plain".into(),
                    body: b"dinner at eight".to_vec(),
                },
                "Verbatim { content_type: \"text/plain\", len: 15, .. }",
            ),
        ];
        for (carriage, shown) in carriages {
            assert_eq!(format!("{carriage:?}"), shown);
            let to = "+14155550101".parse().unwrap();
            let id = CarrierMessageId::parse("id").unwrap();
            let message = CarrierMessage { to, id, receipts: ReceiptRequest::default(), carriage };
            let shown_whole = format!("{message:?}");
            assert!(shown_whole.contains(shown) && !shown_whole.contains("14155550101"), "{shown_whole}");
        }
    }
}
