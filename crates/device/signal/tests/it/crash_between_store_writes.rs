//! A step is one delta. Whatever is lost before it is stored, the step can be taken again; nothing is half done.

use std::collections::BTreeMap;

use rcseal_crypto::Secret;
use rcseal_signal::*;

use crate::support::*;

#[test]
fn a_session_restored_after_every_step_goes_on() {
    for profile in PROFILES {
        let mut pair = Pair::accepted(*profile, 1);
        for round in 0..12u8 {
            pair.alice.restart();
            let ping = pair.alice.send(&mut pair.rng, &[round]);
            pair.alice.restart();
            pair.bob.restart();
            assert_eq!(pair.bob.receive(&ping).unwrap(), [round]);
            pair.bob.restart();
            let pong = pair.bob.send(&mut pair.rng, &[round, 1]);
            pair.bob.restart();
            assert_eq!(pair.alice.receive(&pong).unwrap(), [round, 1]);
        }
    }
}

#[test]
fn a_decryption_that_was_not_stored_is_repeated() {
    let mut pair = Pair::established(Profile::Native, 2);
    let sent = pair.alice_sends(4);
    let lost = pair.bob.session.decrypt(&pair.bob.skipped, &sent[3]).unwrap();
    assert_eq!(lost.output, b"3");
    drop(lost);
    pair.bob.restart();
    assert_eq!(pair.bob.receive(&sent[3]).unwrap(), b"3");
    assert_eq!(pair.bob.receive(&sent[0]).unwrap(), b"0");
}

#[test]
fn an_encryption_that_was_not_stored_never_left_and_its_place_is_taken_again() {
    let mut pair = Pair::established(Profile::Native, 3);
    drop(pair.alice.session.encrypt(&mut pair.rng, b"never left").unwrap());
    pair.alice.restart();
    let sent = pair.alice.send(&mut pair.rng, b"left");
    assert_eq!(pair.bob.receive(&sent).unwrap(), b"left");
    assert!(pair.bob.skipped.is_empty());
}

#[test]
fn a_failing_look_up_is_not_taken_for_a_duplicate() {
    struct Broken;
    impl SkippedKeys for Broken {
        fn get(&self, _: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
            Err(LookupFailed)
        }
    }
    let mut pair = Pair::established(Profile::Native, 4);
    let sent = pair.alice_sends(2);
    pair.bob.receive(&sent[1]).unwrap();
    let error = pair.bob.session.decrypt(&Broken, &sent[0]).unwrap_err();
    assert!(matches!(error, DecryptError::Lookup(LookupFailed)));
    assert_eq!(pair.bob.receive(&sent[0]).unwrap(), b"0");
}

/// A store on a disk: record and rows under keys, written one by one in a transaction, of which any write may be the last.
#[derive(Clone)]
struct Disk {
    record: Vec<u8>,
    rows: BTreeMap<Vec<u8>, (u64, [u8; 32])>,
}

struct Crashed;

impl Disk {
    fn of(side: &Side) -> Self {
        Self { record: side.record(), rows: BTreeMap::new() }
    }

    /// Writes a delta and fails at write number `fails_at`, after which nothing of the transaction is there.
    fn write(&mut self, delta: &Delta, fails_at: usize) -> Result<usize, Crashed> {
        let mut draft = self.clone();
        let mut writes = 0;
        let mut write = || {
            writes += 1;
            if writes == fails_at { Err(Crashed) } else { Ok(()) }
        };
        let evict = delta.evict();
        let leaving = |id: &[u8], ordinal: u64| match id[0] {
            1 => evict.messages_below.is_some_and(|below| ordinal < below),
            _ => {
                let epoch = u64::from_be_bytes(id[1..9].try_into().unwrap());
                evict.post_quantum_below.is_some_and(|below| ordinal < below)
                    || evict.epochs_below.is_some_and(|below| epoch < below)
            }
        };
        for (id, (ordinal, _)) in &self.rows {
            if leaving(id, *ordinal) {
                write()?;
                draft.rows.remove(id);
            }
        }
        for id in delta.remove() {
            write()?;
            assert!(draft.rows.remove(&id.to_bytes()).is_some(), "a step removes what is there");
        }
        for row in delta.insert() {
            write()?;
            let fresh = draft.rows.insert(row.id().to_bytes(), (row.ordinal(), *row.key().expose()));
            assert!(fresh.is_none(), "no row is written twice");
        }
        write()?;
        draft.record = delta.record().as_bytes().to_vec();
        *self = draft;
        Ok(writes)
    }
}

