//! Messages that the server can read, with a key in a real SoftHSM2 token.

mod hsm;
mod pair;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_server::{AuditError, AuditLine, check_retained, list_retained, read_audit, read_retained};
use rcseal_store::audit::AuditBreak;
use rcseal_wire::api::Base64;
use rcseal_wire::api::retained::{RetainedPage, RetainedStored, RetainedSubmit, UnreadableReason};
use rcseal_wire::id::{AccountId, RetainedId};
use rcseal_wire::token::DeliveryToken;

use self::hsm::{Hsm, LABEL, REGION, table};
use self::pair::{Pair, page, record, sealed, server_key, words};
use crate::mailbox_crash::{Process, configure};
use crate::support::{Client, Owner, Reply, TestServer, Tls};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn without_the_table_there_are_no_such_messages() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    for path in ["/v1/server-key", "/v1/retained"] {
        let reply = client.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    }
    assert!(check_retained(&server.config.storage.path).await.is_err());
    assert_eq!(record(&server).await.unwrap(), []);
}

#[tokio::test]
async fn words_go_from_one_to_the_other_and_say_who_else_can_read_them() {
    let Some(hsm) = Hsm::alone("words_go_from_one_to_the_other_and_say_who_else_can_read_them") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let key = server_key(&mut pair.alices).await;
    assert_eq!((key.tenant.name.as_str(), key.region.as_str()), ("Example Bank", REGION));
    assert_eq!((key.default_class.as_str(), key.classes.len()), ("standard", 2));
    let mut device = server.mailbox(&pair.bobs).await;
    device.backlog().await;
    let first = pair.say("hello").await;
    assert_eq!(device.retained_notice().await, 1);
    pair.say("again").await;
    let messages = pair.read().await;
    assert_eq!(words(&messages), ["hello", "again"]);
    let [message, _] = &messages[..] else { panic!("two messages") };
    assert_eq!(
        (message.id, message.from, message.from_device),
        (first.id, pair.alice.account, pair.alice.address().device)
    );
    assert_eq!(message.expires_at_ms - message.sent_at_ms, 90 * DAY * 1000);
    let text = String::from_utf8(pair.bobs.get("/v1/retained").await.body.to_vec()).unwrap();
    assert_eq!(text.matches(r#""readable_by":"server""#).count(), 2);
    assert_eq!(words(&page(&mut pair.bobs, 1).await.messages), ["again"]);
    // A device that was not connected hears of them when it is.
    assert_eq!(server.mailbox(&pair.bobs).await.retained_notice().await, 2);
    assert!(
        page(&mut pair.alices, 0).await.messages.is_empty(),
        "a sender reads what it was sent, and not what it sent"
    );
}

#[tokio::test]
async fn every_read_is_on_record_and_the_record_is_whole() {
    let Some(hsm) = Hsm::alone("every_read_is_on_record_and_the_record_is_whole") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let (one, two) = (pair.say("one").await, pair.say("two").await);
    pair.read().await;
    page(&mut pair.bobs, 1).await;
    let storage = &server.config.storage.path;
    let mut lines = Vec::new();
    list_retained(storage, |line| lines.push(line.to_owned())).await.unwrap();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&format!("{} to {}", one.id, pair.bob.account)), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("one") || line.contains(" from ")), "no words in a list");
    assert_eq!(read_retained(storage, &two.id, "ann", "case 7: a complaint").await.unwrap(), b"two");
    for (operator, reason) in [("", "why"), ("ann", " "), ("ann", &"x".repeat(300))] {
        assert!(read_retained(storage, &two.id, operator, reason).await.is_err(), "who and why must be said");
    }
    let rows = record(&server).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.message, row.outcome.as_str())).collect();
    assert_eq!(seen, [(one.id, "opened"), (two.id, "opened"), (two.id, "opened"), (two.id, "opened")]);
    let text = serde_json::to_string(&rows[3].actor).unwrap();
    assert_eq!(text, r#"{"operator":{"name":"ann","reason":"case 7: a complaint"}}"#);
    assert!(check_retained(storage).await.unwrap().contains(LABEL));
    assert!(server.running.metrics().contains("rcseal_retained_opened_total{reader=\"Device\",outcome=\"Opened\"} 3"));
}

