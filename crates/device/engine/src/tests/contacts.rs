//! What the user decides about contacts, and what that keeps from going out or coming in.

use rcseal_credential::Succession;
use rcseal_wire::id::{AccountId, ConversationId};

use super::crash::{crash_at_every_write, with_every_crash};
use super::linking::link;
use super::world::{Phone, World, events, messages, text, texts};
use crate::account::{AccountError, TOKEN_OVERLAP_MS};
use crate::contact::{ChangePolicy, ContactError, SUGGESTION_PAUSE_MS, Verification};
use crate::event::Event;
use crate::inbox::Disposition;
use crate::message::MessageState;
use crate::send::SendError;
use crate::store::{Order, Table, prefix_end};

const DAY: u64 = 24 * 3600 * 1000;

/// Ada and Bob, who have written to each other.
fn acquainted() -> (World, Phone, Phone, ConversationId) {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.acquaint(&mut ada, &mut bob);
    events(&mut ada);
    events(&mut bob);
    (world, ada, bob, conversation)
}

/// Bob is verified, and then his account key changes.
fn changed(world: &mut World, ada: &mut Phone, bob: &mut Phone) -> AccountId {
    let account = bob.address.account;
    ada.with(world.now, |engine| engine.mark_verified(account)).unwrap();
    bob.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    world.settle(&mut [ada, bob]);
    assert_eq!(ada.with(0, |engine| engine.contact_view(account)).unwrap().verification, Verification::Changed);
    events(ada);
    account
}

#[test]
fn the_stricter_policy_decides_what_is_sent_after_a_change() {
    use ChangePolicy::{Allow, Block, Warn};
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = changed(&mut world, &mut ada, &mut bob);
    let cases = [
        (Block, None, Block),
        (Block, Some(Allow), Block),
        (Warn, None, Warn),
        (Warn, Some(Allow), Warn),
        (Warn, Some(Block), Block),
        (Allow, None, Allow),
        (Allow, Some(Warn), Warn),
        (Allow, Some(Block), Block),
    ];
    for (of_account, of_contact, effective) in cases {
        ada.with(world.now, |engine| engine.set_change_policy(of_account)).unwrap();
        ada.with(world.now, |engine| engine.set_contact_policy(account, of_contact)).unwrap();
        let sent = ada.with(world.now, |engine| engine.send(conversation, text("after"), None));
        let told = events(&mut ada).contains(&Event::VerificationSuggested { account });
        assert_eq!(
            matches!(sent, Err(SendError::VerificationChanged)),
            effective == Block,
            "{of_account:?} {of_contact:?}"
        );
        assert_eq!(told, effective == Warn, "{of_account:?} {of_contact:?}");
    }
    assert_eq!(ada.with(0, |engine| engine.account_view()).unwrap().unwrap().change_policy, Allow);
}

#[test]
fn an_accepted_change_leaves_a_contact_unverified() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = bob.address.account;
    let early = ada.with(world.now, |engine| engine.accept_change(account)).unwrap_err();
    assert!(matches!(early, ContactError::NotChanged), "{early:?}");
    changed(&mut world, &mut ada, &mut bob);
    ada.with(world.now, |engine| engine.accept_change(account)).unwrap();
    let view = ada.with(0, |engine| engine.contact_view(account)).unwrap();
    assert_eq!((view.verification, view.changed_how), (Verification::Unverified, None));
    world.send(&mut ada, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "three");
}

#[test]
fn what_waited_for_a_verified_contacts_keys_is_kept_back_when_they_have_changed() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = bob.address.account;
    ada.with(world.now, |engine| engine.mark_verified(account)).unwrap();
    // The tablet knows Bob as verified and has no key set of his. Before it fetches one, his account key changes.
    let mut tablet = link(&mut world, &mut ada, 5);
    let conversation = tablet.with(world.now, |engine| engine.direct_conversation(account)).unwrap();
    world.send(&mut tablet, conversation, text("for the Bob I know"));
    bob.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    world.serve(&mut bob);
    world.settle(&mut [&mut bob, &mut tablet]);
    assert_eq!(tablet.with(0, |engine| engine.contact_view(account)).unwrap().verification, Verification::Changed);
    assert!(!texts(&mut bob, conversation).contains(&"for the Bob I know".to_owned()));
    tablet.with(world.now, |engine| engine.mark_verified(account)).unwrap();
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "for the Bob I know");
}

