//! Keys, signatures, KEMs, AEADs and KDFs over vetted libraries.
//!
//! Everything with a secret in it goes through this crate, and nothing here is invented: each module names the specification it
//! follows and the library that does the work. The crate is sans-I/O: it owns no random generator and no clock, randomness is an
//! argument (`rand_core` 0.10 `CryptoRng`), and no function blocks.
//!
//! **Back ends.** X25519, Ed25519, AES and SHA-2 exist twice: `backend::aws_lc` (feature `aws-lc`, default) and `backend::portable`
//! (feature `portable`, pure Rust). The public API uses AWS-LC when it is compiled in. Shared vectors (`vectors/crypto`) and property
//! tests hold the two to the same answers. The rest is the same in both: ML-KEM and SHA-3 from libcrux, HMAC from RustCrypto,
//! Edwards arithmetic for XEdDSA from `curve25519-dalek`.
//!
//! **Without the standard library.** The crate is `no_std` and needs `alloc`. With `default-features = false` and feature `portable` none
//! of its dependencies needs more either, on any target that has pointer-sized atomics; the AWS-LC back end brings the standard library
//! with it. Feature `kyber` adds [`kyber1024`] and is off by default.
//!
//! **What this crate never does.** It never returns an all-zero key agreement, never accepts a low-order or non-canonical curve
//! point or an unreduced ML-KEM key, never prints a secret, never panics on peer input.

#![no_std]

#[cfg(not(any(feature = "aws-lc", feature = "portable")))]
compile_error!("rcseal-crypto needs one of its back ends: feature `aws-lc` (default) or `portable`");

extern crate alloc;
#[cfg(any(test, feature = "aws-lc"))]
extern crate std;

pub mod aead;
pub mod backend;
pub mod cbc;
pub mod ed25519;
pub mod hash;
pub mod hkdf;
pub mod hmac;
mod hpke;
#[cfg(feature = "aws-lc")]
pub mod hpke_p256;
#[cfg(feature = "kyber")]
pub mod kyber1024;
mod mlkem;
pub mod mlkem1024;
pub mod mlkem768;
pub mod seal;
pub mod secret;
pub mod x25519;
pub mod xeddsa;
pub mod xwing;

pub use secret::Secret;

/// Compares two byte strings in time that depends on their lengths only. Different lengths are unequal.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}
