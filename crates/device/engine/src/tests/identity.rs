//! Who an account is, over time: its key replaced, taken back with the recovery key, begun again without.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_credential::{
    AccountSigner, KeySetBuilder, KeySetError, RecoveryKey, Succession, UnverifiedKeySet, VerifiedKeySet,
};
use rcseal_crypto::secret::Secret;
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{AccountId, Custody, Platform};

use super::crash::with_every_crash;
use super::linking::link;
use super::world::{Phone, World, events, messages, second_device, text, texts};
use crate::account::{AccountError, AccountState, NewAccount};
use crate::contact::{KeySetOutcome, KeySetRefusal, Verification};
use crate::event::{Event, KeySetReason};
use crate::message::MessageState;
use crate::send::SendError;
use crate::store::memory::MemoryStore;
use crate::{Engine, UnixMillis};

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        origin: "https://relay.example".parse().unwrap(),
        platform: Platform::Ios,
        custody: Custody::User,
        display_name: name.to_owned(),
    }
}

/// A phone with nothing on it.
fn blank(seed: u64, like: &Phone) -> Phone {
    Phone {
        store: MemoryStore::new(),
        rng: ChaCha20Rng::seed_from_u64(seed),
        mailbox: like.mailbox,
        address: like.address,
    }
}

/// The recovery key that `World::phone` drew for a seed, by drawing it again.
fn recovery_seed(seed: u64, name: &str, now: u64) -> Secret<32> {
    let (mut store, mut rng) = (MemoryStore::new(), ChaCha20Rng::seed_from_u64(seed));
    store
        .run(|tx| {
            let new = NewAccount { platform: Platform::Android, ..new_account(name) };
            Engine::new(tx, UnixMillis(now), &mut rng).create_account(&new)
        })
        .unwrap()
        .recovery_seed
}

/// The server gives the account to the phone: its devices are this one.
fn take_over(world: &mut World, phone: &mut Phone, key_set: Vec<u8>, device: rcseal_wire::api::DeviceUpload) {
    phone.with(world.now, |engine| engine.complete_takeover()).unwrap();
    let view = phone.with(world.now, |engine| engine.account_view()).unwrap().unwrap();
    assert_eq!(view.state, AccountState::Active);
    (phone.mailbox, phone.address) = (view.mailbox, view.address);
    world.devices.retain(|address, _| address.account != view.address.account);
    world.devices.insert(view.address, device);
    world.mailboxes.insert(view.mailbox, VecDeque::new());
    world.record(&key_set);
    world.key_sets.insert(view.address.account, key_set);
}

/// Takes the account of `lost` back on a new phone.
fn recover(world: &mut World, lost: &Phone, code: &Secret<32>, seed: u64) -> (Phone, Secret<32>) {
    let account = lost.address.account;
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(seed, lost);
    let started =
        phone.with(world.now, |engine| engine.begin_recovery(account, &new_account("Ada"), code, &basis)).unwrap();
    let request = phone.with(world.now, |engine| engine.recovery_request()).unwrap();
    take_over(world, &mut phone, request.key_set.0, request.device);
    (phone, started.recovery_seed)
}

fn offer(phone: &mut Phone, now: u64, account: AccountId, bytes: &[u8]) -> KeySetOutcome {
    phone.with(now, |engine| engine.handle_key_set(account, bytes)).unwrap()
}

fn verification(phone: &mut Phone, account: AccountId) -> Verification {
    phone.with(0, |engine| engine.contact_view(account)).unwrap().verification
}

fn parse(bytes: &[u8]) -> VerifiedKeySet {
    UnverifiedKeySet::parse(bytes).unwrap().verify().unwrap()
}

/// Ada and Bob, who have written to each other; Bob has compared safety numbers with Ada.
fn acquainted() -> (World, Phone, Phone, rcseal_wire::id::ConversationId) {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut bob, &mut ada);
    world.send(&mut bob, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob]);
    bob.with(world.now, |engine| engine.mark_verified(ada.address.account)).unwrap();
    events(&mut bob);
    events(&mut ada);
    (world, ada, bob, conversation)
}

