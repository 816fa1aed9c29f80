//! Targets for `rcseal_signal`: messages, prekey messages, prekey bundles, stored records.
//!
//! Only bytes that the peer made may be accepted, and the plaintext is then the one that the peer wrote. The same targets run in the
//! `signal-v4` profile with the feature of that name, which the fuzzer turns on and no product does.

use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::{
    IdentityKey, KemPreKeyPublic, OneTimePreKeyPublic, Peer, PreKeyBundle, PreKeyMessage, Profile, ResponderKeys,
    Session, SignedPreKeyPublic,
};

use crate::Verdict;
use crate::signal_world::{READ_FIRST, world};

const EC_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;
const KEM_LEN: usize = 1568;

/// A message to a session that waits for five genuine ones, two of them skipped.
pub(crate) fn message(bytes: &[u8]) -> Verdict {
    message_of(Profile::Native, bytes)
}

pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    message_seeds_of(Profile::Native)
}

/// The same to a session in one of the eleven states of the post-quantum ratchet; the first byte says in which.
pub(crate) fn braid_message(bytes: &[u8]) -> Verdict {
    braid_message_of(Profile::Native, bytes)
}

pub(crate) fn braid_message_seeds() -> Vec<Vec<u8>> {
    braid_message_seeds_of(Profile::Native)
}

/// A message that would open a session. Its wrapping carries no code of its own but is bound into the keys, so any change that
/// still parses must fail inside.
pub(crate) fn prekey_message(bytes: &[u8]) -> Verdict {
    prekey_message_of(Profile::Native, bytes)
}

pub(crate) fn prekey_message_seeds() -> Vec<Vec<u8>> {
    vec![world(Profile::Native).opening.clone()]
}

/// The targets above in the other profile.
#[cfg(feature = "signal-v4")]
pub(crate) mod v4 {
    use super::{Profile, Verdict, world};

    pub(crate) fn message(bytes: &[u8]) -> Verdict {
        super::message_of(Profile::SignalV4, bytes)
    }

    pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
        super::message_seeds_of(Profile::SignalV4)
    }

    pub(crate) fn braid_message(bytes: &[u8]) -> Verdict {
        super::braid_message_of(Profile::SignalV4, bytes)
    }

    pub(crate) fn braid_message_seeds() -> Vec<Vec<u8>> {
        super::braid_message_seeds_of(Profile::SignalV4)
    }

    pub(crate) fn prekey_message(bytes: &[u8]) -> Verdict {
        super::prekey_message_of(Profile::SignalV4, bytes)
    }

    pub(crate) fn prekey_message_seeds() -> Vec<Vec<u8>> {
        vec![world(Profile::SignalV4).opening.clone()]
    }
}

fn message_of(profile: Profile, bytes: &[u8]) -> Verdict {
    let world = world(profile);
    let step = world.session.decrypt(&world.skipped, bytes);
    if let Ok(step) = &step {
        let number = world.messages.iter().position(|message| message == bytes);
        assert!(number.is_some(), "only bytes that the peer made are accepted");
        assert_ne!(number, Some(usize::from(READ_FIRST)), "a message key works once");
        assert_eq!(step.output.first().map(|byte| usize::from(*byte)), number, "the plaintext is what the peer wrote");
    }
    Verdict::of(&step)
}

fn message_seeds_of(profile: Profile) -> Vec<Vec<u8>> {
    let numbered = world(profile).messages.iter().enumerate();
    numbered.filter(|(number, _)| *number != usize::from(READ_FIRST)).map(|(_, message)| message.clone()).collect()
}

fn braid_message_of(profile: Profile, bytes: &[u8]) -> Verdict {
    let moments = &world(profile).moments;
    let Some((which, message)) = bytes.split_first() else { return Verdict::Refused };
    let moment = &moments[usize::from(*which) % moments.len()];
    let step = moment.session.decrypt(&moment.skipped, message);
    if let Ok(step) = &step {
        // Another moment's message may be genuine here too, if it goes the same way.
        let sent = moments.iter().find(|other| other.receiver == moment.receiver && other.message == message);
        assert_eq!(sent.map(|sent| &sent.text), Some(&step.output), "only bytes that the peer made are accepted");
    }
    Verdict::of(&step)
}

