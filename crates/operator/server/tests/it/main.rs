//! The server from outside: real TLS, real HTTP, a real store on disk, one server per test on a free port.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

mod accounts;
mod blobs;
#[cfg(unix)]
mod command;
mod config;
mod directory;
mod ending;
mod hostile;
mod limits;
mod links;
mod login;
mod logs;
mod mailbox;
mod mailbox_crash;
mod mailbox_faults;
mod openapi;
mod operation;
mod push;
mod recovery;
mod reset;
#[cfg(unix)]
mod retained;
mod support;
#[cfg(unix)]
mod takeover_crash;
mod takeover_races;
