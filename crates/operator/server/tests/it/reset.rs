//! Resets: by the operator's ticket, after a delay, unless a device vetoes.

use rcseal_server::{cancel_reset, create_reset_ticket, list_resets};
use rcseal_store::conformance::FaultKind;
use rcseal_wire::api::{
    KeySetBasis, KeySetBody, KeySetProof, KeySetsBody, LoginResponse, PendingReset, ResetAccepted, ResetStatus,
};
use rcseal_wire::frame::ResetNotice;
use rcseal_wire::id::AccountId;

use crate::support::{Client, Owner, START, TestServer, body};

const HOUR: u64 = 3600;
const DELAY: u64 = 7 * 24 * HOUR;

fn path(account: AccountId) -> String {
    format!("/v1/accounts/{account}/reset")
}

async fn ticket(server: &TestServer, account: AccountId) -> String {
    create_reset_ticket(&server.config.storage.path, &account, HOUR).await.unwrap()
}

async fn seen_by_contacts(server: &TestServer, owner: &Owner) -> Vec<u8> {
    let served: KeySetBody =
        server.contact(owner).await.get(&format!("/v1/accounts/{}/key-set", owner.account)).await.json();
    served.key_set.0
}

async fn pending(client: &mut Client) -> Option<PendingReset> {
    client.get("/v1/account/reset").await.json::<ResetStatus>().pending
}

/// An account with a reset that is pending: its owner, a client of the old device, the new owner, the request.
async fn with_pending(server: &TestServer) -> (Owner, Client, Owner, String) {
    let (owner, client) = server.registered().await;
    let ticket = ticket(server, owner.account).await;
    let new = owner.reset(&owner.key_set, 0);
    let reply = server.connect().await.post(&path(owner.account), &new.reset_request(&ticket)).await;
    let accepted: ResetAccepted = reply.json();
    let effective_at_ms = START.plus_seconds(DELAY).get();
    assert_eq!(accepted, ResetAccepted { effective_at_ms, in_force: false });
    (owner, client, new, ticket)
}

#[tokio::test]
async fn a_reset_is_told_to_the_devices_and_hidden_from_contacts_until_it_is_due() {
    let server = TestServer::start().await;
    let (owner, mut device) = server.registered().await;
    let mut listening = server.mailbox(&device).await;
    listening.backlog().await;
    let ticket = ticket(&server, owner.account).await;
    let mut stranger = server.connect().await;
    let proof = KeySetProof { recovery_key: None, reset_ticket: Some(ticket.clone()), account_signature: None };
    let basis: KeySetBasis = stranger.post(&format!("/v1/accounts/{}/key-set", owner.account), &proof).await.json();
    assert_eq!(basis.key_set.0, owner.key_set.as_bytes());
    assert_eq!((basis.now_ms, basis.reset_delay_seconds), (START.get(), DELAY));
    let effective_at_ms = START.plus_seconds(DELAY).get();
    let new = owner.reset(&owner.key_set, effective_at_ms);
    let accepted: ResetAccepted = stranger.post(&path(owner.account), &new.reset_request(&ticket)).await.json();
    assert_eq!(accepted, ResetAccepted { effective_at_ms, in_force: false });

    // At once, at the next connection, and at the next login.
    let notice = ResetNotice { pending: true, effective_at_ms };
    assert_eq!(listening.reset_notice().await, notice);
    assert_eq!(server.mailbox(&device).await.reset_notice().await, notice);
    let login: LoginResponse = owner.try_log_in(&server, &mut device).await.json();
    assert_eq!(login.reset_effective_at_ms, Some(effective_at_ms));
    let status = pending(&mut device).await.unwrap();
    assert_eq!((status.requested_at_ms, status.effective_at_ms), (START.get(), effective_at_ms));
    assert_eq!(status.key_set.0, new.key_set.as_bytes());

    server.clock.advance_seconds(DELAY - 1);
    server.running.sweep().await.unwrap();
    assert_eq!(seen_by_contacts(&server, &owner).await, owner.key_set.as_bytes());
    let all: KeySetsBody =
        server.contact(&owner).await.get(&format!("/v1/accounts/{}/key-sets?from=2", owner.account)).await.json();
    assert_eq!(all.key_sets.len(), 0);
    assert_eq!(new.try_log_in(&server, &mut stranger).await.code(), "login_refused");
}

