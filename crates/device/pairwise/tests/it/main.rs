//! The crypto-only level, as an app with its own transport sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod formats;
mod peers;
mod sessions;
mod store;
mod support;
