//! Two people who write to each other.

use rcseal_wire::content::{Body, Content};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::padding::BUCKETS;

use super::world::{Phone, World, events, messages, text, texts};
use crate::event::Event;
use crate::message::MessageState;
use crate::store::Table;

#[test]
fn a_message_arrives_and_its_receipts_come_back() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    let id = world.send(&mut ada, conversation, text("hello"));
    assert_eq!(messages(&mut ada, conversation)[0].state, MessageState::Queued);

    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello"]);
    assert_eq!(messages(&mut ada, conversation)[0].state, MessageState::Delivered);
    let received = messages(&mut bob, conversation).pop().unwrap();
    assert_eq!((received.id, received.state, received.is_outgoing), (id, MessageState::Received, false));
    assert!(received.encryption.is_end_to_end());
    let contact = bob.with(0, |engine| engine.contact_view(ada.address.account)).unwrap();
    assert_eq!(contact.display_name, "Ada");

    bob.with(world.now, |engine| engine.mark_read(conversation, received.order)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(messages(&mut ada, conversation)[0].state, MessageState::Read);
    assert_eq!(messages(&mut bob, conversation)[0].state, MessageState::Seen);
}

#[test]
fn both_sides_write_edit_delete_and_react() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    let first = world.send(&mut ada, conversation, text("one"));
    let second = world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob]);
    let reply = bob.with(world.now, |engine| engine.send(conversation, text("three"), Some(first))).unwrap();
    world.send(&mut bob, conversation, Body::Reaction { target: first, emoji: "👍".to_owned(), removed: false });
    world.send(&mut ada, conversation, Body::Edit { target: second, text: "TWO".to_owned() });
    world.settle(&mut [&mut ada, &mut bob]);
    for phone in [&mut ada, &mut bob] {
        assert_eq!(texts(phone, conversation), ["one", "TWO", "three"]);
        let all = messages(phone, conversation);
        assert_eq!(all[0].reactions.len(), 1);
        assert!(all[1].is_edited);
        assert_eq!(all[2].content.as_ref().unwrap().reply_to(), Some(first));
    }
    // Nobody edits or deletes what another wrote.
    world.send(&mut ada, conversation, Body::Delete { target: reply });
    world.send(&mut ada, conversation, Body::Delete { target: first });
    world.settle(&mut [&mut ada, &mut bob]);
    for phone in [&mut ada, &mut bob] {
        assert_eq!(texts(phone, conversation), ["TWO", "three"]);
    }
}

#[test]
fn a_message_whose_key_was_dropped_is_not_taken_for_a_duplicate() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut bob]);
    let late = world.send(&mut ada, conversation, text("late"));
    world.serve(&mut ada);
    let (id, bytes) = world.intercept(&bob).remove(0);
    // As if two thousand others had come since: the place of its key is gone, its message was never read.
    world.send(&mut ada, conversation, text("next"));
    world.serve(&mut ada);
    world.deliver(&mut bob);
    bob.store.run(|tx| tx.delete_range(Table::Skipped, &[], &crate::store::prefix_end(&[]))).unwrap();
    let disposition = bob.with(world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap();
    assert_eq!(disposition, crate::Disposition::Undecryptable(crate::Undecryptable::KeyGone));
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 1);
    // Its sender hears that it was not read, is asked for it, and sends it once more.
    world.serve(&mut bob);
    let state =
        |phone: &mut Phone| messages(phone, conversation).into_iter().find(|message| message.id == late).unwrap().state;
    let asked = world.intercept(&ada);
    let (id, report) = &asked[0];
    ada.with(world.now, |engine| engine.handle_envelope(*id, report)).unwrap();
    assert_eq!(state(&mut ada), MessageState::Undecryptable { reason: crate::Undecryptable::KeyGone });
    world.mailboxes.get_mut(&ada.mailbox).unwrap().extend(asked);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(state(&mut ada), MessageState::Delivered);
    assert_eq!(texts(&mut bob, conversation), ["hello", "next", "late"]);
    // What is remembered of read messages is forgotten when no relay keeps them any more.
    assert!(bob.store.len(Table::Seen) > 0);
    bob.with(world.now + 61 * 24 * 3600 * 1000, |engine| engine.keep_house()).unwrap();
    assert_eq!(bob.store.len(Table::Seen), 0);
}

