//! A target that is no parser: the bytes are a script for two devices and the channel between them.
//!
//! Each three bytes are one event: somebody writes, a message arrives, is lost, repeated, damaged, rewritten or handed to the wrong side, a
//! device dies before or after a step is stored. The model beside it knows what was sent and checks what must hold whatever the script: a
//! delivered message decrypts once and to what was sent unless its key epoch is gone, no message key is used twice, and a refusal changes
//! nothing. Coverage leads the fuzzer into the rare states of the ratchets, which a random walk seldom reaches; a script may also begin
//! with one side in any of the eleven states of the post-quantum ratchet.

use std::collections::BTreeSet;

use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::{DecryptError, Delta, MemorySkippedKeys, PqRefusal, Profile, Session};

use crate::Verdict;
use crate::signal_world::{key_epoch_of, world};

/// Bytes of an event: what, which, how.
const EVENT_LEN: usize = 3;
/// Events of one run, so that a run stays short enough for many.
const EVENTS_MAX: usize = 200;
/// Messages of one run. Fewer than a session keeps skipped keys, so none is evicted for want of room.
const MESSAGES_MAX: usize = 1_500;
/// Kinds of events.
const EVENTS: u8 = 14;

/// Runs a script. The first byte chooses how far the sessions are when it begins.
pub(crate) fn two_party(bytes: &[u8]) -> Verdict {
    run(Profile::Native, bytes)
}

/// The same in the other profile.
#[cfg(feature = "signal-v4")]
pub(crate) fn two_party_v4(bytes: &[u8]) -> Verdict {
    run(Profile::SignalV4, bytes)
}

/// A quiet exchange, a bad channel, enough turns for several epochs with deaths between them, and forgeries in every state.
pub(crate) fn two_party_seeds() -> Vec<Vec<u8>> {
    let quiet = [[0, 0, 0], [2, 0, 0], [1, 0, 0], [2, 0, 0], [11, 0, 3]];
    let bad = [
        [9, 0, 7],
        [3, 2, 0],
        [2, 4, 0],
        [4, 0, 0],
        [5, 1, 90],
        [9, 1, 5],
        [2, 6, 0],
        [10, 0, 0],
        [8, 1, 0],
        [7, 1, 0],
        [6, 0, 0],
        [2, 0, 0],
    ];
    let long = [[11, 0, 40], [6, 0, 0], [9, 0, 20], [11, 0, 30], [6, 1, 0], [3, 0, 0], [11, 0, 60], [7, 0, 0]];
    let forged =
        [[0, 0, 0], [12, 0, 0], [12, 0, 1], [12, 0, 2], [13, 0, 0], [1, 0, 0], [12, 1, 3], [12, 1, 4], [2, 0, 1]];
    let late = [[9, 0, 2], [9, 1, 2], [11, 0, 55], [2, 0, 0], [11, 0, 50], [2, 0, 0], [2, 0, 0], [2, 0, 0]];
    let script = |beginning: u8, events: &[[u8; EVENT_LEN]]| [&[beginning], events.as_flattened()].concat();
    let mut seeds = vec![script(0, &quiet), script(1, &quiet), script(1, &bad), script(0, &long), script(0, &late)];
    seeds.extend((2..13).map(|beginning| script(beginning, &forged)));
    seeds
}

fn run(profile: Profile, bytes: &[u8]) -> Verdict {
    let Some((beginning, script)) = bytes.split_first() else { return Verdict::Refused };
    let start = world(profile);
    let answered = [start.unanswered.clone(), start.accepted.clone()];
    let records = match usize::from(*beginning) % (2 + start.moments.len()) {
        0 => &start.established,
        1 => &answered,
        moment => &start.moments[moment - 2].records,
    };
    let mut world = World::new(profile, records);
    for event in script.as_chunks::<EVENT_LEN>().0.iter().take(EVENTS_MAX) {
        world.run(*event);
    }
    // Whatever still waits arrives in the end, last sent first.
    while let Some(message) = world.waiting.pop() {
        world.deliver(message, false);
    }
    Verdict::Accepted
}

