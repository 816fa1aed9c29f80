#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use tempfile::TempDir;

fn store() -> (TempDir, FjallBrokerStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallBrokerStore::open(folder.path(), 0).unwrap();
    (folder, store)
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn name(tenant: &str, id: u8) -> MessageKey {
    MessageKey { tenant: tenant.into(), id: [id; 16] }
}

fn new(tenant: &str, id: u8, due: Option<u64>) -> NewMessage {
    NewMessage {
        key: name(tenant, id),
        digest: [id; 16],
        row: Bytes::from_static(b"first"),
        due_at: due.map(at),
        expires_at: at(1_000),
    }
}

fn changed(tenant: &str, id: u8, revision: u64, due: Option<u64>) -> BusinessChange {
    let message =
        MessageChange { key: name(tenant, id), revision, row: Bytes::from_static(b"second"), due_at: due.map(at) };
    BusinessChange { message: Some(message), ..BusinessChange::default() }
}

#[tokio::test]
async fn a_message_is_stored_once_and_changed_in_order() {
    let (_folder, store) = store();
    assert_eq!(store.new_message(new("acme", 1, Some(5))).await.unwrap(), NewMessageOutcome::Stored);
    store.crash_and_reopen().await;
    let present = store.new_message(new("acme", 1, Some(5))).await.unwrap();
    assert!(matches!(present, NewMessageOutcome::Present(record) if record.revision == 1));
    let other = NewMessage { digest: [9; 16], ..new("acme", 1, None) };
    assert_eq!(store.new_message(other).await.unwrap(), NewMessageOutcome::Conflict);
    assert_eq!(store.new_message(new("other", 1, None)).await.unwrap(), NewMessageOutcome::Stored);
    assert_eq!(store.change(changed("acme", 1, 1, None)).await.unwrap(), ChangeOutcome::Done);
    assert_eq!(store.change(changed("acme", 1, 1, None)).await.unwrap(), ChangeOutcome::Stale);
    let record = store.message(name("acme", 1)).await.unwrap().unwrap();
    assert_eq!((record.revision, &record.row[..], record.due_at), (2, &b"second"[..], None));
}

#[tokio::test]
async fn what_is_due_comes_in_order_and_once_it_is_not_due_no_more() {
    let (_folder, store) = store();
    for (id, due) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20))] {
        store.new_message(new("acme", id, due)).await.unwrap();
    }
    let due = |before| {
        let store = store.clone();
        async move {
            let found = store.due_messages(at(before), None, 10).await.unwrap();
            found.into_iter().map(|(_, key, _)| key.id[0]).collect::<Vec<_>>()
        }
    };
    assert_eq!(due(20).await, [2, 4]);
    assert_eq!(due(u64::MAX).await, [2, 4, 1]);
    store.change(changed("acme", 2, 1, Some(25))).await.unwrap();
    store.change(changed("acme", 4, 1, None)).await.unwrap();
    store.crash_and_reopen().await;
    assert_eq!(due(u64::MAX).await, [2, 1]);
    let first = store.due_messages(at(u64::MAX), None, 1).await.unwrap().remove(0);
    let rest = store.due_messages(at(u64::MAX), Some(first.0), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
}

#[tokio::test]
async fn an_event_counts_once_and_takes_its_change_and_its_entry_along() {
    let (_folder, store) = store();
    store.new_message(new("acme", 1, None)).await.unwrap();
    let told = |revision| BusinessChange {
        event: Some(([7; 32], at(500))),
        feed: Some(FeedEntry { tenant: "acme".into(), entry: Bytes::from_static(b"told"), expires_at: at(500) }),
        ..changed("acme", 1, revision, None)
    };
    assert_eq!(store.change(told(9)).await.unwrap(), ChangeOutcome::Stale);
    assert!(store.feed("acme".into(), 0, 10).await.unwrap().is_empty(), "nothing of it");
    assert_eq!(store.change(told(1)).await.unwrap(), ChangeOutcome::Done);
    store.crash_and_reopen().await;
    assert_eq!(store.change(told(2)).await.unwrap(), ChangeOutcome::KnownEvent);
    assert_eq!(store.message(name("acme", 1)).await.unwrap().unwrap().revision, 2);
    let feed = store.feed("acme".into(), 0, 10).await.unwrap();
    assert_eq!(feed, [(1, Bytes::from_static(b"told"))]);
    assert!(store.feed("acme".into(), 1, 10).await.unwrap().is_empty());
    assert!(store.feed("acm".into(), 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn gateways_ids_are_found_and_everything_ends() {
    let (_folder, store) = store();
    store.new_message(new("acme", 1, Some(5))).await.unwrap();
    let link = BusinessChange {
        event: Some(([7; 32], at(500))),
        feed: Some(FeedEntry { tenant: "acme".into(), entry: Bytes::from_static(b"told"), expires_at: at(500) }),
        links: vec![(Bytes::from_static(b"gw-1"), name("acme", 1), at(500))],
        ..BusinessChange::default()
    };
    store.change(link).await.unwrap();
    assert_eq!(store.linked(Bytes::from_static(b"gw-1")).await.unwrap(), Some(name("acme", 1)));
    assert_eq!(store.linked(Bytes::from_static(b"gw-2")).await.unwrap(), None);
    assert_eq!(store.expire_business(at(499), 10).await.unwrap(), 0);
    assert_eq!(store.expire_business(at(500), 10).await.unwrap(), 3);
    assert_eq!(store.expire_business(at(1_000), 10).await.unwrap(), 1);
    assert_eq!(store.message(name("acme", 1)).await.unwrap(), None);
    assert!(store.due_messages(at(u64::MAX), None, 10).await.unwrap().is_empty());
    assert_eq!(store.linked(Bytes::from_static(b"gw-1")).await.unwrap(), None);
}