#[test]
fn nothing_leaves_by_itself_for_a_contact_whose_change_waits_for_a_decision() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = changed(&mut world, &mut ada, &mut bob);
    world.send(&mut bob, conversation, text("it is still me"));
    bob.with(world.now, |engine| engine.rekey_now(conversation)).unwrap();
    world.serve(&mut bob);
    assert_eq!(world.deliver(&mut ada), [Disposition::Consumed; 2], "what comes is shown");
    ada.with(world.now, |engine| engine.mark_read(conversation, u64::MAX)).unwrap();
    ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    while world.serve(&mut ada) {}
    assert_eq!(world.deliver(&mut bob), [], "no receipt, no pong, no notice");
    // Nor does a session begin, which would introduce us to the new keys.
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.now += DAY;
    let before = world.handed_out;
    while world.serve(&mut ada) {}
    assert_eq!((world.deliver(&mut bob), world.handed_out), (vec![], before));
    ada.with(world.now, |engine| engine.accept_change(account)).unwrap();
    world.send(&mut ada, conversation, text("so I see"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "so I see");
}

#[test]
fn what_waits_for_a_session_waits_on_while_nothing_may_be_sent_to_the_contact() {
    for is_blocked in [true, false] {
        let (mut world, mut ada, mut bob, conversation) = acquainted();
        let account = bob.address.account;
        ada.with(world.now, |engine| engine.mark_verified(account)).unwrap();
        // There is no session to send on. Before there is one, Ada blocks Bob, or his account key changes.
        ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
        world.send(&mut ada, conversation, text("three"));
        if is_blocked {
            ada.with(world.now, |engine| engine.block_contact(account, true)).unwrap();
        } else {
            bob.with(world.now, |engine| engine.rotate_account_key()).unwrap();
            world.serve(&mut bob);
            let key_set = world.key_sets[&account].clone();
            ada.with(world.now, |engine| engine.handle_key_set(account, &key_set)).unwrap();
        }
        let before = world.handed_out;
        world.settle(&mut [&mut ada, &mut bob]);
        assert_eq!(world.handed_out, before, "no session is begun");
        // Bob begins one.
        bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
        world.send(&mut bob, conversation, text("are you there?"));
        world.settle(&mut [&mut ada, &mut bob]);
        assert!(!texts(&mut bob, conversation).contains(&"three".to_owned()), "{is_blocked}");
        if is_blocked {
            ada.with(world.now, |engine| engine.block_contact(account, false)).unwrap();
        } else {
            ada.with(world.now, |engine| engine.accept_change(account)).unwrap();
        }
        world.settle(&mut [&mut ada, &mut bob]);
        assert_eq!(texts(&mut bob, conversation).last().unwrap(), "three", "{is_blocked}");
    }
}

#[test]
fn a_high_risk_conversation_reminds_now_and_then() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = bob.address.account;
    let suggested = |world: &mut World, ada: &mut Phone| {
        world.send(ada, conversation, text("words"));
        events(ada).contains(&Event::VerificationSuggested { account })
    };
    assert!(!suggested(&mut world, &mut ada));
    let unknown = ConversationId::from_bytes([9; 16]);
    let refused = ada.with(world.now, |engine| engine.set_high_risk(unknown, true)).unwrap_err();
    assert!(matches!(refused, SendError::UnknownConversation), "{refused:?}");
    ada.with(world.now, |engine| engine.set_high_risk(conversation, true)).unwrap();
    assert!(ada.with(world.now, |engine| engine.is_high_risk(conversation)).unwrap());
    assert!(suggested(&mut world, &mut ada));
    assert!(!suggested(&mut world, &mut ada));
    world.now += SUGGESTION_PAUSE_MS;
    assert!(suggested(&mut world, &mut ada));
    world.now += SUGGESTION_PAUSE_MS;
    ada.with(world.now, |engine| engine.mark_verified(account)).unwrap();
    assert!(!suggested(&mut world, &mut ada));
    world.settle(&mut [&mut ada, &mut bob]);
}

