//! Taking an account back with its recovery key.

use rcseal_credential::{RecoveryKey, UnverifiedKeySet, VerifiedKeySet};
use rcseal_store::conformance::FaultKind;
use rcseal_wire::api::{
    Base64, BundlesRequest, BundlesResponse, DeliveryTokens, KeySetBasis, KeySetBody, KeySetProof, KeySetsBody,
    PrekeyCounts,
};
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{AccountId, DeviceNumber, EnvelopeId};

use crate::support::{Client, Owner, TestServer, body, device_upload, submission};

fn recovery(account: AccountId) -> String {
    format!("/v1/accounts/{account}/recovery")
}

fn key_set(account: AccountId) -> String {
    format!("/v1/accounts/{account}/key-set")
}

fn proof(key: &RecoveryKey) -> KeySetProof {
    KeySetProof {
        recovery_key: Some(Base64(key.public_key().as_bytes().to_vec())),
        reset_ticket: None,
        account_signature: None,
    }
}

/// What somebody who has lost every device finds at the server.
async fn basis(client: &mut Client, owner: &Owner) -> VerifiedKeySet {
    let basis: KeySetBasis = client.post(&key_set(owner.account), &proof(&owner.recovery_key)).await.json();
    UnverifiedKeySet::parse(&basis.key_set.0).unwrap().verify().unwrap()
}

#[tokio::test]
async fn a_recovery_puts_one_new_device_in_the_place_of_all_others() {
    let server = TestServer::start().await;
    let (owner, mut old) = server.registered().await;
    let mut listening = server.mailbox(&old).await;
    let mut stranger = server.connect().await;
    let current = basis(&mut stranger, &owner).await;
    assert_eq!(current.hash(), owner.key_set.hash());
    let back = owner.recovered(&current);
    assert_eq!(stranger.post(&recovery(owner.account), &back.recovery_request()).await.status, 204);

    // The old device is out, at once.
    let closed = listening.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (4401, "device_unknown"));
    assert_eq!(old.get("/v1/device/prekeys").await.code(), "device_unknown");
    assert_eq!(owner.try_log_in(&server, &mut old).await.code(), "login_refused");

    // The new one is in, and contacts reach it with the token they have.
    let mut new = server.connect().await;
    back.log_in(&server, &mut new).await;
    let tokens: DeliveryTokens = new.get("/v1/account/delivery-tokens").await.json();
    assert_eq!(tokens.hashes, [owner.delivery_token.hash()]);
    let mut contact = server.contact(&owner).await;
    let served: KeySetsBody = contact.get(&format!("/v1/accounts/{}/key-sets?from=1", owner.account)).await.json();
    let served: Vec<&[u8]> = served.key_sets.iter().map(|set| set.0.as_slice()).collect();
    assert_eq!(served, [owner.key_set.as_bytes(), back.key_set.as_bytes()]);
    let devices = vec![DeviceNumber::PRIMARY, back.address().device];
    let bundles: BundlesResponse =
        contact.post(&format!("/v1/accounts/{}/bundles", owner.account), &BundlesRequest { devices }).await.json();
    assert_eq!(bundles.bundles.iter().map(|bundle| bundle.mailbox).collect::<Vec<_>>(), [back.mailbox]);
    let mut plane = server.submitter().await;
    let to = |mailbox, n| submission(mailbox, &owner.delivery_token, EnvelopeId::from_bytes([n; 16]), b"x");
    let results = plane.submit(vec![to(owner.mailbox, 1), to(back.mailbox, 2)]).await;
    assert_eq!(results, [SubmitStatus::Refused, SubmitStatus::Stored]);
    assert!(server.running.metrics().contains("rcseal_takeovers_total{event=\"Recovered\"} 1"));
}

#[tokio::test]
async fn a_recovery_repeated_after_a_lost_answer_changes_nothing() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let mut client = server.connect().await;
    let back = owner.recovered(&owner.key_set);
    assert_eq!(client.post(&recovery(owner.account), &back.recovery_request()).await.status, 204);
    let devices = BundlesRequest { devices: vec![back.address().device] };
    server.contact(&owner).await.post(&format!("/v1/accounts/{}/bundles", owner.account), &devices).await;
    assert_eq!(client.post(&recovery(owner.account), &back.recovery_request()).await.status, 204);
    back.log_in(&server, &mut client).await;
    let counts: PrekeyCounts = client.get("/v1/device/prekeys").await.json();
    assert_eq!((counts.one_time, counts.one_time_kem), (2, 2), "a prekey that was handed out came back");
}

