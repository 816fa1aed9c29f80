//! The handshake's KEM, by profile: ML-KEM-1024 (FIPS 203) for native sessions, CRYSTALS-Kyber-1024 of round 3 for
//! `signal-v4`.
//!
//! Keys and ciphertexts of the two have equal lengths and different meanings, so they are different variants here and
//! carry different type bytes outside. Which one a byte string is taken for follows from the profile alone; nothing
//! looks at the bytes to decide. A secret key is stored as the 64-byte seed its key pair is derived from.

use core::fmt;

use rand_core::CryptoRng;
#[cfg(feature = "signal-v4")]
use rcseal_crypto::kyber1024;
use rcseal_crypto::{Secret, mlkem1024};

use crate::profile::Profile;

/// Bytes of a KEM public key without its type byte, in every profile.
pub const KEM_PUBLIC_KEY_LEN: usize = mlkem1024::PUBLIC_KEY_LEN;
/// Bytes of a KEM ciphertext without its type byte, in every profile.
pub const KEM_CIPHERTEXT_LEN: usize = mlkem1024::CIPHERTEXT_LEN;
/// Bytes of a stored secret key.
pub(crate) const KEM_SEED_LEN: usize = 64;

/// The records and messages have one layout because the lengths agree.
#[cfg(feature = "signal-v4")]
const _: () = assert!(
    kyber1024::PUBLIC_KEY_LEN == KEM_PUBLIC_KEY_LEN && kyber1024::CIPHERTEXT_LEN == KEM_CIPHERTEXT_LEN,
    "the two KEMs no longer have equal lengths"
);

/// Which KEM a suite uses. A build without a profile has no value for its KEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kem {
    MlKem1024,
    #[cfg(feature = "signal-v4")]
    Kyber1024,
}

/// A KEM public key that has passed the checks of its algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KemPublicKey {
    /// For [`Profile::Native`].
    MlKem1024(mlkem1024::PublicKey),
    /// For [`Profile::SignalV4`].
    #[cfg(feature = "signal-v4")]
    Kyber1024(kyber1024::PublicKey),
}

impl KemPublicKey {
    /// Parses the key bytes, without a type byte.
    pub(crate) fn from_bytes(kem: Kem, bytes: &[u8]) -> Result<Self, mlkem1024::KeyError> {
        match kem {
            Kem::MlKem1024 => mlkem1024::PublicKey::from_bytes(bytes).map(Self::MlKem1024),
            #[cfg(feature = "signal-v4")]
            Kem::Kyber1024 => kyber1024::PublicKey::from_bytes(bytes).map(Self::Kyber1024),
        }
    }

    /// The key bytes, without a type byte.
    pub fn as_bytes(&self) -> &[u8; KEM_PUBLIC_KEY_LEN] {
        match self {
            Self::MlKem1024(key) => key.as_bytes(),
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(key) => key.as_bytes(),
        }
    }

    /// The profile whose KEM this is.
    pub fn profile(&self) -> Profile {
        match self {
            Self::MlKem1024(_) => Profile::Native,
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(_) => Profile::SignalV4,
        }
    }

    /// Draws 32 bytes and encapsulates a fresh shared secret.
    pub fn encapsulate(&self, rng: &mut dyn CryptoRng) -> (KemCiphertext, Secret<32>) {
        match self {
            Self::MlKem1024(key) => {
                let (ciphertext, shared) = key.encapsulate(rng);
                (KemCiphertext::MlKem1024(ciphertext), shared)
            }
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(key) => {
                let (ciphertext, shared) = key.encapsulate(rng);
                (KemCiphertext::Kyber1024(ciphertext), shared)
            }
        }
    }
}

/// A KEM ciphertext of the right length.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KemCiphertext {
    /// For [`Profile::Native`].
    MlKem1024(mlkem1024::Ciphertext),
    /// For [`Profile::SignalV4`].
    #[cfg(feature = "signal-v4")]
    Kyber1024(kyber1024::Ciphertext),
}

impl KemCiphertext {
    /// Parses the ciphertext bytes, without a type byte.
    pub(crate) fn from_bytes(kem: Kem, bytes: &[u8]) -> Result<Self, mlkem1024::KeyError> {
        match kem {
            Kem::MlKem1024 => mlkem1024::Ciphertext::from_bytes(bytes).map(Self::MlKem1024),
            #[cfg(feature = "signal-v4")]
            Kem::Kyber1024 => kyber1024::Ciphertext::from_bytes(bytes).map(Self::Kyber1024),
        }
    }

    /// The ciphertext bytes, without a type byte.
    pub fn as_bytes(&self) -> &[u8; KEM_CIPHERTEXT_LEN] {
        match self {
            Self::MlKem1024(ciphertext) => ciphertext.as_bytes(),
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(ciphertext) => ciphertext.as_bytes(),
        }
    }
}

/// A KEM secret key and the public key that belongs to it.
pub(crate) enum KemSecretKey {
    MlKem1024(mlkem1024::SecretKey),
    #[cfg(feature = "signal-v4")]
    Kyber1024(kyber1024::SecretKey),
}

impl KemSecretKey {
    pub(crate) fn generate(kem: Kem, rng: &mut dyn CryptoRng) -> Self {
        match kem {
            Kem::MlKem1024 => Self::MlKem1024(mlkem1024::SecretKey::generate(rng)),
            #[cfg(feature = "signal-v4")]
            Kem::Kyber1024 => Self::Kyber1024(kyber1024::SecretKey::generate(rng)),
        }
    }

    pub(crate) fn from_seed(kem: Kem, seed: [u8; KEM_SEED_LEN]) -> Self {
        match kem {
            Kem::MlKem1024 => Self::MlKem1024(mlkem1024::SecretKey::from_seed(seed)),
            #[cfg(feature = "signal-v4")]
            Kem::Kyber1024 => Self::Kyber1024(kyber1024::SecretKey::from_seed(seed)),
        }
    }

    pub(crate) fn seed(&self) -> &[u8; KEM_SEED_LEN] {
        match self {
            Self::MlKem1024(key) => key.seed(),
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(key) => key.seed(),
        }
    }

    pub(crate) fn public_key(&self) -> KemPublicKey {
        match self {
            Self::MlKem1024(key) => KemPublicKey::MlKem1024(key.public_key().clone()),
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(key) => KemPublicKey::Kyber1024(key.public_key().clone()),
        }
    }

    /// The shared secret; an unrelated one when the ciphertext was not made for this key (implicit rejection). A
    /// ciphertext of the other KEM gives nothing: callers have compared the profiles by then.
    pub(crate) fn decapsulate(&self, ciphertext: &KemCiphertext) -> Option<Secret<32>> {
        match (self, ciphertext) {
            (Self::MlKem1024(key), KemCiphertext::MlKem1024(ciphertext)) => Some(key.decapsulate(ciphertext)),
            #[cfg(feature = "signal-v4")]
            (Self::Kyber1024(key), KemCiphertext::Kyber1024(ciphertext)) => Some(key.decapsulate(ciphertext)),
            #[cfg(feature = "signal-v4")]
            (Self::MlKem1024(_), KemCiphertext::Kyber1024(_)) | (Self::Kyber1024(_), KemCiphertext::MlKem1024(_)) => {
                None
            }
        }
    }
}

impl fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MlKem1024(_) => "KemSecretKey(ML-KEM-1024)",
            #[cfg(feature = "signal-v4")]
            Self::Kyber1024(_) => "KemSecretKey(Kyber-1024)",
        })
    }
}