#[test]
fn changes_that_overtake_their_message_are_applied_when_it_arrives() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut bob]);
    let edited = world.send(&mut ada, conversation, text("one"));
    let deleted = world.send(&mut ada, conversation, text("two"));
    world.send(&mut ada, conversation, Body::Edit { target: edited, text: "ONE".to_owned() });
    world.send(&mut ada, conversation, Body::Reaction { target: edited, emoji: "👍".to_owned(), removed: false });
    world.send(&mut ada, conversation, Body::Delete { target: deleted });
    world.serve(&mut ada);
    let mut envelopes = world.intercept(&bob);
    envelopes.reverse();
    world.mailboxes.get_mut(&bob.mailbox).unwrap().extend(envelopes);
    world.deliver(&mut bob);
    assert_eq!(texts(&mut bob, conversation), ["hello", "ONE"]);
    let all = messages(&mut bob, conversation);
    assert!(all.iter().any(|message| message.id == edited && message.reactions.len() == 1 && message.is_edited));
    assert!(all.iter().any(|message| message.id == deleted && message.content.is_none()));
    assert_eq!(bob.store.len(Table::EarlyChange), 0);
}

#[test]
fn changes_to_messages_that_never_come_are_bounded() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut bob]);
    for number in 0..300_u32 {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let target = rcseal_wire::id::MessageId::from_bytes(id);
        world.send(&mut ada, conversation, Body::Delete { target });
    }
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(bob.store.len(Table::EarlyChange), 256);
}

#[test]
fn the_first_envelopes_are_sealed_to_the_device_and_later_ones_to_the_session() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    let (_, first) = world.mailboxes[&bob.mailbox].front().unwrap();
    assert!(matches!(Envelope::parse(first).unwrap(), Envelope::First { .. }));
    assert!(BUCKETS.contains(&first.len()));
    world.settle(&mut [&mut ada, &mut bob]);

    world.send(&mut ada, conversation, text("two"));
    world.serve(&mut ada);
    let (_, later) = world.mailboxes[&bob.mailbox].front().unwrap();
    assert!(matches!(Envelope::parse(later).unwrap(), Envelope::Session { .. }));
    assert_eq!(later.len(), BUCKETS[0], "a short text fills the smallest bucket");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two"]);
}

#[test]
fn a_full_receipt_fits_the_smallest_bucket() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("0"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut bob, conversation, text("0"));
    world.settle(&mut [&mut ada, &mut bob]);
    for number in 0..rcseal_wire::content::RECEIPT_LEN_MAX {
        world.send(&mut ada, conversation, text(&number.to_string()));
    }
    world.serve(&mut ada);
    world.deliver(&mut bob);
    world.serve(&mut bob);
    let lengths: Vec<_> = world.mailboxes[&ada.mailbox].iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [BUCKETS[0]], "eight receipts in one smallest envelope");
}

#[test]
fn texts_fill_the_buckets_that_the_specification_lists() {
    // `docs/protocol/envelope.md`, Padding: the longest text in each bucket. One byte more takes the next.
    for (len, bucket) in [(901, 3), (4_997, 4), (13_189, 5), (rcseal_wire::content::TEXT_LEN_MAX, 6)] {
        for (more, bucket) in [(0, bucket), (1, bucket + 1)] {
            if len + more > rcseal_wire::content::TEXT_LEN_MAX {
                continue;
            }
            let mut world = World::new();
            let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
            let conversation = world.introduce(&mut ada, &mut bob);
            world.send(&mut ada, conversation, text(&"x".repeat(len + more)));
            world.serve(&mut ada);
            world.serve(&mut ada);
            assert_eq!(world.intercept(&bob)[0].1.len(), BUCKETS[bucket], "first, {len} + {more}");
        }
    }
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    for (bucket, len) in [295, 807, 1_831, 3_879, 7_975, 16_167].into_iter().enumerate() {
        for more in [0, 1] {
            world.send(&mut ada, conversation, text(&"x".repeat(len + more)));
            world.serve(&mut ada);
            assert_eq!(world.intercept(&bob)[0].1.len(), BUCKETS[bucket + more], "session, {len} + {more}");
        }
    }
}

#[test]
fn both_may_begin_at_once() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    assert_eq!(world.introduce(&mut bob, &mut ada), conversation);
    world.send(&mut ada, conversation, text("from ada"));
    world.send(&mut bob, conversation, text("from bob"));
    // Both envelopes are on their way before either arrives.
    for _ in 0..3 {
        world.serve(&mut ada);
        world.serve(&mut bob);
    }
    world.settle(&mut [&mut ada, &mut bob]);
    for number in 0..5 {
        world.send(&mut ada, conversation, text(&format!("a{number}")));
        world.send(&mut bob, conversation, text(&format!("b{number}")));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    for phone in [&mut ada, &mut bob] {
        assert_eq!(texts(phone, conversation).len(), 12);
    }
    assert!(
        messages(&mut ada, conversation)
            .iter()
            .all(|message| !matches!(message.state, MessageState::Queued | MessageState::Undecryptable { .. }))
    );
}

