//! Two sides that begin at once, devices that begin again and again, and prekeys that rotate under messages in flight:
//! the archive of sessions reads what can be read and converges.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rcseal_signal::*;

use crate::support::*;

const DAY: u64 = 24 * 60 * 60;

/// One device's end of an archive with its store, committing every step.
struct End {
    device: Device,
    archive: Archive,
    store: MemoryArchive,
}

impl End {
    fn new(device: Device) -> Self {
        Self { device, archive: Archive::new(), store: MemoryArchive::new() }
    }

    fn commit(&mut self, change: ArchiveChange) {
        self.store.store(&change);
        self.archive.apply(change).unwrap();
        let held = usize::from(self.archive.active().is_some()) + self.archive.archived().count();
        assert_eq!(self.store.sessions(), held, "what is stored is what is held");
    }

    fn restart(&mut self) {
        self.archive = self.store.restore().unwrap();
    }

    fn begin(&mut self, rng: &mut ChaCha20Rng, their: &Device, now: u64) {
        let session = self.device.initiate(rng, their, false);
        let change = self.archive.begin(session, now).unwrap();
        self.commit(change);
    }

    fn send(&mut self, rng: &mut ChaCha20Rng, now: u64, text: &[u8]) -> Vec<u8> {
        let step = self.archive.encrypt(rng, now, UNANSWERED_AGE_MAX, text).unwrap();
        self.commit(step.change);
        step.output
    }

    /// Reads a message in a session that is here.
    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, ArchiveDecryptError> {
        let step = self.archive.decrypt(&self.store, message)?;
        self.commit(step.change);
        Ok(step.output)
    }

