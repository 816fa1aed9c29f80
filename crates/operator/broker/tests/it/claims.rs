//! One-time codes: sent, shown, guessed, replayed, harvested, and to numbers that cost.

use rcseal_credential::mapping::{Action, GroundsKind, MAPPING_LEN_MAX};
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{ClaimRequest, ClaimStarted, ClaimState, ConfirmAnswer, ConfirmRequest, path};
use rcseal_wire::problem::Problem;

use crate::support::{DAY, Person, World, head, number, statement};

fn with_code(code: &str) -> ConfirmRequest {
    ConfirmRequest { code: code.to_owned(), statement: None, release: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_and_a_statement_make_a_mapping() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    let started = alice.claim(&mut client, &number).await;
    assert_eq!((started.expires_in_seconds, started.resend_after_seconds), (600, 30));
    let reply = alice.confirm(&world, &mut client, (&started.claim, &number), None).await.expect(200);
    let answer: ConfirmAnswer = reply.json();
    assert_eq!(answer.state, ClaimState::Mapped);
    let bytes = answer.mapping.unwrap();
    assert!(bytes.0.len() < MAPPING_LEN_MAX);
    let mapping = alice.verify(&world, &bytes);
    assert_eq!((mapping.sequence(), mapping.grounds().kind()), (1, GroundsKind::First));
    assert_eq!(mapping.expires_at_ms(), world.now_ms() + 90 * DAY * 1000);
    let view = alice.view(&mut client, &number).await;
    assert_eq!(view.mapping.unwrap(), bytes);
    assert!(view.discoverable && !view.released && view.waiting.is_none() && view.claimed_by_another.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_is_the_same() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    let started = alice.claim(&mut client, &number).await;
    let statement = Base64(alice.bind(&world, &number, None).as_bytes().to_vec());
    let request = ConfirmRequest { statement: Some(statement), ..with_code(&world.codes.newest(&number)) };
    let first: ConfirmAnswer = client.post(&path::confirm(&started.claim), &request).await.expect(200).json();
    world.clock.advance_seconds(5);
    let again: ConfirmAnswer = client.post(&path::confirm(&started.claim), &request).await.expect(200).json();
    assert_eq!(first.mapping, again.mapping);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_one_mapping_and_not_replayed() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let number = number(1);
    let started = alice.claim(&mut client, &number).await;
    let reply = alice.confirm(&world, &mut client, (&started.claim, &number), None).await;
    let mapping = alice.verify(&world, &reply.json::<ConfirmAnswer>().mapping.unwrap());
    let another = alice.confirm(&world, &mut client, (&started.claim, &number), Some(head(&mapping))).await;
    assert_eq!(another.code(), "claim_gone", "the claim was used");
    let stolen = bob.confirm(&world, &mut at_bob, (&started.claim, &number), None).await;
    assert_eq!(stolen.code(), "claim_gone", "another account's claim");
    assert_eq!(at_bob.post(&path::confirm("nonsense"), &with_code("1")).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_end_a_claim_also_over_a_restart_and_a_new_code() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    let started = alice.claim(&mut client, &number).await;
    for _ in 0..3 {
        let reply = client.post(&path::confirm(&started.claim), &with_code(&world.codes.wrong(&number))).await;
        assert_eq!(reply.code(), "code_refused");
    }
    let world = world.restart().await;
    world.clock.advance_seconds(30);
    let mut client = alice.log_in(&world).await;
    assert_eq!(alice.claim(&mut client, &number).await.claim, started.claim, "another code for the same claim");
    for _ in 0..2 {
        let reply = client.post(&path::confirm(&started.claim), &with_code(&world.codes.wrong(&number))).await;
        assert_eq!(reply.code(), "code_refused");
    }
    let right = client.post(&path::confirm(&started.claim), &with_code(&world.codes.newest(&number))).await;
    assert_eq!(right.code(), "claim_gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_accounts_together_guess_no_more_often() {
    let world = World::with(|config| {
        config.codes.wrong_per_number_day_max = 6;
        config.codes.per_number_day_max = 100;
    })
    .await;
    let number = number(1);
    let mut refused = 0;
    for _ in 0..3 {
        let (mallory, mut client) = Person::enrolled(&world).await;
        let started = mallory.claim(&mut client, &number).await;
        while client.post(&path::confirm(&started.claim), &with_code(&world.codes.wrong(&number))).await.code()
            == "code_refused"
        {
            refused += 1;
        }
    }
    // Six are counted, and each further claim ends at its first wrong code.
    assert!((6..=8).contains(&refused), "{refused} guesses were answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_expires() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    let started = alice.claim(&mut client, &number).await;
    world.clock.advance_seconds(600);
    let reply = client.post(&path::confirm(&started.claim), &with_code(&world.codes.newest(&number))).await;
    assert_eq!(reply.code(), "claim_gone");
    assert_eq!(world.broker.sweep().await.unwrap().claims, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_sent_with_pauses_and_so_many_in_a_day() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    let request = ClaimRequest { number: number.clone() };
    let started: ClaimStarted = client.post(path::NUMBERS, &request).await.expect(202).json();
    let early = client.post(path::NUMBERS, &request).await;
    assert_eq!(early.json::<Problem>().retry_after_seconds, Some(30));
    assert_eq!(early.code(), "rate_limited");
    for (pause, next) in [(30, 120), (120, 300)] {
        world.clock.advance_seconds(pause);
        let mut again = alice.log_in(&world).await;
        let again: ClaimStarted = again.post(path::NUMBERS, &request).await.expect(202).json();
        assert_eq!((again.claim.as_str(), again.resend_after_seconds), (started.claim.as_str(), next));
    }
    world.clock.advance_seconds(300);
    let mut client = alice.log_in(&world).await;
    assert_eq!(client.post(path::NUMBERS, &request).await.code(), "rate_limited", "three codes per claim");
    // Claims that begin anew add two more, and then the number has had its five of this day.
    for _ in 0..2 {
        world.clock.advance_seconds(700);
        let mut client = alice.log_in(&world).await;
        client.post(path::NUMBERS, &request).await.expect(202);
    }
    world.clock.advance_seconds(700);
    let (_, mut other) = Person::enrolled(&world).await;
    assert_eq!(other.post(path::NUMBERS, &request).await.code(), "rate_limited");
    assert_eq!(world.codes.count(&number), 5);
    world.clock.advance_seconds(DAY);
    let mut client = alice.log_in(&world).await;
    client.post(path::NUMBERS, &request).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_ask_for_codes_keep_no_holder_from_renewing() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let mapping = alice.bind_number(&world, &mut at_alice, &number(1), None).await;
    let request = ClaimRequest { number: number(1) };
    let mut refused = Vec::new();
    for _ in 0..6 {
        let (_, mut client) = Person::enrolled(&world).await;
        refused.push(client.post(path::NUMBERS, &request).await.status);
    }
    // The holder's first claim was of a number that nobody had.
    assert_eq!(refused, [202, 202, 202, 202, 429, 429]);
    alice.bind_number(&world, &mut at_alice, &number(1), Some(head(&mapping))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_in_a_row_are_not_paid_for() {
    let world = World::with(|config| {
        config.codes.per_block_hour_max = 4;
        config.codes.per_account_day_max = 100;
    })
    .await;
    let mut sent = 0;
    for last in 0..10 {
        let (_, mut client) = Person::enrolled(&world).await;
        let reply = client.post(path::NUMBERS, &ClaimRequest { number: number(last) }).await;
        sent += usize::from(reply.status == 202);
    }
    assert_eq!((sent, world.codes.total()), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_and_one_address_ask_for_so_many_codes() {
    let world = World::with(|config| config.codes.per_account_day_max = 2).await;
    let (_, mut client) = Person::enrolled(&world).await;
    for last in 0..2 {
        client.post(path::NUMBERS, &ClaimRequest { number: number(last) }).await.expect(202);
    }
    assert_eq!(client.post(path::NUMBERS, &ClaimRequest { number: number(3) }).await.code(), "rate_limited");
    let world = World::with(|config| config.codes.per_address_day_max = 2).await;
    let mut refused = Vec::new();
    for last in 0..3 {
        let (_, mut client) = Person::enrolled(&world).await;
        refused.push(client.post(path::NUMBERS, &ClaimRequest { number: number(last) }).await.status);
    }
    assert_eq!(refused, [202, 202, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn premium_numbers_landlines_and_other_countries_get_no_code() {
    let world = World::new().await;
    let (_, mut client) = Person::enrolled(&world).await;
    for text in ["+449098790879", "+448431234567", "+442079460018", "+447011234567", "+33612345678", "+4407700900123"] {
        let request = ClaimRequest { number: text.parse().unwrap() };
        assert_eq!(client.post(path::NUMBERS, &request).await.code(), "number_not_served", "{text}");
    }
    let world = World::with(|config| config.numbers.served_of_any_kind.clear()).await;
    let (_, mut client) = Person::enrolled(&world).await;
    let reply = client.post(path::NUMBERS, &ClaimRequest { number: number(1) }).await;
    assert_eq!(reply.code(), "number_not_served", "no mobile number by the plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_claim_does_not_say_whether_somebody_has_the_number() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (_, mut at_bob) = Person::enrolled(&world).await;
    let taken = number(1);
    let mapping = alice.bind_number(&world, &mut at_alice, &taken, None).await;
    let mut answers = Vec::new();
    for number in [taken.clone(), number(2)] {
        let reply = at_bob.post(path::NUMBERS, &ClaimRequest { number }).await.expect(202);
        let started: ClaimStarted = reply.json();
        answers.push((reply.body.len(), started.expires_in_seconds, started.resend_after_seconds, started.current));
    }
    assert_eq!(answers[0], answers[1]);
    // Its holder is told.
    let own = alice.claim(&mut at_alice, &taken).await;
    assert_eq!(own.current, Some(head(&mapping)));
    let nobodys = at_bob.get(&path::number(&number(2))).await.code();
    assert_eq!((at_bob.get(&path::number(&taken)).await.code(), nobodys), ("not_found".into(), "not_found".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_receives_at_a_number_hears_where_its_chain_is_and_nobody_else() {
    let world = World::new().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let number = number(1);
    let mapping = alice.bind_number(&world, &mut at_alice, &number, None).await;
    let started = bob.claim(&mut at_bob, &number).await;
    // He does not know yet that somebody had it before.
    let reply = bob.confirm(&world, &mut at_bob, (&started.claim, &number), None).await.expect(200);
    let answer: ConfirmAnswer = reply.json();
    assert_eq!((answer.state, answer.current), (ClaimState::Verified, Some(head(&mapping))));
    assert!(answer.mapping.is_none());
    // The claim stays verified, so the code need not be typed again.
    let statement = Base64(bob.bind(&world, &number, answer.current).as_bytes().to_vec());
    let request = ConfirmRequest { statement: Some(statement), ..with_code("") };
    let answer: ConfirmAnswer = at_bob.post(&path::confirm(&started.claim), &request).await.expect(202).json();
    assert_eq!(answer.state, ClaimState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_down_is_said_to_be_and_the_number_is_not_lost() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    let number = number(1);
    *world.codes.is_down.lock().unwrap() = true;
    let reply = client.post(path::NUMBERS, &ClaimRequest { number: number.clone() }).await;
    assert_eq!(reply.code(), "code_not_sent");
    *world.codes.is_down.lock().unwrap() = false;
    world.clock.advance_seconds(30);
    alice.bind_number(&world, &mut client, &number, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_must_be_about_this_claim_and_signed_by_the_newest_key_set() {
    let world = World::new().await;
    let (mut alice, mut client) = Person::enrolled(&world).await;
    let (bob, _) = Person::enrolled(&world).await;
    let number_ = number(1);
    let started = alice.claim(&mut client, &number_).await;
    let statements = [
        ("another number", statement(&alice, &world, Action::Bind, &number(2), None)),
        ("another account", statement(&bob, &world, Action::Bind, &number_, None)),
    ];
    for (what, statement) in statements {
        let statement = Some(Base64(statement.as_bytes().to_vec()));
        let request = ConfirmRequest { statement, ..with_code(&world.codes.newest(&number_)) };
        assert_eq!(client.post(&path::confirm(&started.claim), &request).await.code(), "statement_invalid", "{what}");
    }
    let garbage = ConfirmRequest { statement: Some(Base64(vec![1, 2, 3])), ..with_code("") };
    assert_eq!(client.post(&path::confirm(&started.claim), &garbage).await.code(), "statement_invalid");
    let mut forged = alice.bind(&world, &number_, None).as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = ConfirmRequest { statement: Some(Base64(forged)), ..with_code("") };
    assert_eq!(client.post(&path::confirm(&started.claim), &forged).await.code(), "statement_invalid");
    // A key set that is the newest no more: the relay is asked now.
    let old = alice.key_set.clone();
    alice.publish_next(&world, false).await;
    let newest = std::mem::replace(&mut alice.key_set, old);
    let stale = alice.confirm(&world, &mut client, (&started.claim, &number_), None).await;
    assert_eq!(stale.code(), "statement_invalid");
    alice.key_set = newest;
    alice.confirm(&world, &mut client, (&started.claim, &number_), None).await.expect(200);
}
