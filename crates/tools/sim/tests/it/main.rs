//! What is simulated does what its name says.
#![allow(clippy::unwrap_used, clippy::panic)]

mod brokered;
mod carrier;
mod data;
mod matrix;
mod numbers;
mod phones;
mod proxy;
mod push;
mod retained;
