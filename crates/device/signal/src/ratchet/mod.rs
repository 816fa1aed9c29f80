//! The Double Ratchet's moving parts by concept: the root key that mixes in Diffie-Hellman results, the chains that
//! give every message a seed, the keys made from a seed, and the place of the post-quantum ratchet.
//! `docs/protocol/ratchet.md`; Double Ratchet revision 4.

mod chain;
mod message_keys;
mod pq;
mod root;

pub(crate) use chain::Chain;
pub(crate) use message_keys::{MessageKeys, OpenError};
pub(crate) use pq::PqRatchet;
pub(crate) use root::root_step;
