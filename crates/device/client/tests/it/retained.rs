//! What a server can read, against one that the test plays: its key, and what it keeps for the account.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rcseal_client::client::{Client, Config};
use rcseal_client::net::{NetError, Timeouts, TrustAnchors};
use rcseal_crypto::hpke_p256::public_in_software;
use rcseal_crypto::secret::Secret;
use rcseal_engine::retained::{RetainedTaken, ServerKeyState};
use rcseal_rcs::transport::TransportProfile;
use rcseal_wire::api::retained::{
    ReadableBy, RetainedMessage, RetainedPage, RetentionClass, ServerKey, Tenant, UnreadableReason, server_key_id,
};
use rcseal_wire::api::{Base64, LoginChallenge, LoginResponse};
use rcseal_wire::id::{AccountId, DeviceNumber, RetainedId, TenantId};
use rcseal_wire::login::LOGIN_NONCE_LEN;
use rcseal_wire::problem::ProblemCode;

use crate::support::acquainted::acquainted;
use crate::support::server::{Peer, Server};
use crate::support::vault;

/// What the server says.
#[derive(Default)]
struct Says {
    key: Option<ServerKey>,
    refusal: Option<ProblemCode>,
    pages: Vec<RetainedPage>,
    asked: Vec<String>,
}

fn key(seed: u8, region: &str) -> ServerKey {
    let public_key = public_in_software(&Secret::from_bytes([seed; 32])).unwrap().as_bytes().to_vec();
    ServerKey {
        tenant: Tenant { id: TenantId::from_bytes([7; 16]), name: "Example Ltd".to_owned() },
        key_id: server_key_id(&public_key),
        public_key: public_key.into(),
        region: region.to_owned(),
        classes: vec![RetentionClass { name: "standard".to_owned(), days: 365 }],
        default_class: "standard".to_owned(),
        not_after_ms: u64::MAX,
    }
}

fn message(sequence: u64, from: AccountId, words: &str) -> RetainedMessage {
    RetainedMessage {
        sequence,
        id: RetainedId::from_bytes([sequence as u8; 16]),
        from,
        from_device: DeviceNumber::PRIMARY,
        sent_at_ms: 1,
        class: "standard".to_owned(),
        expires_at_ms: u64::MAX,
        plaintext: Some(Base64(words.as_bytes().to_vec())),
        unreadable: None,
        readable_by: ReadableBy::Server,
    }
}

async fn serve(mut peer: Peer, says: Arc<Mutex<Says>>) {
    while let Some(request) = peer.request().await {
        match request.path.as_str() {
            "/v1/login/challenge" => {
                peer.answer_json(&LoginChallenge { nonce: Base64(vec![3; LOGIN_NONCE_LEN]) }).await;
            }
            "/v1/login" => {
                let token = "token".to_owned();
                peer.answer_json(&LoginResponse { token, expires_in_seconds: 900, reset_effective_at_ms: None }).await;
            }
            "/v1/server-key" => {
                let (key, refusal) = {
                    let says = says.lock().unwrap();
                    (says.key.clone(), says.refusal)
                };
                match (key, refusal) {
                    (Some(key), None) => peer.answer_json(&key).await,
                    (_, refusal) => peer.answer_problem(refusal.unwrap_or(ProblemCode::NotFound)).await,
                }
            }
            path if path.starts_with("/v1/retained?") => {
                let page = {
                    let mut says = says.lock().unwrap();
                    says.asked.push(path.to_owned());
                    if says.pages.is_empty() { None } else { Some(says.pages.remove(0)) }
                };
                match page {
                    Some(page) => peer.answer_json(&page).await,
                    None => peer.answer_problem(ProblemCode::KmsUnavailable).await,
                }
            }
            _ => peer.answer_problem(ProblemCode::Unavailable).await,
        }
    }
}

