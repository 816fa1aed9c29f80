//! Linking slots.

use std::time::Duration;

use http::Method;
use rcseal_wire::api::{LINK_MESSAGE_LEN_MAX, LinkCreated};

use crate::support::{Client, TestServer};

async fn open(client: &mut Client) -> String {
    let reply = client.bytes(Method::POST, "/v1/links", &[], b"").await;
    assert_eq!(reply.status, 201, "{reply:?}");
    format!("/v1/links/{}", reply.json::<LinkCreated>().id)
}

#[tokio::test]
async fn two_devices_exchange_messages() {
    let server = TestServer::start().await;
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    let link = open(&mut one).await;
    for (number, message) in [(1, "offer"), (2, "entry"), (3, "welcome"), (4, "thanks")] {
        let path = format!("{link}/{number}");
        assert_eq!(other.get(&path).await.status, 204);
        assert_eq!(one.bytes(Method::PUT, &path, &[], message.as_bytes()).await.status, 204);
        assert_eq!(other.get(&path).await.body, message);
        std::mem::swap(&mut one, &mut other);
    }
}

#[tokio::test]
async fn a_reader_that_waits_is_woken() {
    let server = TestServer::start().await;
    let (mut reader, mut writer) = (server.connect().await, server.connect().await);
    let link = open(&mut writer).await;
    let path = format!("{link}/1");
    let waiting = {
        let path = format!("{path}?wait=30");
        tokio::spawn(async move { reader.get(&path).await })
    };
    assert_eq!(writer.bytes(Method::PUT, &path, &[], b"here").await.status, 204);
    let reply = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &b"here"[..]));
}

#[tokio::test]
async fn a_wait_ends_without_a_message() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let link = open(&mut client).await;
    assert_eq!(client.get(&format!("{link}/1?wait=1")).await.status, 204);
    assert_eq!(client.get(&format!("{link}/1?wait=soon")).await.code(), "malformed");
}

#[tokio::test]
async fn a_message_is_written_once() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let link = open(&mut client).await;
    let path = format!("{link}/1");
    assert_eq!(client.bytes(Method::PUT, &path, &[], b"first").await.status, 204);
    assert_eq!(client.bytes(Method::PUT, &path, &[], b"first").await.status, 204);
    assert_eq!(client.bytes(Method::PUT, &path, &[], b"second").await.code(), "id_conflict");
    assert_eq!(client.get(&path).await.body, "first");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_too_large_refused() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let link = open(&mut client).await;
    for path in [format!("{link}/0"), format!("{link}/5"), format!("{link}/256"), "/v1/links/AAAA/1".to_owned()] {
        assert_eq!(client.get(&path).await.code(), "not_found", "{path}");
    }
    let large = vec![0; LINK_MESSAGE_LEN_MAX + 1];
    assert_eq!(client.bytes(Method::PUT, &format!("{link}/1"), &[], &large).await.code(), "too_large");
}

#[tokio::test]
async fn a_rendezvous_expires_and_is_swept() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let link = open(&mut client).await;
    server.clock.advance_seconds(10 * 60);
    assert_eq!(client.get(&format!("{link}/1")).await.code(), "not_found");
    assert_eq!(server.running.sweep().await.unwrap().links, 1);
}

#[tokio::test]
async fn the_number_of_open_rendezvous_is_bounded() {
    let server = TestServer::start_with(|config| config.limits.link_slots_max = 2).await;
    let mut client = server.connect().await;
    open(&mut client).await;
    open(&mut client).await;
    assert_eq!(client.bytes(Method::POST, "/v1/links", &[], b"").await.code(), "rate_limited");
}
