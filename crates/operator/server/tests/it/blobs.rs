//! Blobs: resumable uploads, ranged downloads, digests and quotas.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use rcseal_crypto::hash::sha256;
use rcseal_wire::api::{BLOB_CHUNK_LEN, BLOB_LEN_MAX, BlobCreate, BlobCreated};
use rcseal_wire::id::{BlobId, Digest};
use tokio_stream::StreamExt as _;

use crate::support::{Client, TestServer};

/// Two whole pieces and a bit.
fn content() -> Vec<u8> {
    (0..2 * BLOB_CHUNK_LEN + 1000).map(|index| (index % 251) as u8).collect()
}

fn declare(bytes: &[u8]) -> BlobCreate {
    BlobCreate { size: bytes.len() as u64, digest: Digest::from_bytes(sha256(&[bytes])), ttl_seconds: 3600 }
}

async fn create(client: &mut Client, bytes: &[u8]) -> String {
    let reply = client.post("/v1/blobs", &declare(bytes)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let created: BlobCreated = reply.json();
    assert_eq!(created.chunk_len, BLOB_CHUNK_LEN as u64);
    format!("/v1/blobs/{}", created.id)
}

async fn upload(client: &mut Client, path: &str, offset: u64, bytes: &[u8]) -> crate::support::Reply {
    client.bytes(Method::PATCH, path, &[("upload-offset", &offset.to_string())], bytes).await
}

async fn progress(client: &mut Client, path: &str) -> u64 {
    let reply = client.bytes(Method::HEAD, path, &[], b"").await;
    assert_eq!(reply.status, 204);
    reply.header("upload-offset").parse().unwrap()
}

#[tokio::test]
async fn a_blob_goes_up_in_one_request_and_comes_down_without_a_login() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let content = content();
    let path = create(&mut client, &content).await;
    let reply = upload(&mut client, &path, 0, &content).await;
    assert_eq!((reply.status, reply.header("upload-offset")), (204, content.len().to_string().as_str()));
    let mut anybody = server.connect().await;
    let reply = anybody.get(&path).await;
    assert_eq!((reply.status, reply.body.len()), (200, content.len()));
    assert_eq!(reply.body, content);
}

#[tokio::test]
async fn an_interrupted_upload_continues_at_the_last_whole_piece_even_after_a_restart() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let content = content();
    let path = create(&mut client, &content).await;
    // The connection breaks one and a half pieces into the upload.
    let half = BLOB_CHUNK_LEN + BLOB_CHUNK_LEN / 2;
    let first = stream::iter([Ok(Frame::data(Bytes::copy_from_slice(&content[..half])))]);
    let body = StreamBody::new(first.chain(stream::pending())).boxed();
    let length = content.len().to_string();
    let token = client.token.clone();
    let breaking = {
        let path = path.clone();
        tokio::spawn(async move {
            let headers = [("upload-offset", "0"), ("content-length", length.as_str())];
            client.try_send(Method::PATCH, &path, &headers, body).await.map(|reply| reply.status)
        })
    };
    let mut watcher = server.connect().await;
    watcher.token.clone_from(&token);
    wait_for_progress(&mut watcher, &path).await;
    breaking.abort();

    let server = server.restart().await;
    let mut client = server.connect().await;
    client.token = token;
    let received = progress(&mut client, &path).await;
    assert_eq!(received, BLOB_CHUNK_LEN as u64);
    let rest = &content[BLOB_CHUNK_LEN..];
    assert_eq!(upload(&mut client, &path, received, rest).await.status, 204);
    assert_eq!(client.get(&path).await.body, content);
}

/// The server may still be working on what arrived before the break.
async fn wait_for_progress(client: &mut Client, path: &str) -> u64 {
    let wait = async {
        loop {
            match progress(client, path).await {
                0 => tokio::task::yield_now().await,
                received => return received,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap()
}

#[tokio::test]
async fn a_piece_at_the_wrong_place_is_told_where_to_continue() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let content = content();
    let path = create(&mut client, &content).await;
    assert_eq!(upload(&mut client, &path, 0, &content[..BLOB_CHUNK_LEN]).await.status, 204);
    for offset in [0, BLOB_CHUNK_LEN as u64 * 2, 5] {
        let reply = upload(&mut client, &path, offset, &content[..BLOB_CHUNK_LEN]).await;
        assert_eq!(reply.code(), "offset_conflict", "{offset}");
        assert_eq!(reply.header("upload-offset"), BLOB_CHUNK_LEN.to_string());
    }
    let reply = client.bytes(Method::PATCH, &path, &[("upload-offset", "x")], b"a").await;
    assert_eq!(reply.code(), "malformed");
    assert_eq!(upload(&mut client, &path, BLOB_CHUNK_LEN as u64, b"half a piece").await.code(), "out_of_range");
}

#[tokio::test]
async fn ranges_are_served() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let content = content();
    let path = create(&mut client, &content).await;
    assert_eq!(upload(&mut client, &path, 0, &content).await.status, 204);
    let (size, chunk) = (content.len(), BLOB_CHUNK_LEN);
    for (range, wanted) in [
        ("bytes=0-9".to_owned(), 0..10),
        (format!("bytes={}-{}", chunk - 5, chunk + 4), chunk - 5..chunk + 5),
        (format!("bytes={}-", size - 3), size - 3..size),
        ("bytes=-7".to_owned(), size - 7..size),
    ] {
        let reply = client.bytes(Method::GET, &path, &[("range", &range)], b"").await;
        assert_eq!(reply.status, 206, "{range}");
        assert_eq!(reply.header("content-range"), format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1));
        assert_eq!(reply.body, content[wanted]);
    }
    let reply = client.bytes(Method::GET, &path, &[("range", &format!("bytes={size}-"))], b"").await;
    assert_eq!(reply.code(), "range_not_satisfiable");
    assert_eq!(reply.header("content-range"), format!("bytes */{size}"));
}

