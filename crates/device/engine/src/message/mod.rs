//! Messages: what a conversation holds, and what became of it.
//!
//! A message has one row. For one we sent there is also a row per recipient device; the message's state is the furthest that any device of
//! the other side has come:
//!
//! `queued` → `stored` (every envelope is durable at a relay) → `delivered` (a device decrypted it) → `read`; or `undecryptable` when a
//! device could not read it and none could, or `failed` when no envelope will ever be taken.

mod change;
mod delivery;
mod record;
mod state;

pub(crate) use delivery::{DeliveryState, MessageKey};
pub(crate) use record::Message;
pub use record::{EncryptionStatus, MessageView, ReactionView};
pub use state::{FailureReason, MessageState};
