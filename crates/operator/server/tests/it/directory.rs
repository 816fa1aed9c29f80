//! Key sets, prekeys and delivery tokens.

use std::collections::HashSet;

use rcseal_credential::{Succession, UnverifiedKeySet};
use rcseal_crypto::hash::sha256;
use rcseal_store::{FjallStore, Store as _, StoreLimits};
use rcseal_wire::api::{
    BundlesRequest, BundlesResponse, DeliveryTokens, KeyMap, KeyMapDevice, KeyMapPrekey, KeySetBody, KeySetsBody,
    PrekeyCounts,
};
use rcseal_wire::id::{AccountId, DeviceNumber, Digest, MailboxId};
use rcseal_wire::token::DeliveryToken;

use crate::support::{START, TestServer, body, device_upload};

const KEY_SET: &str = "/v1/account/key-set";

fn primary() -> BundlesRequest {
    BundlesRequest { devices: vec![DeviceNumber::PRIMARY] }
}

fn bundles(account: AccountId) -> String {
    format!("/v1/accounts/{account}/bundles")
}

#[tokio::test]
async fn the_successor_of_a_key_set_is_stored_and_served() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let (next, _) = owner.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&next)).await.status, 204);
    assert_eq!(client.put(KEY_SET, &body(&next)).await.status, 204);
    let mut contact = server.contact(&owner).await;
    let served: KeySetBody = contact.get(&format!("/v1/accounts/{}/key-set", owner.account)).await.json();
    assert_eq!(served.key_set.0, next.as_bytes());
    let all: KeySetsBody = contact.get(&format!("/v1/accounts/{}/key-sets?from=1", owner.account)).await.json();
    assert_eq!(
        all.key_sets.iter().map(|key_set| key_set.0.as_slice()).collect::<Vec<_>>(),
        [owner.key_set.as_bytes(), next.as_bytes()]
    );
}

#[tokio::test]
async fn of_concurrent_successors_exactly_one_wins() {
    let server = TestServer::start().await;
    let (owner, client) = server.registered().await;
    let mut attempts = Vec::new();
    for _ in 0..16 {
        let (next, _) = owner.with_linked_device();
        let mut rival = server.connect().await;
        rival.token.clone_from(&client.token);
        attempts.push(tokio::spawn(async move { (rival.put(KEY_SET, &body(&next)).await, next) }));
    }
    let mut winners = Vec::new();
    for attempt in attempts {
        let (reply, next) = attempt.await.unwrap();
        match reply.status {
            204 => winners.push(next),
            _ => assert_eq!(reply.code(), "key_set_conflict"),
        }
    }
    assert_eq!(winners.len(), 1);
    let mut contact = server.contact(&owner).await;
    let served: KeySetBody = contact.get(&format!("/v1/accounts/{}/key-set", owner.account)).await.json();
    assert_eq!(served.key_set.0, winners[0].as_bytes());
}

#[tokio::test]
async fn rollback_fork_gap_and_forgery_are_told_apart() {
    let server = TestServer::start().await;
    let (mut owner, mut client) = server.registered().await;
    let first = owner.key_set.clone();
    let (second, _) = owner.with_linked_device();
    let (rival_second, _) = owner.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&second)).await.status, 204);
    assert_eq!(client.put(KEY_SET, &body(&first)).await.code(), "key_set_rollback");
    assert_eq!(client.put(KEY_SET, &body(&rival_second)).await.code(), "key_set_conflict");
    owner.key_set = rival_second;
    let (on_rival, _) = owner.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&on_rival)).await.code(), "key_set_fork");
    owner.key_set = second;
    owner.key_set = owner.with_linked_device().0;
    let (skipping, _) = owner.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&skipping)).await.code(), "key_set_conflict");
    let mut forged = body(&owner.key_set);
    *forged.key_set.0.last_mut().unwrap() ^= 1;
    assert_eq!(client.put(KEY_SET, &forged).await.code(), "key_set_invalid");
}

#[tokio::test]
async fn a_device_cannot_publish_for_another_account() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let (other, _) = server.registered().await;
    let (next, _) = other.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&next)).await.code(), "forbidden");
}

