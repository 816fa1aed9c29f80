//! Whole lives of a message over a store that fails once, at every possible place.
//!
//! The caller does what clients do: after an error it repeats the same operation. Whatever call fails, and on whichever side of its
//! effect, nothing acknowledged may be lost, nothing may be delivered after its acknowledgement, and no one-time prekey goes out twice.

use std::collections::HashSet;
use std::sync::Arc;

use rcseal_wire::id::EnvelopeId;

use super::fixture::{Fixture, START, device_number, envelope_id, key_set};
use super::{FaultKind, FaultyStore, retained, takeovers};
use crate::directory::{Claim, PublishKeySet, StoredPrekey, UploadPrekeys};
use crate::retained::RetainedLimit;
use crate::takeover::Settled;
use crate::{EnqueueOutcome, FetchLimit, MailboxSeq, Store};

/// Fails the first call, then the second, and so on, until a life goes by without a fault. Returns how many calls were failed.
pub async fn run(store: &Arc<dyn Store>) -> u64 {
    let mut failed = 0;
    for kind in [FaultKind::Before, FaultKind::After] {
        for nth in 1.. {
            let faulty = FaultyStore::new(Arc::clone(store));
            faulty.arm(nth, kind);
            one_life(&faulty as &dyn Store).await;
            if !faulty.has_failed() {
                break;
            }
            failed += 1;
        }
    }
    failed
}

async fn one_life(store: &dyn Store) {
    let bob = Fixture::new();
    persist!(store.register(bob.registration()));
    let publish = || PublishKeySet {
        account: bob.account,
        previous: key_set(bob.account, 1).hash,
        key_set: key_set(bob.account, 2),
        devices: vec![device_number(1), device_number(2)],
        now: START,
    };
    persist!(store.publish_key_set(publish()));
    let keys =
        |ids: std::ops::Range<u32>| ids.map(|id| StoredPrekey { id, bytes: vec![1; 32].into() }).collect::<Vec<_>>();
    let upload = || UploadPrekeys {
        signed: Some(StoredPrekey { id: 1, bytes: vec![2; 32].into() }),
        last_resort: Some(StoredPrekey { id: 2, bytes: vec![3; 32].into() }),
        one_time: keys(1..6),
        one_time_kem: keys(1..6),
        replace: false,
    };
    persist!(store.upload_prekeys(bob.device, upload(), START));
    let mut handed_out = HashSet::new();
    for _ in 0..3 {
        let bundle = persist!(store.claim_bundle(bob.device, Claim::OneTime)).expect("the device is reachable");
        assert!(
            handed_out.insert(bundle.one_time.expect("five were uploaded").id),
            "a one-time prekey was handed out twice"
        );
        // An upload that is repeated late brings nothing back.
        persist!(store.upload_prekeys(bob.device, upload(), START));
    }

    let ids: Vec<EnvelopeId> = (0..4).map(|_| envelope_id()).collect();
    for id in &ids {
        let outcomes = persist!(store.enqueue(START, vec![bob.envelope(*id, b"body")]));
        assert!(matches!(outcomes[..], [EnqueueOutcome::Stored | EnqueueOutcome::Duplicate]), "{outcomes:?}");
    }
    let limit = FetchLimit { envelopes: 100, bytes: usize::MAX };
    let seen = |fetched: crate::Fetched| fetched.envelopes.iter().map(|waiting| waiting.id).collect::<Vec<_>>();
    assert_eq!(
        seen(persist!(store.fetch(START, bob.mailbox, MailboxSeq::START, limit))),
        ids,
        "lost, doubled or out of order"
    );
    persist!(store.acknowledge(bob.mailbox, ids[..2].to_vec()));
    assert_eq!(seen(persist!(store.fetch(START, bob.mailbox, MailboxSeq::START, limit))), ids[2..]);
    // The sender never got its answer and submits once more.
    for id in &ids {
        let outcomes = persist!(store.enqueue(START, vec![bob.envelope(*id, b"body")]));
        assert_eq!(outcomes, [EnqueueOutcome::Duplicate]);
    }
    assert_eq!(seen(persist!(store.fetch(START, bob.mailbox, MailboxSeq::START, limit))), ids[2..]);
    persist!(store.check());
    one_takeover(store).await;
    one_reset(store).await;
    one_retained_message(store).await;
}

/// An account is taken over by a new device; nobody hears of it twice.
async fn one_takeover(store: &dyn Store) {
    let bob = Fixture::new();
    persist!(store.register(bob.registration()));
    let takeover = takeovers::takeover(bob.account);
    persist!(store.take_over(takeover.clone(), START));
    let devices = persist!(store.devices(bob.account));
    let [device] = &devices[..] else { panic!("one device, and not {}", devices.len()) };
    assert_eq!((device.mailbox, device.reachable), (Some(takeover.mailbox), true));
    assert_eq!(persist!(store.key_set(bob.account)), Some(takeover.key_set));
}

/// A message is kept once, and every opening of it stands in the record at least once.
async fn one_retained_message(store: &dyn Store) {
    let bob = Fixture::new();
    persist!(store.register(bob.registration()));
    let id = retained::retained_id();
    let first = persist!(store.retain(retained::message(&bob, id, b"words")));
    let again = persist!(store.retain(retained::message(&bob, id, b"words")));
    assert_eq!((again.sequence, again.is_new), (first.sequence, false));
    let limit = RetainedLimit { messages: 10, bytes: usize::MAX };
    let page = persist!(store.retained(START, bob.account, key_set(bob.account, 1).counter, 0, limit));
    assert_eq!(page.records.iter().map(|record| record.entry.id).collect::<Vec<_>>(), [id]);
    assert_eq!(persist!(store.newest_retained(bob.account)), Some(1));
    let before = persist!(store.audit_ends()).head;
    let head = persist!(store.append_audit(vec![retained::opened(id, &bob)]));
    assert!((1..=2).contains(&(head.number - before.number)), "once, or twice after a doubt");
    let rows = persist!(store.audit(before.number, 10));
    let end = rows.iter().try_fold(before, |head, row| head.follow(row)).expect("an unbroken chain");
    assert_eq!(end, head);
    assert!(rows.iter().all(|row| row.entry.message == id));
}

/// A reset is allowed, asked for and takes effect, once.
async fn one_reset(store: &dyn Store) {
    let bob = Fixture::new();
    persist!(store.register(bob.registration()));
    let (ticket, takeover) = (takeovers::ticket(), takeovers::takeover(bob.account));
    persist!(store.add_reset_ticket(bob.account, ticket, START.plus_seconds(60)));
    let begin = || takeovers::reset(ticket, &takeover);
    let effective_at = persist!(store.begin_reset(begin()));
    assert_eq!(persist!(store.key_set(bob.account)), Some(key_set(bob.account, 1)), "too early");
    while !matches!(persist!(store.settle_reset(effective_at)), Settled::Nothing { .. }) {}
    assert_eq!(persist!(store.key_set(bob.account)), Some(takeover.key_set.clone()));
    assert_eq!(persist!(store.devices(bob.account)).len(), 1);
    assert_eq!(persist!(store.reset(bob.account)), None);
}