/// One device: its session, and what its store holds.
struct Side {
    session: Session,
    stored: Vec<u8>,
    skipped: MemorySkippedKeys,
}

impl Side {
    fn restore(record: &[u8]) -> Self {
        let session = Session::from_record(record).expect("what we write, we can read");
        Self { session, stored: record.to_vec(), skipped: MemorySkippedKeys::new() }
    }

    /// What a refusal must leave alone. Rows print their ids and places and no keys.
    fn state(&self) -> (Vec<u8>, String) {
        (self.session.record().as_bytes().to_vec(), format!("{:?}", self.skipped))
    }

    fn store(&mut self, delta: &Delta) {
        self.skipped.apply(delta);
        self.stored = delta.record().as_bytes().to_vec();
    }

    fn commit(&mut self, delta: &Delta) {
        self.store(delta);
        self.session.apply(delta).expect("the step follows the state it was made from");
        assert_eq!(self.session.record().as_bytes(), self.stored, "a step moves to what it stores");
    }

    /// Dies, and comes back with what was stored.
    fn restart(&mut self) {
        self.session = Session::from_record(&self.stored).expect("what we write, we can read");
        assert_eq!(self.session.record().as_bytes(), self.stored, "a record restores to itself");
    }
}

struct Sent {
    from: usize,
    bytes: Vec<u8>,
    text: Vec<u8>,
    /// The epoch of the post-quantum ratchet that the message names.
    epoch: u64,
}

struct World {
    profile: Profile,
    sides: [Side; 2],
    rng: ChaCha20Rng,
    waiting: Vec<Sent>,
    arrived: Vec<Sent>,
    sent: usize,
    keys_used: BTreeSet<(Vec<u8>, u32)>,
    post_quantum_keys_used: BTreeSet<(usize, u64, u64)>,
}

/// The messages as an ordinary codec sees them: the public names of their keys.
#[derive(Clone, Message)]
struct RatchetProto {
    #[prost(bytes = "vec", tag = "1")]
    ratchet_key: Vec<u8>,
    #[prost(uint32, optional, tag = "2")]
    counter: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    previous_counter: Option<u32>,
    #[prost(bytes = "vec", tag = "4")]
    ciphertext: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    post_quantum: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "6")]
    addresses: Option<Vec<u8>>,
}

#[derive(Message)]
struct PreKeyProto {
    #[prost(uint32, optional, tag = "1")]
    one_time_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    base_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    message: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "5")]
    registration_id: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    signed_prekey_id: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    kem_prekey_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    kem_ciphertext: Option<Vec<u8>>,
}

/// Bytes of a message's authentication code.
fn mac_len(profile: Profile) -> usize {
    match profile {
        Profile::SignalV4 => 8,
        _ => 32,
    }
}

/// The prekey message round a ratchet message, if there is one. Its field 4 is a string; a ratchet message begins with one of number 1.
fn wrapping(profile: Profile, message: &[u8]) -> Option<PreKeyProto> {
    const FIRST_FIELD_IS_A_RATCHET_KEY: u8 = 0x0A;
    const NATIVE_PREKEY_VERSION: u8 = 0xB1;
    let wrapped = match profile {
        Profile::SignalV4 => message[1] != FIRST_FIELD_IS_A_RATCHET_KEY,
        _ => message[0] == NATIVE_PREKEY_VERSION,
    };
    wrapped.then(|| PreKeyProto::decode(&message[1..]).expect("what we write is protobuf"))
}

fn parse(profile: Profile, message: &[u8]) -> RatchetProto {
    let inner = wrapping(profile, message).and_then(|outer| outer.message).unwrap_or_else(|| message.to_vec());
    RatchetProto::decode(&inner[1..inner.len() - mac_len(profile)]).expect("what we write is protobuf")
}

/// The message with other fields and its old code.
fn rewrite(profile: Profile, message: &[u8], change: impl FnOnce(&mut RatchetProto)) -> Vec<u8> {
    let outer = wrapping(profile, message);
    let inner = outer.as_ref().and_then(|outer| outer.message.as_deref()).unwrap_or(message);
    let mut proto = parse(profile, message);
    change(&mut proto);
    let code = &inner[inner.len() - mac_len(profile)..];
    let inner = [&inner[..1], &proto.encode_to_vec(), code].concat();
    match outer {
        Some(mut outer) => {
            outer.message = Some(inner);
            [&message[..1], &outer.encode_to_vec()].concat()
        }
        None => inner,
    }
}

