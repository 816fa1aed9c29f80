//! What a business sends, within the limits that providers publish.
//!
//! The limits are those of RCS for Business; the aggregator's are the same or wider. A message that passed [`AgentMessage::new`] is refused
//! by a provider for its recipient, not for its form. Links are `https` only. Debug forms show lengths and never words.

use std::fmt;

use rcseal_rcs::number::PhoneNumber;

/// Characters of a text message, published.
pub const TEXT_CHARS_MAX: usize = 3072;

/// Bytes of one request's body, published as 250 KB; the smaller reading.
pub const PAYLOAD_LEN_MAX: usize = 250_000;

/// Suggestions beside a message, published.
pub const SUGGESTIONS_MAX: usize = 11;

/// Suggestions on a card, published.
pub const CARD_SUGGESTIONS_MAX: usize = 4;

/// Characters on a suggestion's button, published.
pub const SUGGESTION_CHARS_MAX: usize = 25;

/// Characters that come back with a tapped suggestion, published.
pub const POSTBACK_CHARS_MAX: usize = 2048;

/// Characters of a card's title, published.
pub const CARD_TITLE_CHARS_MAX: usize = 200;

/// Characters of a card's text, published.
pub const CARD_BODY_CHARS_MAX: usize = 2000;

/// Bytes of a link, published.
pub const URL_LEN_MAX: usize = 2048;

/// The id of a message at its provider: an RFC 4122 UUID, chosen by us. Its bytes are the message's id in the app too, so that a message
/// that arrives on two ways is shown once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// An id out of random bytes, with the bits of a version 4 UUID set.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid().into_bytes())
    }

    /// An id that was made before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the hyphenated form; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The library reads braces and the like too, which would give one id several texts.
        (text.len() == uuid::fmt::Hyphenated::LENGTH)
            .then(|| uuid::Uuid::try_parse(text).ok())
            .flatten()
            .map(|uuid| Self(uuid.into_bytes()))
    }

    /// The id's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// How long a provider may try to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u64);

impl Ttl {
    /// The shortest, in seconds: below it, notices of revocation and of delivery are often both sent.
    pub const SECONDS_MIN: u64 = 10;
    /// The longest, in seconds: fifteen days.
    pub const SECONDS_MAX: u64 = 15 * 24 * 3600;

    /// A time to live of so many seconds.
    ///
    /// # Errors
    /// [`MessageError::Ttl`].
    pub const fn from_seconds(seconds: u64) -> Result<Self, MessageError> {
        if seconds < Self::SECONDS_MIN || seconds > Self::SECONDS_MAX {
            return Err(MessageError::Ttl { seconds });
        }
        Ok(Self(seconds))
    }

    /// Seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }
}

/// A button.
#[derive(Clone, PartialEq, Eq)]
pub enum Suggestion {
    /// Answers with a text.
    Reply {
        /// On the button, and the answer.
        text: String,
        /// What comes back to us.
        postback: String,
    },
    /// Opens a link.
    OpenUrl {
        /// On the button.
        text: String,
        /// Where to.
        url: String,
        /// What comes back to us.
        postback: String,
    },
    /// Offers to call a number.
    Dial {
        /// On the button.
        text: String,
        /// Which number.
        number: PhoneNumber,
        /// What comes back to us.
        postback: String,
    },
}

impl Suggestion {
    /// A button that answers.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn reply(text: &str, postback: &str) -> Result<Self, MessageError> {
        Self::Reply { text: text.to_owned(), postback: postback.to_owned() }.checked()
    }

    /// A button that opens a link.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn open_url(text: &str, url: &str, postback: &str) -> Result<Self, MessageError> {
        Self::OpenUrl { text: text.to_owned(), url: url.to_owned(), postback: postback.to_owned() }.checked()
    }

    /// A button that calls.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn dial(text: &str, number: PhoneNumber, postback: &str) -> Result<Self, MessageError> {
        Self::Dial { text: text.to_owned(), number, postback: postback.to_owned() }.checked()
    }

    fn checked(self) -> Result<Self, MessageError> {
        let (Self::Reply { text, postback } | Self::OpenUrl { text, postback, .. } | Self::Dial { text, postback, .. }) =
            &self;
        let chars = text.chars().count();
        if !(1..=SUGGESTION_CHARS_MAX).contains(&chars) {
            return Err(MessageError::SuggestionText { chars });
        }
        let chars = postback.chars().count();
        if chars > POSTBACK_CHARS_MAX {
            return Err(MessageError::Postback { chars });
        }
        if let Self::OpenUrl { url, .. } = &self {
            check_url(url)?;
        }
        Ok(self)
    }
}

