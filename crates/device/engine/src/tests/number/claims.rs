//! Claiming a number: from the code to both signatures, the watch, and letting go.

use rcseal_credential::mapping::{Change, Grounds, GroundsKind, SignedStatement, WAIT_MS};
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{ClaimState, ConfirmAnswer, Waiting};

use super::broker::Broker;
use super::{DAY_MS, enrolled, found, key, number, shown_by_evidence};
use crate::account::AccountError;
use crate::event::Event;
use crate::number::{BrokerCheck, Claimed, NumberError, NumberState, RENEW_MS};
use crate::tests::world::{World, events, text, texts};
use crate::{UnixMillis, need::Need};

#[test]
fn a_number_is_claimed_confirmed_watched_and_found() {
    let (mut world, mut ada, mut bob) = enrolled();
    assert_eq!(world.claim(&mut ada, &number(), Grounds::First), Claimed::Mapped);
    let states: Vec<_> = events(&mut ada)
        .into_iter()
        .filter_map(|event| match event {
            Event::NumberChanged { number, state } if number == key() => Some(state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [NumberState::CodeSent, NumberState::Mapped]);
    let own = ada.with(world.now, |engine| engine.own_numbers()).unwrap();
    assert_eq!((own.len(), own[0].state, own[0].sequence), (1, NumberState::Mapped, Some(1)));

    let there = found(&mut world, &mut bob);
    assert_eq!((there.account, there.is_contact, there.change), (ada.address.account, false, None));
    let account = bob.with(world.now, |engine| engine.add_contact_by_number(&number(), "Ada")).unwrap();
    let conversation = bob.with(world.now, |engine| engine.direct_conversation(account)).unwrap();
    assert_eq!(bob.with(world.now, |engine| engine.contact_source(account)).unwrap(), Some(key()));
    world.send(&mut bob, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut ada, conversation), ["hello"]);

    // A day later the watch has looked again, and everybody is content.
    world.now += DAY_MS + 1;
    world.settle(&mut [&mut ada, &mut bob]);
    let own = ada.with(world.now, |engine| engine.own_numbers()).unwrap();
    assert_eq!(own[0].watched_at, Some(UnixMillis(world.now)));
    assert!(shown_by_evidence(&mut ada).is_empty());
    assert!(ada.with(0, |engine| engine.broker_evidence()).unwrap().is_empty());
    assert!(bob.with(0, |engine| engine.broker_evidence()).unwrap().is_empty());
}

#[test]
fn the_broker_gets_a_delivery_token_of_its_own_that_the_server_knows() {
    let (mut world, mut ada, _) = enrolled();
    let view = ada.with(world.now, |engine| engine.broker_view()).unwrap().unwrap();
    assert!(view.is_token_known);
    let account = ada.address.account;
    let given = world.broker().enrolled[&account].delivery_token.0.clone();
    let given = rcseal_wire::token::DeliveryToken::parse(&given).unwrap();
    let own = ada.with(world.now, |engine| engine.delivery_token()).unwrap();
    assert_ne!(given.hash(), own.hash());
    assert_eq!(world.tokens[&account], [own.hash(), given.hash()]);
    // It stays valid when the account's own is replaced, and ends with the broker.
    ada.with(world.now, |engine| engine.replace_delivery_token(0)).unwrap();
    world.settle(&mut [&mut ada]);
    assert!(world.tokens[&account].contains(&given.hash()));
    ada.with(world.now, |engine| engine.forget_broker()).unwrap();
    world.settle(&mut [&mut ada]);
    assert!(!world.tokens[&account].contains(&given.hash()));
}

#[test]
fn a_repeated_confirmation_sends_the_same_statement() {
    let (mut world, mut ada, _) = enrolled();
    let first = world.sign_claim(&mut ada, &number());
    world.now += DAY_MS;
    assert_eq!(world.sign_claim(&mut ada, &number()), first);
    // A broker takes no statement that is older than a fortnight.
    world.now += 7 * DAY_MS;
    assert_ne!(world.sign_claim(&mut ada, &number()), first);
}

#[test]
fn a_statement_follows_the_mapping_that_the_broker_names() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    // Of somebody else's number a broker says nothing before the code is right.
    let started = rcseal_wire::api::broker::ClaimStarted {
        claim: "claim".to_owned(),
        expires_in_seconds: 300,
        resend_after_seconds: 60,
        current: None,
    };
    let first = bob.with(world.now, |engine| {
        engine.claim_number(&number())?;
        engine.handle_claim_started(&number(), &started)?;
        engine.confirm_request(&number(), "123456", None)
    });
    let first = SignedStatement::parse(&first.unwrap().1.statement.unwrap().0).unwrap();
    assert_eq!((first.statement().sequence, first.statement().previous), (1, None));
    let head = world.broker().head(&number()).unwrap();
    let verified =
        ConfirmAnswer { state: ClaimState::Verified, mapping: None, current: Some(head), pending_until_ms: None };
    let again = bob.with(world.now, |engine| {
        assert_eq!(engine.handle_confirmed(&number(), &verified)?, Claimed::Verified);
        engine.confirm_request(&number(), "123456", None)
    });
    let again = SignedStatement::parse(&again.unwrap().1.statement.unwrap().0).unwrap();
    assert_eq!((again.statement().sequence, again.statement().previous), (2, Some(head.hash)));
}