/// Epoch and index of a post-quantum part, and what follows them.
fn epoch_and_index(part: &[u8]) -> (u64, u64, &[u8]) {
    let mut rest = &part[1..];
    let epoch = prost::encoding::decode_varint(&mut rest).expect("an epoch follows the version");
    let index = prost::encoding::decode_varint(&mut rest).expect("an index follows the epoch");
    (epoch, index, rest)
}

fn part(epoch: u64, index: u64, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![1];
    prost::encoding::encode_varint(epoch, &mut out);
    prost::encoding::encode_varint(index, &mut out);
    out.extend_from_slice(rest);
    out
}

impl World {
    fn new(profile: Profile, records: &[Vec<u8>; 2]) -> Self {
        Self {
            profile,
            sides: [Side::restore(&records[0]), Side::restore(&records[1])],
            rng: ChaCha20Rng::seed_from_u64(23),
            waiting: Vec::new(),
            arrived: Vec::new(),
            sent: 0,
            keys_used: BTreeSet::new(),
            post_quantum_keys_used: BTreeSet::new(),
        }
    }

    fn send(&mut self, from: usize) {
        if self.sent >= MESSAGES_MAX {
            return;
        }
        self.sent += 1;
        let text = self.sent.to_be_bytes().to_vec();
        let side = &mut self.sides[from];
        let step = side.session.encrypt(&mut self.rng, &text).expect("an honest device can write");
        side.commit(&step.delta);
        let proto = parse(self.profile, &step.output);
        let (epoch, index, _) = epoch_and_index(&proto.post_quantum);
        let counter = proto.counter.unwrap_or_default();
        assert!(self.keys_used.insert((proto.ratchet_key, counter)), "a message key was used twice");
        assert!(self.post_quantum_keys_used.insert((from, epoch, index)), "a post-quantum key was used twice");
        self.waiting.push(Sent { from, bytes: step.output, text, epoch });
    }

    fn take(&mut self, pick: u8) -> Option<Sent> {
        let count = self.waiting.len();
        (count > 0).then(|| self.waiting.remove(usize::from(pick) % count))
    }

    /// Whether the receiver has dropped the chain of the message: it keeps the key epoch it is in and the one before, and the message is
    /// in the key epoch before the epoch it names.
    fn is_gone(&self, message: &Sent) -> bool {
        let newest = key_epoch_of(&self.sides[1 - message.from].stored);
        message.epoch - 1 < newest.saturating_sub(1)
    }

    /// A genuine message is read unless it is too late. The receiver may die between storing the step and moving on.
    fn deliver(&mut self, message: Sent, dies: bool) {
        let gone = self.is_gone(&message);
        let side = &mut self.sides[1 - message.from];
        match side.session.decrypt(&side.skipped, &message.bytes) {
            Ok(step) => {
                assert!(!gone, "a key was used after its epoch was over");
                assert_eq!(step.output, message.text, "the plaintext is what the peer wrote");
                if dies {
                    side.store(&step.delta);
                    side.restart();
                } else {
                    side.commit(&step.delta);
                }
                self.arrived.push(message);
            }
            Err(error) => {
                let late = matches!(error, DecryptError::PqRatchet(PqRefusal::EpochGone { .. }));
                assert!(late && gone, "a genuine message was refused: {}", error.code());
            }
        }
    }

    /// Hands bytes to a side that must refuse them and stay as it is.
    fn refuse(&self, to: usize, bytes: &[u8]) {
        let side = &self.sides[to];
        let before = side.state();
        assert!(side.session.decrypt(&side.skipped, bytes).is_err(), "bytes that nobody sent here were accepted");
        assert_eq!(side.state(), before, "a refusal changed the state");
    }

