//! The aggregator against its fake.

use std::time::Duration;

use rcseal_carrier::business::fake::Trouble;
use rcseal_carrier::business::{
    BusinessProvider, Channel, InboundContent, ProviderEvent, ProviderFailure, Reach, RevokeOutcome, Signal,
};

use super::{ALICE, BOB, id, number, read, sinch, text, what};

#[tokio::test]
async fn a_message_is_taken_and_every_report_names_its_channel() {
    let (fake, provider) = sinch(false).await;
    fake.has(ALICE, &["RCS"], true);
    let accepted = provider.send(&text(1, ALICE, "Hello", None)).await.unwrap();
    assert_eq!(accepted.provider_id, Some(fake.messages()[0].id.clone()));
    fake.reads(ALICE);
    let (id, channel) = (id(1), Channel::Rcs);
    let expected = [
        ProviderEvent::Accepted { id, channel: Some(channel.clone()) },
        ProviderEvent::Delivered { id, channel: channel.clone() },
        ProviderEvent::Read { id, channel },
    ];
    assert_eq!(what(&read(&provider, fake.take_webhooks(), fake.now_ms())), expected);
}

#[tokio::test]
async fn a_fall_back_of_the_aggregators_own_is_seen_in_the_channel() {
    let (fake, provider) = sinch(true).await;
    fake.has(ALICE, &["SMS"], true);
    provider.send(&text(1, ALICE, "Hello", None)).await.unwrap();
    let events = what(&read(&provider, fake.take_webhooks(), fake.now_ms()));
    let reason = "RECIPIENT_NOT_REACHABLE".to_owned();
    let switched = ProviderEvent::Failed { id: id(1), channel: Some(Channel::Rcs), reason, is_final: false };
    assert_eq!(events[0], switched);
    assert_eq!(events[2], ProviderEvent::Delivered { id: id(1), channel: Channel::Sms });
}

#[tokio::test]
async fn without_leave_the_aggregator_does_not_fall_back() {
    let (fake, provider) = sinch(false).await;
    fake.has(ALICE, &["SMS"], true);
    provider.send(&text(1, ALICE, "Hello", None)).await.unwrap();
    let events = what(&read(&provider, fake.take_webhooks(), fake.now_ms()));
    let reason = "RECIPIENT_NOT_REACHABLE".to_owned();
    assert_eq!(events, [ProviderEvent::Failed { id: id(1), channel: Some(Channel::Rcs), reason, is_final: true }]);
}

#[tokio::test]
async fn a_lost_answer_is_never_a_reason_to_send_again() {
    let (fake, provider) = sinch(false).await;
    fake.has(ALICE, &["RCS"], true);
    fake.trouble(&[Trouble::AnswerLost]);
    assert_eq!(provider.send(&text(1, ALICE, "Hello", None)).await, Err(ProviderFailure::Unanswered));
    assert_eq!((fake.requests(), fake.messages().len()), (1, 1));
    fake.trouble(&[Trouble::Status(429, None), Trouble::Status(503, None)]);
    provider.send(&text(2, ALICE, "Hello", None)).await.unwrap();
    assert_eq!(fake.messages().len(), 2, "a request that was turned away is made again");
}

#[tokio::test]
async fn a_message_cannot_be_taken_back_and_expires() {
    let (fake, provider) = sinch(false).await;
    fake.has(ALICE, &["RCS"], false);
    provider.send(&text(1, ALICE, "Code 1234", Some(60))).await.unwrap();
    assert_eq!(provider.revoke(&number(ALICE), id(1)).await, RevokeOutcome::Unsupported);
    fake.advance(Duration::from_secs(61));
    let events = what(&read(&provider, fake.take_webhooks(), fake.now_ms()));
    assert_eq!(events[1], ProviderEvent::Expired { id: id(1), channel: Some(Channel::Rcs) });
}

#[tokio::test]
async fn whether_a_number_can_be_reached_comes_by_webhook() {
    let (fake, provider) = sinch(false).await;
    fake.has(ALICE, &["RCS", "SMS"], true);
    assert_eq!(provider.capabilities(&number(ALICE)).await, Ok(Reach::Unknown));
    assert_eq!(provider.capabilities(&number(BOB)).await, Ok(Reach::Unknown));
    let events = what(&read(&provider, fake.take_webhooks(), fake.now_ms()));
    assert!(
        matches!(&events[0], ProviderEvent::Reached { number: of, reach: Reach::Rcs { .. } } if *of == number(ALICE))
    );
    assert_eq!(events[1], ProviderEvent::Reached { number: number(BOB), reach: Reach::NotRcs });
}

#[tokio::test]
async fn a_user_answers_and_taps() {
    let (fake, provider) = sinch(false).await;
    let said = fake.says(ALICE, "Hello there");
    let tapped = fake.taps(ALICE, "rcseal-continue");
    let from = number(ALICE);
    let data = InboundContent::Postback { text: String::new(), data: "rcseal-continue".into() };
    let expected = [
        ProviderEvent::Inbound { from: from.clone(), id: said, content: InboundContent::Text("Hello there".into()) },
        ProviderEvent::Inbound { from: from.clone(), id: tapped, content: data },
    ];
    assert_eq!(what(&read(&provider, fake.take_webhooks(), fake.now_ms())), expected);
    provider.signal(&from, Signal::Typing, id(1)).await.unwrap();
    assert_eq!(fake.events().len(), 1);
    assert_eq!(provider.signal(&from, Signal::Read("x".into()), id(2)).await, Err(ProviderFailure::NotOffered));
}
