//! Targets for `rcseal_signal`: messages, prekey messages, prekey bundles, stored records.
//!
//! A parser alone would be the easy half. These targets hand the bytes to a session that waits for certain genuine messages, so
//! that what is promised about *decrypting* is checked as well: only bytes that the peer made are accepted, and the plaintext is
//! then the one that the peer wrote.

use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::{
    Address, IdentityKey, IdentityKeyPair, KemPreKey, KemPreKeyPublic, MemorySkippedKeys, OneTimePreKey,
    OneTimePreKeyPublic, Peer, PreKeyBundle, PreKeyMessage, Profile, ResponderKeys, Session, SignedPreKey,
    SignedPreKeyPublic,
};

use crate::Verdict;

const PROFILE: Profile = Profile::Native;
const EC_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;
const KEM_LEN: usize = 1568;

/// What Alice writes; message `n` says `n`.
const MESSAGES: u8 = 6;
/// Bob reads this one first, so that the ones before it are skipped keys.
const READ_FIRST: u8 = 3;

/// Two devices in the middle of a conversation. Everything is drawn from a seed, so that kept inputs stay meaningful.
struct Fixture {
    alice_at: Address,
    bob_at: Address,
    alice: IdentityKeyPair,
    bob: IdentityKeyPair,
    signed: SignedPreKey,
    kem: KemPreKey,
    one_time: OneTimePreKey,
    /// Alice's first message, which opens the session.
    opening: Vec<u8>,
    /// What Alice wrote after Bob had answered.
    messages: Vec<Vec<u8>>,
    /// Bob's session, which has read only [`READ_FIRST`] of them.
    session: Session,
    skipped: MemorySkippedKeys,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| make_fixture().expect("two honest devices understand each other"))
}

fn make_fixture() -> Result<Fixture, Box<dyn std::error::Error>> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
    let (alice_at, bob_at) = (Address::new([1; 16], 1), Address::new([2; 16], 1));
    let signed = SignedPreKey::generate(&mut rng, PROFILE, 1, &bob)?;
    let kem = KemPreKey::generate(&mut rng, PROFILE, 2, &bob)?;
    let one_time = OneTimePreKey::generate(&mut rng, PROFILE, 3)?;
    let bundle = PreKeyBundle {
        identity: bob.public(),
        signed_prekey: signed.public(),
        kem_prekey: kem.public(),
        one_time: Some(one_time.public()),
    };
    let to_bob = Peer { address: bob_at, identity: bob.public() };
    let mut alice_session = Session::initiate(&mut rng, PROFILE, &alice, alice_at, to_bob, bundle.verify(PROFILE)?)?;
    let step = alice_session.encrypt(&mut rng, b"opening")?;
    alice_session.apply(&step.delta)?;
    let opening = step.output;

    let to_alice = Peer { address: alice_at, identity: alice.public() };
    let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: Some(&one_time) };
    let accepting = Session::accept(PROFILE, &bob, bob_at, to_alice, PreKeyMessage::parse(&opening)?, keys)?;
    let mut session = accepting.decrypt_first()?.session;
    let answer = session.encrypt(&mut rng, b"answer")?;
    session.apply(&answer.delta)?;
    let read = alice_session.decrypt(&MemorySkippedKeys::new(), &answer.output)?;
    alice_session.apply(&read.delta)?;

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
    Ok(Fixture { alice_at, bob_at, alice, bob, signed, kem, one_time, opening, messages, session, skipped })
}

/// A message to a session that waits for five genuine ones, two of them skipped.
pub(crate) fn message(bytes: &[u8]) -> Verdict {
    let fixture = fixture();
    let step = fixture.session.decrypt(&fixture.skipped, bytes);
    if let Ok(step) = &step {
        let number = fixture.messages.iter().position(|message| message == bytes);
        assert!(number.is_some(), "only bytes that the peer made are accepted");
        assert_ne!(number, Some(usize::from(READ_FIRST)), "a message key works once");
        assert_eq!(step.output.first().map(|byte| usize::from(*byte)), number, "the plaintext is what the peer wrote");
    }
    Verdict::of(&step)
}

pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    let numbered = fixture().messages.iter().enumerate();
    numbered.filter(|(number, _)| *number != usize::from(READ_FIRST)).map(|(_, message)| message.clone()).collect()
}

