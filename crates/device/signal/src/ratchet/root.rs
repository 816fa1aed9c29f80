//! The root step: one Diffie-Hellman result turns the root key and starts a chain.

use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::{Secret, x25519};

use super::Chain;
use crate::kdf;
use crate::profile::Suite;

/// `HKDF(salt = root, ikm = DH(ours, theirs), info = label, 64)` = next root key, first key of a chain.
pub(crate) fn root_step(
    suite: &Suite,
    root: &Secret<32>,
    ours: &x25519::SecretKey,
    theirs: &x25519::PublicKey,
) -> Result<(Secret<32>, Chain), x25519::KeyError> {
    let shared = ours.diffie_hellman(theirs)?;
    let output: Secret<64> = hkdf_sha256(root.expose(), shared.expose(), &[suite.root_label]);
    let [root, chain] = kdf::keys(&output);
    Ok((root, Chain::new(chain)))
}
