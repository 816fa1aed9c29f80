//! Login: bound to one server, one TLS connection, one nonce and one device.

use rcseal_crypto::ed25519::SigningKey;
use rcseal_wire::api::{Base64, LoginRequest, LoginResponse};
use rcseal_wire::id::DeviceNumber;

use crate::support::{Client, Owner, TestServer, challenge, log_in};

async fn attempt(client: &mut Client, owner: &Owner, signature: Vec<u8>) -> crate::support::Reply {
    let request = LoginRequest { account: owner.account, device: DeviceNumber::PRIMARY, signature: Base64(signature) };
    client.post("/v1/login", &request).await
}

#[tokio::test]
async fn a_wrong_key_does_not_log_in() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let wrong = SigningKey::from_seed([1; 32]);
    assert_eq!(log_in(&server, &mut client, owner.address(), &wrong).await.code(), "login_refused");
}

#[tokio::test]
async fn a_signature_for_another_connection_does_not_log_in() {
    let server = TestServer::start().await;
    let (owner, mut victim) = server.registered().await;
    let mut other = server.connect().await;
    assert_ne!(victim.exporter, other.exporter);
    // A server in the middle forwards its own nonce to the device and the device's answer to us.
    let nonce = challenge(&mut other).await;
    let signature = owner.sign_login(server.running.origin(), &victim.exporter, &nonce);
    assert_eq!(attempt(&mut other, &owner, signature).await.code(), "login_refused");
    // Nor does a nonce of one connection count on another, even with the right exporter value.
    let nonce = challenge(&mut victim).await;
    let signature = owner.sign_login(server.running.origin(), &other.exporter, &nonce);
    assert_eq!(attempt(&mut other, &owner, signature).await.code(), "login_refused");
}

#[tokio::test]
async fn a_signature_for_another_server_does_not_log_in() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let nonce = challenge(&mut client).await;
    let origin = "https://elsewhere.example".parse().unwrap();
    let signature = owner.sign_login(&origin, &client.exporter, &nonce);
    assert_eq!(attempt(&mut client, &owner, signature).await.code(), "login_refused");
}

#[tokio::test]
async fn a_nonce_is_good_for_one_attempt() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let nonce = challenge(&mut client).await;
    let signature = owner.sign_login(server.running.origin(), &client.exporter, &nonce);
    assert_eq!(attempt(&mut client, &owner, signature.clone()).await.status, 200);
    assert_eq!(attempt(&mut client, &owner, signature.clone()).await.code(), "login_refused");
    // A failed attempt uses it up as well.
    let nonce = challenge(&mut client).await;
    assert_eq!(attempt(&mut client, &owner, vec![0; 64]).await.code(), "login_refused");
    let signature = owner.sign_login(server.running.origin(), &client.exporter, &nonce);
    assert_eq!(attempt(&mut client, &owner, signature).await.code(), "login_refused");
}

#[tokio::test]
async fn a_nonce_expires_after_a_minute() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let nonce = challenge(&mut client).await;
    server.clock.advance_seconds(60);
    let signature = owner.sign_login(server.running.origin(), &client.exporter, &nonce);
    assert_eq!(attempt(&mut client, &owner, signature).await.code(), "login_refused");
}

#[tokio::test]
async fn an_unknown_account_is_refused_like_a_wrong_key() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let stranger = Owner::new();
    let key = SigningKey::from_seed([1; 32]);
    let unknown = log_in(&server, &mut client, stranger.address(), &key).await;
    let wrong = log_in(&server, &mut client, owner.address(), &key).await;
    assert_eq!(unknown.body, wrong.body);
}

#[tokio::test]
async fn a_token_expires() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    assert_eq!(client.get("/v1/device/prekeys").await.status, 200);
    server.clock.advance_seconds(server.config.limits.token_seconds_max);
    assert_eq!(client.get("/v1/device/prekeys").await.code(), "token_expired");
}

#[tokio::test]
async fn a_token_survives_a_restart() {
    let server = TestServer::start().await;
    let (_, client) = server.registered().await;
    let server = server.restart().await;
    let mut again = server.connect().await;
    again.token = client.token;
    assert_eq!(again.get("/v1/device/prekeys").await.status, 200);
}

#[tokio::test]
async fn a_token_of_another_server_is_none() {
    let (one, other) = (TestServer::start().await, TestServer::start().await);
    let (owner, client) = one.registered().await;
    let mut elsewhere = other.connect().await;
    assert_eq!(elsewhere.post("/v1/accounts", &owner.register_request()).await.status, 201);
    elsewhere.token = client.token;
    assert_eq!(elsewhere.get("/v1/device/prekeys").await.code(), "unauthenticated");
}

#[tokio::test]
async fn requests_without_a_token_are_asked_to_log_in() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let reply = client.get("/v1/device/prekeys").await;
    assert_eq!(reply.code(), "unauthenticated");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    client.token = Some("nonsense".to_owned());
    assert_eq!(client.get("/v1/device/prekeys").await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_device_that_was_removed_is_logged_out_at_once() {
    let server = TestServer::start().await;
    let (mut owner, mut primary) = server.registered().await;
    let (next, key) = owner.with_linked_device();
    assert_eq!(primary.put("/v1/account/key-set", &crate::support::body(&next)).await.status, 204);
    owner.key_set = next;
    let linked = DeviceNumber::new(2).unwrap();
    let mut client = server.connect().await;
    owner.log_in_as(&server, &mut client, linked, &key).await;
    assert_eq!(client.get("/v1/device/prekeys").await.status, 200);
    let without = owner.without_device(linked);
    assert_eq!(primary.put("/v1/account/key-set", &crate::support::body(&without)).await.status, 204);
    assert_eq!(client.get("/v1/device/prekeys").await.code(), "device_unknown");
    let address = rcseal_wire::id::DeviceAddress { account: owner.account, device: linked };
    assert_eq!(log_in(&server, &mut client, address, &key).await.code(), "login_refused");
}

#[tokio::test]
async fn a_login_says_how_long_it_is_good_for() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let nonce = challenge(&mut client).await;
    let signature = owner.sign_login(server.running.origin(), &client.exporter, &nonce);
    let response: LoginResponse = attempt(&mut client, &owner, signature).await.json();
    assert_eq!(response.expires_in_seconds, 900);
}
