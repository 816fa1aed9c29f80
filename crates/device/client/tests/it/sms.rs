//! A client with a way to send an SMS, whose other end the test holds. The relay is away: it has nothing to do with any of this.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::sms::way::{HandSms, HandSmsHandle, SmsWayReport};
use rcseal_carrier::sms::{GatewayId, InboundSms, ReportState, SenderId};
use rcseal_client::client::{Client, ClientError, Config, SmsPlan};
use rcseal_client::net::TrustAnchors;
use rcseal_engine::UnixMillis;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::plain::{PlainMessageView, PlainState};
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, PolicyError, PolicyScope, Subject};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, TransportProfile};
use rcseal_wire::invitation::Invitation;

use crate::support::acquainted::{NOWHERE, acquainted};
use crate::support::server::{Authority, impatient};
use crate::support::vault;

const SHOP: &str = "+15552010042";

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

fn in_an_hour() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap() + 3600 * 1000)
}

/// A client of an account whose relay is away.
async fn client(folder: &Path) -> Client {
    let path = folder.to_owned();
    let (ada, _, _) = tokio::task::spawn_blocking(move || {
        let profile = TransportProfile {
            is_binary_safe: true,
            body_len_max: 1000,
            parts_max: 4,
            carries_headers: true,
            has_receipts: true,
        };
        acquainted(&path, NOWHERE, [(number("+15552010001"), profile.clone()), (number("+15552010002"), profile)])
    })
    .await
    .unwrap();
    let trust = TrustAnchors::from_pem(Authority::new("127.0.0.1").pem.as_bytes()).unwrap();
    let config = Config::new(ada.folder.clone(), trust, impatient());
    Client::open(config, Arc::new(vault(&ada.vault, "pass"))).await.unwrap()
}

async fn with_way(folder: &Path) -> (Client, HandSmsHandle) {
    let client = client(folder).await;
    let (way, handle) = HandSms::new();
    client.attach_sms(way).await.unwrap();
    client.open_thread(number(SHOP), "Shop".to_owned()).await.unwrap();
    (client, handle)
}

async fn allow(client: &Client) {
    client.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)).await.unwrap();
    client.attest_absence(number(SHOP), in_an_hour()).await.unwrap();
    client.give_consent(subject(), DeliveryMode::Sms, in_an_hour()).await.unwrap();
}

fn subject() -> Subject {
    Subject::Number(NumberKey::of(&number(SHOP)))
}

async fn thread(client: &Client) -> Vec<PlainMessageView> {
    let mut all = client.plain_messages(number(SHOP), None, 100).await.unwrap();
    all.reverse();
    all
}

fn sms(id: &str, text: &str) -> InboundSms {
    InboundSms {
        from: SenderId::Number(number(SHOP)),
        to: "+15552010001".to_owned(),
        text: text.to_owned(),
        gateway_id: GatewayId::parse(id),
        received_at_ms: 1,
    }
}

/// The relay being away is what a synchronisation says; what is no business of the relay's is done all the same.
async fn sync(client: &Client) {
    assert!(client.sync_once().await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn words_go_as_an_sms_by_consent_and_a_report_and_an_answer_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (client, handle) = with_way(folder.path()).await;
    let refused = client.send_plain(number(SHOP), "too soon".to_owned()).await.unwrap_err();
    assert_eq!(refused.code(), "policy_blocks");
    allow(&client).await;
    let (explained, plan) = client.explain_words(subject(), "is it ready?").await.unwrap();
    assert_eq!(explained.decision.mode(), Some(DeliveryMode::Sms));
    assert_eq!(plan, SmsPlan { segments: 1, is_wide: false });
    client.send_plain(number(SHOP), "is it ready?".to_owned()).await.unwrap();
    sync(&client).await;
    let sent = handle.next_sent().await.unwrap();
    assert_eq!((sent.to.as_str(), sent.text.as_str()), (SHOP, "is it ready?"));
    assert_eq!(thread(&client).await[0].state, PlainState::Stored);
    handle.report(SmsWayReport { id: sent.id, state: ReportState::Delivered });
    for _ in 0..2 {
        handle.deliver(sms("g-1", "yes"));
    }
    sync(&client).await;
    let all = thread(&client).await;
    assert_eq!(
        all.iter().map(|message| message.state).collect::<Vec<_>>(),
        [PlainState::Delivered, PlainState::Received]
    );
    assert_eq!((all[1].mode, all[1].words.as_str()), (DeliveryMode::Sms, "yes"));
}

#[tokio::test]
async fn words_wait_for_a_way_and_what_a_way_does_not_take_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (client, handle) = with_way(folder.path()).await;
    allow(&client).await;
    client.detach_sms();
    client.send_plain(number(SHOP), "later".to_owned()).await.unwrap();
    sync(&client).await;
    assert_eq!(thread(&client).await[0].state, PlainState::Queued);
    drop(handle);
    let (way, handle) = HandSms::new();
    drop(handle);
    client.attach_sms(way).await.unwrap();
    sync(&client).await;
    assert_eq!(thread(&client).await[0].state, PlainState::Failed);
    // Words that nobody can send, and a consent that could serve nothing.
    client.leave_sms().await.unwrap();
    let refused = client.give_consent(subject(), DeliveryMode::Sms, in_an_hour()).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::Policy(PolicyError::NoWayForMode { mode: DeliveryMode::Sms })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_running_client_sends_and_takes_in_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (client, handle) = with_way(folder.path()).await;
    allow(&client).await;
    let story = async {
        client.send_plain(number(SHOP), "hello".to_owned()).await.unwrap();
        assert_eq!(handle.next_sent().await.unwrap().text.as_str(), "hello");
        handle.deliver(sms("g-1", "hello yourself"));
        while thread(&client).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = client.run(std::future::pending()) => panic!("{ended:?}"),
        told = tokio::time::timeout(Duration::from_secs(30), story) => told.unwrap(),
    }
}

#[tokio::test]
async fn an_invitation_is_sent_at_once_and_needs_no_consent_since_it_holds_no_words() {
    let folder = tempfile::tempdir().unwrap();
    let (client, handle) = with_way(folder.path()).await;
    let segments = client.send_sms_invitation(number(SHOP)).await.unwrap();
    let sent = handle.next_sent().await.unwrap();
    let invitation: Invitation = sent.text.as_str().parse().unwrap();
    assert_eq!(invitation.account, client.account().await.unwrap().unwrap().address.account);
    assert_eq!(usize::from(segments), SmsPlan::of(sent.text.as_str()).segments);
    assert!(thread(&client).await.is_empty(), "it is no message");
    drop(handle);
    let failed = client.send_sms_invitation(number(SHOP)).await.unwrap_err();
    assert!(matches!(failed, ClientError::Sms(SendFailure::Unreachable)), "{failed:?}");
    client.detach_sms();
    let failed = client.send_sms_invitation(number(SHOP)).await.unwrap_err();
    assert!(matches!(failed, ClientError::NoSmsWay), "{failed:?}");
}
