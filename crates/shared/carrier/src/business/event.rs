//! What a provider reports.
//!
//! Every delivery names the [`Channel`] that really carried the message, as far as the provider says: an aggregator may have turned an RCS
//! message into an SMS by itself. Texts that come from outside are bounded here and nowhere trusted.

use std::fmt;

use rcseal_rcs::number::PhoneNumber;

use super::message::MessageId;

/// The longest name of a channel or of a reason that is kept.
pub const NAME_LEN_MAX: usize = 48;

/// What carried a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// RCS.
    Rcs,
    /// SMS.
    Sms,
    /// MMS.
    Mms,
    /// Another one, by the provider's name for it.
    Other(String),
}

impl Channel {
    /// The channel of that name. A name that is none is cut and cleaned, so that it can go into logs and rows.
    #[must_use]
    pub fn named(name: &str) -> Self {
        // Cleaned first: otherwise a channel could be another one and have the name of this one.
        let name = clean_name(name).to_ascii_uppercase();
        match name.as_str() {
            "RCS" => Self::Rcs,
            "SMS" => Self::Sms,
            "MMS" => Self::Mms,
            _ => Self::Other(name),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Rcs => "RCS",
            Self::Sms => "SMS",
            Self::Mms => "MMS",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name of the provider's as we keep it: letters, digits, `_`, `-` and `.`, at most [`NAME_LEN_MAX`] of them.
pub(crate) fn clean_name(name: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    name.chars().filter(is_plain).take(NAME_LEN_MAX).collect()
}

/// Something a recipient's client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// Messages can be taken back before they are delivered.
    Revocation,
    /// Cards.
    Card,
    /// Rows of cards.
    Carousel,
    /// Buttons that open links.
    OpenUrl,
    /// Buttons that call.
    Dial,
    /// Another one, by the provider's name for it.
    Other(String),
}

/// Whether a number can be reached by RCS from this agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Yes.
    Rcs {
        /// What its client takes.
        features: Vec<Feature>,
    },
    /// No: no RCS there, or this agent is not launched on that network. The provider does not say which.
    NotRcs,
    /// Not known yet.
    Unknown,
}

/// What a user sent.
#[derive(Clone, PartialEq)]
pub enum InboundContent {
    /// Words.
    Text(String),
    /// A button was tapped.
    Postback {
        /// What stood on it, if the provider says.
        text: String,
        /// What we had put behind it.
        data: String,
    },
    /// A file, at the provider's.
    File {
        /// Where.
        url: String,
        /// Its media type, if the provider says.
        mime_type: String,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
    },
    /// Something that we do not read. It was there all the same.
    Unreadable,
}

impl fmt::Debug for InboundContent {
    /// Without the words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Postback { .. } => "Postback",
            Self::File { .. } => "File",
            Self::Location { .. } => "Location",
            Self::Unreadable => "Unreadable",
        })
    }
}

/// What happened at the provider.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderEvent {
    /// The provider has it and tries. No delivery.
    Accepted {
        /// Which message.
        id: MessageId,
        /// On which channel it tries.
        channel: Option<Channel>,
    },
    /// It reached the recipient's client.
    Delivered {
        /// Which message.
        id: MessageId,
        /// What carried it.
        channel: Channel,
    },
    /// The recipient opened it.
    Read {
        /// Which message.
        id: MessageId,
        /// What carried it.
        channel: Channel,
    },
    /// It was not delivered on a channel.
    Failed {
        /// Which message.
        id: MessageId,
        /// On which channel.
        channel: Option<Channel>,
        /// The provider's code.
        reason: String,
        /// Whether the provider has given up; otherwise it tries another channel by itself.
        is_final: bool,
    },
    /// Its time to live has passed, and the provider says that it took it back. No promise: a delivery may still be reported.
    Revoked {
        /// Which message.
        id: MessageId,
    },
    /// Its time to live has passed, and taking it back failed. It may be delivered or not.
    RevokeFailed {
        /// Which message.
        id: MessageId,
    },
    /// The provider gave it up after its time to live. No promise, as with [`Revoked`](Self::Revoked).
    Expired {
        /// Which message.
        id: MessageId,
        /// On which channel it was tried.
        channel: Option<Channel>,
    },
    /// A user wrote.
    Inbound {
        /// Who: as the provider says, who authenticates numbers.
        from: PhoneNumber,
        /// The message's id at the provider.
        id: String,
        /// What.
        content: InboundContent,
    },
    /// A user is writing.
    Typing {
        /// Who.
        from: PhoneNumber,
    },
    /// A user wants no more, or again, messages that are not essential.
    Subscription {
        /// Who.
        from: PhoneNumber,
        /// Whether messages are wanted.
        is_on: bool,
    },
    /// Whether a number can be reached, where the answer comes by webhook.
    Reached {
        /// Which number.
        number: PhoneNumber,
        /// What was found.
        reach: Reach,
    },
    /// Something that we do not know, or about a message that is none of ours. It is signed, and it is acknowledged: otherwise the provider
    /// would repeat it for days and hold back what comes after.
    Unknown {
        /// What the provider calls it.
        kind: String,
    },
}

impl ProviderEvent {
    /// A closed name, for logs and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Delivered { .. } => "delivered",
            Self::Read { .. } => "read",
            Self::Failed { .. } => "failed",
            Self::Revoked { .. } => "revoked",
            Self::RevokeFailed { .. } => "revoke_failed",
            Self::Expired { .. } => "expired",
            Self::Inbound { .. } => "inbound",
            Self::Typing { .. } => "typing",
            Self::Subscription { .. } => "subscription",
            Self::Reached { .. } => "reached",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// What one event is known by, however often and in whichever envelope it comes. To be kept for as long as the provider's webhooks are
/// accepted; an event whose key is known is dropped and acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub [u8; 32]);

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKey({})", hex::encode(&self.0[..6]))
    }
}

/// An event out of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookEvent {
    /// What it is known by.
    pub key: EventKey,
    /// When it happened, as the provider says, in milliseconds since 1970.
    pub at_ms: u64,
    /// What happened.
    pub event: ProviderEvent,
}

/// What a webhook asks for.
#[derive(Clone, PartialEq)]
pub enum Webhook {
    /// The provider checks that the address is ours: answer 200 with this text and nothing else.
    Handshake {
        /// The body of the answer, `text/plain`.
        answer: String,
    },
    /// Things happened. Answer 200 once they are durable.
    Events(Vec<WebhookEvent>),
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake { .. } => f.write_str("Handshake"),
            Self::Events(events) => f.debug_tuple("Events").field(events).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_one_name_and_a_name_one_channel() {
        assert_eq!(Channel::named("rcs"), Channel::Rcs);
        assert_eq!(
            Channel::named("\u{1} RCS\r\n"),
            Channel::Rcs,
            "found by fuzzing: it was another channel of that name"
        );
        assert_eq!(Channel::named("Viber Bm"), Channel::Other("VIBERBM".to_owned()));
        let long = Channel::named(&"ä_x".repeat(100));
        assert_eq!(long.as_str().len(), NAME_LEN_MAX);
        assert_eq!(Channel::named(long.as_str()), long);
    }
}
