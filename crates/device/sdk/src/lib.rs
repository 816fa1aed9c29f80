//! The client for other languages. Translation only: nothing here decides anything.
//!
//! Kotlin, Swift and Python get this crate through UniFFI, Node through N-API; the hand-written layers on top are in `sdk/`. Rules that
//! hold for every export:
//!
//! - it answers a `Result`, because a panic behind a function that cannot fail takes the app down;
//! - what changes something is *detached* ([`runtime`]): Kotlin and Python drop a future when its task is cancelled, Swift lets it run on,
//!   and the same call must not end half-way on one platform and not on the other;
//! - it is coarse: a call over the border costs microseconds, so messages come in pages and an object has no getter per field;
//! - what an app implements ([`vault::KeyVault`], listeners) is synchronous, is called on a thread of its own, and never under a lock;
//! - secret bytes cross only where a data key is wrapped and unwrapped, and where a user has to write something down.

pub mod client;
pub mod config;
pub mod error;
mod runtime;
pub mod vault;

pub use client::RcsealClient;
pub use config::ClientConfig;
pub use error::RcsealError;

uniffi::setup_scaffolding!("rcseal");
