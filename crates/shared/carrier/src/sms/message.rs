//! A short message, who it is from, and what a gateway says of it.
//!
//! `Debug` of everything here shows lengths and kinds: the words are readable, and numbers are people.

use std::fmt;

use rcseal_rcs::number::PhoneNumber;

use super::encoding::{self, Reference};

/// Our id of a message. It never leaves us: a gateway gives one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SmsId(pub [u8; 16]);

/// The most segments of one text. Each is billed as a message and may be lost alone; gateways commonly refuse more than ten.
pub const TEXT_SEGMENTS_MAX: usize = 10;

/// Words to be sent: not empty, and no longer than [`TEXT_SEGMENTS_MAX`] segments.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsText(String);

/// Why a text is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmsTextError {
    /// There is nothing in it.
    #[error("the text is empty")]
    Empty,
    /// It would be too many segments.
    #[error("the text needs {segments} segments, more than {TEXT_SEGMENTS_MAX}")]
    TooLong {
        /// How many.
        segments: usize,
    },
}

impl SmsTextError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "sms_text_empty",
            Self::TooLong { .. } => "sms_text_too_long",
        }
    }
}

impl SmsText {
    /// Words that fit. They are sent as they are: no character is replaced to save a segment.
    ///
    /// # Errors
    /// [`SmsTextError`].
    pub fn parse(text: impl Into<String>) -> Result<Self, SmsTextError> {
        let text = text.into();
        if text.is_empty() {
            return Err(SmsTextError::Empty);
        }
        // The wider reference is the longer header, so that a text that fits so fits either way.
        match encoding::plan_with(&text, Reference::Sixteen).count() {
            segments if segments > TEXT_SEGMENTS_MAX => Err(SmsTextError::TooLong { segments }),
            _ => Ok(Self(text)),
        }
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SmsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmsText({} bytes)", self.0.len())
    }
}

/// Whom a message says it is from. Networks show it and often replace it; it proves nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SenderId {
    /// A number, which can be answered.
    Number(PhoneNumber),
    /// A name, which cannot.
    Name(SenderName),
    /// A short code.
    Short(ShortCode),
}

/// A sender's name: 1 to 11 letters, digits, and a few signs that every network shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SenderName(String);

/// A short code: 3 to 8 digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShortCode(String);

/// Not a number, a name or a short code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a number, nor a short code, nor a sender's name of up to 11 characters")]
pub struct SenderIdError;

impl SenderIdError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "sms_sender_invalid"
    }
}

impl SenderName {
    /// What fits into the address field of a short message (3GPP TS 23.040, 9.1.2.5: ten octets of septets).
    pub const LEN_MAX: usize = 11;

    /// Reads a name.
    ///
    /// # Errors
    /// [`SenderIdError`].
    pub fn parse(text: &str) -> Result<Self, SenderIdError> {
        let is_shown =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'.' | b'_' | b'&' | b'+');
        let is_name = (1..=Self::LEN_MAX).contains(&text.len())
            && text.bytes().all(is_shown)
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        if is_name { Ok(Self(text.to_owned())) } else { Err(SenderIdError) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ShortCode {
    /// Reads a code.
    ///
    /// # Errors
    /// [`SenderIdError`].
    pub fn parse(text: &str) -> Result<Self, SenderIdError> {
        let is_code = (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_code { Ok(Self(text.to_owned())) } else { Err(SenderIdError) }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SenderId {
    /// A number with its plus sign, a short code, or a name.
    ///
    /// # Errors
    /// [`SenderIdError`].
    pub fn parse(text: &str) -> Result<Self, SenderIdError> {
        if text.starts_with('+') {
            return text.parse().map(Self::Number).map_err(|_| SenderIdError);
        }
        ShortCode::parse(text).map(Self::Short).or_else(|_| SenderName::parse(text).map(Self::Name))
    }

    /// What a network's address says: digits in international form with or without the plus sign, a code, or a name.
    ///
    /// # Errors
    /// [`SenderIdError`].
    pub fn from_network(text: &str) -> Result<Self, SenderIdError> {
        let text = text.trim();
        Self::parse(text).or_else(|_| format!("+{text}").parse().map(Self::Number).map_err(|_| SenderIdError))
    }

    /// The sender as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::Name(name) => name.as_str(),
            Self::Short(code) => code.as_str(),
        }
    }
}

impl fmt::Debug for SenderId {
    /// The kind alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "SenderId::Number",
            Self::Name(_) => "SenderId::Name",
            Self::Short(_) => "SenderId::Short",
        })
    }
}

impl fmt::Debug for SenderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SenderName")
    }
}

impl fmt::Debug for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShortCode")
    }
}

/// A message on its way to a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsMessage {
    /// To whom.
    pub to: PhoneNumber,
    /// From whom, as far as networks will say so.
    pub from: SenderId,
    /// The words.
    pub text: SmsText,
    /// Our id.
    pub id: SmsId,
    /// For how long networks may try, in seconds; the gateway's own default where nothing is said.
    pub validity_seconds: Option<u32>,
    /// Whether a report is asked for.
    pub wants_report: bool,
}

/// A gateway's id of a message, good for one account at one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayId(String);

impl GatewayId {
    /// The longest id that SMPP knows.
    pub const LEN_MAX: usize = 64;

