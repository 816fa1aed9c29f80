use bytes::Bytes;

use super::fixture::{START, link_id};
use crate::limits::{LINK_LIFETIME_MILLIS, LINK_MESSAGE_LEN_MAX, LINK_SLOTS};
use crate::{LinkError, Store};

pub(super) async fn run(store: &dyn Store) {
    messages_are_left_once_and_read_often(store).await;
    a_rendezvous_ends(store).await;
}

async fn messages_are_left_once_and_read_often(store: &dyn Store) {
    let link = link_id();
    let message = Bytes::from_static(b"hello");
    assert!(matches!(store.put_link_message(link, 0, message.clone(), START).await, Err(LinkError::Unknown)));
    let ends_at = store.open_link(link, START).await.unwrap();
    assert_eq!(ends_at, START.plus_millis(LINK_LIFETIME_MILLIS));
    assert!(matches!(store.open_link(link, START).await, Err(LinkError::Exists)));
    assert_eq!(store.link_message(link, 0, START).await.unwrap(), None);
    store.put_link_message(link, 0, message.clone(), START).await.unwrap();
    store.put_link_message(link, 0, message.clone(), START).await.expect("repeating the same message");
    let other = Bytes::from_static(b"other");
    assert!(matches!(store.put_link_message(link, 0, other.clone(), START).await, Err(LinkError::SlotTaken)));
    store.put_link_message(link, LINK_SLOTS - 1, other.clone(), START).await.unwrap();
    assert_eq!(store.link_message(link, 0, START).await.unwrap(), Some(message.clone()));
    assert_eq!(store.link_message(link, 0, START).await.unwrap(), Some(message.clone()));
    assert!(matches!(store.put_link_message(link, LINK_SLOTS, message, START).await, Err(LinkError::NoSuchSlot)));
    let large = Bytes::from(vec![0; LINK_MESSAGE_LEN_MAX + 1]);
    assert!(matches!(store.put_link_message(link, 1, large, START).await, Err(LinkError::TooLarge)));
}

async fn a_rendezvous_ends(store: &dyn Store) {
    let link = link_id();
    let ends_at = store.open_link(link, START).await.unwrap();
    store.put_link_message(link, 0, Bytes::from_static(b"x"), START).await.unwrap();
    assert!(matches!(store.link_message(link, 0, ends_at).await, Err(LinkError::Unknown)));
    assert!(matches!(store.put_link_message(link, 1, Bytes::new(), ends_at).await, Err(LinkError::Unknown)));
    assert!(store.expire_links(ends_at, 1000).await.unwrap() >= 1);
    assert_eq!(store.expire_links(ends_at, 1000).await.unwrap(), 0);
    store.open_link(link, ends_at).await.expect("the id is free again");
    assert_eq!(store.link_message(link, 0, ends_at).await.unwrap(), None, "an old message was still there");
}