#[tokio::test]
async fn a_recovery_outranks_the_migration_of_a_thief() {
    let server = TestServer::start().await;
    let (mut thief, mut stolen) = server.registered().await;
    let first = thief.key_set.clone();
    thief.migrate();
    assert_eq!(stolen.put("/v1/account/key-set", &body(&thief.key_set)).await.status, 204);
    let mut client = server.connect().await;
    // What continues the set before the migration comes too late; what continues the thief's own set does not.
    let late = thief.recovered(&first);
    assert_eq!(client.post(&recovery(thief.account), &late.recovery_request()).await.code(), "key_set_conflict");
    let back = thief.recovered(&basis(&mut client, &thief).await);
    assert_eq!(client.post(&recovery(thief.account), &back.recovery_request()).await.status, 204);
    thief.migrate();
    assert_eq!(stolen.put("/v1/account/key-set", &body(&thief.key_set)).await.code(), "device_unknown");
}

#[tokio::test]
async fn a_recovery_ahead_of_a_thief_who_publishes_without_a_pause_is_taken_and_the_account_goes_on() {
    let server = TestServer::start().await;
    let (mut thief, mut stolen) = server.registered().await;
    let mut client = server.connect().await;
    let mut back = thief.recovered_ahead(&basis(&mut client, &thief).await, 8_192);
    // What the recovery was signed on top of is not the newest set any more when it comes.
    for _ in 0..3 {
        thief.migrate();
        assert_eq!(stolen.put("/v1/account/key-set", &body(&thief.key_set)).await.status, 204);
    }
    assert_eq!(client.post(&recovery(thief.account), &back.recovery_request()).await.status, 204);
    back.log_in(&server, &mut client).await;
    back.republish();
    assert_eq!(client.put("/v1/account/key-set", &body(&back.key_set)).await.status, 204);
    let path = format!("/v1/accounts/{}/key-sets?from=1", thief.account);
    let served: KeySetsBody = client.get(&path).await.json();
    let counters: Vec<u64> =
        served.key_sets.iter().map(|set| UnverifiedKeySet::parse(&set.0).unwrap().counter().get()).collect();
    assert_eq!(counters, [1, 2, 3, 4, 8_194, 8_195]);
}

#[tokio::test]
async fn another_recovery_key_and_an_account_that_does_not_exist_look_alike() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let mut client = server.connect().await;
    let mut impostor = Owner::of_account(owner.account);
    impostor = impostor.recovered(&impostor.key_set);
    let wrong = client.post(&recovery(owner.account), &impostor.recovery_request()).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (403, "recovery_refused"));
    let nobody = Owner::new();
    let nobody = nobody.recovered(&nobody.key_set);
    assert_eq!(client.post(&recovery(nobody.account), &nobody.recovery_request()).await.body, wrong.body);

    let wrong = client.post(&key_set(owner.account), &proof(&impostor.recovery_key)).await;
    assert_eq!(wrong.code(), "recovery_refused");
    assert_eq!(client.post(&key_set(nobody.account), &proof(&nobody.recovery_key)).await.body, wrong.body);
    let short = KeySetProof { recovery_key: Some(Base64(vec![1; 31])), reset_ticket: None, account_signature: None };
    assert_eq!(client.post(&key_set(owner.account), &short).await.code(), "recovery_refused");
    assert_eq!(client.post(&key_set(owner.account), &KeySetProof::default()).await.code(), "malformed");
}

#[tokio::test]
async fn what_is_wrong_with_a_recovery_does_not_say_whether_the_account_exists() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let nobody = Owner::new();
    let mut stranger = server.connect().await;
    let mut long = vec![0; 9000];
    let mut devices = nobody.with_linked_device().0.as_bytes().to_vec();
    // Each as it would be for the account it is sent to, which a stranger can arrange.
    for account in [owner.account, nobody.account] {
        long[1..17].copy_from_slice(account.as_bytes());
        devices[1..17].copy_from_slice(account.as_bytes());
        let own = Owner::of_account(account);
        let sets = [
            (vec![], "key_set_invalid"),
            (b"no key set".to_vec(), "key_set_invalid"),
            (long.clone(), "key_set_invalid"),
            (devices.clone(), "key_set_invalid"),
            (own.key_set.as_bytes().to_vec(), "key_set_invalid"),
            (own.reset(&own.key_set, 0).key_set.as_bytes().to_vec(), "key_set_invalid"),
            (Owner::new().key_set.as_bytes().to_vec(), "forbidden"),
            (own.recovered(&own.key_set).key_set.as_bytes().to_vec(), "recovery_refused"),
        ];
        for (set, code) in sets {
            let mut request = own.recovered(&own.key_set).recovery_request();
            request.key_set = Base64(set);
            assert_eq!(stranger.post(&recovery(account), &request).await.code(), code, "{account}");
        }
    }
}