    /// Reads a message, and accepts the session it opens if it opens one.
    fn receive(&mut self, their: &Device, message: &[u8]) -> Vec<u8> {
        match self.read(message) {
            Ok(text) => text,
            Err(ArchiveDecryptError::NewSession { message }) => {
                let keys = self.device.keys(message.one_time_id().is_some());
                let (profile, ours, at) = (self.device.profile, &self.device.identity, self.device.address);
                let accepting = Session::accept(profile, ours, at, their.peer(), *message, keys).unwrap();
                let step = self.archive.accept(accepting.decrypt_first().unwrap(), 0).unwrap();
                self.commit(step.change);
                step.output
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn active(&self) -> SessionId {
        SessionId::of(self.archive.active().unwrap())
    }
}

fn ends(rng: &mut ChaCha20Rng, profile: Profile) -> (End, End) {
    (End::new(Device::new(rng, profile, 0xA1)), End::new(Device::new(rng, profile, 0xB0)))
}

/// Alice begins a session, and each reads a message of the other in it.
fn open(rng: &mut ChaCha20Rng, alice: &mut End, bob: &mut End) {
    alice.begin(rng, &bob.device, 0);
    let message = alice.send(rng, 0, b"open");
    assert_eq!(bob.receive(&alice.device, &message), b"open");
    let answer = bob.send(rng, 0, b"answer");
    assert_eq!(alice.receive(&bob.device, &answer), b"answer");
}

#[test]
fn two_sides_that_begin_at_once_read_each_other_and_settle_on_one_session() {
    for profile in PROFILES {
        for restarts in [false, true] {
            let mut rng = rng(1);
            let (mut alice, mut bob) = ends(&mut rng, *profile);
            alice.begin(&mut rng, &bob.device, 0);
            bob.begin(&mut rng, &alice.device, 0);
            let (from_alice, from_bob) = (alice.send(&mut rng, 0, b"a"), bob.send(&mut rng, 0, b"b"));
            assert_eq!(alice.receive(&bob.device, &from_bob), b"b");
            assert_eq!(bob.receive(&alice.device, &from_alice), b"a");
            assert_ne!(alice.active(), bob.active(), "each took the other's session");
            for round in 0..4u8 {
                if restarts {
                    alice.restart();
                    bob.restart();
                }
                let (from_alice, from_bob) = (alice.send(&mut rng, 0, &[round]), bob.send(&mut rng, 0, &[round, 1]));
                // Both cross on the wire every time; the messages of the other side's older session still arrive.
                assert_eq!(alice.receive(&bob.device, &from_bob), [round, 1]);
                assert_eq!(bob.receive(&alice.device, &from_alice), [round]);
            }
            // The first exchange that does not cross settles it.
            let from_alice = alice.send(&mut rng, 0, b"settle");
            assert_eq!(bob.receive(&alice.device, &from_alice), b"settle");
            assert_eq!(alice.active(), bob.active());
            let from_bob = bob.send(&mut rng, 0, b"settled");
            assert_eq!(alice.receive(&bob.device, &from_bob), b"settled");
            assert_eq!(alice.active(), bob.active());
            assert_eq!((alice.archive.archived().count(), bob.archive.archived().count()), (1, 1));
        }
    }
}

#[test]
fn a_late_message_of_an_archived_session_is_read_and_makes_it_active_again() {
    let mut rng = rng(2);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    alice.begin(&mut rng, &bob.device, 0);
    let first = alice.send(&mut rng, 0, b"first");
    assert_eq!(bob.receive(&alice.device, &first), b"first");
    let answer = bob.send(&mut rng, 0, b"answer");
    assert_eq!(alice.receive(&bob.device, &answer), b"answer");
    let old = alice.active();
    let late = alice.send(&mut rng, 0, b"late");
    let later = alice.send(&mut rng, 0, b"later");
    // Alice begins anew; Bob follows.
    alice.begin(&mut rng, &bob.device, 1);
    let anew = alice.send(&mut rng, 1, b"anew");
    assert_eq!(bob.receive(&alice.device, &anew), b"anew");
    assert_ne!(bob.active(), old);
    bob.restart();
    assert_eq!(bob.read(&later).unwrap(), b"later");
    assert_eq!(bob.active(), old, "what was read is what is answered in");
    assert_eq!(bob.read(&late).unwrap(), b"late", "its key waited in the archived session's rows");
    let error = bob.read(&late).unwrap_err();
    assert!(matches!(error, ArchiveDecryptError::Message(DecryptError::DuplicateMessage { .. })), "{error:?}");
}

#[test]
fn the_archive_keeps_forty_sessions_and_forgets_the_oldest_with_its_rows() {
    let mut rng = rng(3);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    alice.begin(&mut rng, &bob.device, 0);
    let _lost = alice.send(&mut rng, 0, b"lost");
    let first = alice.send(&mut rng, 0, b"first");
    assert_eq!(bob.receive(&alice.device, &first), b"first");
    assert_eq!(bob.store.skipped(), expected_rows());
    let oldest = bob.active();
    for number in 0..ARCHIVED_MAX {
        alice.begin(&mut rng, &bob.device, 0);
        let message = alice.send(&mut rng, 0, b"again");
        assert_eq!(bob.receive(&alice.device, &message), b"again");
        assert!(bob.archive.contains(oldest), "{number}");
    }
    assert_eq!(bob.archive.archived().count(), ARCHIVED_MAX);
    bob.restart();
    alice.begin(&mut rng, &bob.device, 0);
    let message = alice.send(&mut rng, 0, b"one more");
    assert_eq!(bob.receive(&alice.device, &message), b"one more");
    assert!(!bob.archive.contains(oldest));
    assert_eq!(bob.archive.archived().count(), ARCHIVED_MAX);
    assert_eq!(bob.store.sessions(), ARCHIVED_MAX + 1);
    assert_eq!(bob.store.skipped(), 0, "its rows left with it");
}

/// Rows that one lost message leaves.
fn expected_rows() -> usize {
    let mut rng = rng(33);
    let (alice, bob) = (Device::new(&mut rng, Profile::Native, 1), Device::new(&mut rng, Profile::Native, 2));
    let mut side = Side::new(alice.initiate(&mut rng, &bob, false));
    let _lost = side.send(&mut rng, b"lost");
    let first = side.send(&mut rng, b"first");
    bob.accept(&alice, &first, false).unwrap().delta.insert().len()
}

#[test]
fn a_signed_prekey_may_be_deleted_only_after_the_messages_that_use_it_have_had_their_time() {
    let mut rng = rng(4);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    alice.begin(&mut rng, &bob.device, 0);
    let (first, second) = (alice.send(&mut rng, 0, b"first"), alice.send(&mut rng, 0, b"second"));

    // Bob rotates while the message is on its way. With the old key kept it opens the session.
    let rotated = SignedPreKey::generate(&mut rng, Profile::Native, 8, &bob.device.identity).unwrap();
    let ArchiveDecryptError::NewSession { message } = bob.read(&first).unwrap_err() else { panic!("a new session") };
    assert_eq!(message.signed_prekey_id(), bob.device.signed.id());
    // With the new key alone it is refused by name, before anything is derived, and nothing is stored.
    let keys = ResponderKeys { signed: &rotated, ..bob.device.keys(false) };
    let (ours, at) = (&bob.device.identity, bob.device.address);
    let error = Session::accept(Profile::Native, ours, at, alice.device.peer(), *message, keys).unwrap_err();
    assert!(matches!(error, AcceptError::PreKeyMismatch { kind: PreKeyKind::Signed, named: Some(7), given: Some(8) }));
    assert_eq!(bob.store.sessions(), 0);

    assert_eq!(bob.receive(&alice.device, &first), b"first");
    // From here on the prekey is not needed: a repetition of the handshake belongs to the session.
    assert_eq!(bob.read(&second).unwrap(), b"second");
}

#[test]
fn an_initiation_without_an_answer_is_given_up_after_the_age_the_caller_names() {
    let mut rng = rng(5);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    alice.begin(&mut rng, &bob.device, 100 * DAY);
    let first = alice.send(&mut rng, 130 * DAY, b"on the last day");
    let stored = alice.store.stored();
    let error = alice.archive.encrypt(&mut rng, 130 * DAY + 1, UNANSWERED_AGE_MAX, b"too late").unwrap_err();
    assert!(matches!(
        error,
        ArchiveEncryptError::Unanswered { age, max: UNANSWERED_AGE_MAX } if age.as_secs() == 30 * DAY + 1
    ));
    assert_eq!(alice.store.stored(), stored);
    // A clock that went back makes nothing old.
    alice.restart();
    alice.send(&mut rng, 0, b"still young");
    // An answer, however late, ends the limit.
    assert_eq!(bob.receive(&alice.device, &first), b"on the last day");
    let answer = bob.send(&mut rng, 500 * DAY, b"answer");
    assert_eq!(alice.receive(&bob.device, &answer), b"answer");
    alice.send(&mut rng, 1_000 * DAY, b"established");
}

#[test]
fn without_an_active_session_nothing_is_sent_and_the_archived_one_still_reads() {
    let mut rng = rng(6);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    let error = alice.archive.encrypt(&mut rng, 0, UNANSWERED_AGE_MAX, b"none").unwrap_err();
    assert!(matches!(error, ArchiveEncryptError::NoSession));
    assert!(alice.archive.close().is_none());
    alice.begin(&mut rng, &bob.device, 0);
    let first = alice.send(&mut rng, 0, b"first");
    assert_eq!(bob.receive(&alice.device, &first), b"first");
    let close = alice.archive.close().unwrap();
    alice.commit(close);
    alice.restart();
    assert!(alice.archive.active().is_none());
    let error = alice.archive.encrypt(&mut rng, 0, UNANSWERED_AGE_MAX, b"closed").unwrap_err();
    assert!(matches!(error, ArchiveEncryptError::NoSession));
    let answer = bob.send(&mut rng, 0, b"answer");
    assert_eq!(alice.read(&answer).unwrap(), b"answer");
    assert!(alice.archive.active().is_some());
}

#[test]
fn a_forgery_changes_nothing_in_any_session() {
    let mut rng = rng(7);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    for _ in 0..3 {
        open(&mut rng, &mut alice, &mut bob);
    }
    let message = alice.send(&mut rng, 0, b"genuine");
    let stored = bob.store.stored();
    for at in 0..message.len() {
        let mut forged = message.clone();
        forged[at] ^= 1;
        assert!(bob.read(&forged).is_err(), "byte {at}");
    }
    assert_eq!(bob.store.stored(), stored);
    assert_eq!(bob.read(&message).unwrap(), b"genuine");
}

/// Counts the look-ups: one for each session, and one more for each that is tried.
struct Counting<'a>(&'a MemoryArchive, std::cell::Cell<usize>);

impl ArchiveRows for Counting<'_> {
    fn of<'a>(&'a self, session: SessionId) -> Box<dyn SkippedKeys + 'a> {
        self.1.set(self.1.get() + 1);
        self.0.of(session)
    }
}