#[test]
fn a_rotated_account_key_reaches_contacts_and_linked_devices() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let mut tablet = link(&mut world, &mut ada, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    let account = ada.address.account;
    let before = parse(&world.key_sets[&account]);
    events(&mut bob);
    ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    let again = ada.with(world.now, |engine| engine.rotate_account_key()).unwrap_err();
    assert!(matches!(again, AccountError::ChangeUnderWay), "{again:?}");
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);

    let after = parse(&world.key_sets[&account]);
    assert_eq!(before.check_successor(&after), Ok(Succession::Migrated));
    assert!(events(&mut bob).contains(&Event::AccountKeyChanged { account, how: Succession::Migrated }));
    assert_eq!(verification(&mut bob, account), Verification::Changed);
    let changed = bob.with(0, |engine| engine.contact_view(account)).unwrap();
    assert_eq!(changed.changed_how, Some(Succession::Migrated));
    assert!(events(&mut tablet).contains(&Event::AccountKeyChanged { account, how: Succession::Migrated }));
    assert!(!events(&mut ada).contains(&Event::AccountKeyChanged { account, how: Succession::Migrated }));
    // The new key is in use: the next device is signed for with it, and all is as before.
    let mut laptop = link(&mut world, &mut ada, 6);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut laptop]);
    bob.with(world.now, |engine| engine.mark_verified(account)).unwrap();
    world.send(&mut bob, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet, &mut laptop]);
    for phone in [&mut ada, &mut tablet, &mut laptop] {
        assert_eq!(texts(phone, conversation).last().unwrap(), "three");
    }
}

#[test]
fn only_the_primary_device_rotates_the_account_key() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let mut tablet = link(&mut world, &mut ada, 5);
    let refused = tablet.with(world.now, |engine| engine.rotate_account_key()).unwrap_err();
    assert!(matches!(refused, AccountError::NotPrimary), "{refused:?}");
}

#[test]
fn a_crash_between_publication_and_storing_loses_no_account_key() {
    for case in 0..4 {
        let (mut world, mut ada, mut bob, _) = acquainted();
        let account = ada.address.account;
        ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
        let signed = ada.with(world.now, |engine| engine.unpublished_key_set()).unwrap().unwrap();
        // The directory took it. The answer is lost.
        world.record(&signed);
        world.key_sets.insert(account, signed.clone());
        let now = world.now;
        match case {
            // It is published again.
            0 => {}
            // It comes back as the account's own before it is published again.
            1 => {
                offer(&mut ada, now, account, &signed);
            }
            // The directory calls the second publication a conflict.
            2 => ada.with(now, |engine| engine.handle_publish_refused()).unwrap(),
            // And says so after it has come back as the account's own.
            _ => {
                offer(&mut ada, now, account, &signed);
                ada.with(now, |engine| engine.handle_publish_refused()).unwrap();
            }
        }
        world.settle(&mut [&mut ada, &mut bob]);
        let key_set =
            ada.with(now, |engine| engine.rotate_account_key().map(|()| engine.unpublished_key_set())).unwrap();
        let next = parse(&key_set.unwrap().unwrap());
        assert_eq!(parse(&signed).check_successor(&next), Ok(Succession::Migrated), "case {case}");
    }
}

#[test]
fn rotating_fails_whole_at_every_write() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let now = world.now;
    let writes = with_every_crash(|write| {
        if let Some(write) = write {
            ada.store.fail_at_write(write);
        }
        ada.with(now, |engine| engine.rotate_account_key()).is_ok()
    });
    assert!(writes >= 1, "{writes} writes");
    let signed = ada.with(now, |engine| engine.unpublished_key_set()).unwrap().unwrap();
    world.record(&signed);
    world.key_sets.insert(ada.address.account, signed.clone());
    let writes = with_every_crash(|write| {
        if let Some(write) = write {
            ada.store.fail_at_write(write);
        }
        ada.with(now, |engine| engine.handle_published()).is_ok()
    });
    assert!(writes > 3, "{writes} writes");
    let writes = with_every_crash(|write| {
        if let Some(write) = write {
            bob.store.fail_at_write(write);
        }
        let account = ada.address.account;
        let taken = bob.with(now, |engine| engine.handle_key_set(account, &signed));
        let state = verification(&mut bob, account);
        assert_eq!(state, if taken.is_ok() { Verification::Changed } else { Verification::Verified });
        taken.is_ok()
    });
    assert!(writes > 3, "{writes} writes");
    bob.with(now, |engine| engine.mark_verified(ada.address.account)).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    world.send(&mut ada, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "three");
}

