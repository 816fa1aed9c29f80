//! What the module-lattice KEMs share: one macro that writes their types, and the error of their parsers.
//!
//! FIPS 203, and the round-3 Kyber it came from, through `libcrux-ml-kem`, where randomness is an argument. Secret keys are kept as the
//! 64-byte seed (d, z); the expanded form is rebuilt when a key is loaded and is never stored.
//!
//! The expanded form of ML-KEM holds its matrix, which decapsulation would otherwise sample again: a key that is rebuilt for one
//! decapsulation, as a one-time key is, costs a fifth less. libcrux has that form for ML-KEM only, so Kyber's is the submission's.

use thiserror::Error;

/// Bytes of a secret key's seed: d, then z.
pub const SEED_LEN: usize = 64;

/// Why the bytes of a public key or of a ciphertext were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not the length of the parameter set.
    #[error("expected {expected} bytes, got {actual}")]
    Length {
        /// The length of the parameter set.
        expected: usize,
        /// The length given.
        actual: usize,
    },
    /// A coefficient is not reduced modulo q (FIPS 203, 7.2).
    #[error("the public key fails the modulus check")]
    Modulus,
}

impl KeyError {
    /// A stable name for metrics and SDKs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "mlkem_length",
            Self::Modulus => "mlkem_modulus",
        }
    }
}

/// Writes the types of the parameter set that libcrux has in its module `$module`. The name of the module is printed in `Debug`.
macro_rules! parameter_set {
    ($module:ident, public: $public_len:literal, ciphertext: $ciphertext_len:literal) => {
        use alloc::boxed::Box;
        use core::fmt;

        use libcrux_ml_kem::$module as kem;
        use libcrux_ml_kem::{MlKemCiphertext, MlKemPublicKey};
        use rand_core::CryptoRng;

        use crate::Secret;
        pub use crate::mlkem::{KeyError, SEED_LEN};

        /// Bytes of a public key.
        pub const PUBLIC_KEY_LEN: usize = $public_len;
        /// Bytes of a ciphertext.
        pub const CIPHERTEXT_LEN: usize = $ciphertext_len;

        /// A public key that has passed the modulus check.
        #[derive(Clone)]
        pub struct PublicKey(Box<MlKemPublicKey<$public_len>>);

        impl PublicKey {
            /// Checks the length and that every coefficient is reduced (FIPS 203, 7.2).
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
                let key = MlKemPublicKey::<$public_len>::try_from(bytes)
                    .map_err(|_| KeyError::Length { expected: PUBLIC_KEY_LEN, actual: bytes.len() })?;
                if kem::validate_public_key(&key) { Ok(Self(Box::new(key))) } else { Err(KeyError::Modulus) }
            }

            /// The encoded key.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
                self.0.as_slice()
            }

            /// Draws 32 bytes and encapsulates a fresh shared secret.
            #[must_use]
            pub fn encapsulate(&self, rng: &mut (impl CryptoRng + ?Sized)) -> (Ciphertext, Secret<32>) {
                let message = Secret::<32>::generate(rng);
                let (ciphertext, shared) = kem::encapsulate(&self.0, *message.expose());
                (Ciphertext(Box::new(ciphertext)), Secret::from_bytes(shared))
            }
        }

        impl PartialEq for PublicKey {
            fn eq(&self, other: &Self) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl Eq for PublicKey {}

        impl core::hash::Hash for PublicKey {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                self.as_bytes().hash(state);
            }
        }

        impl fmt::Debug for PublicKey {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($module), "::PublicKey({}..)"), crate::x25519::Hex(&self.as_bytes()[..8]))
            }
        }

        /// A ciphertext of the right length. Every such string decapsulates to something (implicit rejection).
        #[derive(Clone)]
        pub struct Ciphertext(Box<MlKemCiphertext<$ciphertext_len>>);

        impl Ciphertext {
            /// Checks the length.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
                MlKemCiphertext::<$ciphertext_len>::try_from(bytes)
                    .map(|ciphertext| Self(Box::new(ciphertext)))
                    .map_err(|_| KeyError::Length { expected: CIPHERTEXT_LEN, actual: bytes.len() })
            }

            /// The encoded ciphertext.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; CIPHERTEXT_LEN] {
                self.0.as_slice()
            }
        }

        impl PartialEq for Ciphertext {
            fn eq(&self, other: &Self) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl Eq for Ciphertext {}

        impl fmt::Debug for Ciphertext {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($module), "::Ciphertext({}..)"), crate::x25519::Hex(&self.as_bytes()[..8]))
            }
        }

        /// A secret key: its seed, and the expanded form made from it.
        pub struct SecretKey {
            seed: Secret<SEED_LEN>,
            expanded: Expanded,
            public: PublicKey,
        }

        impl SecretKey {
            /// Draws a 64-byte seed.
            #[must_use]
            pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
                Self::from_secret(Secret::generate(rng))
            }

            /// Rebuilds a key from its stored seed.
            #[must_use]
            pub fn from_seed(seed: [u8; SEED_LEN]) -> Self {
                Self::from_secret(Secret::from_bytes(seed))
            }

            /// Rebuilds a key from a seed that already is a secret.
            #[must_use]
            pub fn from_secret(seed: Secret<SEED_LEN>) -> Self {
                let (expanded, public) = Expanded::generate(&seed);
                Self { seed, expanded, public: PublicKey(Box::new(public)) }
            }

            /// The stored form.
            #[must_use]
            pub fn seed(&self) -> &[u8; SEED_LEN] {
                self.seed.expose()
            }

            /// The public half.
            #[must_use]
            pub fn public_key(&self) -> &PublicKey {
                &self.public
            }

            /// The shared secret. A ciphertext that was not made for this key gives an unrelated secret, not an error: what follows
            /// must authenticate.
            #[must_use]
            pub fn decapsulate(&self, ciphertext: &Ciphertext) -> Secret<32> {
                Secret::from_bytes(self.expanded.decapsulate(&ciphertext.0))
            }
        }

        impl fmt::Debug for SecretKey {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($module), "::SecretKey"))
            }
        }
    };
}
pub(crate) use parameter_set;

