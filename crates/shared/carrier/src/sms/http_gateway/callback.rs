//! Call-backs of a gateway: who may call, and what a call says.

use std::borrow::Cow;

use rcseal_crypto::ct_eq;
use rcseal_crypto::hash::sha256;
use rcseal_crypto::hmac::verify_hmac_sha256;

use super::config::Config;
use super::{Callback, SIGNATURE_AGE_MS};
use crate::sms::smpp::receipt::{Stage, state_by_word};
use crate::sms::smpp::{DefaultAlphabet, words_of};
use crate::sms::{GatewayId, InboundSms, ReportState, SenderId, SmsReport};

/// Fields of a form that are looked at.
const FIELDS_MAX: usize = 64;

/// What a call says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message is on its way. Nothing is reported of it.
    Underway,
    /// A message has ended.
    Report {
        /// What the call is known by, should it come again.
        name: [u8; 32],
        /// How.
        report: SmsReport,
    },
    /// A message has come.
    Message {
        /// What the call is known by, should it come again.
        name: [u8; 32],
        /// The message.
        message: InboundSms,
    },
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// The secret in the path is not ours.
    #[error("the call does not know the secret")]
    Secret,
    /// It is not signed, or not by the gateway, or other than it was signed.
    #[error("the call is not signed by the gateway")]
    Signature,
    /// It was signed too long ago, or by a clock far from ours.
    #[error("the call was signed at another time")]
    Stale,
    /// It is longer than any call.
    #[error("the call is too long")]
    TooLong,
    /// It says neither what became of a message nor a message.
    #[error("the call says nothing that we know")]
    Malformed,
}

impl CallbackError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Secret => "sms_callback_secret",
            Self::Signature => "sms_callback_signature",
            Self::Stale => "sms_callback_stale",
            Self::TooLong => "sms_callback_too_long",
            Self::Malformed => "sms_callback_malformed",
        }
    }

    /// The status that says so. To who does not know the secret, nothing is there.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Secret => 404,
            Self::Signature | Self::Stale => 403,
            Self::TooLong => 413,
            Self::Malformed => 400,
        }
    }
}

