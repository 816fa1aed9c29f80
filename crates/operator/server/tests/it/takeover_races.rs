//! What is under way while an account changes hands: requests of devices that were let in a moment before, and requests whose caller is
//! gone before the answer.

use std::time::Duration;

use rcseal_server::create_reset_ticket;
use rcseal_store::conformance::FaultKind;
use rcseal_wire::api::{DeliveryTokens, LoginResponse};
use rcseal_wire::frame::{MAILBOX_PATH, ResetNotice};
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceNumber};
use tokio::time::{sleep, timeout};

use crate::support::{Owner, Plane, START, TestServer};

const DELAY: u64 = 7 * 24 * 3600;
const PATIENCE: Duration = Duration::from_secs(20);

async fn until(condition: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("it never came to that");
}

fn recovery(account: AccountId) -> String {
    format!("/v1/accounts/{account}/recovery")
}

/// Takes the account back with a device of the number that the old one has.
async fn take_back(server: &TestServer, owner: &Owner) -> Owner {
    let back = owner.try_recovered(&owner.key_set, DeviceNumber::PRIMARY, &owner.recovery_key).unwrap();
    let reply = server.connect().await.post(&recovery(owner.account), &back.recovery_request()).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    assert_eq!(back.address(), owner.address());
    back
}

#[tokio::test]
async fn a_login_that_began_before_a_recovery_is_none_for_the_new_device() {
    let (server, store) = TestServer::start_faulty().await;
    let (owner, mut thief) = server.registered().await;
    thief.token = None;
    let nonce = crate::support::challenge(&mut thief).await;
    let signature = owner.sign_login(server.running.origin(), &thief.exporter, &nonce);
    let request = rcseal_wire::api::LoginRequest {
        account: owner.account,
        device: DeviceNumber::PRIMARY,
        signature: rcseal_wire::api::Base64(signature),
    };
    // The server has read the key set that the thief's device is in, and nothing else.
    store.arm(1, FaultKind::Late);
    let login = tokio::spawn(async move { thief.post("/v1/login", &request).await });
    until(|| store.has_failed()).await;
    let back = take_back(&server, &owner).await;
    store.release();
    let refused = login.await.unwrap();
    assert_eq!(refused.code(), "device_unknown");
    // The new device has that number, and its own logins are good.
    let mut new = server.connect().await;
    assert_eq!(back.try_log_in(&server, &mut new).await.json::<LoginResponse>().reset_effective_at_ms, None);
}

#[tokio::test]
async fn a_connection_that_was_let_in_before_a_recovery_is_not_given_the_new_devices_mailbox() {
    let (server, store) = TestServer::start_faulty().await;
    let (owner, thief) = server.registered().await;
    store.arm(1, FaultKind::Late);
    let (tls, address, token) = (server.tls.clone(), server.running.addr(), thief.token.clone());
    let connecting = tokio::spawn(async move { Plane::open(&tls, address, MAILBOX_PATH, token.as_deref()).await });
    until(|| store.has_failed()).await;
    take_back(&server, &owner).await;
    store.release();
    assert_eq!(connecting.await.unwrap().err(), Some(401));

    // The same with plain requests.
    let (owner, mut thief) = server.registered().await;
    store.arm(1, FaultKind::Late);
    let fetching = tokio::spawn(async move { thief.get("/v1/mailbox/messages").await });
    until(|| store.has_failed()).await;
    take_back(&server, &owner).await;
    store.release();
    assert_eq!(fetching.await.unwrap().code(), "device_unknown");
}

#[tokio::test]
async fn a_device_that_was_let_in_before_it_was_removed_does_not_set_delivery_tokens_after_it() {
    let (server, store) = TestServer::start_faulty().await;
    let (owner, mut thief) = server.registered().await;
    let theirs = DeliveryTokens { hashes: vec![DeliveryTokenHash::from_bytes([6; 32])] };
    store.arm(1, FaultKind::Late);
    let setting = tokio::spawn(async move { thief.put("/v1/account/delivery-tokens", &theirs).await });
    until(|| store.has_failed()).await;
    let back = take_back(&server, &owner).await;
    store.release();
    assert_eq!(setting.await.unwrap().code(), "device_unknown");
    let mut new = server.connect().await;
    back.log_in(&server, &mut new).await;
    let tokens: DeliveryTokens = new.get("/v1/account/delivery-tokens").await.json();
    assert_eq!(tokens.hashes, [owner.delivery_token.hash()], "contacts still reach the owner, and nobody else does");
}

#[tokio::test]
async fn devices_hear_of_a_reset_whose_asker_hung_up() {
    let (server, store) = TestServer::start_faulty().await;
    let (owner, device) = server.registered().await;
    let mut listening = server.mailbox(&device).await;
    listening.backlog().await;
    let ticket = create_reset_ticket(&server.config.storage.path, &owner.account, 3600).await.unwrap();
    let request = owner.reset(&owner.key_set, 0).reset_request(&ticket);
    let path = format!("/v1/accounts/{}/reset", owner.account);
    let open = server.running.metrics().connections_open();
    let mut asker = server.connect().await;
    // The key set, the ticket, what is pending, and then it is written.
    store.arm(4, FaultKind::Late);
    let asking = tokio::spawn(async move { asker.post(&path, &request).await });
    until(|| store.has_failed()).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    until(|| server.running.metrics().connections_open() == open).await;
    store.release();
    let effective_at_ms = START.plus_seconds(DELAY).get();
    assert_eq!(listening.reset_notice().await, ResetNotice { pending: true, effective_at_ms });
}

/// What the metrics say.
trait Metrics {
    fn connections_open(&self) -> Option<String>;
}

impl Metrics for String {
    fn connections_open(&self) -> Option<String> {
        self.lines().find(|line| line.starts_with("rcseal_connections_open ")).map(str::to_owned)
    }
}
