//! Remote configuration and counting, through a client's own store.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rcseal_client::client::{Counted, RemoteConfigError, RemoteKey};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::{Client, ClientError, Config};
use rcseal_crypto::ed25519::SigningKey;
use rcseal_wire::id::{Custody, Platform};
use rcseal_wire::remote_config::RemoteConfig;

use crate::support::vault;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

async fn open(folder: &Path, change: impl FnOnce(&mut Config)) -> Client {
    let mut config = Config::new(folder.join("client"), TrustAnchors::none(), Timeouts::default());
    change(&mut config);
    Client::open(config, Arc::new(vault(&folder.join("vault"), "pass"))).await.unwrap()
}

async fn with_key(folder: &Path, seed: u8) -> Client {
    open(folder, |config| config.remote_config_key = Some(*key(seed).verifying_key().as_bytes())).await
}

fn document(counter: u64, valid_seconds: i64, values: &[(&str, u64)]) -> Vec<u8> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let expires = u64::try_from(now + valid_seconds * 1000).unwrap();
    RemoteConfig::sign(counter, u64::try_from(now).unwrap(), expires, values, &key(1))
}

async fn refused(client: &Client, document: Vec<u8>) -> RemoteConfigError {
    match client.apply_remote_config(document).await.unwrap_err() {
        ClientError::RemoteConfig(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_document_counts_until_a_newer_one_and_an_older_one_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_key(folder.path(), 1).await;
    assert_eq!(client.remote_config().await.unwrap().counter, 0);
    let (second, first) = (document(2, 3600, &[("canary_percent", 100), ("later", 5)]), document(1, 3600, &[]));
    let view = client.apply_remote_config(second.clone()).await.unwrap();
    assert_eq!((view.counter, view.is_expired, view.is_canary), (2, false, true));
    assert_eq!((view.values, view.unknown), (vec![(RemoteKey::CanaryPercent, 100)], vec!["later".to_owned()]));
    assert_eq!(refused(&client, first.clone()).await, RemoteConfigError::Rollback);
    drop(client);
    let client = with_key(folder.path(), 1).await;
    assert_eq!(client.remote_config().await.unwrap().counter, 2, "it is kept");
    assert_eq!(refused(&client, first).await, RemoteConfigError::Rollback, "also over a restart");
    assert_eq!(client.apply_remote_config(second).await.unwrap().counter, 2, "the same may come again");
    let twin = document(2, 3600, &[("no_sms", 1)]);
    assert_eq!(refused(&client, twin).await, RemoteConfigError::Rollback, "another one of the same number may not");
    let old = document(3, -1, &[]);
    assert_eq!(refused(&client, old).await, RemoteConfigError::Expired);
    let mut changed = document(4, 3600, &[]);
    let last = changed.len() - 2;
    changed[last] ^= 1;
    assert!(matches!(refused(&client, changed).await, RemoteConfigError::Document(_)));
    drop(client);
    // An app with another key does not take what the former one signed.
    let client = with_key(folder.path(), 2).await;
    assert_eq!(client.remote_config().await.unwrap().counter, 0);
    assert_eq!(refused(&client, document(9, 3600, &[])).await.code(), "remote_config_signature");
    drop(client);
    let client = open(folder.path(), |_| {}).await;
    assert_eq!(refused(&client, document(9, 3600, &[])).await, RemoteConfigError::Off);
}

#[tokio::test]
async fn what_is_switched_off_is_refused_until_the_document_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_key(folder.path(), 1).await;
    let off = document(1, 3600, &[("no_linking", 1), ("no_new_readable", 1)]);
    client.apply_remote_config(off).await.unwrap();
    let origin: rcseal_wire::origin::Origin = "https://127.0.0.1:9".parse().unwrap();
    let refused = client.link_start(origin.clone(), Platform::Ios, Custody::User).await.unwrap_err();
    assert_eq!(refused.code(), "remote_config_switched_off");
    let number: rcseal_rcs::number::PhoneNumber = "+12015550101".parse().unwrap();
    let refused = client.send_plain(number, "words".to_owned()).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::RemoteConfig(RemoteConfigError::SwitchedOff(RemoteKey::NoNewReadable))),
        "{refused:?}"
    );
    client.apply_remote_config(document(2, 3600, &[])).await.unwrap();
    let other = client.link_start(origin, Platform::Ios, Custody::User).await.unwrap_err();
    assert_ne!(other.code(), "remote_config_switched_off");
}

#[tokio::test]
async fn nothing_is_counted_unless_the_app_says_so_and_nobody_forbids_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(open(folder.path(), |_| {}).await.telemetry_report().await.unwrap(), None);
    let client = open(folder.path(), |config| {
        config.telemetry = true;
        config.remote_config_key = Some(*key(1).verifying_key().as_bytes());
    })
    .await;
    let report = client.telemetry_report().await.unwrap().unwrap();
    assert_eq!(report.counts, Counted::ALL.map(|what| (what, 0)));
    client.apply_remote_config(document(1, 3600, &[("no_telemetry", 1)])).await.unwrap();
    assert_eq!(client.telemetry_report().await.unwrap(), None);
}