/// Ada changes her account key `times` times while Bob is away.
fn rotate(world: &mut World, ada: &mut Phone, times: usize) {
    for _ in 0..times {
        ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
        world.serve(ada);
    }
}

#[test]
fn missed_migrations_are_made_up_for_link_by_link() {
    for page in [16, 1] {
        let (mut world, mut ada, mut bob, conversation) = acquainted();
        let account = ada.address.account;
        world.chain_len = Some(page);
        rotate(&mut world, &mut ada, 4);
        world.send(&mut ada, conversation, text("three"));
        let newest = world.key_sets[&account].clone();
        let outcome = offer(&mut bob, world.now, account, &newest);
        assert!(matches!(outcome, KeySetOutcome::Behind), "{outcome:?}");
        assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::KeySetRefused { .. })));
        world.settle(&mut [&mut ada, &mut bob]);
        assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, Some(5));
        assert_eq!(verification(&mut bob, account), Verification::Changed);
        assert!(events(&mut bob).contains(&Event::AccountKeyChanged { account, how: Succession::Migrated }));
        assert_eq!(texts(&mut bob, conversation).last().unwrap(), "three");
    }
}

#[test]
fn an_invitation_from_before_a_migration_still_leads_to_its_account() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut bob, &mut ada);
    rotate(&mut world, &mut ada, 2);
    world.send(&mut bob, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["one"]);
    assert_eq!(verification(&mut bob, ada.address.account), Verification::Unverified);
}

#[test]
fn an_invitation_leads_to_no_account_whose_chain_does_not_begin_with_it() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    world.introduce(&mut bob, &mut ada);
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 2);
    let chain = world.history[&account].clone();
    let outcome = offer(&mut bob, world.now, account, &chain[2]);
    assert!(matches!(outcome, KeySetOutcome::Behind), "{outcome:?}");
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain[1..])).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::NotPinned)), "{outcome:?}");
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, None);
}

#[test]
fn a_chain_that_does_not_hold_changes_nothing() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 3);
    let chain = world.history[&account].clone();
    let stranger = world.history[&bob.address.account].clone();
    // A set by somebody who has no right to the account: its own key, and a reset that is not yet due.
    let thief = AccountSigner::from_seed([9; 32]);
    let second = parse(&chain[1]);
    let forged = KeySetBuilder::successor(&second).sign_migration(&thief, &AccountSigner::from_seed([8; 32]));
    assert!(forged.is_err());
    let before = bob.with(0, |engine| engine.contact_view(account)).unwrap();
    let cases: [(Vec<Vec<u8>>, KeySetReason); 6] = [
        (Vec::new(), KeySetReason::Gap),
        (vec![chain[2].clone(), chain[3].clone()], KeySetReason::Gap),
        (vec![chain[1].clone(), chain[3].clone()], KeySetReason::Gap),
        (vec![chain[2].clone(), chain[1].clone()], KeySetReason::Gap),
        (vec![chain[1].clone(), stranger[0].clone()], KeySetReason::OtherAccount),
        (vec![chain[1].clone(), b"no key set".to_vec()], KeySetReason::Invalid),
    ];
    for (case, expected) in cases {
        events(&mut bob);
        let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &case)).unwrap();
        assert!(matches!(outcome, KeySetOutcome::Refused(_)), "{outcome:?}");
        assert_eq!(events(&mut bob), [Event::KeySetRefused { account, reason: expected }]);
        let now = bob.with(0, |engine| engine.contact_view(account)).unwrap();
        assert_eq!((now.key_set_counter, now.verification), (before.key_set_counter, Verification::Verified));
    }
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain[1..])).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { counter } if counter.get() == 4), "{outcome:?}");
}

