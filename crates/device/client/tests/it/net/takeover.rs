//! Taking an account back, what devices hear of it, and the key map: each call at its path, with its body, and every refusal by its code.

use rcseal_client::net::{Anonymous, Authenticated, Fault, NetError};
use rcseal_wire::api::{
    Base64, DeliveryTokens, DeviceUpload, KeyMap, KeySetBasis, KeySetProof, PendingReset, RecoveryRequest,
    ResetAccepted, ResetRequest, ResetStatus,
};
use rcseal_wire::id::{AccountId, DeliveryTokenHash, KeySetHash, MailboxId};
use rcseal_wire::problem::ProblemCode;

use crate::support::device::{serve_login, serve_login_with, signer};
use crate::support::server::{Peer, Server};

const ACCOUNT: AccountId = AccountId::from_bytes([4; 16]);

fn path(end: &str) -> String {
    format!("/v1/accounts/{ACCOUNT}/{end}")
}

fn device() -> DeviceUpload {
    DeviceUpload {
        mailbox: MailboxId::from_bytes([1; 16]),
        signed: None,
        last_resort: None,
        one_time: vec![],
        one_time_kem: vec![],
    }
}

fn recovery() -> RecoveryRequest {
    RecoveryRequest { key_set: Base64(vec![1, 2, 3]), device: device(), account_signature: None }
}

fn reset() -> ResetRequest {
    ResetRequest { ticket: "rst-x".to_owned(), key_set: Base64(vec![1, 2, 3]), device: device() }
}

/// Reads one request that shows nothing of who asks, and answers it with `code`.
async fn refuse(peer: &mut Peer, code: ProblemCode) {
    let request = peer.request().await.unwrap();
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("rcseal-delivery-token"), None);
    peer.answer_problem(code).await;
}

