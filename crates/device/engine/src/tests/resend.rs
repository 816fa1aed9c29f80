//! What could not be decrypted is sent again, to the device and the key it was sent to, within bounds; anything else is the user's
//! decision.

use rcseal_wire::content::{Body, Receipt};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::{ConversationId, DeviceNumber, EnvelopeId, MessageId};

use super::linking::link;
use super::sessions::{DAY, HOUR, acquainted, install_anew, learn_keys};
use super::world::{Phone, World, events, messages, second_device, text, texts};
use crate::event::Event;
use crate::message::{FailureReason, MessageState};
use crate::resend::{HeldResend, ResendError};
use crate::send::SendError;
use crate::store::{Order, StoreError, Table, prefix_end};
use crate::{Disposition, Undecryptable};

/// The same envelope with a damaged message in a whole seal: nobody on the road could have made it.
pub(super) fn spoil(recipient: &mut Phone, bytes: &[u8]) -> Vec<u8> {
    let Envelope::Session { tag, nonce, ciphertext } = Envelope::parse(bytes).unwrap() else {
        panic!("a session envelope")
    };
    recipient
        .with(0, |engine| {
            let (session, epoch) = engine.session_by_tag(tag)?.unwrap();
            let mut message = session.seal_receive().open(epoch, &nonce, tag, ciphertext).unwrap();
            *message.last_mut().unwrap() ^= 1;
            Ok::<_, StoreError>(session.seal_receive().seal(epoch, message, engine.rng).unwrap())
        })
        .unwrap()
}

/// Sends words that arrive damaged. Answers their id and what came.
fn send_damaged(
    world: &mut World,
    from: &mut Phone,
    to: &mut Phone,
    conversation: ConversationId,
    words: &str,
) -> (MessageId, Vec<(EnvelopeId, Vec<u8>)>) {
    let message = world.send(from, conversation, text(words));
    world.serve(from);
    let envelopes = world.intercept(to);
    for (id, bytes) in &envelopes {
        let spoilt = spoil(to, bytes);
        assert_eq!(
            to.with(world.now, |engine| engine.handle_envelope(*id, &spoilt)).unwrap(),
            Disposition::Undecryptable(Undecryptable::Authentication)
        );
    }
    (message, envelopes)
}

/// Asks for envelopes as an app would that was changed to.
fn ask(world: &mut World, from: &mut Phone, conversation: ConversationId, envelopes: Vec<EnvelopeId>) {
    world.send(from, conversation, Body::ResendRequest { envelopes });
    world.serve(from);
}

/// So that nothing but what a test is about is on its way.
fn never_rekey(phone: &mut Phone, conversation: ConversationId) {
    phone.with(0, |engine| engine.set_rekey_interval(conversation, None)).unwrap();
}

/// The envelopes that carried messages to a mailbox, by the sender's own account of them.
fn sent_envelopes(phone: &mut Phone) -> Vec<EnvelopeId> {
    phone
        .with(0, |engine| {
            let rows = engine.tx.scan(Table::Sent, &[], &prefix_end(&[]), 1_000, Order::Ascending)?;
            Ok::<_, StoreError>(rows.iter().map(|(key, _)| EnvelopeId::parse(key).unwrap()).collect())
        })
        .unwrap()
}

fn approve(
    world: &World,
    phone: &mut Phone,
    conversation: ConversationId,
    message: MessageId,
) -> Result<usize, ResendError> {
    phone.with(world.now, |engine| engine.approve_resend(conversation, message))
}

#[test]
fn what_could_not_be_decrypted_is_sent_again_and_shown_once() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let (message, genuine) = send_damaged(&mut world, &mut ada, &mut bob, conversation, "one");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "one"]);
    let sent = messages(&mut ada, conversation).pop().unwrap();
    assert_eq!((sent.id, sent.state), (message, MessageState::Delivered));
    // The envelope that was thought damaged comes after all.
    for (id, bytes) in genuine {
        let disposition = bob.with(world.now, |engine| engine.handle_envelope(id, &bytes)).unwrap();
        assert_eq!(disposition, Disposition::Consumed);
    }
    assert_eq!(texts(&mut bob, conversation), ["hello", "one"]);
}