#[tokio::test]
async fn a_changed_record_shows_and_so_does_one_that_was_cut_off() {
    let Some(hsm) = Hsm::alone("a_changed_record_shows_and_so_does_one_that_was_cut_off") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    for n in 0..3 {
        pair.say(&format!("message {n}")).await;
    }
    let target = pair.read().await[1].id;
    let TestServer { running, folder, config, .. } = server;
    running.shutdown().await;
    let tamper = |change: &dyn Fn(&fjall::Keyspace)| {
        let db = fjall::Database::builder(&config.storage.path).open().unwrap();
        let rows = db.keyspace("retained", fjall::KeyspaceCreateOptions::default).unwrap();
        change(&rows);
        db.persist(fjall::PersistMode::SyncAll).unwrap();
    };
    let key = |number: u64| [&b"a"[..], &number.to_be_bytes()].concat();
    let mut original = Vec::new();
    tamper(&|rows| {
        let mut row = rows.get(key(2)).unwrap().unwrap().to_vec();
        let at = row.windows(16).position(|window| window == target.as_bytes()).unwrap();
        row[at] ^= 1;
        rows.insert(key(2), row).unwrap();
    });
    let outcome = reread(&config).await;
    assert!(matches!(outcome, Err(AuditError::Broken(AuditBreak::Changed { number: 2 }))), "{outcome:?}");
    tamper(&|rows| {
        let mut row = rows.get(key(2)).unwrap().unwrap().to_vec();
        let mut id = *target.as_bytes();
        id[0] ^= 1;
        let at = row.windows(16).position(|window| window == id).unwrap();
        row[at] ^= 1;
        rows.insert(key(2), row).unwrap();
    });
    original.extend(reread(&config).await.unwrap());
    assert_eq!(original.len(), 3, "put back, it is whole again");
    tamper(&|rows| rows.remove(key(1)).unwrap());
    let outcome = reread(&config).await;
    assert!(matches!(outcome, Err(AuditError::Broken(AuditBreak::Missing { expected: 1 }))), "{outcome:?}");
    drop(folder);
}

/// The record as the next start of the server has it.
async fn reread(config: &rcseal_server::Config) -> Result<Vec<AuditLine>, AuditError> {
    let running = rcseal_server::Server::start(config.clone()).await.unwrap();
    let mut rows = Vec::new();
    let outcome = read_audit(&config.storage.path, |row| rows.push(row.clone())).await;
    running.shutdown().await;
    outcome.map(|_| rows)
}

#[tokio::test]
async fn a_repeated_id_is_the_same_message_or_refused() {
    let Some(hsm) = Hsm::alone("a_repeated_id_is_the_same_message_or_refused") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let first = pair.say("once").await;
    let stored: RetainedStored = pair.alices.post("/v1/retained", &first).await.json();
    assert_eq!(stored.sequence, 1);
    let key = server_key(&mut pair.alices).await;
    let other = sealed(&key, pair.alice.address(), pair.bob.account, None, b"other words");
    let replayed = RetainedSubmit { id: first.id, ..other };
    assert_eq!(pair.alices.post("/v1/retained", &replayed).await.code(), "id_conflict");
    // Somebody else who has seen the submission cannot make it theirs.
    let (_, mut eves) = server.registered().await;
    eves.delivery_token = Some(pair.bob.delivery_token.expose_text());
    assert_eq!(eves.post("/v1/retained", &first).await.code(), "id_conflict");
    let fresh = RetainedSubmit { id: RetainedId::from_bytes([1; 16]), ..first };
    assert_eq!(eves.post("/v1/retained", &fresh).await.status, 201, "the server takes what it does not open");
    let messages = pair.read().await;
    assert_eq!(words(&messages[..1]), ["once"]);
    assert_eq!((messages.len(), messages[1].unreadable), (2, Some(UnreadableReason::NotAuthentic)));
    assert_eq!(record(&server).await.unwrap()[1].outcome, "not_authentic");
}