#[test]
fn lost_reordered_and_repeated_envelopes() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("first"));
    world.settle(&mut [&mut ada, &mut bob]);
    for number in 0..10 {
        world.send(&mut ada, conversation, text(&number.to_string()));
    }
    world.serve(&mut ada);
    let mut envelopes = world.intercept(&bob);
    envelopes.remove(4);
    envelopes.reverse();
    let twice = envelopes.clone();
    world.mailboxes.get_mut(&bob.mailbox).unwrap().extend(envelopes);
    assert!(world.deliver(&mut bob).iter().all(|disposition| *disposition == crate::Disposition::Consumed));
    world.mailboxes.get_mut(&bob.mailbox).unwrap().extend(twice);
    assert!(world.deliver(&mut bob).iter().all(|disposition| *disposition == crate::Disposition::Duplicate));
    let mut arrived = texts(&mut bob, conversation);
    arrived.sort();
    assert_eq!(arrived, ["0", "1", "2", "3", "5", "6", "7", "8", "9", "first"]);
    assert_eq!(bob.store.len(Table::Skipped), 2, "a seed and a post-quantum key for the one that was lost");
}

#[test]
fn skipped_post_quantum_keys_leave_the_store_with_their_epoch() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("first"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("lost"));
    world.serve(&mut ada);
    world.intercept(&bob);
    world.send(&mut ada, conversation, text("next"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!((bob.store.len(Table::Skipped), bob.store.len(Table::SkippedOrdinal)), (2, 2));
    for _ in 0..80 {
        for phone in [&mut ada, &mut bob] {
            world.send(phone, conversation, text("round"));
        }
        world.settle(&mut [&mut ada, &mut bob]);
        if bob.store.len(Table::Skipped) == 1 {
            break;
        }
    }
    // The message's seed stays for as long as two thousand others are not skipped after it.
    assert_eq!((bob.store.len(Table::Skipped), bob.store.len(Table::SkippedOrdinal)), (1, 1));
}

#[test]
fn a_content_of_a_later_version_is_kept() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, Body::Unknown);
    world.settle(&mut [&mut ada, &mut bob]);
    let all = messages(&mut bob, conversation);
    assert!(all.is_empty() || matches!(all[0].content.as_ref().map(Content::body), Some(Body::Unknown) | None));
    assert!(events(&mut bob).iter().any(|event| matches!(event, Event::MessageReceived { .. })));
}

#[test]
fn safety_numbers_are_the_same_on_both_sides() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut bob]);
    let (ada_account, bob_account) = (ada.address.account, bob.address.account);
    let ours = ada.with(0, |engine| engine.safety_number(bob_account)).unwrap();
    let theirs = bob.with(0, |engine| engine.safety_number(ada_account)).unwrap();
    assert_eq!(ours.numeric(), theirs.numeric());
    ada.with(0, |engine| engine.verify_scan(bob_account, &theirs.qr_payload())).unwrap();
    assert_eq!(
        ada.with(0, |engine| engine.contact_view(bob_account)).unwrap().verification,
        crate::contact::Verification::Verified
    );
}

#[test]
fn tag_epochs_move_and_long_gaps_are_recognised() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("first"));
    world.settle(&mut [&mut ada, &mut bob]);
    let day = 24 * 3600 * 1000;
    let mut tags = std::collections::BTreeSet::new();
    for number in 0..40 {
        world.now += day;
        world.send(&mut ada, conversation, text(&number.to_string()));
        world.serve(&mut ada);
        let (_, bytes) = world.mailboxes[&bob.mailbox].back().unwrap();
        let Envelope::Session { tag, .. } = Envelope::parse(bytes).unwrap() else { panic!("a session envelope") };
        tags.insert(tag.0);
        if number % 3 != 2 {
            world.intercept(&bob);
        }
    }
    assert_eq!(tags.len(), 40, "a new tag every day");
    let dispositions = world.deliver(&mut bob);
    assert!(dispositions.iter().all(|disposition| *disposition == crate::Disposition::Consumed));
    world.send(&mut ada, conversation, text("last"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "last");
}