#[test]
fn a_forged_jump_is_walked_in_two_sessions_at_most_however_many_there_are() {
    let mut rng = rng(10);
    let (mut alice, mut bob) = ends(&mut rng, Profile::Native);
    for _ in 0..10 {
        open(&mut rng, &mut alice, &mut bob);
    }
    let message = alice.send(&mut rng, 0, b"genuine");
    let unknown = IdentityKeyPair::generate(&mut rng).public();
    let tried = |counter: u32| {
        let forged = tamper(Profile::Native, &message, |proto| {
            proto.ratchet_key = Some([&[0x41][..], unknown.as_bytes()].concat());
            proto.counter = Some(counter);
        });
        let rows = Counting(&bob.store, std::cell::Cell::new(0));
        let error = bob.archive.decrypt(&rows, &forged).unwrap_err();
        assert!(matches!(error, ArchiveDecryptError::Message(DecryptError::BadMac)), "{error:?}");
        rows.1.get() - 10
    };
    assert_eq!(tried(0), 10, "without a walk every session is asked");
    assert_eq!(tried(1_000), 10);
    assert_eq!(tried(FORWARD_JUMP_MAX - 2), 2);
    assert!(tried(FORWARD_JUMP_MAX / 2) <= 4);
    assert_eq!(bob.read(&message).unwrap(), b"genuine");
}

