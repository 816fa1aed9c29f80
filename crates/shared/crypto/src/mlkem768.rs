//! ML-KEM-768 (FIPS 203, category 3): the post-quantum half of sealing and, in pieces, of the ratchet.

pub mod split;

crate::mlkem::parameter_set!(mlkem768, public: 1184, secret: 2400, ciphertext: 1088);

/// Where H(ek) stands in the decapsulation key of FIPS 203: after the 1,152 bytes of K-PKE and the encapsulation key.
const HASH_AT: usize = 1152 + PUBLIC_KEY_LEN;

impl SecretKey {
    /// SHA3-256 of the public key, which key generation has computed.
    fn public_key_hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.expanded.as_slice()[HASH_AT..HASH_AT + 32]);
        hash
    }
}

impl From<&[u8; CIPHERTEXT_LEN]> for Ciphertext {
    fn from(bytes: &[u8; CIPHERTEXT_LEN]) -> Self {
        Self(Box::new(bytes.into()))
    }
}
