//! Two sides of the ratchet over a channel that loses, re-orders and repeats, saved and restored before every step.

#![allow(clippy::unwrap_used, clippy::panic)]

use alloc::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::codec::Content;
use super::erasure::Position;
use super::*;

/// The state's name, for the table of pairs.
fn name(braid: &Braid) -> &'static str {
    match braid {
        Braid::KeysUnsampled(_) => "KeysUnsampled",
        Braid::KeysSampled(_) => "KeysSampled",
        Braid::HeaderSent(_) => "HeaderSent",
        Braid::Ct1Received(_) => "Ct1Received",
        Braid::EkSentCt1Received(_) => "EkSentCt1Received",
        Braid::NoHeaderReceived(_) => "NoHeaderReceived",
        Braid::HeaderReceived(_) => "HeaderReceived",
        Braid::Ct1Sampled(_) => "Ct1Sampled",
        Braid::EkReceivedCt1Sampled(_) => "EkReceivedCt1Sampled",
        Braid::Ct1Acknowledged(_) => "Ct1Acknowledged",
        Braid::Ct2Sampled(_) => "Ct2Sampled",
    }
}

/// Which states the two sides of an epoch can be in at once: ek side, ct side.
const PAIRS: &[(&str, &[&str])] = &[
    ("KeysUnsampled", &["NoHeaderReceived"]),
    ("KeysSampled", &["NoHeaderReceived", "HeaderReceived", "Ct1Sampled"]),
    ("HeaderSent", &["Ct1Sampled", "EkReceivedCt1Sampled"]),
    ("Ct1Received", &["Ct1Sampled", "EkReceivedCt1Sampled", "Ct1Acknowledged", "Ct2Sampled"]),
    ("EkSentCt1Received", &["Ct2Sampled"]),
];

fn assert_pair(one: &Braid, other: &Braid) {
    let (lagging, leading) = if one.epoch() <= other.epoch() { (one, other) } else { (other, one) };
    if lagging.epoch() == leading.epoch() {
        let fits = |ek: &Braid, ct: &Braid| PAIRS.iter().any(|(from, to)| *from == name(ek) && to.contains(&name(ct)));
        assert!(fits(one, other) || fits(other, one), "{} with {}", name(one), name(other));
    } else {
        assert_eq!(leading.epoch(), lagging.epoch() + 1);
        assert_eq!((name(lagging), name(leading)), ("Ct2Sampled", "NoHeaderReceived"));
    }
}

struct Message {
    from: usize,
    field: PqField,
    key: Secret<32>,
}

struct World {
    sides: [PqRatchet; 2],
    skipped: [BTreeMap<(u64, u32), Secret<32>>; 2],
    rng: ChaCha20Rng,
    waiting: Vec<Message>,
    arrived: Vec<Message>,
    states: BTreeSet<&'static str>,
    restores: bool,
}

fn restored(role: Role, ratchet: &PqRatchet) -> PqRatchet {
    let mut slot = Vec::new();
    ratchet.encode(&mut slot);
    let restored = PqRatchet::decode(role, slot.as_slice().try_into().unwrap()).unwrap();
    let mut again = Vec::new();
    restored.encode(&mut again);
    assert!(slot == again, "{} restores to itself", name(&ratchet.braid));
    restored
}

const ROLES: [Role; 2] = [Role::Initiator, Role::Responder];

impl World {
    fn new(seed: u64) -> Self {
        let auth_key = Secret::from_bytes([7; 32]);
        Self {
            sides: ROLES.map(|role| PqRatchet::new(&NATIVE, role, &auth_key)),
            skipped: [BTreeMap::new(), BTreeMap::new()],
            rng: ChaCha20Rng::seed_from_u64(seed),
            waiting: Vec::new(),
            arrived: Vec::new(),
            states: BTreeSet::new(),
            restores: true,
        }
    }

    fn commit(&mut self, at: usize, next: PqRatchet, epochs_below: Option<u64>) {
        if let Some(below) = epochs_below {
            self.skipped[at].retain(|(epoch, _), _| *epoch >= below);
            assert_eq!(next.chains.oldest(), below);
        }
        assert!(next.braid.key_epoch() >= self.sides[at].braid.key_epoch());
        assert!(next.braid.key_epoch() <= self.sides[at].braid.key_epoch() + 1, "keys come once each, in order");
        self.sides[at] = if self.restores { restored(ROLES[at], &next) } else { next };
        self.states.insert(name(&self.sides[at].braid));
        assert_pair(&self.sides[0].braid, &self.sides[1].braid);
    }

