//! PQXDH, the Double Ratchet and the sparse post-quantum ratchet as pure state machines.
//!
//! What two devices need to write to each other end to end: an asynchronous handshake that a quantum computer does not
//! break (X25519 + ML-KEM-1024), and a ratchet that gives every message its own key and heals from a stolen state, also
//! against a quantum computer (ML-KEM-768 over many messages). Sans-I/O: randomness is an argument, storage is a
//! returned [`Delta`], there is no clock. The formats are one-page specifications: `docs/protocol/pqxdh.md`,
//! `docs/protocol/ratchet.md`, `docs/protocol/spqr.md`, and `docs/protocol/signal-v4.md` for the opt-in profile that talks
//! to libsignal.
//!
//! The way in, one type per step:
//!
//! ```text
//! initiator   PreKeyBundle --verify--> VerifiedBundle --Session::initiate--> Session --encrypt--> Step { output, delta }
//! responder   bytes --PreKeyMessage::parse--> PreKeyMessage --Session::accept--> Accepting --decrypt_first--> Accepted { session, .. }
//! ever after  session.encrypt / session.decrypt --> Step; store the delta; session.apply(&delta)
//! ```
//!
//! Where nothing outside tells which session a message belongs to, an [`Archive`] holds all sessions with one device.
//!
//! ```
//! use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! use rcseal_signal::*;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = ChaCha20Rng::seed_from_u64(1);
//! let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
//! let (alice_at, bob_at) = (Address::new([1; 16], 1), Address::new([2; 16], 1));
//!
//! // Bob publishes prekeys; the directory hands them out as a bundle.
//! let signed = SignedPreKey::generate(&mut rng, Profile::Native, 1, &bob)?;
//! let kem = KemPreKey::generate(&mut rng, Profile::Native, 2, &bob)?;
//! let bundle =
//!     PreKeyBundle { identity: bob.public(), signed_prekey: signed.public(), kem_prekey: kem.public(), one_time: None };
//!
//! // Alice verifies it, checks it against Bob's key set (the peer she names) and writes.
//! let bob_device = Peer { address: bob_at, identity: bob.public() };
//! let verified = bundle.verify(Profile::Native)?;
//! let mut session = Session::initiate(&mut rng, Profile::Native, &alice, alice_at, bob_device, verified)?;
//! let sent = session.encrypt(&mut rng, b"hello")?;
//! session.apply(&sent.delta)?; // after it is stored
//!
//! // Bob reads the ids, loads those keys, and has a session only if the message inside is genuine.
//! let message = PreKeyMessage::parse(&sent.output)?;
//! let alice_device = Peer { address: alice_at, identity: alice.public() };
//! let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: None };
//! let accepted = Session::accept(Profile::Native, &bob, bob_at, alice_device, message, keys)?.decrypt_first()?;
//! assert_eq!(accepted.plaintext, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! The crate needs `alloc` and, with feature `portable` in place of the default `aws-lc`, no standard library.
//!
//! What the crate never does: create state for a message that did not authenticate, reuse a message key, fall back to
//! another profile, print a secret, panic on a peer's bytes. It is own cryptographic protocol code and has not been
//! audited.
//!
//! ## What does not compile
//!
//! The chains of types above are meant to be walked in one direction, and the compiler sees to it. A bundle that nobody has verified
//! begins no session:
//!
//! ```compile_fail,E0308
//! # use rcseal_signal::*;
//! # fn wrong(rng: &mut dyn rand_core::CryptoRng, ours: &IdentityKeyPair, at: Address, peer: Peer, bundle: PreKeyBundle) {
//! let session = Session::initiate(rng, Profile::Native, ours, at, peer, bundle);
//! # }
//! ```
//!
//! and nobody but [`PreKeyBundle::verify`] makes a verified one:
//!
//! ```compile_fail,E0451
//! # use rcseal_signal::*;
//! # fn wrong(bundle: PreKeyBundle) {
//! let verified = VerifiedBundle { profile: Profile::Native, bundle };
//! # }
//! ```
//!
//! It begins one session, because a one-time prekey serves one:
//!
//! ```compile_fail,E0382
//! # use rcseal_signal::*;
//! # fn wrong(rng: &mut dyn rand_core::CryptoRng, ours: &IdentityKeyPair, at: Address, peer: Peer, bundle: VerifiedBundle) {
//! let _ = Session::initiate(rng, Profile::Native, ours, at, peer, bundle);
//! let _ = Session::initiate(rng, Profile::Native, ours, at, peer, bundle);
//! # }
//! ```
//!
//! A handshake whose first message has not been authenticated is no session, and it is used up by the attempt:
//!
//! ```compile_fail,E0599
//! # use rcseal_signal::*;
//! # fn wrong(rng: &mut dyn rand_core::CryptoRng, accepting: Accepting) {
//! accepting.encrypt(rng, b"too early");
//! # }
//! ```
//!
//! ```compile_fail,E0382
//! # use rcseal_signal::*;
//! # fn wrong(accepting: Accepting) {
//! let _ = accepting.decrypt_first();
//! let _ = accepting.decrypt_first();
//! # }
//! ```
//!
//! A step that is dropped has not happened, and the compiler warns, for a session and for an archive. What it does not see is an
//! output that leaves while its delta is dropped; see [`Step`].
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! # use rcseal_signal::*;
//! # fn wrong(rng: &mut dyn rand_core::CryptoRng, session: &Session) -> Result<(), EncryptError> {
//! session.encrypt(rng, b"never stored")?;
//! # Ok(())
//! # }
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! # use rcseal_signal::*;
//! # fn wrong(archive: &Archive, rows: &dyn ArchiveRows, message: &[u8]) -> Result<(), ArchiveDecryptError> {
//! archive.decrypt(rows, message)?;
//! # Ok(())
//! # }
//! ```
//!
//! A change is not made up, and that of an archive is applied once. (Of a session's delta, which is borrowed because a store reads it as
//! well, [`Session::apply`] checks whose it is and that it is the next one.)
//!
//! ```compile_fail,E0451
//! # use rcseal_signal::*;
//! # fn wrong(delta: Delta) {
//! let other = Delta { insert: Vec::new(), ..delta };
//! # }
//! ```
//!
//! ```compile_fail,E0382
//! # use rcseal_signal::*;
//! # fn wrong(archive: &mut Archive, change: ArchiveChange) {
//! let _ = archive.apply(change);
//! let _ = archive.apply(change);
//! # }
//! ```
//!
//! Nothing with a secret in it is copied or written out by accident, and secrets are not compared with `==`:
//!
//! ```compile_fail,E0277
//! # use rcseal_signal::*;
//! fn copied<T: Clone>() {}
//! copied::<Session>();
//! ```
//!
//! ```compile_fail,E0277
//! # use rcseal_signal::*;
//! fn written<T: serde::Serialize>() {}
//! written::<Session>();
//! ```
//!
//! ```compile_fail,E0277
//! # use rcseal_signal::*;
//! fn copied<T: Clone>() {}
//! copied::<IdentityKeyPair>();
//! ```
//!
//! ```compile_fail,E0277
//! # use rcseal_signal::*;
//! fn copied<T: Clone>() {}
//! copied::<Record>();
//! ```
//!
//! ```compile_fail,E0277
//! # use rcseal_signal::*;
//! fn copied<T: Clone>() {}
//! copied::<SkippedRow>();
//! ```
//!
//! ```compile_fail,E0369
//! # fn wrong(one: rcseal_crypto::Secret<32>, other: rcseal_crypto::Secret<32>) -> bool {
//! one == other
//! # }
//! ```

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod accept;
mod address;
mod archive;
#[cfg(feature = "audit")]
mod audit;
mod bundle;
mod delta;
mod identity;
mod initiate;
mod kdf;
mod kem;
mod message;
mod pqxdh;
mod prekey;
mod profile;
mod ratchet;
mod receive;
mod record;
mod session;
mod skipped;
mod state;