#[tokio::test]
async fn a_due_reset_is_in_force_for_whoever_looks_first() {
    let server = TestServer::start().await;
    let (owner, mut device, new, ticket) = with_pending(&server).await;
    owner.log_in(&server, &mut device).await;
    let mut listening = server.mailbox(&device).await;
    server.clock.advance_seconds(DELAY);
    // No sweep has come by.
    assert_eq!(seen_by_contacts(&server, &owner).await, new.key_set.as_bytes());
    assert_eq!(listening.closed().await.reason, "device_unknown");
    let mut client = server.connect().await;
    new.log_in(&server, &mut client).await;
    assert_eq!(pending(&mut client).await, None);
    let again: ResetAccepted = client.post(&path(owner.account), &new.reset_request(&ticket)).await.json();
    assert!(again.in_force);
    assert_eq!(owner.try_log_in(&server, &mut device).await.code(), "login_refused");
    let metrics = server.running.metrics();
    assert!(metrics.contains("rcseal_takeovers_total{event=\"ResetInForce\"} 1"), "{metrics}");
}

#[tokio::test]
async fn the_sweep_lets_a_reset_take_effect_exactly_once() {
    let server = TestServer::start().await;
    let (owner, _, new, _) = with_pending(&server).await;
    server.clock.advance_seconds(DELAY);
    let sweeps = futures_util::future::join_all((0..4).map(|_| server.running.sweep())).await;
    let resets: u64 = sweeps.into_iter().map(|swept| swept.unwrap().resets).sum();
    assert_eq!(resets, 1);
    assert_eq!(server.running.sweep().await.unwrap().resets, 0);
    assert_eq!(seen_by_contacts(&server, &owner).await, new.key_set.as_bytes());
}

#[tokio::test]
async fn any_device_can_veto() {
    let server = TestServer::start().await;
    let (owner, mut device, new, ticket) = with_pending(&server).await;
    let mut listening = server.mailbox(&device).await;
    assert!(listening.reset_notice().await.pending);
    assert_eq!(device.delete("/v1/account/reset").await.status, 204);
    assert_eq!(device.delete("/v1/account/reset").await.status, 204);
    assert_eq!(listening.reset_notice().await, ResetNotice { pending: false, effective_at_ms: 0 });
    assert_eq!(pending(&mut device).await, None);
    let mut stranger = server.connect().await;
    let again = stranger.post(&path(owner.account), &new.reset_request(&ticket)).await;
    assert_eq!((again.status, again.code().as_str()), (403, "reset_ticket_refused"));
    server.clock.advance_seconds(DELAY);
    assert_eq!(seen_by_contacts(&server, &owner).await, owner.key_set.as_bytes());
    assert!(server.running.metrics().contains("rcseal_takeovers_total{event=\"ResetVetoed\"} 1"));
}

#[tokio::test]
async fn a_key_set_of_the_accounts_devices_ends_a_pending_reset() {
    let server = TestServer::start().await;
    let (mut owner, mut device, _, _) = with_pending(&server).await;
    let mut listening = server.mailbox(&device).await;
    assert!(listening.reset_notice().await.pending);
    owner.migrate();
    assert_eq!(device.put("/v1/account/key-set", &body(&owner.key_set)).await.status, 204);
    assert!(!listening.reset_notice().await.pending);
    assert_eq!(pending(&mut device).await, None);

    let (owner, _, _, _) = with_pending(&server).await;
    let back = owner.recovered(&owner.key_set);
    let mut client = server.connect().await;
    let reply = client.post(&format!("/v1/accounts/{}/recovery", owner.account), &back.recovery_request()).await;
    assert_eq!(reply.status, 204);
    back.log_in(&server, &mut client).await;
    assert_eq!(pending(&mut client).await, None);
    server.clock.advance_seconds(DELAY);
    assert_eq!(seen_by_contacts(&server, &owner).await, back.key_set.as_bytes());
}

