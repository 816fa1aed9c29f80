//! ML-KEM-768 in pieces, for a ratchet that sends a key and a ciphertext over many messages.
//!
//! It is plain FIPS 203: a whole key pair and a whole ciphertext are only cut where the algorithm allows one half to be made without the
//! other. The encapsulation key is a *vector* (the encoded t-hat) and rho; the first 960 bytes of a ciphertext, *ct1*, depend on rho and
//! on the hash of the key, the last 128, *ct2*, on the vector as well. So a peer who has the 64-byte *header* (rho and that hash) knows
//! the shared secret and can send ct1 while the vector is still under way, and ct1 then ct2 decapsulates like any other ciphertext.
//!
//! The one check this adds to FIPS 203 follows from it: a vector that arrives later must belong to the header that was encapsulated to.
//! [`Encapsulation::finish`] refuses one that does not hash to it, and one that fails the modulus check (FIPS 203, 7.2).
//!
//! **What may be stored.** Seeds, messages, headers, vectors and ciphertexts, which have standard encodings. The state between the two
//! halves has none: [`Encapsulation::begin`] makes it again from header and message, and it never leaves this module.
//!
//! **What is erased.** Seeds, messages, shared secrets, the expanded private key and the state between the halves. The working values of
//! libcrux on the stack are not: it offers no way to reach them.

use alloc::boxed::Box;
use core::fmt;

use thiserror::Error;

use super::{CIPHERTEXT_LEN, Expanded, KeyError, PUBLIC_KEY_LEN, PublicKey, incremental};
use crate::Secret;
use crate::hash::sha3_256;
use crate::x25519::Hex;

pub use super::SEED_LEN;

/// Bytes of a header: rho, then SHA3-256 of the vector and rho, which is the H(ek) of FIPS 203.
pub const HEADER_LEN: usize = 64;
/// Bytes of the encoded t-hat.
pub const VECTOR_LEN: usize = 1152;
/// Bytes of the first part of a ciphertext, the compressed u.
pub const CT1_LEN: usize = 960;
/// Bytes of the second part of a ciphertext, the compressed v.
pub const CT2_LEN: usize = 128;
/// Bytes of the message m that an encapsulation is made from.
pub const MESSAGE_LEN: usize = 32;

const RHO_LEN: usize = 32;
const STATE_LEN: usize = incremental::encaps_state_len();

const _: () = assert!(VECTOR_LEN + RHO_LEN == PUBLIC_KEY_LEN && CT1_LEN + CT2_LEN == CIPHERTEXT_LEN);
const _: () = assert!(incremental::pk1_len() == HEADER_LEN && incremental::pk2_len() == VECTOR_LEN);

/// Why a vector was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VectorError {
    /// Vector and rho do not hash to the value in the header.
    #[error("the vector does not belong to the header")]
    NotOfHeader,
    /// A coefficient is not reduced modulo q (FIPS 203, 7.2).
    #[error("the vector fails the modulus check")]
    Modulus,
}

impl VectorError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOfHeader => "mlkem_vector_not_of_header",
            Self::Modulus => "mlkem_vector_modulus",
        }
    }
}

/// What a library must offer for the split: the seam at which it can be exchanged.
///
/// All of it is deterministic and takes and returns standard encodings, except [`SplitKem::State`], which lives in memory only.
pub trait SplitKem {
    /// An expanded key pair.
    type Keys;
    /// What the first half of an encapsulation hands to the second.
    type State;

    /// ML-KEM.KeyGen from the seed (d, z).
    fn generate(seed: &Secret<SEED_LEN>) -> Self::Keys;
    /// Header and vector of the encapsulation key.
    fn public(keys: &Self::Keys) -> (&[u8; HEADER_LEN], &[u8; VECTOR_LEN]);
    /// ct1, the shared secret and the state, from a header and the message m.
    fn encapsulate1(
        header: &[u8; HEADER_LEN],
        message: &Secret<MESSAGE_LEN>,
    ) -> ([u8; CT1_LEN], Secret<32>, Self::State);
    /// ct2 for a vector that has been checked against the header of `state`.
    fn encapsulate2(state: &Self::State, vector: &[u8; VECTOR_LEN]) -> [u8; CT2_LEN];
    /// ML-KEM.Decaps of a whole ciphertext.
    fn decapsulate(keys: &Self::Keys, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Secret<32>;
}

/// The split over `libcrux-ml-kem`: its `incremental` module for encapsulation, its whole-key functions for the rest.
#[derive(Debug, Clone, Copy)]
pub struct Libcrux;

impl SplitKem for Libcrux {
    type Keys = LibcruxKeys;
    type State = Box<Secret<STATE_LEN>>;

    fn generate(seed: &Secret<SEED_LEN>) -> Self::Keys {
        LibcruxKeys(Expanded::generate(seed).0)
    }

