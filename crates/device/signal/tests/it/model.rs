//! Two parties over a channel that loses, re-orders and duplicates, with restarts and lost steps in between: every
//! message that is delivered decrypts exactly once to what was sent, and no message key is used twice.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rcseal_signal::*;

use crate::support::*;

#[derive(Clone, Debug)]
enum Op {
    /// One side writes; the message waits in the channel.
    Send { alice: bool },
    /// Any waiting message arrives.
    Deliver { pick: prop::sample::Index },
    /// Any waiting message is lost.
    Lose { pick: prop::sample::Index },
    /// Any message that has arrived arrives again.
    Repeat { pick: prop::sample::Index },
    /// A waiting message arrives with one bit changed.
    Damage { pick: prop::sample::Index, at: prop::sample::Index, bit: u8 },
    /// One side is killed and restored from its store.
    Restart { alice: bool },
    /// One side encrypts, and dies before the step is stored.
    LoseEncryption { alice: bool },
    /// A waiting message is decrypted, and the receiver dies before the step is stored.
    LoseDecryption { pick: prop::sample::Index },
    /// One side writes many messages at once.
    Burst { alice: bool, count: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let pick = any::<prop::sample::Index>;
    prop_oneof![
        6 => any::<bool>().prop_map(|alice| Op::Send { alice }),
        8 => pick().prop_map(|pick| Op::Deliver { pick }),
        1 => pick().prop_map(|pick| Op::Lose { pick }),
        2 => pick().prop_map(|pick| Op::Repeat { pick }),
        2 => (pick(), pick(), 0..8u8).prop_map(|(pick, at, bit)| Op::Damage { pick, at, bit }),
        2 => any::<bool>().prop_map(|alice| Op::Restart { alice }),
        1 => any::<bool>().prop_map(|alice| Op::LoseEncryption { alice }),
        1 => pick().prop_map(|pick| Op::LoseDecryption { pick }),
        1 => (any::<bool>(), 2..30usize).prop_map(|(alice, count)| Op::Burst { alice, count }),
    ]
}

struct InFlight {
    from_alice: bool,
    bytes: Vec<u8>,
    text: Vec<u8>,
}

struct World {
    pair: Pair,
    waiting: Vec<InFlight>,
    arrived: Vec<InFlight>,
    sent: u64,
    keys_used: BTreeSet<(Vec<u8>, u32)>,
}

impl World {
    fn side(&mut self, alice: bool) -> &mut Side {
        if alice { &mut self.pair.alice } else { &mut self.pair.bob }
    }

    fn send(&mut self, alice: bool) {
        self.sent += 1;
        let text = format!("message {} {}", self.sent, "x".repeat(self.sent as usize % 40)).into_bytes();
        let profile = self.pair.alice_device.profile;
        let (side, rng) = match alice {
            true => (&mut self.pair.alice, &mut self.pair.rng),
            false => (&mut self.pair.bob, &mut self.pair.rng),
        };
        let bytes = side.send(rng, &text);
        assert!(self.keys_used.insert(key_of(profile, &bytes)), "a message key was used twice");
        self.waiting.push(InFlight { from_alice: alice, bytes, text });
    }

    fn take(&mut self, pick: &prop::sample::Index) -> Option<InFlight> {
        (!self.waiting.is_empty()).then(|| self.waiting.swap_remove(pick.index(self.waiting.len())))
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Send { alice } => self.send(*alice),
            Op::Burst { alice, count } => (0..*count).for_each(|_| self.send(*alice)),
            Op::Deliver { pick } => {
                if let Some(message) = self.take(pick) {
                    let read = self.side(!message.from_alice).receive(&message.bytes);
                    assert_read(read, &message.text);
                    self.arrived.push(message);
                }
            }
            Op::Lose { pick } => drop(self.take(pick)),
            Op::Repeat { pick } => {
                if !self.arrived.is_empty() {
                    let message = self.arrived.swap_remove(pick.index(self.arrived.len()));
                    self.refused(message.from_alice, &message.bytes);
                    self.arrived.push(message);
                }
            }
            Op::Damage { pick, at, bit } => {
                if let Some(message) = self.take(pick) {
                    let mut bytes = message.bytes.clone();
                    let at = at.index(bytes.len());
                    bytes[at] ^= 1 << bit;
                    self.refused(message.from_alice, &bytes);
                    self.waiting.push(message);
                }
            }
            Op::Restart { alice } => self.side(*alice).restart(),
            Op::LoseEncryption { alice } => {
                let side = if *alice { &self.pair.alice } else { &self.pair.bob };
                drop(side.session.encrypt(&mut self.pair.rng, b"never leaves").unwrap());
                self.side(*alice).restart();
            }
            Op::LoseDecryption { pick } => {
                if let Some(message) = self.take(pick) {
                    let side = self.side(!message.from_alice);
                    let read = side.session.decrypt(&side.skipped, &message.bytes).map(|step| step.output);
                    assert_read(read, &message.text);
                    side.restart();
                    self.waiting.push(message);
                }
            }
        }
    }