/// Writes the expanded form of an ML-KEM private key: one buffer in libcrux's layout, which begins with rho, H(ek) and t-hat.
macro_rules! expanded_with_matrix {
    ($module:ident, ct1: $ct1_len:literal, ct2: $ct2_len:literal) => {
        use libcrux_ml_kem::$module::incremental;

        const EXPANDED_LEN: usize = incremental::key_pair_len();
        /// rho and H(ek).
        const EXPANDED_HEADER_LEN: usize = incremental::pk1_len();

        struct Expanded(Box<[u8; EXPANDED_LEN]>);

        impl Expanded {
            fn generate(seed: &Secret<SEED_LEN>) -> (Self, MlKemPublicKey<PUBLIC_KEY_LEN>) {
                let mut keys = Self(Box::new([0; EXPANDED_LEN]));
                incremental::generate_key_pair(*seed.expose(), keys.0.as_mut_slice())
                    .expect("the buffer has the length libcrux states");
                let (header, rest) = keys.0.split_at(EXPANDED_HEADER_LEN);
                let mut public = [0; PUBLIC_KEY_LEN];
                let (vector, rho) = public.split_at_mut(PUBLIC_KEY_LEN - 32);
                vector.copy_from_slice(&rest[..PUBLIC_KEY_LEN - 32]);
                rho.copy_from_slice(&header[..32]);
                (keys, public.into())
            }

            fn decapsulate(&self, ciphertext: &MlKemCiphertext<CIPHERTEXT_LEN>) -> [u8; 32] {
                let (first, second) = ciphertext.as_slice().split_at($ct1_len);
                let mut ct1 = incremental::Ciphertext1 { value: [0; $ct1_len] };
                let mut ct2 = incremental::Ciphertext2 { value: [0; $ct2_len] };
                ct1.value.copy_from_slice(first);
                ct2.value.copy_from_slice(second);
                incremental::decapsulate_incremental_key(self.0.as_slice(), &ct1, &ct2)
                    .expect("the key has the length libcrux states")
            }
        }

        impl Drop for Expanded {
            fn drop(&mut self) {
                zeroize::Zeroize::zeroize(self.0.as_mut_slice());
            }
        }
    };
}
pub(crate) use expanded_with_matrix;
