//! *Continue securely*: one token, one account, and the same case on both sides.

use rcseal_credential::mapping::Grounds;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::content::{Body, CaseId, CaseState, CaseStatus};
use rcseal_wire::id::ConversationId;

use super::world::{Phone, World, events, texts};
use crate::UnixMillis;
use crate::case::{CASE_LIFE_MS_MAX, CaseError, CaseProgress, CaseRole, NewCase};
use crate::conversation::direct_conversation_id;
use crate::event::Event;
use crate::policy::{DeliveryMode, FallbackPolicy, PolicyScope, Subject};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn number() -> PhoneNumber {
    "+15552010001".parse().unwrap()
}

fn new(world: &World, number: Option<PhoneNumber>) -> NewCase {
    NewCase {
        reference: "A-1042".to_owned(),
        number,
        expires_at: UnixMillis(world.now + DAY_MS),
        greeting: "How can we help with order 1042?".to_owned(),
    }
}

fn open(world: &World, shop: &mut Phone, new: &NewCase) -> (String, CaseId) {
    let link = shop.with(world.now, |engine| engine.open_case(new)).unwrap();
    (link.expose_web_text(&"https://shop.example".parse().unwrap()), CaseId::of(&link.token))
}

fn shop_and_ada() -> (World, Phone, Phone) {
    let mut world = World::new();
    let (shop, ada) = (world.phone(1, "Shop"), world.phone(2, "Ada"));
    (world, shop, ada)
}

fn follow(world: &mut World, shop: &mut Phone, app: &mut Phone, link: &str) -> ConversationId {
    let conversation = app.with(world.now, |engine| engine.continue_case(link)).unwrap();
    world.settle(&mut [shop, app]);
    conversation
}

fn progress(phone: &mut Phone, conversation: ConversationId) -> Vec<CaseProgress> {
    phone.with(0, |engine| engine.cases_of(conversation)).unwrap().iter().map(|view| view.progress).collect()
}

#[test]
fn a_case_goes_on_end_to_end_and_both_sides_call_it_alike() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let (link, case) = open(&world, &mut shop, &new(&world, None));
    let conversation = follow(&mut world, &mut shop, &mut ada, &link);
    for (phone, role) in [(&mut ada, CaseRole::Customer), (&mut shop, CaseRole::Business)] {
        let views = phone.with(0, |engine| engine.cases_of(conversation)).unwrap();
        let [view] = &views[..] else { panic!("{views:?}") };
        assert_eq!((view.case, view.role, view.progress), (case, role, CaseProgress::Open));
        assert_eq!((view.reference.as_str(), view.is_number_verified), ("A-1042", false));
        assert_eq!(texts(phone, conversation), ["How can we help with order 1042?"]);
    }
    let view = shop.with(world.now, |engine| engine.business_case(case)).unwrap();
    assert_eq!((view.account, view.refused), (Some(ada.address.account), 0));

    shop.with(world.now, |engine| engine.close_case(case)).unwrap();
    world.settle(&mut [&mut shop, &mut ada]);
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Closed]);
    assert_eq!(progress(&mut shop, conversation), [CaseProgress::Closed]);
}

#[test]
fn a_conversation_that_went_in_the_open_goes_on_end_to_end_with_its_case() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let conversation = world.acquaint(&mut ada, &mut shop);
    let now = world.now;
    let in_the_open = |phone: &mut Phone, peer| {
        phone
            .with(now, |engine| {
                engine.set_sms_way(true).unwrap();
                engine.set_contact_number(peer, Some(&number())).unwrap();
                engine.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade))?;
                let subject = Subject::Conversation(conversation);
                engine.give_consent(subject, DeliveryMode::Sms, UnixMillis(now + DAY_MS))?;
                engine.acknowledge_downgrade(conversation, DeliveryMode::Sms)
            })
            .unwrap();
    };
    // More than an SMS holds, so that trying it would fail.
    let greeting = "g".repeat(2_000);
    for is_the_apps in [false, true] {
        if is_the_apps {
            in_the_open(&mut ada, shop.address.account);
        } else {
            in_the_open(&mut shop, ada.address.account);
        }
        world.settle(&mut [&mut shop, &mut ada]);
        let (link, case) = open(&world, &mut shop, &NewCase { greeting: greeting.clone(), ..new(&world, None) });
        follow(&mut world, &mut shop, &mut ada, &link);
        for phone in [&mut ada, &mut shop] {
            let views = phone.with(0, |engine| engine.cases_of(conversation)).unwrap();
            let view = views.iter().find(|view| view.case == case).unwrap();
            assert_eq!(view.progress, CaseProgress::Open);
            assert_eq!(phone.with(now, |engine| engine.acknowledged_downgrade(conversation)).unwrap(), None);
            assert!(texts(phone, conversation).contains(&greeting));
            assert!(phone.with(now, |engine| engine.poll_sms_outbox(10)).unwrap().is_empty());
        }
    }
}