/// A client at the server, and a contact of its.
async fn at_server(folder: &Path) -> (Client, AccountId, Arc<Mutex<Says>>, Server) {
    let says = Arc::new(Mutex::new(Says::default()));
    let shared = Arc::clone(&says);
    let server = Server::start(move |peer| serve(peer, Arc::clone(&shared))).await;
    let origin = format!("https://127.0.0.1:{}", server.port);
    let path = folder.to_owned();
    let (ada, bob, _) = tokio::task::spawn_blocking(move || {
        let profile = TransportProfile {
            is_binary_safe: true,
            body_len_max: 1000,
            parts_max: 4,
            carries_headers: true,
            has_receipts: true,
        };
        let number = |text: &str| text.parse().unwrap();
        acquainted(&path, &origin, [(number("+15552010001"), profile.clone()), (number("+15552010002"), profile)])
    })
    .await
    .unwrap();
    let trust = TrustAnchors::from_pem(server.authority_pem().as_bytes()).unwrap();
    let config = Config::new(ada.folder.clone(), trust, Timeouts::default());
    let client = Client::open(config, Arc::new(vault(&ada.vault, "pass"))).await.unwrap();
    (client, bob.address.account, says, server)
}

#[tokio::test]
async fn a_servers_key_is_pinned_and_what_it_says_of_it_later_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _, says, _server) = at_server(folder.path()).await;
    assert_eq!(client.refresh_server_key().await.unwrap(), None, "the server has no such mode");
    says.lock().unwrap().key = Some(key(1, "eu-1"));
    let pinned = client.refresh_server_key().await.unwrap().unwrap();
    assert_eq!((pinned.state, pinned.key.region.as_str()), (ServerKeyState::Usable, "eu-1"));
    says.lock().unwrap().key = Some(key(2, "us-1"));
    let held = client.refresh_server_key().await.unwrap().unwrap();
    assert_eq!((held.state, held.key.clone()), (ServerKeyState::Held, pinned.key));
    client.accept_server_key(held.offered.unwrap().key_id).await.unwrap();
    assert_eq!(client.server_key().await.unwrap().unwrap().key.region, "us-1");
    for (code, state) in [
        (ProblemCode::ServerKeyDestroyed, ServerKeyState::Gone),
        (ProblemCode::RegionMismatch, ServerKeyState::RegionMismatch),
    ] {
        says.lock().unwrap().refusal = Some(code);
        assert_eq!(client.refresh_server_key().await.unwrap().unwrap().state, state);
    }
    // A module that is away for now says nothing of the key.
    says.lock().unwrap().refusal = Some(ProblemCode::KmsUnavailable);
    let error = client.refresh_server_key().await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("kms_unavailable", true));
}

#[tokio::test]
async fn what_a_server_keeps_is_fetched_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let (client, bob, says, _server) = at_server(folder.path()).await;
    let unreadable = RetainedMessage {
        plaintext: None,
        unreadable: Some(UnreadableReason::ServerKeyDestroyed),
        ..message(5, bob, "")
    };
    says.lock().unwrap().pages = vec![
        RetainedPage { messages: vec![message(2, bob, "one"), message(3, bob, "two")], more: true },
        RetainedPage { messages: vec![unreadable, message(9, bob, "three")], more: false },
    ];
    let taken = client.fetch_retained().await.unwrap();
    assert_eq!(taken, RetainedTaken { unannounced: 3, passed_over: 1, ..RetainedTaken::default() });
    let listed = client.retained_unannounced().await.unwrap();
    assert_eq!(listed.iter().map(|view| view.words.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
    client.dismiss_retained(2).await.unwrap();
    assert_eq!(client.retained_unannounced().await.unwrap().len(), 2);
    // The module is away, and then nothing is new.
    let error = client.fetch_retained().await.unwrap_err();
    assert_eq!(error.code(), "kms_unavailable");
    says.lock().unwrap().pages = vec![RetainedPage { messages: Vec::new(), more: false }];
    assert_eq!(client.fetch_retained().await.unwrap(), RetainedTaken::default());
    let asked = says.lock().unwrap().asked.clone();
    assert_eq!(asked, [0, 3, 9, 9].map(|after| format!("/v1/retained?after={after}")));
}

#[tokio::test]
async fn a_page_that_is_out_of_order_or_never_ends_breaks_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let (client, bob, says, _server) = at_server(folder.path()).await;
    let pages = [
        RetainedPage { messages: vec![message(3, bob, "b"), message(2, bob, "a")], more: false },
        RetainedPage { messages: vec![message(3, bob, "b"), message(3, bob, "b")], more: false },
        RetainedPage { messages: Vec::new(), more: true },
    ];
    for page in pages {
        says.lock().unwrap().pages = vec![page];
        let error = client.fetch_retained().await.unwrap_err();
        assert!(matches!(error, rcseal_client::ClientError::Net(NetError::Protocol(_))), "{error:?}");
    }
    assert!(client.retained_unannounced().await.unwrap().is_empty());
}