    fn write(&mut self, from: usize) -> Message {
        let PqSent { key, field, next, epochs_below } = self.sides[from].send(&NATIVE, &mut self.rng).unwrap();
        self.commit(from, next, epochs_below);
        Message { from, field, key }
    }

    /// The key that the receiver finds for a message.
    fn read(&mut self, message: &Message) -> Result<Secret<32>, PqRefusal> {
        let to = 1 - message.from;
        let part = PqPart::parse(&NATIVE, message.field.as_bytes())?;
        let PqReceived { source, next, epochs_below } = self.sides[to].receive(&NATIVE, &part)?;
        let key = match source {
            KeySource::Walk { key, skipped } => {
                for (epoch, index, key) in skipped.keys(&NATIVE) {
                    self.skipped[to].insert((epoch, index), key);
                }
                key
            }
            KeySource::Stored { epoch, index } => {
                let stored = self.skipped[to].remove(&(epoch, index));
                stored.ok_or(PqRefusal::KeyGone { epoch, index })?
            }
        };
        self.commit(to, next, epochs_below);
        Ok(key)
    }

    fn deliver(&mut self, message: Message) {
        let part = PqPart::parse(&NATIVE, message.field.as_bytes()).unwrap();
        let oldest = self.sides[1 - message.from].chains.oldest();
        match self.read(&message) {
            Ok(key) => assert!(key.ct_eq(&message.key), "both sides have one key"),
            Err(PqRefusal::EpochGone { epoch, .. }) => {
                assert!(epoch == part.epoch - 1 && epoch < oldest, "only what is more than an epoch late is refused");
            }
            Err(refusal) => panic!("{refusal}"),
        }
        self.arrived.push(message);
    }

    /// One message each way; whether each is delivered.
    fn round(&mut self, delivered: [bool; 2]) {
        for (from, delivered) in delivered.into_iter().enumerate() {
            let message = self.write(from);
            if delivered {
                self.deliver(message);
            }
        }
    }

    /// Rounds without loss until `done`.
    fn rounds_until(&mut self, done: impl Fn(&Self) -> bool) -> u32 {
        let mut rounds = 0;
        while !done(self) {
            self.round([true, true]);
            rounds += 1;
            assert!(rounds < 100, "an epoch takes fewer rounds");
        }
        rounds
    }
}

#[test]
fn an_epoch_takes_41_to_44_round_trips_without_loss() {
    let mut world = World::new(1);
    for epoch in 1..=9 {
        let rounds = world.rounds_until(|world| world.sides.iter().all(|side| side.braid.key_epoch() == epoch));
        // The first key is there before the first epoch's last messages.
        assert!((38..=44).contains(&rounds), "epoch {epoch} took {rounds}");
    }
    let mut world = World::new(1);
    let start = |epoch| move |world: &World| world.sides.iter().all(|side| side.braid.epoch() >= epoch);
    let first = world.rounds_until(start(2));
    let rounds: u32 = (3..=10).map(|epoch| world.rounds_until(start(epoch))).sum();
    assert!((41 * 8..=44 * 8).contains(&rounds), "eight epochs took {rounds}, the first {first}");
}

#[test]
fn what_is_cached_makes_no_difference() {
    let mut one = World::new(2);
    let mut other = World::new(2);
    other.restores = false;
    for _ in 0..130 {
        for from in [0, 1] {
            let (message, same) = (one.write(from), other.write(from));
            assert_eq!(message.field.as_bytes(), same.field.as_bytes());
            assert!(message.key.ct_eq(&same.key));
            one.deliver(message);
            other.deliver(same);
        }
    }
    assert!(one.sides[0].braid.epoch() > 3);
}

#[test]
fn a_lossy_channel_visits_all_eleven_states_and_heals_both_ways() {
    let mut world = World::new(3);
    let mut random = ChaCha20Rng::seed_from_u64(4);
    use rand_chacha::rand_core::Rng;
    for _ in 0..1_500 {
        let draw = random.next_u32();
        world.round([draw % 10 >= 3, (draw >> 16) % 10 >= 3]);
    }
    assert_eq!(world.states.len(), 11, "{:?}", world.states);
    // 30 % loss takes about 65 rounds an epoch.
    assert!((18..=28).contains(&world.sides[0].braid.epoch()), "{}", world.sides[0].braid.epoch());
}