#[test]
fn a_number_that_somebody_has_goes_over_when_its_wait_has_passed() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    world.now += DAY_MS;
    let statement = world.sign_claim(&mut bob, &number());
    let (announced_at_ms, effective_at_ms) = (world.now, world.now + WAIT_MS);
    let pending = ConfirmAnswer {
        state: ClaimState::Pending,
        mapping: None,
        current: None,
        pending_until_ms: Some(effective_at_ms),
    };
    let claimed = bob.with(world.now, |engine| engine.handle_confirmed(&number(), &pending)).unwrap();
    assert_eq!(claimed, Claimed::Pending { until: UnixMillis(effective_at_ms) });
    // The holder's daily view tells of it.
    world.broker().contested = Some(Waiting { announced_at_ms: Some(announced_at_ms), effective_at_ms });
    world.settle(&mut [&mut ada]);
    let until = UnixMillis(effective_at_ms);
    assert!(events(&mut ada).contains(&Event::NumberContested { number: key(), until }));

    world.now = effective_at_ms + 1;
    let (now, broker) = (world.now, world.broker());
    let before = broker.newest(&number()).unwrap().0.clone();
    let made = broker.countersign(Some(&before), &statement, Grounds::Waited { announced_at_ms }, now);
    broker.chains.get_mut(number().as_str()).unwrap().push(made);
    broker.contested = None;
    world.settle(&mut [&mut ada, &mut bob]);
    let state = |phone: &mut crate::tests::world::Phone| phone.with(0, |engine| engine.own_numbers()).unwrap()[0].state;
    assert_eq!(state(&mut bob), NumberState::Mapped);
    // The holder was told and let the time pass: the number is lost, and the broker has done nothing wrong.
    assert_eq!(state(&mut ada), NumberState::Lost);
    assert!(ada.with(0, |engine| engine.broker_evidence()).unwrap().is_empty());
}

#[test]
fn a_released_number_goes_over_at_once() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    found(&mut world, &mut bob);
    let release = ada.with(world.now, |engine| {
        let release = engine.release_request(&number())?;
        engine.handle_released(&number())?;
        Ok::<_, NumberError>(release)
    });
    let release = SignedStatement::parse(&release.unwrap().statement.0).unwrap();
    let mut carl = world.phone(3, "Carl");
    world.enrol(&mut carl);
    assert_eq!(world.claim(&mut carl, &number(), Grounds::Released(release)), Claimed::Mapped);
    let change = Some(Change::Rebound { grounds: Some(GroundsKind::Released) });
    assert_eq!(found(&mut world, &mut bob).change, change);
    world.now += DAY_MS;
    world.settle(&mut [&mut ada, &mut bob, &mut carl]);
    assert!(ada.with(0, |engine| engine.broker_evidence()).unwrap().is_empty());
    // What is not held any more cannot be released.
    let again = ada.with(world.now, |engine| engine.release_request(&number())).unwrap_err();
    assert_eq!(again.code(), "number_state");
}

