//! What the module-lattice KEMs share: one macro that writes their types, and the error of their parsers.
//!
//! FIPS 203, and the round-3 Kyber it came from, through `libcrux-ml-kem`, where randomness is an argument. Secret keys are kept as the
//! 64-byte seed (d, z); the expanded form is rebuilt when a key is loaded and is never stored.

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
    ($module:ident, public: $public_len:literal, secret: $secret_len:literal, ciphertext: $ciphertext_len:literal) => {
        use alloc::boxed::Box;
        use core::fmt;

        use libcrux_ml_kem::$module as kem;
        use libcrux_ml_kem::{MlKemCiphertext, MlKemPrivateKey, MlKemPublicKey};
        use rand_core::CryptoRng;
        use zeroize::Zeroize;

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
            expanded: Box<MlKemPrivateKey<$secret_len>>,
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
                let (mut expanded, public) = kem::generate_key_pair(*seed.expose()).into_parts();
                let key = Self { seed, expanded: Box::new(expanded.clone()), public: PublicKey(Box::new(public)) };
                let length = expanded.as_slice().len();
                expanded[0..length].zeroize();
                key
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
                Secret::from_bytes(kem::decapsulate(&self.expanded, &ciphertext.0))
            }
        }

        impl Drop for SecretKey {
            fn drop(&mut self) {
                let length = self.expanded.as_slice().len();
                self.expanded[0..length].zeroize();
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
