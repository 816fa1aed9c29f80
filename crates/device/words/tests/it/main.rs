//! What the catalogue promises: every language whole, nothing leaked, nobody blamed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod catalogue;
mod errors;
mod manual;
mod states;