#[test]
fn a_mapping_that_ends_soon_is_announced_and_renewed() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    found(&mut world, &mut bob);
    let expires = ada.with(0, |engine| engine.own_numbers()).unwrap()[0].expires_at.unwrap();
    world.now = expires.0 - RENEW_MS + 1;
    world.settle(&mut [&mut ada]);
    assert!(events(&mut ada).contains(&Event::NumberExpiring { number: key(), at: expires }));
    assert_eq!(world.claim(&mut ada, &number(), Grounds::Same), Claimed::Mapped);
    assert_eq!(found(&mut world, &mut bob).change, Some(Change::Renewed));
}

#[test]
fn what_comes_back_must_hold_what_was_signed() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.sign_claim(&mut ada, &number());
    let others = world.sign_claim(&mut bob, &number());
    let now = world.now;
    let made = world.broker().countersign(None, &others, Grounds::First, now).0.as_bytes().to_vec();
    let taken = world.mapped(&mut ada, &number(), made).unwrap();
    assert_eq!(taken, Claimed::NotBelieved { finding: crate::number::BrokerFinding::Swapped });
    let nothing = ConfirmAnswer { state: ClaimState::Mapped, mapping: None, current: None, pending_until_ms: None };
    let taken = ada.with(now, |engine| engine.handle_confirmed(&number(), &nothing)).unwrap();
    assert_eq!(taken, Claimed::NotBelieved { finding: crate::number::BrokerFinding::MappingInvalid });
    let garbage = ConfirmAnswer { mapping: Some(Base64(vec![7; 99])), ..nothing };
    let taken = ada.with(now, |engine| engine.handle_confirmed(&number(), &garbage)).unwrap();
    assert_eq!(taken, Claimed::NotBelieved { finding: crate::number::BrokerFinding::MappingInvalid });
}

#[test]
fn a_refused_claim_says_why_and_a_refused_renewal_loses_nothing() {
    let (mut world, mut ada, _) = enrolled();
    world.sign_claim(&mut ada, &number());
    ada.with(world.now, |engine| engine.handle_claim_refused(&number(), "number_not_served")).unwrap();
    let own = ada.with(0, |engine| engine.own_numbers()).unwrap().remove(0);
    assert_eq!((own.state, own.refusal.as_deref()), (NumberState::Refused, Some("number_not_served")));
    world.claim(&mut ada, &number(), Grounds::First);
    world.sign_claim(&mut ada, &number());
    ada.with(world.now, |engine| engine.handle_claim_refused(&number(), "quota")).unwrap();
    assert_eq!(ada.with(0, |engine| engine.own_numbers()).unwrap()[0].state, NumberState::Mapped);
}

#[test]
fn without_a_broker_or_a_claim_there_is_nothing_to_do() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let code = |error: NumberError| error.code();
    let now = world.now;
    assert_eq!(code(ada.with(now, |engine| engine.claim_number(&number())).unwrap_err()), "broker_unknown");
    assert_eq!(code(ada.with(now, |engine| engine.look_up_number(&number())).unwrap_err()), "broker_unknown");
    world.enrol(&mut ada);
    let confirm = ada.with(now, |engine| engine.confirm_request(&number(), "1", None)).unwrap_err();
    assert_eq!(code(confirm), "number_unknown");
    let add = ada.with(now, |engine| engine.add_contact_by_number(&number(), "")).unwrap_err();
    assert_eq!(code(add), "number_not_found");
    assert_eq!(code(ada.with(now, |engine| engine.export_evidence(1)).unwrap_err()), "evidence_unknown");
    let other = ada.with(now, |engine| engine.handle_broker_info(&"https://b2.example".parse().unwrap(), &[9; 32]));
    assert!(matches!(other, Ok(BrokerCheck::OtherOrigin) | Err(NumberError::BrokerKey)));
}

#[test]
fn a_linked_device_signs_nothing_for_a_number() {
    let (world, mut ada, _) = enrolled();
    ada.with(world.now, |engine| {
        let mut account = engine.account()?;
        account.signer = None;
        engine.put_account(&account)?;
        Ok::<_, AccountError>(())
    })
    .unwrap();
    let refused = ada.with(world.now, |engine| engine.claim_number(&number())).unwrap_err();
    assert!(matches!(refused, NumberError::Account(AccountError::NotPrimary)), "{refused:?}");
}