#[tokio::test]
async fn whoever_has_seen_a_key_set_does_not_learn_from_a_recovery_or_a_reset_whether_it_is_the_newest() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let mut stranger = server.connect().await;
    // A contact that was removed knows the bytes, and no token that opens the account.
    let seen = Owner::of_account(owner.account);
    let mut request = seen.recovered(&seen.key_set).recovery_request();
    request.key_set = Base64(owner.key_set.as_bytes().to_vec());
    assert_eq!(stranger.post(&recovery(owner.account), &request).await.code(), "key_set_invalid");
    let mut request = seen.reset_request("rst-AAAAAAAAAAAAAAAAAAAAAA");
    request.key_set = Base64(owner.key_set.as_bytes().to_vec());
    let path = format!("/v1/accounts/{}/reset", owner.account);
    assert_eq!(stranger.post(&path, &request).await.code(), "key_set_invalid");
}

#[tokio::test]
async fn what_is_not_a_recovery_of_the_stored_set_is_refused_by_its_reason() {
    let server = TestServer::start().await;
    let (mut owner, mut client) = server.registered().await;
    let first = owner.key_set.clone();
    for _ in 0..2 {
        owner.republish();
        assert_eq!(client.put("/v1/account/key-set", &body(&owner.key_set)).await.status, 204);
    }
    let mut stranger = server.connect().await;
    let path = recovery(owner.account);
    let rollback = owner.recovered(&first);
    assert_eq!(stranger.post(&path, &rollback.recovery_request()).await.code(), "key_set_rollback");

    let good = owner.recovered(&owner.key_set);
    let mut flipped = good.recovery_request();
    *flipped.key_set.0.last_mut().unwrap() ^= 1;
    assert_eq!(stranger.post(&path, &flipped).await.code(), "key_set_invalid");
    let mut truncated = good.recovery_request();
    truncated.key_set.0.pop();
    assert_eq!(stranger.post(&path, &truncated).await.code(), "key_set_invalid");
    let mut long = good.recovery_request();
    long.key_set.0.resize(9000, 0);
    assert_eq!(stranger.post(&path, &long).await.code(), "key_set_invalid");
    let mut unreachable = good.recovery_request();
    unreachable.device.last_resort = None;
    assert_eq!(stranger.post(&path, &unreachable).await.code(), "out_of_range");
    let (victim, _) = server.registered().await;
    let mut taken = good.recovery_request();
    taken.device = device_upload(victim.mailbox, 1, 0);
    assert_eq!(stranger.post(&path, &taken).await.code(), "mailbox_taken");
    let reset = owner.reset(&owner.key_set, 0);
    assert_eq!(stranger.post(&path, &reset.recovery_request()).await.code(), "key_set_invalid");
    assert_eq!(stranger.post(&recovery(victim.account), &good.recovery_request()).await.code(), "forbidden");

    // None of that changed anything; and what was used once is worth nothing afterwards.
    assert_eq!(client.get("/v1/device/prekeys").await.status, 200);
    assert_eq!(stranger.post(&path, &good.recovery_request()).await.status, 204);
    assert_eq!(
        stranger.post(&path, &owner.recovered(&owner.key_set).recovery_request()).await.code(),
        "recovery_refused"
    );
}

#[tokio::test]
async fn a_device_cannot_publish_a_recovery_nor_a_reset_by_itself() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let recovered = owner.recovered(&owner.key_set);
    assert_eq!(client.put("/v1/account/key-set", &body(&recovered.key_set)).await.code(), "key_set_invalid");
    let reset = owner.reset(&owner.key_set, 0);
    assert_eq!(client.put("/v1/account/key-set", &body(&reset.key_set)).await.code(), "key_set_invalid");
}

#[tokio::test]
async fn a_login_of_the_device_that_had_the_number_before_is_void() {
    let server = TestServer::start().await;
    let (owner, mut old) = server.registered().await;
    let back = owner.try_recovered(&owner.key_set, DeviceNumber::PRIMARY, &owner.recovery_key).unwrap();
    let mut new = server.connect().await;
    assert_eq!(new.post(&recovery(owner.account), &back.recovery_request()).await.status, 204);
    assert_eq!(back.address(), owner.address());
    assert_eq!(old.get("/v1/device/prekeys").await.code(), "device_unknown");
    back.log_in(&server, &mut new).await;
    assert_eq!(new.get("/v1/device/prekeys").await.status, 200);
    assert_eq!(old.get("/v1/device/prekeys").await.code(), "device_unknown");
}

