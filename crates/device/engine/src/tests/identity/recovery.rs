//! A lost or stolen account taken back with its recovery key.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_credential::{BuildError, KeySetError, RecoveryKey, Succession};
use rcseal_wire::frame::SubmitStatus;

use super::{acquainted, blank, offer, parse, recover, recovery_seed, rotate, take_over, verification};
use crate::account::{AccountError, AccountState};
use crate::contact::{KeySetOutcome, KeySetRefusal, Verification};
use crate::event::{Event, KeySetReason};
use crate::message::MessageState;
use crate::need::Need;
use crate::send::SendError;
use crate::store::Table;
use crate::tests::crash::with_every_crash;
use crate::tests::linking::link;
use crate::tests::world::{Phone, events, messages, new_account, second_device, text, texts};

#[test]
fn a_lost_account_comes_back_with_the_recovery_code() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = ada.address.account;
    let mut carol = world.phone(3, "Carol");
    let with_carol = world.introduce(&mut carol, &mut ada);
    world.send(&mut carol, with_carol, text("hello"));
    world.settle(&mut [&mut ada, &mut bob, &mut carol]);
    let code = recovery_seed(1, "Ada", world.now);
    let (mut phone, next_code) = recover(&mut world, &ada, &code, 10);
    assert_eq!(phone.address.device, second_device());
    let newest = world.key_sets[&account].clone();

    // Contacts: who had compared has to compare again, who had not is told.
    for (contact, expected) in [(&mut bob, Verification::Changed), (&mut carol, Verification::Unverified)] {
        events(contact);
        let outcome = offer(contact, world.now, account, &newest);
        assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
        assert!(events(contact).contains(&Event::AccountKeyChanged { account, how: Succession::Recovered }));
        assert_eq!(verification(contact, account), expected);
    }
    let refused = bob.with(world.now, |engine| engine.send(conversation, text("is it you?"), None)).unwrap_err();
    assert!(matches!(refused, SendError::VerificationChanged), "{refused:?}");
    bob.with(world.now, |engine| engine.accept_change(account)).unwrap();
    world.send(&mut bob, conversation, text("is it you?"));
    world.send(&mut carol, with_carol, text("and me"));
    world.settle(&mut [&mut phone, &mut bob, &mut carol]);
    assert_eq!(texts(&mut phone, conversation), ["is it you?"]);
    assert_eq!(texts(&mut phone, with_carol), ["and me"]);
    world.send(&mut phone, conversation, text("it is"));
    world.settle(&mut [&mut phone, &mut bob, &mut carol]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "it is");

    // The lost device learns that it is one, and holds no account key any more.
    offer(&mut ada, world.now, account, &newest);
    let told = events(&mut ada);
    assert!(
        told.contains(&Event::DeviceRemoved)
            && told.contains(&Event::AccountKeyChanged { account, how: Succession::Recovered })
    );
    let refused = ada.with(world.now, |engine| engine.rotate_account_key()).unwrap_err();
    assert!(matches!(refused, AccountError::NotPrimary), "{refused:?}");

    // The code is spent; the next one works.
    let mut other = blank(11, &phone);
    let spent = other
        .with(world.now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &newest))
        .unwrap_err();
    assert!(matches!(spent, AccountError::Build(BuildError::Refused(KeySetError::RecoveryKey))), "{spent:?}");
    assert_eq!(spent.code(), "key_set_recovery_key");
    let (third, _) = recover(&mut world, &phone, &next_code, 12);
    assert_eq!(third.address.device.get(), 3);
}

#[test]
fn a_recovered_account_links_devices_and_they_trust_its_primary() {
    let (mut world, ada, mut bob, _) = acquainted();
    let code = recovery_seed(1, "Ada", world.now);
    let (mut phone, _) = recover(&mut world, &ada, &code, 10);
    let conversation = world.introduce(&mut phone, &mut bob);
    let mut tablet = link(&mut world, &mut phone, 20);
    world.settle(&mut [&mut phone, &mut bob, &mut tablet]);
    assert_eq!(tablet.address.device.get(), 3);
    phone.with(world.now, |engine| engine.replace_delivery_token(1_000)).unwrap();
    world.settle(&mut [&mut phone, &mut bob, &mut tablet]);
    let tokens = [&mut phone, &mut tablet].map(|phone| phone.with(0, |engine| engine.delivery_token()).unwrap().hash());
    assert_eq!(tokens[0], tokens[1], "a linked device takes the token that the device with the account key chose");
    tablet.with(world.now, |engine| engine.direct_conversation(bob.address.account)).unwrap();
    world.send(&mut tablet, conversation, text("from the tablet"));
    world.settle(&mut [&mut phone, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "from the tablet");
}

#[test]
fn the_owner_takes_the_account_back_from_a_thief_of_the_account_key() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    let code = recovery_seed(1, "Ada", world.now);
    // The thief has a copy of the phone, and is quicker.
    let mut thief = Phone { store: ada.store.clone(), rng: ChaCha20Rng::seed_from_u64(99), ..blank(99, &ada) };
    rotate(&mut world, &mut thief, 2);
    world.settle(&mut [&mut bob]);
    let stolen = world.key_sets[&account].clone();
    offer(&mut bob, world.now, account, &stolen);
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().changed_how, Some(Succession::Migrated));
    // The owner's phone holds the account no more, and its user has the code.
    offer(&mut ada, world.now, account, &stolen);
    world.settle(&mut [&mut ada]);
    assert!(!ada.with(0, |engine| engine.account_view()).unwrap().unwrap().is_primary);
    let (_, _) = recover(&mut world, &ada, &code, 10);
    let recovered = world.key_sets[&account].clone();
    let outcome = offer(&mut bob, world.now, account, &recovered);
    assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().changed_how, Some(Succession::Recovered));
    // What the thief signs from now on nobody believes.
    thief.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    let late = thief.with(world.now, |engine| engine.unpublished_key_set()).unwrap().unwrap();
    events(&mut bob);
    let outcome = offer(&mut bob, world.now, account, &late);
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::Invalid(KeySetError::Fork { .. }))), "{outcome:?}");
    assert_eq!(events(&mut bob), [Event::KeySetRefused { account, reason: KeySetReason::Fork }]);
}

