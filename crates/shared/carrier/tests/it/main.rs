//! Carriers, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod business;
mod ft;
mod host;
mod msrp;
mod sip;
mod sip_transport;
mod sms;