#[tokio::test]
async fn strangers_do_not_use_up_what_an_account_may_try() {
    let server = TestServer::start_with(|config| config.limits.takeovers_per_hour_max = 1).await;
    let (owner, _) = server.registered().await;
    let mut client = server.connect().await;
    let path = recovery(owner.account);
    for _ in 0..3 {
        let impostor = Owner::of_account(owner.account);
        let impostor = impostor.recovered(&impostor.key_set);
        assert_eq!(client.post(&path, &impostor.recovery_request()).await.code(), "recovery_refused");
    }
    // Nor does whoever knows the public half of the key, from a recovery that kept it, and cannot sign with it.
    let mut flipped = owner.recovered(&owner.key_set).recovery_request();
    *flipped.key_set.0.last_mut().unwrap() ^= 1;
    assert_eq!(client.post(&path, &flipped).await.code(), "key_set_invalid");
    let back = owner.recovered(&owner.key_set);
    assert_eq!(client.post(&path, &back.recovery_request()).await.status, 204);
    let limited = client.post(&path, &back.recovered(&back.key_set).recovery_request()).await;
    assert_eq!(limited.code(), "rate_limited");
    assert!(limited.header("retry-after").parse::<u64>().unwrap() > 60);
}

#[tokio::test]
async fn one_address_may_ask_for_thirty_takeovers_a_minute() {
    let server = TestServer::start_with(|config| config.limits.anonymous_requests_per_minute_max = 600).await;
    let mut client = server.connect().await;
    let nobody = Owner::new();
    let mut answered = 0;
    let limited = loop {
        let reply = client.post(&key_set(nobody.account), &proof(&nobody.recovery_key)).await;
        match reply.code().as_str() {
            "recovery_refused" => answered += 1,
            _ => break reply,
        }
    };
    assert_eq!(limited.code(), "rate_limited");
    assert!((30..40).contains(&answered), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_anywhere_leaves_the_old_devices_or_the_new_one() {
    for kind in [FaultKind::Before, FaultKind::After] {
        for nth in 1..=6 {
            let (server, faulty) = TestServer::start_faulty().await;
            let (owner, mut old) = server.registered().await;
            let back = owner.recovered(&owner.key_set);
            let mut client = server.connect().await;
            faulty.arm(nth, kind);
            let first = client.post(&recovery(owner.account), &back.recovery_request()).await;
            assert!(first.status == 204 || first.code() == "unavailable", "{first:?}");
            let served = loop {
                let reply = server.contact(&owner).await.get(&key_set(owner.account)).await;
                if reply.status == 200 {
                    break reply.json::<KeySetBody>();
                }
                assert_eq!(reply.code(), "unavailable");
            };
            // Whatever it was that failed, the account has the one or the other.
            assert!([owner.key_set.as_bytes(), back.key_set.as_bytes()].contains(&served.key_set.0.as_slice()));
            loop {
                let again = client.post(&recovery(owner.account), &back.recovery_request()).await;
                if again.status == 204 && faulty.has_failed() {
                    break;
                }
                assert!(again.status == 204 || again.code() == "unavailable", "{again:?}");
            }
            back.log_in(&server, &mut client).await;
            let counts: PrekeyCounts = client.get("/v1/device/prekeys").await.json();
            assert_eq!((counts.one_time, counts.one_time_kem), (3, 3));
            assert_eq!(old.get("/v1/device/prekeys").await.code(), "device_unknown");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_device_is_cut_off_also_when_the_store_lost_its_answer() {
    let (server, faulty) = TestServer::start_faulty().await;
    let (owner, old) = server.registered().await;
    let mut listening = server.mailbox(&old).await;
    listening.backlog().await;
    let back = owner.recovered(&owner.key_set);
    let mut client = server.connect().await;
    // The second call of a recovery is the one that carries it out.
    faulty.arm(2, FaultKind::After);
    let path = recovery(owner.account);
    assert_eq!(client.post(&path, &back.recovery_request()).await.code(), "unavailable");
    assert_eq!(client.post(&path, &back.recovery_request()).await.status, 204);
    assert_eq!(listening.closed().await.reason, "device_unknown");
}
