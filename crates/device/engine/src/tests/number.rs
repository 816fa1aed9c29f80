//! Numbers: what a broker is believed, what it is not, and what becomes of a number that changes hands.

pub(super) mod broker;
mod claims;
mod gossip;
mod lies;
mod rebound;

use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::AccountId;

use self::broker::Broker;
use super::world::{Phone, World, events, text};
use crate::capability::NumberKey;
use crate::event::Event;
use crate::number::{BrokerFinding, FoundNumber, LookupRefusal, LookupResult};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn number() -> PhoneNumber {
    "+15552010001".parse().unwrap()
}

fn key() -> NumberKey {
    NumberKey::of(&number())
}

/// Ada and Bob at a broker.
fn enrolled() -> (World, Phone, Phone) {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    world.enrol(&mut ada);
    world.enrol(&mut bob);
    (world, ada, bob)
}

fn look_up(world: &mut World, phone: &mut Phone) -> LookupResult {
    let answer = world.broker().answer(&number(), phone.address.account);
    phone.with(world.now, |engine| engine.handle_lookup(&number(), &answer, None)).unwrap()
}

fn found(world: &mut World, phone: &mut Phone) -> FoundNumber {
    match look_up(world, phone) {
        LookupResult::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

/// Bob finds Ada by her number and writes to her, and she to him. Answers who Bob found.
fn meet(world: &mut World, ada: &mut Phone, bob: &mut Phone) -> AccountId {
    found(world, bob);
    let account = bob.with(world.now, |engine| engine.add_contact_by_number(&number(), "Ada")).unwrap();
    let conversation = bob.with(world.now, |engine| engine.direct_conversation(account)).unwrap();
    world.send(bob, conversation, text("hello"));
    world.settle(&mut [&mut *ada, &mut *bob]);
    world.send(ada, conversation, text("hello back"));
    world.settle(&mut [ada, bob]);
    account
}

fn refused(world: &mut World, phone: &mut Phone) -> LookupRefusal {
    match look_up(world, phone) {
        LookupResult::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// What the app was told of the broker: findings, and whose number they are about.
fn findings(phone: &mut Phone) -> Vec<(BrokerFinding, Option<AccountId>)> {
    let told = |event| match event {
        Event::BrokerFound { account, finding, .. } => Some((finding, account)),
        _ => None,
    };
    events(phone).into_iter().filter_map(told).collect()
}

/// Checks every piece of evidence as a third party would, with the broker's key alone.
fn shown_by_evidence(phone: &mut Phone) -> Vec<&'static str> {
    let views = phone.with(0, |engine| engine.broker_evidence()).unwrap();
    views
        .iter()
        .filter_map(|view| {
            let (key, bytes) = phone.with(0, |engine| engine.export_evidence(view.id)).ok()?;
            let key = rcseal_crypto::ed25519::VerifyingKey::from_bytes(key.as_bytes()).unwrap();
            assert_eq!(key, Broker::new().key.verifying_key());
            let found = rcseal_credential::mapping::Evidence::parse(&bytes).unwrap().check(&key).unwrap();
            assert_eq!(view.shows, Some(found));
            Some(found.as_str())
        })
        .collect()
}
