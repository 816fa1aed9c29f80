use bytes::Bytes;
use rcseal_wire::id::{KeySetCounter, RetainedId, ServerKeyId};

use super::fixture::{DAY_MILLIS, Fixture, START, device_number, key_set, unique};
use super::{RETAINED_BYTES_MAX, RETAINED_MAX, RETAINED_SENDERS_MIN};
use crate::audit::{AuditActor, AuditEntry, AuditHead, AuditOutcome};
use crate::directory::PublishKeySet;
use crate::retained::{NewRetained, RetainError, RetainedLimit, ServerKeyRecord};
use crate::{Store, UnixMillis};

const ALL: RetainedLimit = RetainedLimit { messages: 1000, bytes: usize::MAX };
const FIRST: KeySetCounter = KeySetCounter::new(1);
const END: UnixMillis = START.plus_millis(DAY_MILLIS);

pub(super) async fn run(store: &dyn Store) {
    messages_are_kept_once_in_order_and_read_often(store).await;
    an_id_stands_for_one_message(store).await;
    nothing_is_kept_for_strangers_or_beyond_the_quota(store).await;
    messages_leave_when_their_class_says(store).await;
    a_device_reads_what_came_since_it_was_listed(store).await;
    a_label_has_one_key_for_ever(store).await;
    the_record_is_a_chain(store).await;
}

pub(super) fn retained_id() -> RetainedId {
    RetainedId::from_bytes(unique())
}

pub(super) fn message(bob: &Fixture, id: RetainedId, sealed: &[u8]) -> NewRetained {
    NewRetained {
        to: bob.account,
        from: bob.device,
        id,
        key: ServerKeyId::from_bytes([7; 16]),
        class: "standard".to_owned(),
        region: "here".to_owned(),
        sealed: Bytes::copy_from_slice(sealed),
        now: START,
        expires_at: END,
    }
}

pub(super) fn opened(id: RetainedId, bob: &Fixture) -> AuditEntry {
    AuditEntry {
        at: START,
        actor: AuditActor::Device(bob.device),
        message: id,
        recipient: bob.account,
        key: ServerKeyId::from_bytes([7; 16]),
        outcome: AuditOutcome::Opened,
    }
}

async fn messages_are_kept_once_in_order_and_read_often(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    assert_eq!(store.newest_retained(bob.account).await.unwrap(), None);
    let ids: Vec<RetainedId> = (0..5).map(|_| retained_id()).collect();
    for (n, id) in ids.iter().enumerate() {
        let kept = store.retain(message(&bob, *id, &[n as u8; 100])).await.unwrap();
        assert_eq!((kept.sequence, kept.is_new, kept.expires_at), (n as u64 + 1, true, END));
    }
    assert_eq!(store.newest_retained(bob.account).await.unwrap(), Some(5));
    for _ in 0..2 {
        let page = store.retained(START, bob.account, FIRST, 0, ALL).await.unwrap();
        assert_eq!(page.records.iter().map(|record| record.entry.id).collect::<Vec<_>>(), ids);
        assert!(!page.more);
    }
    let page =
        store.retained(START, bob.account, FIRST, 1, RetainedLimit { messages: 2, bytes: usize::MAX }).await.unwrap();
    assert_eq!(page.records.iter().map(|record| record.entry.sequence).collect::<Vec<_>>(), [2, 3]);
    assert!(page.more);
    let page = store.retained(START, bob.account, FIRST, 3, RetainedLimit { messages: 9, bytes: 1 }).await.unwrap();
    assert_eq!((page.records.len(), page.more), (1, true), "the first one comes whatever its length");
    assert!(store.retained(START, bob.account, FIRST, 5, ALL).await.unwrap().records.is_empty());
    let found = store.retained_message(START, ids[2]).await.unwrap().expect("it is kept");
    assert_eq!((found.entry.sequence, &found.sealed[..]), (3, &[2; 100][..]));
    let after = Some((bob.account, 3));
    let listed = store.list_retained(START, after, 2).await.unwrap();
    assert_eq!(listed.iter().map(|entry| entry.id).collect::<Vec<_>>(), ids[3..]);
}

