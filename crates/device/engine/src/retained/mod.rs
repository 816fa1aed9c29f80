//! Server-side encryption: words that are sealed to the key of the account's server, whose operator can read them and keeps them.
//!
//! It is a readable mode like the others: a message goes so only after a decision that takes policy, consent and the user's acknowledgement
//! for the conversation ([`crate::policy`]), under a permit of that mode. What it adds is a key, held where the operator's law wants it, and
//! an audit of every reading; neither makes it end to end, and both ends show who can read.
//!
//! | file | what |
//! |---|---|
//! | `key.rs` | the server's key: pinned, changed, gone |
//! | `outbound.rs` | words on their way: sealed once, submitted until the server has them |
//! | `inbound.rs` | what the server keeps for this account: into a conversation whose other side announced it, or apart |
//!
//! The server says who wrote what it hands out, and nothing else proves it. So a message of it comes into a conversation only where the other
//! side has announced this mode inside a session, and is shown as readable by the server there. What nobody announced is listed
//! apart ([`retained_unannounced`](crate::Engine::retained_unannounced)).
//!
//! Specification: `docs/protocol/delivery.md`, and for the server's side `docs/protocol/server-encryption.md`.

mod inbound;
mod key;
mod outbound;

pub use inbound::{RETAINED_UNANNOUNCED_MAX, RetainedMessage, RetainedTaken, UnannouncedView};
pub use key::{RetainedError, ServerKeyChange, ServerKeyFault, ServerKeyState, ServerKeyView};
pub use outbound::{RetainedFailure, RetainedOutgoing, Submission};
