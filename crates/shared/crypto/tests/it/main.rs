//! The primitives against published vectors, against each other and against hostile input.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

#[cfg(all(feature = "aws-lc", feature = "portable"))]
mod back_ends_agree;
mod fixture;
mod hostile;
#[cfg(all(feature = "aws-lc", feature = "portable"))]
mod hostile_signatures;
mod kem;
mod mac;
mod points;
mod sealing;
#[cfg(feature = "aws-lc")]
mod sealing_p256;
mod secrets;
mod split;
mod symmetric;
mod vectors;
mod xeddsa;
