//! A target that is no parser: the bytes are a script for two devices and the channel between them.
//!
//! Each three bytes are one event: somebody writes, a message arrives, is lost, repeated, damaged or handed to the wrong side, a device
//! dies before or after a step is stored. The model beside it knows what was sent and checks what must hold whatever the script: a
//! delivered message decrypts once and to what was sent, no message key is used twice, and a refusal changes nothing. Coverage leads the
//! fuzzer into the rare states of the ratchets, which a random walk seldom reaches.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::{
    Address, IdentityKeyPair, KemPreKey, MemorySkippedKeys, Peer, PreKeyBundle, PreKeyMessage, Profile, ResponderKeys,
    Session, SignedPreKey,
};

use crate::Verdict;

const PROFILE: Profile = Profile::Native;
/// Bytes of an event: what, which, how.
const EVENT_LEN: usize = 3;
/// Events of one run, so that a run stays short enough for many.
const EVENTS_MAX: usize = 200;
/// Messages of one run.
const MESSAGES_MAX: usize = 1_500;
/// Bytes of a message's authentication code.
const MAC_LEN: usize = 32;
/// First byte of a message that may open a session.
const PREKEY_VERSION: u8 = 0xB1;

/// Records of two devices: once when the responder has accepted and not answered, once when both have.
struct Start {
    accepted: [Vec<u8>; 2],
    established: [Vec<u8>; 2],
}

fn start() -> &'static Start {
    static START: OnceLock<Start> = OnceLock::new();
    START.get_or_init(|| make_start().expect("two honest devices understand each other"))
}

fn make_start() -> Result<Start, Box<dyn std::error::Error>> {
    let mut rng = ChaCha20Rng::seed_from_u64(17);
    let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
    let (alice_at, bob_at) = (Address::new([1; 16], 1), Address::new([2; 16], 1));
    let signed = SignedPreKey::generate(&mut rng, PROFILE, 1, &bob)?;
    let kem = KemPreKey::generate(&mut rng, PROFILE, 2, &bob)?;
    let bundle = PreKeyBundle {
        identity: bob.public(),
        signed_prekey: signed.public(),
        kem_prekey: kem.public(),
        one_time: None,
    };
    let to_bob = Peer { address: bob_at, identity: bob.public() };
    let to_alice = Peer { address: alice_at, identity: alice.public() };
    let mut alice_session = Session::initiate(&mut rng, PROFILE, &alice, alice_at, to_bob, bundle.verify(PROFILE)?)?;
    let opening = alice_session.encrypt(&mut rng, b"opening")?;
    alice_session.apply(&opening.delta)?;
    let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: None };
    let message = PreKeyMessage::parse(&opening.output)?;
    let mut bob_session = Session::accept(PROFILE, &bob, bob_at, to_alice, message, keys)?.decrypt_first()?.session;
    let records = |alice: &Session, bob: &Session| [alice, bob].map(|side| side.record().as_bytes().to_vec());
    let accepted = records(&alice_session, &bob_session);

    let answer = bob_session.encrypt(&mut rng, b"answer")?;
    bob_session.apply(&answer.delta)?;
    let read = alice_session.decrypt(&MemorySkippedKeys::new(), &answer.output)?;
    alice_session.apply(&read.delta)?;
    Ok(Start { accepted, established: records(&alice_session, &bob_session) })
}

/// One device: its session, and what its store holds.
struct Side {
    session: Session,
    skipped: MemorySkippedKeys,
}

impl Side {
    fn restore(record: &[u8]) -> Self {
        let session = Session::from_record(record).expect("what we write, we can read");
        Self { session, skipped: MemorySkippedKeys::new() }
    }

    fn state(&self) -> (Vec<u8>, usize) {
        (self.session.record().as_bytes().to_vec(), self.skipped.len())
    }