#[test]
fn one_sided_traffic_goes_on_for_ever_and_never_heals() {
    let mut world = World::new(5);
    world.restores = false;
    for _ in 0..70_000 {
        let message = world.write(0);
        let part = PqPart::parse(&NATIVE, message.field.as_bytes()).unwrap();
        match part.index {
            1..=65_536 => {
                let Content::Hdr(chunk) = part.content else { panic!("{part:?}") };
                assert_eq!(u32::from(chunk.index), part.index - 1);
            }
            _ => assert_eq!(part.content, Content::None),
        }
        if part.index.is_multiple_of(10_000) {
            world.deliver(message);
        }
    }
    assert_eq!(world.sides[0].braid.epoch(), 1);
    // The other side has enough of it to answer, and then the epoch goes on.
    assert_eq!(name(&world.sides[1].braid), "HeaderReceived");
    world.rounds_until(|world| world.sides.iter().all(|side| side.braid.epoch() == 2));
}

#[test]
fn an_exhausted_encoder_still_says_what_has_arrived() {
    let mut world = World::new(6);
    world.rounds_until(|world| name(&world.sides[0].braid) == "Ct1Received");
    let Braid::Ct1Received(state) = &mut world.sides[0].braid else { panic!("another state") };
    state.next = Position::restore(65_536).unwrap();
    let message = world.write(0);
    assert_eq!(PqPart::parse(&NATIVE, message.field.as_bytes()).unwrap().content, Content::Ct1Ack);
    world.deliver(message);
}

#[test]
fn late_messages_of_the_last_key_epoch_are_read_and_older_ones_refused() {
    let mut world = World::new(7);
    let late: Vec<_> = (0..2).map(|_| world.write(0)).collect();
    let [first, second] = late.try_into().ok().unwrap();
    world.rounds_until(|world| world.sides[1].braid.key_epoch() == 1);
    assert!(world.read(&first).unwrap().ct_eq(&first.key));
    assert_eq!(world.read(&first).err(), Some(PqRefusal::KeyGone { epoch: 0, index: 1 }));
    world.rounds_until(|world| world.sides[1].braid.key_epoch() == 2);
    assert_eq!(world.read(&second).err(), Some(PqRefusal::EpochGone { epoch: 0, oldest: 1 }));
    assert!(world.skipped[1].keys().all(|(epoch, _)| *epoch >= 1), "its skipped keys are gone as well");
}

#[test]
fn epochs_that_the_peer_cannot_have_reached_are_refused() {
    let mut world = World::new(8);
    world.round([true, true]);
    let message = world.write(0);
    let mut part = PqPart::parse(&NATIVE, message.field.as_bytes()).unwrap();
    for epoch in [2, 3, u64::MAX] {
        part.epoch = epoch;
        let refusal = PqRefusal::FutureEpoch { epoch, ours: 1 };
        assert_eq!(world.sides[1].receive(&NATIVE, &part).err(), Some(refusal));
    }
    // Only the state that waits for it takes the next epoch, and only the next.
    world.rounds_until(|world| name(&world.sides[1].braid) == "Ct2Sampled");
    part.epoch = 3;
    let refusal = PqRefusal::FutureEpoch { epoch: 3, ours: 1 };
    assert_eq!(world.sides[1].receive(&NATIVE, &part).err(), Some(refusal));
    part = PqPart { epoch: 2, index: 1, content: Content::None };
    let received = world.sides[1].receive(&NATIVE, &part).unwrap();
    assert_eq!(name(&received.next.braid), "KeysUnsampled");
}

/// Damages every chunk that `pick` takes until the receiver refuses.
fn refusal_of_damaged(seed: u64, pick: impl Fn(&mut Content) -> bool) -> (PqRefusal, &'static str) {
    let mut world = World::new(seed);
    let mut damaged = false;
    for _ in 0..200 {
        for from in [0, 1] {
            let mut message = world.write(from);
            let mut part = PqPart::parse(&NATIVE, message.field.as_bytes()).unwrap();
            if !damaged && pick(&mut part.content) {
                damaged = true;
                message.field = part.encode();
            }
            let to = 1 - from;
            let (mut before, mut after) = (Vec::new(), Vec::new());
            world.sides[to].encode(&mut before);
            if let Err(refusal) = world.read(&message) {
                world.sides[to].encode(&mut after);
                assert!(before == after, "a refused message changes nothing");
                return (refusal, name(&world.sides[to].braid));
            }
        }
    }
    panic!("the damage was not noticed");
}