pub use accept::{AcceptError, Accepted, Accepting, ResponderKeys};
pub use address::Address;
pub use archive::{
    ARCHIVED_MAX, AddError, Archive, ArchiveChange, ArchiveDecryptError, ArchiveEncryptError, ArchiveRows, ArchiveStep,
    MemoryArchive, RestoreError, SessionId, StaleChange, UNANSWERED_AGE_MAX,
};
pub use bundle::{BundleError, KemPreKeyPublic, OneTimePreKeyPublic, PreKeyBundle, SignedPreKeyPublic, VerifiedBundle};
pub use delta::{Delta, StaleDelta, Step};
pub use identity::{IdentityKey, IdentityKeyPair, Peer};
pub use initiate::{InitiateError, Local};
pub use kem::{KEM_CIPHERTEXT_LEN, KEM_PUBLIC_KEY_LEN, KemCiphertext, KemPublicKey};
pub use message::{MESSAGE_LEN_MAX, MessageForm, ParseError, PreKeyMessage};
pub use prekey::{KemPreKey, OneTimePreKey, PreKeyFormatError, PreKeyKind, SignedPreKey};
pub use profile::{EC_KEY_LEN, Profile, ProfileUnavailable};
pub use ratchet::pq::{PQ_FORWARD_JUMP_MAX, PqRefusal};
pub use receive::{DecryptError, FORWARD_JUMP_MAX};
pub use record::{Record, RecordError};
pub use session::{EncryptError, NotPending, PLAINTEXT_LEN_MAX, Session};
pub use skipped::{
    Evict, LookupFailed, MemorySkippedKeys, SKIPPED_MAX, SkippedId, SkippedKeys, SkippedKind, SkippedRow,
};
pub use state::Role;
