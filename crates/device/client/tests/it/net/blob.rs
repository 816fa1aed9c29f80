//! Blobs: resumed, checked, and never more than announced.

use std::sync::{Arc, Mutex};

use rcseal_client::net::{Anonymous, Authenticated, Fault, NetError, Progress};
use rcseal_crypto::hash::sha256;
use rcseal_wire::api::BlobCreated;
use rcseal_wire::id::{BlobId, Digest};
use rcseal_wire::problem::ProblemCode;

use crate::support::device::{serve_login, signer};
use crate::support::server::{Peer, Server};

const CHUNK: u64 = 1000;

fn blob() -> Vec<u8> {
    (0..4500_u32).map(|n| (n % 251) as u8).collect()
}

fn id() -> BlobId {
    BlobId::from_bytes([5; 32])
}

fn digest() -> Digest {
    Digest::from_bytes(sha256(&[&blob()]))
}

/// A server that keeps one upload, and loses the connection after `pieces` pieces of each connection.
async fn upload_server(stored: Arc<Mutex<Vec<u8>>>, pieces: usize, forget_answer: bool) -> Server {
    Server::start(move |mut peer: Peer| {
        let stored = Arc::clone(&stored);
        async move {
            serve_login(&mut peer, "t").await;
            let mut left = pieces;
            while let Some(request) = peer.request().await {
                let standing = stored.lock().unwrap().len() as u64;
                match request.method.as_str() {
                    "HEAD" => {
                        peer.write(format!("HTTP/1.1 204 No Content\r\nupload-offset: {standing}\r\n\r\n").as_bytes())
                            .await;
                    }
                    "PATCH" => {
                        let offset: u64 = request.header("upload-offset").unwrap().parse().unwrap();
                        if offset != standing {
                            peer.answer_problem(ProblemCode::OffsetConflict).await;
                            continue;
                        }
                        assert!(request.body.len() as u64 <= CHUNK);
                        if left == 0 && !forget_answer {
                            return;
                        }
                        stored.lock().unwrap().extend_from_slice(&request.body);
                        if left == 0 {
                            return;
                        }
                        left -= 1;
                        let end = offset + request.body.len() as u64;
                        peer.answer(204, &format!("upload-offset: {end}\r\n"), b"").await;
                    }
                    other => panic!("{other}"),
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_upload_goes_on_where_a_lost_connection_left_it() {
    for forget_answer in [false, true] {
        let stored = Arc::new(Mutex::new(Vec::new()));
        let server = upload_server(Arc::clone(&stored), 2, forget_answer).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("blob");
        std::fs::write(&file, blob()).unwrap();
        let device = Authenticated::new(server.endpoint(), signer());
        let created = BlobCreated { id: id(), chunk_len: CHUNK };
        let mut reports = Vec::new();
        let mut attempts = 0;
        while let Err(error) = device.upload_blob(&created, &file, &mut |progress| reports.push(progress)).await {
            assert!(matches!(error, NetError::Closed(_)), "{error:?}");
            attempts += 1;
            assert!(attempts < 5);
        }
        assert!(attempts > 0);
        assert_eq!(*stored.lock().unwrap(), blob());
        assert!(reports.is_sorted_by_key(|progress| progress.done));
        assert_eq!(reports.last(), Some(&Progress { done: 4500, total: 4500 }));
    }
}

#[tokio::test]
async fn an_upload_that_the_server_does_not_know_is_a_problem() {
    let server = Server::start(|mut peer: Peer| async move {
        serve_login(&mut peer, "t").await;
        peer.request().await;
        // As every server does it: the length of the document that a GET would have had.
        peer.write(b"HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: 99\r\n\r\n")
            .await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blob");
    std::fs::write(&file, blob()).unwrap();
    let device = Authenticated::new(server.endpoint(), signer());
    let error = device.upload_blob(&BlobCreated { id: id(), chunk_len: CHUNK }, &file, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.problem(), Some(ProblemCode::NotFound));
}

#[tokio::test]
async fn a_piece_length_that_would_eat_memory_is_refused() {
    for chunk_len in [0, u64::MAX] {
        let server = Server::start(move |mut peer: Peer| async move {
            serve_login(&mut peer, "t").await;
            peer.request().await;
            peer.answer_json(&BlobCreated { id: id(), chunk_len }).await;
        })
        .await;
        let error = Authenticated::new(server.endpoint(), signer()).create_blob(9, digest(), 60).await.unwrap_err();
        assert!(matches!(error, NetError::Protocol(Fault::Body)), "{error:?}");
    }
}

/// Serves the blob from the asked offset, `per_connection` bytes at most before it hangs up.
async fn download_server(body: Vec<u8>, per_connection: usize) -> Server {
    Server::start(move |mut peer: Peer| {
        let body = body.clone();
        async move {
            let request = peer.request().await.unwrap();
            assert_eq!(request.header("authorization"), None);
            let from: usize =
                request.header("range").unwrap().strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
            let (rest, total) = (&body[from..], body.len());
            let head = format!(
                "HTTP/1.1 206 Partial\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{total}\r\n\r\n",
                rest.len(),
                total - 1
            );
            peer.write(head.as_bytes()).await;
            peer.write(&rest[..rest.len().min(per_connection)]).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_download_goes_on_where_a_lost_connection_left_it() {
    let server = download_server(blob(), 2000).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("blob.part");
    let anonymous = Anonymous::new(server.endpoint());
    let mut reports = Vec::new();
    let mut attempts = 0;
    while let Err(error) =
        anonymous.download_blob(&id(), 4500, &digest(), &to, &mut |progress| reports.push(progress)).await
    {
        assert!(matches!(error, NetError::Closed(_)), "{error:?}");
        attempts += 1;
        assert!(attempts < 5);
    }
    assert_eq!(attempts, 2);
    assert_eq!(std::fs::read(&to).unwrap(), blob());
    assert!(reports.is_sorted_by_key(|progress| progress.done));
    // A finished file needs no server.
    drop(server);
    anonymous.download_blob(&id(), 4500, &digest(), &to, &mut |_| {}).await.unwrap();
}

#[tokio::test]
async fn other_bytes_than_announced_are_deleted() {
    let mut other = blob();
    other[4000] ^= 1;
    let server = download_server(other, usize::MAX).await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("blob.part");
    let error =
        Anonymous::new(server.endpoint()).download_blob(&id(), 4500, &digest(), &to, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, NetError::DigestMismatch), "{error:?}");
    assert!(!to.exists());
}

#[tokio::test]
async fn more_bytes_than_announced_are_not_stored() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        for _ in 0..100 {
            peer.write(&[b"1000\r\n", &[7; 0x1000][..], b"\r\n"].concat()).await;
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("blob.part");
    let error =
        Anonymous::new(server.endpoint()).download_blob(&id(), 4500, &digest(), &to, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Body)), "{error:?}");
    assert!(std::fs::metadata(&to).unwrap().len() <= 4500);
}

#[tokio::test]
async fn a_range_that_starts_elsewhere_is_refused() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.answer(206, "content-range: bytes 1-4499/4500\r\n", &[0; 10]).await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let error = Anonymous::new(server.endpoint())
        .download_blob(&id(), 4500, &digest(), &folder.path().join("b"), &mut |_| {})
        .await
        .unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Header)), "{error:?}");
}

/// Answers a short blob's download with these bytes.
async fn short_server(body: Vec<u8>) -> Server {
    Server::start(move |mut peer: Peer| {
        let body = body.clone();
        async move {
            let request = peer.request().await.unwrap();
            assert_eq!((request.header("authorization"), request.header("range")), (None, None));
            peer.answer(200, "", &body).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_short_blob_is_what_was_named_and_no_longer() {
    let server = short_server(blob()).await;
    assert_eq!(Anonymous::new(server.endpoint()).blob(&id(), 4500, &digest()).await.unwrap(), blob());
    let error = Anonymous::new(server.endpoint()).blob(&id(), 4499, &digest()).await.unwrap_err();
    assert!(matches!(error, NetError::TooLarge { limit: 4499 }), "{error:?}");
    let other = Digest::from_bytes([0; 32]);
    let error = Anonymous::new(server.endpoint()).blob(&id(), 4500, &other).await.unwrap_err();
    assert!(matches!(error, NetError::DigestMismatch), "{error:?}");
}
