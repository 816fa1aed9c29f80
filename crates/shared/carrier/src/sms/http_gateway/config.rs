//! What a gateway by HTTP is told, and its shape.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rcseal_rcs::transport::SendFailure;
use serde::Deserialize;

use super::call::Answer;
use crate::auth::Password;
use crate::ft::{ContentUrl, UrlError};
use crate::sms::encoding::Alphabet;
use crate::sms::{GatewayId, ReportState, SmsMessage};
use crate::tls::TrustAnchors;

/// Where the id of a message stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerId {
    /// Between the first two quotation marks: `Success "…"`.
    Quoted,
    /// It is all of the body.
    Whole,
    /// Under this key of a JSON object.
    Json(String),
}

/// The shape of a gateway's interface. Values of fields are words as they are, or one of these, which stand for what is being sent: `{user}`,
/// `{password}`, `{to}` (digits), `{to_plus}` (with the plus sign), `{from}`, `{words}`, `{words_hex}`, `{coding}` (0 or 8), `{callback}`,
/// `{validity_minutes}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Fields of every message.
    pub fields: BTreeMap<String, String>,
    /// Fields of a message of which a report is wanted.
    pub report_fields: BTreeMap<String, String>,
    /// Fields of a message that has a validity.
    pub validity_fields: BTreeMap<String, String>,
    /// Where the id stands in the answer.
    pub answer_id: AnswerId,
    /// What stands in a refusal that may be tried again later.
    pub busy_words: Vec<String>,
    /// Statuses beside 429 by which the gateway says, in its documentation, that it has not taken the message and that it may be tried again
    /// later. None by default: a 503 may as well be a proxy's, before a gateway that has taken it.
    pub busy_statuses: Vec<u16>,
    /// What acknowledges a call-back.
    pub acknowledgement: String,
    /// Field of a call-back: the id.
    pub id: String,
    /// Field of a report: the state.
    pub state: String,
    /// Field of a report: the code of what went wrong.
    pub error: String,
    /// States beyond those that SMPP has words for.
    pub states: BTreeMap<String, State>,
    /// Field of a message: who sends.
    pub from: String,
    /// Field of a message: to whom.
    pub to: String,
    /// Field of a message: its octets in hexadecimal.
    pub words_hex: String,
    /// Field of a message: its words, where there are no octets.
    pub words: String,
    /// Field of a message: the alphabet of its octets, as SMPP counts them.
    pub coding: String,
}

/// What a gateway's word for a state means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// On its way.
    Underway,
    /// On the phone.
    Delivered,
    /// Its time was over.
    Expired,
    /// Refused.
    Rejected,
    /// It could not be delivered.
    Undeliverable,
    /// Nobody knows.
    Unknown,
}

impl State {
    /// How it ended, if it has.
    pub(super) const fn ended(self) -> Option<ReportState> {
        match self {
            Self::Underway => None,
            Self::Delivered => Some(ReportState::Delivered),
            Self::Expired => Some(ReportState::Expired),
            Self::Rejected => Some(ReportState::Rejected),
            Self::Undeliverable => Some(ReportState::Undeliverable),
            Self::Unknown => Some(ReportState::Unknown),
        }
    }
}

impl Default for Shape {
    /// Jasmin's.
    fn default() -> Self {
        let fields = |list: &[(&str, &str)]| {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        Self {
            fields: fields(&[
                ("username", "{user}"),
                ("password", "{password}"),
                ("to", "{to}"),
                ("from", "{from}"),
                ("hex-content", "{words_hex}"),
                ("coding", "{coding}"),
            ]),
            // Level 3: what the SMSC says at once, and what becomes of the message.
            report_fields: fields(&[
                ("dlr", "yes"),
                ("dlr-level", "3"),
                ("dlr-url", "{callback}"),
                ("dlr-method", "POST"),
            ]),
            validity_fields: fields(&[("validity-period", "{validity_minutes}")]),
            answer_id: AnswerId::Quoted,
            busy_words: vec!["throughput exceeded".to_owned()],
            busy_statuses: Vec::new(),
            acknowledgement: "ACK/Jasmin".to_owned(),
            id: "id".to_owned(),
            state: "message_status".to_owned(),
            error: "err".to_owned(),
            states: BTreeMap::new(),
            from: "from".to_owned(),
            to: "to".to_owned(),
            words_hex: "binary".to_owned(),
            words: "content".to_owned(),
            coding: "coding".to_owned(),
        }
    }
}

/// Bounds and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection may take.
    pub connect: Duration,
    /// How long an answer is waited for. After it the message is unconfirmed.
    pub answer: Duration,
    /// How long a call-back waits for somebody to have what it brought.
    pub patience: Duration,
    /// Reports, and messages beside them, that wait to be taken out.
    pub waiting_max: usize,
    /// Call-backs that are known again.
    pub answered_max: usize,
    /// The longest form of a call-back.
    pub callback_len_max: usize,
    /// The longest answer that is read.
    pub answer_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            waiting_max: 4096,
            answered_max: 16 << 10,
            // Ten segments as octets in hexadecimal and as words, with every other field.
            callback_len_max: 16 << 10,
            answer_len_max: 16 << 10,
        }
    }
}

