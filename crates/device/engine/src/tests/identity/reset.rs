//! An account begun again without any of its keys.

use rcseal_credential::Succession;

use super::{acquainted, blank, offer, parse, recovery_seed, rotate, take_over, verification};
use crate::UnixMillis;
use crate::contact::{KeySetOutcome, KeySetRefusal, Verification};
use crate::event::{Event, KeySetReason};
use crate::send::SendError;
use crate::tests::linking::link;
use crate::tests::world::{Phone, World, events, new_account, text, texts};

#[test]
fn a_reset_is_the_weakest_change_and_has_its_time() {
    let (mut world, ada, mut bob, conversation) = acquainted();
    let account = ada.address.account;
    let mut carol = world.phone(3, "Carol");
    let mut old = Phone { store: ada.store.clone(), ..blank(50, &ada) };
    let with_carol = world.introduce(&mut carol, &mut old);
    world.send(&mut carol, with_carol, text("hello"));
    world.settle(&mut [&mut old, &mut bob, &mut carol]);
    let basis = world.key_sets[&account].clone();
    let week = 7 * 24 * 3600 * 1000;
    let (now, due) = (world.now, world.now + week);
    let mut phone = blank(10, &ada);
    phone.with(now, |engine| engine.begin_reset(account, &new_account("Ada"), "a-ticket", &basis, due)).unwrap();
    let request = phone.with(now, |engine| engine.reset_request()).unwrap();
    assert_eq!(request.ticket, "a-ticket");
    assert_eq!(phone.with(now, |engine| engine.takeover_proof()).unwrap().reset_ticket.as_deref(), Some("a-ticket"));
    let signed = request.key_set.0.clone();
    // A server that hands it out early is not believed.
    events(&mut bob);
    let outcome = offer(&mut bob, now, account, &signed);
    assert!(
        matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::ResetTooEarly { not_before_ms }) if not_before_ms == due),
        "{outcome:?}"
    );
    assert_eq!(events(&mut bob), [Event::KeySetRefused { account, reason: KeySetReason::ResetTooEarly }]);
    assert_eq!(verification(&mut bob, account), Verification::Verified);
    world.now = due;
    for contact in [&mut bob, &mut carol] {
        offer(contact, due, account, &signed);
        assert!(events(contact).contains(&Event::AccountKeyChanged { account, how: Succession::Reset }));
        assert_eq!(verification(contact, account), Verification::Changed);
    }
    take_over(&mut world, &mut phone, request.key_set.0, request.device);
    for (contact, conversation) in [(&mut bob, conversation), (&mut carol, with_carol)] {
        let refused = contact.with(due, |engine| engine.send(conversation, text("you?"), None)).unwrap_err();
        assert!(matches!(refused, SendError::VerificationChanged), "{refused:?}");
    }
}

#[test]
fn a_device_gives_its_keys_up_for_no_reset_of_its_own_account() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let account = ada.address.account;
    let mut tablet = link(&mut world, &mut ada, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    // A server that has turned makes a reset by itself, and shows it to the account's devices.
    let mut server = blank(10, &ada);
    let genuine = world.key_sets[&account].clone();
    server.with(world.now, |engine| engine.begin_reset(account, &new_account("Ada"), "t", &genuine, 0)).unwrap();
    let reset = server.with(world.now, |engine| engine.reset_request()).unwrap().key_set.0;
    for device in [&mut ada, &mut tablet] {
        events(device);
        let outcome = offer(device, world.now, account, &reset);
        assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::OwnReset)), "{outcome:?}");
        let chain = [reset.clone()];
        let outcome = device.with(world.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
        assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::OwnReset)), "{outcome:?}");
        assert!(
            events(device)
                .iter()
                .all(|event| *event == Event::KeySetRefused { account, reason: KeySetReason::Unproven })
        );
    }
    // It still has the account key, and who was not deceived hears of it.
    rotate(&mut world, &mut ada, 1);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    bob.with(world.now, |engine| engine.mark_verified(account)).unwrap();
    world.send(&mut ada, conversation, text("still me"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "still me");
}

#[test]
fn a_reset_in_a_chain_has_its_time_too() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 1);
    let basis = world.key_sets[&account].clone();
    let due = world.now + 10 * 24 * 3600 * 1000;
    let mut phone = blank(10, &ada);
    phone.with(world.now, |engine| engine.begin_reset(account, &new_account("Ada"), "t", &basis, due)).unwrap();
    let signed = phone.with(world.now, |engine| engine.reset_request()).unwrap().key_set.0;
    assert!(matches!(offer(&mut bob, world.now, account, &signed), KeySetOutcome::Behind));
    let chain = vec![basis, signed];
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::ResetTooEarly { .. })), "{outcome:?}");
    let outcome = bob.with(due, |engine| engine.handle_key_sets(account, &chain)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().changed_how, Some(Succession::Reset));
}

#[test]
fn a_pending_reset_is_told_once_and_can_be_vetoed() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let effective_at = UnixMillis(world.now + 1_000);
    for _ in 0..3 {
        ada.with(world.now, |engine| engine.handle_reset_notice(Some(effective_at))).unwrap();
    }
    assert_eq!(events(&mut ada), [Event::ResetPending { effective_at }]);
    assert_eq!(ada.with(0, |engine| engine.account_view()).unwrap().unwrap().reset_at, Some(effective_at));
    ada.with(world.now, |engine| engine.veto_reset()).unwrap();
    world.serve(&mut ada);
    assert_eq!(world.vetoes, 1);
    assert_eq!(events(&mut ada), [Event::ResetCalledOff]);
    ada.with(world.now, |engine| engine.handle_reset_notice(None)).unwrap();
    assert_eq!(events(&mut ada), []);
    assert!(!world.serve(&mut ada), "the server is told once");
}

#[test]
fn a_reset_shows_no_code_that_no_key_set_commits_to() {
    let (world, ada, _, _) = acquainted();
    let (account, now) = (ada.address.account, world.now);
    let code = recovery_seed(1, "Ada", now);
    let mut basis = world.key_sets[&account].clone();
    let mut phone = blank(10, &ada);
    for seed in 11..=14 {
        phone = blank(seed, &ada);
        let started =
            phone.with(now, |engine| engine.begin_reset(account, &new_account("Ada"), "t", &basis, 0)).unwrap();
        let before = parse(&basis).recovery_commitments().to_vec();
        let signed = phone.with(now, |engine| engine.reset_request()).unwrap().key_set.0;
        assert_eq!(started.recovery_seed.is_some(), before.len() < 4);
        assert_eq!(parse(&signed).recovery_commitments().len(), 4.min(before.len() + 1));
        if started.recovery_seed.is_some() {
            basis = signed;
        }
    }
    // The list has room again: somebody took the account back. The keys that were on it before do not come back.
    let mut owner = blank(20, &ada);
    owner.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis)).unwrap();
    let mut moved = owner.with(now, |engine| engine.recovery_request()).unwrap().key_set.0;
    for seed in [21, 22] {
        let listed = parse(&moved).recovery_commitments().to_vec();
        assert!(listed.len() < 4);
        assert!(phone.with(now, |engine| engine.rebase_takeover(&moved, 0)).unwrap());
        let signed = phone.with(now, |engine| engine.reset_request()).unwrap().key_set.0;
        assert_eq!(parse(&signed).recovery_commitments(), listed);
        // And it moves once more.
        let mut other = blank(seed, &ada);
        other.with(now, |engine| engine.begin_reset(account, &new_account("Ada"), "t", &moved, 0)).unwrap();
        moved = other.with(now, |engine| engine.reset_request()).unwrap().key_set.0;
    }
}
