//! RCS for Business against its fake.

use rcseal_carrier::business::fake::rbm::Race;
use rcseal_carrier::business::fake::{Disorder, Trouble};
use rcseal_carrier::business::{
    AgentMessage, BusinessProvider, Channel, Content, Feature, InboundContent, ProviderEvent, ProviderFailure, Reach,
    RevokeOutcome, Signal, Suggestion, continuation,
};
use std::time::Duration;

use super::{ALICE, BOB, id, number, rbm, rbm_client, read, text, what};

#[tokio::test]
async fn a_message_is_taken_delivered_and_read() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    provider.send(&text(1, ALICE, "Hello", None)).await.unwrap();
    fake.reads(ALICE);
    let events = read(&provider, fake.take_webhooks(), fake.now_ms());
    let id = id(1);
    let expected =
        [ProviderEvent::Delivered { id, channel: Channel::Rcs }, ProviderEvent::Read { id, channel: Channel::Rcs }];
    assert_eq!(what(&events), expected);
    assert_eq!(fake.messages()[0].body["contentMessage"]["text"], "Hello");
}

#[tokio::test]
async fn no_rcs_and_no_launch_are_told_by_404_and_missing_features_by_400() {
    let (fake, provider) = rbm().await;
    assert_eq!(provider.send(&text(1, BOB, "Hello", None)).await, Err(ProviderFailure::NotReachable));
    assert_eq!(provider.capabilities(&number(BOB)).await, Ok(Reach::NotRcs));
    fake.has_plain_rcs(ALICE);
    let reach = provider.capabilities(&number(ALICE)).await;
    assert_eq!(reach, Ok(Reach::Rcs { features: vec![Feature::Revocation] }));
    let card = Content::Card { title: "Ticket".into(), body: String::new(), suggestions: Vec::new() };
    let card = AgentMessage::new(id(2), number(ALICE), card, None).unwrap();
    assert_eq!(provider.send(&card).await, Err(ProviderFailure::Unsupported));
    assert_eq!(fake.requests(), 4, "none of it is tried again");
}

#[tokio::test]
async fn what_is_temporary_is_tried_again_under_the_same_id() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    fake.trouble(&[Trouble::Status(429, None), Trouble::Status(503, Some(0)), Trouble::AnswerLost]);
    provider.send(&text(1, ALICE, "Hello", None)).await.unwrap();
    assert_eq!((fake.requests(), fake.messages().len()), (4, 1), "carried out once, though the answer was lost");
    assert_eq!(fake.take_webhooks().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_not_forgotten_when_later_attempts_say_less() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    let busy = Trouble::Status(429, None);
    fake.trouble(&[Trouble::AnswerLost, busy, busy, busy]);
    let failure = provider.send(&text(1, ALICE, "Hello", None)).await.unwrap_err();
    assert_eq!(failure, ProviderFailure::Unanswered);
    assert!(failure.may_have_arrived());
    fake.trouble(&[busy, busy, busy, Trouble::Status(429, Some(90))]);
    let failure = provider.send(&text(2, ALICE, "Hello", None)).await.unwrap_err();
    assert_eq!(failure, ProviderFailure::Busy { retry_after: Some(90) });
    assert!(failure.is_temporary() && !failure.may_have_arrived());
}

#[tokio::test]
async fn silence_is_no_answer_and_nobody_there_is_no_doubt() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    fake.trouble(&[Trouble::Silence(1500); 4]);
    assert_eq!(provider.send(&text(1, ALICE, "Hello", None)).await, Err(ProviderFailure::Unanswered));
    let url = fake.url();
    drop(fake);
    let gone = rbm_client(&url).send(&text(2, ALICE, "Hello", None)).await;
    assert!(matches!(gone, Err(ProviderFailure::Unreachable | ProviderFailure::Unanswered)), "{gone:?}");
}

#[tokio::test]
async fn a_token_that_is_not_taken_ends_in_unauthorized() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    fake.changes_token("another");
    assert_eq!(provider.send(&text(1, ALICE, "Hello", None)).await, Err(ProviderFailure::Unauthorized));
    assert_eq!(fake.requests(), 2, "the source is asked for a new token once");
}

#[tokio::test]
async fn somebody_offline_gets_it_later_unless_it_is_taken_back() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, false);
    provider.send(&text(1, ALICE, "Late", None)).await.unwrap();
    provider.send(&text(2, ALICE, "Revoked", None)).await.unwrap();
    assert!(fake.take_webhooks().is_empty());
    assert_eq!(provider.revoke(&number(ALICE), id(2)).await, RevokeOutcome::Confirmed);
    fake.comes_online(ALICE);
    let events = read(&provider, fake.take_webhooks(), fake.now_ms());
    assert_eq!(what(&events), [ProviderEvent::Delivered { id: id(1), channel: Channel::Rcs }]);
    assert_eq!(provider.revoke(&number(ALICE), id(1)).await, RevokeOutcome::Refused, "it was delivered");
    fake.trouble(&[Trouble::Status(500, None); 4]);
    assert_eq!(provider.revoke(&number(ALICE), id(1)).await, RevokeOutcome::Unanswered);
}