#[test]
fn a_corrupted_chunk_is_caught_when_its_payload_is_whole() {
    let flip = |chunk: &mut erasure::Chunk| {
        chunk.bytes[3] ^= 0x10;
        true
    };
    let header = refusal_of_damaged(9, |content| match content {
        Content::Hdr(chunk) => flip(chunk),
        _ => false,
    });
    assert_eq!(header, (PqRefusal::Header, "NoHeaderReceived"));
    let vector = refusal_of_damaged(10, |content| match content {
        Content::Ek(chunk) => flip(chunk),
        _ => false,
    });
    assert_eq!(vector, (PqRefusal::Vector, "Ct1Acknowledged"));
    let ct1 = refusal_of_damaged(11, |content| match content {
        Content::Ct1(chunk) => flip(chunk),
        _ => false,
    });
    assert_eq!(ct1, (PqRefusal::Ciphertext, "EkSentCt1Received"));
    let ct2 = refusal_of_damaged(12, |content| match content {
        Content::Ct2(chunk) => flip(chunk),
        _ => false,
    });
    assert_eq!(ct2, (PqRefusal::Ciphertext, "EkSentCt1Received"));
}

#[test]
fn slots_that_no_ratchet_writes_are_refused() {
    let mut world = World::new(13);
    let mut seen = BTreeSet::new();
    for _ in 0..130 {
        world.round([true, true]);
        for (side, role) in world.sides.iter().zip(ROLES) {
            let mut slot = Vec::new();
            side.encode(&mut slot);
            let slot: [u8; PqRatchet::LEN] = slot.try_into().unwrap();
            let refused = |at: usize, value: u8| {
                let mut slot = slot;
                slot[at] = value;
                PqRatchet::decode(role, &slot).is_none()
            };
            assert!(refused(0, 0) && refused(0, 2), "version");
            assert!((0..=255).filter(|code| *code == 0 || *code > 11).all(|code| refused(1, code)), "state");
            assert!(refused(9, slot[9] ^ 1), "the state is of the other side in the next epoch");
            assert!(refused(slot.len() - 1, 1) || name(&side.braid) == "Ct1Sampled", "what is left is zero");
            let other = if role == Role::Initiator { Role::Responder } else { Role::Initiator };
            assert!(PqRatchet::decode(other, &slot).is_none(), "role");
            let zero_epoch = {
                let mut slot = slot;
                slot[2..10].fill(0);
                PqRatchet::decode(role, &slot).is_none()
            };
            assert!(zero_epoch, "epoch 0");
            if let Braid::HeaderSent(state) = &side.braid {
                let at = 250 + 64;
                assert!(refused(at + 1, 2), "position beyond the end");
                assert!(refused(at + 4, 0) && refused(at + 4, 30), "number of chunks");
                if state.ct1.chunks().len() > 1 {
                    assert!(refused(at + 5 + 34 + 1, slot[at + 5 + 1]), "two chunks with one index");
                }
            }
            seen.insert(name(&side.braid));
        }
    }
    assert!(seen.len() >= 9, "{seen:?}");
}

#[derive(Clone, Debug)]
enum Op {
    Write { from: usize },
    Burst { from: usize, count: usize },
    Deliver { pick: prop::sample::Index },
    Lose { pick: prop::sample::Index },
    Repeat { pick: prop::sample::Index },
}

fn op() -> impl Strategy<Value = Op> {
    let pick = any::<prop::sample::Index>;
    prop_oneof![
        8 => (0..2usize).prop_map(|from| Op::Write { from }),
        2 => (0..2usize, 2..40usize).prop_map(|(from, count)| Op::Burst { from, count }),
        30 => pick().prop_map(|pick| Op::Deliver { pick }),
        3 => pick().prop_map(|pick| Op::Lose { pick }),
        2 => pick().prop_map(|pick| Op::Repeat { pick }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_hostile_channel_never_parts_the_two_sides(seed: u64, ops in proptest::collection::vec(op(), 1..500)) {
        let mut world = World::new(seed);
        for op in ops {
            match op {
                Op::Write { from } => {
                    let message = world.write(from);
                    world.waiting.push(message);
                }
                Op::Burst { from, count } => {
                    for _ in 0..count {
                        let message = world.write(from);
                        world.waiting.push(message);
                    }
                }
                Op::Deliver { pick } if !world.waiting.is_empty() => {
                    let message = world.waiting.swap_remove(pick.index(world.waiting.len()));
                    world.deliver(message);
                }
                Op::Lose { pick } if !world.waiting.is_empty() => {
                    world.waiting.swap_remove(pick.index(world.waiting.len()));
                }
                Op::Repeat { pick } if !world.arrived.is_empty() => {
                    let message = world.arrived.swap_remove(pick.index(world.arrived.len()));
                    prop_assert!(world.read(&message).is_err(), "a key is used once");
                    world.arrived.push(message);
                }
                _ => {}
            }
        }
        // Whatever happened, the two go on healing.
        let epoch = world.sides.iter().map(|side| side.braid.epoch()).max().unwrap();
        world.rounds_until(|world| world.sides.iter().all(|side| side.braid.epoch() > epoch));
    }
}