#[test]
fn a_contact_is_renamed() {
    let (world, mut ada, bob, _) = acquainted();
    let account = bob.address.account;
    ada.with(world.now, |engine| engine.rename_contact(account, "Robert")).unwrap();
    assert_eq!(ada.with(0, |engine| engine.contact_view(account)).unwrap().name, "Robert");
    let long = ada.with(world.now, |engine| engine.rename_contact(account, &"x".repeat(10_000))).unwrap_err();
    assert!(matches!(long, ContactError::NameTooLong), "{long:?}");
    let nobody = AccountId::from_bytes([9; 16]);
    let unknown = ada.with(world.now, |engine| engine.rename_contact(nobody, "x")).unwrap_err();
    assert!(matches!(unknown, ContactError::Unknown), "{unknown:?}");
}

#[test]
fn a_blocked_contact_is_neither_written_to_nor_heard_nor_answered() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = bob.address.account;
    ada.with(world.now, |engine| engine.block_contact(account, true)).unwrap();
    let refused = ada.with(world.now, |engine| engine.send(conversation, text("three"), None)).unwrap_err();
    assert!(matches!(refused, SendError::ContactBlocked), "{refused:?}");
    assert_eq!(refused.code(), "contact_blocked");
    let id = world.send(&mut bob, conversation, text("let me in"));
    world.serve(&mut bob);
    // Decrypted, so that the session stays in step, and dropped.
    assert_eq!(world.deliver(&mut ada), [Disposition::Consumed]);
    world.serve(&mut ada);
    assert_eq!(events(&mut ada), []);
    assert_eq!(texts(&mut ada, conversation), ["one", "two"]);
    assert_eq!(world.deliver(&mut bob), [], "no receipt");
    let sent = messages(&mut bob, conversation).into_iter().find(|message| message.id == id).unwrap();
    assert!(matches!(sent.state, MessageState::Stored), "{:?}", sent.state);
    // Nor does it hear of other things: a change of our key set, a session that is to turn.
    ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    world.serve(&mut ada);
    assert_eq!(world.deliver(&mut bob), [], "no notice");
    // Reading again later tells nothing of what was written before the block either.
    ada.with(world.now, |engine| engine.mark_read(conversation, u64::MAX)).unwrap();
    world.serve(&mut ada);
    assert_eq!(world.deliver(&mut bob), []);
    ada.with(world.now, |engine| engine.block_contact(account, false)).unwrap();
    world.send(&mut bob, conversation, text("thank you"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["one", "two", "thank you"]);
}

#[test]
fn what_was_written_before_a_block_waits_until_it_ends() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    let account = bob.address.account;
    world.send(&mut ada, conversation, text("before his keys are here"));
    ada.with(world.now, |engine| engine.block_contact(account, true)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(ada.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter.is_some());
    assert!(texts(&mut bob, conversation).is_empty());
    ada.with(world.now, |engine| engine.block_contact(account, false)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["before his keys are here"]);
}

#[test]
fn a_blocked_contact_does_not_come_in_by_a_new_session() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    ada.with(world.now, |engine| engine.block_contact(bob.address.account, true)).unwrap();
    bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.send(&mut bob, conversation, text("from a new session"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["one", "two"]);
    assert_eq!(events(&mut ada), []);
}

