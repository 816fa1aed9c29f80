//! Taking an account over at a server that makes it difficult.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rcseal_client::client::Status;
use rcseal_client::net::TrustAnchors;
use rcseal_client::{Client, ClientError, Config};
use rcseal_credential::{KeySetError, UnverifiedKeySet, VerifiedKeySet};
use rcseal_crypto::secret::Secret;
use rcseal_engine::account::{AccountError, AccountState, NewAccount};
use rcseal_engine::store::memory::MemoryStore;
use rcseal_engine::{Engine, UnixMillis};
use rcseal_wire::api::{Base64, KeySetBasis, KeySetProof, RecoveryRequest, ResetAccepted, ResetRequest};
use rcseal_wire::id::{AccountId, Custody, Platform};
use rcseal_wire::problem::ProblemCode;

use crate::support::server::{Received, Server, impatient};
use crate::support::vault;

const DELAY_SECONDS: u64 = 60;

fn new_account(port: u16) -> NewAccount {
    NewAccount {
        origin: format!("https://127.0.0.1:{port}").parse().unwrap(),
        platform: Platform::Desktop,
        custody: Custody::User,
        display_name: "Ada".to_owned(),
    }
}

/// The device that is lost: its account, its recovery key, its key set, and one that it signed after that.
struct Lost {
    account: AccountId,
    recovery_seed: Secret<32>,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Lost {
    fn new() -> Self {
        let (mut store, mut rng) = (MemoryStore::new(), ChaCha20Rng::seed_from_u64(1));
        store
            .run(|tx| {
                let mut engine = Engine::new(tx, UnixMillis(1), &mut rng);
                let created = engine.create_account(&new_account(1))?;
                let first = engine.registration_request(None)?.key_set.0;
                engine.handle_registered()?;
                engine.rotate_account_key()?;
                let second = engine.unpublished_key_set()?.unwrap();
                let (account, recovery_seed) = (created.account, created.recovery_seed);
                Ok::<_, AccountError>(Self { account, recovery_seed, first, second })
            })
            .unwrap()
    }
}

/// The end of a path, and the body.
type Question = (String, Vec<u8>);

/// What a server was asked, in order.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Question>>>);

impl Asked {
    fn note(&self, request: &Received) -> usize {
        let end = request.path.rsplit('/').next().unwrap().to_owned();
        let mut asked = self.0.lock().unwrap();
        let before = asked.iter().filter(|(path, _)| *path == end).count();
        asked.push((end, request.body.clone()));
        before
    }

