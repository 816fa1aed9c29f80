//! A file by way of a carrier's content server, with public calls alone: the example of `docs/manual/carriers.md`.
//!
//! [`rcseal_client::Client::send_media`] keeps files at a relay. An app that is to keep one at the carrier's content server instead seals it
//! itself, and tells the recipient key, digest and size in a session; the descriptor, which the carrier reads, has none of them.

use std::sync::{Arc, Mutex};

use rcseal_carrier::ft::{ContentUrl, FtClient, FtConfig, NotSealed, SealedBlob, SealedType, Source};
use rcseal_carrier::tls::TrustAnchors;
use rcseal_crypto::secret::Secret;
use rcseal_engine::media::{BlobOpener, BlobSealer, sealed_len};
use rcseal_rcs::ft::Descriptor;
use rcseal_wire::id::Digest;

use crate::support::server::{Peer, Server};

/// Keeps the file of the last form that came, and serves it.
async fn content_server(kept: Arc<Mutex<Vec<u8>>>) -> Server {
    Server::start(move |mut peer: Peer| {
        let kept = Arc::clone(&kept);
        async move {
            let port = peer.stream.get_ref().0.local_addr().unwrap().port();
            while let Some(request) = peer.request().await {
                match (request.method.as_str(), request.body.is_empty()) {
                    ("GET", _) => {
                        let bytes = kept.lock().unwrap().clone();
                        peer.answer(200, "content-type: application/octet-stream\r\n", &bytes).await;
                    }
                    ("POST", true) => peer.answer(204, "", b"").await,
                    ("POST", false) => {
                        let file = file_of(&request.body);
                        let answer = format!(
                            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                             <file xmlns=\"urn:gsma:params:xml:ns:rcs:rcs:fthttp\"><file-info type=\"file\">\
                             <file-size>{}</file-size><content-type>application/octet-stream</content-type>\
                             <data url=\"https://127.0.0.1:{port}/file\" until=\"2099-01-01T00:00:00Z\"/>\
                             </file-info></file>",
                            file.len()
                        );
                        *kept.lock().unwrap() = file;
                        peer.answer(200, "content-type: application/xml\r\n", answer.as_bytes()).await;
                    }
                    (other, _) => panic!("{other}"),
                }
            }
        }
    })
    .await
}

/// The bytes of the part `File`, which comes last.
fn file_of(form: &[u8]) -> Vec<u8> {
    let find = |mark: &[u8], from: usize| form[from..].windows(mark.len()).position(|at| at == mark).unwrap() + from;
    let begin = find(b"\r\n\r\n", find(b"name=\"File\"", 0)) + 4;
    let end = (begin..form.len()).rev().find(|at| form[*at..].starts_with(b"\r\n--")).unwrap();
    form[begin..end].to_vec()
}

fn sealed(key: &Secret<32>, file: &[u8]) -> (Vec<u8>, Digest) {
    let mut sealer = BlobSealer::new(key.duplicate(), file.len() as u64).unwrap();
    let (mut ciphertext, mut rest) = (Vec::new(), file);
    while let Some(len) = sealer.next_len() {
        let (next, after) = rest.split_at(len);
        ciphertext.extend(sealer.seal(next).unwrap());
        rest = after;
    }
    let (digest, _) = sealer.finish().unwrap();
    (ciphertext, digest)
}

fn opened(key: Secret<32>, size: usize, digest: Digest, ciphertext: &[u8]) -> Vec<u8> {
    let mut opener = BlobOpener::new(key, size as u64, digest).unwrap();
    let (mut file, mut rest) = (Vec::new(), ciphertext);
    while let Some(len) = opener.next_len() {
        let (next, after) = rest.split_at(len);
        file.extend(opener.open(next).unwrap());
        rest = after;
    }
    opener.finish().unwrap();
    file
}

#[tokio::test]
async fn a_content_server_of_a_carrier_keeps_ciphertext_and_the_key_goes_in_a_session() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let server = content_server(Arc::clone(&kept)).await;
    let trust = TrustAnchors::from_pem(server.authority_pem().as_bytes()).unwrap();
    let upload = ContentUrl::parse(&format!("https://127.0.0.1:{}/upload", server.port)).unwrap();
    let carrier = FtClient::new(FtConfig::new(trust).with_upload(upload, None));
    let file: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();

    // The sender.
    let key = Secret::<32>::generate(&mut rand::rng());
    let (ciphertext, digest) = sealed(&key, &file);
    assert_eq!(
        SealedBlob::new(file.clone(), digest).unwrap_err(),
        NotSealed,
        "a file that is not sealed cannot be given"
    );
    let blob = SealedBlob::new(ciphertext.clone(), digest).unwrap();
    let descriptor = carrier.upload(&blob, SealedType::OctetStream).await.unwrap();

    // The carrier.
    assert_eq!(*kept.lock().unwrap(), ciphertext);
    assert!(!kept.lock().unwrap().windows(32).any(|window| window == &file[..32]));

    // The recipient, who has key, digest and size from the session, and where the file is from the descriptor.
    let Descriptor { file: named, .. } = descriptor;
    let source = Source { url: named.url, len: sealed_len(file.len() as u64), digest: Some(digest) };
    let mut fetched = Vec::new();
    carrier.download(&source, &mut fetched).await.unwrap();
    assert_eq!(opened(key, file.len(), digest, &fetched), file);
}