async fn an_id_stands_for_one_message(store: &dyn Store) {
    let (bob, eve) = (Fixture::registered(store).await, Fixture::registered(store).await);
    let id = retained_id();
    let first = store.retain(message(&bob, id, b"words")).await.unwrap();
    let later = NewRetained { now: END, expires_at: END.plus_millis(1), ..message(&bob, id, b"words") };
    let again = store.retain(later).await.unwrap();
    assert_eq!((again.sequence, again.expires_at, again.is_new), (first.sequence, first.expires_at, false));
    for other in [
        message(&bob, id, b"other words"),
        message(&eve, id, b"words"),
        NewRetained { from: eve.device, ..message(&bob, id, b"words") },
        NewRetained { class: "short".to_owned(), ..message(&bob, id, b"words") },
    ] {
        assert!(matches!(store.retain(other).await, Err(RetainError::IdConflict)));
    }
}

async fn nothing_is_kept_for_strangers_or_beyond_the_quota(store: &dyn Store) {
    let stranger = message(&Fixture::new(), retained_id(), b"x");
    assert!(matches!(store.retain(stranger).await, Err(RetainError::UnknownRecipient)));
    let bob = Fixture::registered(store).await;
    let large = vec![0; rcseal_wire::api::retained::RETAINED_SEALED_LEN_MAX + 1];
    assert!(matches!(store.retain(message(&bob, retained_id(), &large)).await, Err(RetainError::TooLarge)));
    let by = |to: &Fixture, from: &Fixture, sealed: &[u8]| NewRetained {
        from: from.device,
        ..message(to, retained_id(), sealed)
    };
    let senders: Vec<_> = (0..RETAINED_SENDERS_MIN).map(|_| Fixture::new()).collect();
    for sender in &senders {
        for _ in 0..RETAINED_MAX / RETAINED_SENDERS_MIN {
            store.retain(by(&bob, sender, b"x")).await.expect("what others have kept does not count for this one");
        }
        assert!(matches!(store.retain(by(&bob, sender, b"x")).await, Err(RetainError::QuotaExceeded)));
    }
    let late = store.retain(by(&bob, &Fixture::new(), b"x")).await;
    assert!(matches!(late, Err(RetainError::QuotaExceeded)), "all together have what the recipient may have kept");
    let ann = Fixture::registered(store).await;
    let most = vec![0; usize::try_from(RETAINED_BYTES_MAX / RETAINED_SENDERS_MIN * 3 / 4).unwrap()];
    store.retain(by(&ann, &senders[0], &most)).await.unwrap();
    assert!(matches!(store.retain(by(&ann, &senders[0], &most)).await, Err(RetainError::QuotaExceeded)));
    store.retain(by(&ann, &senders[1], &most)).await.expect("one sender does not use up the room of another");
    while store.expire_retained(END, 10).await.unwrap() > 0 {}
    store.retain(by(&ann, &senders[0], &most)).await.expect("what has left makes room");
}

async fn messages_leave_when_their_class_says(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let (short, long) = (retained_id(), retained_id());
    let soon = START.plus_millis(1000);
    store.retain(NewRetained { expires_at: soon, ..message(&bob, short, b"x") }).await.unwrap();
    store.retain(message(&bob, long, b"y")).await.unwrap();
    let ids = |page: crate::retained::RetainedRecords| page.records.iter().map(|r| r.entry.id).collect::<Vec<_>>();
    assert_eq!(
        ids(store.retained(soon, bob.account, FIRST, 0, ALL).await.unwrap()),
        [long],
        "expired, though not yet swept"
    );
    assert_eq!(store.retained_message(soon, short).await.unwrap(), None);
    while store.expire_retained(soon, 1000).await.unwrap() > 0 {}
    assert_eq!(
        ids(store.retained(START, bob.account, FIRST, 0, ALL).await.unwrap()),
        [long],
        "gone whatever the clock says"
    );
    let next = store.retain(message(&bob, short, b"z")).await.expect("its id is free again");
    assert_eq!(next.sequence, 3, "a sequence is used once");
    store.remove_account(bob.account).await.unwrap();
    assert_eq!(
        ids(store.retained(START, bob.account, FIRST, 0, ALL).await.unwrap()),
        [long, short],
        "kept beyond the account"
    );
}