#[test]
fn a_chain_longer_than_any_answer_is_taken_in_parts() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 70);
    let chain = world.history[&account][1..].to_vec();
    let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { counter } if counter.get() == 65), "{outcome:?}");
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, Some(71));
}

#[test]
fn a_chain_is_taken_in_whole_or_not_at_all() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let account = ada.address.account;
    rotate(&mut world, &mut ada, 3);
    let chain = world.history[&account][1..].to_vec();
    let now = world.now;
    let writes = with_every_crash(|write| {
        if let Some(write) = write {
            bob.store.fail_at_write(write);
        }
        let taken = bob.with(now, |engine| engine.handle_key_sets(account, &chain)).is_ok();
        let counter = bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter;
        assert_eq!(counter, Some(if taken { 4 } else { 1 }));
        taken
    });
    assert!(writes > 3, "{writes} writes");
}

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
    assert!(
        matches!(spent, AccountError::Build(rcseal_credential::BuildError::Refused(KeySetError::RecoveryKey))),
        "{spent:?}"
    );
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
    // The code that the user has written down stays the account's.
    assert_eq!(signed.recovery_commitments(), [RecoveryKey::from_seed(*started.recovery_seed.expose()).commitment()]);
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
fn a_recovery_fails_whole_at_every_write_and_can_be_given_up() {
    let (mut world, ada, _, _) = acquainted();
    let account = ada.address.account;
    let code = recovery_seed(1, "Ada", world.now);
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(10, &ada);
    let now = world.now;
    let begin = |phone: &mut Phone| {
        with_every_crash(|write| {
            if let Some(write) = write {
                phone.store.fail_at_write(write);
            }
            let begun = phone.with(now, |engine| engine.begin_recovery(account, &new_account("Ada"), &code, &basis));
            assert_eq!(begun.is_ok(), phone.with(now, |engine| engine.account_view()).unwrap().is_some());
            begun.is_ok()
        })
    };
    assert!(begin(&mut phone) > 3);
    phone.with(now, |engine| engine.abandon_takeover()).unwrap();
    assert!(phone.with(now, |engine| engine.account_view()).unwrap().is_none());
    assert_eq!(phone.store.len(crate::store::Table::Prekey), 0);
    begin(&mut phone);
    let request = phone.with(now, |engine| engine.recovery_request()).unwrap();
    let writes = with_every_crash(|write| {
        if let Some(write) = write {
            phone.store.fail_at_write(write);
        }
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
    assert!(needs.iter().any(|need| matches!(need, crate::need::Need::SetDeliveryTokens { keeps_others: true, .. })));
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

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]

    #[test]
    fn a_chain_of_any_bytes_changes_nothing(
        chain in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), 0..4),
        damage: usize,
        with: u8,
    ) {
        let mut world = World::new();
        let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
        world.introduce(&mut bob, &mut ada);
        world.settle(&mut [&mut bob]);
        let account = ada.address.account;
        rotate(&mut world, &mut ada, 1);
        let before = bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter;
        let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &chain)).unwrap();
        proptest::prop_assert!(matches!(outcome, KeySetOutcome::Refused(_)), "{outcome:?}");
        let mut genuine = world.history[&account].last().unwrap().clone();
        let at = damage % genuine.len();
        genuine[at] ^= with.max(1);
        let outcome = bob.with(world.now, |engine| engine.handle_key_sets(account, &[genuine])).unwrap();
        proptest::prop_assert!(matches!(outcome, KeySetOutcome::Refused(_)), "{outcome:?}");
        proptest::prop_assert_eq!(bob.with(0, |engine| engine.contact_view(account)).unwrap().key_set_counter, before);
    }
}