#[test]
fn several_envelopes_are_asked_for_in_one_request() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    // Two do not replace the session.
    send_damaged(&mut world, &mut ada, &mut bob, conversation, "one");
    send_damaged(&mut world, &mut ada, &mut bob, conversation, "two");
    bob.with(world.now, |engine| engine.flush_receipts()).unwrap();
    // Two reports and one request.
    assert_eq!(bob.store.len(Table::Outbox), 3);
    bob.with(world.now, |engine| engine.flush_receipts()).unwrap();
    assert_eq!(bob.store.len(Table::Outbox), 3);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "one", "two"]);
}

#[test]
fn a_message_is_sent_again_as_it_reads_now() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let (edited, _) = send_damaged(&mut world, &mut ada, &mut bob, conversation, "frist");
    let (deleted, _) = send_damaged(&mut world, &mut ada, &mut bob, conversation, "to be forgotten");
    world.send(&mut ada, conversation, Body::Edit { target: edited, text: "first".to_owned() });
    world.send(&mut ada, conversation, Body::Delete { target: deleted });
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "first"]);
}

#[test]
fn a_first_message_whose_prekey_is_gone_is_asked_for_in_a_new_session() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.now += 2 * DAY;
    // Ada begins anew, and Bob has lost the prekeys that she was given.
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut ada, conversation, text("one"));
    bob.with(world.now, |engine| engine.tx.delete_range(Table::Prekey, &[], &prefix_end(&[]))).unwrap();
    world.serve(&mut ada);
    world.serve(&mut ada);
    assert_eq!(world.deliver(&mut bob), [Disposition::Undecryptable(Undecryptable::PrekeyGone)]);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "one"]);
}

#[test]
fn a_first_message_in_an_unacceptable_session_arrives_within_a_day_of_the_last_handshake() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    bob.with(world.now, |engine| engine.tx.delete_range(Table::Prekey, &[], &prefix_end(&[]))).unwrap();
    for words in ["one", "two", "three"] {
        world.send(&mut ada, conversation, text(words));
        world.settle(&mut [&mut ada, &mut bob]);
    }
    assert_eq!((texts(&mut bob, conversation).len(), world.handed_out), (1, 2));
    world.now += DAY + HOUR;
    world.settle(&mut [&mut ada, &mut bob]);
    let mut read = texts(&mut bob, conversation);
    read.sort();
    assert_eq!(read, ["hello", "one", "three", "two"]);
    assert_eq!(world.handed_out, 3);
}

#[test]
fn a_stranger_whose_prekey_is_gone_is_not_answered() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    bob.with(world.now, |engine| engine.tx.delete_range(Table::Prekey, &[], &prefix_end(&[]))).unwrap();
    world.serve(&mut ada);
    world.serve(&mut ada);
    world.settle(&mut [&mut bob]);
    assert_eq!((bob.store.len(Table::Resend), bob.store.len(Table::Outbox), bob.store.len(Table::Pending)), (0, 0, 0));
}

#[test]
fn what_was_decrypted_and_not_believed_is_not_asked_for() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    // A conversation that Bob does not take part in.
    let other = ConversationId::from_bytes([7; 16]);
    let bob_account = bob.address.account;
    ada.with(world.now, |engine| {
        let account = engine.account()?;
        engine
            .put_conversation(other, &crate::conversation::direct(account.address.account, bob_account))
            .map_err(SendError::from)?;
        engine.send(other, text("where am I?"), None)
    })
    .unwrap();
    world.serve(&mut ada);
    assert_eq!(world.deliver(&mut bob), [Disposition::Undecryptable(Undecryptable::NotParticipant)]);
    assert_eq!(bob.store.len(Table::Resend), 0);
}

