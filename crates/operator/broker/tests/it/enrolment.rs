//! Who can enrol, and as whom.

use rcseal_wire::api::DeliveryTokens;
use rcseal_wire::api::broker::{BrokerInfo, path};
use rcseal_wire::id::MailboxId;
use rcseal_wire::origin::Origin;

use crate::support::{Client, DAY, Person, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_says_who_it_is() {
    let world = World::new().await;
    let info: BrokerInfo = world.client().await.get(path::BROKER).await.expect(200).json();
    assert_eq!(info.origin, *world.broker.origin());
    assert_eq!(info.signing_key.0, world.broker.signing_key().as_bytes());
    assert_eq!(info.relays, [world.relay.origin().clone()]);
    assert_eq!(info.served, ["+44", "+447700900"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_the_relay_enrols_and_logs_in_later() {
    let world = World::new().await;
    let (alice, mut client) = Person::enrolled(&world).await;
    client.get(path::NUMBERS).await.expect(200);
    let world = world.restart().await;
    alice.log_in(&world).await.get(path::NUMBERS).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_not_enrolled_does_not_log_in() {
    let world = World::new().await;
    let alice = Person::registered(&world).await;
    assert_eq!(alice.try_log_in(&world).await.0.code(), "login_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_key_set_with_somebodys_account_id_ends_at_the_relay() {
    let world = World::new().await;
    let (alice, _) = Person::enrolled(&world).await;
    // Everything holds together, and the device is the mallory's own; the delivery token is one that contacts of alice's have.
    let mut mallory = Person::of_account(alice.account);
    mallory.delivery_token = alice.delivery_token.duplicate();
    assert_eq!(mallory.try_enrol(&world).await.0.code(), "relay_disagrees");
    alice.log_in(&world).await.get(path::NUMBERS).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_who_knows_key_set_and_token_cannot_redirect_what_comes_in() {
    let world = World::new().await;
    let (alice, _) = Person::enrolled(&world).await;
    let mut mallory = Person::registered(&world).await;
    let mailbox = mallory.mailbox;
    mallory.account = alice.account;
    mallory.key_set = alice.key_set.clone();
    mallory.delivery_token = alice.delivery_token.duplicate();
    mallory.mailbox = mailbox;
    assert_eq!(mallory.try_enrol(&world).await.0.code(), "login_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_serves_one_attempt_on_its_own_connection() {
    let world = World::new().await;
    let alice = Person::registered(&world).await;
    let (mut one, mut other) = (world.client().await, world.client().await);
    let request = alice.enrolment_request(&world, &mut one).await;
    alice.enrolment_request(&world, &mut other).await;
    assert_eq!(other.post(path::ENROLMENT, &request).await.code(), "login_refused", "signed for another connection");
    one.post(path::ENROLMENT, &request).await.expect(200);
    assert_eq!(one.post(path::ENROLMENT, &request).await.code(), "login_refused", "replayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_not_listed_is_not_even_asked() {
    let world = World::new().await;
    let alice = Person::registered(&world).await;
    let mut client = world.client().await;
    let mut request = alice.enrolment_request(&world, &mut client).await;
    request.relay = "https://127.0.0.1:1".parse::<Origin>().unwrap();
    assert_eq!(client.post(path::ENROLMENT, &request).await.code(), "relay_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_open_the_account_enrols_nobody() {
    let world = World::new().await;
    let mut alice = Person::registered(&world).await;
    alice.delivery_token = Person::of_account(alice.account).delivery_token;
    assert_eq!(alice.try_enrol(&world).await.0.code(), "relay_disagrees");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_key_set_is_refused_by_relay_and_broker() {
    let world = World::new().await;
    let (mut alice, _) = Person::enrolled(&world).await;
    let old = alice.key_set.clone();
    alice.publish_next(&world, false).await;
    alice.enrol(&world).await;
    let newest = std::mem::replace(&mut alice.key_set, old);
    assert_eq!(alice.try_enrol(&world).await.0.code(), "relay_disagrees");
    alice.key_set = newest;
    alice.enrol(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_account_key_is_followed_link_by_link() {
    let world = World::new().await;
    let (mut alice, _) = Person::enrolled(&world).await;
    for migrates in [false, true, false, true] {
        alice.publish_next(&world, migrates).await;
    }
    alice.enrol(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_refused_once_the_relay_takes_the_token_no_more() {
    let world = World::new().await;
    let (alice, _) = Person::enrolled(&world).await;
    let other = Person::of_account(alice.account).delivery_token.hash();
    alice.at_relay(&world).await.put("/v1/account/delivery-tokens", &DeliveryTokens { hashes: vec![other] }).await;
    // The relay's word of a moment ago still counts.
    alice.log_in(&world).await;
    world.clock.advance_seconds(3600);
    assert_eq!(alice.try_log_in(&world).await.0.code(), "relay_disagrees");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_away_keeps_nobody_out_for_a_day() {
    let mut world = World::new().await;
    let (alice, _) = Person::enrolled(&world).await;
    let replacement = {
        let folder = world.folder.path().join("other");
        rcseal_server::init::write_development_identity(&folder).unwrap();
        rcseal_server::Server::start(rcseal_server::Config::development(&folder)).await.unwrap()
    };
    std::mem::replace(&mut world.relay, replacement).shutdown().await;
    world.clock.advance_seconds(3600);
    alice.log_in(&world).await;
    world.clock.advance_seconds(DAY);
    assert_eq!(alice.try_log_in(&world).await.0.code(), "relay_unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_can_be_repeated_with_another_mailbox() {
    let world = World::new().await;
    let (mut alice, mut first) = Person::enrolled(&world).await;
    alice.mailbox = MailboxId::from_bytes([9; 16]);
    let mut second: Client = alice.enrol(&world).await;
    first.get(path::NUMBERS).await.expect(200);
    second.get(path::NUMBERS).await.expect(200);
}
