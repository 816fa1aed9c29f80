//! A device that logs in, and the server's side of that.

use std::sync::Arc;

use rcseal_client::net::LoginSigner;
use rcseal_crypto::ed25519::{Signature, SigningKey};
use rcseal_wire::api::{Base64, LoginChallenge, LoginRequest, LoginResponse};
use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber};
use rcseal_wire::login::{LOGIN_NONCE_LEN, TLS_EXPORTER_LABEL, TLS_EXPORTER_LEN, login_bytes};
use rcseal_wire::origin::Origin;

use super::server::Peer;

pub(crate) fn address() -> DeviceAddress {
    DeviceAddress { account: AccountId::from_bytes([4; 16]), device: DeviceNumber::PRIMARY }
}

fn key() -> SigningKey {
    SigningKey::from_seed([8; 32])
}

struct Signer;

impl LoginSigner for Signer {
    fn sign(
        &self,
        origin: &Origin,
        exporter: &[u8; TLS_EXPORTER_LEN],
        nonce: &[u8; LOGIN_NONCE_LEN],
    ) -> Result<LoginRequest, Box<dyn std::error::Error + Send + Sync>> {
        let signature = key().sign(&[&login_bytes(origin, exporter, address(), nonce)]);
        Ok(LoginRequest {
            account: address().account,
            device: address().device,
            signature: Base64(signature.as_bytes().to_vec()),
        })
    }
}

pub(crate) fn signer() -> Arc<dyn LoginSigner> {
    Arc::new(Signer)
}

/// Plays the server's part of a login; the signature must hold for this connection.
pub(crate) async fn serve_login(peer: &mut Peer, token: &str) {
    serve_login_with(peer, token, None).await;
}

/// The same at a server where a reset of the account is pending.
pub(crate) async fn serve_login_with(peer: &mut Peer, token: &str, reset_effective_at_ms: Option<u64>) {
    let origin = origin_of(peer);
    let nonce = [peer.number as u8; LOGIN_NONCE_LEN];
    let challenge = peer.request().await.unwrap();
    assert_eq!(challenge.path, "/v1/login/challenge");
    peer.answer_json(&LoginChallenge { nonce: Base64(nonce.to_vec()) }).await;
    let request = peer.request().await.unwrap();
    assert_eq!(request.path, "/v1/login");
    let login: LoginRequest = serde_json::from_slice(&request.body).unwrap();
    let exporter =
        peer.stream.get_ref().1.export_keying_material([0; TLS_EXPORTER_LEN], TLS_EXPORTER_LABEL, None).unwrap();
    let signature = Signature(login.signature.0.try_into().unwrap());
    key().verifying_key().verify(&[&login_bytes(&origin, &exporter, address(), &nonce)], &signature).unwrap();
    let response = LoginResponse { token: token.to_owned(), expires_in_seconds: 900, reset_effective_at_ms };
    peer.answer_json(&response).await;
}

/// The origin a peer was reached under.
fn origin_of(peer: &Peer) -> Origin {
    let port = peer.stream.get_ref().0.local_addr().unwrap().port();
    format!("https://127.0.0.1:{port}").parse().unwrap()
}