#[test]
fn nobody_is_sent_what_went_to_somebody_else() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut tablet = link(&mut world, &mut bob, 20);
    let mut mallory = world.phone(3, "Mallory");
    let with_mallory = world.introduce(&mut mallory, &mut ada);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut mallory, with_mallory, text("hi"));
    world.send(&mut ada, conversation, text("for bob"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut mallory]);
    let all = sent_envelopes(&mut ada);
    assert!(all.len() >= 3);
    // Mallory has seen the ids of everything that went to Bob, at the relay.
    for ids in all.chunks(8) {
        ask(&mut world, &mut mallory, with_mallory, ids.to_vec());
    }
    world.deliver(&mut ada);
    ada.with(world.now, |engine| engine.flush_receipts()).unwrap();
    assert_eq!(ada.store.len(Table::Outbox), 0);
    // Nor does Bob's tablet get what went to his phone before there was a tablet.
    ask(&mut world, &mut tablet, conversation, all);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut mallory]);
    assert_eq!(texts(&mut tablet, conversation), ["for bob"]);
    assert_eq!(events(&mut ada).iter().filter(|event| matches!(event, Event::ResendHeld { .. })).count(), 0);
}

#[test]
fn one_message_is_sent_again_three_times_at_most() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    never_rekey(&mut ada, conversation);
    never_rekey(&mut bob, conversation);
    world.send(&mut ada, conversation, text("again and again"));
    world.settle(&mut [&mut ada, &mut bob]);
    let all = sent_envelopes(&mut ada);
    let mut came = 0;
    for _ in 0..10 {
        ask(&mut world, &mut bob, conversation, all.clone());
        world.deliver(&mut ada);
        world.serve(&mut ada);
        came += world.intercept(&bob).len();
        world.now += 2 * HOUR;
    }
    assert_eq!(came, 2 * 3, "two messages, three times each");
}

#[test]
fn a_flood_of_requests_is_answered_within_bounds() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    never_rekey(&mut ada, conversation);
    never_rekey(&mut bob, conversation);
    for number in 0..100 {
        world.send(&mut ada, conversation, text(&number.to_string()));
    }
    world.settle(&mut [&mut ada, &mut bob]);
    let all = sent_envelopes(&mut ada);
    for ids in all.chunks(8) {
        ask(&mut world, &mut bob, conversation, ids.to_vec());
    }
    world.deliver(&mut ada);
    world.serve(&mut ada);
    assert_eq!(world.intercept(&bob).len(), 64);
    // The next hour there are as many again.
    world.now += HOUR;
    for ids in all.chunks(8) {
        ask(&mut world, &mut bob, conversation, ids.to_vec());
    }
    world.deliver(&mut ada);
    world.serve(&mut ada);
    assert_eq!(world.intercept(&bob).len(), 64);
}

#[test]
fn an_unreadable_flood_makes_a_bounded_number_of_requests() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    world.send(&mut ada, conversation, text("one"));
    world.serve(&mut ada);
    let (_, bytes) = world.intercept(&bob).remove(0);
    let spoilt = spoil(&mut bob, &bytes);
    for _ in 0..500 {
        let id = EnvelopeId::generate(&mut bob.rng);
        bob.with(world.now, |engine| engine.handle_envelope(id, &spoilt)).unwrap();
    }
    assert!(bob.store.len(Table::Resend) <= 64, "{}", bob.store.len(Table::Resend));
    bob.with(world.now, |engine| engine.flush_receipts()).unwrap();
    assert!(bob.store.len(Table::Outbox) < 10, "{}", bob.store.len(Table::Outbox));
    // Of all this nothing is left after a while.
    world.now += 3 * DAY;
    bob.with(world.now, |engine| engine.keep_house()).unwrap();
    bob.with(world.now, |engine| engine.flush_receipts()).unwrap();
    world.now += 3 * DAY;
    bob.with(world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(bob.store.len(Table::Resend), 0);
}

