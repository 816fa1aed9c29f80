//! Messages through a broker: a real relay, a real broker, and a carrier that is a SIP user agent of ours.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

#[path = "../../../server/tests/it/support/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../it/support/keys.rs"]
#[allow(dead_code)]
mod keys;

mod business;
mod inbound;
#[cfg(unix)]
mod kill;
mod outbound;
mod world;

use client::{Client, Reply};
