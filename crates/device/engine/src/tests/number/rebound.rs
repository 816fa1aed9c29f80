//! A contact's number that another account has now.

use rcseal_credential::mapping::{Change, Grounds, GroundsKind};
use rcseal_rcs::number::PhoneNumber;

use super::{enrolled, found, key, number};
use crate::UnixMillis;
use crate::carrier::CarrierSetup;
use crate::event::Event;
use crate::number::LookupResult;
use crate::policy::{DeliveryMode, FallbackPolicy, PolicyScope, Subject};
use crate::tests::carrier::wide;
use crate::tests::world::{events, text, texts};

const PLAIN: DeliveryMode = DeliveryMode::CarrierReadable;

#[test]
fn a_contact_loses_a_number_that_was_rebound_with_all_that_was_agreed_for_it() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    found(&mut world, &mut bob);
    let account = bob.with(world.now, |engine| engine.add_contact_by_number(&number(), "Ada")).unwrap();
    let conversation = bob.with(world.now, |engine| engine.direct_conversation(account)).unwrap();
    world.send(&mut bob, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let now = world.now;
    let setup = CarrierSetup::new("+15552010003".parse().unwrap(), wide());
    bob.with(now, |engine| engine.set_carrier(Some(setup))).unwrap();
    let consent = bob
        .with(now, |engine| {
            let subject = Subject::Conversation(conversation);
            engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
            let consent = engine.give_consent(subject, PLAIN, UnixMillis(now + 3_600_000))?;
            engine.acknowledge_downgrade(conversation, PLAIN)?;
            Ok::<_, crate::policy::PolicyError>(consent)
        })
        .unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut bob);

    let mut carl = world.phone(3, "Carl");
    world.enrol(&mut carl);
    world.claim(&mut carl, &number(), Grounds::Ported);
    let grounds = Some(GroundsKind::Ported);
    assert_eq!(found(&mut world, &mut bob).change, Some(Change::Rebound { grounds }));
    let happened = events(&mut bob);
    let (from, to) = (account, carl.address.account);
    assert!(happened.contains(&Event::NumberRebound { number: key(), from, to, grounds }));
    assert!(happened.iter().any(|event| matches!(event, Event::ConversationRestored { .. })));
    assert_eq!(bob.with(now, |engine| engine.contact_number(account)).unwrap().number, None);
    assert!(bob.with(now, |engine| engine.consent(consent)).unwrap().unwrap().withdrawn_at.is_some());
    assert_eq!(bob.with(now, |engine| engine.acknowledged_downgrade(conversation)).unwrap(), None);
    // Who has it now is nobody's contact until the user says so, and the conversation is with whom it was.
    assert!(bob.with(now, |engine| engine.contact_view(to)).is_err());
    world.send(&mut bob, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob, &mut carl]);
    assert!(texts(&mut ada, conversation).contains(&"two".to_owned()));
    let added = bob.with(now, |engine| engine.add_contact_by_number(&number(), "Carl")).unwrap();
    assert_eq!(added, to);
    assert_eq!(bob.with(now, |engine| engine.contact_number(to)).unwrap().number, Some(number()));
}

#[test]
fn agreements_for_a_rebound_number_end_however_many_were_given_since() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    found(&mut world, &mut bob);
    let now = world.now;
    bob.with(now, |engine| engine.set_sms_way(true)).unwrap();
    let consent = |engine: &mut crate::Engine<'_>, number: &PhoneNumber| {
        engine.give_consent(Subject::Number(number.into()), DeliveryMode::Sms, UnixMillis(now + 3_600_000))
    };
    let given = bob.with(now, |engine| consent(engine, &number())).unwrap();
    bob.with(now, |engine| {
        (0..1_000).try_for_each(|last| consent(engine, &format!("+1555202{last:04}").parse().unwrap()).map(drop))
    })
    .unwrap();
    let mut carl = world.phone(3, "Carl");
    world.enrol(&mut carl);
    world.claim(&mut carl, &number(), Grounds::Ported);
    found(&mut world, &mut bob);
    assert!(bob.with(now, |engine| engine.consent(given)).unwrap().unwrap().withdrawn_at.is_some());
}

#[test]
fn a_number_that_the_user_gave_a_contact_is_compared_as_well() {
    let (mut world, mut ada, mut bob) = enrolled();
    let conversation = world.acquaint(&mut bob, &mut ada);
    let account = ada.address.account;
    bob.with(world.now, |engine| engine.set_contact_number(account, Some(&number()))).unwrap();
    let mut carl = world.phone(3, "Carl");
    world.enrol(&mut carl);
    world.claim(&mut carl, &number(), Grounds::First);
    events(&mut bob);
    assert_eq!(found(&mut world, &mut bob).change, Some(Change::Rebound { grounds: None }));
    let to = carl.address.account;
    assert!(events(&mut bob).contains(&Event::NumberRebound { number: key(), from: account, to, grounds: None }));
    let _ = conversation;
}

#[test]
fn a_known_contact_keeps_its_server_and_the_leave_it_gave() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.acquaint(&mut bob, &mut ada);
    world.claim(&mut ada, &number(), Grounds::First);
    // A broker that names another server for somebody who is known moves nobody.
    let enrolled = world.broker().enrolled.get_mut(&ada.address.account).unwrap();
    enrolled.relay = "https://elsewhere.example".parse().unwrap();
    found(&mut world, &mut bob);
    bob.with(world.now, |engine| engine.add_contact_by_number(&number(), "Ada")).unwrap();
    let view = bob.with(world.now, |engine| engine.contact_view(ada.address.account)).unwrap();
    assert_eq!(view.origin.as_str(), "https://relay.example");
}

/// A mapping under an account key that the account has replaced says nothing any more; that it was not renewed yet is nobody's misdeed.
#[test]
fn an_account_with_a_new_key_is_found_when_it_has_renewed() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.acquaint(&mut bob, &mut ada);
    world.claim(&mut ada, &number(), Grounds::First);
    ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    events(&mut ada);
    events(&mut bob);
    assert!(matches!(super::look_up(&mut world, &mut bob), LookupResult::Undiscoverable));
    assert!(super::findings(&mut bob).is_empty());
    // A release under the new key would not hold, and the holder is told to renew.
    let refused = ada.with(world.now, |engine| engine.release_request(&number())).unwrap_err();
    assert_eq!(refused.code(), "number_state");
    ada.with(world.now, |engine| engine.watch_numbers()).unwrap();
    world.settle(&mut [&mut ada, &mut bob]);
    assert!(events(&mut ada).iter().any(|event| matches!(event, Event::NumberExpiring { .. })));
    world.enrol(&mut ada);
    assert_eq!(world.claim(&mut ada, &number(), Grounds::Same), crate::number::Claimed::Mapped);
    assert_eq!(found(&mut world, &mut bob).account, ada.address.account);
    assert!(ada.with(world.now, |engine| engine.release_request(&number())).is_ok());
    assert!(ada.with(0, |engine| engine.broker_evidence()).unwrap().is_empty());
}
