//! Two devices in the middle of a conversation, for the targets that hand bytes to a session.
//!
//! Everything is drawn from a seed, so that kept inputs stay meaningful. A parser alone would be the easy half: what is promised about
//! *decrypting* needs a session that waits for certain genuine messages. The post-quantum ratchet goes through eleven states, and what a
//! message does depends on the state, so there is a [`Moment`] for each.

use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rcseal_signal::{
    Address, IdentityKeyPair, KemPreKey, MemorySkippedKeys, OneTimePreKey, Peer, PreKeyBundle, PreKeyMessage, Profile,
    Record, ResponderKeys, Session, SignedPreKey,
};

type Failure = Box<dyn std::error::Error>;

/// What Alice writes; message `n` says `n`.
const MESSAGES: u8 = 6;
/// Bob reads this one first, so that the ones before it are skipped keys.
pub(crate) const READ_FIRST: u8 = 3;
/// States of the post-quantum ratchet; their codes are 1 to 11 (`docs/protocol/spqr.md`).
const BRAID_STATES: u8 = 11;
/// Length of the post-quantum ratchet's slot, the last part of a record that waits for no answer.
const BRAID_SLOT_LEN: usize = 1_541;
/// Steps after which every state must have been seen.
const STEPS_MAX: usize = 4_000;

/// Alice, Bob and what they have written.
pub(crate) struct World {
    pub(crate) alice_at: Address,
    pub(crate) bob_at: Address,
    pub(crate) alice: IdentityKeyPair,
    pub(crate) bob: IdentityKeyPair,
    pub(crate) signed: SignedPreKey,
    pub(crate) kem: KemPreKey,
    pub(crate) one_time: OneTimePreKey,
    /// Alice's first message, which opens the session.
    pub(crate) opening: Vec<u8>,
    /// Alice's session before Bob has answered.
    pub(crate) unanswered: Vec<u8>,
    /// Bob's session before he has answered.
    pub(crate) accepted: Vec<u8>,
    /// Both sessions after Bob's answer.
    pub(crate) established: [Vec<u8>; 2],
    /// What Alice wrote after Bob had answered.
    pub(crate) messages: Vec<Vec<u8>>,
    /// Bob's session, which has read only [`READ_FIRST`] of them.
    pub(crate) session: Session,
    pub(crate) skipped: MemorySkippedKeys,
    /// One for each state of the post-quantum ratchet, by its code.
    pub(crate) moments: Vec<Moment>,
    /// Messages of another session between the two: one that opens it, one to Alice, one to Bob.
    pub(crate) foreign: [Vec<u8>; 3],
}

/// A state of the post-quantum ratchet, and a message on its way to the side that is in it.
pub(crate) struct Moment {
    /// Alice's record and Bob's.
    pub(crate) records: [Vec<u8>; 2],
    /// Who is in the state: 0 for Alice, 1 for Bob.
    pub(crate) receiver: usize,
    /// The receiver's session.
    pub(crate) session: Session,
    pub(crate) skipped: MemorySkippedKeys,
    pub(crate) message: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

/// The two devices in a profile.
pub(crate) fn world(profile: Profile) -> &'static World {
    static NATIVE: OnceLock<World> = OnceLock::new();
    static SIGNAL_V4: OnceLock<World> = OnceLock::new();
    let place = match profile {
        Profile::SignalV4 => &SIGNAL_V4,
        _ => &NATIVE,
    };
    place.get_or_init(|| make(profile).expect("two honest devices understand each other"))
}

/// State and epoch of the post-quantum ratchet in a record.
pub(crate) fn braid_of(record: &[u8]) -> (u8, u64) {
    let slot = &record[Record::LEN - BRAID_SLOT_LEN..];
    let epoch = slot[2..10].try_into().expect("eight bytes are eight bytes");
    (slot[1], u64::from_be_bytes(epoch))
}

/// The last epoch whose key the side with this record has: the ciphertext's side has that of its own epoch once it has answered.
pub(crate) fn key_epoch_of(record: &[u8]) -> u64 {
    const CIPHERTEXT_IS_MADE: std::ops::RangeInclusive<u8> = 8..=11;
    let (state, epoch) = braid_of(record);
    if CIPHERTEXT_IS_MADE.contains(&state) { epoch } else { epoch - 1 }
}