#[test]
fn a_blocked_contact_is_not_asked_for_its_newer_keys() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    ada.with(world.now, |engine| engine.block_contact(bob.address.account, true)).unwrap();
    bob.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    bob.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    while world.serve(&mut bob) {}
    world.send(&mut bob, conversation, text("under keys that you do not know"));
    while world.serve(&mut bob) {}
    world.deliver(&mut ada);
    // Bob's server would see by the question that Ada is there.
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(needs.is_empty(), "{needs:?}");
    assert_eq!(events(&mut ada), []);
    ada.with(world.now, |engine| engine.block_contact(bob.address.account, false)).unwrap();
    world.send(&mut bob, conversation, text("again"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["one", "two", "again"]);
}

#[test]
fn nothing_stays_of_a_removed_contact_but_the_conversation() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut carol = world.phone(3, "Carol");
    let with_carol = world.introduce(&mut carol, &mut ada);
    world.send(&mut carol, with_carol, text("hello"));
    world.settle(&mut [&mut ada, &mut bob, &mut carol]);
    let account = bob.address.account;
    let old = ada.with(0, |engine| engine.delivery_token()).unwrap().hash();
    world.send(&mut ada, conversation, text("on its way"));
    ada.with(world.now, |engine| engine.remove_contact(account)).unwrap();
    let gone = ada.with(world.now, |engine| engine.contact_view(account)).unwrap_err();
    assert!(matches!(gone, ContactError::Unknown), "{gone:?}");
    assert!(matches!(ada.with(world.now, |engine| engine.remove_contact(account)).unwrap_err(), ContactError::Unknown));
    let prefix = account.as_bytes();
    for table in [Table::Session, Table::ActiveSession, Table::Route, Table::Pending, Table::Contact, Table::KeySet] {
        let rows =
            ada.with(0, |engine| engine.tx.scan(table, prefix, &prefix_end(prefix), 1, Order::Ascending)).unwrap();
        assert!(rows.is_empty(), "{table:?}");
    }
    assert_eq!(texts(&mut ada, conversation), ["one", "two", "on its way"]);

    // The token that Bob knows is replaced. Carol hears of the new one, and after the overlap the server knows it alone.
    world.settle(&mut [&mut ada, &mut carol]);
    let new = ada.with(0, |engine| engine.delivery_token()).unwrap().hash();
    assert_ne!(new, old);
    assert_eq!(world.tokens[&ada.address.account], [new, old]);
    let carols = carol.with(0, |engine| engine.contact(ada.address.account)).unwrap().unwrap().delivery_token.hash();
    assert_eq!(carols, new);
    world.now += TOKEN_OVERLAP_MS;
    world.serve(&mut ada);
    assert_eq!(world.tokens[&ada.address.account], [new]);
    assert!(!world.serve(&mut ada), "the server is told once");
}

