//! The suite that every engine must pass: what [`crate::Store`] promises, as tests that take a store.
//!
//! [`run`] goes through all of it on one store; each part makes its own accounts and mailboxes, so parts do not disturb each other.
//! [`Fixture`] is what parts are written with. [`faults`] repeats whole scenarios with a store that fails at its n-th call.
//!
//! For tests: it panics on the first promise that is not kept.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

/// More than one repetition would hide that the first one was wrong.
const ATTEMPTS_MAX: usize = 2;

/// Repeats an operation that failed, as clients do.
macro_rules! persist {
    ($call:expr) => {{
        let mut attempts = 0;
        loop {
            attempts += 1;
            match $call.await {
                Ok(value) => break value,
                Err(error) => assert!(
                    attempts < $crate::conformance::ATTEMPTS_MAX,
                    "repeating after one fault did not help: {error:?}"
                ),
            }
        }
    }};
}

mod accounts;
mod blobs;
pub mod broker;
mod directory;
pub mod faults;
mod faulty;
mod faulty_broker;
mod fixture;
mod links;
mod mailboxes;
mod pushes;
mod retained;
mod takeovers;

pub use faulty::{FaultKind, FaultyStore};
pub use faulty_broker::FaultyBrokerStore;
pub use fixture::Fixture;

use crate::Store;

/// Runs the whole suite. The store should have the default limits but for `mailbox_envelopes_max` = [`ENVELOPES_MAX`] and
/// `mailbox_bytes_max` = [`BYTES_MAX`], `account_retained_messages_max` = [`RETAINED_MAX`] and `account_retained_bytes_max` =
/// [`RETAINED_BYTES_MAX`], and `account_retained_senders_min` = [`RETAINED_SENDERS_MIN`].
pub async fn run(store: &dyn Store) {
    mailboxes::run(store).await;
    directory::run(store).await;
    accounts::run(store).await;
    links::run(store).await;
    blobs::run(store).await;
    takeovers::run(store).await;
    retained::run(store).await;
    pushes::run(store).await;
}

/// The quota that the suite expects.
pub const ENVELOPES_MAX: u64 = 64;
/// The quota that the suite expects.
pub const RETAINED_MAX: u64 = 32;
/// The quota that the suite expects.
pub const RETAINED_BYTES_MAX: u64 = 64 * 1024;
/// Senders that it takes to use that up.
pub const RETAINED_SENDERS_MIN: u64 = 2;
/// The quota that the suite expects.
pub const BYTES_MAX: u64 = 1024 * 1024;
