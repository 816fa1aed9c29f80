//! The account key replaced while it is there.

use rcseal_credential::Succession;

use super::{acquainted, offer, parse, verification};
use crate::account::AccountError;
use crate::contact::Verification;
use crate::event::Event;
use crate::tests::crash::{crash_at_every_write, with_every_crash};
use crate::tests::linking::link;
use crate::tests::world::{World, events, text, texts};

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
fn no_second_account_key_is_drawn_before_the_fate_of_the_first_is_known() {
    let (mut world, mut ada, mut bob, _) = acquainted();
    let (now, account) = (world.now, ada.address.account);
    ada.with(now, |engine| engine.rotate_account_key()).unwrap();
    let signed = ada.with(now, |engine| engine.unpublished_key_set()).unwrap().unwrap();
    // The directory took it, and calls the second publication a conflict. Whoever tries again at once would draw over the account's key.
    world.record(&signed);
    world.key_sets.insert(account, signed);
    ada.with(now, |engine| engine.handle_publish_refused()).unwrap();
    let again = ada.with(now, |engine| engine.rotate_account_key()).unwrap_err();
    assert!(matches!(again, AccountError::ChangeUnderWay), "{again:?}");
    world.settle(&mut [&mut ada, &mut bob]);
    ada.with(now, |engine| engine.rotate_account_key()).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(verification(&mut bob, account), Verification::Changed);
}

#[test]
fn rotating_fails_whole_at_every_write() {
    let (mut world, mut ada, mut bob, conversation) = acquainted();
    let now = world.now;
    let writes = crash_at_every_write(&mut ada, now, |engine| engine.rotate_account_key());
    assert!(writes >= 1, "{writes} writes");
    let signed = ada.with(now, |engine| engine.unpublished_key_set()).unwrap().unwrap();
    world.record(&signed);
    world.key_sets.insert(ada.address.account, signed.clone());
    let writes = crash_at_every_write(&mut ada, now, |engine| engine.handle_published());
    assert!(writes > 3, "{writes} writes");
    let writes = with_every_crash(|write| {
        bob.store.fail_at_write(write);
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
