//! Why a command failed, and what its process exits with.
//!
//! Scripts decide by the exit code, and more closely by the code in brackets that ends the message; both are stable and stand in
//! `docs/manual/cli.md`.

mod exit;

use std::path::PathBuf;

use rcseal_carrier::sip_transport::SipTransportError;
use rcseal_carrier::tls::TlsSetupError;
use rcseal_client::client::ClientError;
use rcseal_client::net::{EndpointError, TrustError};
use rcseal_client::recovery_code::RecoveryCodeError;
use rcseal_client::vault::VaultError;
use rcseal_engine::plain::PlainError;
use rcseal_engine::policy::{ConsentState, Decision, PolicyError, Reason};
use rcseal_engine::send::SendError;
use rcseal_rcs::transport::SendFailure;
use rcseal_server::{AdminSocketError, StartError, init::InitError};
use rcseal_wire::content::{ContentError, TEXT_LEN_MAX};
use rcseal_wire::id::AccountId;
use rcseal_wire::origin::Origin;
use rcseal_wire::problem::ProblemCode;

use self::exit::client_exit;
use crate::qr::QrFileError;
use crate::scan::ScanPictureError;

/// What a process exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed, in a way that has no code of its own.
    Failed = 1,
    /// The command line is wrong (also what clap exits with).
    Usage = 2,
    /// The server cannot be reached, or not now. What was to be sent waits on this device.
    Network = 3,
    /// The server or the other side refused, or what they sent does not hold.
    Refused = 4,
    /// The store or the key vault cannot be opened: in use, wrong passphrase, damaged.
    Store = 5,
    /// There is no such account, contact or message on this device, or this device may not do it.
    NotHere = 6,
    /// A verification does not hold: another code, or a contact whose account key has changed.
    Unverified = 7,
}

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Something of the client's.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The key vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The certificate authority's file.
    #[error("the certificate authority cannot be used")]
    Trust(#[from] TrustError),
    /// A file or folder of the user's.
    #[error("cannot use {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system names no data folder for this user.
    #[error("this system names no data folder; use --profile")]
    NoDataFolder,
    /// No device lives in the profile.
    #[error("there is no device in {}; begin with `rcseal account create` or `rcseal device link`", .folder.display())]
    NoProfile {
        /// The profile.
        folder: PathBuf,
    },
    /// An account of another server is being registered from this profile.
    #[error("the account in this profile is being registered at {origin}; finish that, or use another profile")]
    OtherServer {
        /// The server of the first attempt.
        origin: Origin,
    },
    /// No contact has this name or id.
    #[error("no contact is called {name:?}")]
    UnknownContact {
        /// What was asked for.
        name: String,
    },
    /// Several contacts have this name.
    #[error("{count} contacts are called {name:?}; use the account id")]
    AmbiguousContact {
        /// What was asked for.
        name: String,
        /// How many.
        count: usize,
    },
    /// It was decided not to send a message.
    #[error("{}", sentence(.decision.reason))]
    Refused {
        /// To whom, as an argument of a command.
        whom: String,
        /// The decision.
        decision: Box<Decision>,
    },
    /// Something else than words was to be sent into a thread.
    #[error("a thread takes plain text only")]
    WordsOnly,
    /// No carrier account is set.
    #[error("this profile has no carrier account; `rcseal carrier set sip` makes one")]
    NoCarrier,
    /// A command means a number that is not there, or one of several.
    #[error("{}", claims(.count))]
    NoClaim {
        /// How many there are.
        count: usize,
    },
    /// What a broker answered does not hold.
    #[error("what the broker answered does not hold; nothing was changed by it")]
    BrokerLied {
        /// The finding's code, or the cause's.
        code: &'static str,
    },
    /// A business does not take the link.
    #[error("the business does not take the link")]
    CaseRefused {
        /// How far the case has come.
        code: &'static str,
    },
    /// A registrar with TLS, and nobody to vouch for it.
    #[error("a registrar over TLS needs --ca, the authority that its certificate is under")]
    NoCarrierAuthority,
    /// The carrier account in the store cannot be read.
    #[error("the carrier account in this profile cannot be used; set it again")]
    CarrierSettings,
    /// The certificate for sessions over the carrier.
    #[error("no certificate for sessions could be made")]
    CarrierTls(#[from] TlsSetupError),
    /// The way into the carrier does not start.
    #[error("the way into the carrier does not start")]
    CarrierStart(#[from] SipTransportError),
    /// The carrier did not take the registration, or a question.
    #[error("the carrier account is kept, and the carrier did not take the registration")]
    Carrier(#[source] SendFailure),
    /// What a probe sent did not come back as it was.
    #[error("{count} of the probe's messages did not arrive as they were sent")]
    ProbeLost {
        /// How many.
        count: usize,
    },
    /// A text on the command line is not what it should be.
    #[error("{what} is malformed")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// Its parser's code.
        code: &'static str,
    },
    /// No QR code was read from a picture.
    #[error("no code was read from {}", .path.display())]
    Picture {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: ScanPictureError,
    },
    /// A QR code was not written.
    #[error("no code was written to {}", .path.display())]
    QrFile {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: QrFileError,
    },
    /// What came from standard input is no recovery code.
    #[error("what came from standard input is no recovery code")]
    RecoveryCode(#[from] RecoveryCodeError),
    /// Another account is being taken back in this profile.
    #[error("account {account} is being taken back in this profile; finish that, or use another profile")]
    OtherTakeover {
        /// Which.
        account: AccountId,
    },
    /// No such message waits for a decision.
    #[error("no message with this id waits for you; `rcseal resend` lists them")]
    NotHeld,
    /// The server's map of this account's keys is not what is here.
    #[error("the server's keys of this account are not the ones known here, in {count} respect(s)")]
    KeysDisagree {
        /// How many.
        count: usize,
    },
    /// The server has not taken the key set without the device.
    #[error(
        "device {device} is still in the account: the server has not taken the change; `rcseal devices` says who is in it"
    )]
    NotRemoved {
        /// Which device.
        device: u8,
    },
    /// The message waits on this device: no server took it.
    #[error("the message waits here until the server can be reached; it goes out with the next command")]
    StillQueued,
    /// The message will not arrive.
    #[error("the message was not delivered: {}", undelivered(.reason))]
    NotDelivered {
        /// The reason's code.
        reason: &'static str,
    },
    /// The relay cannot start.
    #[error("the relay cannot start")]
    Start(#[from] StartError),
    /// The relay's development certificate.
    #[error("the relay's folder cannot be prepared")]
    Init(#[from] InitError),
    /// The relay makes no invites.
    #[error("the relay made no invite")]
    Admin(#[from] AdminSocketError),
    /// The demo was to run phones' code, and there is none.
    #[error("the phones' code is not built here: {} is not there", .missing.display())]
    PhonesNotBuilt {
        /// What was looked for.
        missing: PathBuf,
    },
    /// The file that says how the phones' code is started says something else.
    #[error("{} does not say how the phones' code is started", .path.display())]
    PhonesMalformed {
        /// The file.
        path: PathBuf,
    },
    /// A step of the demo could not be carried out.
    #[error("the demo stopped at {step:?}: {detail}")]
    Demo {
        /// Which step.
        step: String,
        /// What went wrong.
        detail: String,
    },
}

impl CliError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Client(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::File { .. } => "file",
            Self::NoDataFolder => "no_data_folder",
            Self::NoProfile { .. } => "no_account",
            Self::OtherServer { .. } => "account_other_server",
            Self::UnknownContact { .. } => "contact_unknown",
            Self::AmbiguousContact { .. } => "contact_ambiguous",
            Self::Refused { decision, .. } => decision.reason.code(),
            Self::WordsOnly => Reason::ContentUnfit.code(),
            Self::NoClaim { .. } => "number_not_waiting",
            Self::BrokerLied { code } | Self::CaseRefused { code } => code,
            Self::NoCarrier => "no_carrier",
            Self::NoCarrierAuthority => "carrier_authority_missing",
            Self::CarrierSettings => "carrier_settings",
            Self::CarrierTls(error) => error.code(),
            Self::CarrierStart(error) => error.code(),
            Self::Carrier(failure) => failure.code(),
            Self::ProbeLost { .. } => "probe_lost",
            Self::Malformed { code, .. } => code,
            Self::Picture { source, .. } => source.code(),
            Self::QrFile { .. } => "file",
            Self::RecoveryCode(error) => error.code(),
            Self::OtherTakeover { .. } => "account_other_takeover",
            Self::NotHeld => "resend_not_held",
            Self::KeysDisagree { .. } => "keys_disagree",
            Self::NotRemoved { .. } => "device_not_removed",
            Self::StillQueued => "still_queued",
            Self::NotDelivered { reason } => reason,
            Self::Start(error) => error.code(),
            Self::Init(error) => error.code(),
            Self::Admin(_) => "admin_socket",
            Self::PhonesNotBuilt { .. } => "phones_not_built",
            Self::PhonesMalformed { .. } => "phones_malformed",
            Self::Demo { .. } => "demo",
        }
    }

    /// What may be behind it, where the error itself is about something else.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Refused { whom, decision } => return next_step(decision, whom),
            Self::Client(ClientError::Net(error)) if error.problem() == Some(ProblemCode::LoginRefused) => Some(
                "note: to the server this device is none of the account's: it was removed, or the account was recovered or reset\n      \
                 on another device, or this device's own reset is not in force yet",
            ),
            Self::Client(ClientError::Net(error)) if error.problem() == Some(ProblemCode::ResetTicketRefused) => Some(
                "note: a reset that was begun in this profile with such a ticket cannot go on; `rcseal account reset abandon`\n      \
                 gives it up, and another attempt needs another ticket",
            ),
            Self::PhonesNotBuilt { .. } => {
                Some("note: `cargo xtask sdk cross` builds it; `--engines rust` does without")
            }
            Self::NotDelivered { reason: "no_keys" } => Some(
                "note: the devices that it was meant for are gone or have other keys; `rcseal contacts` says what changed,\n      \
                 `rcseal resend` what can be sent to the keys of now",
            ),
            Self::NotDelivered { reason: "carrier_failed" } => Some(
                "note: it is not sent again by itself; `rcseal carrier status` says whether the carrier can be reached",
            ),
            Self::Client(ClientError::Policy(PolicyError::NotAllowed)) => Some(
                "note: it takes `rcseal policy set downgrade` (for the contact and the tenant too, where they have a stricter one)\n      \
                 and your consent to that mode, `rcseal policy consent give`; `rcseal policy explain` shows both",
            ),
            Self::Client(ClientError::Policy(PolicyError::NoWayForMode { .. })) => Some(
                "note: what you agreed to before stays as it is; `rcseal policy explain` lists the ways that there are",
            ),
            Self::Client(ClientError::Plain(PlainError::UnknownThread)) => {
                Some("note: `rcseal threads` lists them, `rcseal thread open NUMBER NAME` begins one")
            }
            Self::Client(ClientError::Send(SendError::Content(ContentError::TooLong { field: "text" }))) => {
                return Some(format!(
                    "note: a text has at most {TEXT_LEN_MAX} bytes; what is longer can go as a file, with `--file`"
                ));
            }
            Self::Carrier(SendFailure::Unauthorized) => Some(
                "note: check the number, `--user`, `--domain` and the password file, and run `rcseal carrier set sip` again",
            ),
            Self::Carrier(SendFailure::NoAnswer | SendFailure::Unreachable) => Some(
                "note: check name, port and way (udp, tcp, tls) of `--registrar`, and with tls `--ca` and `--domain`, which its certificate\n      \
                 must be for; `rcseal carrier status` tries again",
            ),
            _ => None,
        };
        hint.map(str::to_owned)
    }

    /// What the process exits with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => client_exit(error),
            Self::Vault(_) => Exit::Store,
            Self::NoProfile { .. }
            | Self::OtherServer { .. }
            | Self::OtherTakeover { .. }
            | Self::UnknownContact { .. }
            | Self::AmbiguousContact { .. }
            | Self::NoClaim { .. }
            | Self::PhonesNotBuilt { .. }
            | Self::NoCarrier => Exit::NotHere,
            Self::BrokerLied { .. } => Exit::Unverified,
            Self::CaseRefused { .. } => Exit::Refused,
            Self::Refused { .. } | Self::ProbeLost { .. } => Exit::Refused,
            Self::WordsOnly | Self::NoCarrierAuthority => Exit::Usage,
            Self::CarrierSettings => Exit::Store,
            Self::CarrierTls(_) | Self::CarrierStart(_) => Exit::Failed,
            Self::Carrier(failure) => match failure {
                SendFailure::NoAnswer | SendFailure::Unreachable | SendFailure::Busy { .. } => Exit::Network,
                SendFailure::UnsupportedMedia
                | SendFailure::NotFound
                | SendFailure::TooLarge
                | SendFailure::Refused { .. }
                | SendFailure::Unauthorized
                | SendFailure::Unfit => Exit::Refused,
            },
            Self::Malformed { .. } | Self::NoDataFolder | Self::Trust(_) => Exit::Usage,
            Self::Picture { source: ScanPictureError::File(_), .. } => Exit::Failed,
            // What is in the picture takes the place of a text on the command line.
            Self::Picture { .. } => Exit::Usage,
            Self::RecoveryCode(_) => Exit::Usage,
            Self::NotHeld => Exit::NotHere,
            Self::KeysDisagree { .. } => Exit::Unverified,
            Self::NotRemoved { .. } => Exit::Refused,
            Self::StillQueued => Exit::Network,
            Self::NotDelivered { .. } => Exit::Refused,
            Self::File { .. }
            | Self::QrFile { .. }
            | Self::Start(_)
            | Self::Init(_)
            | Self::Admin(_)
            | Self::PhonesMalformed { .. }
            | Self::Demo { .. } => Exit::Failed,
        }
    }
}