/// A gateway's configuration.
#[derive(Clone)]
pub struct Config {
    /// Where messages are sent.
    pub send: ContentUrl,
    /// Authorities of the gateway's certificate, where the address is `https`.
    pub trust: TrustAnchors,
    /// Our account.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// The URL that the gateway is to call, secret and all; without one, no reports are asked for.
    pub callback: Option<Password>,
    /// The last element of that URL's path. At least [`Config::SECRET_LEN_MIN`] characters.
    pub secret: Password,
    /// The key of signatures. With one, a call without a signature is refused.
    pub signing_key: Option<Password>,
    /// The shape.
    pub shape: Shape,
    /// Bounds and times.
    pub limits: Limits,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("host", &self.send.host()).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a gateway cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The address is none.
    #[error("the gateway's address cannot be used")]
    Url(#[source] UrlError),
    /// The secret of call-backs could be guessed.
    #[error(
        "the secret of call-backs is shorter than {} characters, or has others than letters and digits",
        Config::SECRET_LEN_MIN
    )]
    Secret,
    /// The account is empty.
    #[error("there is no account")]
    User,
}

impl ConfigError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "sms_gateway_url",
            Self::Secret => "sms_gateway_secret",
            Self::User => "sms_gateway_user",
        }
    }
}

impl Config {
    /// 128 bits in hexadecimal.
    pub const SECRET_LEN_MIN: usize = 32;