#[test]
fn a_recovery_is_signed_again_when_the_key_set_moved() {
    let (mut world, mut ada, _, _) = acquainted();
    let account = ada.address.account;
    let code = recovery_seed(1, "Ada", world.now);
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(10, &ada);
    let now = world.now;
    let started = phone.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis)).unwrap();
    let again = phone.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis));
    assert!(matches!(again.unwrap_err(), AccountError::Exists));
    assert!(!phone.with(now, |engine| engine.rebase_takeover(&basis, 0)).unwrap());
    rotate(&mut world, &mut ada, 1);
    let basis = world.key_sets[&account].clone();
    assert!(phone.with(now, |engine| engine.rebase_takeover(&basis, 0)).unwrap());
    let request = phone.with(now, |engine| engine.recovery_request()).unwrap();
    let signed = parse(&request.key_set.0);
    assert_eq!(parse(&basis).check_successor(&signed), Ok(Succession::Recovered));
    // It leaves room: a thief who publishes without a pause has published again before this one is at the server.
    rotate(&mut world, &mut ada, 2);
    assert_eq!(parse(&world.key_sets[&account].clone()).check_successor(&signed), Ok(Succession::Recovered));
    // The code that the user has written down stays the account's.
    assert_eq!(
        signed.recovery_commitments(),
        [RecoveryKey::from_seed(*started.recovery_seed.unwrap().expose()).commitment()]
    );
    let proof = phone.with(now, |engine| engine.takeover_proof()).unwrap();
    let public = RecoveryKey::from_seed(*code.expose()).public_key();
    assert_eq!(proof.recovery_key.unwrap().0, public.as_bytes());
    take_over(&mut world, &mut phone, request.key_set.0, request.device);
    // The spent code is in the store no more.
    assert!(phone.store.values().all(|value| !value.windows(32).any(|window| window == code.expose())));
    let done = phone.with(now, |engine| engine.complete_takeover()).unwrap_err();
    assert!(matches!(done, AccountError::NoTakeover), "{done:?}");
}

#[test]
fn what_was_written_under_an_account_that_is_given_up_goes_with_it() {
    let (mut world, ada, _, _) = acquainted();
    let mut carol = world.phone(3, "Carol");
    let (account, now) = (ada.address.account, world.now);
    let code = recovery_seed(1, "Ada", now);
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(10, &ada);
    phone.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis)).unwrap();
    let invitation = carol.with(now, |engine| engine.invitation()).unwrap();
    let conversation = phone
        .with(now, |engine| {
            let carol = engine.add_contact(&invitation, "Carol")?;
            engine.direct_conversation(carol)
        })
        .unwrap();
    phone.with(now, |engine| engine.send(conversation, text("I am Ada again"), None)).unwrap();
    let last = phone.with(now, |engine| engine.events(0, 100)).unwrap().pop().unwrap().number;
    phone.with(now, |engine| engine.abandon_takeover()).unwrap();
    for table in Table::ALL {
        // An app remembers the number of the last event that it has seen.
        assert_eq!(phone.store.len(table), usize::from(table == Table::Counter), "{table:?}");
    }
    // Under another account none of it goes out.
    phone.with(now, |engine| engine.create_account(&new_account("Eve"))).unwrap();
    assert_eq!(phone.with(now, |engine| engine.contacts()).unwrap().len(), 0);
    assert!(messages(&mut phone, conversation).is_empty());
    phone.with(now, |engine| engine.add_contact(&invitation, "Carol")).unwrap();
    let events = phone.with(now, |engine| engine.events(last, 100)).unwrap();
    assert!(events.iter().any(|event| matches!(event.event, Event::ContactAdded { .. })), "{events:?}");
}

