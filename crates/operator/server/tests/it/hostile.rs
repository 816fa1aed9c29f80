//! Arbitrary and damaged requests: every one is refused or accepted by the rules, none makes the server fail.

use http::Method;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use rcseal_wire::api::{Base64, BlobCreate, BundlesRequest, DeliveryTokens, KeySetBody, LoginRequest};
use rcseal_wire::id::{DeliveryTokenHash, DeviceNumber, Digest};
use serde_json::Value;

use crate::support::{Client, Owner, TestServer, device_upload};

/// Damaged copies of each valid body.
const ROUNDS: usize = 60;
/// Inserted where they do not belong.
const STRANGE: [&[u8]; 6] = [b"null", b"-1", b"18446744073709551616", b"[[[[[[[[", b"\"\"", b"{}"];
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A valid request of every kind that has a body.
fn valid(owner: &Owner) -> Vec<(Method, String, Vec<u8>)> {
    let json = |value: Value| serde_json::to_vec(&value).unwrap();
    let (next, _) = owner.with_linked_device();
    let login = LoginRequest { account: owner.account, device: DeviceNumber::PRIMARY, signature: Base64(vec![1; 64]) };
    let blob = BlobCreate { size: 5, digest: Digest::from_bytes([1; 32]), ttl_seconds: 60 };
    let tokens = DeliveryTokens { hashes: vec![DeliveryTokenHash::from_bytes([1; 32])] };
    let key_set = KeySetBody { key_set: Base64(next.as_bytes().to_vec()) };
    let bundles = BundlesRequest { devices: vec![DeviceNumber::PRIMARY] };
    let upload = device_upload(owner.mailbox, 1, 2);
    let body = |value: serde_json::Result<Value>| json(value.unwrap());
    vec![
        (Method::POST, "/v1/accounts".to_owned(), body(serde_json::to_value(Owner::new().register_request()))),
        (Method::POST, "/v1/login".to_owned(), body(serde_json::to_value(login))),
        (Method::POST, "/v1/blobs".to_owned(), body(serde_json::to_value(blob))),
        (Method::PUT, "/v1/account/delivery-tokens".to_owned(), body(serde_json::to_value(tokens))),
        (Method::PUT, "/v1/account/key-set".to_owned(), body(serde_json::to_value(key_set))),
        (Method::PUT, "/v1/device".to_owned(), body(serde_json::to_value(upload))),
        (Method::POST, format!("/v1/accounts/{}/bundles", owner.account), body(serde_json::to_value(bundles))),
    ]
}

/// Cuts, flips, repeats or replaces something.
fn damage(body: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut body = body.to_vec();
    let position = rng.random_range(0..body.len());
    match rng.random_range(0..5) {
        0 => body.truncate(position),
        1 => body[position] = rng.random(),
        2 => {
            let piece = body[position..(position + 20).min(body.len())].to_vec();
            body.splice(position..position, piece);
        }
        3 => {
            let value = *STRANGE.choose(rng).unwrap();
            body.splice(position..position, value.iter().copied());
        }
        _ => {
            body.resize(position, 0);
            rng.fill_bytes(&mut body);
        }
    }
    body
}

async fn survives(client: &mut Client, method: &Method, path: &str, body: &[u8]) {
    let reply = client.bytes(method.clone(), path, &JSON, body).await;
    assert!(reply.status < 500, "{method} {path} {}: {reply:?}", String::from_utf8_lossy(body));
    if reply.status >= 400 {
        reply.code();
    }
}

#[tokio::test]
async fn damaged_bodies_never_make_the_server_fail() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for (method, path, body) in valid(&owner) {
        for _ in 0..ROUNDS {
            survives(&mut client, &method, &path, &damage(&body, &mut rng)).await;
        }
    }
}

#[tokio::test]
async fn strange_paths_and_queries_never_make_the_server_fail() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let account = owner.account;
    for path in [
        "/v1/accounts/%00/key-set".to_owned(),
        "/v1/accounts/%ff%fe/key-set".to_owned(),
        format!("/v1/accounts/{account}/key-sets"),
        format!("/v1/accounts/{account}/key-sets?from=-1"),
        format!("/v1/accounts/{account}/key-sets?from=18446744073709551615"),
        format!("/v1/accounts/{account}/key-sets?from=1&from=2"),
        "/v1/blobs/..%2f..%2fetc%2fpasswd".to_owned(),
        "/v1/links/%2e%2e/1".to_owned(),
        "//v1//device//prekeys".to_owned(),
        format!("/v1/blobs/{}", "A".repeat(8000)),
    ] {
        survives(&mut client, &Method::GET, &path, b"").await;
    }
}
