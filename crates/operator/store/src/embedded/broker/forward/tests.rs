#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::BrokerStore as _;
use rcseal_wire::id::{AccountId, DeviceNumber};
use tempfile::TempDir;

const TEN: FrameLimit = FrameLimit { frames: 10, bytes: u64::MAX };

fn store() -> (TempDir, FjallBrokerStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = FjallBrokerStore::open(folder.path(), 0).unwrap();
    (folder, store)
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn frame(peer: u8, frame: u8) -> FrameKey {
    FrameKey { to: "+14155550101".parse().unwrap(), peer: [peer; 16], frame: [frame; 16] }
}

fn part(number: u16, of: u16, body: &'static [u8]) -> Part {
    Part { number, of, row: Bytes::from_static(body) }
}

fn device(n: u8) -> DeviceAddress {
    DeviceAddress { account: AccountId::from_bytes([n; 16]), device: DeviceNumber::PRIMARY }
}

fn queued(device_byte: u8, id: u8) -> Queued {
    Queued {
        device: device(device_byte),
        id: EnvelopeId::from_bytes([id; 16]),
        expires_at: at(1000),
        envelope: Bytes::from_static(b"sealed"),
    }
}

fn settle_queue(queued: Queued) -> Settle {
    Settle { queue: Some(queued), ..Settle::default() }
}

#[tokio::test]
async fn parts_join_in_any_order_and_survive_a_crash_between_each() {
    let (_folder, store) = store();
    for number in [3, 1] {
        let outcome = store.take_part(frame(1, 1), part(number, 3, b"x"), at(5)).await.unwrap();
        assert!(matches!(outcome, PartOutcome::Waiting));
        store.crash_and_reopen().await;
    }
    for _ in 0..2 {
        let outcome = store.take_part(frame(1, 1), part(2, 3, b"y"), at(9)).await.unwrap();
        let PartOutcome::Complete(parts) = outcome else { panic!("{outcome:?}") };
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(&parts[1].row[..], b"y");
        store.crash_and_reopen().await;
    }
    let open = store.open_frames(at(5), None, TEN).await.unwrap();
    assert_eq!((open.len(), open[0].key.clone(), open[0].since, open[0].parts.len()), (1, frame(1, 1), at(5), 3));
    assert!(store.open_frames(at(4), None, TEN).await.unwrap().is_empty());
    store.settle(Settle { joined: Some(frame(1, 1)), ..Settle::default() }).await.unwrap();
    assert!(store.open_frames(at(u64::MAX), None, TEN).await.unwrap().is_empty());
}

#[tokio::test]
async fn open_frames_are_read_within_bytes_and_one_after_the_other() {
    let (_folder, store) = store();
    for n in 1..=5 {
        store.take_part(frame(1, n), part(1, 2, &[0; 100]), at(u64::from(n / 3))).await.unwrap();
    }
    let two = FrameLimit { frames: 10, bytes: 250 };
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.open_frames(at(9), after, two).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2, "{}", page.len());
        after = Some(last.place());
        seen.extend(page.iter().map(|open| open.key.frame[0]));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let none = FrameLimit { frames: 10, bytes: 0 };
    assert_eq!(store.open_frames(at(9), None, none).await.unwrap().len(), 1, "the first comes whatever its length");
}

#[tokio::test]
async fn a_part_that_disagrees_changes_nothing() {
    let (_folder, store) = store();
    store.take_part(frame(1, 1), part(1, 2, b"x"), at(1)).await.unwrap();
    for other in [part(1, 2, b"other"), part(2, 3, b"y"), part(0, 2, b"y"), part(3, 2, b"y")] {
        assert!(matches!(store.take_part(frame(1, 1), other, at(1)).await.unwrap(), PartOutcome::Mixed));
    }
    assert!(matches!(store.take_part(frame(1, 1), part(2, 2, b"y"), at(1)).await.unwrap(), PartOutcome::Complete(_)));
}

#[tokio::test]
async fn one_sender_fills_its_own_room_and_nobody_elses() {
    let (_folder, store) = store();
    for n in 0..FRAMES_PER_SENDER_MAX {
        let n = u8::try_from(n).unwrap();
        assert!(matches!(store.take_part(frame(1, n), part(1, 2, b"x"), at(1)).await.unwrap(), PartOutcome::Waiting));
    }
    assert!(matches!(store.take_part(frame(1, 99), part(1, 2, b"x"), at(1)).await.unwrap(), PartOutcome::Full));
    assert!(matches!(store.take_part(frame(2, 99), part(1, 2, b"x"), at(1)).await.unwrap(), PartOutcome::Waiting));
    let large = Part { number: 1, of: 2, row: vec![0; 8 << 20].into() };
    assert!(matches!(store.take_part(frame(3, 1), large, at(1)).await.unwrap(), PartOutcome::Full));
}