async fn a_device_reads_what_came_since_it_was_listed(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let mut ids = Vec::new();
    for counter in 1..=4 {
        if counter > 1 {
            let publish = PublishKeySet {
                account: bob.account,
                previous: key_set(bob.account, counter - 1).hash,
                key_set: key_set(bob.account, counter),
                devices: vec![device_number(1)],
                now: START,
            };
            store.publish_key_set(publish).await.unwrap();
        }
        for _ in 0..counter {
            let id = retained_id();
            // One in three leaves early, so that there are gaps.
            let expires_at = if ids.len() % 3 == 1 { START.plus_millis(1) } else { END };
            store.retain(NewRetained { expires_at, ..message(&bob, id, b"x") }).await.unwrap();
            ids.push((counter, expires_at, id));
        }
    }
    for swept in [false, true] {
        if swept {
            while store.expire_retained(START.plus_millis(1), 1000).await.unwrap() > 0 {}
        }
        for since in 1..=5 {
            for after in 0..=ids.len() + 1 {
                let found = store
                    .retained(START.plus_millis(1), bob.account, KeySetCounter::new(since), after as u64, ALL)
                    .await
                    .unwrap();
                let expected = ids.iter().skip(after).filter(|(counter, end, _)| *counter >= since && *end == END);
                let expected: Vec<_> = expected.map(|(_, _, id)| *id).collect();
                let found: Vec<_> = found.records.iter().map(|record| record.entry.id).collect();
                assert_eq!(found, expected, "since {since}, after {after}, swept {swept}");
            }
        }
    }
}

async fn a_label_has_one_key_for_ever(store: &dyn Store) {
    let label = format!("{:x?}", unique());
    let id = ServerKeyId::from_bytes(unique());
    assert_eq!(store.server_key_of(label.clone()).await.unwrap(), None);
    let key = ServerKeyRecord {
        label: label.clone(),
        id,
        public_key: Bytes::from_static(&[4; 65]),
        region: "here".to_owned(),
        adopted_at: START,
    };
    assert_eq!(store.adopt_server_key(key.clone()).await.unwrap(), key);
    let other = ServerKeyRecord { id: ServerKeyId::from_bytes(unique()), region: "there".to_owned(), ..key.clone() };
    assert_eq!(store.adopt_server_key(other.clone()).await.unwrap(), key);
    assert_eq!(store.server_key_of(label).await.unwrap(), Some(key.clone()));
    assert_eq!(store.server_key(id).await.unwrap(), Some(key));
    assert_eq!(store.server_key(other.id).await.unwrap(), None);
}

/// The whole chain, checked.
pub(super) async fn chain(store: &dyn Store) -> (AuditHead, usize) {
    let ends = store.audit_ends().await.unwrap();
    let mut head = ends.tail;
    let mut rows = 0;
    loop {
        let page = store.audit(head.number, 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        rows += page.len();
        head = page.iter().try_fold(head, |head, row| head.follow(row)).expect("an unbroken chain");
    }
    assert_eq!(head, ends.head);
    (head, rows)
}

async fn the_record_is_a_chain(store: &dyn Store) {
    let bob = Fixture::new();
    let (before, _) = chain(store).await;
    let ids: Vec<RetainedId> = (0..20).map(|_| retained_id()).collect();
    let head = store.append_audit(ids.iter().map(|id| opened(*id, &bob)).collect()).await.unwrap();
    assert_eq!(head.number, before.number + 20);
    let operator = AuditEntry {
        at: END,
        actor: AuditActor::Operator { name: "ann".to_owned(), reason: "case 12".to_owned() },
        ..opened(ids[0], &bob)
    };
    let last = store.append_audit(vec![operator.clone()]).await.unwrap();
    let rows = store.audit(before.number, 100).await.unwrap();
    assert_eq!(rows[..20].iter().map(|row| row.entry.message).collect::<Vec<_>>(), ids);
    assert_eq!(rows[20].entry, operator);
    assert_eq!(chain(store).await.0, last);
    // Nothing is old enough, then everything is, and the newest stays all the same.
    assert_eq!(store.expire_audit(START, 1000).await.unwrap(), 0);
    while store.expire_audit(END.plus_millis(1), 9).await.unwrap() > 0 {}
    assert_eq!(chain(store).await, (last, 1));
}
