//! What is run against real peers, each run with promises of its own.

pub(super) mod carrying;
pub(super) mod clients;
pub(super) mod faulty;
pub(super) mod hostile;
pub(super) mod legacy;
pub(super) mod registering;
pub(super) mod sessions;
pub(super) mod sms;
pub(super) mod storing;
pub(super) mod trunk;

use std::time::Duration;

use rcseal_rcs::transport::SendFailure;
use rcseal_report::{Report, Row};

use super::PeerError;
use super::line::LineError;
use crate::matrix::MatrixError;

/// How long something that is sure to come may take on a machine with other work.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// For how long nothing may come before nothing more is expected. Two messages of one send follow each other within milliseconds, and the
/// slowest script holds one back for 400.
pub(super) const SILENCE: Duration = Duration::from_millis(900);

/// A run that could not be made: its peer or our own side did not come as far as what it is about.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// The peer.
    #[error("the peer is not ready")]
    Peer(#[from] PeerError),
    /// Our user agent.
    #[error("our user agent is not ready")]
    Line(#[from] LineError),
    /// One of our clients, or its relay.
    #[error("a client is not ready")]
    Client(#[from] MatrixError),
    /// Our client of an SMSC.
    #[error("a client of the SMSC cannot be started")]
    Smpp(#[from] rcseal_carrier::sms::smpp::StartError),
    /// Our adapter for a gateway.
    #[error("the gateway cannot be used")]
    Gateway(#[from] rcseal_carrier::sms::http_gateway::ConfigError),
    /// A message that the run needs to go through.
    #[error("a message did not go through")]
    Send(#[from] SendFailure),
}

/// Adds a promise that is kept when what was seen is what was expected. The row shows what was seen.
pub(super) fn expect(report: &mut Report, id: &str, seen: &str, expected: &str) {
    report.promise_row(Row::equal(id, seen, "").goal(expected));
}