#[tokio::test]
async fn a_time_to_live_ends_in_a_notice_that_guarantees_nothing() {
    for race in [Race::Clean, Race::SaidAndDelivered, Race::Fails] {
        let (fake, provider) = rbm().await;
        fake.has_rcs(ALICE, false);
        fake.race(race);
        provider.send(&text(1, ALICE, "Code 1234", Some(60))).await.unwrap();
        fake.advance(Duration::from_secs(61));
        let events = what(&read(&provider, fake.take_webhooks(), fake.now_ms()));
        let (revoked, id) = (ProviderEvent::Revoked { id: id(1) }, id(1));
        match race {
            Race::Clean => assert_eq!(events, [revoked]),
            Race::SaidAndDelivered => {
                assert_eq!(events, [revoked, ProviderEvent::Delivered { id, channel: Channel::Rcs }]);
            }
            Race::Fails => assert_eq!(events, [ProviderEvent::RevokeFailed { id }]),
        }
    }
}

#[tokio::test]
async fn a_user_answers_taps_and_types() {
    let (fake, provider) = rbm().await;
    let said = fake.says(ALICE, "Hello there");
    let tapped = fake.taps(ALICE, "Continue securely", continuation::POSTBACK);
    fake.types(ALICE);
    let events = read(&provider, fake.take_webhooks(), fake.now_ms());
    let from = number(ALICE);
    let postback =
        InboundContent::Postback { text: "Continue securely".into(), data: continuation::POSTBACK.to_owned() };
    let expected = [
        ProviderEvent::Inbound { from: from.clone(), id: said, content: InboundContent::Text("Hello there".into()) },
        ProviderEvent::Inbound { from: from.clone(), id: tapped.clone(), content: postback },
        ProviderEvent::Typing { from: from.clone() },
    ];
    assert_eq!(what(&events), expected);
    provider.signal(&from, Signal::Read(tapped), id(5)).await.unwrap();
    provider.signal(&from, Signal::Typing, id(6)).await.unwrap();
    assert_eq!(fake.events()[0].1["eventType"], "READ");
    assert_eq!(fake.events()[1].1["eventType"], "IS_TYPING");
}

#[tokio::test]
async fn the_card_that_continues_securely_is_taken() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    let (now, link) = (fake.now_ms(), "https://chat.example/c#AbCdEf0123");
    let card = continuation::card(link, now + 3_600_000, now, &continuation::Wording::default()).unwrap();
    provider.send(&AgentMessage::new(id(1), number(ALICE), card, None).unwrap()).await.unwrap();
    let card = fake.messages()[0].body["contentMessage"]["richCard"]["standaloneCard"]["cardContent"].clone();
    assert_eq!(card["suggestions"][0]["action"]["openUrlAction"]["url"], link);
    assert_eq!(card["suggestions"].as_array().unwrap().len(), 1);
    let words = format!("{} {}", card["title"], card["description"]);
    assert!(!words.contains("AbCdEf"), "the secret part stands on the button only");
}

#[tokio::test]
async fn webhooks_that_come_twice_and_backwards_have_the_keys_of_the_first_ones() {
    let (fake, provider) = rbm().await;
    fake.disorder(Disorder { copies: 2, is_backwards: true });
    fake.has_rcs(ALICE, true);
    provider.send(&text(1, ALICE, "Hello", None)).await.unwrap();
    fake.reads(ALICE);
    let events = read(&provider, fake.take_webhooks(), fake.now_ms());
    assert_eq!(events.len(), 6);
    assert_eq!(events[0].event.kind(), "read", "newest first");
    let mut keys: Vec<_> = events.iter().map(|event| event.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 2, "two events, however often they come");
}

#[tokio::test]
async fn suggestions_of_every_kind_are_taken() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    let suggestions = vec![
        Suggestion::reply("Yes", "yes").unwrap(),
        Suggestion::dial("Call", number(BOB), "call").unwrap(),
        Suggestion::open_url("Open", "https://example.com/", "open").unwrap(),
    ];
    let content = Content::Text { text: "Choose".into(), suggestions };
    provider.send(&AgentMessage::new(id(1), number(ALICE), content, None).unwrap()).await.unwrap();
    assert_eq!(fake.messages()[0].body["contentMessage"]["suggestions"].as_array().unwrap().len(), 3);
}
