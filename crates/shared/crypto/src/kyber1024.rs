//! Kyber-1024 as submitted to round 3 of the NIST competition (specification of 2021-08-04): what deployed Signal clients speak.
//!
//! Not FIPS 203: keys and ciphertexts look the same and do not interoperate. It exists for the Signal-compatible profile only (feature
//! `kyber`); everything else uses [`crate::mlkem1024`]. The modulus check, which round 3 does not ask for, is made all the same: honest
//! keys pass it. The secret that a ciphertext for another key gives is not the submission's value either, in libcrux: it is as
//! unpredictable, and nobody but the holder of the secret key ever sees it.

use libcrux_ml_kem::MlKemPrivateKey;
use zeroize::Zeroize;

crate::mlkem::parameter_set!(kyber1024, public: 1568, ciphertext: 1568);

/// Bytes of the submission's private key: the inner one, the public key and its hash, z.
const EXPANDED_LEN: usize = 3168;

struct Expanded(Box<MlKemPrivateKey<EXPANDED_LEN>>);

impl Expanded {
    fn generate(seed: &Secret<SEED_LEN>) -> (Self, MlKemPublicKey<PUBLIC_KEY_LEN>) {
        let (mut private, public) = kem::generate_key_pair(*seed.expose()).into_parts();
        let expanded = Self(Box::new(private.clone()));
        private[0..EXPANDED_LEN].zeroize();
        (expanded, public)
    }

    fn decapsulate(&self, ciphertext: &MlKemCiphertext<CIPHERTEXT_LEN>) -> [u8; 32] {
        kem::decapsulate(&self.0, ciphertext)
    }
}

impl Drop for Expanded {
    fn drop(&mut self) {
        self.0[0..EXPANDED_LEN].zeroize();
    }
}