impl fmt::Debug for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply { .. } => "Reply",
            Self::OpenUrl { .. } => "OpenUrl",
            Self::Dial { .. } => "Dial",
        })
    }
}

/// What a message says. Readable by the provider and by the carrier.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// Buttons beside them.
        suggestions: Vec<Suggestion>,
    },
    /// A card.
    Card {
        /// Its title; may be empty if there is a text.
        title: String,
        /// Its text; may be empty if there is a title.
        body: String,
        /// Buttons on it.
        suggestions: Vec<Suggestion>,
    },
    /// A file that the provider fetches.
    File {
        /// Where from.
        url: String,
        /// Buttons beside it.
        suggestions: Vec<Suggestion>,
    },
}

impl Content {
    /// What kind it is, for logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Card { .. } => "card",
            Self::File { .. } => "file",
        }
    }

    pub(crate) fn check(&self) -> Result<(), MessageError> {
        let (suggestions, limit) = match self {
            Self::Text { text, suggestions } => {
                let chars = text.chars().count();
                if !(1..=TEXT_CHARS_MAX).contains(&chars) {
                    return Err(MessageError::Text { chars });
                }
                (suggestions, SUGGESTIONS_MAX)
            }
            Self::Card { title, body, suggestions } => {
                if title.is_empty() && body.is_empty() {
                    return Err(MessageError::CardEmpty);
                }
                let (title, body) = (title.chars().count(), body.chars().count());
                if title > CARD_TITLE_CHARS_MAX || body > CARD_BODY_CHARS_MAX {
                    return Err(MessageError::CardTooLong { title, body });
                }
                (suggestions, CARD_SUGGESTIONS_MAX)
            }
            Self::File { url, suggestions } => {
                check_url(url)?;
                (suggestions, SUGGESTIONS_MAX)
            }
        };
        if suggestions.len() > limit {
            return Err(MessageError::Suggestions { count: suggestions.len(), limit });
        }
        suggestions.iter().try_for_each(|suggestion| suggestion.clone().checked().map(drop))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.kind()).finish_non_exhaustive()
    }
}

/// A message to a phone number, within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentMessage {
    id: MessageId,
    to: PhoneNumber,
    content: Content,
    ttl: Option<Ttl>,
}

impl AgentMessage {
    /// Checks a message against every limit.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn new(id: MessageId, to: PhoneNumber, content: Content, ttl: Option<Ttl>) -> Result<Self, MessageError> {
        content.check()?;
        Ok(Self { id, to, content, ttl })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// To whom.
    #[must_use]
    pub const fn to(&self) -> &PhoneNumber {
        &self.to
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// How long the provider may try.
    #[must_use]
    pub const fn ttl(&self) -> Option<Ttl> {
        self.ttl
    }
}

/// Why a message cannot be sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No text, or too long a text.
    #[error("a text of {chars} characters; 1 to {TEXT_CHARS_MAX} are allowed")]
    Text {
        /// How many characters.
        chars: usize,
    },
    /// A card with neither title nor text.
    #[error("a card without title and text")]
    CardEmpty,
    /// A card with too long a title or text.
    #[error("a card with {title} and {body} characters")]
    CardTooLong {
        /// Characters of the title.
        title: usize,
        /// Characters of the text.
        body: usize,
    },
    /// Too many buttons.
    #[error("{count} suggestions; {limit} are allowed")]
    Suggestions {
        /// How many.
        count: usize,
        /// How many are allowed there.
        limit: usize,
    },
    /// A button without a text, or with too long a one.
    #[error("a suggestion of {chars} characters; 1 to {SUGGESTION_CHARS_MAX} are allowed")]
    SuggestionText {
        /// How many characters.
        chars: usize,
    },
    /// Too much comes back with a button.
    #[error("postback data of {chars} characters; {POSTBACK_CHARS_MAX} are allowed")]
    Postback {
        /// How many characters.
        chars: usize,
    },
    /// Not an `https` link with a host, or too long a one.
    #[error("not an https link of at most {URL_LEN_MAX} bytes")]
    Url,
    /// A time to live out of bounds.
    #[error("a time to live of {seconds} seconds")]
    Ttl {
        /// Seconds.
        seconds: u64,
    },
}

