//! The client for other languages. Translation only: nothing here decides anything.
//!
//! Kotlin, Swift and Python get this crate through UniFFI, Node through N-API; the hand-written layers on top are in `sdk/`. Rules that
//! hold for every export:
//!
//! - it answers a `Result`, because a panic behind a function that cannot fail takes the app down;
//! - what changes something is *detached* ([`runtime`]): Kotlin and Python drop a future when its task is cancelled, Swift lets it run on,
//!   and the same call must not end half-way on one platform and not on the other;
//! - it is coarse: a call over the border costs microseconds, so messages come in pages and an object has no getter per field;
//! - what an app implements ([`vault::KeyVault`], listeners) is synchronous, is called on a thread of its own, and
//!   never under a lock;
//! - secret bytes cross only where a data key is wrapped and unwrapped, and where a user has to write something down;
//! - ids cross as the strings that the rest of the system writes them as, times as milliseconds since 1970, files as paths.
//!
//! | module | what |
//! |---|---|
//! | [`client`] | opening, closing, the account |
//! | [`connection`] | the background run |
//! | [`contact`], [`conversation`], [`message`], [`safety`] | whom one writes to, and what |
//! | [`device`] | further devices of the account |
//! | [`observe`] | listeners |
//! | [`hand_over`] | for apps with an RCS stack of their own |
//! | [`push`] | wake-ups, and what a notification says |
//! | [`backup`] | archives, and the end of an account |
//! | [`remote`] | counts for the maker of the app, and what the maker may set from afar |
//! | [`crypto_only`] | sessions alone, for apps with their own transport |
//! | [`words`] | what users read about states |
//! | [`vault`] | the key vault, as apps implement it |

#[cfg(feature = "client")]
mod argument;
#[cfg(feature = "client")]
pub mod backup;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod config;
#[cfg(feature = "client")]
pub mod connection;
#[cfg(feature = "client")]
pub mod contact;
#[cfg(feature = "client")]
pub mod conversation;
#[cfg(feature = "crypto-only")]
pub mod crypto_only;
#[cfg(feature = "client")]
pub mod device;
pub mod error;
#[cfg(feature = "client")]
pub mod hand_over;
#[cfg(feature = "client")]
mod inner;
#[cfg(feature = "client")]
pub mod message;
#[cfg(feature = "client")]
mod model;
#[cfg(feature = "node")]
mod node;
#[cfg(feature = "client")]
pub mod observe;
#[cfg(feature = "client")]
pub mod policy;
#[cfg(feature = "client")]
pub mod push;
#[cfg(feature = "client")]
pub mod remote;
#[cfg(feature = "client")]
mod runtime;
#[cfg(feature = "client")]
pub mod safety;
pub mod vault;
#[cfg(feature = "client")]
pub mod words;

#[cfg(feature = "client")]
pub use client::RcsealClient;
#[cfg(feature = "client")]
pub use config::ClientConfig;
pub use error::RcsealError;
#[cfg(feature = "client")]
pub use model::Platform;

uniffi::setup_scaffolding!("rcseal");