impl SkippedKeys for Disk {
    fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
        let row = self.rows.get(&id.to_bytes());
        Ok(row.map(|(ordinal, key)| SkippedRow::from_parts(*id, *ordinal, Secret::from_bytes(*key))))
    }
}

/// Reads a message with a crash at every write in turn, each time from what the disk holds. How many writes the step has.
fn read_with_crashes(disk: &mut Disk, message: &[u8], text: &[u8]) -> usize {
    for fails_at in 1.. {
        let session = Session::from_record(&disk.record).unwrap();
        let before = (disk.record.clone(), disk.rows.clone());
        let step = session.decrypt(disk, message).unwrap();
        assert_eq!(step.output, text);
        match disk.write(&step.delta, fails_at) {
            Ok(writes) => {
                let session = Session::from_record(&disk.record).unwrap();
                assert!(session.decrypt(disk, message).is_err(), "a message was read twice");
                return writes;
            }
            Err(Crashed) => assert!((disk.record.clone(), disk.rows.clone()) == before),
        }
    }
    unreachable!("a step has finitely many writes");
}

#[test]
fn every_write_of_a_step_may_be_the_last_one() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 6);
        let mut disk = Disk::of(&pair.bob);
        // Three rows of each kind and the record; then one of each used up and the record.
        let sent = pair.alice_sends(4);
        assert_eq!(read_with_crashes(&mut disk, &sent[3], b"3"), 7);
        assert_eq!(read_with_crashes(&mut disk, &sent[1], b"1"), 3);
        assert_eq!(disk.rows.len(), 4);
        // Epochs go by. What is left of the first key epoch goes with it; the message rows stay.
        let mut evicted = 0;
        for _ in 0..100 {
            let session = Session::from_record(&disk.record).unwrap();
            let ping = session.encrypt(&mut pair.rng, b"ping").unwrap();
            evicted += usize::from(ping.delta.evict().epochs_below.is_some());
            assert!(disk.write(&ping.delta, 1).is_err(), "the ciphertext has not left");
            let again = Session::from_record(&disk.record).unwrap().encrypt(&mut pair.rng, b"ping").unwrap();
            assert!(disk.write(&again.delta, 0).is_ok());
            assert_eq!(pair.alice.receive(&again.output).unwrap(), b"ping");
            let pong = pair.alice.send(&mut pair.rng, b"pong");
            read_with_crashes(&mut disk, &pong, b"pong");
        }
        assert!(evicted > 0, "an epoch of Bob's began with a message he wrote");
        let kinds: Vec<u8> = disk.rows.keys().map(|id| id[0]).collect();
        assert_eq!(kinds, [1, 1], "{profile}");
        let session = Session::from_record(&disk.record).unwrap();
        let error = session.decrypt(&disk, &sent[0]).unwrap_err();
        assert!(matches!(error, DecryptError::PqRatchet(PqRefusal::EpochGone { epoch: 0, .. })), "{error:?}");
    }
}

#[test]
fn damaged_records_are_refused_by_name() {
    let pair = Pair::accepted(Profile::Native, 5);
    let record = pair.bob.record();
    assert_eq!(Session::from_record(&[]).unwrap_err(), RecordError::Length { actual: 0 });
    assert_eq!(Session::from_record(&record[..700]).unwrap_err(), RecordError::Length { actual: 700 });
    let changed = |at: usize, value: u8| {
        let mut record = record.clone();
        record[at] = value;
        Session::from_record(&record).map(|_| ()).unwrap_err()
    };
    for found in [0, 1, 3] {
        assert_eq!(changed(0, found), RecordError::Version { found });
    }
    assert_eq!(changed(1, 7), RecordError::Field { field: "profile" });
    assert_eq!(changed(2, 7), RecordError::Field { field: "role" });
    assert_eq!(changed(3, 1), RecordError::Field { field: "pending" });
    #[cfg(not(feature = "signal-v4"))]
    assert_eq!(changed(1, 2), RecordError::ProfileUnavailable(ProfileUnavailable { profile: Profile::SignalV4 }));
    // The other fixed length belongs to a pending initiator only.
    let mut longer = record.clone();
    longer.resize(Record::PENDING_LEN, 0);
    assert_eq!(Session::from_record(&longer).map(|_| ()).unwrap_err(), RecordError::Field { field: "pending" });
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_a_record_or_a_typed_error(
        mut bytes in proptest::collection::vec(proptest::num::u8::ANY, Record::LEN),
        valid_head: bool,
    ) {
        if valid_head {
            bytes[..4].copy_from_slice(&[2, 1, 1, 0]);
        }
        let _ = Session::from_record(&bytes);
    }
}
