//! What strangers can make a phone keep.

use rcseal_rcs::frame::{self, FrameId, Kind};
use rcseal_rcs::transport::Sender;

use super::{ADA, Pair, number, pager};
use crate::carrier::{CarrierAnswer, CarrierDisposition};
use crate::store::Table;

/// The first part of a frame that never becomes whole.
fn first_part(id: u16) -> Vec<u8> {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&id.to_be_bytes());
    frame::split(Kind::Envelope, FrameId::from_bytes(bytes), &[1; 2000], &pager()).unwrap()[0].as_bytes().to_vec()
}

fn rows(pair: &Pair) -> usize {
    pair.bob.store.len(Table::CarrierPart)
}

#[test]
fn one_sender_pushes_out_only_its_own_frames() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&"long ".repeat(600));
    let (last, others) = handed[0].messages.split_last().unwrap();
    for message in others {
        pair.bring(message);
    }
    let before = rows(&pair);
    // The same number, without the carrier's word for it, is another sender.
    let mallory = Sender::Claimed(number(ADA));
    for id in 0..100 {
        pair.world.now += 1;
        let kept = pair.bring_from(&mallory, "message/cpim", &first_part(id));
        assert!(matches!(kept, CarrierDisposition::PartKept { have: 1, .. }), "{kept:?}");
    }
    assert_eq!(rows(&pair) - before, 32, "sixteen frames of a row and a part each");
    assert!(matches!(pair.bring(last), CarrierDisposition::Envelope(_)));
}

#[test]
fn many_senders_are_told_to_come_later_once_there_is_no_room() {
    let mut pair = Pair::new(&pager());
    let before = rows(&pair);
    for sender in 0..8_u16 {
        let from = Sender::Claimed(number(&format!("+1555202{sender:04}")));
        for id in 0..16 {
            pair.bring_from(&from, "message/cpim", &first_part(sender * 100 + id));
        }
    }
    assert_eq!(rows(&pair) - before, 256);
    let late = pair.bring_body("message/cpim", &first_part(9000));
    assert_eq!((late, late.answer()), (CarrierDisposition::Full, CarrierAnswer::TryLater));
    // What is whole needs no room.
    let handed = pair.ada_writes("short");
    assert!(matches!(pair.bring(&handed[0].messages[0]), CarrierDisposition::Envelope(_)));
    // And what never became whole goes.
    pair.world.now += 2 * 60 * 60 * 1000;
    let kept = pair.bring_body("message/cpim", &first_part(9000));
    assert!(matches!(kept, CarrierDisposition::PartKept { have: 1, .. }), "{kept:?}");
    pair.world.now += 2 * 60 * 60 * 1000;
    pair.bob.with(pair.world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(rows(&pair) - before, 1, "that an envelope was taken in");
    let mutations = pair.bob.with(0, |engine| engine.carrier_mutations()).unwrap();
    let aged = mutations.iter().find(|mutation| mutation.code == "frame_aged").unwrap();
    assert_eq!(aged.count, 129);
}

#[test]
fn receipts_that_strangers_ask_for_are_few() {
    let mut pair = Pair::new(&pager());
    let mut handed = pair.ada_writes("one");
    let message = &mut handed[0].messages[0];
    for id in 0..300_u16 {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        let junk = frame::split(Kind::Envelope, FrameId::from_bytes(bytes), &[1; 100], &pager()).unwrap();
        message.carriage = junk[0].carriage(&pager());
        let message = message.clone();
        pair.bring(&message);
    }
    assert_eq!(pair.bob.store.len(Table::CarrierReply), 256);
    pair.world.now += 2 * 60 * 60 * 1000;
    assert!(pair.bob.with(pair.world.now, |engine| engine.poll_carrier_notices(10)).unwrap().is_empty());
    assert_eq!(pair.bob.store.len(Table::CarrierReply), 0, "old ones are of no use");
}