#[tokio::test]
async fn a_message_is_queued_once_and_leaves_once() {
    let (_folder, store) = store();
    for _ in 0..2 {
        assert_eq!(store.settle(settle_queue(queued(1, 1))).await.unwrap(), SettleOutcome::Done);
        store.crash_and_reopen().await;
    }
    store.settle(settle_queue(queued(2, 1))).await.unwrap();
    assert_eq!(store.forward_usage().await.unwrap().queued, 2);
    let page = store.queued(None, 1).await.unwrap();
    assert_eq!((page.len(), page[0].1.device, &page[0].1.envelope[..]), (1, device(1), &b"sealed"[..]));
    let rest = store.queued(Some(page[0].0), 10).await.unwrap();
    assert_eq!((rest.len(), rest[0].1.device), (1, device(2)));
    store.unqueue(vec![page[0].0, page[0].0]).await.unwrap();
    assert_eq!(store.forward_usage().await.unwrap().queued, 1);
    let expired = store.expire_forwards(at(1000), 10).await.unwrap();
    assert_eq!((expired.dropped, expired.forgotten), (1, 0));
    assert!(store.queued(None, 10).await.unwrap().is_empty());
    assert_eq!(store.forward_usage().await.unwrap(), ForwardUsage::default());
}

#[tokio::test]
async fn one_devices_queue_is_full_and_anothers_is_not() {
    let (_folder, store) = store();
    for n in 0..QUEUED_PER_DEVICE_MAX {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let one = Queued { id: EnvelopeId::from_bytes(id), ..queued(1, 0) };
        assert_eq!(store.settle(settle_queue(one)).await.unwrap(), SettleOutcome::Done);
    }
    let mark = (EnvelopeId::from_bytes([9; 16]), at(9));
    let refused = Settle { marks: vec![mark], ..settle_queue(queued(1, 255)) };
    assert_eq!(store.settle(refused).await.unwrap(), SettleOutcome::QueueFull);
    assert!(!store.is_marked(mark.0).await.unwrap(), "nothing of it");
    assert_eq!(store.settle(settle_queue(queued(2, 255))).await.unwrap(), SettleOutcome::Done);
}

#[tokio::test]
async fn marks_end_and_are_counted() {
    let (_folder, store) = store();
    let id = |n: u8| EnvelopeId::from_bytes([n; 16]);
    store.mark(vec![(id(1), at(10)), (id(2), at(20)), (id(1), at(30))]).await.unwrap();
    assert_eq!(store.forward_usage().await.unwrap().marks, 2);
    store.crash_and_reopen().await;
    assert!(store.is_marked(id(1)).await.unwrap());
    assert_eq!(store.expire_forwards(at(10), 10).await.unwrap().forgotten, 1);
    assert!(!store.is_marked(id(1)).await.unwrap());
    assert!(store.is_marked(id(2)).await.unwrap());
    assert_eq!(store.forward_usage().await.unwrap().marks, 1);
}

#[tokio::test]
async fn what_was_sent_is_known_by_its_id_and_its_content() {
    let (_folder, store) = store();
    let begin = |digest| store.begin_outbound(device(1), [1; 16], [digest; 16], at(10));
    assert_eq!(begin(1).await.unwrap(), OutboundState::New);
    store.crash_and_reopen().await;
    assert_eq!(begin(1).await.unwrap(), OutboundState::Begun);
    assert_eq!(begin(2).await.unwrap(), OutboundState::Conflict);
    store.end_outbound(device(1), [1; 16], Bytes::from_static(b"answered")).await.unwrap();
    store.crash_and_reopen().await;
    assert_eq!(begin(1).await.unwrap(), OutboundState::Done(Bytes::from_static(b"answered")));
    assert_eq!(store.begin_outbound(device(2), [1; 16], [2; 16], at(10)).await.unwrap(), OutboundState::New);
    assert_eq!(store.expire_forwards(at(10), 10).await.unwrap().forgotten, 2);
    assert_eq!(begin(3).await.unwrap(), OutboundState::New);
    store.check().await.unwrap();
}
