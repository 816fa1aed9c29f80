//! `rcseald`: relay, directory and blobs, blind to what they carry.
//!
//! A thin shell: sockets, TLS, login, limits and storage around bytes that only devices can read. It never links a crate of
//! `device/`, and holds no message key.
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`init`] | the operator's file; a development set-up |
//! | `net`, `tls` | sockets, handshakes, limits per connection |
//! | `app`, `body`, `refusal`, `linger` | the router; bodies within limits; problem documents, and making sure that they are heard |
//! | `carried_out` | what is done to its end although the caller hung up |
//! | `auth`, `account`, `admission` | login, registration, who may register |
//! | `directory`, `blob`, `link` | key sets and prekeys, encrypted media, linking slots |
//! | `takeover` | recovery and reset of accounts without their devices |
//! | `mailbox` | the message plane |
//! | `admin`, [`metrics`], `jobs`, `log` | operating it |
//! | `watch` | showing a demonstration what is submitted |
//!
//! [`Server::start`] is the way in, for the binary, for `rcseal serve` and for tests.

mod account;
mod admin;
mod admission;
mod answers;
mod app;
mod auth;
mod blob;
mod body;
mod carried_out;
pub mod cli;
pub mod clock;
pub mod config;
mod directory;
mod error;
pub mod init;
mod jobs;
mod limiter;
mod linger;
mod link;
pub mod log;
mod mailbox;
pub mod metrics;
mod net;
mod refusal;
mod server;
mod state;
mod takeover;
mod tls;
mod watch;

#[cfg(unix)]
pub use admin::{AdminSocketError, cancel_reset, create_invite, create_reset_ticket, list_resets};
pub use app::openapi_document;
pub use config::Config;
pub use error::StartError;
pub use jobs::{SweepError, Swept};
pub use server::{RunningServer, Server};
pub use tls::TlsError;
pub use watch::{Submitted, Watcher};