#[tokio::test]
async fn a_pending_reset_survives_a_restart_and_falls_due_while_nobody_serves() {
    let server = TestServer::start().await;
    let (owner, mut device, new, ticket) = with_pending(&server).await;
    let server = server.restart().await;
    device = {
        let token = device.token.take();
        let mut again = server.connect().await;
        again.token = token;
        again
    };
    assert!(pending(&mut device).await.is_some());
    let again: ResetAccepted =
        server.connect().await.post(&path(owner.account), &new.reset_request(&ticket)).await.json();
    assert_eq!(again.effective_at_ms, START.plus_seconds(DELAY).get(), "repeating it does not begin it anew");
    server.clock.advance_seconds(DELAY);
    let server = server.restart().await;
    assert_eq!(seen_by_contacts(&server, &owner).await, new.key_set.as_bytes());
    new.log_in(&server, &mut server.connect().await).await;
}

#[tokio::test]
async fn tickets_are_for_one_reset_of_one_account_within_their_time() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    let (other, _) = server.registered().await;
    let good = ticket(&server, owner.account).await;
    let new = owner.reset(&owner.key_set, 0);
    let mut client = server.connect().await;
    let wrong = client.post(&path(owner.account), &new.reset_request("rst-AAAAAAAAAAAAAAAAAAAAAA")).await;
    assert_eq!(wrong.code(), "reset_ticket_refused");
    for refused in ["", "rst-", "inv-AAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(client.post(&path(owner.account), &new.reset_request(refused)).await.body, wrong.body);
    }
    let elsewhere = other.reset(&other.key_set, 0);
    assert_eq!(client.post(&path(other.account), &elsewhere.reset_request(&good)).await.body, wrong.body);
    let nobody = Owner::new();
    let nobody = nobody.reset(&nobody.key_set, 0);
    assert_eq!(client.post(&path(nobody.account), &nobody.reset_request(&good)).await.body, wrong.body);
    server.clock.advance_seconds(HOUR);
    assert_eq!(client.post(&path(owner.account), &new.reset_request(&good)).await.body, wrong.body, "expired");

    let good = ticket(&server, owner.account).await;
    assert_eq!(client.post(&path(owner.account), &new.reset_request(&good)).await.status, 200);
    let second = owner.reset(&owner.key_set, 0);
    assert_eq!(client.post(&path(owner.account), &second.reset_request(&good)).await.body, wrong.body, "used");
}

#[tokio::test]
async fn what_is_not_a_reset_of_the_stored_set_is_refused_and_leaves_the_ticket() {
    let server = TestServer::start().await;
    let (mut owner, mut device) = server.registered().await;
    let first = owner.key_set.clone();
    owner.republish();
    assert_eq!(device.put("/v1/account/key-set", &body(&owner.key_set)).await.status, 204);
    let ticket = ticket(&server, owner.account).await;
    let mut client = server.connect().await;
    let path = path(owner.account);
    let request = |new: &Owner| new.reset_request(&ticket);
    assert_eq!(client.post(&path, &request(&owner.reset(&first, 0))).await.code(), "key_set_conflict");
    let recovery = owner.recovered(&owner.key_set);
    assert_eq!(client.post(&path, &request(&recovery)).await.code(), "key_set_invalid");
    let far = owner.reset(&owner.key_set, START.plus_seconds(DELAY + 25 * HOUR).get());
    assert_eq!(client.post(&path, &request(&far)).await.code(), "out_of_range");
    let mut flipped = request(&owner.reset(&owner.key_set, 0));
    *flipped.key_set.0.last_mut().unwrap() ^= 1;
    assert_eq!(client.post(&path, &flipped).await.code(), "key_set_invalid");
    let (victim, _) = server.registered().await;
    let mut taken = request(&owner.reset(&owner.key_set, 0));
    taken.device.mailbox = victim.mailbox;
    assert_eq!(client.post(&path, &taken).await.code(), "mailbox_taken");

    let late = owner.reset(&owner.key_set, START.plus_seconds(DELAY + HOUR).get());
    let accepted: ResetAccepted = client.post(&path, &request(&late)).await.json();
    assert_eq!(accepted.effective_at_ms, START.plus_seconds(DELAY + HOUR).get(), "not before the set allows it");
}

