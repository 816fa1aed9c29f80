//! A store that fails at every possible place of a claim, a look-up and a change of hands: nobody sees two mappings of one place, and
//! whoever repeats a request gets on.

use std::collections::HashMap;

use rcseal_credential::mapping::{MappingHash, UnverifiedMapping};
use rcseal_store::conformance::FaultKind;
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{
    ClaimRequest, ClaimStarted, ClaimState, ConfirmAnswer, ConfirmRequest, LookupAnswer, LookupOutcome, LookupRequest,
    MappingHead, path,
};
use rcseal_wire::number::E164;

use crate::support::{Client, Person, Reply, World, number};

/// Every mapping that anybody was shown, by number and place.
#[derive(Default)]
struct Seen(HashMap<(String, u64), MappingHash>);

impl Seen {
    fn note(&mut self, mapping: &Base64) -> MappingHead {
        let mapping = UnverifiedMapping::parse(&mapping.0).unwrap();
        let place = (mapping.number().as_str().to_owned(), mapping.sequence());
        let before = self.0.insert(place, mapping.hash());
        assert!(before.is_none_or(|before| before == mapping.hash()), "a fork was shown");
        MappingHead { sequence: mapping.sequence(), hash: mapping.hash() }
    }
}

/// Whether a request failed because the store did, and may be repeated.
fn is_fault(reply: &Reply) -> bool {
    reply.status == 503 || reply.status == 500
}

/// Sends a request until it is answered otherwise than by a fault.
macro_rules! persist {
    ($call:expr) => {{
        let mut attempts = 0;
        loop {
            let reply = $call.await;
            attempts += 1;
            if !is_fault(&reply) {
                break reply;
            }
            assert!(attempts < 3, "repeating after one fault did not help: {reply:?}");
        }
    }};
}

async fn bind(
    world: &World,
    seen: &mut Seen,
    (person, client): (&Person, &mut Client),
    number: &E164,
    mut before: Option<MappingHead>,
) -> ConfirmAnswer {
    let started: ClaimStarted = loop {
        let reply = persist!(client.post(path::NUMBERS, &ClaimRequest { number: number.clone() }));
        if reply.status == 202 {
            break reply.json();
        }
        // A code may have been counted that was never sent.
        assert_eq!(reply.code(), "rate_limited");
        world.clock.advance_seconds(300);
    };
    for _ in 0..4 {
        let statement = person.bind(world, number, before);
        let request = ConfirmRequest {
            code: world.codes.newest(number),
            statement: Some(Base64(statement.as_bytes().to_vec())),
            release: None,
        };
        let reply = persist!(client.post(&path::confirm(&started.claim), &request));
        let answer: ConfirmAnswer = reply.json();
        if let Some(mapping) = &answer.mapping {
            seen.note(mapping);
        }
        match answer.state {
            ClaimState::Verified => before = answer.current,
            ClaimState::Mapped | ClaimState::Pending => return answer,
        }
    }
    panic!("the claim goes in circles");
}

async fn find(seen: &mut Seen, client: &mut Client, number: &E164) -> LookupAnswer {
    let answer: LookupAnswer =
        persist!(client.post(path::LOOKUPS, &LookupRequest { number: number.clone() })).expect(200).json();
    if let Some(mapping) = &answer.mapping {
        seen.note(mapping);
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_at_every_place_forks_nothing_and_loses_nothing() {
    let world = World::with(|config| {
        config.codes.per_account_day_max = 10_000;
        config.codes.per_block_hour_max = 1_000;
        config.codes.resend_after_seconds = vec![30; 10];
    })
    .await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let mut seen = Seen::default();
    let mut failed = 0;
    for kind in [FaultKind::Before, FaultKind::After] {
        for nth in 1.. {
            let number = number(u32::try_from(failed).unwrap());
            world.store.arm(nth, kind);
            let answer = bind(&world, &mut seen, (&alice, &mut at_alice), &number, None).await;
            let first = seen.note(&answer.mapping.unwrap());
            assert_eq!(find(&mut seen, &mut at_bob, &number).await.answer, LookupOutcome::Found);
            let answer = bind(&world, &mut seen, (&bob, &mut at_bob), &number, Some(first)).await;
            assert_eq!(answer.state, ClaimState::Pending);
            let found = find(&mut seen, &mut at_alice, &number).await;
            assert_eq!(found.invitation.unwrap().account, alice.account);
            let is_over = !world.store.has_failed();
            world.store.arm(0, kind);
            at_alice = alice.log_in(&world).await;
            at_bob = bob.log_in(&world).await;
            if is_over {
                break;
            }
            failed += 1;
        }
    }
    assert!(failed > 40, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_between_the_steps_of_a_claim_goes_on_where_it_was() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    let started = alice.claim(&mut client, &number).await;
    let code = world.codes.newest(&number);
    let world = world.restart().await;
    let mut client = alice.log_in(&world).await;
    let only_code = ConfirmRequest { code, statement: None, release: None };
    let answer: ConfirmAnswer = client.post(&path::confirm(&started.claim), &only_code).await.expect(200).json();
    assert_eq!(answer.state, ClaimState::Verified);
    let world = world.restart().await;
    let mut client = alice.log_in(&world).await;
    let statement = Some(Base64(alice.bind(&world, &number, None).as_bytes().to_vec()));
    let request = ConfirmRequest { code: String::new(), statement, release: None };
    let first: ConfirmAnswer = client.post(&path::confirm(&started.claim), &request).await.expect(200).json();
    let world = world.restart().await;
    let mut client = alice.log_in(&world).await;
    let again: ConfirmAnswer = client.post(&path::confirm(&started.claim), &request).await.expect(200).json();
    assert_eq!(first.mapping, again.mapping);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_claims_at_the_same_moment_make_one_mapping() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let number = number(1);
    let hers = alice.claim(&mut at_alice, &number).await;
    let her_code = world.codes.newest(&number);
    let his = bob.claim(&mut at_bob, &number).await;
    let his_code = world.codes.newest(&number);
    let request = |person: &Person, code: &str| ConfirmRequest {
        code: code.to_owned(),
        statement: Some(Base64(person.bind(&world, &number, None).as_bytes().to_vec())),
        release: None,
    };
    let (her_path, his_path) = (path::confirm(&hers.claim), path::confirm(&his.claim));
    let (her_request, his_request) = (request(&alice, &her_code), request(&bob, &his_code));
    let (a, b) = tokio::join!(at_alice.post(&her_path, &her_request), at_bob.post(&his_path, &his_request));
    let is_mapped = |reply: &Reply| reply.status == 200 && reply.json::<ConfirmAnswer>().state == ClaimState::Mapped;
    assert_eq!([&a, &b].into_iter().filter(|reply| is_mapped(reply)).count(), 1, "{a:?} {b:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_signing_key_is_refused() {
    let world = World::new().await;
    let (config, folder) = (world.config.clone(), world.folder.path().join("broker"));
    world.broker.shutdown().await;
    drop(world.store);
    std::fs::remove_file(folder.join(rcseal_broker::init::SIGNING_KEY_FILE)).unwrap();
    rcseal_broker::init::write_development_identity(&folder).unwrap();
    let error = rcseal_broker::Broker::start(config).await.err().unwrap();
    assert_eq!(error.code(), "signing_key.another");
}