    fn bodies(&self, end: &str) -> Vec<Vec<u8>> {
        let asked = self.0.lock().unwrap();
        asked.iter().filter(|(path, _)| path == end).map(|(_, body)| body.clone()).collect()
    }
}

async fn client(server: &Server, folder: &Path) -> Client {
    let trust = TrustAnchors::from_pem(server.authority_pem().as_bytes()).unwrap();
    let config = Config::new(folder.join("client"), trust, impatient());
    Client::open(config, Arc::new(vault(&folder.join("vault"), "pass"))).await.unwrap()
}

/// What a server says to anything but a question for the key set.
enum Answer {
    Done,
    Problem(ProblemCode),
    Accepted(ResetAccepted),
}

/// A server that shows a key set, another one from the second question on, and answers the rest by the end of the path and how often it was
/// asked that before.
async fn serving(shown: [&[u8]; 2], answer: fn(&str, usize) -> Answer) -> (Server, Asked) {
    let asked = Asked::default();
    let (shown, noted) = (shown.map(<[u8]>::to_vec), asked.clone());
    let server = Server::start(move |mut peer| {
        let (shown, noted) = (shown.clone(), noted.clone());
        async move {
            while let Some(request) = peer.request().await {
                let before = noted.note(&request);
                let end = request.path.rsplit('/').next().unwrap();
                if end == "key-set" {
                    let key_set = Base64(shown[before.min(1)].clone());
                    peer.answer_json(&KeySetBasis { key_set, now_ms: 1_000, reset_delay_seconds: DELAY_SECONDS }).await;
                    continue;
                }
                match answer(end, before) {
                    Answer::Done => peer.answer(204, "", b"").await,
                    Answer::Problem(code) => peer.answer_problem(code).await,
                    Answer::Accepted(accepted) => peer.answer_json(&accepted).await,
                }
            }
        }
    })
    .await;
    (server, asked)
}

fn parse(bytes: &[u8]) -> VerifiedKeySet {
    UnverifiedKeySet::parse(bytes).unwrap().verify().unwrap()
}

#[tokio::test]
async fn a_recovery_that_lost_a_race_is_signed_again_on_the_newer_key_set() {
    let lost = Lost::new();
    let (server, asked) = serving([&lost.first, &lost.second], |_, before| match before {
        0 => Answer::Problem(ProblemCode::KeySetConflict),
        _ => Answer::Done,
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ada = client(&server, folder.path()).await;
    let started = ada.begin_recovery(lost.account, new_account(server.port), lost.recovery_seed).await.unwrap();
    assert_eq!(ada.account().await.unwrap().unwrap().state, AccountState::Recovering);
    ada.finish_recovery().await.unwrap();
    assert_eq!(ada.account().await.unwrap().unwrap().state, AccountState::Active);

    let sent: Vec<VerifiedKeySet> = asked
        .bodies("recovery")
        .iter()
        .map(|body| parse(&serde_json::from_slice::<RecoveryRequest>(body).unwrap().key_set.0))
        .collect();
    assert_eq!(sent[0].previous(), Some(parse(&lost.first).hash()));
    assert_eq!(sent[1].previous(), Some(parse(&lost.second).hash()));
    // The code that was shown once is the account's, however often it was signed.
    assert_eq!(sent[0].recovery_commitments(), sent[1].recovery_commitments());
    let key = rcseal_credential::RecoveryKey::from_seed(*started.recovery_seed.unwrap().expose());
    assert_eq!(sent[1].recovery_rank(&key.public_key()), Some(0));
    // The server saw the public half of the old key, and nothing that could sign.
    for body in asked.bodies("key-set") {
        let proof: KeySetProof = serde_json::from_slice(&body).unwrap();
        assert!(proof.recovery_key.is_some() && proof.reset_ticket.is_none());
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_same_recovery_is_not_asked_for_ever() {
    let lost = Lost::new();
    let conflict = |_: &str, _| Answer::Problem(ProblemCode::KeySetConflict);
    let (server, asked) = serving([&lost.first, &lost.first], conflict).await;
    let folder = tempfile::tempdir().unwrap();
    let ada = client(&server, folder.path()).await;
    ada.begin_recovery(lost.account, new_account(server.port), lost.recovery_seed).await.unwrap();
    let refused = ada.finish_recovery().await.unwrap_err();
    assert_eq!(refused.code(), "key_set_conflict");
    assert_eq!(asked.bodies("recovery").len(), 1);
    // It can be tried again, or given up.
    assert_eq!(ada.account().await.unwrap().unwrap().state, AccountState::Recovering);
    ada.abandon_takeover().await.unwrap();
    assert!(ada.account().await.unwrap().is_none());
}

#[tokio::test]
async fn a_code_of_another_account_is_refused_before_anything_is_sent_but_the_question() {
    let lost = Lost::new();
    let (server, asked) = serving([&lost.first, &lost.first], |_, _| Answer::Done).await;
    let folder = tempfile::tempdir().unwrap();
    let ada = client(&server, folder.path()).await;
    let wrong = Secret::from_bytes([7; 32]);
    let refused = ada.begin_recovery(lost.account, new_account(server.port), wrong).await.unwrap_err();
    let ClientError::Account(AccountError::Build(rcseal_credential::BuildError::Refused(cause))) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(cause, KeySetError::RecoveryKey);
    let other = ada.begin_recovery(AccountId::from_bytes([9; 16]), new_account(server.port), lost.recovery_seed).await;
    assert!(matches!(other.unwrap_err(), ClientError::Account(AccountError::OtherAccount)));
    assert!(asked.bodies("recovery").is_empty());
    assert!(ada.account().await.unwrap().is_none());
}

#[tokio::test]
async fn a_device_that_waits_for_its_reset_asks_again_and_then_has_the_account() {
    let lost = Lost::new();
    let (server, asked) = serving([&lost.first, &lost.first], |end, before| match end {
        "reset" => Answer::Accepted(ResetAccepted { effective_at_ms: 61_000, in_force: before >= 2 }),
        // The device logs in, which is another story.
        _ => Answer::Problem(ProblemCode::LoginRefused),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ada = client(&server, folder.path()).await;
    ada.begin_reset(lost.account, new_account(server.port), "a-ticket".to_owned()).await.unwrap();
    let accepted = ada.finish_reset().await.unwrap();
    assert_eq!(accepted, ResetAccepted { effective_at_ms: 61_000, in_force: false });
    assert_eq!(ada.account().await.unwrap().unwrap().state, AccountState::Resetting);
    let request: ResetRequest = serde_json::from_slice(&asked.bodies("reset")[0]).unwrap();
    assert_eq!(request.ticket, "a-ticket");
    let rcseal_credential::SuccessionProof::Reset { not_before_ms } = *parse(&request.key_set.0).proof() else {
        panic!("not a reset")
    };
    assert_eq!(not_before_ms, 1_000 + DELAY_SECONDS * 1000);

    // Running, it asks by itself. The account is its own with the server's second answer, and it goes on to log in.
    let mut status = ada.status();
    let waited =
        async { status.wait_for(|status| matches!(status, Status::Offline { code: "reset_pending" })).await.map(drop) };
    let (ended, waited) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(30), ada.run(std::future::pending())),
        tokio::time::timeout(Duration::from_secs(30), waited)
    );
    waited.unwrap().unwrap();
    assert_eq!(ended.unwrap().unwrap_err().code(), "login_refused");
    assert_eq!(ada.account().await.unwrap().unwrap().state, AccountState::Active);
    assert_eq!(asked.bodies("reset").len(), 3);
    let twice = ada.finish_reset().await.unwrap_err();
    assert!(matches!(twice, ClientError::Account(AccountError::NoTakeover)), "{twice:?}");
}