#[tokio::test]
async fn reading_needs_a_delivery_token_or_the_accounts_own_login() {
    let server = TestServer::start().await;
    let (owner, mut own) = server.registered().await;
    let (stranger, mut other) = server.registered().await;
    let path = format!("/v1/accounts/{}/key-set", owner.account);
    assert_eq!(own.get(&path).await.status, 200);
    assert_eq!(other.get(&path).await.code(), "forbidden");
    let mut anonymous = server.connect().await;
    assert_eq!(anonymous.get(&path).await.code(), "unauthenticated");
    anonymous.delivery_token = Some(stranger.delivery_token.expose_text());
    let wrong = anonymous.get(&path).await;
    assert_eq!(wrong.code(), "forbidden");
    assert_eq!(anonymous.post(&bundles(owner.account), &primary()).await.code(), "forbidden");
    // An account that does not exist looks the same.
    let nobody = AccountId::generate(&mut rand::rng());
    assert_eq!(anonymous.get(&format!("/v1/accounts/{nobody}/key-set")).await.body, wrong.body);
    anonymous.delivery_token = Some("not a token".to_owned());
    assert_eq!(anonymous.get(&path).await.code(), "forbidden");
}

#[tokio::test]
async fn replaced_delivery_tokens_no_longer_open_the_account() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let mut contact = server.contact(&owner).await;
    let path = format!("/v1/accounts/{}/key-set", owner.account);
    assert_eq!(contact.get(&path).await.status, 200);
    let fresh = DeliveryToken::generate(&mut rand::rng());
    let tokens = DeliveryTokens { hashes: vec![fresh.hash()] };
    assert_eq!(client.put("/v1/account/delivery-tokens", &tokens).await.status, 204);
    assert_eq!(contact.get(&path).await.code(), "forbidden");
    contact.delivery_token = Some(fresh.expose_text());
    assert_eq!(contact.get(&path).await.status, 200);
    let many = DeliveryTokens { hashes: vec![fresh.hash(); 9] };
    let reply = client.put("/v1/account/delivery-tokens", &many).await;
    assert!(reply.status == 204 || reply.code() == "out_of_range", "{reply:?}");
}

#[tokio::test]
async fn a_one_time_prekey_is_handed_out_once_to_64_concurrent_claimers() {
    const CLAIMERS: usize = 64;
    const PREKEYS: u32 = 40;
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let counts: PrekeyCounts = client.put("/v1/device", &device_upload(owner.mailbox, 1, PREKEYS)).await.json();
    assert_eq!(counts, PrekeyCounts { one_time: PREKEYS, one_time_kem: PREKEYS, low: false });
    let mut claims = Vec::new();
    for _ in 0..CLAIMERS {
        let mut claimer = server.contact(&owner).await;
        let account = owner.account;
        claims.push(tokio::spawn(async move { claimer.post(&bundles(account), &primary()).await }));
    }
    let (mut ec, mut kem, mut last_resort) = (Vec::new(), Vec::new(), 0);
    for claim in claims {
        let bundle = claim.await.unwrap().json::<BundlesResponse>().bundles.remove(0);
        assert_eq!(bundle.mailbox, owner.mailbox);
        ec.extend(bundle.one_time.map(|prekey| prekey.id));
        if bundle.kem_last_resort {
            last_resort += 1;
            assert_eq!(bundle.kem.id, 1_000_000);
        } else {
            kem.push(bundle.kem.id);
        }
    }
    assert_eq!(ec.len(), PREKEYS as usize);
    assert_eq!(ec.iter().collect::<HashSet<_>>().len(), PREKEYS as usize);
    assert_eq!(kem.iter().collect::<HashSet<_>>().len(), PREKEYS as usize);
    assert_eq!(last_resort, CLAIMERS - PREKEYS as usize);
    let counts: PrekeyCounts = client.get("/v1/device/prekeys").await.json();
    assert_eq!(counts, PrekeyCounts { one_time: 0, one_time_kem: 0, low: true });
}

#[tokio::test]
async fn beyond_the_limit_of_a_target_only_last_resort_prekeys_are_handed_out() {
    let server = TestServer::start_with(|config| config.limits.prekey_claims_per_hour_max = 2).await;
    let (owner, mut client) = server.registered().await;
    client.put("/v1/device", &device_upload(owner.mailbox, 1, 30)).await;
    let mut contact = server.contact(&owner).await;
    let mut last_resort = Vec::new();
    for _ in 0..4 {
        let bundle =
            contact.post(&bundles(owner.account), &primary()).await.json::<BundlesResponse>().bundles.remove(0);
        assert_eq!(bundle.kem_last_resort, bundle.one_time.is_none());
        last_resort.push(bundle.kem_last_resort);
    }
    assert_eq!(last_resort, [false, false, true, true]);
    let counts: PrekeyCounts = client.get("/v1/device/prekeys").await.json();
    assert_eq!(counts.one_time_kem, 28);
}

#[tokio::test]
async fn bundle_requests_beyond_the_limit_are_refused() {
    let server = TestServer::start_with(|config| config.limits.bundle_requests_per_minute_max = 2).await;
    let (owner, _) = server.registered().await;
    let mut contact = server.contact(&owner).await;
    for _ in 0..2 {
        assert_eq!(contact.post(&bundles(owner.account), &primary()).await.status, 200);
    }
    let reply = contact.post(&bundles(owner.account), &primary()).await;
    assert_eq!(reply.code(), "rate_limited");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() <= 61);
}

