//! Finding out what came in.

use std::borrow::Cow;

use crate::composing::{self, ComposingError, IsComposing};
use crate::cpim::{self, Header, Message};
use crate::encoding::{self, EncodingError};
use crate::imdn::{self, ClientReason, FailureReason, ImdnError, Kind, Notification};
use crate::number::PhoneNumber;
use crate::stamp::Timestamp;
use crate::text::MediaType;
use crate::transport::{CarrierMessageId, ReceiptRequest};

/// Why something that came in cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Its encoding does not come off, or it is larger than any message.
    #[error("the message's encoding does not come off")]
    Encoding(#[source] EncodingError),
    /// It says that it is a receipt, and is none that can be used.
    #[error("a receipt that cannot be used")]
    Receipt(#[source] ImdnError),
    /// It says that it is a notice of writing, and is none.
    #[error("a notice of writing that cannot be read")]
    Composing(#[source] ComposingError),
}

impl UnwrapError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Encoding(error) => error.code(),
            Self::Receipt(error) => error.code(),
            Self::Composing(error) => error.code(),
        }
    }
}

/// In which state the wrapper arrived. Anything but [`Wrapper::Intact`] shows that somebody on the way changes what it carries, or that
/// the sender is no RCS client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapper {
    /// As it should be.
    Intact,
    /// There, under another media type or behind so many bytes of a prefix.
    Displaced {
        /// Bytes before it.
        prefix_len: usize,
    },
    /// The media type says that there is one, and none can be read.
    Broken,
    /// None.
    Absent,
}

/// What was inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A body: text, a frame, or what a standard peer sends. It may be anything.
    Body {
        /// Its media type, or where the wrapper is broken that of the whole. Empty where none could be read.
        content_type: String,
        /// The body, its encodings taken off.
        body: Vec<u8>,
    },
    /// A receipt.
    Receipt(Notification),
    /// A notice that somebody is writing.
    Composing(IsComposing),
}

/// Something that came in, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwrapped {
    /// Its id at the carrier: only if exactly one stands there.
    pub id: Option<CarrierMessageId>,
    /// The receipts that its sender asks for.
    pub receipts: ReceiptRequest,
    /// Who is said to have sent it. Whom the carrier names is more to be trusted.
    pub from: Option<PhoneNumber>,
    /// When it is said to have been sent.
    pub date_time: Option<Timestamp>,
    /// The wrapper's other headers.
    pub headers: Vec<Header>,
    /// How the wrapper arrived.
    pub wrapper: Wrapper,
    /// What was inside.
    pub content: Content,
}

impl Unwrapped {
    /// The value of a header of the wrapper that stands exactly once; the name without regard to case.
    #[must_use]
    pub fn header(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|header| header.is(namespace, name));
        let first = found.next()?;
        found.next().is_none().then_some(first.value())
    }

    /// The receipt that says it arrived, if its sender has asked for one.
    #[must_use]
    pub fn delivered(&self) -> Option<Notification> {
        self.receipts.delivered.then(|| self.answer(Kind::Delivered))?
    }

    /// The receipt that says it could not be decrypted (RCC.16), if its sender has asked to be told of failures.
    #[must_use]
    pub fn failed_to_decrypt(&self) -> Option<Notification> {
        let reason = Some(FailureReason::Client(ClientReason::FailedToDecrypt));
        self.receipts.failed.then(|| self.answer(Kind::DeliveryFailed { reason }))?
    }

    /// Never for a receipt or a notice, whatever it asks for.
    fn answer(&self, kind: Kind) -> Option<Notification> {
        let is_message = matches!(self.content, Content::Body { .. });
        let id = self.id.clone().filter(|_| is_message)?;
        Some(Notification { date_time: self.date_time, ..Notification::new(id, kind) })
    }
}

/// Takes apart what came in, from its media type, its content encoding and its body.
///
/// # Errors
/// [`UnwrapError`]. A wrapper that cannot be read is no error: its bytes come out as [`Content::Body`], since a frame may be in them.
pub fn unwrap(content_type: &str, content_encoding: Option<&str>, body: &[u8]) -> Result<Unwrapped, UnwrapError> {
    let body = encoding::decode(content_encoding, body, cpim::MESSAGE_LEN_MAX).map_err(UnwrapError::Encoding)?;
    let essence = MediaType::parse(content_type).map(|media| media.essence()).unwrap_or_default();
    let is_wrapped = essence == cpim::CONTENT_TYPE;
    match Message::find(&body) {
        Some((prefix_len, message)) => {
            let wrapper =
                if is_wrapped && prefix_len == 0 { Wrapper::Intact } else { Wrapper::Displaced { prefix_len } };
            of_message(message, wrapper)
        }
        None => Ok(Unwrapped {
            id: None,
            receipts: ReceiptRequest::default(),
            from: None,
            date_time: None,
            headers: Vec::new(),
            wrapper: if is_wrapped { Wrapper::Broken } else { Wrapper::Absent },
            content: content(content_type, &essence, body)?,
        }),
    }
}

fn of_message(message: Message, wrapper: Wrapper) -> Result<Unwrapped, UnwrapError> {
    let id = message.imdn_header("Message-ID").and_then(CarrierMessageId::parse);
    let receipts = message.imdn_header("Disposition-Notification").map(receipts).unwrap_or_default();
    let from = PhoneNumber::from_uri(message.from.uri.as_str()).ok();
    let body = encoding::decode_transfer(message.content_header("Content-Transfer-Encoding"), &message.body);
    // An encoding that does not come off may be a label that a gateway left behind: the body is looked at as it is.
    let body = body.unwrap_or(Cow::Borrowed(&message.body));
    let body = encoding::decode(message.content_header("Content-Encoding"), &body, cpim::MESSAGE_LEN_MAX)
        .map_err(UnwrapError::Encoding)?;
    let content = content(message.content_type.as_str(), &message.content_type.essence(), body)?;
    Ok(Unwrapped { id, receipts, from, date_time: message.date_time, headers: message.headers, wrapper, content })
}

fn content(content_type: &str, essence: &str, body: Cow<'_, [u8]>) -> Result<Content, UnwrapError> {
    match essence {
        imdn::CONTENT_TYPE => Notification::parse(&body).map(Content::Receipt).map_err(UnwrapError::Receipt),
        composing::CONTENT_TYPE => IsComposing::parse(&body).map(Content::Composing).map_err(UnwrapError::Composing),
        "" => Ok(Content::Body { content_type: String::new(), body: body.into_owned() }),
        _ => Ok(Content::Body { content_type: content_type.trim().to_owned(), body: body.into_owned() }),
    }
}

/// Words that are not known are passed over; the parameters that RFC 5438 allows behind a word as well.
fn receipts(value: &str) -> ReceiptRequest {
    let mut receipts = ReceiptRequest::default();
    for word in value.split(',') {
        match word.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "positive-delivery" => receipts.delivered = true,
            "negative-delivery" => receipts.failed = true,
            "display" => receipts.displayed = true,
            _ => {}
        }
    }
    receipts
}