impl MessageError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Text { .. } => "agent_message_text",
            Self::CardEmpty => "agent_message_card_empty",
            Self::CardTooLong { .. } => "agent_message_card_too_long",
            Self::Suggestions { .. } => "agent_message_suggestions",
            Self::SuggestionText { .. } => "agent_message_suggestion_text",
            Self::Postback { .. } => "agent_message_postback",
            Self::Url => "agent_message_url",
            Self::Ttl { .. } => "agent_message_ttl",
        }
    }
}

/// Whether a text is a link that we let a stranger's phone open: `https`, a host, no user information, visible ASCII.
pub(crate) fn check_url(url: &str) -> Result<(), MessageError> {
    if url.len() > URL_LEN_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(MessageError::Url);
    }
    let (before_fragment, _) = url.split_once('#').unwrap_or((url, ""));
    let uri: http::Uri = before_fragment.parse().map_err(|_| MessageError::Url)?;
    let authority = uri.authority().ok_or(MessageError::Url)?;
    if uri.scheme_str() != Some("https") || authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(MessageError::Url);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn number() -> PhoneNumber {
        "+12015550123".parse().unwrap()
    }

    fn id() -> MessageId {
        MessageId::from_random([7; 16])
    }

    fn text(text: &str, suggestions: Vec<Suggestion>) -> Result<AgentMessage, MessageError> {
        AgentMessage::new(id(), number(), Content::Text { text: text.to_owned(), suggestions }, None)
    }

    #[test]
    fn an_id_has_one_text() {
        let text = id().to_string();
        assert_eq!(MessageId::parse(&text), Some(id()));
        assert_eq!(&text[14..15], "4", "the version of a random UUID");
        for wrong in ["", "07070707070747078707070707070707", &format!("{{{text}}}"), &text[1..]] {
            assert_eq!(MessageId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_published_limit_holds() {
        assert!(text(&"ä".repeat(TEXT_CHARS_MAX), Vec::new()).is_ok(), "characters are counted, not bytes");
        assert_eq!(text(&"a".repeat(TEXT_CHARS_MAX + 1), Vec::new()), Err(MessageError::Text { chars: 3073 }));
        assert_eq!(text("", Vec::new()), Err(MessageError::Text { chars: 0 }));
        let reply = Suggestion::reply("Yes", "yes").unwrap();
        assert!(text("Come?", vec![reply.clone(); SUGGESTIONS_MAX]).is_ok());
        assert_eq!(text("Come?", vec![reply.clone(); 12]), Err(MessageError::Suggestions { count: 12, limit: 11 }));
        let card = |count| Content::Card {
            title: "Ticket".into(),
            body: String::new(),
            suggestions: vec![reply.clone(); count],
        };
        assert!(AgentMessage::new(id(), number(), card(4), None).is_ok());
        let refused = AgentMessage::new(id(), number(), card(5), None);
        assert_eq!(refused, Err(MessageError::Suggestions { count: 5, limit: 4 }));
        assert_eq!(Suggestion::reply(&"b".repeat(26), ""), Err(MessageError::SuggestionText { chars: 26 }));
        assert_eq!(Suggestion::reply("a", &"b".repeat(2049)), Err(MessageError::Postback { chars: 2049 }));
        assert_eq!(Ttl::from_seconds(9), Err(MessageError::Ttl { seconds: 9 }));
        assert_eq!(Ttl::from_seconds(1_296_001), Err(MessageError::Ttl { seconds: 1_296_001 }));
        assert!(Ttl::from_seconds(10).is_ok() && Ttl::from_seconds(1_296_000).is_ok());
    }

    #[test]
    fn links_are_https_with_a_host() {
        assert!(Suggestion::open_url("Open", "https://example.com/c#abc", "").is_ok());
        for wrong in [
            "http://example.com/",
            "https://",
            "https://user@example.com/",
            "javascript:alert(1)",
            "https://example.com/ x",
            "rcseal:c/abc",
            &format!("https://example.com/{}", "a".repeat(URL_LEN_MAX)),
        ] {
            assert_eq!(Suggestion::open_url("Open", wrong, ""), Err(MessageError::Url), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_words() {
        let shown =
            format!("{:?}", text("the secret word", vec![Suggestion::reply("sure", "secret").unwrap()]).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("sure"), "{shown}");
    }
}
