//! What every transport does alike: wrapping a message on its way out, and finding out what came in.
//!
//! A SIP message, an MSRP session and a host's own stack carry the same thing, a message wrapped in CPIM ([`wrap`]). What arrives is
//! less tidy: receipts without a wrapper and deflated, wrappers whose media type says `text/plain`, wrappers behind a line that a store
//! has added. [`unwrap`] takes off what is there to take off and hands over the rest as it is; a frame inside is recognised by its
//! content ([`crate::frame`]) and never by a media type, so a body that cannot be unwrapped is still looked at.
//!
//! Nothing that comes out is authenticated. Ids and times are what somebody wrote, and a receipt is about what a stack did with bytes.

mod receive;
#[cfg(test)]
mod tests;

pub use receive::{Content, UnwrapError, Unwrapped, Wrapper, unwrap};

use crate::cpim::{self, Address, ContentHeader, Header, Message};
use crate::frame;
use crate::imdn::{self, Notification};
use crate::number::{Domain, PhoneNumber};
use crate::stamp::Timestamp;
use crate::text::{MediaType, TextError};
use crate::transport::{Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest};

/// The media type of a frame as text, and of text.
pub const TEXT_CONTENT_TYPE: &str = "text/plain;charset=UTF-8";

/// Why a message cannot be wrapped: a standard body was handed over with something that has no place in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The body's media type is none.
    #[error("not a media type")]
    ContentType(#[source] TextError),
    /// A header that cannot be one.
    #[error("not a header")]
    Header(#[source] TextError),
    /// A header that this module writes itself.
    #[error("a header that is written for the message")]
    OwnHeader,
}

impl WrapError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ContentType(_) => "wrap_content_type",
            Self::Header(_) => "wrap_header",
            Self::OwnHeader => "wrap_own_header",
        }
    }
}

/// The words of `imdn.Disposition-Notification` for what is asked; `None` where nothing is.
fn disposition(receipts: ReceiptRequest) -> Option<String> {
    let words = [
        (receipts.delivered, "positive-delivery"),
        (receipts.failed, "negative-delivery"),
        (receipts.displayed, "display"),
    ];
    let asked: Vec<&str> = words.iter().filter(|(is_asked, _)| *is_asked).map(|(_, word)| *word).collect();
    (!asked.is_empty()).then(|| asked.join(", "))
}

fn imdn_header(name: &str, value: &str) -> Result<Header, WrapError> {
    Header::new(cpim::IMDN, name, value).map_err(WrapError::Header)
}

/// A message as bytes to hand to a carrier under the media type [`cpim::CONTENT_TYPE`].
///
/// # Errors
/// [`WrapError`], only for [`Carriage::Verbatim`].
pub fn wrap(
    message: &CarrierMessage,
    own: &PhoneNumber,
    domain: &Domain,
    now: Timestamp,
) -> Result<Vec<u8>, WrapError> {
    let address = |number: &PhoneNumber| Address::of(&number.to_sip_uri(domain)).map_err(WrapError::Header);
    let mut headers = vec![imdn_header("Message-ID", message.id.as_str())?];
    if let Some(asked) = disposition(message.receipts) {
        headers.push(imdn_header("Disposition-Notification", &asked)?);
    }
    let (content_type, body) = match &message.carriage {
        Carriage::Framed { is_text, bytes } => {
            let content_type = if *is_text { TEXT_CONTENT_TYPE } else { frame::MEDIA_TYPE };
            (content_type, bytes.clone())
        }
        Carriage::Verbatim { headers: verbatim, content_type, body } => {
            for header in verbatim {
                if header.namespace == cpim::IMDN
                    && OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(&header.name))
                {
                    return Err(WrapError::OwnHeader);
                }
                headers.push(Header::new(&header.namespace, &header.name, &header.value).map_err(WrapError::Header)?);
            }
            (content_type.as_str(), body.clone())
        }
    };
    let content_type = MediaType::parse(content_type).map_err(WrapError::ContentType)?;
    let mut content_headers = Vec::new();
    if content_type.is(imdn::CONTENT_TYPE) {
        content_headers.push(ContentHeader::new("Content-Disposition", "notification").map_err(WrapError::Header)?);
    }
    let mut wrapped = Message::new(address(own)?, address(&message.to)?, content_type, body);
    wrapped.date_time = Some(now);
    wrapped.headers = headers;
    wrapped.content_headers = content_headers;
    Ok(wrapped.to_bytes())
}

/// Headers that [`wrap`] makes of the message's own fields.
const OWN_HEADERS: [&str; 2] = ["Message-ID", "Disposition-Notification"];

/// A receipt as a message of its own. It asks for no receipt: receipts for receipts would never end (RFC 5438, section 12).
#[must_use]
pub fn receipt(notification: &Notification, to: PhoneNumber, id: CarrierMessageId) -> CarrierMessage {
    let carriage = Carriage::Verbatim {
        headers: Vec::new(),
        content_type: imdn::CONTENT_TYPE.to_owned(),
        body: notification.to_xml().into_bytes(),
    };
    CarrierMessage { to, id, receipts: ReceiptRequest::default(), carriage }
}
