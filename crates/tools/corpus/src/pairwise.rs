//! Targets for the formats of `rcseal_pairwise`: bundles, and messages with or without a card.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_pairwise::{Bundle, MemoryStore, MemoryVault, Message, Moment, Pairwise, PairwiseError};

use crate::Verdict;

/// A bundle out of an app's directory. No fuzzer can sign, so what is accepted comes from the seeds; the way there is what is fuzzed.
pub(crate) fn bundle(bytes: &[u8]) -> Verdict {
    let parsed = Bundle::parse(bytes);
    if let Ok(bundle) = &parsed {
        assert_eq!(bundle.to_bytes(), bytes, "a bundle has one encoding");
    }
    Verdict::of(&parsed)
}

pub(crate) fn bundle_seeds() -> Vec<Vec<u8>> {
    made(|pairwise, _, at| {
        let one_time = pairwise.bundles(1, at)?.remove(0);
        Ok(vec![one_time.to_bytes(), pairwise.last_resort_bundle(at)?.to_bytes()])
    })
}

/// A message as an app's transport brings it.
pub(crate) fn message(bytes: &[u8]) -> Verdict {
    let parsed = Message::parse(bytes);
    if let Ok(message) = &parsed {
        assert_eq!(message.to_bytes(), bytes, "a message has one encoding");
    }
    Verdict::of(&parsed)
}

pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    made(|alice, bob, at| {
        let bundle = bob.bundles(1, at)?.remove(0).to_bytes();
        alice.get_or_create_session("bob", Some(&bundle), at)?;
        let first = alice.encrypt("bob", b"hello", at)?;
        bob.decrypt("alice", &first, at)?;
        Ok(vec![first, bob.encrypt("alice", b"hello to you", at)?])
    })
}

fn made(
    make: impl FnOnce(&Pairwise, &Pairwise, &mut Moment<'_>) -> Result<Vec<Vec<u8>>, PairwiseError>,
) -> Vec<Vec<u8>> {
    let mut rng = ChaCha20Rng::seed_from_u64(23);
    let mut at = Moment { now_s: 1_800_000_000, rng: &mut rng };
    let open = |at: &mut Moment<'_>| Pairwise::open(Arc::new(MemoryStore::new()), Arc::new(MemoryVault::default()), at);
    let seeds = open(&mut at).and_then(|alice| open(&mut at).and_then(|bob| make(&alice, &bob, &mut at)));
    seeds.expect("stores in memory do not fail, and both sides are new")
}
