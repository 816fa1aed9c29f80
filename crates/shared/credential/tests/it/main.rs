//! Key sets and safety numbers, from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;
mod format;
mod hostile;
mod safety_number;
mod succession;
mod vectors;