#[test]
fn a_token_is_one_accounts_and_a_replay_is_refused_and_reported() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let mut mallory = world.phone(3, "Mallory");
    let (link, case) = open(&world, &mut shop, &new(&world, None));
    let conversation = follow(&mut world, &mut shop, &mut ada, &link);
    events(&mut shop);
    let hers = follow(&mut world, &mut shop, &mut mallory, &link);
    assert_eq!(progress(&mut mallory, hers), [CaseProgress::Refused(CaseStatus::Used)]);
    let refused = mallory.with(0, |engine| engine.cases_of(hers)).unwrap().remove(0);
    assert_eq!(refused.reference, "", "who is refused hears nothing of the case");
    assert!(texts(&mut mallory, hers).is_empty());
    let account = mallory.address.account;
    assert!(events(&mut shop).contains(&Event::CaseReplayed { case, account }));
    let view = shop.with(world.now, |engine| engine.business_case(case)).unwrap();
    assert_eq!((view.account, view.refused), (Some(ada.address.account), 1));
    assert!(shop.with(0, |engine| engine.cases_of(hers)).unwrap().is_empty());
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Open]);
}

#[test]
fn the_same_account_may_ask_again() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let (link, case) = open(&world, &mut shop, &new(&world, None));
    follow(&mut world, &mut shop, &mut ada, &link);
    let conversation = follow(&mut world, &mut shop, &mut ada, &link);
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Open]);
    assert_eq!(shop.with(world.now, |engine| engine.business_case(case)).unwrap().refused, 0);
    assert_eq!(texts(&mut ada, conversation).len(), 1, "the greeting is said once");
}

#[test]
fn links_that_were_taken_back_or_are_too_late_open_nothing() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let (revoked, case) = open(&world, &mut shop, &new(&world, None));
    shop.with(world.now, |engine| engine.revoke_case(case)).unwrap();
    let conversation = follow(&mut world, &mut shop, &mut ada, &revoked);
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Refused(CaseStatus::Revoked)]);

    // The app's clock is a day behind: it takes the link, and the business does not.
    let (late, case) = open(&world, &mut shop, &new(&world, None));
    world.now += 1;
    ada.with(world.now, |engine| engine.continue_case(&late)).unwrap();
    world.now += DAY_MS;
    world.settle(&mut [&mut shop, &mut ada]);
    let views = ada.with(0, |engine| engine.cases_of(conversation)).unwrap();
    let view = views.iter().find(|view| view.case == case).unwrap();
    assert_eq!(view.progress, CaseProgress::Refused(CaseStatus::Expired));
    assert_eq!(shop.with(world.now, |engine| engine.business_case(case)).unwrap().progress, CaseProgress::Expired);
    let refused = ada.with(world.now, |engine| engine.continue_case(&late)).unwrap_err();
    assert_eq!(refused.code(), "continuation_expired");
}

#[test]
fn a_guessed_token_opens_nothing() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let invitation = shop.with(world.now, |engine| engine.invitation()).unwrap();
    let guess = rcseal_wire::continuation::Continuation {
        invitation,
        token: rcseal_wire::continuation::CaseToken::from_bytes([3; 16]),
        expires_at_ms: world.now + DAY_MS,
    };
    let conversation = follow(&mut world, &mut shop, &mut ada, &guess.expose_text());
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Refused(CaseStatus::Unknown)]);
    assert!(shop.with(0, |engine| engine.business_cases(None)).unwrap().is_empty());
}

#[test]
fn a_case_says_whether_its_account_has_the_number_it_was_begun_for() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let mut mallory = world.phone(3, "Mallory");
    for phone in [&mut shop, &mut ada, &mut mallory] {
        world.enrol(phone);
    }
    world.claim(&mut ada, &number(), Grounds::First);
    let (link, case) = open(&world, &mut shop, &new(&world, Some(number())));
    let (stolen, stolen_case) = open(&world, &mut shop, &new(&world, Some(number())));
    let conversation = follow(&mut world, &mut shop, &mut ada, &link);
    let is_verified = |phone: &mut Phone, conversation| {
        phone.with(0, |engine| engine.cases_of(conversation)).unwrap()[0].is_number_verified
    };
    assert!(is_verified(&mut ada, conversation) && is_verified(&mut shop, conversation));
    // Whoever read the card and was faster gets the case, and it says that they do not have the number.
    let hers = follow(&mut world, &mut shop, &mut mallory, &stolen);
    assert!(!is_verified(&mut mallory, hers));
    let now = world.now;
    let verified =
        |shop: &mut Phone, case| shop.with(now, |engine| engine.business_case(case)).unwrap().is_number_verified;
    assert!(verified(&mut shop, case) && !verified(&mut shop, stolen_case));
    // The number goes to somebody else: the case says so.
    world.claim(&mut mallory, &number(), Grounds::Ported);
    let answer = world.broker().answer(&number(), shop.address.account);
    shop.with(now, |engine| engine.handle_lookup(&number(), &answer, None)).unwrap();
    world.settle(&mut [&mut shop, &mut ada, &mut mallory]);
    assert!(!verified(&mut shop, case) && verified(&mut shop, stolen_case));
    assert!(!is_verified(&mut ada, conversation));
}

