//! Randomness for vectors: a generator that remembers what was drawn, and one that hands the same bytes out again.
//!
//! Shared by everything that writes or replays vectors, inside the crate and outside it, so that every vector file means the
//! same by "random".
#![allow(dead_code, reason = "the recording against libsignal only records")]

use core::convert::Infallible;
use std::string::String;
use std::vec::Vec;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, TryCryptoRng, TryRng};

/// Draws from a seeded generator and remembers what was drawn.
pub(crate) struct Recorder {
    rng: ChaCha20Rng,
    drawn: Vec<u8>,
}

impl Recorder {
    pub(crate) fn new(rng: ChaCha20Rng) -> Self {
        Self { rng, drawn: Vec::new() }
    }

    /// What was drawn since this was last asked, in hexadecimal.
    pub(crate) fn drawn(&mut self) -> String {
        hex::encode(core::mem::take(&mut self.drawn))
    }
}

/// Hands out recorded bytes, in order.
pub(crate) struct Replay {
    left: Vec<u8>,
}

impl Replay {
    /// From hexadecimal, as a recorder writes it.
    pub(crate) fn new(drawn: &str) -> Self {
        Self { left: hex::decode(drawn).unwrap() }
    }

    /// Whether nothing is left. What draws less than was recorded draws something else.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left.is_empty()
    }
}

impl TryRng for Recorder {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("keys are drawn as bytes");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("keys are drawn as bytes");
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.rng.fill_bytes(out);
        self.drawn.extend_from_slice(out);
        Ok(())
    }
}

impl TryCryptoRng for Recorder {}

impl TryRng for Replay {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("keys are drawn as bytes");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("keys are drawn as bytes");
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let drawn: Vec<u8> = self.left.drain(..out.len()).collect();
        out.copy_from_slice(&drawn);
        Ok(())
    }
}

impl TryCryptoRng for Replay {}
