//! What an SMPP client is told.

use std::fmt;
use std::time::Duration;

use crate::auth::Password;
use crate::sms::encoding::Reference;
use crate::tls::TrustAnchors;

/// What a connection is bound for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindMode {
    /// Both ways.
    #[default]
    Transceiver,
    /// To the SMSC only: reports and messages need another client that is bound as receiver.
    Transmitter,
    /// From the SMSC only.
    Receiver,
}

/// Who we are to the SMSC.
#[derive(Clone)]
pub struct Credentials {
    /// The account: 1 to 15 characters.
    pub system_id: String,
    /// Its password: up to 8 characters, which is all that SMPP 3.4 has room for.
    pub password: Password,
    /// The kind of system, where the SMSC wants one: up to 12 characters.
    pub system_type: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

/// How an SMSC writes the id of a message in receipts, against what it answered when it took the message. Many write hexadecimal in one and
/// decimal in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiptIds {
    /// The same.
    #[default]
    Same,
    /// The answer is hexadecimal, receipts are decimal.
    DecimalInReceipts,
    /// The answer is decimal, receipts are hexadecimal.
    HexInReceipts,
}

/// What an SMSC means by its own default alphabet (data coding 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultAlphabet {
    /// GSM 03.38, one septet in each octet.
    #[default]
    Gsm7,
    /// ISO 8859-1. What is outside of ASCII is then sent as UCS-2.
    Latin1,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How long a connection and its bind may take.
    pub connect: Duration,
    /// How long an answer is waited for. After it the message is unconfirmed.
    pub answer: Duration,
    /// How long a submission waits for a connection, for its turn and for an SMSC that is throttling, before it is given back unsent.
    pub patience: Duration,
    /// After how much silence the SMSC is asked whether it is there.
    pub enquire: Duration,
    /// How long a PDU that has begun, or a write, may take to end.
    pub stall: Duration,
    /// The first pause before a connection is tried again; later ones are longer, with some chance in them.
    pub reconnect_min: Duration,
    /// The longest pause.
    pub reconnect_max: Duration,
    /// The first pause after the SMSC said that it is asked too fast.
    pub throttle_min: Duration,
    /// The longest such pause.
    pub throttle_max: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            patience: Duration::from_secs(30),
            enquire: Duration::from_secs(30),
            stall: Duration::from_secs(10),
            reconnect_min: Duration::from_millis(500),
            reconnect_max: Duration::from_secs(60),
            throttle_min: Duration::from_millis(200),
            throttle_max: Duration::from_secs(8),
        }
    }
}

/// Bounds of what an SMSC and callers can make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest PDU. A message as parameter can be 64 KiB; what is longer ends the connection.
    pub pdu_len_max: usize,
    /// Reports, and messages beside them, that wait to be taken out. More are answered "later".
    pub waiting_max: usize,
    /// Answers of ours that wait to be written. An SMSC that asks and does not read loses its connection.
    pub write_queue_max: usize,
    /// Segments whose receipts are awaited together.
    pub groups_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pdu_len_max: 68 << 10, waiting_max: 4096, write_queue_max: 8192, groups_max: 64 << 10 }
    }
}

/// A client's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The SMSC: a name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are.
    pub credentials: Credentials,
    /// What the connection is for.
    pub mode: BindMode,
    /// With authorities, TLS is spoken and the SMSC must show a certificate for `host`.
    pub trust: Option<TrustAnchors>,
    /// How many messages may wait for an answer: 1 to [`Config::WINDOW_MAX`]. The SMSC's operator says how many it takes.
    pub window: usize,
    /// How ids compare.
    pub receipt_ids: ReceiptIds,
    /// What data coding 0 means.
    pub default_alphabet: DefaultAlphabet,
    /// The header that joins segments.
    pub reference: Reference,
    /// Times.
    pub timers: Timers,
    /// Bounds.
    pub limits: Limits,
}

/// Why a client does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The SMSC is not a host and a port.
    #[error("the SMSC is not a host and a port")]
    Peer,
    /// The account, password or kind of system has no place in a bind.
    #[error("the credentials have no place in a bind")]
    Credentials,
    /// The window is empty or too large.
    #[error("the window is not between 1 and {}", Config::WINDOW_MAX)]
    Window,
}

impl StartError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Peer => "smpp_start_peer",
            Self::Credentials => "smpp_start_credentials",
            Self::Window => "smpp_start_window",
        }
    }
}

impl Config {
    /// The widest window: SMSCs allow tens, rarely hundreds.
    pub const WINDOW_MAX: usize = 1000;

    /// A configuration with the defaults for everything else.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, credentials: Credentials) -> Self {
        Self {
            host: host.into(),
            port,
            credentials,
            mode: BindMode::default(),
            trust: None,
            window: 10,
            receipt_ids: ReceiptIds::default(),
            default_alphabet: DefaultAlphabet::default(),
            reference: Reference::default(),
            timers: Timers::default(),
            limits: Limits::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        let is_host = !self.host.is_empty() && self.host.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_host || self.port == 0 {
            return Err(StartError::Peer);
        }
        if !(1..=Self::WINDOW_MAX).contains(&self.window) {
            return Err(StartError::Window);
        }
        if self.credentials.system_id.is_empty() || super::pdu::bind(self.mode, &self.credentials, 1).is_none() {
            return Err(StartError::Credentials);
        }
        Ok(())
    }
}
