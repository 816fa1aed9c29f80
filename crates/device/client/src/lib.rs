//! The shell round the engine: the encrypted store, the key vault, the network, and the client that drives the three.
//!
//! The engine decides; this crate carries out. It owns everything the engine may not touch: files, sockets, the clock, the system's
//! randomness, and tasks.
//!
//! | module | what |
//! |---|---|
//! | [`client`] | the handle that apps hold |
//! | [`store`] | SQLCipher behind the engine's [`rcseal_engine::store::Tx`] |
//! | [`vault`] | who keeps the key that wraps the store's key |
//! | [`net`] | TLS, HTTP and WebSockets on an authenticated and an anonymous plane |
//! | [`backup`] | the file of a backup, and the secret that opens it |
//! | [`recovery_code`] | the recovery key as people write it down |
//! | [`backoff`] | how long to wait before the next attempt |

pub mod backoff;
pub mod backup;
pub mod client;
mod files;
pub mod net;
pub mod recovery_code;
pub mod store;
mod thumbnail;
pub mod vault;

pub use client::{Client, ClientError, Config};
