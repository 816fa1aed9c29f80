//! The store from outside.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

mod blobs;
mod broker;
mod disk_full;
mod engine;
mod model;
mod power_cut;
mod takeover_model;
