//! A number changes hands: renewed, released, waited for, vetoed, recycled, ported.

use http::Method;
use rcseal_broker::notice::{NoticeFailure, NoticeTaken};
use rcseal_credential::mapping::{Change, GroundsKind, VerifiedMapping, check_succession};
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{
    ClaimState, ConfirmAnswer, ConfirmRequest, LookupOutcome, NoticeKind, NumbersView, ReleaseRequest, path,
};

use crate::support::{Client, DAY, Person, World, head, number};

/// Alice has number 1; Bob has enrolled.
struct Story {
    world: World,
    alice: Person,
    bob: Person,
    first: VerifiedMapping,
}

impl Story {
    async fn new() -> Self {
        let world = World::new().await;
        let (alice, mut at_alice) = Person::enrolled(&world).await;
        let (bob, _) = Person::enrolled(&world).await;
        let first = alice.bind_number(&world, &mut at_alice, &number(1), None).await;
        Self { world, alice, bob, first }
    }

    /// Bob shows that he receives at number 1.
    async fn bob_claims(&self) -> (Client, ConfirmAnswer) {
        let mut at_bob = self.bob.log_in(&self.world).await;
        let answer = self.bob.try_bind(&self.world, &mut at_bob, &number(1), Some(head(&self.first))).await;
        (at_bob, answer)
    }

    async fn pass_days(&self, days: u64) {
        self.world.clock.advance_seconds(days * DAY);
        self.world.broker.sweep().await.unwrap();
    }

    async fn holder(&self) -> String {
        let mut at_bob = self.bob.log_in(&self.world).await;
        let found = self.bob.look_up(&mut at_bob, &number(1)).await;
        assert_eq!(found.answer, LookupOutcome::Found);
        let account = found.invitation.unwrap().account;
        if account == self.alice.account { "alice".to_owned() } else { "bob".to_owned() }
    }

    async fn bobs_mapping(&self) -> VerifiedMapping {
        let mut at_bob = self.bob.log_in(&self.world).await;
        let view = self.bob.view(&mut at_bob, &number(1)).await;
        self.bob.verify(&self.world, &view.mapping.unwrap())
    }

