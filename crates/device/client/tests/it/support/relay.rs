//! A relay that keeps blobs, and is away for everything else.

use std::sync::{Arc, Mutex};

use rcseal_wire::api::{Base64, BlobCreate, BlobCreated, LoginChallenge, LoginResponse};
use rcseal_wire::id::BlobId;
use rcseal_wire::login::LOGIN_NONCE_LEN;
use rcseal_wire::problem::ProblemCode;

use super::server::{Peer, Received, Server};

const PIECE_LEN: u64 = 10_000;

/// What it was given last.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    size: u64,
    pieces: usize,
}

/// The relay.
pub(crate) struct BlobRelay {
    server: Server,
    kept: Arc<Mutex<Kept>>,
}

impl BlobRelay {
    pub(crate) async fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = Arc::clone(&kept);
        let server = Server::start(move |mut peer: Peer| {
            let kept = Arc::clone(&shared);
            async move {
                while let Some(request) = peer.request().await {
                    answer(&mut peer, &request, &kept).await;
                }
            }
        })
        .await;
        Self { server, kept }
    }

    pub(crate) fn origin(&self) -> String {
        format!("https://127.0.0.1:{}", self.server.port)
    }

    pub(crate) fn authority_pem(&self) -> &str {
        self.server.authority_pem()
    }

    /// What it keeps.
    pub(crate) fn blob(&self) -> Vec<u8> {
        self.kept.lock().unwrap().bytes.clone()
    }

    /// In how many pieces that came.
    pub(crate) fn pieces(&self) -> usize {
        self.kept.lock().unwrap().pieces
    }
}

async fn answer(peer: &mut Peer, request: &Received, kept: &Mutex<Kept>) {
    let blob = |request: &Received| request.path.starts_with("/v1/blobs/");
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/login/challenge") => {
            peer.answer_json(&LoginChallenge { nonce: Base64(vec![3; LOGIN_NONCE_LEN]) }).await;
        }
        ("POST", "/v1/login") => {
            let token = "token".to_owned();
            peer.answer_json(&LoginResponse { token, expires_in_seconds: 900, reset_effective_at_ms: None }).await;
        }
        ("POST", "/v1/blobs") => {
            assert!(request.header("authorization").is_some());
            let create: BlobCreate = serde_json::from_slice(&request.body).unwrap();
            *kept.lock().unwrap() = Kept { size: create.size, ..Kept::default() };
            peer.answer_json(&BlobCreated { id: BlobId::from_bytes([7; 32]), chunk_len: PIECE_LEN }).await;
        }
        ("PATCH", _) if blob(request) => {
            let end = {
                let mut kept = kept.lock().unwrap();
                assert_eq!(request.header("upload-offset").unwrap(), kept.bytes.len().to_string());
                kept.bytes.extend_from_slice(&request.body);
                kept.pieces += 1;
                kept.bytes.len()
            };
            peer.answer(204, &format!("upload-offset: {end}\r\n"), b"").await;
        }
        ("GET", _) if blob(request) => {
            assert_eq!(request.header("authorization"), None, "whoever fetches does not say who it is");
            let whole = {
                let kept = kept.lock().unwrap();
                (kept.bytes.len() as u64 == kept.size).then(|| kept.bytes.clone())
            };
            match whole {
                Some(bytes) => peer.answer(200, "", &bytes).await,
                None => peer.answer_problem(ProblemCode::NotFound).await,
            }
        }
        _ => peer.answer_problem(ProblemCode::Unavailable).await,
    }
}
