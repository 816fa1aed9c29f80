//! A symmetric chain: a key and the counter of the message it serves next.

use rcseal_crypto::Secret;
use rcseal_crypto::hmac::{self, hmac_sha256};

/// Input that gives a message seed, and input that gives the next chain key.
const SEED: &[u8] = &[0x01];
const NEXT: &[u8] = &[0x02];

#[derive(Debug)]
pub(crate) struct Chain {
    key: Secret<32>,
    counter: u32,
}

impl Chain {
    pub(crate) fn new(key: Secret<32>) -> Self {
        Self { key, counter: 0 }
    }

    pub(crate) fn restore(key: Secret<32>, counter: u32) -> Self {
        Self { key, counter }
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self { key: self.key.duplicate(), counter: self.counter }
    }

    /// The counter of the next message.
    pub(crate) fn counter(&self) -> u32 {
        self.counter
    }

    pub(crate) fn key(&self) -> &Secret<32> {
        &self.key
    }

    /// The seed of the next message, and one message further.
    pub(crate) fn next(&mut self) -> Secret<32> {
        let key = hmac::Key::new(self.key.expose());
        self.step_to(Secret::from_bytes(key.mac(&[NEXT])));
        Secret::from_bytes(key.mac(&[SEED]))
    }

    /// Walks to `counter` and derives nothing but chain keys on the way.
    pub(crate) fn advance_to(&mut self, counter: u32) {
        while self.counter < counter {
            self.step_to(Secret::from_bytes(hmac_sha256(self.key.expose(), &[NEXT])));
        }
    }

    /// Counters above [`crate::message::COUNTER_MAX`] are refused before a chain gets there.
    fn step_to(&mut self, key: Secret<32>) {
        #[cfg(test)]
        super::work::step();
        self.key = key;
        self.counter = self.counter.saturating_add(1);
    }
}