    /// Rewrites a header field of a waiting message under its old code.
    fn forge(&mut self, message: &Sent, how: u8, what: u8) {
        let value = u64::from(what / EVENTS);
        // Another message's ratchet key and chunk, genuine where they were.
        let donor = self.arrived.last().map(|donor| parse(self.profile, &donor.bytes));
        let forged = rewrite(self.profile, &message.bytes, |proto| {
            let (epoch, index, rest) = epoch_and_index(&proto.post_quantum);
            match how % 8 {
                0 => proto.post_quantum = part(epoch.saturating_add(1 + value / 8), index, rest),
                1 => proto.post_quantum = part(epoch, index + 1 + value * 1_500, rest),
                2 => {
                    let kind = (rest[0] + 1 + value as u8 % 6) % 7;
                    proto.post_quantum = part(epoch, index, &[&[kind], &rest[1..]].concat());
                }
                3 => {
                    let chunk = [&[rest[0]][..], &[value as u8; 33]].concat();
                    proto.post_quantum = part(epoch, index, &chunk);
                }
                4 => proto.counter = proto.counter.map(|counter| counter + 1 + value as u32 * 1_500),
                5 => proto.previous_counter = proto.previous_counter.map(|counter| counter + 1 + value as u32),
                6 => proto.ratchet_key = donor.map(|donor| donor.ratchet_key).unwrap_or_default(),
                _ => {
                    let other = donor.map(|donor| donor.post_quantum).unwrap_or_default();
                    let rest = if other.is_empty() { &[0][..] } else { epoch_and_index(&other).2 };
                    proto.post_quantum = part(epoch, index, rest);
                }
            }
        });
        // A donor from the same chain gives back the genuine message.
        if forged != message.bytes {
            self.refuse(1 - message.from, &forged);
        }
    }

    fn run(&mut self, event: [u8; EVENT_LEN]) {
        let [what, which, how] = event;
        let side = usize::from(which & 1);
        match what % EVENTS {
            0 => self.send(0),
            1 => self.send(1),
            2 => {
                if let Some(message) = self.take(which) {
                    self.deliver(message, how & 1 != 0);
                }
            }
            3 => drop(self.take(which)),
            4 => {
                if !self.arrived.is_empty() {
                    let message = &self.arrived[usize::from(which) % self.arrived.len()];
                    self.refuse(1 - message.from, &message.bytes);
                }
            }
            5 => {
                if let Some(message) = self.take(which) {
                    let mut bytes = message.bytes.clone();
                    let place = usize::from(how) * bytes.len() / 256;
                    bytes[place] ^= 1 << (what / EVENTS % 8);
                    // Nothing authenticates the registration id of a prekey message, and here nobody states one.
                    self.refuse(1 - message.from, &bytes);
                    self.waiting.push(message);
                }
            }
            6 => self.sides[side].restart(),
            7 => {
                // Dies before the step is stored: the ciphertext never leaves.
                let dying = &self.sides[side];
                drop(dying.session.encrypt(&mut self.rng, b"never leaves"));
                self.sides[side].restart();
            }
            8 => {
                if let Some(message) = self.take(which) {
                    let dying = &self.sides[1 - message.from];
                    drop(dying.session.decrypt(&dying.skipped, &message.bytes));
                    self.sides[1 - message.from].restart();
                    self.waiting.push(message);
                }
            }
            9 => (0..how % 48).for_each(|_| self.send(side)),
            10 => {
                if let Some(message) = self.take(which) {
                    self.refuse(message.from, &message.bytes);
                    self.waiting.push(message);
                }
            }
            // So that a short script gets through whole epochs: both write and read in turns. What waited before still waits.
            11 => {
                for _ in 0..how % 64 {
                    for from in [0, 1] {
                        let before = self.sent;
                        self.send(from);
                        if self.sent > before
                            && let Some(message) = self.waiting.pop()
                        {
                            self.deliver(message, false);
                        }
                    }
                }
            }
            12 => {
                if let Some(message) = self.take(which) {
                    self.forge(&message, how, what);
                    self.waiting.push(message);
                }
            }
            // A message of another session between the same devices.
            _ => {
                let foreign = &world(self.profile).foreign;
                self.refuse(side, &foreign[usize::from(how) % foreign.len()]);
            }
        }
    }
}
