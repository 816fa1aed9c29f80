//! Logins, and which connection a request goes over.

use rcseal_client::net::{Authenticated, Fault, NetError};
use rcseal_wire::api::PrekeyCounts;
use rcseal_wire::problem::ProblemCode;

use crate::support::device::{serve_login, signer};
use crate::support::server::{Peer, Server};

const COUNTS: PrekeyCounts = PrekeyCounts { one_time: 1, one_time_kem: 2, low: true };

#[tokio::test]
async fn a_device_logs_in_once_and_its_requests_share_the_connection() {
    let server = Server::start(|mut peer: Peer| async move {
        serve_login(&mut peer, "the-token").await;
        while let Some(request) = peer.request().await {
            assert_eq!(request.header("authorization"), Some("Bearer the-token"));
            peer.answer_json(&COUNTS).await;
        }
    })
    .await;
    let device = Authenticated::new(server.endpoint(), signer());
    for _ in 0..3 {
        assert_eq!(device.prekey_counts().await.unwrap(), COUNTS);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refused_login_is_a_problem_and_not_tried_again() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.answer_problem(ProblemCode::LoginRefused).await;
    })
    .await;
    let error = Authenticated::new(server.endpoint(), signer()).prekey_counts().await.unwrap_err();
    assert_eq!((error.problem(), error.is_retryable()), (Some(ProblemCode::LoginRefused), false));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_expired_token_leads_to_one_new_login() {
    let server = Server::start(|mut peer: Peer| async move {
        serve_login(&mut peer, "t").await;
        peer.request().await;
        peer.answer_json(&COUNTS).await;
        if peer.request().await.is_some() {
            peer.answer_problem(ProblemCode::TokenExpired).await;
        }
    })
    .await;
    let device = Authenticated::new(server.endpoint(), signer());
    device.prekey_counts().await.unwrap();
    assert_eq!(device.prekey_counts().await.unwrap(), COUNTS);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_lost_between_requests_is_replaced() {
    let server = Server::start(|mut peer: Peer| async move {
        serve_login(&mut peer, "t").await;
        peer.request().await;
        peer.answer_json(&COUNTS).await;
        // And hangs up.
    })
    .await;
    let device = Authenticated::new(server.endpoint(), signer());
    for _ in 0..2 {
        assert_eq!(device.prekey_counts().await.unwrap(), COUNTS);
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_nonce_or_token_of_the_wrong_form_is_a_protocol_error() {
    for (nonce_len, token) in [(31, "t"), (32, "two words\r\nx: y")] {
        let server = Server::start(move |mut peer: Peer| async move {
            peer.request().await;
            let nonce = rcseal_wire::api::Base64(vec![0; nonce_len]);
            peer.answer_json(&rcseal_wire::api::LoginChallenge { nonce }).await;
            if peer.request().await.is_some() {
                peer.answer_json(&rcseal_wire::api::LoginResponse {
                    token: token.to_owned(),
                    expires_in_seconds: 1,
                    reset_effective_at_ms: None,
                })
                .await;
            }
        })
        .await;
        let error = Authenticated::new(server.endpoint(), signer()).prekey_counts().await.unwrap_err();
        assert!(matches!(error, NetError::Protocol(Fault::Body)), "{error:?}");
    }
}
