//! Key sets and safety numbers, from outside.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod fingerprint_ambiguity;
mod fixture;
mod format;
mod hostile;
mod mapping;
mod recovery;
mod safety_number;
mod succession;
mod vectors;