#[tokio::test]
async fn bytes_without_the_declared_digest_are_refused_and_gone() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let path = create(&mut client, b"what was declared").await;
    assert_eq!(upload(&mut client, &path, 0, b"what was uploaded").await.code(), "digest_mismatch");
    assert_eq!(client.get(&path).await.code(), "not_found");
    assert_eq!(client.bytes(Method::HEAD, &path, &[], b"").await.status, 404);
}

#[tokio::test]
async fn more_bytes_than_declared_are_refused() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let path = create(&mut client, b"short").await;
    assert_eq!(upload(&mut client, &path, 0, b"shorter than this").await.code(), "too_large");
}

#[tokio::test]
async fn an_unfinished_blob_cannot_be_read() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let content = content();
    let path = create(&mut client, &content).await;
    upload(&mut client, &path, 0, &content[..BLOB_CHUNK_LEN]).await;
    assert_eq!(server.connect().await.get(&path).await.code(), "not_found");
}

#[tokio::test]
async fn somebody_elses_upload_looks_as_if_it_did_not_exist() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let (_, mut other) = server.registered().await;
    let path = create(&mut client, b"mine").await;
    assert_eq!(upload(&mut other, &path, 0, b"mine").await.code(), "not_found");
    assert_eq!(other.bytes(Method::HEAD, &path, &[], b"").await.status, 404);
    assert_eq!(other.bytes(Method::DELETE, &path, &[], b"").await.code(), "not_found");
    let mut anonymous = server.connect().await;
    assert_eq!(upload(&mut anonymous, &path, 0, b"mine").await.code(), "unauthenticated");
}

#[tokio::test]
async fn limits_and_quota_hold() {
    let server = TestServer::start_with(|config| config.limits.blob_account_bytes_max = 100_000).await;
    let (_, mut client) = server.registered().await;
    let mut blob = declare(b"x");
    blob.size = BLOB_LEN_MAX + 1;
    assert_eq!(client.post("/v1/blobs", &blob).await.code(), "too_large");
    blob.size = 0;
    assert_eq!(client.post("/v1/blobs", &blob).await.code(), "out_of_range");
    blob.size = 60_000;
    blob.ttl_seconds = 0;
    assert_eq!(client.post("/v1/blobs", &blob).await.code(), "out_of_range");
    blob.ttl_seconds = 3600;
    let first: BlobCreated = client.post("/v1/blobs", &blob).await.json();
    assert_eq!(client.post("/v1/blobs", &blob).await.code(), "quota_exceeded");
    let first = format!("/v1/blobs/{}", first.id);
    assert_eq!(client.bytes(Method::DELETE, &first, &[], b"").await.status, 204);
    assert_eq!(client.post("/v1/blobs", &blob).await.status, 201);
}

#[tokio::test]
async fn a_blob_expires_and_is_swept() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let path = create(&mut client, b"soon gone").await;
    assert_eq!(upload(&mut client, &path, 0, b"soon gone").await.status, 204);
    server.clock.advance_seconds(3600);
    assert_eq!(client.get(&path).await.code(), "not_found");
    assert_eq!(server.running.sweep().await.unwrap().blobs, 1);
    assert_eq!(server.running.sweep().await.unwrap().blobs, 0);
}

#[tokio::test]
async fn an_unknown_or_malformed_id_names_nothing() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let unknown = BlobId::generate(&mut rand::rng());
    assert_eq!(client.get(&format!("/v1/blobs/{unknown}")).await.code(), "not_found");
    assert_eq!(client.get("/v1/blobs/short").await.code(), "not_found");
}

#[tokio::test]
async fn an_upload_that_stalls_is_cut_off() {
    let server = TestServer::start_with(|config| config.limits.stall_seconds_max = 1).await;
    let (_, mut client) = server.registered().await;
    let content = content();
    let path = create(&mut client, &content).await;
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"the beginning")))]);
    let body = StreamBody::new(first.chain(stream::pending())).boxed();
    let length = content.len().to_string();
    let headers = [("upload-offset", "0"), ("content-length", length.as_str())];
    let reply = client.send(Method::PATCH, &path, &headers, body).await;
    assert_eq!(reply.code(), "stalled");
}
