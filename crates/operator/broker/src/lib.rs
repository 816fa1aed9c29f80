//! `rcseal-broker`: which account a phone number belongs to, and the way between carriers and mailboxes.
//!
//! It verifies that somebody has a number, countersigns the mapping that the account has signed, and passes ciphertext from a carrier to a
//! mailbox and back. It holds no message key, links no crate of `device/`, and puts mail into mailboxes only through the relay's own API.
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`init`], [`cli`] | the operator's file, keys and commands |
//! | `enrolment` | accounts that show themselves, and their login |
//! | `number` | claims with one-time codes, mappings, changes of hands |
//! | `lookup` | from a number to an account |
//! | `forward` | messages between carriers and mailboxes |
//! | `business` | messages of agents, their reports, and SMS in their place |
//! | [`code`], [`notice`] | the ways out: codes to numbers, notices to mailboxes |
//! | `relay` | asking a relay which key set is the newest |
//! | `admin`, [`metrics`], `jobs`, `hashes` | operating it |
//!
//! [`Broker::start`] is the way in, for the binary, for demonstrations and for tests. Spec: `docs/protocol/broker.md`.

mod about;
mod admin;
mod app;
mod business;
pub mod cli;
pub mod code;
pub mod config;
mod enrolment;
mod error;
mod forward;
mod hashes;
pub mod init;
mod jobs;
mod lookup;
pub mod metrics;
pub mod notice;
mod number;
mod relay;
mod server;
mod state;

#[cfg(unix)]
pub use admin::{AdminSocketError, audit, number_ported, number_state};
pub use app::openapi_document;
pub use business::setup::WayError;
pub use config::Config;
pub use error::StartError;
pub use jobs::{SweepError, Swept};
pub use relay::RelayTrustError;
pub use server::{Broker, Parts, RunningBroker, WrapStore};