    async fn release_request(&self) -> ReleaseRequest {
        let release = self.alice.release(&self.world, &number(1), head(&self.first));
        ReleaseRequest { statement: Base64(release.as_bytes().to_vec()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_follows_and_moves_the_end() {
    let story = Story::new().await;
    let Story { world, alice, first, .. } = &story;
    world.clock.advance_seconds(60 * DAY);
    let mut client = alice.log_in(world).await;
    let second = alice.bind_number(world, &mut client, &number(1), Some(head(first))).await;
    assert_eq!(check_succession(first, &second), Ok(Change::Renewed));
    assert_eq!(second.expires_at_ms(), world.now_ms() + 90 * DAY * 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_reminded_once_before_its_mapping_expires() {
    let story = Story::new().await;
    story.pass_days(75).await;
    assert_eq!(story.world.notices.of(story.alice.account), []);
    for _ in 0..3 {
        story.pass_days(1).await;
    }
    assert_eq!(story.world.notices.of(story.alice.account), [NoticeKind::Expiring]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_number_changes_hands_after_seven_days_with_daily_notices() {
    let story = Story::new().await;
    let (_, answer) = story.bob_claims().await;
    assert_eq!(answer.state, ClaimState::Pending);
    assert_eq!(answer.pending_until_ms, Some(story.world.now_ms() + 7 * DAY * 1000));
    assert_eq!(story.world.notices.of(story.alice.account), [NoticeKind::ClaimedByAnother], "at once");
    for _ in 0..6 {
        story.pass_days(1).await;
    }
    assert_eq!(story.world.notices.of(story.alice.account).len(), 7);
    assert_eq!(story.holder().await, "alice");
    story.pass_days(1).await;
    assert_eq!(story.holder().await, "bob");
    assert_eq!(story.world.notices.of(story.alice.account).last(), Some(&NoticeKind::Rebound));
    let second = story.bobs_mapping().await;
    assert_eq!(
        check_succession(&story.first, &second),
        Ok(Change::Rebound { grounds: Some(GroundsKind::Waited) }),
        "contacts see that it changed"
    );
    let mut at_alice = story.alice.log_in(&story.world).await;
    assert_eq!(at_alice.get(&path::number(&number(1))).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_the_wait_and_strangers_do_not() {
    let story = Story::new().await;
    let (mut at_bob, _) = story.bob_claims().await;
    let mut at_alice = story.alice.log_in(&story.world).await;
    let hers = story.alice.view(&mut at_alice, &number(1)).await;
    let his = story.bob.view(&mut at_bob, &number(1)).await;
    assert!(hers.mapping.is_some() && hers.waiting.is_none());
    assert_eq!(hers.claimed_by_another.unwrap().announced_at_ms, Some(story.world.now_ms()));
    assert!(his.mapping.is_none() && his.claimed_by_another.is_none());
    assert_eq!(his.waiting, hers.claimed_by_another);
    let numbers: NumbersView = at_bob.get(path::NUMBERS).await.expect(200).json();
    assert_eq!(numbers.numbers.len(), 1);
    let (_, mut at_carol) = Person::enrolled(&story.world).await;
    assert_eq!(at_carol.get(&path::number(&number(1))).await.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_veto_keeps_the_number_and_only_its_holder_has_one() {
    let story = Story::new().await;
    let (mut at_bob, _) = story.bob_claims().await;
    assert_eq!(at_bob.post(&path::veto(&number(1)), &()).await.code(), "not_found");
    let mut at_alice = story.alice.log_in(&story.world).await;
    for _ in 0..2 {
        at_alice.post(&path::veto(&number(1)), &()).await.expect(204);
    }
    assert_eq!(story.world.notices.of(story.bob.account), [NoticeKind::ClaimEnded]);
    for _ in 0..8 {
        story.pass_days(1).await;
    }
    assert_eq!(story.holder().await, "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_by_the_holder_ends_the_wait() {
    let story = Story::new().await;
    story.bob_claims().await;
    story.pass_days(3).await;
    let mut at_alice = story.alice.log_in(&story.world).await;
    story.alice.bind_number(&story.world, &mut at_alice, &number(1), Some(head(&story.first))).await;
    assert_eq!(story.world.notices.of(story.bob.account), [NoticeKind::ClaimEnded]);
    story.pass_days(8).await;
    assert_eq!(story.holder().await, "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_put_into_the_holders_mailbox_by_the_relays_own_api() {
    let world = World::with_real_notices().await;
    let (alice, mut at_alice) = Person::enrolled(&world).await;
    let (bob, mut at_bob) = Person::enrolled(&world).await;
    let first = alice.bind_number(&world, &mut at_alice, &number(1), None).await;
    let stored = "rcseal_messages_enqueued_total{outcome=\"Accepted\"}";
    assert!(!world.relay.metrics().contains(stored));
    let answer = bob.try_bind(&world, &mut at_bob, &number(1), Some(head(&first))).await;
    assert_eq!(answer.state, ClaimState::Pending);
    assert!(world.relay.metrics().contains(&format!("{stored} 1")), "{}", world.relay.metrics());
    let view = alice.view(&mut at_alice, &number(1)).await;
    assert_eq!(view.claimed_by_another.unwrap().announced_at_ms, Some(world.now_ms()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_does_not_begin_before_the_holder_could_be_told() {
    let story = Story::new().await;
    *story.world.notices.answer.lock().unwrap() = Some(Err(NoticeFailure { code: "relay_unreachable" }));
    story.bob_claims().await;
    for _ in 0..5 {
        story.pass_days(1).await;
    }
    *story.world.notices.answer.lock().unwrap() = None;
    story.pass_days(1).await;
    assert_eq!(story.world.notices.of(story.alice.account), [NoticeKind::ClaimedByAnother]);
    story.pass_days(6).await;
    assert_eq!(story.holder().await, "alice", "twelve days after the claim, six after the notice");
    story.pass_days(1).await;
    assert_eq!(story.holder().await, "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_has_waited_too_long_is_dropped_and_said_to_be() {
    let story = Story::new().await;
    *story.world.notices.answer.lock().unwrap() = Some(Err(NoticeFailure { code: "relay_unreachable" }));
    story.bob_claims().await;
    story.pass_days(10).await;
    *story.world.notices.answer.lock().unwrap() = None;
    story.pass_days(1).await;
    // Seven days later the statement is eighteen days old, and no reader would take it.
    story.pass_days(7).await;
    assert_eq!(story.holder().await, "alice");
    assert_eq!(story.world.notices.of(story.bob.account), [NoticeKind::ClaimEnded]);
    let (_, answer) = story.bob_claims().await;
    assert_eq!(answer.state, ClaimState::Pending, "he can ask again");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_brokers_leave_away_keeps_no_number_by_that() {
    let story = Story::new().await;
    *story.world.notices.answer.lock().unwrap() = Some(Ok(NoticeTaken::Refused));
    story.bob_claims().await;
    for _ in 0..7 {
        story.pass_days(1).await;
    }
    assert_eq!(story.holder().await, "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_number_goes_to_who_claims_it_next_at_once() {
    let story = Story::new().await;
    let mut at_alice = story.alice.log_in(&story.world).await;
    for _ in 0..2 {
        at_alice.json(Method::DELETE, &path::number(&number(1)), &story.release_request().await).await.expect(204);
    }
    let mut at_bob = story.bob.log_in(&story.world).await;
    assert_eq!(story.bob.look_up(&mut at_bob, &number(1)).await.answer, LookupOutcome::Absent);
    let (_, answer) = story.bob_claims().await;
    assert_eq!(answer.state, ClaimState::Mapped);
    let second = story.bob.verify(&story.world, &answer.mapping.unwrap());
    assert_eq!(check_succession(&story.first, &second), Ok(Change::Rebound { grounds: Some(GroundsKind::Released) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_ends_somebodys_wait_in_their_favour() {
    let story = Story::new().await;
    story.bob_claims().await;
    let mut at_alice = story.alice.log_in(&story.world).await;
    at_alice.json(Method::DELETE, &path::number(&number(1)), &story.release_request().await).await.expect(204);
    assert_eq!(story.holder().await, "bob");
    assert_eq!(story.bobs_mapping().await.grounds().kind(), GroundsKind::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_handed_over_serves_as_well_and_a_forged_one_does_not() {
    let story = Story::new().await;
    let mut at_bob = story.bob.log_in(&story.world).await;
    let started = story.bob.claim(&mut at_bob, &number(1)).await;
    let statement = story.bob.bind(&story.world, &number(1), Some(head(&story.first)));
    let request = |release: Vec<u8>| ConfirmRequest {
        code: story.world.codes.newest(&number(1)),
        statement: Some(Base64(statement.as_bytes().to_vec())),
        release: Some(Base64(release)),
    };
    let real = story.release_request().await.statement.0;
    let mut forged = real.clone();
    *forged.last_mut().unwrap() ^= 1;
    let own = story.bob.release(&story.world, &number(1), head(&story.first));
    for (what, release) in [("forged", forged), ("his own", own.as_bytes().to_vec()), ("garbage", vec![1])] {
        let reply = at_bob.post(&path::confirm(&started.claim), &request(release)).await;
        assert_eq!(reply.code(), "release_invalid", "{what}");
    }
    let answer: ConfirmAnswer = at_bob.post(&path::confirm(&started.claim), &request(real)).await.expect(200).json();
    assert_eq!(answer.state, ClaimState::Mapped);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_up_somebody_elses_number_or_by_an_old_release() {
    let story = Story::new().await;
    let mut at_bob = story.bob.log_in(&story.world).await;
    let release = story.release_request().await;
    assert_eq!(at_bob.json(Method::DELETE, &path::number(&number(1)), &release).await.code(), "not_found");
    let mut at_alice = story.alice.log_in(&story.world).await;
    let second = story.alice.bind_number(&story.world, &mut at_alice, &number(1), Some(head(&story.first))).await;
    assert_eq!(
        at_alice.json(Method::DELETE, &path::number(&number(1)), &release).await.code(),
        "release_invalid",
        "of the first"
    );
    let bound = story.alice.bind(&story.world, &number(1), Some(head(&second)));
    let not_a_release = ReleaseRequest { statement: Base64(bound.as_bytes().to_vec()) };
    assert_eq!(
        at_alice.json(Method::DELETE, &path::number(&number(1)), &not_a_release).await.code(),
        "release_invalid"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_given_up_can_be_taken_again_by_its_holder() {
    let story = Story::new().await;
    let mut at_alice = story.alice.log_in(&story.world).await;
    at_alice.json(Method::DELETE, &path::number(&number(1)), &story.release_request().await).await.expect(204);
    let second = story.alice.bind_number(&story.world, &mut at_alice, &number(1), Some(head(&story.first))).await;
    assert_eq!(second.grounds().kind(), GroundsKind::Same);
    assert_eq!(story.holder().await, "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recycled_number_is_free_after_its_quarantine_and_not_before() {
    let story = Story::new().await;
    story.pass_days(100).await;
    let (_, answer) = story.bob_claims().await;
    assert_eq!(answer.state, ClaimState::Pending, "expired, and in quarantine");
    let mut at_alice = story.alice.log_in(&story.world).await;
    at_alice.post(&path::veto(&number(1)), &()).await.expect(204);
    story.pass_days(20).await;
    let (_, answer) = story.bob_claims().await;
    assert_eq!(answer.state, ClaimState::Mapped);
    let second = story.bob.verify(&story.world, &answer.mapping.unwrap());
    assert_eq!(check_succession(&story.first, &second), Ok(Change::Rebound { grounds: Some(GroundsKind::Recycled) }));
    assert_eq!(story.holder().await, "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ported_number_counts_no_more_and_goes_to_who_claims_it() {
    let story = Story::new().await;
    let storage = story.world.storage();
    rcseal_broker::number_ported(&storage, &number(1), "carrier's list of 3 March").await.unwrap();
    assert_eq!(story.world.notices.of(story.alice.account), [NoticeKind::Ported]);
    let mut at_bob = story.bob.log_in(&story.world).await;
    assert_eq!(story.bob.look_up(&mut at_bob, &number(1)).await.answer, LookupOutcome::Undiscoverable);
    let (_, answer) = story.bob_claims().await;
    assert_eq!(answer.state, ClaimState::Mapped);
    assert_eq!(story.bobs_mapping().await.grounds().kind(), GroundsKind::Ported);
    let audit = rcseal_broker::audit(&storage).await.unwrap();
    assert_eq!(audit.len(), 1);
    assert!(audit[0].contains("number_ported +447700900001") && audit[0].contains("carrier's list"), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_ends_somebodys_wait_in_their_favour() {
    let story = Story::new().await;
    story.bob_claims().await;
    rcseal_broker::number_ported(&story.world.storage(), &number(1), "told").await.unwrap();
    assert_eq!(story.holder().await, "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_receive_at_a_number_the_later_one_waits() {
    let story = Story::new().await;
    story.bob_claims().await;
    story.pass_days(3).await;
    let (carol, mut at_carol) = Person::enrolled(&story.world).await;
    let answer = carol.try_bind(&story.world, &mut at_carol, &number(1), Some(head(&story.first))).await;
    assert_eq!(answer.state, ClaimState::Pending);
    assert_eq!(answer.pending_until_ms, Some(story.world.now_ms() + 7 * DAY * 1000), "from the start");
    let mut at_bob = story.bob.log_in(&story.world).await;
    assert_eq!(at_bob.get(&path::number(&number(1))).await.code(), "not_found");
    assert_eq!(story.world.notices.of(story.bob.account), [NoticeKind::ClaimEnded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_changed_its_key_meanwhile_gets_nothing_by_an_old_statement() {
    let mut story = Story::new().await;
    story.bob_claims().await;
    story.pass_days(3).await;
    story.bob.publish_next(&story.world, true).await;
    story.bob.enrol(&story.world).await;
    story.pass_days(4).await;
    assert_eq!(story.holder().await, "alice");
    assert_eq!(story.world.notices.of(story.bob.account), [NoticeKind::ClaimEnded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_survives_restarts() {
    let Story { world, alice, bob, first } = Story::new().await;
    let story = Story { world, alice, bob, first };
    story.bob_claims().await;
    let Story { world, alice, bob, first } = story;
    let story = Story { world: world.restart().await, alice, bob, first };
    story.pass_days(4).await;
    let Story { world, alice, bob, first } = story;
    let story = Story { world: world.restart().await, alice, bob, first };
    story.pass_days(3).await;
    assert_eq!(story.holder().await, "bob");
}
