//! From a number to an account: what is answered, to whom, how often, and how it looks from outside.

use rcseal_credential::mapping::UnverifiedMapping;
use rcseal_wire::api::broker::{LOOKUP_ANSWER_LEN, LookupOutcome, LookupRequest, Visibility, path};

use crate::support::{DAY, Person, World, head, key_set, number};

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_number_is_found_by_somebody_else_and_verifies() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let number = number(1);
    let mapping = alice.bind_number(&world, &mut at_alice, &number, None).await;

    let answer = bob.look_up(&mut at_bob, &number).await;
    assert_eq!(answer.answer, LookupOutcome::Found);
    let key_set = key_set(&answer.key_set.unwrap());
    let found = UnverifiedMapping::parse(&answer.mapping.unwrap().0).unwrap();
    let found = found.verify(&world.broker.signing_key(), &key_set).unwrap();
    assert_eq!((found.hash(), found.account(), found.number()), (mapping.hash(), alice.account, &number));
    let invitation = answer.invitation.unwrap();
    assert_eq!((invitation.relay, invitation.account), (world.relay.origin().clone(), alice.account));
    assert_eq!(invitation.delivery_token.0, alice.delivery_token.expose());
    assert!(answer.proof.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_one_shape_and_one_size() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (_, mut at_bob) = Person::enrolled(&world).await;
    let (shown, hidden) = (number(1), number(2));
    alice.bind_number(&world, &mut at_alice, &shown, None).await;
    alice.bind_number(&world, &mut at_alice, &hidden, None).await;
    at_alice.put(&path::visibility(&hidden), &Visibility { discoverable: false }).await.expect(204);
    let expected = [
        (shown, LookupOutcome::Found),
        (hidden, LookupOutcome::Undiscoverable),
        (number(3), LookupOutcome::Absent),
        ("+33612345678".parse().unwrap(), LookupOutcome::Undiscoverable),
        ("+449098790879".parse().unwrap(), LookupOutcome::Undiscoverable),
        // Another spelling of the first one.
        ("+4407700900001".parse().unwrap(), LookupOutcome::Undiscoverable),
    ];
    let mut seen = Vec::new();
    for (number, outcome) in expected {
        let reply = at_bob.post(path::LOOKUPS, &LookupRequest { number }).await.expect(200);
        assert_eq!(reply.body.len(), LOOKUP_ANSWER_LEN);
        let answer: rcseal_wire::api::broker::LookupAnswer = reply.json();
        assert_eq!(answer.answer, outcome);
        let mut headers: Vec<_> =
            reply.headers.iter().filter(|(name, _)| *name != "date").map(|(n, v)| (n.clone(), v.clone())).collect();
        headers.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        seen.push(headers);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "the headers differ: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_looks_up_without_a_login() {
    let world = World::new().await;
    let mut client = world.client().await;
    let reply = client.post(path::LOOKUPS, &LookupRequest { number: number(1) }).await;
    assert_eq!(reply.code(), "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_looks_up_so_much_in_a_day_also_over_a_restart() {
    let world = World::with(|config| config.lookups.per_account_day_max = 3).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    for last in 1..=3 {
        bob.look_up(&mut at_bob, &number(last)).await;
    }
    let refused = at_bob.post(path::LOOKUPS, &LookupRequest { number: number(4) }).await;
    assert_eq!(refused.code(), "lookup_quota_exceeded");
    let world = world.restart().await;
    let mut at_bob = bob.log_in(&world).await;
    let refused = at_bob.post(path::LOOKUPS, &LookupRequest { number: number(4) }).await;
    assert_eq!(refused.code(), "lookup_quota_exceeded");
    world.clock.advance_seconds(DAY);
    let mut at_bob = bob.log_in(&world).await;
    bob.look_up(&mut at_bob, &number(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_numbers_in_a_row_is_stopped_and_counted() {
    let world = World::with(|config| config.lookups.in_vain_per_account_day_max = 4).await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    alice.bind_number(&world, &mut at_alice, &number(500), None).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    // What is found costs nothing of this quota.
    for _ in 0..6 {
        assert_eq!(bob.look_up(&mut at_bob, &number(500)).await.answer, LookupOutcome::Found);
    }
    let mut refused = None;
    // A look-up in vain is noted while its answer is on its way, so one or two more may pass.
    for last in 0..100 {
        let reply = at_bob.post(path::LOOKUPS, &LookupRequest { number: number(last) }).await;
        if reply.status == 429 {
            refused = Some((last, reply.code()));
            break;
        }
    }
    let (tried, code) = refused.unwrap();
    assert_eq!(code, "lookup_quota_exceeded");
    assert!(tried >= 4, "{tried} were tried");
    assert!(world.broker.metrics().contains("rcseal_broker_harvests_suspected_total 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_undiscoverable_until_its_quarantine_is_over() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (bob, _) = Person::enrolled(&world).await;
    let mapping = alice.bind_number(&world, &mut at_alice, &number(1), None).await;
    for (days, outcome) in [(89, LookupOutcome::Found), (1, LookupOutcome::Undiscoverable), (30, LookupOutcome::Absent)]
    {
        world.clock.advance_seconds(days * DAY);
        let mut at_bob = bob.log_in(&world).await;
        assert_eq!(bob.look_up(&mut at_bob, &number(1)).await.answer, outcome, "after {days} more days");
    }
    // Its holder brings it back with a new code, at any time before somebody else has it.
    let mut at_alice = alice.log_in(&world).await;
    alice.bind_number(&world, &mut at_alice, &number(1), Some(head(&mapping))).await;
    let mut at_bob = bob.log_in(&world).await;
    assert_eq!(bob.look_up(&mut at_bob, &number(1)).await.answer, LookupOutcome::Found);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_its_time() {
    let world = World::with(|config| config.lookups.answer_millis = 150).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let begun = std::time::Instant::now();
    bob.look_up(&mut at_bob, &number(1)).await;
    assert!(begun.elapsed() >= std::time::Duration::from_millis(150));
}