/// Reads a call.
///
/// # Errors
/// [`CallbackError`].
pub fn read(config: &Config, call: &Callback<'_>) -> Result<Event, CallbackError> {
    // Digests are of one length, so that the comparison says nothing of where two secrets differ.
    if !ct_eq(&sha256(&[call.secret.as_bytes()]), &sha256(&[config.secret.expose().as_bytes()])) {
        return Err(CallbackError::Secret);
    }
    if call.content.len() > config.limits.callback_len_max {
        return Err(CallbackError::TooLong);
    }
    if let Some(key) = &config.signing_key {
        let (Some(signature), Some(timestamp)) = (call.signature, call.timestamp) else {
            return Err(CallbackError::Signature);
        };
        let signature = hex::decode(signature).map_err(|_| CallbackError::Signature)?;
        let signed = [timestamp.as_bytes(), b".", call.content];
        if !verify_hmac_sha256(key.expose().as_bytes(), &signed, &signature) {
            return Err(CallbackError::Signature);
        }
        let signed_at: u64 = timestamp.parse().map_err(|_| CallbackError::Signature)?;
        if signed_at.abs_diff(call.now_ms) > SIGNATURE_AGE_MS {
            return Err(CallbackError::Stale);
        }
    }
    let fields = Fields::of(call.content);
    match fields.get(&config.shape.state) {
        Some(state) => report(config, &fields, state),
        None => message(config, &fields, call),
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    fn of(content: &'a [u8]) -> Self {
        Self(form_urlencoded::parse(content).take(FIELDS_MAX).collect())
    }

    /// The first field of that name.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }
}

fn report(config: &Config, fields: &Fields<'_>, state: &str) -> Result<Event, CallbackError> {
    let shape = &config.shape;
    let id = fields.get(&shape.id).and_then(GatewayId::parse).ok_or(CallbackError::Malformed)?;
    let ended = match shape.states.get(state) {
        Some(known) => known.ended(),
        None => ended(state).ok_or(CallbackError::Malformed)?,
    };
    let Some(ended) = ended else { return Ok(Event::Underway) };
    let error = fields.get(&shape.error).and_then(SmsReport::error_code);
    let error = error.or_else(|| state.starts_with("ESME_").then(|| SmsReport::error_code(state)).flatten());
    let name = sha256(&[b"report ", id.as_str().as_bytes(), b" ", ended.code().as_bytes()]);
    // Zeros say that nothing went wrong.
    let error = error.filter(|code| code.bytes().any(|byte| byte != b'0'));
    Ok(Event::Report { name, report: SmsReport { gateway_id: id, state: ended, error } })
}

/// How a message has ended by a word of SMPP; the inner `None` says that it has not, the outer that the word is not known.
#[expect(clippy::option_option, reason = "a word that is not known and a message that is on its way are two things")]
fn ended(state: &str) -> Option<Option<ReportState>> {
    // Level 1 is the SMSC's answer to the gateway: one that says "later" is between the two of them.
    match state {
        "ESME_ROK" | "ESME_RTHROTTLED" | "ESME_RMSGQFUL" | "ESME_RSYSERR" => return Some(None),
        _ if state.starts_with("ESME_") => return Some(Some(ReportState::Rejected)),
        _ => {}
    }
    state_by_word(state).map(|stage| match stage {
        Stage::Final(state) => Some(state),
        Stage::Underway => None,
    })
}

fn message(config: &Config, fields: &Fields<'_>, call: &Callback<'_>) -> Result<Event, CallbackError> {
    let shape = &config.shape;
    let from = fields.get(&shape.from).and_then(|from| SenderId::from_network(from).ok());
    let to = fields.get(&shape.to).filter(|to| !to.is_empty() && to.len() <= 32);
    let (Some(from), Some(to)) = (from, to) else { return Err(CallbackError::Malformed) };
    let coding = match fields.get(&shape.coding) {
        Some(coding) => number_or_octet(coding).ok_or(CallbackError::Malformed)?,
        None => 0,
    };
    let text = match fields.get(&shape.words_hex) {
        Some(octets) => {
            let octets = hex::decode(octets).map_err(|_| CallbackError::Malformed)?;
            words_of(coding, &octets, DefaultAlphabet::Gsm7).ok_or(CallbackError::Malformed)?
        }
        None => fields.get(&shape.words).ok_or(CallbackError::Malformed)?.to_owned(),
    };
    let gateway_id = fields.get(&shape.id).and_then(GatewayId::parse);
    let name = match &gateway_id {
        Some(id) => sha256(&[b"message ", id.as_str().as_bytes()]),
        None => sha256(&[b"content ", call.content]),
    };
    let message = InboundSms { from, to: to.to_owned(), text, gateway_id, received_at_ms: call.now_ms };
    Ok(Event::Message { name, message })
}

/// A data coding in decimal, or as the one octet that it is: Jasmin writes what stood in the PDU.
fn number_or_octet(text: &str) -> Option<u8> {
    text.parse().ok().or_else(|| {
        let mut characters = text.chars();
        let octet = characters.next().and_then(|character| u8::try_from(character).ok())?;
        (characters.next().is_none() && octet < 0x20).then_some(octet)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use proptest::prelude::*;
    use rcseal_crypto::hmac::hmac_sha256;

    use super::*;
    use crate::auth::Password;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn config() -> Config {
        let secret = Password::new(SECRET);
        Config::new("http://gateway.test:1401/send", "us", Password::new("p"), secret).unwrap()
    }

    fn call(content: &[u8]) -> Callback<'_> {
        Callback { secret: SECRET, content, signature: None, timestamp: None, now_ms: 1_000_000 }
    }

    fn read_plain(content: &str) -> Result<Event, CallbackError> {
        read(&config(), &call(content.as_bytes()))
    }

    fn reported(content: &str) -> (ReportState, Option<String>) {
        match read_plain(content).unwrap() {
            Event::Report { report, .. } => (report.state, report.error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reports_are_read_at_both_levels() {
        let delivered = "id=a-1&level=2&id_smsc=7&sub=001&dlvrd=001&err=000&message_status=DELIVRD&text=hi";
        assert_eq!(reported(delivered), (ReportState::Delivered, None));
        assert_eq!(
            reported("id=a-1&level=2&message_status=UNDELIV&err=027"),
            (ReportState::Undeliverable, Some("027".to_owned()))
        );
        assert_eq!(
            reported("id=a-1&level=1&message_status=ESME_RINVDSTADR"),
            (ReportState::Rejected, Some("ESME_RINVDSTADR".to_owned()))
        );
        for underway in ["ESME_ROK", "ESME_RTHROTTLED", "ENROUTE", "ACCEPTD"] {
            assert_eq!(read_plain(&format!("id=a-1&level=1&message_status={underway}")), Ok(Event::Underway));
        }
        assert_eq!(read_plain("id=a-1&message_status=SOMEHOW"), Err(CallbackError::Malformed));
        assert_eq!(read_plain("message_status=DELIVRD"), Err(CallbackError::Malformed));
    }

    #[test]
    fn messages_are_read_by_their_octets() {
        let Event::Message { message, .. } =
            read_plain("id=m-1&from=4917012345678&to=72345&coding=8&binary=044fd83edd90&content=%3F").unwrap()
        else {
            panic!("no message");
        };
        assert_eq!((message.text.as_str(), message.to.as_str()), ("я🦐", "72345"));
        let Event::Message { message, .. } =
            read_plain("id=m-1&from=4917012345678&to=72345&coding=%08&binary=044f").unwrap()
        else {
            panic!("no message");
        };
        assert_eq!(message.text, "я");
        let Event::Message { message, .. } = read_plain("from=BANK&to=72345&content=caf%C3%A9").unwrap() else {
            panic!("no message");
        };
        assert_eq!((message.text.as_str(), message.gateway_id), ("café", None));
        for broken in [
            "",
            "from=BANK",
            "from=BANK&to=1&binary=0",
            "from=BANK&to=1&binary=00&coding=4",
            "from=BANK&to=1&coding=x&content=a",
        ] {
            assert_eq!(read_plain(broken), Err(CallbackError::Malformed), "{broken}");
        }
    }

    #[test]
    fn who_does_not_know_the_secret_is_told_nothing() {
        let content = b"id=a-1&message_status=DELIVRD";
        let error = read(&config(), &Callback { secret: "guess", ..call(content) }).unwrap_err();
        assert_eq!((error, error.status()), (CallbackError::Secret, 404));
        let long = vec![b'a'; 17 << 10];
        assert_eq!(read(&config(), &call(&long)), Err(CallbackError::TooLong));
    }

    #[test]
    fn a_signature_is_of_the_content_and_of_now() {
        let mut config = config();
        config.signing_key = Some(Password::new("key"));
        let content = b"id=a-1&message_status=DELIVRD";
        let sign = |timestamp: &str| hex::encode(hmac_sha256(b"key", &[timestamp.as_bytes(), b".", content]));
        let signature = sign("1000000");
        let signed = Callback { signature: Some(&signature), timestamp: Some("1000000"), ..call(content) };
        assert!(matches!(read(&config, &signed), Ok(Event::Report { .. })));
        assert_eq!(read(&config, &call(content)), Err(CallbackError::Signature));
        let other = Callback { content: b"id=a-2&message_status=DELIVRD", ..signed };
        assert_eq!(read(&config, &other), Err(CallbackError::Signature));
        let moved = Callback { timestamp: Some("1000001"), ..signed };
        assert_eq!(read(&config, &moved), Err(CallbackError::Signature));
        let late = Callback { now_ms: 1_000_000 + SIGNATURE_AGE_MS + 1, ..signed };
        assert_eq!(read(&config, &late), Err(CallbackError::Stale));
    }

    #[test]
    fn a_gateways_own_words_for_states_are_configuration() {
        let mut config = config();
        config.shape.state = "status".to_owned();
        config.shape.states.insert("handed_over".to_owned(), super::super::config::State::Delivered);
        config.shape.states.insert("queued".to_owned(), super::super::config::State::Underway);
        let read = |content: &str| read(&config, &call(content.as_bytes()));
        assert!(
            matches!(read("id=1&status=handed_over"), Ok(Event::Report { report, .. }) if report.state == ReportState::Delivered)
        );
        assert_eq!(read("id=1&status=queued"), Ok(Event::Underway));
    }

    proptest! {
        #[test]
        fn any_content_is_read_or_refused(content: Vec<u8>, tail in "(&?(id|from|to|binary|coding|message_status)=[0-9A-Za-z%+]{0,12}){0,6}") {
            let _ = read(&config(), &call(&content));
            let _ = read(&config(), &call(tail.as_bytes()));
        }
    }
}