fn braid_message_seeds_of(profile: Profile) -> Vec<Vec<u8>> {
    let numbered = (0u8..).zip(&world(profile).moments);
    numbered.map(|(number, moment)| [&[number][..], &moment.message].concat()).collect()
}

/// A prekey message as an ordinary codec sees it. Nothing authenticates the registration id, so it is left out.
#[derive(Clone, PartialEq, Message)]
struct PreKeyProto {
    #[prost(uint32, optional, tag = "1")]
    one_time_id: Option<u32>,
    #[prost(bytes = "vec", tag = "2")]
    base_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
    #[prost(uint32, tag = "6")]
    signed_prekey_id: u32,
    #[prost(uint32, tag = "7")]
    kem_prekey_id: u32,
    #[prost(bytes = "vec", tag = "8")]
    kem_ciphertext: Vec<u8>,
}

fn prekey_message_of(profile: Profile, bytes: &[u8]) -> Verdict {
    let world = world(profile);
    let Ok(message) = PreKeyMessage::parse(bytes) else { return Verdict::Refused };
    let their = Peer { address: world.alice_at, identity: world.alice.public() };
    let keys = ResponderKeys { signed: &world.signed, kem: &world.kem, one_time: Some(&world.one_time) };
    let Ok(accepting) = Session::accept(profile, &world.bob, world.bob_at, their, message, keys) else {
        return Verdict::Refused;
    };
    let accepted = accepting.decrypt_first();
    if let Ok(accepted) = &accepted {
        assert_eq!(accepted.plaintext, b"opening", "the plaintext is what the peer wrote");
        match profile {
            Profile::Native => assert_eq!(bytes, world.opening, "only bytes that the peer made are accepted"),
            _ => assert_eq!(
                PreKeyProto::decode(&bytes[1..]).ok(),
                PreKeyProto::decode(&world.opening[1..]).ok(),
                "only fields that the peer made are accepted"
            ),
        }
    }
    Verdict::of(&accepted)
}

/// A prekey bundle as its parts come from a directory: keys and signatures in a row, one-time key or none. What the identity key
/// vouches for must be what was published; the one-time key is not signed.
pub(crate) fn bundle(bytes: &[u8]) -> Verdict {
    let verified = parse_bundle(bytes).and_then(|bundle| bundle.verify(Profile::Native).ok());
    if verified.as_ref().is_some_and(|verified| verified.identity() == world(Profile::Native).bob.public()) {
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
    let world = world(Profile::Native);
    let (signed, kem) = (world.signed.public(), world.kem.public());
    let without = [
        world.bob.public().as_bytes(),
        signed.key.as_bytes(),
        &signed.signature.0[..],
        kem.key.as_bytes(),
        &kem.signature.0[..],
    ]
    .concat();
    let with = [&without[..], world.one_time.public().key.as_bytes()].concat();
    vec![without, with]
}

/// What a device stores of a session. A damaged store must give an error and never a session that panics: not when it writes, not when it
/// reads, not when it is stored again.
pub(crate) fn record(bytes: &[u8]) -> Verdict {
    let session = Session::from_record(bytes);
    if let Ok(session) = &session {
        let written = session.record();
        let mut again = Session::from_record(written.as_bytes()).expect("what we write, we can read");
        assert_eq!(
            again.record().as_bytes(),
            written.as_bytes(),
            "a record that was read once is written the same for ever"
        );
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..2 {
            let Ok(step) = again.encrypt(&mut rng, b"text") else { break };
            again.apply(&step.delta).expect("the step follows the state it was made from");
            let stored = step.delta.record().as_bytes();
            let read = Session::from_record(stored).expect("what we write, we can read");
            assert_eq!(read.record().as_bytes(), stored, "a step's record restores to itself");
        }
        let world = world(Profile::Native);
        let _ = session.decrypt(&world.skipped, &world.messages[0]);
        for moment in &world.moments {
            let _ = session.decrypt(&moment.skipped, &moment.message);
        }
    }
    Verdict::of(&session)
}

/// One in each state of the post-quantum ratchet, and one that waits for its answer.
pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    let world = world(Profile::Native);
    let moments = world.moments.iter().map(|moment| moment.records[moment.receiver].clone());
    [world.session.record().as_bytes().to_vec(), world.unanswered.clone()].into_iter().chain(moments).collect()
}