#[tokio::test]
async fn devices_that_do_not_exist_are_missing_from_the_answer() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let mut contact = server.contact(&owner).await;
    let devices = [1, 2, 127, 1].map(|number| DeviceNumber::new(number).unwrap()).to_vec();
    let answer: BundlesResponse = contact.post(&bundles(owner.account), &BundlesRequest { devices }).await.json();
    assert_eq!(answer.bundles.len(), 1);
    let none = BundlesRequest { devices: vec![] };
    assert_eq!(contact.post(&bundles(owner.account), &none).await.code(), "out_of_range");
}

#[tokio::test]
async fn a_device_cannot_claim_anothers_mailbox_nor_change_its_own() {
    let server = TestServer::start().await;
    let (victim, _) = server.registered().await;
    let (owner, mut client) = server.registered().await;
    assert_eq!(client.put("/v1/device", &device_upload(victim.mailbox, 1, 0)).await.status, 409);
    let fresh = MailboxId::generate(&mut rand::rng());
    assert_eq!(client.put("/v1/device", &device_upload(fresh, 1, 0)).await.code(), "mailbox_fixed");
    assert_eq!(client.put("/v1/device", &device_upload(owner.mailbox, 1, 0)).await.status, 200);

    let (next, key) = owner.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&next)).await.status, 204);
    let mut linked = server.connect().await;
    owner.log_in_as(&server, &mut linked, DeviceNumber::new(2).unwrap(), &key).await;
    assert_eq!(linked.put("/v1/device", &device_upload(victim.mailbox, 1, 0)).await.code(), "mailbox_taken");
    assert_eq!(linked.put("/v1/device", &device_upload(fresh, 1, 0)).await.status, 200);
}

#[tokio::test]
async fn an_upload_repeated_after_a_claim_brings_no_prekey_back() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let upload = device_upload(owner.mailbox, 1, 1);
    client.put("/v1/device", &upload).await;
    let mut contact = server.contact(&owner).await;
    let claim = contact.post(&bundles(owner.account), &primary()).await.json::<BundlesResponse>();
    assert!(!claim.bundles[0].kem_last_resort);
    let counts: PrekeyCounts = client.put("/v1/device", &upload).await.json();
    assert_eq!((counts.one_time, counts.one_time_kem, counts.low), (0, 0, true));
}

#[tokio::test]
async fn too_many_prekeys_are_refused() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let reply = client.put("/v1/device", &device_upload(owner.mailbox, 1, 201)).await;
    assert_eq!(reply.code(), "out_of_range");
}

#[tokio::test]
async fn whoever_missed_hundreds_of_migrations_pages_through_all_of_them() {
    const MIGRATIONS: u64 = 200;
    let server = TestServer::start().await;
    let (mut owner, mut client) = server.registered().await;
    let mut known = owner.key_set.clone();
    for _ in 0..MIGRATIONS {
        owner.migrate();
        assert_eq!(client.put(KEY_SET, &body(&owner.key_set)).await.status, 204);
    }
    let mut contact = server.contact(&owner).await;
    let mut answers = 0;
    loop {
        let from = known.counter().get() + 1;
        let path = format!("/v1/accounts/{}/key-sets?from={from}", owner.account);
        let page: KeySetsBody = contact.get(&path).await.json();
        if page.key_sets.is_empty() {
            break;
        }
        assert!(page.key_sets.len() <= 16);
        let chain: Vec<_> =
            page.key_sets.iter().map(|bytes| UnverifiedKeySet::parse(&bytes.0).unwrap().verify().unwrap()).collect();
        assert_eq!(known.check_chain(&chain).unwrap(), Succession::Migrated);
        known = chain.last().unwrap().clone();
        answers += 1;
    }
    assert_eq!(known.hash(), owner.key_set.hash());
    assert_eq!(answers, MIGRATIONS.div_ceil(16));
    // The end of all counters and beyond is answered, not refused.
    let path = format!("/v1/accounts/{}/key-sets?from={}", owner.account, u64::MAX);
    assert_eq!(contact.get(&path).await.json::<KeySetsBody>().key_sets.len(), 0);
    for nonsense in ["", "?from=", "?from=-1", "?from=18446744073709551616", "?from=1&to=2"] {
        let path = format!("/v1/accounts/{}/key-sets{nonsense}", owner.account);
        assert_eq!(contact.get(&path).await.code(), "malformed", "{nonsense}");
    }
}

