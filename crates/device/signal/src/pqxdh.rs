//! PQXDH's key derivation, the same for both sides (`docs/protocol/pqxdh.md`; PQXDH revision 3).
//!
//! Three or four Diffie-Hellman results and one KEM secret go into one HKDF. The native profile puts a transcript of
//! the whole handshake into its info string: addresses, all public keys with their types, all ids and the KEM
//! ciphertext. Whoever sees any of them differently derives other keys, and the first MAC fails.

use alloc::vec;
use alloc::vec::Vec;

use rcseal_crypto::hkdf::zero_salt;
use rcseal_crypto::{Secret, hash, x25519};
use zeroize::Zeroizing;

use crate::address::Address;
use crate::identity::IdentityKey;
use crate::kdf;
use crate::kem::KemPublicKey;
use crate::prekey::encode_kem_key;
use crate::profile::{Binding, Suite};

/// No EC key encodes to 32 bytes of 0xFF, so this prefix separates the input from what a signature's hash takes (PQXDH
/// 2.2).
const IKM_PREFIX: [u8; 32] = [0xFF; 32];
const TRANSCRIPT_LABEL: &[u8] = b"rcseal/signal/native/v1/transcript";
#[cfg(feature = "signal-v4")]
const V4_EXPORTER_LABEL: &[u8] = b"rcseal/signal/signal-v4/v1/exporter";

/// What both sides computed.
pub(crate) struct Agreement {
    /// `DH(IKa, SPKb)`
    pub(crate) identity_to_signed: Secret<32>,
    /// `DH(EKa, IKb)`
    pub(crate) base_to_identity: Secret<32>,
    /// `DH(EKa, SPKb)`
    pub(crate) base_to_signed: Secret<32>,
    /// `DH(EKa, OPKb)`
    pub(crate) base_to_one_time: Option<Secret<32>>,
    pub(crate) kem: Secret<32>,
}

/// What both sides saw. `header_hash` covers the initiator's keys, all ids and the KEM ciphertext.
pub(crate) struct Transcript<'a> {
    pub(crate) initiator: &'a Address,
    pub(crate) responder: &'a Address,
    pub(crate) responder_identity: &'a IdentityKey,
    pub(crate) signed: &'a x25519::PublicKey,
    pub(crate) kem: &'a KemPublicKey,
    pub(crate) one_time: Option<&'a x25519::PublicKey>,
    pub(crate) header_hash: &'a [u8; 32],
}

/// What a session starts with.
pub(crate) struct HandshakeSecrets {
    pub(crate) root: Secret<32>,
    /// The chain that belongs to the responder's signed prekey as ratchet key.
    pub(crate) chain: Secret<32>,
    pub(crate) pq_auth_key: Secret<32>,
    pub(crate) exporter: Secret<32>,
}

impl Transcript<'_> {
    fn hash(&self, suite: &Suite) -> [u8; 32] {
        let one_time = match self.one_time {
            Some(key) => {
                let mut encoded = vec![1];
                encoded.extend_from_slice(&suite.encode_ec(key.as_bytes()));
                encoded
            }
            None => vec![0],
        };
        hash::sha256(&[
            TRANSCRIPT_LABEL,
            &[suite.profile.code()],
            &self.initiator.to_bytes(),
            &self.responder.to_bytes(),
            &suite.encode_ec(self.responder_identity.as_bytes()),
            &suite.encode_ec(self.signed.as_bytes()),
            &encode_kem_key(suite, self.kem.as_bytes()),
            &one_time,
            self.header_hash,
        ])
    }
}

pub(crate) fn derive(suite: &Suite, agreement: &Agreement, transcript: &Transcript<'_>) -> HandshakeSecrets {
    let mut ikm = Zeroizing::new(Vec::with_capacity(6 * 32));
    ikm.extend_from_slice(&IKM_PREFIX);
    ikm.extend_from_slice(agreement.identity_to_signed.expose());
    ikm.extend_from_slice(agreement.base_to_identity.expose());
    ikm.extend_from_slice(agreement.base_to_signed.expose());
    if let Some(shared) = &agreement.base_to_one_time {
        ikm.extend_from_slice(shared.expose());
    }
    ikm.extend_from_slice(agreement.kem.expose());
    match suite.binding {
        Binding::Transcript => {
            let output: Secret<128> = zero_salt(&ikm, &[suite.handshake_label, &transcript.hash(suite)]);
            let [root, chain, pq_auth_key, exporter] = kdf::keys(&output);
            HandshakeSecrets { root, chain, pq_auth_key, exporter }
        }
        // The public derivation has no exporter, so that one is derived beside it under a label of ours.
        #[cfg(feature = "signal-v4")]
        Binding::IdentitiesAndAddressField => {
            let output: Secret<96> = zero_salt(&ikm, &[suite.handshake_label]);
            let exporter = zero_salt(&ikm, &[V4_EXPORTER_LABEL]);
            let [root, chain, pq_auth_key] = kdf::keys(&output);
            HandshakeSecrets { root, chain, pq_auth_key, exporter }
        }
    }
}