    /// A configuration of Jasmin's shape with the defaults for everything else.
    ///
    /// # Errors
    /// [`ConfigError::Url`].
    pub fn new(send: &str, user: impl Into<String>, password: Password, secret: Password) -> Result<Self, ConfigError> {
        Ok(Self {
            send: ContentUrl::parse(send).map_err(ConfigError::Url)?,
            trust: TrustAnchors::none(),
            user: user.into(),
            password,
            callback: None,
            secret,
            signing_key: None,
            shape: Shape::default(),
            limits: Limits::default(),
        })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let secret = self.secret.expose();
        if secret.len() < Self::SECRET_LEN_MIN || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ConfigError::Secret);
        }
        if self.user.is_empty() { Err(ConfigError::User) } else { Ok(()) }
    }

    /// The form of a message.
    pub(super) fn form(&self, message: &SmsMessage, alphabet: Alphabet) -> String {
        let words = message.text.as_str();
        let value = |template: &str| match template {
            "{user}" => self.user.clone(),
            "{password}" => self.password.expose().to_owned(),
            "{to}" => message.to.as_str().trim_start_matches('+').to_owned(),
            "{to_plus}" => message.to.as_str().to_owned(),
            "{from}" => message.from.as_str().trim_start_matches('+').to_owned(),
            "{words}" => words.to_owned(),
            "{words_hex}" => hex::encode(super::octets(alphabet, words)),
            "{coding}" => match alphabet {
                Alphabet::Gsm7 => "0".to_owned(),
                Alphabet::Ucs2 => "8".to_owned(),
            },
            "{callback}" => self.callback.as_ref().map(|url| url.expose().to_owned()).unwrap_or_default(),
            "{validity_minutes}" => message.validity_seconds.unwrap_or(0).div_ceil(60).max(1).to_string(),
            as_it_is => as_it_is.to_owned(),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        let wants_report = message.wants_report && self.callback.is_some();
        let shape = &self.shape;
        let lists = [
            (true, &shape.fields),
            (wants_report, &shape.report_fields),
            (message.validity_seconds.is_some(), &shape.validity_fields),
        ];
        for (_, fields) in lists.into_iter().filter(|(is_sent, _)| *is_sent) {
            for (name, template) in fields {
                form.append_pair(name, &value(template));
            }
        }
        form.finish()
    }

    /// What an answer says.
    pub(super) fn read_answer(&self, answer: &Answer) -> Result<GatewayId, SendFailure> {
        let body = answer.body.trim();
        let is_busy = || {
            let body = body.to_ascii_lowercase();
            self.shape.busy_words.iter().any(|word| body.contains(&word.to_ascii_lowercase()))
        };
        match answer.status {
            200..=299 => {}
            429 => return Err(SendFailure::Busy { retry_after: answer.retry_after }),
            status if self.shape.busy_statuses.contains(&status) => {
                return Err(SendFailure::Busy { retry_after: answer.retry_after });
            }
            _ if is_busy() => return Err(SendFailure::Busy { retry_after: answer.retry_after }),
            401 | 403 => return Err(SendFailure::Unauthorized),
            413 => return Err(SendFailure::TooLarge),
            // The gateway fell over its own work: nobody can say how far it had come.
            500..=599 => return Err(SendFailure::NoAnswer),
            status => return Err(SendFailure::Refused { status }),
        }
        let id = match &self.shape.answer_id {
            AnswerId::Whole => Some(body.to_owned()),
            AnswerId::Quoted => body.split('"').nth(1).map(str::to_owned),
            AnswerId::Json(key) => {
                let value: Option<serde_json::Value> = serde_json::from_str(body).ok();
                value.as_ref().and_then(|value| value.get(key)).and_then(|id| match id {
                    serde_json::Value::String(id) => Some(id.clone()),
                    serde_json::Value::Number(id) => Some(id.to_string()),
                    _ => None,
                })
            }
        };
        // Taken, and without an id nobody can say what becomes of it.
        id.as_deref().and_then(GatewayId::parse).ok_or(SendFailure::NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sms::{SenderId, SmsId, SmsText};

    fn config() -> Config {
        let secret = Password::new("0123456789abcdef0123456789abcdef");
        Config::new("http://gateway.test:1401/send", "us", Password::new("p&ss"), secret).unwrap()
    }

    fn message(text: &str) -> SmsMessage {
        SmsMessage {
            to: "+4915112345678".parse().unwrap(),
            from: SenderId::parse("RCSeal").unwrap(),
            text: SmsText::parse(text).unwrap(),
            id: SmsId([0; 16]),
            validity_seconds: Some(61),
            wants_report: true,
        }
    }

    #[test]
    fn a_form_is_jasmins() {
        let mut config = config();
        let plain = "coding=0&from=RCSeal&hex-content=68691b65&password=p%26ss&to=4915112345678&username=us";
        assert_eq!(config.form(&message("hi€"), Alphabet::Gsm7), format!("{plain}&validity-period=2"));
        config.callback = Some(Password::new("http://us.test/sms/s"));
        let report = "dlr=yes&dlr-level=3&dlr-method=POST&dlr-url=http%3A%2F%2Fus.test%2Fsms%2Fs";
        assert_eq!(config.form(&message("hi€"), Alphabet::Gsm7), format!("{plain}&{report}&validity-period=2"));
        assert!(config.form(&message("я"), Alphabet::Ucs2).contains("coding=8&from=RCSeal&hex-content=044f"));
    }

    #[test]
    fn an_answer_is_an_id_or_a_failure() {
        let mut config = config();
        let read = |config: &Config, status, body: &str| {
            config.read_answer(&Answer { status, body: body.to_owned(), retry_after: None })
        };
        assert_eq!(read(&config, 200, "Success \"a-1\"").unwrap().as_str(), "a-1");
        assert_eq!(read(&config, 200, "Success"), Err(SendFailure::NoAnswer));
        assert_eq!(read(&config, 403, "Error \"Authentication failure\""), Err(SendFailure::Unauthorized));
        let busy = SendFailure::Busy { retry_after: None };
        assert_eq!(read(&config, 403, "Error \"User throughput exceeded\""), Err(busy.clone()));
        assert_eq!(read(&config, 429, ""), Err(busy));
        assert_eq!(read(&config, 412, "Error \"No route found\""), Err(SendFailure::Refused { status: 412 }));
        assert_eq!(read(&config, 500, "Error"), Err(SendFailure::NoAnswer));
        // It may be a proxy's, before a gateway that has taken the message, unless the gateway says otherwise.
        assert_eq!(read(&config, 503, "Service Unavailable"), Err(SendFailure::NoAnswer));
        config.shape.busy_statuses = vec![503];
        assert_eq!(read(&config, 503, "Service Unavailable"), Err(SendFailure::Busy { retry_after: None }));
        config.shape.answer_id = AnswerId::Json("message_id".to_owned());
        assert_eq!(read(&config, 201, "{\"message_id\": 17}").unwrap().as_str(), "17");
        assert_eq!(read(&config, 201, "[]"), Err(SendFailure::NoAnswer));
        config.shape.answer_id = AnswerId::Whole;
        assert_eq!(read(&config, 200, " b-2\n").unwrap().as_str(), "b-2");
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        let mut config = config();
        assert_eq!(config.check(), Ok(()));
        config.secret = Password::new("short");
        assert_eq!(config.check(), Err(ConfigError::Secret));
        assert!(!format!("{config:?}").contains("short"));
    }
}
