//! A gateway by SMPP 3.4.
//!
//! [`SmppClient`] keeps one connection to an SMSC, bound as transceiver, transmitter or receiver, and comes back by itself when it breaks. At
//! most a window of messages waits for an answer; whoever submits beyond that waits. Answers are matched by sequence number and belong to the
//! connection that carried the question: a break leaves what was in flight *unconfirmed* ([`SendFailure::NoAnswer`]), and nothing of it is sent
//! again, because the SMSC may have taken it. What the SMSC refuses for being asked too fast (`ESME_RTHROTTLED`, `ESME_RMSGQFUL`) was not taken,
//! so that it is offered again more slowly.
//!
//! | module | what |
//! |---|---|
//! | `config` | what a client is told |
//! | [`pdu`] | PDUs, over the types of `rusmpp-core` |
//! | [`receipt`] | what an SMSC says of a message later, as text and as parameters |
//! | `client` | the gateway: window, throttling, segments |
//! | `link` | one connection: bind, read, write, life signs |
//! | `inbound` | what the SMSC sends |
//! | `groups` | receipts of segments, until the message is known |
//! | `table` | questions of one connection that wait for an answer |
//! | `status` | what an SMSC's refusal means |
//!
//! Why the codec is a crate's and the session ours: `docs/decisions/0021-smpp.md`. TLS, where it is configured, is TLS 1.3; SMPP has none of its own
//! and sends the password in clear.
//!
//! [`SendFailure::NoAnswer`]: rcseal_rcs::transport::SendFailure::NoAnswer

mod client;
mod config;
mod groups;
mod inbound;
mod link;
pub mod pdu;
pub mod receipt;
mod status;
mod table;

pub use self::client::{LinkState, SmppClient, Status};
pub use self::config::{BindMode, Config, Credentials, DefaultAlphabet, Limits, ReceiptIds, StartError, Timers};
pub(crate) use self::inbound::words_of;