#[test]
fn a_device_with_other_keys_is_sent_nothing_old_without_the_users_decision() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let message = world.send(&mut ada, conversation, text("for the old keys"));
    world.serve(&mut ada);
    let lost = world.intercept(&bob);
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    // The new installation finds the envelopes in its mailbox, and asks.
    world.send(&mut ada, conversation, text("for the new keys"));
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut ada);
    ask(&mut world, &mut bob, conversation, lost.iter().map(|(id, _)| *id).collect());
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["for the new keys"]);
    let held = ada.with(0, |engine| engine.held_resends()).unwrap();
    assert!(
        matches!(held[..], [HeldResend { device, message: id, .. }] if device == bob.address && id == message),
        "{held:?}"
    );
    assert_eq!(approve(&world, &mut ada, conversation, message).unwrap(), 1);
    assert_eq!(ada.with(0, |engine| engine.held_resends()).unwrap(), []);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["for the new keys", "for the old keys"]);
}

#[test]
fn a_device_that_asks_for_what_was_sent_to_its_old_keys_is_held_once() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let all = sent_envelopes(&mut ada);
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.send(&mut ada, conversation, text("for the new keys"));
    world.settle(&mut [&mut ada, &mut bob]);
    // What was read before is held only because it is asked for.
    events(&mut ada);
    for _ in 0..3 {
        ask(&mut world, &mut bob, conversation, all.clone());
        world.settle(&mut [&mut ada, &mut bob]);
    }
    let hello = messages(&mut ada, conversation)[0].id;
    let held = Event::ResendHeld { conversation, message: hello, device: bob.address };
    assert_eq!(events(&mut ada).into_iter().filter(|event| *event == held).count(), 1);
    assert_eq!(texts(&mut bob, conversation), ["for the new keys"]);
}

#[test]
fn a_contact_whose_account_key_changed_is_sent_nothing_again_before_the_user_has_looked() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let (message, _) = send_damaged(&mut world, &mut ada, &mut bob, conversation, "one");
    let bob_account = bob.address.account;
    ada.with(world.now, |engine| engine.mark_verified(bob_account)).unwrap();
    bob.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    world.serve(&mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello"]);
    assert!(events(&mut ada).contains(&Event::ResendHeld { conversation, message, device: bob.address }));
    let error = approve(&world, &mut ada, conversation, message).unwrap_err();
    assert!(matches!(error, ResendError::Send(SendError::VerificationChanged)), "{error:?}");
    ada.with(world.now, |engine| engine.mark_verified(bob_account)).unwrap();
    assert_eq!(approve(&world, &mut ada, conversation, message).unwrap(), 1);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "one"]);
}

#[test]
fn a_blocked_contact_is_asked_nothing_and_answered_nothing() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let all = sent_envelopes(&mut ada);
    let bob_account = bob.address.account;
    ada.with(world.now, |engine| engine.block_contact(bob_account, true)).unwrap();
    ask(&mut world, &mut bob, conversation, all);
    let (_, damaged) = send_damaged(&mut world, &mut bob, &mut ada, conversation, "two");
    assert_eq!(damaged.len(), 2, "the request and the message");
    bob.with(world.now, |engine| engine.rekey_now(conversation)).unwrap();
    world.serve(&mut bob);
    world.deliver(&mut ada);
    world.now += HOUR;
    world.serve(&mut ada);
    assert_eq!(world.intercept(&bob), []);
}

#[test]
fn a_device_with_other_keys_cannot_flood_the_user_with_decisions() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    for number in 0..100 {
        world.send(&mut ada, conversation, text(&number.to_string()));
    }
    world.settle(&mut [&mut ada, &mut bob]);
    let all = sent_envelopes(&mut ada);
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.send(&mut ada, conversation, text("for the new keys"));
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut ada);
    for ids in all.chunks(8) {
        ask(&mut world, &mut bob, conversation, ids.to_vec());
    }
    world.deliver(&mut ada);
    assert_eq!(events(&mut ada).iter().filter(|event| matches!(event, Event::ResendHeld { .. })).count(), 64);
}

