//! The two implementations of the deterministic operations, with the same names and signatures.
//!
//! Callers use the typed modules of this crate; these are public so that vectors and cross-checks can reach both. They take raw
//! bytes and check nothing beyond what the primitive itself defines: point validation lives in [`crate::x25519`] and
//! [`crate::ed25519`].

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
#[cfg(feature = "portable")]
pub mod portable;

#[cfg(feature = "aws-lc")]
pub(crate) use aws_lc as chosen;
#[cfg(all(feature = "portable", not(feature = "aws-lc")))]
pub(crate) use portable as chosen;
