//! The moving parts by concept: the root key that mixes in Diffie-Hellman results (`root`), the chains that give every
//! message a seed (`chain`), the keys made from a seed (`message_keys`), and the post-quantum ratchet whose keys go into
//! them (`pq`). `docs/protocol/ratchet.md`, `docs/protocol/spqr.md`; Double Ratchet revision 4.

mod chain;
mod message_keys;
pub(crate) mod pq;
mod root;
#[cfg(test)]
pub(crate) mod work;

pub(crate) use chain::Chain;
pub(crate) use message_keys::{MessageKeys, OpenError};
pub(crate) use root::root_step;