#[test]
fn a_recovery_fails_whole_at_every_write_and_can_be_given_up() {
    let (mut world, ada, _, _) = acquainted();
    let account = ada.address.account;
    let code = recovery_seed(1, "Ada", world.now);
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(10, &ada);
    let now = world.now;
    let begin = |phone: &mut Phone| {
        with_every_crash(|write| {
            phone.store.fail_at_write(write);
            let begun = phone.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis));
            assert_eq!(begun.is_ok(), phone.with(now, |engine| engine.account_view()).unwrap().is_some());
            begun.is_ok()
        })
    };
    assert!(begin(&mut phone) > 3);
    phone.with(now, |engine| engine.abandon_takeover()).unwrap();
    assert!(phone.with(now, |engine| engine.account_view()).unwrap().is_none());
    assert_eq!(phone.store.len(Table::Prekey), 0);
    begin(&mut phone);
    let request = phone.with(now, |engine| engine.recovery_request()).unwrap();
    let writes = with_every_crash(|write| {
        phone.store.fail_at_write(write);
        let done = phone.with(now, |engine| engine.complete_takeover()).is_ok();
        let state = phone.with(now, |engine| engine.account_view()).unwrap().unwrap().state;
        assert_eq!(state, if done { AccountState::Active } else { AccountState::Recovering });
        done
    });
    assert!(writes >= 3, "{writes} writes");
    let recovered = parse(&request.key_set.0);
    assert_eq!(
        phone.with(now, |engine| engine.account_view()).unwrap().unwrap().key_set_counter,
        recovered.counter().get()
    );
    // Contacts' tokens stay good beside this device's own.
    world.mailboxes.insert(phone.mailbox, VecDeque::new());
    let needs = phone.with(now, |engine| engine.poll_needs()).unwrap();
    assert!(needs.iter().any(|need| matches!(need, Need::SetDeliveryTokens { keeps_others: true, .. })));
}

#[test]
fn a_server_shows_no_other_account_as_the_one_to_recover() {
    let (world, ada, bob, _) = acquainted();
    let code = recovery_seed(1, "Ada", world.now);
    let mut phone = blank(10, &ada);
    let theirs = world.key_sets[&bob.address.account].clone();
    let account = ada.address.account;
    let refused = phone.with(world.now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &theirs));
    assert!(matches!(refused.unwrap_err(), AccountError::OtherAccount));
    let refused = phone.with(world.now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, b"none"));
    assert_eq!(refused.unwrap_err().code(), "key_set_unknown_version");
    assert!(phone.with(world.now, |engine| engine.account_view()).unwrap().is_none());
}

#[test]
fn a_mailbox_that_is_gone_makes_a_contact_look_for_the_keys_of_now() {
    let (mut world, ada, mut bob, conversation) = acquainted();
    let account = ada.address.account;
    let code = recovery_seed(1, "Ada", world.now);
    let (mut phone, _) = recover(&mut world, &ada, &code, 10);
    // Bob has heard of nothing, and writes to the mailbox of the phone that is lost.
    let lost = world.send(&mut bob, conversation, text("to the lost phone"));
    let due = bob.with(world.now, |engine| engine.poll_outbox(16)).unwrap();
    for outgoing in due {
        bob.with(world.now, |engine| engine.handle_submitted(outgoing.number, SubmitStatus::Refused)).unwrap();
    }
    world.settle(&mut [&mut bob, &mut phone]);
    assert!(events(&mut bob).contains(&Event::AccountKeyChanged { account, how: Succession::Recovered }));
    // What was written for that phone goes to no other without a decision.
    assert!(texts(&mut phone, conversation).is_empty());
    let message = messages(&mut bob, conversation).into_iter().find(|message| message.id == lost).unwrap();
    assert!(matches!(message.state, MessageState::Failed { .. }), "{:?}", message.state);
}

#[test]
fn before_the_server_agrees_a_recovering_device_acts_for_nobody() {
    let (world, ada, _, _) = acquainted();
    let account = ada.address.account;
    let code = recovery_seed(1, "Ada", world.now);
    let basis = world.key_sets[&account].clone();
    let (mut phone, now) = (blank(10, &ada), world.now);
    phone.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis)).unwrap();
    let refused = [
        phone.with(now, |engine| engine.invitation().map(drop)),
        phone.with(now, |engine| engine.registration_request(None).map(drop)),
        phone.with(now, |engine| engine.handle_registered()),
        phone.with(now, |engine| engine.rotate_account_key()),
        phone.with(now, |engine| engine.replace_delivery_token(0)),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(AccountError::TakeoverUnderWay)), "{refused:?}");
    }
    // The answer to the recovery is lost, and the server shows its set as the account's: it is in force.
    let signed = phone.with(now, |engine| engine.recovery_request()).unwrap().key_set.0;
    let outcome = offer(&mut phone, now, account, &signed);
    assert!(matches!(outcome, KeySetOutcome::Accepted { counter } if counter.get() == 2), "{outcome:?}");
    assert_eq!(phone.with(now, |engine| engine.account_view()).unwrap().unwrap().state, AccountState::Active);
}
