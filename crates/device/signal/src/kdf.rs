//! What a key derivation puts out, cut into the keys that its formula names.

use rcseal_crypto::Secret;

/// The keys of 32 bytes that an output consists of, in order.
pub(crate) fn keys<const LEN: usize, const N: usize>(output: &Secret<LEN>) -> [Secret<32>; N] {
    const { assert!(LEN == N * 32, "an output is a whole number of keys") };
    let (keys, _) = output.expose().as_chunks::<32>();
    core::array::from_fn(|at| Secret::from_bytes(keys[at]))
}