fn claims(count: &usize) -> String {
    match count {
        0 => "no number of this account's is at that point; `rcseal number show` says how far each is".to_owned(),
        several => format!("{several} numbers are at that point; say which one"),
    }
}

impl From<EndpointError> for CliError {
    fn from(error: EndpointError) -> Self {
        Self::Client(error.into())
    }
}

/// A reason's sentence, to follow `error: `.
fn sentence(reason: Reason) -> String {
    let text = reason.text().trim_end_matches('.');
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Why a message will not arrive, in words; a code that has none stands for itself.
fn undelivered(code: &'static str) -> &'static str {
    match code {
        "carrier_failed" => "the carrier did not take it, or could not say that it had it",
        "not_allowed" => "what you had agreed to ended before it left",
        "refused" => "it was refused on its way",
        "unconfirmed" => {
            "the carrier never said that it had it: it may have arrived, and it is not sent again by itself"
        }
        other => other,
    }
}

/// A refusal of a message to somebody, said so that the user knows what would change it; another error as it is.
#[must_use]
pub fn with_recipient(error: impl Into<CliError>, whom: String) -> CliError {
    match error.into() {
        CliError::Client(
            ClientError::Send(SendError::Refused(refused)) | ClientError::Plain(PlainError::Refused(refused)),
        ) => CliError::Refused { whom, decision: Box::new(refused.decision) },
        other => other,
    }
}

/// What the user could do so that a message that is refused goes; `None` where it is not refused.
#[must_use]
pub fn next_step(decision: &Decision, whom: &str) -> Option<String> {
    if decision.mode().is_some() {
        return None;
    }
    let step = match (decision.reason, decision.consent) {
        (Reason::CapabilityUnknown, _) => format!(
            "ask them by another way. If they have RCSeal, take their invitation (`rcseal contact add`);\n      \
             if they have no encryption, say so: `rcseal policy absence attest {whom}`"
        ),
        (Reason::PolicyBlocks | Reason::PolicyVerifies, _) => {
            "`rcseal policy set downgrade` would let words go without encryption where you agree to it for the recipient".to_owned()
        }
        (Reason::KnownCapable, ConsentState::AcknowledgementNeeded) => format!(
            "to go without encryption all the same: `rcseal policy consent give {whom} carrier_readable --for 30d`,\n      \
             then `rcseal policy acknowledge {whom} carrier_readable`; they are told"
        ),
        (Reason::ConsentMissing, _) => format!("to agree: `rcseal policy consent give {whom} carrier_readable --for 30d`"),
        (Reason::NoWay, _) => "`rcseal carrier set sip` gives this device a way into a carrier".to_owned(),
        (Reason::ContentUnfit, _) => format!(
            "only words go without encryption. If you made it so for a contact who has encryption,\n      \
             `rcseal policy restore {whom}` ends that"
        ),
        _ => format!("`rcseal policy explain {whom}` says why"),
    };
    Some(format!("note: {step}"))
}

/// The error and its causes on one line, ended by the code: `error: … : … [code]`.
#[must_use]
pub fn describe(error: &CliError) -> String {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        // Transparent errors repeat their cause's words.
        if next != last {
            text.push_str(": ");
            text.push_str(&next);
        }
        last = next;
        cause = error.source();
    }
    // Causes may quote what a server said.
    format!("{} [{}]", crate::safe_text::one_line(&text), error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_ends_with_its_code() {
        let error = CliError::UnknownContact { name: "Zo\u{eb}\x1b[2J".to_owned() };
        assert_eq!(describe(&error), "error: no contact is called \"Zo\u{eb}\\u{1b}[2J\" [contact_unknown]");
        assert_eq!(error.exit(), Exit::NotHere);
    }
}
