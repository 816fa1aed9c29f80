//! Receipts (RFC 5438).
//!
//! A receipt is an XML document about exactly one message. It says what some stack did with a message; whether anybody could decrypt
//! it, only a receipt inside the encryption says. The one exception is a failure: RCC.16 lets a receiver say in the clear that it
//! could not decrypt (`mls-client-failure-reason`), and nothing worse can come of believing it than sending again.
//!
//! Receipts arrive wrapped in CPIM, bare, or deflated: [`crate::chat::unwrap`] takes all three. A document that names no message, or two, or that
//! says two things about it, is refused. Elements that are not known are passed over.

mod reason;
#[cfg(test)]
mod tests;

pub use reason::{ClientReason, FailureReason, ServerReason};

use std::fmt::Write as _;

use roxmltree::Node;

use crate::stamp::Timestamp;
use crate::text::Uri;
use crate::transport::CarrierMessageId;
use crate::xml;

/// The media type of a receipt.
pub const CONTENT_TYPE: &str = "message/imdn+xml";

/// The namespace of a receipt's elements.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// Why bytes are not a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImdnError {
    /// Not XML as it is read here: malformed, too large, with a document type, or another document.
    #[error("not a receipt's document")]
    BadDocument,
    /// No message id that can be one.
    #[error("the receipt names no message")]
    NoMessageId,
    /// Two ids, two kinds, two statuses or two reasons.
    #[error("the receipt says two things")]
    Ambiguous,
    /// No status that is known.
    #[error("the receipt has no status that is known")]
    UnknownStatus,
}

impl ImdnError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadDocument => "imdn_bad_document",
            Self::NoMessageId => "imdn_no_message_id",
            Self::Ambiguous => "imdn_ambiguous",
            Self::UnknownStatus => "imdn_unknown_status",
        }
    }
}

/// What is said of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `delivery`: it arrived.
    Delivered,
    /// `delivery`: it did not, or could not be used.
    DeliveryFailed {
        /// Why, if RCC.16's element says so.
        reason: Option<FailureReason>,
    },
    /// `delivery`: nothing is said on purpose.
    DeliveryForbidden,
    /// `delivery`: it is not known.
    DeliveryError,
    /// `display`: it was shown.
    Displayed,
    /// `display`: nothing is said on purpose.
    DisplayForbidden,
    /// `display`: it is not known.
    DisplayError,
    /// `processing`: a server has worked on it.
    Processed,
    /// `processing`: a server keeps it.
    Stored,
    /// `processing`: nothing is said on purpose.
    ProcessingForbidden,
    /// `processing`: it is not known.
    ProcessingError,
}

impl Kind {
    const fn elements(&self) -> (&'static str, &'static str) {
        match self {
            Self::Delivered => (DELIVERY, "delivered"),
            Self::DeliveryFailed { .. } => (DELIVERY, "failed"),
            Self::DeliveryForbidden => (DELIVERY, "forbidden"),
            Self::DeliveryError => (DELIVERY, "error"),
            Self::Displayed => (DISPLAY, "displayed"),
            Self::DisplayForbidden => (DISPLAY, "forbidden"),
            Self::DisplayError => (DISPLAY, "error"),
            Self::Processed => (PROCESSING, "processed"),
            Self::Stored => (PROCESSING, "stored"),
            Self::ProcessingForbidden => (PROCESSING, "forbidden"),
            Self::ProcessingError => (PROCESSING, "error"),
        }
    }

    fn of(notification: &str, status: Node<'_, '_>) -> Result<Option<Self>, ImdnError> {
        Ok(Some(match (notification, status.tag_name().name()) {
            (DELIVERY, "delivered") => Self::Delivered,
            (DELIVERY, "failed") => Self::DeliveryFailed { reason: FailureReason::read(status)? },
            (DELIVERY, "forbidden") => Self::DeliveryForbidden,
            (DELIVERY, "error") => Self::DeliveryError,
            (DISPLAY, "displayed") => Self::Displayed,
            (DISPLAY, "forbidden") => Self::DisplayForbidden,
            (DISPLAY, "error") => Self::DisplayError,
            (PROCESSING, "processed") => Self::Processed,
            (PROCESSING, "stored") => Self::Stored,
            (PROCESSING, "forbidden") => Self::ProcessingForbidden,
            (PROCESSING, "error") => Self::ProcessingError,
            _ => return Ok(None),
        }))
    }
}