fn make(profile: Profile) -> Result<World, Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
    let (alice_at, bob_at) = (Address::new([1; 16], 1), Address::new([2; 16], 1));
    let signed = SignedPreKey::generate(&mut rng, profile, 1, &bob)?;
    let kem = KemPreKey::generate(&mut rng, profile, 2, &bob)?;
    let one_time = OneTimePreKey::generate(&mut rng, profile, 3)?;
    let bundle = PreKeyBundle {
        identity: bob.public(),
        signed_prekey: signed.public(),
        kem_prekey: kem.public(),
        one_time: Some(one_time.public()),
    };
    let to_bob = Peer { address: bob_at, identity: bob.public() };
    let mut alice_session = Session::initiate(&mut rng, profile, &alice, alice_at, to_bob, bundle.verify(profile)?)?;
    let step = alice_session.encrypt(&mut rng, b"opening")?;
    alice_session.apply(&step.delta)?;
    let (opening, unanswered) = (step.output, bytes_of(&alice_session));

    let to_alice = Peer { address: alice_at, identity: alice.public() };
    let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: Some(&one_time) };
    let accepting = Session::accept(profile, &bob, bob_at, to_alice, PreKeyMessage::parse(&opening)?, keys)?;
    let mut session = accepting.decrypt_first()?.session;
    let accepted = bytes_of(&session);
    let answer = session.encrypt(&mut rng, b"answer")?;
    session.apply(&answer.delta)?;
    let read = alice_session.decrypt(&MemorySkippedKeys::new(), &answer.output)?;
    alice_session.apply(&read.delta)?;
    let established = [bytes_of(&alice_session), bytes_of(&session)];

    let mut messages = Vec::new();
    for number in 0..MESSAGES {
        let step = alice_session.encrypt(&mut rng, &[number])?;
        alice_session.apply(&step.delta)?;
        messages.push(step.output);
    }
    let mut skipped = MemorySkippedKeys::new();
    let read = session.decrypt(&skipped, &messages[usize::from(READ_FIRST)])?;
    session.apply(&read.delta)?;
    skipped.apply(&read.delta);
    let moments = moments(&established)?;
    let bundle = PreKeyBundle {
        identity: bob.public(),
        signed_prekey: signed.public(),
        kem_prekey: kem.public(),
        one_time: None,
    };
    let mut other = Session::initiate(&mut rng, profile, &alice, alice_at, to_bob, bundle.verify(profile)?)?;
    let first = other.encrypt(&mut rng, b"foreign")?;
    other.apply(&first.delta)?;
    let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: None };
    let parsed = PreKeyMessage::parse(&first.output)?;
    let mut accepted_other = Session::accept(profile, &bob, bob_at, to_alice, parsed, keys)?.decrypt_first()?.session;
    let second = accepted_other.encrypt(&mut rng, b"foreign")?;
    accepted_other.apply(&second.delta)?;
    other.apply(&other.decrypt(&MemorySkippedKeys::new(), &second.output)?.delta)?;
    let third = other.encrypt(&mut rng, b"foreign")?;
    let foreign = [first.output, second.output, third.output];
    Ok(World {
        alice_at,
        bob_at,
        alice,
        bob,
        signed,
        kem,
        one_time,
        opening,
        unanswered,
        accepted,
        established,
        messages,
        session,
        skipped,
        moments,
        foreign,
    })
}

fn bytes_of(session: &Session) -> Vec<u8> {
    session.record().as_bytes().to_vec()
}

/// Lets the two write over a channel that loses, until each of the eleven states has received a message.
fn moments(established: &[Vec<u8>; 2]) -> Result<Vec<Moment>, Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(29);
    let mut found: [Option<Moment>; BRAID_STATES as usize] = Default::default();
    let mut sides = [
        (Session::from_record(&established[0])?, MemorySkippedKeys::new()),
        (Session::from_record(&established[1])?, MemorySkippedKeys::new()),
    ];
    for step in 0..STEPS_MAX {
        let dice = rng.next_u32();
        let from = (dice & 1) as usize;
        let text = (step as u32).to_be_bytes().to_vec();
        let sent = sides[from].0.encrypt(&mut rng, &text)?;
        sides[from].1.apply(&sent.delta);
        sides[from].0.apply(&sent.delta)?;
        // In every second hundred steps Bob's messages are mostly lost, so that the vector is whole before ct1.
        let lost = if from == 1 && step / 100 % 2 == 1 { dice & 0x30 != 0 } else { dice & 0x70 == 0 };
        if lost {
            continue;
        }
        let records = [bytes_of(&sides[0].0), bytes_of(&sides[1].0)];
        let receiver = 1 - from;
        let (session, skipped) = &mut sides[receiver];
        let (state, _) = braid_of(&records[receiver]);
        let place = found.get_mut(usize::from(state) - 1).ok_or("a state that has no code")?;
        let read = session.decrypt(skipped, &sent.output)?;
        if place.is_none() {
            let before = Session::from_record(&records[receiver])?;
            let mut rows = MemorySkippedKeys::new();
            std::mem::swap(&mut rows, skipped);
            // The rows stay with the moment; the conversation goes on without what was lost before it.
            *place = Some(Moment { records, receiver, session: before, skipped: rows, message: sent.output, text });
        }
        skipped.apply(&read.delta);
        session.apply(&read.delta)?;
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| "a state of the post-quantum ratchet was never met".into())
}
