//! The rules of the border, without a server: vaults that fail, calls after the close, listeners, cancelled calls. Whole conversations are
//! tested in each language (`cargo xtask sdk`).
#![allow(clippy::unwrap_used, clippy::panic)]

mod closing;
mod hand_over;
mod listeners;
mod support;
mod vaults;