const DELIVERY: &str = "delivery-notification";
const DISPLAY: &str = "display-notification";
const PROCESSING: &str = "processing-notification";

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The one message it is about.
    pub message_id: CarrierMessageId,
    /// When that message was sent, as its receiver says.
    pub date_time: Option<Timestamp>,
    /// Who received it, as is said.
    pub recipient: Option<Uri>,
    /// What is said.
    pub kind: Kind,
}

impl Notification {
    /// A receipt without a time.
    #[must_use]
    pub const fn new(message_id: CarrierMessageId, kind: Kind) -> Self {
        Self { message_id, date_time: None, recipient: None, kind }
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<imdn xmlns=\"{NAMESPACE}\">");
        element(&mut out, "message-id", self.message_id.as_str());
        if let Some(date_time) = self.date_time {
            element(&mut out, "datetime", &date_time.to_string());
        }
        if let Some(recipient) = &self.recipient {
            element(&mut out, "recipient-uri", recipient.as_str());
        }
        let (notification, status) = self.kind.elements();
        let reason = match &self.kind {
            Kind::DeliveryFailed { reason: Some(reason) } => reason.to_xml(),
            _ => None,
        };
        let status = reason.map_or(format!("<{status}/>"), |reason| format!("<{status}>{reason}</{status}>"));
        let _ = write!(out, "<{notification}><status>{status}</status></{notification}></imdn>");
        out
    }

    /// A bare document.
    ///
    /// # Errors
    /// [`ImdnError`].
    pub fn parse(document: &[u8]) -> Result<Self, ImdnError> {
        let document = xml::parse(document).ok_or(ImdnError::BadDocument)?;
        let root = document.root_element();
        if !xml::is(root, NAMESPACE, "imdn") {
            return Err(ImdnError::BadDocument);
        }
        let child = |name| xml::only_child(root, NAMESPACE, name).map_err(|_| ImdnError::Ambiguous);
        let id = child("message-id")?.ok_or(ImdnError::NoMessageId)?;
        let message_id = CarrierMessageId::parse(&xml::text(id)).ok_or(ImdnError::NoMessageId)?;
        let date_time = child("datetime")?.and_then(|node| Timestamp::parse(&xml::text(node)));
        let recipient = child("recipient-uri")?.and_then(|node| Uri::parse(&xml::text(node)).ok());
        let mut kinds = Vec::new();
        for name in [DELIVERY, DISPLAY, PROCESSING] {
            if let Some(notification) = child(name)? {
                kinds.push(kind(name, notification)?);
            }
        }
        match <[Kind; 1]>::try_from(kinds) {
            Ok([kind]) => Ok(Self { message_id, date_time, recipient, kind }),
            Err(kinds) if kinds.is_empty() => Err(ImdnError::UnknownStatus),
            Err(_) => Err(ImdnError::Ambiguous),
        }
    }
}

/// The one status of a notification.
fn kind(name: &str, notification: Node<'_, '_>) -> Result<Kind, ImdnError> {
    let status = xml::only_child(notification, NAMESPACE, "status").map_err(|_| ImdnError::Ambiguous)?;
    let status = status.ok_or(ImdnError::UnknownStatus)?;
    let mut found = None;
    for child in status.children().filter(Node::is_element) {
        if let Some(kind) = Kind::of(name, child)?
            && found.replace(kind).is_some()
        {
            return Err(ImdnError::Ambiguous);
        }
    }
    found.ok_or(ImdnError::UnknownStatus)
}

fn element(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, "<{name}>{}</{name}>", xml::escape(text));
}