#[tokio::test]
async fn the_operator_sees_and_ends_resets() {
    let server = TestServer::start().await;
    let storage = server.config.storage.path.clone();
    let (owner, mut device, _, _) = with_pending(&server).await;
    let (other, _) = server.registered().await;
    ticket(&server, other.account).await;
    let mut lines = list_resets(&storage).await.unwrap();
    lines.sort_by_key(|line| line.contains("pending"));
    assert_eq!(
        lines,
        [
            format!("{} allowed: its ticket expires in 0d 1h 0m", other.account),
            format!("{} pending: takes effect in 7d 0h 0m", owner.account),
        ]
    );
    let refused = create_reset_ticket(&storage, &owner.account, HOUR).await.unwrap_err();
    assert!(refused.to_string().contains("pending"), "{refused}");
    let unknown = AccountId::generate(&mut rand::rng());
    let refused = create_reset_ticket(&storage, &unknown, HOUR).await.unwrap_err();
    assert!(refused.to_string().contains("no such account"), "{refused}");
    let mut listening = server.mailbox(&device).await;
    assert!(listening.reset_notice().await.pending);
    cancel_reset(&storage, &owner.account).await.unwrap();
    assert!(!listening.reset_notice().await.pending);
    assert_eq!(pending(&mut device).await, None);
    cancel_reset(&storage, &other.account).await.unwrap();
    assert_eq!(list_resets(&storage).await.unwrap(), [""; 0]);
    assert!(cancel_reset(&storage, &other.account).await.is_err());
}

#[tokio::test]
async fn asking_how_far_a_reset_has_come_is_not_limited_per_account() {
    let server = TestServer::start_with(|config| config.limits.takeovers_per_hour_max = 1).await;
    let (owner, _, new, ticket) = with_pending(&server).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        let again: ResetAccepted = client.post(&path(owner.account), &new.reset_request(&ticket)).await.json();
        assert_eq!(again, ResetAccepted { effective_at_ms: START.plus_seconds(DELAY).get(), in_force: false });
    }
    let other = owner.reset(&owner.key_set, 0);
    let refused = client.post(&path(owner.account), &other.reset_request(&ticket)).await;
    assert_eq!(refused.code(), "rate_limited");
}

#[tokio::test]
async fn an_expired_ticket_is_swept() {
    let server = TestServer::start().await;
    let (owner, _) = server.registered().await;
    ticket(&server, owner.account).await;
    server.clock.advance_seconds(HOUR);
    let swept = server.running.sweep().await.unwrap();
    assert_eq!((swept.resets, swept.tickets), (0, 1));
    assert_eq!(list_resets(&server.config.storage.path).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_anywhere_begins_a_reset_once_and_lets_it_take_effect_once() {
    for kind in [FaultKind::Before, FaultKind::After] {
        for nth in 1..=8 {
            let (server, faulty) = TestServer::start_faulty().await;
            let (owner, _) = server.registered().await;
            let ticket = ticket(&server, owner.account).await;
            let new = owner.reset(&owner.key_set, 0);
            let mut client = server.connect().await;
            faulty.arm(nth, kind);
            let first = client.post(&path(owner.account), &new.reset_request(&ticket)).await;
            assert!(first.status == 200 || first.code() == "unavailable", "{first:?}");
            let accepted: ResetAccepted = loop {
                let again = client.post(&path(owner.account), &new.reset_request(&ticket)).await;
                if again.status == 200 {
                    break again.json();
                }
                assert_eq!(again.code(), "unavailable");
            };
            assert_eq!(accepted.effective_at_ms, START.plus_seconds(DELAY).get());
            server.clock.advance_seconds(DELAY);
            faulty.arm(nth, kind);
            loop {
                let reply = server.contact(&owner).await.get(&format!("/v1/accounts/{}/key-set", owner.account)).await;
                if reply.status == 200 && reply.json::<KeySetBody>().key_set.0 == new.key_set.as_bytes() {
                    break;
                }
                assert!(reply.status == 200 || reply.code() == "unavailable", "{reply:?}");
            }
            while !faulty.has_failed() {
                let _ = client.get("/v1/account/reset").await;
                let _ = server.running.sweep().await;
            }
            new.log_in(&server, &mut client).await;
        }
    }
}