#[test]
fn whoever_was_removed_and_is_invited_again_is_read_again() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    bob.with(world.now, |engine| engine.remove_contact(ada.address.account)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    // Ada's session is one that Bob has forgotten: taking his invitation in makes her begin another.
    assert_eq!(world.introduce(&mut ada, &mut bob), conversation);
    world.send(&mut ada, conversation, text("here again"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two", "here again"]);
    world.send(&mut bob, conversation, text("welcome back"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["one", "two", "here again", "welcome back"]);
}

#[test]
fn a_second_invitation_of_somebody_who_still_writes_costs_nothing() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let begun = |phone: &mut Phone| phone.with(0, |engine| engine.handshakes()).unwrap().begun;
    let before = begun(&mut ada);
    world.introduce(&mut ada, &mut bob);
    world.send(&mut bob, conversation, text("still here"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("I see"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two", "still here", "I see"]);
    assert_eq!(begun(&mut ada), before);
}

#[test]
fn what_is_planned_for_the_end_of_an_overlap_is_not_left_over() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let unmet = |phone: &mut Phone, now| phone.with(now, |engine| engine.has_unmet_needs()).unwrap();
    ada.with(world.now, |engine| engine.replace_delivery_token(TOKEN_OVERLAP_MS)).unwrap();
    assert!(unmet(&mut ada, world.now), "the server is to be told");
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(!unmet(&mut ada, world.now));
    assert!(ada.with(world.now, |engine| engine.poll_needs_timeout()).unwrap().is_some());
    assert!(unmet(&mut ada, world.now + TOKEN_OVERLAP_MS));
}

#[test]
fn devices_have_changed_only_where_devices_did() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let changes = |phone: &mut Phone| {
        events(phone).into_iter().filter(|event| matches!(event, Event::DevicesChanged { .. })).collect::<Vec<_>>()
    };
    bob.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!((changes(&mut ada), changes(&mut bob)), (vec![], vec![]), "only the account key is another");
    let mut tablet = link(&mut world, &mut bob, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    let expected = [Event::DevicesChanged { account: bob.address.account }];
    assert_eq!(changes(&mut ada), expected);
    assert_eq!(changes(&mut bob), expected);
}

#[test]
fn removing_a_contact_fails_whole_at_every_write() {
    let (world, mut ada, bob, _) = acquainted();
    let (now, account) = (world.now, bob.address.account);
    let writes = crash_at_every_write(&mut ada, now, |engine| engine.remove_contact(account));
    assert!(writes > 10, "{writes} writes");
}

#[test]
fn a_delivery_token_is_in_use_only_once_the_server_knows_it() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let old = ada.with(0, |engine| engine.delivery_token()).unwrap().hash();
    ada.with(world.now, |engine| engine.replace_delivery_token(0)).unwrap();
    let again = ada.with(world.now, |engine| engine.replace_delivery_token(0)).unwrap_err();
    assert!(matches!(again, AccountError::TokenUnderWay), "{again:?}");
    // Before that nobody is told of it: what leaves now carries the old one.
    assert_eq!(ada.with(0, |engine| engine.delivery_token()).unwrap().hash(), old);
    let invitation = ada.with(world.now, |engine| engine.invitation()).unwrap();
    assert_eq!(invitation.delivery_token.hash(), old);
    let now = world.now;
    let next = ada.with(now, |engine| engine.account()).unwrap().next_token.map(|token| token.hash()).unwrap();
    let writes = with_every_crash(|write| {
        ada.store.fail_at_write(write);
        let told = ada.with(now, |engine| engine.handle_delivery_tokens(&[next, old])).is_ok();
        let hash = ada.with(now, |engine| engine.delivery_token()).unwrap().hash();
        assert_eq!(hash, if told { next } else { old });
        told
    });
    assert!(writes > 3, "{writes} writes");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(world.tokens[&ada.address.account], [next], "an overlap of nothing is over at once");
    let bobs = bob.with(0, |engine| engine.contact(ada.address.account)).unwrap().unwrap().delivery_token.hash();
    assert_eq!(bobs, next);
    world.send(&mut bob, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation).last().unwrap(), "three");
}

#[test]
fn only_the_primary_device_replaces_the_delivery_token() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let mut tablet = link(&mut world, &mut ada, 5);
    let refused = tablet.with(world.now, |engine| engine.replace_delivery_token(0)).unwrap_err();
    assert!(matches!(refused, AccountError::NotPrimary), "{refused:?}");
}

#[test]
fn a_linked_device_takes_the_token_from_the_primary_alone() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let (mut tablet, mut laptop) = (link(&mut world, &mut ada, 5), link(&mut world, &mut ada, 6));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut laptop]);
    // A laptop gone bad introduces itself with a token of its own.
    laptop
        .with(world.now, |engine| {
            let mut account = engine.account()?;
            account.delivery_token = rcseal_wire::token::DeliveryToken::from_bytes([9; 32]);
            engine.put_account(&account)?;
            engine.announce_key_set(&account).map_err(crate::send::as_account_error)
        })
        .unwrap();
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut laptop]);
    let own = ada.with(0, |engine| engine.delivery_token()).unwrap().hash();
    assert_eq!(tablet.with(0, |engine| engine.delivery_token()).unwrap().hash(), own);
    ada.with(world.now, |engine| engine.replace_delivery_token(DAY)).unwrap();
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut laptop]);
    let new = ada.with(0, |engine| engine.delivery_token()).unwrap().hash();
    assert_eq!(tablet.with(0, |engine| engine.delivery_token()).unwrap().hash(), new);
}