    /// An id out of visible ASCII; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_sound = (1..=Self::LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_sound.then(|| Self(text.to_owned()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a gateway has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsSubmitted {
    /// The id that reports of the whole message name: the first segment's.
    pub gateway_id: GatewayId,
    /// How many segments it is.
    pub segments: u8,
    /// The id of each segment that the gateway named.
    pub parts: Vec<GatewayId>,
}

/// How a message ended. States on the way there are not reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportState {
    /// On the phone.
    Delivered,
    /// Its time was over.
    Expired,
    /// Refused by the gateway or a network.
    Rejected,
    /// It could not be delivered, or was deleted.
    Undeliverable,
    /// The network does not know.
    Unknown,
}

impl ReportState {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Undeliverable => "undeliverable",
            Self::Unknown => "unknown",
        }
    }
}

/// What a gateway says of a message some time later. Nobody signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsReport {
    /// Which message.
    pub gateway_id: GatewayId,
    /// How it ended.
    pub state: ReportState,
    /// The gateway's or network's own code for what went wrong: visible ASCII, no longer than [`SmsReport::ERROR_LEN_MAX`].
    pub error: Option<String>,
}

impl SmsReport {
    /// The longest code that is kept.
    pub const ERROR_LEN_MAX: usize = 16;

    /// A code as far as it can be kept.
    pub(crate) fn error_code(text: &str) -> Option<String> {
        let code: String = text.chars().filter(char::is_ascii_graphic).take(Self::ERROR_LEN_MAX).collect();
        (!code.is_empty()).then_some(code)
    }
}

/// A message that somebody sent to a number of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundSms {
    /// Who sends, by the network's word. Networks can be made to say anything here.
    pub from: SenderId,
    /// The number or code it was sent to, as the gateway wrote it.
    pub to: String,
    /// The words.
    pub text: String,
    /// The gateway's id of it, where it has one.
    pub gateway_id: Option<GatewayId>,
    /// When it came, by our clock.
    pub received_at_ms: u64,
}

impl InboundSms {
    /// The number it was sent to, where it is one.
    #[must_use]
    pub fn to_number(&self) -> Option<PhoneNumber> {
        match SenderId::from_network(&self.to) {
            Ok(SenderId::Number(number)) => Some(number),
            Ok(SenderId::Name(_) | SenderId::Short(_)) | Err(_) => None,
        }
    }
}

impl fmt::Debug for InboundSms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundSms").field("from", &self.from).field("len", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_text_has_a_length_that_every_gateway_takes() {
        assert_eq!(SmsText::parse(""), Err(SmsTextError::Empty));
        assert!(SmsText::parse("a".repeat(10 * 152)).is_ok());
        assert_eq!(SmsText::parse("a".repeat(10 * 152 + 1)), Err(SmsTextError::TooLong { segments: 11 }));
        assert!(SmsText::parse("я".repeat(10 * 66)).is_ok());
        assert_eq!(SmsText::parse("я".repeat(10 * 66 + 1)), Err(SmsTextError::TooLong { segments: 11 }));
    }

    #[test]
    fn a_sender_is_a_number_a_code_or_a_name() {
        assert!(matches!(SenderId::parse("+4915112345678").unwrap(), SenderId::Number(_)));
        assert!(matches!(SenderId::parse("72345").unwrap(), SenderId::Short(_)));
        assert!(matches!(SenderId::parse("RCSeal").unwrap(), SenderId::Name(_)));
        for wrong in ["", "+12", "12", "123456789", "a name too long", "Zoë", "a\nb", "+49151\r\n", "---"] {
            assert_eq!(SenderId::parse(wrong), Err(SenderIdError), "{wrong:?}");
        }
        assert!(matches!(SenderId::from_network("4915112345678").unwrap(), SenderId::Number(_)));
        assert!(matches!(SenderId::from_network("BANK").unwrap(), SenderId::Name(_)));
    }

    #[test]
    fn debug_shows_neither_words_nor_numbers() {
        let message = SmsMessage {
            to: "+4915112345678".parse().unwrap(),
            from: SenderId::parse("72345").unwrap(),
            text: SmsText::parse("dinner at eight").unwrap(),
            id: SmsId([0; 16]),
            validity_seconds: None,
            wants_report: true,
        };
        let inbound = InboundSms {
            from: SenderId::parse("72345").unwrap(),
            to: "4915112345678".to_owned(),
            text: "dinner at eight".to_owned(),
            gateway_id: None,
            received_at_ms: 0,
        };
        for shown in [format!("{message:?}"), format!("{inbound:?}")] {
            assert!(
                !shown.contains("dinner") && !shown.contains("4915112345678") && !shown.contains("72345"),
                "{shown}"
            );
        }
        assert_eq!(inbound.to_number().unwrap().as_str(), "+4915112345678");
    }

    #[test]
    fn an_error_code_is_kept_as_far_as_it_is_one() {
        assert_eq!(SmsReport::error_code("0 0\n1"), Some("001".to_owned()));
        assert_eq!(SmsReport::error_code("\u{1b} "), None);
        assert_eq!(SmsReport::error_code(&"9".repeat(99)).unwrap().len(), SmsReport::ERROR_LEN_MAX);
    }
}