    /// Dies, and comes back with what was stored.
    fn restart(&mut self) {
        let record = self.session.record();
        self.session = Session::from_record(record.as_bytes()).expect("what we write, we can read");
        assert_eq!(self.session.record().as_bytes(), record.as_bytes(), "a record restores to itself");
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
    sides: [Side; 2],
    rng: ChaCha20Rng,
    waiting: Vec<Sent>,
    arrived: Vec<Sent>,
    sent: usize,
    newest_epoch: u64,
    keys_used: BTreeSet<(Vec<u8>, u32)>,
    post_quantum_keys_used: BTreeSet<(usize, u64, u64)>,
}

/// What the model reads off a message: the public names of its keys.
struct Names {
    ratchet_key: (Vec<u8>, u32),
    epoch: u64,
    index: u64,
}

#[derive(Message)]
struct RatchetProto {
    #[prost(bytes = "vec", tag = "1")]
    ratchet_key: Vec<u8>,
    #[prost(uint32, tag = "2")]
    counter: u32,
    #[prost(bytes = "vec", tag = "5")]
    post_quantum: Vec<u8>,
}

#[derive(Message)]
struct PreKeyProto {
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

fn names(message: &[u8]) -> Names {
    let inner = match message.first() {
        Some(&PREKEY_VERSION) => PreKeyProto::decode(&message[1..]).expect("what we write is protobuf").message,
        _ => message.to_vec(),
    };
    let proto = RatchetProto::decode(&inner[1..inner.len() - MAC_LEN]).expect("what we write is protobuf");
    let mut field = &proto.post_quantum[1..];
    let epoch = prost::encoding::decode_varint(&mut field).expect("an epoch follows the version");
    let index = prost::encoding::decode_varint(&mut field).expect("an index follows the epoch");
    Names { ratchet_key: (proto.ratchet_key, proto.counter), epoch, index }
}

impl World {
    fn new(records: &[Vec<u8>; 2]) -> Self {
        Self {
            sides: [Side::restore(&records[0]), Side::restore(&records[1])],
            rng: ChaCha20Rng::seed_from_u64(23),
            waiting: Vec::new(),
            arrived: Vec::new(),
            sent: 0,
            newest_epoch: 0,
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
        side.skipped.apply(&step.delta);
        side.session.apply(&step.delta).expect("the step follows the state it was made from");
        let names = names(&step.output);
        assert!(self.keys_used.insert(names.ratchet_key), "a message key was used twice");
        assert!(
            self.post_quantum_keys_used.insert((from, names.epoch, names.index)),
            "a post-quantum key was used twice"
        );
        self.newest_epoch = self.newest_epoch.max(names.epoch);
        self.waiting.push(Sent { from, bytes: step.output, text, epoch: names.epoch });
    }

    fn take(&mut self, pick: u8) -> Option<Sent> {
        let count = self.waiting.len();
        (count > 0).then(|| self.waiting.remove(usize::from(pick) % count))
    }

    /// Whether the receiver may have dropped the chain of the message: two newer epochs have begun.
    fn may_be_gone(&self, message: &Sent) -> bool {
        message.epoch + 2 <= self.newest_epoch
    }

    fn deliver(&mut self, message: Sent) {
        let may_be_gone = self.may_be_gone(&message);
        let side = &mut self.sides[1 - message.from];
        match side.session.decrypt(&side.skipped, &message.bytes) {
            Ok(step) => {
                assert_eq!(step.output, message.text, "the plaintext is what the peer wrote");
                side.skipped.apply(&step.delta);
                side.session.apply(&step.delta).expect("the step follows the state it was made from");
                self.arrived.push(message);
            }
            Err(error) => assert!(may_be_gone, "a genuine message was refused: {}", error.code()),
        }
    }

    /// Hands bytes to a side that must refuse them and stay as it is.
    fn refuse(&self, to: usize, bytes: &[u8]) {
        let side = &self.sides[to];
        let before = side.state();
        assert!(side.session.decrypt(&side.skipped, bytes).is_err(), "bytes that nobody sent here were accepted");
        assert_eq!(side.state(), before, "a refusal changed the state");
    }

    fn run(&mut self, event: [u8; EVENT_LEN]) {
        let [what, which, how] = event;
        let side = usize::from(which & 1);
        match what % 12 {
            0 => self.send(0),
            1 => self.send(1),
            2 => {
                if let Some(message) = self.take(which) {
                    self.deliver(message);
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
                    bytes[place] ^= 1 << (what / 12 % 8);
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
            // So that a short script gets through whole epochs: both write and read in turns.
            _ => {
                for _ in 0..how % 64 {
                    self.send(0);
                    self.send(1);
                    for message in std::mem::take(&mut self.waiting) {
                        self.deliver(message);
                    }
                }
            }
        }
    }
}

/// Runs a script. The first byte chooses how far the session is when it begins.
pub(crate) fn two_party(bytes: &[u8]) -> Verdict {
    let Some((beginning, script)) = bytes.split_first() else { return Verdict::Refused };
    let start = start();
    let mut world = World::new(if beginning & 1 == 0 { &start.established } else { &start.accepted });
    for event in script.as_chunks::<EVENT_LEN>().0.iter().take(EVENTS_MAX) {
        world.run(*event);
    }
    // Whatever still waits arrives in the end, last sent first.
    while let Some(message) = world.waiting.pop() {
        world.deliver(message);
    }
    Verdict::Accepted
}

/// A quiet exchange, a bad channel, and enough turns for several epochs with deaths between them.
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
    let script = |beginning: u8, events: &[[u8; EVENT_LEN]]| [&[beginning], events.as_flattened()].concat();
    vec![script(0, &quiet), script(1, &quiet), script(1, &bad), script(0, &long)]
}