/// A message that would open a session. Its wrapping carries no code of its own but is bound into the keys, so any change that
/// still parses must fail inside.
pub(crate) fn prekey_message(bytes: &[u8]) -> Verdict {
    let fixture = fixture();
    let Ok(message) = PreKeyMessage::parse(bytes) else { return Verdict::Refused };
    let their = Peer { address: fixture.alice_at, identity: fixture.alice.public() };
    let keys = ResponderKeys { signed: &fixture.signed, kem: &fixture.kem, one_time: Some(&fixture.one_time) };
    let Ok(accepting) = Session::accept(PROFILE, &fixture.bob, fixture.bob_at, their, message, keys) else {
        return Verdict::Refused;
    };
    let accepted = accepting.decrypt_first();
    if let Ok(accepted) = &accepted {
        assert_eq!(accepted.plaintext, b"opening", "the plaintext is what the peer wrote");
        assert_eq!(bytes, fixture.opening, "only bytes that the peer made are accepted");
    }
    Verdict::of(&accepted)
}

pub(crate) fn prekey_message_seeds() -> Vec<Vec<u8>> {
    vec![fixture().opening.clone()]
}

/// A prekey bundle as its parts come from a directory: keys and signatures in a row, one-time key or none. What the identity key
/// vouches for must be what was published; the one-time key is not signed.
pub(crate) fn bundle(bytes: &[u8]) -> Verdict {
    let verified = parse_bundle(bytes).and_then(|bundle| bundle.verify(PROFILE).ok());
    if verified.as_ref().is_some_and(|verified| verified.identity() == fixture().bob.public()) {
        let signed = EC_LEN + EC_LEN + SIGNATURE_LEN + KEM_LEN + SIGNATURE_LEN;
        let genuine = bundle_seeds();
        let same_keys = |seed: &Vec<u8>| {
            let keys = |bytes: &[u8]| [&bytes[..64], &bytes[128..128 + KEM_LEN]].concat();
            keys(&seed[..signed]) == keys(&bytes[..signed])
        };
        assert!(genuine.iter().any(same_keys), "only keys that the device signed are accepted");
    }
    if verified.is_some() { Verdict::Accepted } else { Verdict::Refused }
}

fn parse_bundle(bytes: &[u8]) -> Option<PreKeyBundle> {
    let (identity, rest) = bytes.split_first_chunk::<EC_LEN>()?;
    let (key, rest) = rest.split_at_checked(EC_LEN)?;
    let (signature, rest) = rest.split_at_checked(SIGNATURE_LEN)?;
    let signed_prekey = SignedPreKeyPublic::from_parts(1, key, signature).ok()?;
    let (key, rest) = rest.split_at_checked(KEM_LEN)?;
    let (signature, rest) = rest.split_at_checked(SIGNATURE_LEN)?;
    let kem_prekey = KemPreKeyPublic::from_parts(2, key, signature).ok()?;
    let one_time = if rest.is_empty() { None } else { Some(OneTimePreKeyPublic::from_parts(3, rest).ok()?) };
    Some(PreKeyBundle { identity: IdentityKey::from_bytes(identity).ok()?, signed_prekey, kem_prekey, one_time })
}

pub(crate) fn bundle_seeds() -> Vec<Vec<u8>> {
    let fixture = fixture();
    let (signed, kem) = (fixture.signed.public(), fixture.kem.public());
    let without = [
        fixture.bob.public().as_bytes(),
        signed.key.as_bytes(),
        &signed.signature.0[..],
        kem.key.as_bytes(),
        &kem.signature.0[..],
    ]
    .concat();
    let with = [&without[..], fixture.one_time.public().key.as_bytes()].concat();
    vec![without, with]
}

/// What a device stores of a session. A damaged store must give an error and never a session that panics.
pub(crate) fn record(bytes: &[u8]) -> Verdict {
    let session = Session::from_record(bytes);
    if let Ok(session) = &session {
        let written = session.record();
        let again = Session::from_record(written.as_bytes()).expect("what we write, we can read");
        assert_eq!(
            again.record().as_bytes(),
            written.as_bytes(),
            "a record that was read once is written the same for ever"
        );
        let _ = session.encrypt(&mut ChaCha20Rng::seed_from_u64(1), b"text");
        let _ = session.decrypt(&fixture().skipped, &fixture().messages[0]);
    }
    Verdict::of(&session)
}

pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    vec![fixture().session.record().as_bytes().to_vec()]
}