#[test]
fn a_state_that_nobody_asked_for_is_ignored() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let conversation = world.acquaint(&mut ada, &mut shop);
    let state = CaseState {
        case: CaseId::from_bytes([1; 16]),
        status: CaseStatus::Opened,
        reference: "B-1".to_owned(),
        number_verified: true,
    };
    let to = ada.address.account;
    shop.with(world.now, |engine| {
        let account = engine.account().unwrap();
        engine.send_notice(&account, to, conversation, Body::CaseState(state))
    })
    .unwrap();
    world.settle(&mut [&mut shop, &mut ada]);
    assert!(ada.with(0, |engine| engine.cases_of(conversation)).unwrap().is_empty());
    assert_eq!(conversation, direct_conversation_id(to, shop.address.account));
}

#[test]
fn cases_have_limits() {
    let (world, mut shop, _) = shop_and_ada();
    let try_open = |shop: &mut Phone, new: NewCase| shop.with(world.now, |engine| engine.open_case(&new)).map(drop);
    let base = new(&world, None);
    let long = NewCase { reference: "x".repeat(129), ..base.clone() };
    assert!(matches!(try_open(&mut shop, long), Err(CaseError::TooLong { .. })));
    let nameless = NewCase { reference: String::new(), ..base.clone() };
    assert!(matches!(try_open(&mut shop, nameless), Err(CaseError::TooLong { .. })));
    for expires_at in [world.now, world.now + CASE_LIFE_MS_MAX + 1] {
        let new = NewCase { expires_at: UnixMillis(expires_at), ..base.clone() };
        assert!(matches!(try_open(&mut shop, new), Err(CaseError::Expiry)));
    }
    let unknown = CaseId::from_bytes([7; 16]);
    let refused = shop.with(world.now, |engine| engine.revoke_case(unknown)).unwrap_err();
    assert_eq!(refused.code(), "case_unknown");
    let (_, case) = open(&world, &mut shop, &base);
    let refused = shop.with(world.now, |engine| engine.close_case(case)).unwrap_err();
    assert_eq!(refused.code(), "case_progress");
    // Links that ended long ago are forgotten.
    let later = world.now + DAY_MS + 61 * DAY_MS;
    shop.with(later, |engine| engine.keep_house()).unwrap();
    assert!(shop.with(later, |engine| engine.business_cases(None)).unwrap().is_empty());
}

#[test]
fn a_case_says_no_longer_that_its_account_has_the_number_than_the_mapping_holds() {
    for ends_by_time in [true, false] {
        let (mut world, mut shop, mut ada) = shop_and_ada();
        for phone in [&mut shop, &mut ada] {
            world.enrol(phone);
        }
        world.claim(&mut ada, &number(), Grounds::First);
        let (link, case) = open(&world, &mut shop, &new(&world, Some(number())));
        let conversation = follow(&mut world, &mut shop, &mut ada, &link);
        let is_verified =
            |shop: &mut Phone| shop.with(0, |engine| engine.business_case(case)).unwrap().is_number_verified;
        assert!(is_verified(&mut shop));
        if ends_by_time {
            world.now += 91 * DAY_MS;
            shop.with(world.now, |engine| engine.keep_house()).unwrap();
        } else {
            world.broker().lie(&number(), None, super::number::broker::Lie::Absent);
            let absent = world.broker().answer(&number(), shop.address.account);
            shop.with(world.now, |engine| engine.handle_lookup(&number(), &absent, None)).unwrap();
        }
        assert!(!is_verified(&mut shop), "ends by time: {ends_by_time}");
        world.settle(&mut [&mut shop, &mut ada]);
        let views = ada.with(0, |engine| engine.cases_of(conversation)).unwrap();
        assert!(!views[0].is_number_verified && views[0].progress == CaseProgress::Open);
    }
}

#[test]
fn a_link_that_has_ended_opens_nothing_whatever_the_clock_says_later() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let (link, case) = open(&world, &mut shop, &new(&world, None));
    let began = world.now;
    shop.with(began + 2 * DAY_MS, |engine| engine.keep_house()).unwrap();
    // The clocks of both go back.
    world.now = began;
    let conversation = follow(&mut world, &mut shop, &mut ada, &link);
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Refused(CaseStatus::Expired)]);
    assert_eq!(shop.with(began, |engine| engine.business_case(case)).unwrap().progress, CaseProgress::Expired);
}

#[test]
fn a_store_that_was_put_back_opens_no_case_by_a_link_of_before() {
    let (mut world, mut shop, mut ada) = shop_and_ada();
    let (link, _) = open(&world, &mut shop, &new(&world, None));
    shop.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    let conversation = follow(&mut world, &mut shop, &mut ada, &link);
    assert_eq!(progress(&mut ada, conversation), [CaseProgress::Refused(CaseStatus::Expired)]);
    // One that is made from then on does.
    let (link, _) = open(&world, &mut shop, &new(&world, None));
    follow(&mut world, &mut shop, &mut ada, &link);
    assert!(progress(&mut ada, conversation).contains(&CaseProgress::Open));
}