#[test]
fn a_store_that_was_put_back_sees_that_it_is_behind_and_catches_up() {
    let (mut world, mut ada, _) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    let old = ada.store.clone();
    world.now += DAY_MS;
    world.claim(&mut ada, &number(), Grounds::Same);
    ada.store = old;
    events(&mut ada);
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    world.settle(&mut [&mut ada]);
    assert!(events(&mut ada).contains(&Event::NumberStateBehind { number: key() }));
    let own = ada.with(0, |engine| engine.own_numbers()).unwrap().remove(0);
    assert_eq!((own.state, own.sequence), (NumberState::Mapped, Some(2)));
    assert!(ada.with(0, |engine| engine.broker_evidence()).unwrap().is_empty());
}

#[test]
fn needs_of_numbers_name_the_broker() {
    let (mut world, mut ada, _) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    ada.with(world.now, |engine| engine.watch_numbers()).unwrap();
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    let asks = |need: &Need| match need {
        Need::LookUpNumber { origin, .. } | Need::ViewNumber { origin, .. } => *origin == Broker::origin(),
        _ => false,
    };
    assert_eq!(needs.iter().filter(|need| asks(need)).count(), 2);
    // A broker that is away is asked later.
    ada.with(world.now, |engine| {
        engine.handle_number_need_failed(crate::need::NeedKind::LookUp, &number())?;
        engine.handle_number_need_failed(crate::need::NeedKind::NumberView, &number())
    })
    .unwrap();
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(!needs.iter().any(asks));
}

#[test]
fn a_wait_that_the_holder_was_told_of_too_late_is_disputed() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    let announced_at_ms = world.now;
    world.now += WAIT_MS;
    let statement = world.sign_claim(&mut bob, &number());
    let effective_at_ms = world.now;
    world.broker().contested = Some(Waiting { announced_at_ms: Some(announced_at_ms), effective_at_ms });
    world.settle(&mut [&mut ada]);
    world.now += 1;
    let (now, broker) = (world.now, world.broker());
    let before = broker.newest(&number()).unwrap().0.clone();
    let made = broker.countersign(Some(&before), &statement, Grounds::Waited { announced_at_ms }, now);
    broker.chains.get_mut(number().as_str()).unwrap().push(made);
    ada.with(world.now, |engine| engine.watch_numbers()).unwrap();
    world.settle(&mut [&mut ada]);
    assert_eq!(shown_by_evidence(&mut ada), ["asserted"]);
    assert_eq!(ada.with(0, |engine| engine.own_numbers()).unwrap()[0].state, NumberState::Lost);
}

#[test]
fn a_wait_whose_end_is_dated_ahead_is_disputed_and_believed_by_nobody() {
    let (mut world, mut ada, mut bob) = enrolled();
    world.claim(&mut ada, &number(), Grounds::First);
    found(&mut world, &mut bob);
    let mut mallory = world.phone(3, "Mallory");
    world.enrol(&mut mallory);
    let statement = world.sign_claim(&mut mallory, &number());
    let (announced_at_ms, effective_at_ms) = (world.now, world.now + WAIT_MS);
    world.broker().contested = Some(Waiting { announced_at_ms: Some(announced_at_ms), effective_at_ms });
    ada.with(world.now, |engine| engine.watch_numbers()).unwrap();
    world.settle(&mut [&mut ada]);
    let broker = world.broker();
    let before = broker.newest(&number()).unwrap().0.clone();
    let made = broker.countersign(Some(&before), &statement, Grounds::Waited { announced_at_ms }, effective_at_ms);
    broker.chains.get_mut(number().as_str()).unwrap().push(made);
    assert_eq!(super::refused(&mut world, &mut bob).code, "mapping_times");
    ada.with(world.now, |engine| engine.watch_numbers()).unwrap();
    world.settle(&mut [&mut ada]);
    assert_eq!(shown_by_evidence(&mut ada), ["asserted"]);
}
