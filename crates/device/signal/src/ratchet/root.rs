//! The root step: one Diffie-Hellman result turns the root key and starts a chain.

use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::{Secret, x25519};

use super::Chain;
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
    let (root, chain) = halves(&output);
    Ok((root, Chain::new(chain)))
}

fn halves(output: &Secret<64>) -> (Secret<32>, Secret<32>) {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&output.expose()[..32]);
    second.copy_from_slice(&output.expose()[32..]);
    (Secret::from_bytes(first), Secret::from_bytes(second))
}