    fn refused(&mut self, from_alice: bool, bytes: &[u8]) {
        let side = self.side(!from_alice);
        let before = (side.record(), side.skipped.len());
        assert!(side.receive(bytes).is_err());
        assert_eq!((side.record(), side.skipped.len()), before);
    }
}

/// Ratchet key and counter, which together name a message key.
fn key_of(profile: Profile, message: &[u8]) -> (Vec<u8>, u32) {
    let mut key = None;
    let _ = tamper_any(profile, message, |proto| {
        key = Some((proto.ratchet_key.clone().unwrap(), proto.counter.unwrap()));
    });
    key.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_delivered_message_decrypts_exactly_once(
        seed: u64,
        profile in prop::sample::select(PROFILES),
        ops in proptest::collection::vec(op(), 1..160),
    ) {
        let mut world = World {
            pair: Pair::accepted(profile, seed),
            waiting: Vec::new(),
            arrived: Vec::new(),
            sent: 0,
            keys_used: BTreeSet::new(),
        };
        for op in &ops {
            world.run(op);
        }
        // Whatever still waits arrives in the end, last sent first.
        while let Some(message) = world.waiting.pop() {
            let read = world.side(!message.from_alice).receive(&message.bytes);
            assert_read(read, &message.text);
        }
    }
}

/// A message is read, unless it is more than one epoch of the post-quantum ratchet late. Whether it was.
fn assert_read(read: Result<Vec<u8>, DecryptError>, text: &[u8]) -> bool {
    match read {
        Ok(read) => {
            assert_eq!(read, text);
            true
        }
        Err(DecryptError::PqRatchet(PqRefusal::EpochGone { epoch, oldest })) => {
            assert!(epoch < oldest);
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn two_thousand_messages_over_a_bad_channel() {
    PROFILES.iter().for_each(|profile| over_a_bad_channel(*profile));
}

fn over_a_bad_channel(profile: Profile) {
    use rand_chacha::rand_core::Rng;
    let mut pair = Pair::established(profile, 11);
    let mut waiting: Vec<(bool, Vec<u8>, Vec<u8>)> = Vec::new();
    let (mut sent, mut read, mut late, mut lost) = (0u32, 0u32, 0u32, 0u32);
    while sent < 2_000 || !waiting.is_empty() {
        let dice = pair.rng.next_u32();
        if sent < 2_000 && (waiting.is_empty() || dice % 100 < 52) {
            let alice = dice & 0x100 != 0;
            let text = sent.to_be_bytes().to_vec();
            let side = if alice { &mut pair.alice } else { &mut pair.bob };
            let bytes = side.send(&mut pair.rng, &text);
            sent += 1;
            if dice % 10 == 9 {
                lost += 1;
            } else {
                waiting.push((alice, bytes, text));
            }
            continue;
        }
        let (alice, bytes, text) = waiting.swap_remove(dice as usize % waiting.len());
        let side = if alice { &mut pair.bob } else { &mut pair.alice };
        match assert_read(side.receive(&bytes), &text) {
            true => read += 1,
            false => late += 1,
        }
        if dice & 0x7000 == 0 {
            side.restart();
            assert!(side.receive(&bytes).is_err(), "the same message was read twice");
        }
    }
    assert_eq!(read + late + lost, 2_000);
    assert!(late < 100, "{late} messages were more than an epoch late");
}