#[test]
fn a_change_applies_once_and_only_to_the_state_it_was_made_from() {
    let mut rng = rng(8);
    let (mut alice, bob) = ends(&mut rng, Profile::Native);
    alice.begin(&mut rng, &bob.device, 0);
    let one = alice.archive.encrypt(&mut rng, 0, UNANSWERED_AGE_MAX, b"one").unwrap();
    let refused = alice.archive.encrypt(&mut rng, 0, UNANSWERED_AGE_MAX, b"two").unwrap_err();
    assert!(matches!(refused, ArchiveEncryptError::Session(EncryptError::StepNotApplied)), "{refused}");
    alice.archive.abandon(one).unwrap();
    let one = alice.archive.encrypt(&mut rng, 0, UNANSWERED_AGE_MAX, b"one again").unwrap();
    let copy = alice.store.restore().unwrap();
    let two = copy.encrypt(&mut rng, 0, UNANSWERED_AGE_MAX, b"two").unwrap();
    alice.archive.apply(one.change).unwrap();
    assert_eq!(alice.archive.apply(two.change).unwrap_err(), StaleChange);

    // A session of another device, and one that is here already.
    let other = Device::new(&mut rng, Profile::Native, 0xC0);
    let session = alice.device.initiate(&mut rng, &other, false);
    assert_eq!(alice.archive.begin(session, 0).unwrap_err(), AddError::OtherPeer);
    let again = Session::from_record(alice.archive.active().unwrap().record().as_bytes()).unwrap();
    assert_eq!(alice.archive.begin(again, 0).unwrap_err(), AddError::Known);
}

#[test]
fn a_stored_index_restores_or_is_refused_by_name() {
    let mut rng = rng(9);
    let (mut alice, bob) = ends(&mut rng, Profile::Native);
    let session = alice.device.initiate(&mut rng, &bob.device, false);
    let record = session.record().as_bytes().to_vec();
    let id = SessionId::of(&session);
    let change = alice.archive.begin(session, 77).unwrap();
    let index = change.index().unwrap().to_vec();
    alice.commit(change);
    assert_eq!(index, [&[1, 1, 1][..], &id.0, &77u64.to_be_bytes()].concat());

    assert!(Archive::restore(&index, |_| Some(record.clone())).unwrap().active().is_some());
    let missing = Archive::restore(&index, |_| None).unwrap_err();
    assert_eq!(missing, RestoreError::Missing { session: id });
    let damaged = Archive::restore(&index, |_| Some(vec![9])).unwrap_err();
    assert!(matches!(damaged, RestoreError::Record { source: RecordError::Version { found: 9 }, .. }));
    let other = alice.device.initiate(&mut rng, &bob.device, false).record().as_bytes().to_vec();
    let other = Archive::restore(&index, |_| Some(other.clone())).unwrap_err();
    assert_eq!(other, RestoreError::OtherSession { session: id });
    for len in 0..index.len() {
        assert_eq!(Archive::restore(&index[..len], |_| Some(record.clone())).unwrap_err(), RestoreError::Index);
    }
    for (at, value) in [(0, 2), (1, 2), (2, 0), (2, 2), (2, 255)] {
        let mut other = index.clone();
        other[at] = value;
        assert_eq!(Archive::restore(&other, |_| Some(record.clone())).unwrap_err(), RestoreError::Index);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_archive_or_a_typed_error(
        index in proptest::collection::vec(any::<u8>(), 0..200),
        record in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = Archive::restore(&index, |_| Some(record.clone()));
    }

    #[test]
    fn an_index_of_the_right_form_is_an_archive_or_a_typed_error(
        active in 0..3u8,
        entries in proptest::collection::vec(any::<([u8; 32], u64)>(), 0..44),
    ) {
        let mut index = vec![1, active, entries.len() as u8];
        for (session, began) in &entries {
            index.extend_from_slice(session);
            index.extend_from_slice(&began.to_be_bytes());
        }
        let restored = Archive::restore(&index, |_| None);
        match entries.first() {
            None => prop_assert_eq!(restored.is_ok(), active == 0),
            Some((session, _)) => {
                let kept = ARCHIVED_MAX + usize::from(active);
                let missing = RestoreError::Missing { session: SessionId(*session) };
                let expected = if active > 1 || entries.len() > kept { RestoreError::Index } else { missing };
                prop_assert_eq!(restored.unwrap_err(), expected);
            }
        }
    }
}
