//! Accounts with more than one device.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_wire::id::{Custody, LinkId, Platform};

use super::world::{Phone, World, events, messages, second_device, text, texts};
use crate::account::AccountError;
use crate::event::Event;
use crate::link::{LinkFailure, LinkingDevice};
use crate::message::MessageState;
use crate::store::memory::MemoryStore;
use crate::{Engine, UnixMillis};

/// Links a new device to the account of `primary`.
pub(super) fn link(world: &mut World, primary: &mut Phone, seed: u64) -> Phone {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut store = MemoryStore::new();
    let mut linking = LinkingDevice::begin(
        "https://relay.example".parse().unwrap(),
        LinkId::generate(&mut rng),
        Platform::Ios,
        Custody::User,
        &mut rng,
    );
    let request = linking.request().expose_text().parse().unwrap();
    let (approval, offer) = primary.with(world.now, |engine| engine.link_offer(&request)).unwrap();
    let reply = linking.handle_offer(&offer, &mut rng).unwrap();
    let approved = primary.with(world.now, |engine| engine.link_approve(&approval, &reply)).unwrap();
    world.serve(primary);
    let (upload, view) = store
        .run(|tx| {
            let mut engine = Engine::new(tx, UnixMillis(world.now), &mut rng);
            engine.link_complete(linking, &approved.welcome)?;
            engine.handle_registered()?;
            Ok::<_, LinkFailure>((engine.own_device_upload()?, engine.account_view()?.unwrap()))
        })
        .unwrap();
    world.devices.insert(view.address, upload);
    world.mailboxes.insert(view.mailbox, VecDeque::new());
    Phone { store, rng, mailbox: view.mailbox, address: view.address }
}

#[test]
fn a_linked_device_receives_and_sends_and_sees_what_the_other_sends() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("before"));
    world.settle(&mut [&mut ada, &mut bob]);
    let mut tablet = link(&mut world, &mut bob, 5);
    assert_eq!(tablet.address.device, second_device());
    assert!(!tablet.with(0, |engine| engine.account_view()).unwrap().unwrap().is_primary);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);

    world.send(&mut ada, conversation, text("to both"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut bob, conversation), ["before", "to both"]);
    assert_eq!(
        texts(&mut tablet, conversation),
        ["to both"],
        "what was sent before the device was linked is not re-encrypted to it"
    );

    world.send(&mut tablet, conversation, text("from the tablet"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut ada, conversation).last().unwrap(), "from the tablet");
    let synced = messages(&mut bob, conversation).pop().unwrap();
    assert!(synced.is_outgoing);
    assert_eq!(synced.sender, tablet.address);
    let contact = ada.with(0, |engine| engine.contact_view(bob.address.account)).unwrap();
    assert_eq!(contact.display_name, "Bob", "every device of an account introduces itself by the account's name");
    assert!(matches!(messages(&mut tablet, conversation).pop().unwrap().state, MessageState::Delivered));

    world.send(&mut bob, conversation, text("from the phone"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut tablet, conversation).last().unwrap(), "from the phone");
}

#[test]
fn a_removed_device_hears_nothing_more() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let mut tablet = link(&mut world, &mut bob, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("three"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert_eq!(texts(&mut bob, conversation).last().unwrap(), "three");
    assert_ne!(texts(&mut tablet, conversation).last().map(String::as_str), Some("three"));
    // Nor is it heard.
    world.send(&mut tablet, conversation, text("I am still here"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    assert!(!texts(&mut ada, conversation).contains(&"I am still here".to_owned()));
}

#[test]
fn a_removal_that_the_server_refuses_is_told_and_leaves_the_device() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let tablet = link(&mut world, &mut bob, 5);
    events(&mut bob);
    bob.with(world.now, |engine| engine.remove_device(tablet.address.device)).unwrap();
    // The server says that another key set is there, and shows the one that names the tablet.
    bob.with(world.now, |engine| engine.handle_publish_refused()).unwrap();
    assert_eq!(events(&mut bob), [Event::ChangeRefused]);
    world.serve(&mut bob);
    let devices = bob.with(0, |engine| engine.account_view()).unwrap().unwrap().devices;
    assert!(devices.iter().any(|device| device.number == tablet.address.device));
    bob.with(world.now, |engine| engine.handle_publish_refused()).unwrap();
    assert_eq!(events(&mut bob), [], "told once");
}

#[test]
fn the_primary_device_does_not_remove_itself() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let own = bob.with(world.now, |engine| engine.account_view()).unwrap().unwrap().address.device;
    let tablet = link(&mut world, &mut bob, 5);
    let error = bob.with(world.now, |engine| engine.remove_device(own)).unwrap_err();
    assert!(matches!(error, AccountError::PrimaryStays), "{error:?}");
    drop(tablet);
}

#[test]
fn only_who_saw_the_code_can_link() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let origin: rcseal_wire::origin::Origin = "https://relay.example".parse().unwrap();
    let mut linking = LinkingDevice::begin(origin, LinkId::generate(&mut rng), Platform::Ios, Custody::User, &mut rng);
    // A server that knows the rendezvous and the ephemeral key, but not the secret on the screen.
    let mut request = linking.request();
    request.secret = rcseal_crypto::secret::Secret::from_bytes([0; 32]);
    let (approval, offer) = bob.with(world.now, |engine| engine.link_offer(&request)).unwrap();
    assert!(matches!(linking.handle_offer(&offer, &mut rng), Err(LinkFailure::Message)));
    // And a stranger's reply does not pass for the new device's.
    let (_, offer) = bob.with(world.now, |engine| engine.link_offer(&linking.request())).unwrap();
    let reply = linking.handle_offer(&offer, &mut rng).unwrap();
    assert!(matches!(bob.with(world.now, |engine| engine.link_approve(&approval, &reply)), Err(LinkFailure::Message)));
}