#[tokio::test]
async fn nobody_writes_without_leave_or_reads_what_is_anothers() {
    let Some(hsm) = Hsm::alone("nobody_writes_without_leave_or_reads_what_is_anothers") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    pair.say("for bob").await;
    let key = server_key(&mut pair.alices).await;
    let submission = sealed(&key, pair.alice.address(), pair.bob.account, None, b"x");
    let nobody = RetainedSubmit { to: AccountId::from_bytes([1; 16]), ..submission.clone() };
    let wrong = DeliveryToken::generate(&mut ChaCha20Rng::from_seed([3; 32])).expose_text();
    let right = pair.alices.delivery_token.take();
    for (token, submission) in [(None, &submission), (Some(wrong), &submission), (right.clone(), &nobody)] {
        pair.alices.delivery_token = token;
        let reply = pair.alices.post("/v1/retained", submission).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"), "and never whether the account exists");
    }
    pair.alices.delivery_token = right;
    let unknown = RetainedSubmit { class: Some("for-ever".to_owned()), ..submission.clone() };
    assert_eq!(pair.alices.post("/v1/retained", &unknown).await.code(), "retention_unknown");
    let long = RetainedSubmit { sealed: Base64(vec![4; 65 * 1024]), ..submission.clone() };
    assert_eq!(pair.alices.post("/v1/retained", &long).await.code(), "too_large");
    let short = RetainedSubmit { sealed: Base64(vec![4; 80]), ..submission };
    assert_eq!(pair.alices.post("/v1/retained", &short).await.code(), "malformed");
    let (_, mut eves) = server.registered().await;
    assert!(page(&mut eves, 0).await.messages.is_empty());
    let mut stranger = server.connect().await;
    for path in ["/v1/retained", "/v1/server-key"] {
        assert_eq!(stranger.get(path).await.code(), "unauthenticated");
    }
    assert_eq!(record(&server).await.unwrap(), [], "nothing was opened");
}

#[tokio::test]
async fn an_account_holds_so_much_and_no_more() {
    let Some(hsm) = Hsm::alone("an_account_holds_so_much_and_no_more") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    // Of the fifty that may be kept for an account, one sender has an eighth.
    for n in 0..50 / 8 {
        pair.say(&n.to_string()).await;
    }
    let key = server_key(&mut pair.alices).await;
    let one_more = sealed(&key, pair.alice.address(), pair.bob.account, None, b"x");
    assert_eq!(pair.alices.post("/v1/retained", &one_more).await.code(), "quota_exceeded");
    server.clock.advance_seconds(90 * DAY);
    server.running.sweep().await.unwrap();
    let mut pair = pair.again(&server).await;
    pair.say("room again").await;
}

#[tokio::test]
async fn messages_leave_when_their_class_says_and_the_record_stays() {
    let Some(hsm) = Hsm::alone("messages_leave_when_their_class_says_and_the_record_stays") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let key = server_key(&mut pair.alices).await;
    let short = sealed(&key, pair.alice.address(), pair.bob.account, Some("short"), b"short");
    assert_eq!(pair.alices.post("/v1/retained", &short).await.status, 201);
    pair.say("standard").await;
    assert_eq!(words(&pair.read().await), ["short", "standard"]);
    server.clock.advance_seconds(DAY);
    let mut pair = pair.again(&server).await;
    assert_eq!(words(&pair.read().await), ["standard"], "expired, though not yet swept");
    assert_eq!(server.running.sweep().await.unwrap().retained, 1);
    assert!(read_retained(&server.config.storage.path, &short.id, "ann", "why").await.is_err());
    server.clock.advance_seconds(89 * DAY);
    assert_eq!(server.running.sweep().await.unwrap().retained, 1);
    assert_eq!(record(&server).await.unwrap().len(), 3);
    server.clock.advance_seconds(400 * DAY);
    assert_eq!(server.running.sweep().await.unwrap().audit, 2, "all that is old, but for the newest row");
    assert_eq!(record(&server).await.unwrap().len(), 1, "and the rest is still a chain");
}

