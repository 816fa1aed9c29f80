//! The shell's parts against the world they meet: files, processes that hold a lock, and servers that misbehave.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod carrier;
mod client;
mod content;
mod identity;
mod net;
mod remote;
mod retained;
mod sms;
mod store;
mod support;
mod tx_conformance;
mod vault;
