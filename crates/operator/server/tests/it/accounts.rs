//! Registration and admission.

use rcseal_server::config::AdmissionMode;
use rcseal_wire::api::{Base64, BundlesRequest, BundlesResponse};
use rcseal_wire::id::DeviceNumber;
use serde_json::json;

use crate::support::{Owner, TestServer, device_upload};

#[tokio::test]
async fn an_account_registers_and_its_device_logs_in() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let reply = client.get(&format!("/v1/accounts/{}/key-set", owner.account)).await;
    assert_eq!(reply.json::<rcseal_wire::api::KeySetBody>().key_set.0, owner.key_set.as_bytes());
}

#[tokio::test]
async fn a_registration_may_be_repeated_unchanged() {
    let server = TestServer::start().await;
    let owner = Owner::new();
    let mut client = server.connect().await;
    let request = owner.register_request();
    assert_eq!(client.post("/v1/accounts", &request).await.status, 201);
    assert_eq!(client.post("/v1/accounts", &request).await.status, 201);
}

#[tokio::test]
async fn a_repeated_registration_does_not_replace_prekeys() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    // Contacts know the key set and the mailbox. That must not let them put prekeys of their own into the account.
    let mut forged = owner.register_request();
    let forged_key = device_upload(owner.mailbox, 1, 0).signed;
    forged.device.signed.clone_from(&forged_key);
    assert_eq!(server.connect().await.post("/v1/accounts", &forged).await.status, 201);
    let request = BundlesRequest { devices: vec![DeviceNumber::PRIMARY] };
    let reply = client.post(&format!("/v1/accounts/{}/bundles", owner.account), &request).await;
    let bundle = reply.json::<BundlesResponse>().bundles.remove(0);
    assert_ne!(Some(bundle.signed), forged_key);
}

#[tokio::test]
async fn another_key_set_for_an_account_that_exists_is_refused() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let (next, _) = owner.with_linked_device();
    let mut request = owner.register_request();
    request.key_set = Base64(next.as_bytes().to_vec());
    assert_eq!(client.post("/v1/accounts", &request).await.code(), "key_set_invalid");
}

#[tokio::test]
async fn an_account_id_that_is_taken_is_refused() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let impostor = Owner::of_account(owner.account);
    assert_eq!(client.post("/v1/accounts", &impostor.register_request()).await.code(), "account_exists");
}

#[tokio::test]
async fn a_registration_with_a_later_key_set_is_refused_for_new_accounts_too() {
    let server = TestServer::start().await;
    let owner = Owner::new();
    let (next, _) = owner.with_linked_device();
    let mut request = owner.register_request();
    request.key_set = Base64(next.as_bytes().to_vec());
    assert_eq!(server.connect().await.post("/v1/accounts", &request).await.code(), "key_set_invalid");
}

#[tokio::test]
async fn a_mailbox_id_that_is_taken_is_refused() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let other = Owner::new();
    let mut request = other.register_request();
    request.device.mailbox = owner.mailbox;
    assert_eq!(client.post("/v1/accounts", &request).await.code(), "mailbox_taken");
}

#[tokio::test]
async fn a_key_set_that_does_not_verify_is_refused() {
    let server = TestServer::start().await;
    let owner = Owner::new();
    let mut client = server.connect().await;
    for position in [0, 40, owner.key_set.as_bytes().len() - 1] {
        let mut request = owner.register_request();
        request.key_set.0[position] ^= 1;
        assert_eq!(client.post("/v1/accounts", &request).await.code(), "key_set_invalid", "byte {position}");
    }
}

#[tokio::test]
async fn a_registration_without_its_prekeys_is_refused() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let mut request = Owner::new().register_request();
    request.device.last_resort = None;
    assert_eq!(client.post("/v1/accounts", &request).await.code(), "out_of_range");
}

#[tokio::test]
async fn malformed_prekeys_are_refused() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let owner = Owner::new();
    let mut small_order = owner.register_request();
    small_order.device.signed.as_mut().unwrap().key = Base64(vec![0; 32]);
    let mut short = owner.register_request();
    short.device.last_resort.as_mut().unwrap().key.0.pop();
    let mut modulus = owner.register_request();
    modulus.device.last_resort.as_mut().unwrap().key.0[..3].fill(0xff);
    let mut signature = owner.register_request();
    signature.device.signed.as_mut().unwrap().signature.0.push(0);
    for request in [small_order, short, modulus, signature] {
        assert_eq!(client.post("/v1/accounts", &request).await.code(), "malformed");
    }
}

#[tokio::test]
async fn bodies_that_are_no_registration_are_refused() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    assert_eq!(client.post("/v1/accounts", &json!({})).await.code(), "malformed");
    assert_eq!(client.post("/v1/accounts", &json!({"key_set": "AA", "what": 1})).await.code(), "malformed");
    let json = [("content-type", "application/json")];
    assert_eq!(client.bytes(http::Method::POST, "/v1/accounts", &json, b"{").await.code(), "malformed");
    assert_eq!(client.bytes(http::Method::POST, "/v1/accounts", &[], b"{}").await.code(), "unsupported_media_type");
}

async fn invite_server() -> TestServer {
    TestServer::start_with(|config| config.admission.mode = AdmissionMode::Invite).await
}

#[tokio::test]
async fn an_invite_admits_one_account() {
    let server = invite_server().await;
    let code = rcseal_server::create_invite(&server.config.storage.path, 3600).await.unwrap();
    let mut client = server.connect().await;
    let mut first = Owner::new().register_request();
    first.invite = Some(code.clone());
    assert_eq!(client.post("/v1/accounts", &first).await.status, 201);
    let mut second = Owner::new().register_request();
    second.invite = Some(code);
    assert_eq!(client.post("/v1/accounts", &second).await.code(), "admission_refused");
}

#[tokio::test]
async fn without_an_invite_nobody_is_admitted() {
    let server = invite_server().await;
    let mut client = server.connect().await;
    let mut request = Owner::new().register_request();
    assert_eq!(client.post("/v1/accounts", &request).await.code(), "admission_refused");
    for wrong in ["", "inv-AAAA", "inv-AAAAAAAAAAAAAAAAAAAAAA"] {
        request.invite = Some(wrong.to_owned());
        assert_eq!(client.post("/v1/accounts", &request).await.code(), "admission_refused", "{wrong:?}");
    }
}

#[tokio::test]
async fn an_invite_expires() {
    let server = invite_server().await;
    let code = rcseal_server::create_invite(&server.config.storage.path, 60).await.unwrap();
    server.clock.advance_seconds(60);
    let mut request = Owner::new().register_request();
    request.invite = Some(code);
    assert_eq!(server.connect().await.post("/v1/accounts", &request).await.code(), "admission_refused");
}

#[tokio::test]
async fn without_an_invite_nobody_learns_which_accounts_exist() {
    let server = invite_server().await;
    let code = rcseal_server::create_invite(&server.config.storage.path, 3600).await.unwrap();
    let mut client = server.connect().await;
    let owner = Owner::new();
    let mut request = owner.register_request();
    request.invite = Some(code.clone());
    assert_eq!(client.post("/v1/accounts", &request).await.status, 201);
    let mut probe = Owner::of_account(owner.account).register_request();
    probe.invite = Some(code);
    assert_eq!(client.post("/v1/accounts", &probe).await.code(), "admission_refused");
}