#[tokio::test]
async fn who_takes_an_account_back_does_not_get_what_was_said_before() {
    let Some(hsm) = Hsm::alone("who_takes_an_account_back_does_not_get_what_was_said_before") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    pair.say("before").await;
    let recovered = pair.bob.recovered(&pair.bob.key_set);
    let path = format!("/v1/accounts/{}/recovery", pair.bob.account);
    let reply = server.connect().await.post(&path, &recovered.recovery_request()).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let mut anew = server.connect().await;
    recovered.log_in(&server, &mut anew).await;
    assert!(page(&mut anew, 0).await.messages.is_empty());
    pair.say("after").await;
    assert_eq!(words(&page(&mut anew, 0).await.messages), ["after"]);
    assert_eq!(pair.bobs.get("/v1/retained").await.code(), "device_unknown");
    assert_eq!(record(&server).await.unwrap().len(), 1, "nothing else was opened");
}

/// Asks until the answer is the one expected, or for too long.
async fn until(mut ask: impl AsyncFnMut() -> Reply, status: u16) -> Reply {
    let begun = Instant::now();
    loop {
        let reply = ask().await;
        if reply.status == status {
            return reply;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{reply:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_module_that_is_away_says_so_and_is_used_again_when_it_is_back() {
    let Some(hsm) = Hsm::alone("a_module_that_is_away_says_so_and_is_used_again_when_it_is_back") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let key = server_key(&mut pair.alices).await;
    pair.say("before").await;
    hsm.unplug();
    // The next start finds no token. Everything else is served as ever.
    let server = server.restart().await;
    let mut pair = pair.again(&server).await;
    for path in ["/v1/retained", "/v1/server-key"] {
        let reply = pair.bobs.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "kms_unavailable"));
        assert!(reply.headers.contains_key("retry-after"));
    }
    let meanwhile = sealed(&key, pair.alice.address(), pair.bob.account, None, b"meanwhile");
    assert_eq!(pair.alices.post("/v1/retained", &meanwhile).await.status, 201, "sealing needs no module");
    let storage = &server.config.storage.path;
    assert!(read_retained(storage, &meanwhile.id, "ann", "why").await.is_err());
    assert_eq!(record(&server).await.unwrap().last().unwrap().outcome, "kms_unavailable");
    assert!(check_retained(storage).await.is_err());
    hsm.plug();
    let reply = until(async || pair.bobs.get("/v1/retained").await, 200).await;
    assert_eq!(words(&reply.json::<RetainedPage>().messages), ["before", "meanwhile"]);
    assert_eq!(record(&server).await.unwrap().len(), 3, "one vain read of the operator's, and two messages opened");
}

#[tokio::test]
async fn a_module_that_does_not_exist_keeps_nobody_from_the_rest() {
    let Some(hsm) = Hsm::alone("a_module_that_does_not_exist_keeps_nobody_from_the_rest") else { return };
    let mut encryption = hsm.encryption();
    encryption.module = "/nonexistent/module.so".into();
    let server = TestServer::start_with(|config| config.server_encryption = Some(encryption)).await;
    let mut pair = Pair::at(&server).await;
    assert_eq!(pair.alices.get("/v1/server-key").await.code(), "kms_unavailable");
    assert_eq!(pair.bobs.get("/v1/device/prekeys").await.status, 200);
    assert!(page(&mut pair.bobs, 0).await.messages.is_empty(), "there is nothing to open");
}

#[tokio::test]
async fn a_pin_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(hsm) = Hsm::alone("a_pin_that_others_can_read_is_not_used") else { return };
    let set_mode = |mode| std::fs::set_permissions(hsm.pin_file(), std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o640);
    let server = TestServer::start_with(hsm.enable()).await;
    let (_, mut client) = server.registered().await;
    assert_eq!(client.get("/v1/server-key").await.code(), "kms_unavailable");
    set_mode(0o600);
    until(async || client.get("/v1/server-key").await, 200).await;
}

#[tokio::test]
async fn of_two_tokens_with_one_label_none_is_used() {
    let Some(hsm) = Hsm::alone("of_two_tokens_with_one_label_none_is_used") else { return };
    hsm.make_token(hsm::TOKEN);
    let server = TestServer::start_with(hsm.enable()).await;
    let (_, mut client) = server.registered().await;
    assert_eq!(client.get("/v1/server-key").await.code(), "kms_unavailable");
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once() {
    let Some(hsm) = Hsm::alone("a_wrong_pin_is_tried_once") else { return };
    let folder = hsm::folder();
    let mut encryption = hsm.encryption();
    encryption.pin_file = folder.path().join("pin");
    hsm::write_pin(&encryption.pin_file, "0000");
    let server = TestServer::start_with(|config| config.server_encryption = Some(encryption)).await;
    let (_, mut client) = server.registered().await;
    for _ in 0..5 {
        assert_eq!(client.get("/v1/server-key").await.code(), "kms_unavailable");
    }
    // SoftHSM counts wrong PINs; with the right one the token opens at the next start.
    std::fs::copy(hsm.pin_file(), folder.path().join("pin")).unwrap();
    let server = server.restart().await;
    let (_, mut client) = server.registered().await;
    server_key(&mut client).await;
}

#[tokio::test]
async fn a_destroyed_key_is_named_and_takes_its_messages_with_it() {
    let Some(hsm) = Hsm::alone("a_destroyed_key_is_named_and_takes_its_messages_with_it") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let key = server_key(&mut pair.alices).await;
    let lost = pair.say("lost").await;
    let TestServer { running, clock, folder, mut config, tls } = server;
    running.shutdown().await;
    hsm.destroy_keys();
    let start = async |config: &rcseal_server::Config| {
        rcseal_server::Server::start_with_clock(config.clone(), clock.clone()).await.unwrap()
    };
    let running = start(&config).await;
    let server = TestServer { running, clock: clock.clone(), folder, config: config.clone(), tls };
    let mut pair = pair.again(&server).await;
    // No new key slips into the old one's place.
    let reply = pair.alices.get("/v1/server-key").await;
    assert_eq!((reply.status, reply.code().as_str()), (410, "server_key_destroyed"));
    let late = sealed(&key, pair.alice.address(), pair.bob.account, None, b"late");
    assert_eq!(pair.alices.post("/v1/retained", &late).await.code(), "server_key_destroyed");
    let messages = pair.read().await;
    assert_eq!((messages[0].id, messages[0].unreadable), (lost.id, Some(UnreadableReason::ServerKeyDestroyed)));
    assert_eq!(messages[0].plaintext, None);
    assert_eq!(record(&server).await.unwrap()[0].outcome, "server_key_destroyed");
    // The operator's remedy: a new label, and with it a new key.
    let TestServer { running, folder, tls, .. } = server;
    running.shutdown().await;
    config.server_encryption.as_mut().unwrap().key_label = "retained-2".to_owned();
    let running = start(&config).await;
    let server = TestServer { running, clock: clock.clone(), folder, config, tls };
    let mut pair = pair.again(&server).await;
    assert_ne!(server_key(&mut pair.alices).await.key_id, key.key_id);
    pair.say("anew").await;
    let messages = pair.read().await;
    assert_eq!(messages[0].unreadable, Some(UnreadableReason::ServerKeyDestroyed));
    assert_eq!(words(&messages[1..]), ["anew"]);
}

#[tokio::test]
async fn a_key_destroyed_under_a_running_server_opens_nothing_any_more() {
    let Some(hsm) = Hsm::alone("a_key_destroyed_under_a_running_server_opens_nothing_any_more") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    pair.say("lost").await;
    assert_eq!(words(&pair.read().await), ["lost"]);
    hsm.destroy_key_from_elsewhere();
    assert_eq!(pair.read().await[0].unreadable, Some(UnreadableReason::ServerKeyDestroyed));
    assert_eq!(pair.alices.get("/v1/server-key").await.code(), "server_key_destroyed");
}

#[tokio::test]
async fn a_token_that_goes_away_under_a_running_server_opens_nothing_until_it_is_back() {
    let Some(hsm) = Hsm::alone("a_token_that_goes_away_under_a_running_server_opens_nothing_until_it_is_back") else {
        return;
    };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    pair.say("words").await;
    assert_eq!(words(&pair.read().await), ["words"]);
    hsm.unplug();
    let reply = until(async || pair.bobs.get("/v1/retained").await, 503).await;
    assert_eq!(reply.code(), "kms_unavailable");
    hsm.plug();
    let reply = until(async || pair.bobs.get("/v1/retained").await, 200).await;
    assert_eq!(words(&reply.json::<RetainedPage>().messages), ["words"]);
}

#[tokio::test]
async fn a_new_label_means_a_new_key_and_old_messages_stay_readable() {
    let Some(hsm) = Hsm::alone("a_new_label_means_a_new_key_and_old_messages_stay_readable") else { return };
    let mut server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let old = server_key(&mut pair.alices).await;
    pair.say("old").await;
    server.config.server_encryption.as_mut().unwrap().key_label = "retained-2".to_owned();
    let server = server.restart().await;
    let mut pair = pair.again(&server).await;
    let new = server_key(&mut pair.alices).await;
    assert_ne!(new.key_id, old.key_id);
    pair.say("new").await;
    let late = sealed(&old, pair.alice.address(), pair.bob.account, None, b"late");
    assert_eq!(pair.alices.post("/v1/retained", &late).await.status, 201, "who asked yesterday may seal to that key");
    assert_eq!(words(&pair.read().await), ["old", "new", "late"]);
}

#[tokio::test]
async fn a_key_of_another_region_is_refused() {
    let Some(hsm) = Hsm::alone("a_key_of_another_region_is_refused") else { return };
    let mut server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let key = server_key(&mut pair.alices).await;
    let message = pair.say("here").await;
    server.config.server_encryption.as_mut().unwrap().region = "elsewhere-2".to_owned();
    let server = server.restart().await;
    let mut pair = pair.again(&server).await;
    for path in ["/v1/server-key", "/v1/retained"] {
        let reply = pair.bobs.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (409, "region_mismatch"));
    }
    let late = sealed(&key, pair.alice.address(), pair.bob.account, None, b"late");
    assert_eq!(pair.alices.post("/v1/retained", &late).await.code(), "region_mismatch");
    assert!(read_retained(&server.config.storage.path, &message.id, "ann", "why").await.is_err());
    assert_eq!(record(&server).await.unwrap()[0].outcome, "region_mismatch");
    // Another server, whose store knows no key yet, finds the token's key labelled with its own region.
    let mut encryption = hsm.encryption();
    encryption.region = "elsewhere-2".to_owned();
    let stranger = TestServer::start_with(|config| config.server_encryption = Some(encryption)).await;
    let (_, mut client) = stranger.registered().await;
    assert_eq!(client.get("/v1/server-key").await.code(), "region_mismatch");
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let Some(hsm) = Hsm::alone("what_was_kept_is_there_after_a_restart") else { return };
    let server = TestServer::start_with(hsm.enable()).await;
    let mut pair = Pair::at(&server).await;
    let key = server_key(&mut pair.alices).await;
    pair.say("kept").await;
    pair.read().await;
    let server = server.restart().await;
    let mut pair = pair.again(&server).await;
    assert_eq!(server_key(&mut pair.alices).await.key_id, key.key_id, "the same key");
    assert_eq!(words(&pair.read().await), ["kept"]);
    assert_eq!(record(&server).await.unwrap().len(), 2, "and the record goes on where it was");
}

/// The same over the command line, as an operator sees it.
fn the_commands_agree(config: &Path, kept: &[String], rows: u64) {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rcseald"))
            .arg("admin")
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let list = run(&["retained", "list"]);
    assert_eq!(list.lines().count(), kept.len());
    let id = list.lines().next().unwrap().split(' ').next().unwrap();
    assert_eq!(run(&["retained", "read", id, "--operator", "ann", "--reason", "case 7"]), kept[0]);
    let json = run(&["audit", "--json"]);
    assert_eq!(json.lines().count() as u64, rows + 1);
    let last: AuditLine = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((last.number, last.message.to_string().as_str()), (rows + 1, id));
    let text = run(&["audit"]);
    assert!(text.lines().last().unwrap().ends_with(r#"opened by operator "ann" because "case 7""#), "{text}");
    let check = run(&["check"]);
    assert!(check.contains(&format!("ends at {}:", rows + 1)) && check.contains(LABEL), "{check}");
}

/// Lives of the server; each ends at another moment.
const LIVES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_loses_no_message_and_no_row_of_what_left_it() {
    let test = "killing_the_server_loses_no_message_and_no_row_of_what_left_it";
    let Some(hsm) = Hsm::alone(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (config, address) = configure(folder.path());
    let text = std::fs::read_to_string(&config).unwrap() + &table(&hsm.encryption());
    std::fs::write(&config, text).unwrap();
    let tls = Tls::trusting(&std::fs::read_to_string(folder.path().join("authority.pem")).unwrap());
    let (alice, bob) = (Owner::new(), Owner::new());
    let mut server = Process::start(&config, address).await;
    for owner in [&alice, &bob] {
        let reply = Client::connect(&tls, address).await.post("/v1/accounts", &owner.register_request()).await;
        assert_eq!(reply.status, 201);
    }
    let origin = format!("https://localhost:{}", address.port()).parse().unwrap();
    let (mut kept, mut handed_over) = (Vec::new(), 0);
    for life in 0..LIVES {
        let (mut alices, mut bobs) = (Client::connect(&tls, address).await, Client::connect(&tls, address).await);
        alice.log_in_at(&origin, &mut alices).await;
        bob.log_in_at(&origin, &mut bobs).await;
        alices.delivery_token = Some(bob.delivery_token.expose_text());
        let key = server_key(&mut alices).await;
        for n in 0..5 + life {
            let words = format!("{life}/{n}");
            let submission = sealed(&key, alice.address(), bob.account, None, words.as_bytes());
            assert_eq!(alices.post("/v1/retained", &submission).await.status, 201);
            kept.push(words);
            let read = page(&mut bobs, 0).await.messages;
            assert_eq!(self::words(&read), kept);
            handed_over += read.len() as u64;
        }
        // SIGKILL, with a read on its way.
        let dying = tokio::spawn(async move {
            let _ = bobs.try_send(http::Method::GET, "/v1/retained", &[], crate::support::full("")).await;
        });
        drop(server);
        let _ = dying.await;
        server = Process::start(&config, address).await;
    }
    let mut bobs = Client::connect(&tls, address).await;
    bob.log_in_at(&origin, &mut bobs).await;
    assert_eq!(words(&page(&mut bobs, 0).await.messages), kept);
    handed_over += kept.len() as u64;
    let mut rows = 0;
    read_audit(&folder.path().join("data"), |_| rows += 1).await.unwrap();
    assert!(rows >= handed_over, "{rows} rows for {handed_over} messages handed over");
    the_commands_agree(&config, &kept, rows);
    drop(server);
}
