//! Targets for an archive of sessions: its stored index, and a message that any of its sessions might read.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::{
    ARCHIVED_MAX, Archive, ArchiveChange, MemoryArchive, Peer, PreKeyBundle, PreKeyMessage, Profile, ResponderKeys,
    Session, SessionId,
};

use crate::Verdict;
use crate::signal_world::world;

const PROFILE: Profile = Profile::Native;
/// Sessions that Alice begins, one after the other.
const SESSIONS: u8 = 3;

/// Bob's sessions with Alice.
struct Fixture {
    store: MemoryArchive,
    archive: Archive,
    /// One message in each session that Bob has not read.
    messages: Vec<Vec<u8>>,
    /// The index with an active session, and after it was closed.
    indexes: Vec<Vec<u8>>,
    records: Vec<(SessionId, Vec<u8>)>,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| make().expect("an honest device begins several sessions"))
}

fn make() -> Result<Fixture, Box<dyn std::error::Error>> {
    let world = world(PROFILE);
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    let (mut store, mut archive) = (MemoryArchive::new(), Archive::new());
    let (mut messages, mut indexes) = (Vec::new(), Vec::new());
    for number in 0..SESSIONS {
        let bundle = PreKeyBundle {
            identity: world.bob.public(),
            signed_prekey: world.signed.public(),
            kem_prekey: world.kem.public(),
            one_time: None,
        };
        let to_bob = Peer { address: world.bob_at, identity: world.bob.public() };
        let verified = bundle.verify(PROFILE)?;
        let mut session = Session::initiate(&mut rng, PROFILE, &world.alice, world.alice_at, to_bob, verified)?;
        let opening = session.encrypt(&mut rng, b"opening")?;
        session.apply(&opening.delta)?;
        messages.push(session.encrypt(&mut rng, &[number])?.output);

        let to_alice = Peer { address: world.alice_at, identity: world.alice.public() };
        let keys = ResponderKeys { signed: &world.signed, kem: &world.kem, one_time: None };
        let message = PreKeyMessage::parse(&opening.output)?;
        let accepted = Session::accept(PROFILE, &world.bob, world.bob_at, to_alice, message, keys)?.decrypt_first()?;
        let change = archive.accept(accepted, u64::from(number))?.change;
        store.store(&change);
        indexes.extend(change.index().map(<[u8]>::to_vec));
        archive.apply(change)?;
    }
    let closed = archive.close().ok_or("there is an active session")?;
    indexes.extend(closed.index().map(<[u8]>::to_vec));
    let sessions = archive.active().into_iter().chain(archive.archived());
    let records = sessions.map(|session| (SessionId::of(session), session.record().as_bytes().to_vec())).collect();
    Ok(Fixture { store, archive, messages, indexes, records })
}

/// The stored order of an archive's sessions. What restores names each session once and is written again as it was read.
pub(crate) fn session_archive(bytes: &[u8]) -> Verdict {
    let records = &fixture().records;
    let load = |id: SessionId| records.iter().find(|(known, _)| *known == id).map(|(_, record)| record.clone());
    let restored = Archive::restore(bytes, load);
    if let Ok(archive) = &restored {
        let names: Vec<_> = archive.active().into_iter().chain(archive.archived()).map(SessionId::of).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a session stands in one place");
        assert!(archive.archived().count() <= ARCHIVED_MAX, "the archive keeps no more than its limit");
        let closed = archive.close();
        assert_eq!(closed.is_some(), archive.active().is_some(), "what is active can be closed");
        if let Some(index) = closed.as_ref().and_then(ArchiveChange::index) {
            assert_eq!(index[3..], bytes[3..], "closing changes no order and no time");
            let again = Archive::restore(index, load).expect("what we write, we can read");
            assert!(again.active().is_none());
        }
    }
    Verdict::of(&restored)
}

pub(crate) fn session_archive_seeds() -> Vec<Vec<u8>> {
    fixture().indexes.clone()
}

/// A message to a device with several sessions. Only bytes that the peer made are accepted, by the session they were made in.
pub(crate) fn archive_message(bytes: &[u8]) -> Verdict {
    let fixture = fixture();
    let step = fixture.archive.decrypt(&fixture.store, bytes);
    if let Ok(step) = &step {
        let number = fixture.messages.iter().position(|message| message == bytes);
        assert!(number.is_some(), "only bytes that the peer made are accepted");
        assert_eq!(step.output.first().map(|byte| usize::from(*byte)), number, "the plaintext is what the peer wrote");
        let named = PreKeyMessage::parse(bytes).map(|message| SessionId(message.base_key())).ok();
        assert_eq!(named, Some(step.change.session()), "the session that reads is the one that is named");
    }
    Verdict::of(&step)
}

pub(crate) fn archive_message_seeds() -> Vec<Vec<u8>> {
    fixture().messages.clone()
}
