//! Encryption between two devices, for apps that have a transport and a directory of their own.
//!
//! An app with its own RCS stack, or its own servers, hands bytes in and gets bytes out: identity, prekeys and sessions (PQXDH and the
//! ratchets of `rcseal_signal`), over a store and a key vault that the app implements. No network, no files, no clock, no tasks.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rand_chacha::ChaCha20Rng;
//! use rand_chacha::rand_core::SeedableRng;
//! use rcseal_pairwise::{MemoryStore, MemoryVault, Moment, Pairwise};
//! # fn main() -> Result<(), rcseal_pairwise::PairwiseError> {
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let mut at = Moment { now_s: 1_800_000_000, rng: &mut rng };
//! let open = |seed, at: &mut Moment| {
//!     Pairwise::open(Arc::new(MemoryStore::new()), Arc::new(MemoryVault::new([seed; 32])), at)
//! };
//! let (alice, bob) = (open(1, &mut at)?, open(2, &mut at)?);
//!
//! // Bob publishes bundles in the app's directory; Alice's app fetches one.
//! let bundle = bob.bundles(1, &mut at)?.remove(0).to_bytes();
//! alice.get_or_create_session("bob", Some(&bundle), &mut at)?;
//! let message = alice.encrypt("bob", b"hello", &mut at)?;
//!
//! // The app carries the bytes as it likes.
//! assert_eq!(bob.decrypt("alice", &message, &mut at)?, b"hello");
//! let number = alice.safety_number("bob", &mut at)?.numeric();
//! assert_eq!(number, bob.safety_number("alice", &mut at)?.numeric());
//! # Ok(())
//! # }
//! ```
//!
//! | what | how |
//! |---|---|
//! | one commit per step | a ciphertext is answered when the state that made it is durable, a plaintext when its key is gone |
//! | the app's store sees | keyed hashes as names, sealed values, how many and how long |
//! | a store that was set back | is noticed by the vault's generation: its sessions are never used again, its prekeys are made anew |
//! | two processes | each commit is conditional on the one before; a step is made again over what the other wrote |
//! | who a peer is | the first bundle or message fixes it; another identity is an error until the app forgets the peer |
//! | both begin at once | both sessions read; they converge on one ([`rcseal_signal::Archive`]) |
//!
//! What it does not see: a copy of the store that was made since the last opening and is put back while nothing has the store open, where
//! the app was killed and did not close it. The formats are in `docs/protocol/pairwise.md`, the example for apps in
//! `docs/manual/crypto-only.md`.

mod batch;
mod error;
mod format;
mod head;
mod own;
mod pairwise;
mod sessions;
mod store;
mod vault;

pub use error::PairwiseError;
pub use format::{BUNDLE_LEN_MAX, Bundle, FormatError, Message, PAIRWISE_MESSAGE_LEN_MAX};
pub use own::{BUNDLES_AT_ONCE_MAX, LAST_RESORT_MAX, ONE_TIME_MAX, SIGNED_AGE_S};
pub use pairwise::{Moment, PEER_ID_LEN_MAX, Pairwise, PrekeyState, SessionView};
pub use rcseal_credential::SafetyNumber;
pub use store::{CryptoStore, HEAD, MemoryStore, StoreFault, StoreWrite};
pub use vault::{DataKeyVault, MemoryVault, VaultFault};

/// The example of the manual, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/manual/crypto-only.md")]
pub struct Manual;
