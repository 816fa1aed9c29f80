//! A step is one delta. Whatever is lost before it is stored, the step can be taken again; nothing is half done.

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
    fn arbitrary_bytes_are_a_record_or_a_typed_error(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, Record::LEN), valid_head: bool) {
        if valid_head {
            bytes[..4].copy_from_slice(&[2, 1, 1, 0]);
        }
        let _ = Session::from_record(&bytes);
    }
}
