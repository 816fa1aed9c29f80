//! What somebody gains by knowing a phone number: a carrier asks nobody for a delivery token.

use rcseal_rcs::frame::{self, FrameId, Kind};
use rcseal_rcs::transport::Sender;

use super::{ADA, BOB, Pair, number, wide, wrapped};
use crate::carrier::{CarrierDisposition, CarrierSetup};
use crate::store::Table;
use crate::tests::sessions::acquainted;
use crate::tests::world::{events, text, texts};
use crate::{Disposition, Undecryptable};

#[test]
fn whoever_is_no_contact_does_not_come_in_by_a_carrier() {
    let mut pair = Pair::new(&wide());
    let (now, ada) = (pair.world.now, pair.ada.address.account);
    // Ada's next message begins a session, with what the directory hands out.
    pair.ada.with(now, |engine| engine.handle_store_rollback()).unwrap();
    let handed = pair.ada_writes("me again");
    pair.bob.with(now, |engine| engine.remove_contact(ada)).unwrap();
    events(&mut pair.bob);
    let taken = pair.bring(&handed[0].messages[0]);
    assert_eq!(taken, CarrierDisposition::Envelope(Disposition::Undecryptable(Undecryptable::UnknownDevice)));
    assert!(pair.bob.with(now, |engine| engine.contacts()).unwrap().is_empty());
    assert_eq!(events(&mut pair.bob), []);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 2);
    assert_eq!(pair.bob.store.len(Table::Parked), 0);
}

#[test]
fn what_nobody_vouches_for_is_neither_kept_nor_told() {
    let mut pair = Pair::new(&wide());
    events(&mut pair.bob);
    for id in 0..20_u8 {
        let junk = frame::split(Kind::Envelope, FrameId::from_bytes([id; 16]), &[id; 300], &wide()).unwrap().remove(0);
        let taken = pair.bring_from(&Sender::Anonymous, "message/cpim", junk.as_bytes());
        assert!(matches!(taken, CarrierDisposition::Envelope(Disposition::Undecryptable(_))), "{taken:?}");
    }
    assert!(pair.bob.with(0, |engine| engine.quarantined()).unwrap().is_empty());
    assert_eq!(events(&mut pair.bob), []);
}

#[test]
fn only_whom_the_user_writes_to_or_has_a_number_for_is_told_the_own_number() {
    // Ada took Bob's invitation in and wrote; Bob has said nothing.
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let (ada_account, bob_account) = (ada.address.account, bob.address.account);
    let setup = CarrierSetup::new(number(BOB), wide());
    bob.with(world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
    world.send(&mut ada, conversation, text("what is your number?"));
    world.settle(&mut [&mut ada, &mut bob]);
    let claimed = |ada: &mut crate::tests::world::Phone| {
        ada.with(0, |engine| engine.contact_number(bob_account)).unwrap().claimed.len()
    };
    assert_eq!(claimed(&mut ada), 0);
    bob.with(world.now, |engine| engine.set_contact_number(ada_account, Some(&number(ADA)))).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(claimed(&mut ada), 1);

    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let setup = CarrierSetup::new(number(BOB), wide());
    bob.with(world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(claimed(&mut ada), 0);
    world.send(&mut bob, conversation, text("here I am"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(claimed(&mut ada), 1);
}

#[test]
fn a_blocked_contact_learns_nothing_by_receipts_for_what_is_readable_or_broken() {
    let mut pair = Pair::new(&wide());
    let (now, ada) = (pair.world.now, pair.ada.address.account);
    pair.bob.with(now, |engine| engine.block_contact(ada, true)).unwrap();
    let mut handed = pair.ada_writes("never read");
    let mut message = handed.remove(0).messages.remove(0);
    assert!(message.receipts.delivered && message.receipts.failed);
    let junk = frame::split(Kind::Envelope, FrameId::from_bytes([9; 16]), &[9; 300], &wide()).unwrap().remove(0);
    message.carriage = junk.carriage(&wide());
    pair.bring(&message);
    let words = rcseal_rcs::transport::Carriage::Verbatim {
        headers: Vec::new(),
        content_type: "text/plain".to_owned(),
        body: b"are you there?".to_vec(),
    };
    message.carriage = words;
    pair.bring_body("message/cpim", &wrapped(&message));
    assert_eq!(pair.bob.store.len(Table::CarrierReply), 0);
}

#[test]
fn a_clock_that_goes_back_does_not_prolong_the_patience() {
    let mut pair = Pair::new(&wide());
    assert_eq!(pair.ada_writes("whatever the carrier says it is").len(), 1);
    pair.world.now -= 365 * 24 * 3600 * 1000;
    pair.world.serve(&mut pair.ada);
    assert_eq!(pair.world.intercept(&pair.bob).len(), 1);
}

#[test]
fn words_without_room_are_not_said_to_be_here() {
    let mut pair = Pair::new(&wide());
    let long = "x".repeat(rcseal_wire::content::TEXT_LEN_MAX + 1);
    let taken = pair.bring_body("text/plain", long.as_bytes());
    assert_eq!(taken.answer(), crate::carrier::CarrierAnswer::TooLarge, "{taken:?}");
    let stranger = Sender::Asserted(number("+15552010077"));
    for _ in 0..crate::plain::STRANGER_MESSAGES_MAX {
        assert_eq!(pair.bring_from(&stranger, "text/plain", b"hello"), CarrierDisposition::Readable);
    }
    let taken = pair.bring_from(&stranger, "text/plain", b"hello?");
    assert_eq!(taken.answer(), crate::carrier::CarrierAnswer::TryLater, "{taken:?}");
    let taken = pair.bring_from(&Sender::Anonymous, "text/plain", b"boo");
    assert_eq!(taken.answer(), crate::carrier::CarrierAnswer::UnsupportedMedia, "{taken:?}");
}
