//! A link that names a message and says nothing of it.
//!
//! What goes by SMS can be read by many, so by default nothing does but a link. This one tells the app that a message waits, or, beside words
//! that were sent as an SMS because nothing else got through, which message they are: the app that gets both shows one. It holds the
//! message's id and no account, number or server: an id is random, and unknown to whoever does not have the message.

use std::fmt;
use std::str::FromStr;

use crate::id::MessageId;

const PREFIX: &str = "rcseal://message/";
/// Characters of an id in base64url: 16 bytes without padding.
const ID_LEN: usize = 22;
/// Links in one text that are looked at.
const LINKS_MAX: usize = 8;

/// The link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageLink {
    /// The message, as its sender's account numbers it.
    pub message: MessageId,
}

/// The text is not a link to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a link to a message")]
pub struct MessageLinkError;

impl MessageLinkError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "message_link_malformed"
    }
}

impl MessageLink {
    /// The first link in a text; `None` where there is none. Anybody can write one: it is no proof of anything.
    #[must_use]
    pub fn find_in(text: &str) -> Option<Self> {
        let begins = text.match_indices(PREFIX).take(LINKS_MAX);
        begins
            .filter_map(|(place, _)| text.get(place..place + PREFIX.len() + ID_LEN))
            .find_map(|link| link.parse().ok())
    }

    /// Whether a text is the link and nothing else.
    #[must_use]
    pub fn is_alone_in(&self, text: &str) -> bool {
        text.trim() == self.to_string()
    }
}

impl fmt::Display for MessageLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", crate::b64::encode(self.message.as_bytes()))
    }
}

impl FromStr for MessageLink {
    type Err = MessageLinkError;

    fn from_str(text: &str) -> Result<Self, MessageLinkError> {
        let id = text.strip_prefix(PREFIX).filter(|id| id.len() == ID_LEN).ok_or(MessageLinkError)?;
        let bytes = crate::b64::decode(id).map_err(|_| MessageLinkError)?;
        MessageId::parse(&bytes).map(|message| Self { message }).map_err(|_| MessageLinkError)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_link_is_found_among_words_and_says_which_message() {
        let link = MessageLink { message: MessageId::from_bytes([7; 16]) };
        let text = format!("Your order is ready. {link} Reply STOP to end");
        assert_eq!(MessageLink::find_in(&text), Some(link));
        assert!(!link.is_alone_in(&text) && link.is_alone_in(&format!(" {link}\n")));
        assert_eq!(link.to_string().len(), PREFIX.len() + ID_LEN);
        for other in ["", "rcseal://message/", "rcseal://message/short", "rcseal://invite/AAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(MessageLink::find_in(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn looking_for_a_link_never_panics(before in ".{0,40}", after in ".{0,40}") {
            let _ = MessageLink::find_in(&format!("{before}{PREFIX}{after}"));
        }

        #[test]
        fn what_is_written_is_read(id: [u8; 16], before in "[a-z ]{0,20}") {
            let link = MessageLink { message: MessageId::from_bytes(id) };
            proptest::prop_assert_eq!(MessageLink::find_in(&format!("{before}{link}")), Some(link));
        }
    }
}