#[test]
fn notices_that_wait_for_keys_are_bounded() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    // Bob's directory gives Ada no bundle, and his device asks and pings for days.
    ada.with(world.now, |engine| engine.tx.delete_range(Table::ActiveSession, &[], &prefix_end(&[]))).unwrap();
    for number in 0..300_u32 {
        let id = MessageId::generate(&mut bob.rng);
        let account = bob.address.account;
        ada.with(world.now + u64::from(number), |engine| {
            let own = engine.account()?;
            let receipt = Body::Receipt(Receipt::Delivered(vec![id]));
            engine.send_notice(&own, account, conversation, receipt)
        })
        .unwrap();
    }
    assert_eq!(ada.store.len(Table::Pending), 256);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(ada.store.len(Table::Pending), 0);
}

#[test]
fn what_was_on_its_way_to_a_removed_device_waits_for_the_user() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut tablet = link(&mut world, &mut bob, 20);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("to both"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    let message = world.send(&mut ada, conversation, text("on its way"));
    world.serve(&mut ada);
    events(&mut ada);
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.serve(&mut bob);
    let mut phone = link(&mut world, &mut bob, 23);
    learn_keys(&world, &mut ada, &bob);
    assert_eq!(phone.address.device, DeviceNumber::new(3).unwrap());
    assert!(events(&mut ada).contains(&Event::ResendHeld { conversation, message, device: tablet.address }));
    // Nothing goes to the new device by itself.
    world.settle(&mut [&mut ada, &mut bob, &mut phone]);
    assert!(texts(&mut phone, conversation).is_empty());
    // Bob's first device has read it by now; the user sends it to the new one all the same.
    assert_eq!(approve(&world, &mut ada, conversation, message).unwrap(), 1);
    world.settle(&mut [&mut ada, &mut bob, &mut phone]);
    assert_eq!(texts(&mut phone, conversation), ["on its way"]);
    assert_eq!(texts(&mut bob, conversation), ["hello", "to both", "on its way"]);
}

#[test]
fn what_another_device_of_the_account_has_read_is_not_held_when_one_is_removed() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut tablet = link(&mut world, &mut bob, 20);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("read on the phone"));
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut ada);
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(!events(&mut ada).iter().any(|event| matches!(event, Event::ResendHeld { .. })));
}

#[test]
fn a_decision_is_refused_where_there_is_none_to_make() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let hello = messages(&mut ada, conversation)[0].id;
    let error = approve(&world, &mut ada, conversation, hello).unwrap_err();
    assert!(matches!(error, ResendError::NotHeld), "{error:?}");
    let error = approve(&world, &mut ada, conversation, MessageId::from_bytes([1; 16])).unwrap_err();
    assert!(matches!(error, ResendError::UnknownMessage), "{error:?}");
    // Somebody else's message is not ours to send again.
    let error = approve(&world, &mut bob, conversation, hello).unwrap_err();
    assert!(matches!(error, ResendError::UnknownMessage), "{error:?}");
    let error = approve(&world, &mut ada, ConversationId::from_bytes([1; 16]), hello).unwrap_err();
    assert!(matches!(error, ResendError::Send(SendError::UnknownConversation)), "{error:?}");
    // A held message that was taken back meanwhile is gone.
    let message = world.send(&mut ada, conversation, text("for the old keys"));
    world.serve(&mut ada);
    world.intercept(&bob);
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    assert_eq!(ada.with(0, |engine| engine.held_resends()).unwrap().len(), 1);
    world.send(&mut ada, conversation, Body::Delete { target: message });
    assert_eq!(ada.with(0, |engine| engine.held_resends()).unwrap(), []);
    let error = approve(&world, &mut ada, conversation, message).unwrap_err();
    assert!(matches!(error, ResendError::Deleted), "{error:?}");
}

#[test]
fn a_message_that_waits_for_a_bundle_goes_to_the_key_it_was_sent_to_or_to_none() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.send(&mut ada, conversation, text("one"));
    install_anew(&mut world, &mut bob);
    learn_keys(&world, &mut ada, &bob);
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(texts(&mut bob, conversation).is_empty());
    assert_eq!(messages(&mut ada, conversation)[0].state, MessageState::Failed { reason: FailureReason::NoKeys });
    assert_eq!(ada.with(0, |engine| engine.held_resends()).unwrap().len(), 1);
}