#[tokio::test]
async fn the_key_map_shows_ids_fingerprints_and_ages_of_every_device() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    server.clock.advance_seconds(60);
    let upload = device_upload(owner.mailbox, 1, 5);
    client.put("/v1/device", &upload).await;
    let (next, _) = owner.with_linked_device();
    assert_eq!(client.put(KEY_SET, &body(&next)).await.status, 204);
    let map: KeyMap = client.get("/v1/account/key-map").await.json();
    assert_eq!((map.counter, map.key_set_hash), (2, next.hash()));
    assert_eq!(map.retired, []);
    let at = START.plus_seconds(60).get();
    let prekey =
        |id, key: &[u8]| Some(KeyMapPrekey { id, fingerprint: Digest::from_bytes(sha256(&[key])), uploaded_at_ms: at });
    let primary = KeyMapDevice {
        device: DeviceNumber::PRIMARY,
        added_at_counter: 1,
        listed_at_counter: 2,
        mailbox: Some(owner.mailbox),
        signed: prekey(1, &upload.signed.as_ref().unwrap().key.0),
        last_resort: prekey(1_000_000, &upload.last_resort.as_ref().unwrap().key.0),
        one_time: 5,
        one_time_kem: 5,
        one_time_uploaded_at_ms: Some(at),
    };
    let linked = KeyMapDevice {
        device: DeviceNumber::new(2).unwrap(),
        added_at_counter: 2,
        listed_at_counter: 2,
        mailbox: None,
        signed: None,
        last_resort: None,
        one_time: 0,
        one_time_kem: 0,
        one_time_uploaded_at_ms: None,
    };
    assert_eq!(map.devices, [primary.clone(), linked]);

    // The same keys again are no younger; a device that left is remembered by its number.
    server.clock.advance_seconds(60);
    client.put("/v1/device", &upload).await;
    let mut owner = owner;
    owner.key_set = next;
    let without = owner.without_device(DeviceNumber::new(2).unwrap());
    assert_eq!(client.put(KEY_SET, &body(&without)).await.status, 204);
    let map: KeyMap = client.get("/v1/account/key-map").await.json();
    assert_eq!(map.devices, [KeyMapDevice { listed_at_counter: 3, ..primary }]);
    assert_eq!(map.retired, [DeviceNumber::new(2).unwrap()]);
}

#[tokio::test]
async fn the_key_map_is_for_the_accounts_own_devices() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let mut contact = server.contact(&owner).await;
    for path in ["/v1/account/key-map", "/v1/account/delivery-tokens", "/v1/account/reset"] {
        assert_eq!(contact.get(path).await.code(), "unauthenticated", "{path}");
    }
}

#[tokio::test]
async fn what_is_uploaded_is_all_that_is_stored_of_keys() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let upload = device_upload(owner.mailbox, 1, 2);
    client.put("/v1/device", &upload).await;
    client.get("/v1/account/key-map").await;
    let path = server.config.storage.path.clone();
    server.running.shutdown().await;
    let store = FjallStore::open(path, StoreLimits { free_bytes_min: 0, ..StoreLimits::default() }).unwrap();
    let rows = store.account_rows().await.unwrap();
    store.close().await;

    // Prekeys: each row of the device is a public key as it was uploaded, with its signature, and there is no other.
    let address = owner.address().to_bytes();
    let (signed, last_resort) = (upload.signed.unwrap(), upload.last_resort.unwrap());
    let single = |id: u32, key: &[u8], signature: &[u8]| [&id.to_be_bytes()[..], key, signature].concat();
    let mut expected = vec![
        single(signed.id, &signed.key.0, &signed.signature.0),
        single(last_resort.id, &last_resort.key.0, &last_resort.signature.0),
    ];
    expected.extend(upload.one_time.iter().map(|prekey| prekey.key.0.clone()));
    expected.extend(upload.one_time_kem.iter().map(|prekey| [&prekey.key.0[..], &prekey.signature.0].concat()));
    let mut stored: Vec<Vec<u8>> = rows
        .iter()
        .filter(|(key, _)| key.len() == 22 && key.starts_with(&address))
        .map(|(_, value)| value.clone())
        .collect();
    expected.sort();
    stored.sort();
    assert_eq!(stored, expected);

    // And nowhere in any row is a private half of what the owner has, nor its delivery token.
    for secret in owner.secrets() {
        let found = rows.iter().find(|(key, value)| {
            [key, value].into_iter().any(|bytes| bytes.windows(secret.len()).any(|window| window == secret))
        });
        assert!(found.is_none(), "a secret is in the store");
    }
    assert!(rows.iter().any(|(_, value)| value.windows(32).any(|w| w == owner.delivery_token.hash().as_bytes())));
}
