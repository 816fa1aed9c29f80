//! `rcseald`: relay, directory and blobs, blind to what they carry, but for messages that are meant to be readable here.
//!
//! A thin shell: sockets, TLS, login, limits and storage around bytes that only devices can read. It never links a crate of
//! `device/`, and holds no message key.
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`init`] | the operator's file; a development set-up |
//! | `app`, `limiter` | the router; who may ask how often |
//! | `auth`, `account`, `admission` | login, registration, who may register |
//! | `directory`, `blob`, `link` | key sets and prekeys, encrypted media, linking slots |
//! | `takeover` | recovery and reset of accounts without their devices |
//! | `mailbox` | the message plane |
//! | `retained`, `kms` | where the operator turned it on: messages that this server can read, and the module that holds the key |
//! | `push` | waking devices that are not connected |
//! | `admin`, [`metrics`], `jobs` | operating it |
//! | `watch` | showing a demonstration what is submitted |
//!
//! Sockets, TLS, bodies, refusals and logins are [`rcseal_front`]'s.
//!
//! [`Server::start`] is the way in, for the binary, for `rcseal serve` and for tests.

mod account;
mod admin;
mod admission;
mod app;
mod auth;
mod blob;
pub mod cli;
pub mod config;
mod directory;
mod error;
pub mod init;
mod jobs;
mod kms;
mod limiter;
mod link;
mod mailbox;
pub mod metrics;
mod push;
mod retained;
mod server;
mod state;
mod takeover;
mod watch;

#[cfg(unix)]
pub use admin::{ActorLine, AuditError, AuditLine, check_retained, list_retained, read_audit, read_retained};
#[cfg(unix)]
pub use admin::{AdminSocketError, cancel_reset, create_invite, create_reset_ticket, list_resets};
pub use app::openapi_document;
pub use config::Config;
pub use error::StartError;
pub use jobs::{SweepError, Swept};
pub use push::{PushSink, PushSinkError};
pub use rcseal_front::tls::TlsError;
pub use rcseal_front::{clock, log};
pub use rcseal_store::PushTarget;
pub use server::{RunningServer, Server};
pub use watch::{Submitted, Watcher};
