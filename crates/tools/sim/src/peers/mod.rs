//! Real SIP peers, started for a test and stopped with it.
//!
//! Kamailio is a carrier: registrar and proxy, trusted trunk, store, MSRP relay, and by its [`Mangle`] scripts a carrier that changes,
//! refuses or loses what it carries. `linphonec` is somebody's other client. SIPp makes load and malformed traffic. All three are
//! Debian packages. [`jasmin`] is an SMSC and a gateway for short messages, out of PyPI. `cargo xtask test --only packages` installs them; they
//! run as processes on loopback, on ports of their own, out of a temporary folder. They are not linked and not shipped.
//!
//! A peer lives as long as the value that stands for it, and ends with our process however that ends ([`process`]). Starting one waits
//! until it answers; nothing here sleeps and hopes.

pub mod command;
pub mod files;
pub mod jasmin;
pub mod kamailio;
pub mod line;
pub mod linphone;
pub mod mangle;
pub mod probe;
mod process;
mod runs;
pub mod sipp;

use std::io;
use std::process::{Command, Stdio};

pub use self::jasmin::Jasmin;
pub use self::kamailio::{Digest, Kamailio, Role, Setup, User};
pub use self::line::{Line, Over};
pub use self::linphone::Linphone;
pub use self::mangle::Mangle;

/// The programs, and what tells that one is there.
const PROGRAMS: [(&str, &str); 4] =
    [("kamailio", "-v"), ("linphonec", "--version"), ("sipp", "-v"), ("sqlite3", "--version")];

/// The first program that is needed and does not answer.
#[must_use]
pub fn missing_program() -> Option<&'static str> {
    PROGRAMS.into_iter().map(|(program, _)| program).find(|program| version(program).is_none()).or_else(jasmin::missing)
}

/// What a program says of its version: the first line in which a digit stands.
#[must_use]
pub fn version(program: &str) -> Option<String> {
    let (_, flag) = PROGRAMS.into_iter().find(|(name, _)| *name == program)?;
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let line = text.lines().find(|line| line.contains(|letter: char| letter.is_ascii_digit()))?;
    Some(line.trim().to_owned())
}

/// Measures our SMPP client beside the SMSC's own limit, with a Jasmin of its own, and adds the figures to a report.
///
/// # Errors
/// Jasmin did not become ready, or our client was not bound.
pub async fn measure_submits(
    report: &mut rcseal_report::Report,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    runs::sms::speed(report).await.map_err(Into::into)
}

/// A peer that did not do what the test needs of it before it can begin.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A program is not installed, or may not be run.
    #[error("cannot start {program}")]
    Start {
        /// Which.
        program: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file or socket of the test could not be made.
    #[error("cannot prepare {what}")]
    Prepare {
        /// What.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate of the test could not be made.
    #[error("no certificate for the peer")]
    Certificate(#[source] rcgen::Error),
    /// A helper program failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// The end of what it printed.
        said: String,
    },
    /// It started, and did not become ready in time.
    #[error("{program} did not become ready: {said}")]
    NotReady {
        /// Which.
        program: &'static str,
        /// The end of its log.
        said: String,
    },
}

impl PeerError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Start { .. } => "peer_start",
            Self::Prepare { .. } => "peer_prepare",
            Self::Certificate(_) => "peer_certificate",
            Self::Failed { .. } => "peer_failed",
            Self::NotReady { .. } => "peer_not_ready",
        }
    }
}

/// Makes the error for something of the test's own that failed.
fn prepare(what: &'static str) -> impl FnOnce(io::Error) -> PeerError {
    move |source| PeerError::Prepare { what, source }
}
