//! The Double Ratchet's moving parts by concept: the root key that mixes in Diffie-Hellman results, the chains that
//! give every message a seed, the keys made from a seed, and the post-quantum ratchet whose keys go
//! into them. `docs/protocol/ratchet.md`, `docs/protocol/spqr.md`; Double Ratchet revision 4.

mod chain;
mod message_keys;
pub(crate) mod pq;
mod root;
#[cfg(test)]
pub(crate) mod work;

pub(crate) use chain::Chain;
pub(crate) use message_keys::{MessageKeys, OpenError};
pub(crate) use root::root_step;