    fn public(keys: &Self::Keys) -> (&[u8; HEADER_LEN], &[u8; VECTOR_LEN]) {
        // The layout of libcrux: header, vector, then what is secret.
        let (header, rest) = keys.0.0.split_first_chunk().expect("the buffer begins with a header");
        (header, rest.first_chunk().expect("and goes on with a vector"))
    }

    fn encapsulate1(
        header: &[u8; HEADER_LEN],
        message: &Secret<MESSAGE_LEN>,
    ) -> ([u8; CT1_LEN], Secret<32>, Self::State) {
        let mut state = Box::new(Secret::<STATE_LEN>::zeroed());
        let mut shared = Secret::zeroed();
        let ct1 = incremental::encapsulate1(header, *message.expose(), state.expose_mut(), shared.expose_mut())
            .expect("header, state and secret have the lengths libcrux states");
        (ct1.value, shared, state)
    }

    fn encapsulate2(state: &Self::State, vector: &[u8; VECTOR_LEN]) -> [u8; CT2_LEN] {
        incremental::encapsulate2(state.expose(), vector).value
    }

    fn decapsulate(keys: &Self::Keys, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Secret<32> {
        Secret::from_bytes(keys.0.decapsulate(&ciphertext.into()))
    }
}

/// The expanded key pair of libcrux, erased on drop.
pub struct LibcruxKeys(Expanded);

/// The library in use.
type Chosen = Libcrux;

/// A key pair whose public half travels as header and vector.
pub struct KeyPair(<Chosen as SplitKem>::Keys);

impl KeyPair {
    /// Rebuilds the pair from its seed (d, z), the only form in which it is stored.
    #[must_use]
    pub fn from_seed(seed: &Secret<SEED_LEN>) -> Self {
        Self(Chosen::generate(seed))
    }

    /// rho and the hash of the key: enough for the peer's first half.
    #[must_use]
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        Chosen::public(&self.0).0
    }

    /// The encoded t-hat, which the peer's second half needs.
    #[must_use]
    pub fn vector(&self) -> &[u8; VECTOR_LEN] {
        Chosen::public(&self.0).1
    }

    /// The shared secret. Parts that were not made for this key give an unrelated secret, not an error: what follows must authenticate.
    #[must_use]
    pub fn decapsulate(&self, ct1: &[u8; CT1_LEN], ct2: &[u8; CT2_LEN]) -> Secret<32> {
        let mut ciphertext = [0; CIPHERTEXT_LEN];
        ciphertext[..CT1_LEN].copy_from_slice(ct1);
        ciphertext[CT1_LEN..].copy_from_slice(ct2);
        Chosen::decapsulate(&self.0, &ciphertext)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mlkem768::split::KeyPair({}..)", Hex(&self.header()[..8]))
    }
}

/// An encapsulation to a header, whose second half waits for the vector.
pub struct Encapsulation {
    header: [u8; HEADER_LEN],
    ct1: Box<[u8; CT1_LEN]>,
    shared: Secret<32>,
    state: <Chosen as SplitKem>::State,
}

impl Encapsulation {
    /// Makes ct1 and the shared secret. The same header and message always give the same: `message` is 32 fresh random bytes, used for
    /// one header only.
    #[must_use]
    pub fn begin(header: &[u8; HEADER_LEN], message: &Secret<MESSAGE_LEN>) -> Self {
        let (ct1, shared, state) = Chosen::encapsulate1(header, message);
        Self { header: *header, ct1: Box::new(ct1), shared, state }
    }

    /// The first part of the ciphertext.
    #[must_use]
    pub fn ct1(&self) -> &[u8; CT1_LEN] {
        &self.ct1
    }

    /// The shared secret, known before the vector is.
    #[must_use]
    pub fn shared_secret(&self) -> &Secret<32> {
        &self.shared
    }

    /// Checks that `vector` is the header's and well formed, and makes the second part of the ciphertext.
    pub fn finish(&self, vector: &[u8; VECTOR_LEN]) -> Result<[u8; CT2_LEN], VectorError> {
        check_vector(&self.header, vector)?;
        Ok(Chosen::encapsulate2(&self.state, vector))
    }
}

impl fmt::Debug for Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mlkem768::split::Encapsulation({}..)", Hex(&self.header[..8]))
    }
}

/// Checks that `vector` completes `header` to a valid encapsulation key, for a receiver that encapsulates later.
pub fn check_vector(header: &[u8; HEADER_LEN], vector: &[u8; VECTOR_LEN]) -> Result<(), VectorError> {
    let (rho, hash) = header.split_at(RHO_LEN);
    let mut key = [0; PUBLIC_KEY_LEN];
    key[..VECTOR_LEN].copy_from_slice(vector);
    key[VECTOR_LEN..].copy_from_slice(rho);
    // All of it is public: the peer sent both.
    if sha3_256(&[&key]) != hash {
        return Err(VectorError::NotOfHeader);
    }
    match PublicKey::from_bytes(&key) {
        Ok(_) => Ok(()),
        Err(KeyError::Length { .. } | KeyError::Modulus) => Err(VectorError::Modulus),
    }
}