#[test]
fn a_first_message_made_with_a_prekey_rotated_away_is_read_until_the_overlap_ends() {
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 50, one_time_kem: 50, low: false };
    for (days, expected) in [
        (2, Disposition::Consumed),
        (33, Disposition::Consumed),
        (40, Disposition::Undecryptable(crate::Undecryptable::PrekeyGone)),
    ] {
        let mut world = World::new();
        let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
        let conversation = world.introduce(&mut bob, &mut ada);
        world.introduce(&mut ada, &mut bob);
        world.serve(&mut ada);
        let before = world.devices[&ada.address].clone();
        world.send(&mut bob, conversation, text("late"));
        while world.serve(&mut bob) {}
        let (id, envelope) = world.intercept(&ada).remove(0);
        // Meanwhile the prekeys are renewed every two days.
        for _ in 0..days / 2 {
            world.now += 2 * DAY;
            let upload = ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
            assert_ne!(upload.signed.as_ref().unwrap().id, before.signed.as_ref().unwrap().id);
            assert_ne!(upload.last_resort.as_ref().unwrap().id, before.last_resort.as_ref().unwrap().id);
        }
        if days % 2 == 1 {
            world.now += DAY;
        }
        let disposition = ada.with(world.now, |engine| engine.handle_envelope(id, &envelope)).unwrap();
        assert_eq!(disposition, expected, "after {days} days");
    }
    assert_eq!(crate::Undecryptable::PrekeyGone.code(), "prekey_gone");
}

#[test]
fn a_device_that_was_away_reads_what_was_made_with_its_old_prekey() {
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 50, one_time_kem: 50, low: false };
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut bob, &mut ada);
    world.now += 59 * DAY;
    world.send(&mut bob, conversation, text("yesterday"));
    while world.serve(&mut bob) {}
    world.now += DAY;
    // The first thing the device does is to renew its prekeys; the message is on its way meanwhile.
    ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["yesterday"]);
}

#[test]
fn a_device_that_is_linked_knows_who_is_blocked_and_whose_key_changed() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = changed(&mut world, &mut ada, &mut bob);
    let mut mallory = world.phone(3, "Mallory");
    world.introduce(&mut ada, &mut mallory);
    ada.with(world.now, |engine| engine.block_contact(mallory.address.account, true)).unwrap();
    let mut tablet = link(&mut world, &mut ada, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    let view = tablet.with(0, |engine| engine.contact_view(account)).unwrap();
    assert_eq!((view.verification, view.changed_how), (Verification::Changed, Some(Succession::Migrated)));
    let conversation = tablet.with(world.now, |engine| engine.direct_conversation(account)).unwrap();
    let refused = tablet.with(world.now, |engine| engine.send(conversation, text("is it you?"), None)).unwrap_err();
    assert!(matches!(refused, SendError::VerificationChanged), "{refused:?}");
    assert!(tablet.with(0, |engine| engine.contact_view(mallory.address.account)).unwrap().is_blocked);
}

#[test]
fn a_clock_that_was_a_year_ahead_does_not_stop_what_has_to_be_fetched() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("when the clock was wrong"));
    // The directory is away, and it is to be asked again.
    let bobs = world.key_sets.remove(&bob.address.account).unwrap();
    world.serve(&mut ada);
    world.key_sets.insert(bob.address.account, bobs);
    // The clock is put right.
    world.now -= 365 * 24 * 3600 * 1000;
    let due = ada.with(world.now, |engine| engine.poll_needs_timeout()).unwrap().unwrap();
    assert!(due.0 <= world.now, "it waits for another year");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["when the clock was wrong"]);
}
