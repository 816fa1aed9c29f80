//! What the server logs: events, and nothing that anybody could use.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use rcseal_wire::api::{BlobCreate, BlobCreated, BundlesRequest};
use rcseal_wire::b64;
use rcseal_wire::id::{DeviceNumber, Digest};
use tracing_subscriber::EnvFilter;

use crate::support::{TestServer, device_upload};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of this whole test process, everything of ours and what the libraries say by default.
fn captured() -> &'static Captured {
    static CAPTURED: OnceLock<Captured> = OnceLock::new();
    CAPTURED.get_or_init(|| {
        let captured = Captured::default();
        let writer = captured.clone();
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("info,rcseal_front=trace,rcseal_server=trace,rcseal_store=trace"))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        captured
    })
}

#[tokio::test]
async fn logs_hold_no_id_no_token_and_no_address() {
    let captured = captured();
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    client.put("/v1/device", &device_upload(owner.mailbox, 1, 5)).await;
    let push = serde_json::json!({"provider": "fcm", "token": b64::encode(b"the push token"), "app": "an-app-of-mine"});
    let handle = client.put("/v1/push", &push).await.json::<serde_json::Value>()["handle"].as_str().unwrap().to_owned();
    let mut contact = server.contact(&owner).await;
    let bundles = BundlesRequest { devices: vec![DeviceNumber::PRIMARY] };
    contact.post(&format!("/v1/accounts/{}/bundles", owner.account), &bundles).await;
    let blob = BlobCreate { size: 5, digest: Digest::from_bytes([1; 32]), ttl_seconds: 60 };
    let blob: BlobCreated = client.post("/v1/blobs", &blob).await.json();
    let token = client.token.replace("wrong".to_owned()).unwrap();
    client.get("/v1/device/prekeys").await;
    let wrong_key = rcseal_crypto::ed25519::SigningKey::from_seed([1; 32]);
    crate::support::log_in(&server, &mut client, owner.address(), &wrong_key).await;
    let ticket = rcseal_server::create_reset_ticket(&server.config.storage.path, &owner.account, 60).await.unwrap();
    let reset = owner.reset(&owner.key_set, 0);
    let mut stranger = server.connect().await;
    stranger.post(&format!("/v1/accounts/{}/reset", owner.account), &reset.reset_request(&ticket)).await;
    client.token = Some(token.clone());
    client.delete("/v1/account/reset").await;
    let back = owner.recovered(&owner.key_set);
    stranger.post(&format!("/v1/accounts/{}/recovery", owner.account), &back.recovery_request()).await;
    server.running.shutdown().await;

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let events = [
        "registered",
        "login_refused",
        "reset_ticket_created",
        "reset_requested",
        "reset_vetoed",
        "recovered",
        "stopped",
    ];
    for event in events {
        assert!(log.contains(&format!("event=\"{event}\"")), "{event} is not in the log");
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (what, text) in [
        ("account", owner.account.to_string()),
        ("account bytes", hex(owner.account.as_bytes())),
        ("mailbox", owner.mailbox.to_string()),
        ("mailbox bytes", hex(owner.mailbox.as_bytes())),
        ("delivery token", owner.delivery_token.expose_text()),
        ("delivery token hash", owner.delivery_token.hash().to_string()),
        ("login token", token),
        ("push token", b64::encode(b"the push token")),
        ("push token's bytes", "the push token".to_owned()),
        ("push handle", handle),
        ("blob", blob.id.to_string()),
        ("reset ticket", ticket),
        ("recovery key", b64::encode(owner.recovery_key.public_key().as_bytes())),
        ("new mailbox", back.mailbox.to_string()),
        ("key set", b64::encode(&owner.key_set.as_bytes()[..30])),
    ] {
        assert!(!log.contains(&text), "the log holds the {what}");
    }
}