#[tokio::test]
async fn the_key_set_is_read_by_recovery_key_or_ticket_on_a_connection_of_its_own() {
    let server = Server::start(|mut peer| async move {
        let request = peer.request().await.unwrap();
        assert_eq!((request.method.as_str(), &request.path), ("POST", &path("key-set")));
        assert_eq!(request.header("authorization"), None);
        let proof: KeySetProof = serde_json::from_slice(&request.body).unwrap();
        assert!(proof.recovery_key.is_some() != proof.reset_ticket.is_some());
        peer.answer_json(&KeySetBasis { key_set: Base64(vec![9]), now_ms: 5, reset_delay_seconds: 7 }).await;
    })
    .await;
    let anonymous = Anonymous::new(server.endpoint());
    for proof in [
        KeySetProof { recovery_key: Some(Base64(vec![1; 32])), reset_ticket: None, account_signature: None },
        KeySetProof { recovery_key: None, reset_ticket: Some("rst-x".to_owned()), account_signature: None },
    ] {
        let basis = anonymous.key_set_by_proof(&ACCOUNT, &proof).await.unwrap();
        assert_eq!((basis.key_set.0, basis.now_ms, basis.reset_delay_seconds), (vec![9], 5, 7));
        assert_eq!(format!("{proof:?}"), "KeySetProof");
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_recovery_and_a_reset_are_sent_as_they_are_and_say_how_they_ended() {
    let server = Server::start(|mut peer| async move {
        let request = peer.request().await.unwrap();
        assert_eq!(request.method, "POST");
        if request.path == path("recovery") {
            let body: RecoveryRequest = serde_json::from_slice(&request.body).unwrap();
            assert_eq!((body.key_set, body.device), (recovery().key_set, device()));
            peer.answer(204, "", b"").await;
        } else {
            assert_eq!(request.path, path("reset"));
            let body: ResetRequest = serde_json::from_slice(&request.body).unwrap();
            assert_eq!((body.ticket, body.key_set), (reset().ticket, reset().key_set));
            peer.answer_json(&ResetAccepted { effective_at_ms: 9, in_force: false }).await;
        }
    })
    .await;
    let anonymous = Anonymous::new(server.endpoint());
    anonymous.recover(&ACCOUNT, &recovery()).await.unwrap();
    let accepted = anonymous.request_reset(&ACCOUNT, &reset()).await.unwrap();
    assert_eq!(accepted, ResetAccepted { effective_at_ms: 9, in_force: false });
    assert!(!format!("{:?}", reset()).contains("rst-"));
}

#[tokio::test]
async fn refusals_of_takeovers_are_told_apart_and_not_worth_repeating() {
    for code in [
        ProblemCode::RecoveryRefused,
        ProblemCode::ResetTicketRefused,
        ProblemCode::KeySetConflict,
        ProblemCode::KeySetRollback,
        ProblemCode::KeySetInvalid,
        ProblemCode::MailboxTaken,
    ] {
        let server = Server::start(move |mut peer| async move { refuse(&mut peer, code).await }).await;
        let anonymous = Anonymous::new(server.endpoint());
        for error in [
            anonymous.recover(&ACCOUNT, &recovery()).await.unwrap_err(),
            anonymous.request_reset(&ACCOUNT, &reset()).await.unwrap_err(),
        ] {
            assert_eq!((error.problem(), error.code(), error.is_retryable()), (Some(code), code.as_str(), false));
        }
    }
    let server = Server::start(|mut peer| async move { refuse(&mut peer, ProblemCode::RateLimited).await }).await;
    assert!(Anonymous::new(server.endpoint()).recover(&ACCOUNT, &recovery()).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_device_hears_of_a_reset_at_login_looks_at_it_and_vetoes() {
    let waiting = PendingReset { requested_at_ms: 1, effective_at_ms: 9, key_set: Base64(vec![3]) };
    let server = Server::start(move |mut peer| {
        let waiting = waiting.clone();
        async move {
            serve_login_with(&mut peer, "t", Some(9)).await;
            let request = peer.request().await.unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/account/reset"));
            assert_eq!(request.header("authorization"), Some("Bearer t"));
            peer.answer_json(&ResetStatus { pending: Some(waiting) }).await;
            let request = peer.request().await.unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("DELETE", "/v1/account/reset"));
            peer.answer(204, "", b"").await;
            peer.request().await.unwrap();
            peer.answer_json(&ResetStatus { pending: None }).await;
        }
    })
    .await;
    let device = Authenticated::new(server.endpoint(), signer());
    assert_eq!(device.announced_reset(), None, "nothing was asked yet");
    let pending = device.pending_reset().await.unwrap().unwrap();
    assert_eq!((pending.requested_at_ms, pending.effective_at_ms, pending.key_set.0), (1, 9, vec![3]));
    assert_eq!(device.announced_reset(), Some(9));
    device.veto_reset().await.unwrap();
    assert_eq!(device.pending_reset().await.unwrap(), None);
}

#[tokio::test]
async fn a_device_reads_its_accounts_key_map_and_delivery_tokens() {
    let map = KeyMap { counter: 3, key_set_hash: KeySetHash::from_bytes([7; 32]), devices: vec![], retired: vec![] };
    let served = map.clone();
    let server = Server::start(move |mut peer| {
        let served = served.clone();
        async move {
            serve_login(&mut peer, "t").await;
            let request = peer.request().await.unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/account/key-map"));
            peer.answer_json(&served).await;
            let request = peer.request().await.unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/account/delivery-tokens"));
            peer.answer_json(&DeliveryTokens { hashes: vec![DeliveryTokenHash::from_bytes([5; 32])] }).await;
            peer.request().await.unwrap();
            peer.answer(200, "content-type: application/json\r\n", b"{\"counter\":-1}").await;
        }
    })
    .await;
    let device = Authenticated::new(server.endpoint(), signer());
    assert_eq!(device.key_map().await.unwrap(), map);
    assert_eq!(device.delivery_tokens().await.unwrap(), [DeliveryTokenHash::from_bytes([5; 32])]);
    let error = device.key_map().await.unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Body)), "{error:?}");
}
