//! Sealing envelopes: hiding from the road who wrote, and what kind of message it is.
//!
//! Two forms (`docs/protocol/envelope.md`):
//! - *first*, under the device's sealing key (X-Wing in HPKE base mode), holding a [`Hello`]. Used until the peer has answered, because
//!   until then the peer may not know the session.
//! - *session*, under an AES-256-GCM key that both sides derive from the session. A 16-byte recognition tag names the session to its owner
//!   and nobody else. Tag and key belong to a *tag epoch*; the sender moves to the next epoch after [`EPOCH_MESSAGES_MAX`] envelopes or
//!   [`EPOCH_AGE_MS_MAX`], so that a relay cannot follow a session for long. The recipient keeps the tags of [`EPOCHS_AHEAD`] epochs in its
//!   store: recognition costs one look-up, however many sessions there are.
//!
//! The seal authenticates the road, not the sender: the suite inside does that.

use rand_core::CryptoRng;
use rcseal_crypto::aead;
use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::seal::{SealingPublicKey, SealingSecretKey, seal};
use rcseal_crypto::secret::Secret;
use rcseal_wire::envelope::{Envelope, FIRST_OVERHEAD, Hello, NONCE_LEN, SESSION_OVERHEAD, TAG_LEN, Tag};
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::padding::{self, TooLong};
use zeroize::Zeroizing;

use crate::inbox::Undecryptable;

/// Envelopes under one tag: few enough that a tag says little, many enough that the window below covers the ratchet's longest jump.
pub(crate) const EPOCH_MESSAGES_MAX: u16 = 256;
/// How long one tag is used: a day.
pub(crate) const EPOCH_AGE_MS_MAX: u64 = 24 * 3600 * 1000;
/// Epochs whose tags the recipient recognises ahead of the newest seen: 100 x 256 exceeds the ratchet's jump of 25,000.
pub(crate) const EPOCHS_AHEAD: u32 = 100;
/// Epochs behind the newest seen that stay recognised: 2,000 skipped keys are eight full epochs; twice that for half-empty ones.
pub(crate) const EPOCHS_BEHIND: u32 = 16;

const INFO_FIRST: &[u8] = b"rcseal/seal/first/v1";
const INFO_TAG: &[u8] = b"rcseal/seal/session/tag/v1";
const INFO_KEY: &[u8] = b"rcseal/seal/session/key/v1";

/// Seals what one side of a session sends. Both sides hold both directions' roots.
pub(crate) struct SealRoot(pub(crate) Secret<32>);

impl SealRoot {
    /// The tag of an epoch.
    pub(crate) fn tag(&self, epoch: u32) -> Tag {
        let tag: Secret<TAG_LEN> = hkdf_sha256(&[0; 32], self.0.expose(), &[INFO_TAG, &epoch.to_be_bytes()]);
        Tag(*tag.expose())
    }

    fn key(&self, epoch: u32) -> Secret<32> {
        hkdf_sha256(&[0; 32], self.0.expose(), &[INFO_KEY, &epoch.to_be_bytes()])
    }

    /// Seals a suite's ciphertext into a session envelope.
    pub(crate) fn seal(&self, epoch: u32, ciphertext: Vec<u8>, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, TooLong> {
        let mut padded = ciphertext;
        padding::pad(&mut padded, SESSION_OVERHEAD)?;
        let tag = self.tag(epoch);
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let sealed = aead::seal(&self.key(epoch), &nonce, &Envelope::session_associated_data(tag), &padded);
        Ok(Envelope::Session { tag, nonce, ciphertext: &sealed }.to_bytes())
    }

    /// Opens a session envelope whose tag named this session and epoch.
    pub(crate) fn open(
        &self,
        epoch: u32,
        nonce: &[u8; NONCE_LEN],
        tag: Tag,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, Undecryptable> {
        let padded = aead::open(&self.key(epoch), nonce, &Envelope::session_associated_data(tag), ciphertext)
            .map_err(|_| Undecryptable::SealBroken)?;
        padding::unpad(padded).map_err(|_| Undecryptable::Malformed)
    }
}

/// The associated text that ties a first envelope to its recipient.
fn first_info(recipient: DeviceAddress) -> Vec<u8> {
    [INFO_FIRST, &recipient.to_bytes()].concat()
}

/// Seals a hello into a first envelope for one device.
pub(crate) fn seal_first(
    key: &SealingPublicKey,
    recipient: DeviceAddress,
    hello: &Hello,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, TooLong> {
    let mut padded = Zeroizing::new(hello.to_bytes());
    padding::pad(&mut padded, FIRST_OVERHEAD)?;
    let sealed = seal(rng, key, &first_info(recipient), &Envelope::first_associated_data(), &padded);
    Ok(Envelope::First { sealed: &sealed }.to_bytes())
}

/// Opens a first envelope.
pub(crate) fn open_first(
    key: &SealingSecretKey,
    recipient: DeviceAddress,
    sealed: &[u8],
) -> Result<Hello, Undecryptable> {
    let padded = key
        .open(&first_info(recipient), &Envelope::first_associated_data(), sealed)
        .map_err(|_| Undecryptable::SealBroken)?;
    let bytes = padding::unpad(padded).map_err(|_| Undecryptable::Malformed)?;
    Hello::parse(&bytes).map_err(|_| Undecryptable::Malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn a_session_envelope_fills_a_bucket_and_opens_only_whole() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let root = SealRoot(Secret::from_bytes([1; 32]));
        let bytes = root.seal(3, b"ciphertext".to_vec(), &mut rng).unwrap();
        assert_eq!(bytes.len(), 512);
        let Envelope::Session { tag, nonce, ciphertext } = Envelope::parse(&bytes).unwrap() else {
            unreachable!("a session envelope")
        };
        assert_eq!(tag, root.tag(3));
        assert_eq!(root.open(3, &nonce, tag, ciphertext).unwrap(), b"ciphertext");
        assert_eq!(root.open(4, &nonce, tag, ciphertext), Err(Undecryptable::SealBroken));
        let mut damaged = ciphertext.to_vec();
        damaged[40] ^= 1;
        assert_eq!(root.open(3, &nonce, tag, &damaged), Err(Undecryptable::SealBroken));
    }

    #[test]
    fn tags_of_epochs_and_roots_differ() {
        let (one, two) = (SealRoot(Secret::from_bytes([1; 32])), SealRoot(Secret::from_bytes([2; 32])));
        assert_ne!(one.tag(0), one.tag(1));
        assert_ne!(one.tag(0), two.tag(0));
    }
}
