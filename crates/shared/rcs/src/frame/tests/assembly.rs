//! Parts in any order, several times, of several frames; what does not belong together has a name.

use super::super::{
    Assembly, AssemblyLimits, Blob, Damage, FrameId, Kind, Lost, LostReason, PART_OVERHEAD, Part, Progress, split,
};
use super::{ID, blob, one, parts_of, profile, rechecked, whole};

fn limits() -> AssemblyLimits {
    AssemblyLimits { frames: 2, bytes: 10_000, age_ms: 1000, finished: 2 }
}

fn frame(id: u8, blob: &[u8]) -> Vec<Part<'static>> {
    split(Kind::BlobReference, FrameId::from_bytes([id; 16]), blob, &profile(true, 1000)).unwrap()
}

#[test]
fn any_order_and_repetition_give_the_blob() {
    let parts = parts_of(&blob(3000), 1000);
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
    for order in orders {
        let sequence = order.iter().flat_map(|at| [parts[*at].clone(), parts[*at].clone()]);
        assert_eq!(whole(sequence), Some(Blob { kind: Kind::Envelope, id: ID, bytes: blob(3000).into() }));
    }
}

#[test]
fn progress_counts_and_repetition_is_a_duplicate() {
    let mut assembly = Assembly::new(limits());
    let parts = frame(1, &blob(2000));
    assert_eq!(assembly.add(parts[1].clone(), 0), Ok(Progress::Waiting { have: 1, of: 3 }));
    assert_eq!(assembly.add(parts[1].clone(), 0), Ok(Progress::Duplicate));
    assert_eq!(assembly.add(parts[0].clone(), 0), Ok(Progress::Waiting { have: 2, of: 3 }));
    assert!(matches!(assembly.add(parts[2].clone(), 0), Ok(Progress::Complete(_))));
    assert_eq!((assembly.open_count(), assembly.held_bytes()), (0, 0));
}

#[test]
fn a_finished_frame_again_is_a_replay_also_after_a_restart() {
    let mut assembly = Assembly::new(limits());
    let id = one().id();
    assert!(matches!(assembly.add(one(), 0), Ok(Progress::Complete(_))));
    assert_eq!(assembly.add(one(), 0), Err(Damage::Replay { frame: id }));
    let mut restarted = Assembly::new(limits());
    restarted.mark_finished(id);
    assert_eq!(restarted.add(one(), 0), Err(Damage::Replay { frame: id }));
}

#[test]
fn parts_of_two_frames_under_one_id_are_mixed() {
    let (ours, other) = (frame(1, &blob(2000)), frame(1, &blob(2001)));
    let mut same_len = blob(2000);
    same_len[1999] ^= 1;
    let altered = frame(1, &same_len);
    let mixed = Err(Damage::MixedParts { frame: ours[0].id() });
    let mut assembly = Assembly::new(limits());
    assembly.add(ours[0].clone(), 0).unwrap();
    assert_eq!(assembly.add(other[1].clone(), 0), mixed);
    assert_eq!(assembly.add(altered[1].clone(), 0), mixed);
    assert_eq!(assembly.add(altered[0].clone(), 0), mixed);
    // What was refused changed nothing.
    assembly.add(ours[1].clone(), 0).unwrap();
    assert!(matches!(assembly.add(ours[2].clone(), 0), Ok(Progress::Complete(_))));
}

/// A part whose payload was altered by somebody who knows how to write the part's check.
fn forged(part: &Part<'_>) -> Part<'static> {
    let mut bytes = part.as_bytes().to_vec();
    bytes[60] ^= 1;
    Part::parse(&rechecked(bytes)).unwrap().into_owned()
}

#[test]
fn an_altered_part_with_a_check_of_its_own_spoils_the_whole_by_name() {
    let parts = frame(1, &blob(2000));
    let id = parts[0].id();
    let mut assembly = Assembly::new(limits());
    assembly.add(forged(&parts[0]), 0).unwrap();
    assert_eq!(assembly.add(parts[0].clone(), 0), Err(Damage::MixedParts { frame: id }));
    assembly.add(parts[1].clone(), 0).unwrap();
    assert_eq!(assembly.add(parts[2].clone(), 0), Err(Damage::WholeCorrupt { frame: id }));
    assert_eq!(assembly.take_lost(), [Lost { id, have: 3, of: 3, reason: LostReason::Corrupt }]);
    // It may be sent again.
    assert_eq!(assembly.add(parts[0].clone(), 0), Ok(Progress::Waiting { have: 1, of: 3 }));
    assert_eq!(assembly.add(forged(&one()), 0), Err(Damage::WholeCorrupt { frame: one().id() }));
}

#[test]
fn a_frame_that_waits_too_long_is_lost_and_named() {
    let parts = frame(1, &blob(2000));
    let id = parts[0].id();
    let mut assembly = Assembly::new(limits());
    assembly.add(parts[0].clone(), 5).unwrap();
    assembly.expire(1005);
    assert_eq!(assembly.take_lost(), []);
    assembly.expire(1006);
    assert_eq!(assembly.take_lost(), [Lost { id, have: 1, of: 3, reason: LostReason::Aged }]);
    assert_eq!(assembly.add(parts[1].clone(), 1007), Ok(Progress::Waiting { have: 1, of: 3 }));
}

#[test]
fn the_oldest_frame_makes_room_by_count_and_by_bytes() {
    let mut assembly = Assembly::new(AssemblyLimits { bytes: 9300, ..limits() });
    for id in 1..=3 {
        assembly.add(frame(id, &blob(2000))[0].clone(), u64::from(id)).unwrap();
    }
    let lost = |id, have, of| Lost { id: FrameId::from_bytes([id; 16]), have, of, reason: LostReason::Evicted };
    assert_eq!(assembly.take_lost(), [lost(1, 1, 3)]);
    let long = frame(9, &blob(9000));
    assert_eq!(long.len(), 10);
    for part in &long[..9] {
        assembly.add(part.clone(), 9).unwrap();
    }
    assert_eq!(assembly.take_lost(), [lost(2, 1, 3), lost(3, 1, 3)]);
    assert!(assembly.held_bytes() <= 9300);
}

#[test]
fn a_frame_longer_than_all_room_is_refused() {
    let tight = AssemblyLimits { bytes: 1500, ..limits() };
    let mut assembly = Assembly::new(tight);
    let parts = frame(1, &blob(3000));
    let len = parts[0].payload().len() + PART_OVERHEAD;
    assembly.add(parts[0].clone(), 0).unwrap();
    assert_eq!(assembly.add(parts[1].clone(), 0), Err(Damage::TooLarge { len: 2 * len, max: 1500 }));
}

#[test]
fn finished_frames_are_remembered_within_the_limit() {
    let mut assembly = Assembly::new(limits());
    for id in 1..=3 {
        assembly.add(frame(id, &blob(100))[0].clone(), 0).unwrap();
    }
    assert!(matches!(assembly.add(frame(3, &blob(100))[0].clone(), 0), Err(Damage::Replay { .. })));
    assert!(matches!(assembly.add(frame(1, &blob(100))[0].clone(), 0), Ok(Progress::Complete(_))));
}
