use bytes::Bytes;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::{AccountId, DeviceAddress, MailboxId};

use super::fixture::{Fixture, START, device_number, envelope_id, key_set, unique};
use crate::directory::{
    Claim, DatedPrekey, KeyMapDeviceRecord, PrekeyCounts, PublishError, PublishKeySet, Published, StoredPrekey,
    UploadPrekeys,
};
use crate::takeover::{
    AddTicketError, BeginReset, BeginResetError, CancelReset, ResetState, ResetTicketHash, Settled, Takeover,
    TakeoverError,
};
use crate::{EnqueueOutcome, FetchLimit, MailboxSeq, Store, UnixMillis};

const EFFECTIVE: UnixMillis = START.plus_millis(3_600_000);
const EXPIRY: UnixMillis = START.plus_millis(60_000);

pub(super) async fn run(store: &dyn Store) {
    a_takeover_replaces_the_devices_at_once(store).await;
    a_takeover_skips_counters_and_begins_numbers_anew(store).await;
    a_refused_takeover_leaves_no_trace(store).await;
    a_ticket_allows_one_reset_of_one_account(store).await;
    a_pending_reset_changes_nothing_until_it_is_due(store).await;
    a_due_reset_takes_effect_once(store).await;
    a_published_key_set_ends_a_pending_reset(store).await;
    a_reset_that_cannot_happen_any_more_is_dropped(store).await;
    resets_are_listed_and_cancelled(store).await;
    the_key_map_dates_what_is_stored(store).await;
}

pub(super) fn ticket() -> ResetTicketHash {
    ResetTicketHash::from_bytes(sha256(&[&unique()]))
}

fn prekey(id: u32) -> StoredPrekey {
    StoredPrekey { id, bytes: Bytes::copy_from_slice(&[id as u8; 96]) }
}

/// Device 2 takes the place of device 1, in key set 2.
pub(super) fn takeover(account: AccountId) -> Takeover {
    Takeover {
        account,
        previous: key_set(account, 1).hash,
        key_set: key_set(account, 2),
        device: device_number(2),
        mailbox: MailboxId::from_bytes(unique()),
        prekeys: UploadPrekeys {
            signed: Some(prekey(1)),
            last_resort: Some(prekey(2)),
            one_time: vec![prekey(3)],
            one_time_kem: vec![prekey(4), prekey(5)],
            replace: false,
        },
    }
}

fn second(bob: &Fixture) -> DeviceAddress {
    DeviceAddress { account: bob.account, device: device_number(2) }
}

pub(super) fn reset(ticket: ResetTicketHash, takeover: &Takeover) -> BeginReset {
    BeginReset { ticket, takeover: takeover.clone(), effective_at: EFFECTIVE, now: START }
}

/// Settles until nothing is due. Other parts of the suite have resets too; what is returned is what happened to `account`.
pub(super) async fn settle(store: &dyn Store, account: AccountId, now: UnixMillis) -> Vec<Settled> {
    let mut happened = Vec::new();
    loop {
        match store.settle_reset(now).await.unwrap() {
            Settled::Nothing { .. } => return happened,
            Settled::Expired => happened.push(Settled::Expired),
            settled @ (Settled::InForce { .. } | Settled::Dropped { .. }) => {
                let (Settled::InForce { account: whose, .. } | Settled::Dropped { account: whose, .. }) = settled
                else {
                    unreachable!("it is one of the two")
                };
                if whose == account {
                    happened.push(settled);
                }
            }
        }
    }
}

async fn is_taken_over(store: &dyn Store, bob: &Fixture, takeover: &Takeover) {
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(takeover.key_set.clone()));
    assert_eq!(store.device(bob.device).await.unwrap(), None);
    assert_eq!(store.mailbox_usage(bob.mailbox).await.unwrap(), None);
    let record = store.device(second(bob)).await.unwrap().unwrap();
    assert!(record.reachable);
    assert_eq!(
        (record.mailbox, record.prekeys),
        (Some(takeover.mailbox), PrekeyCounts { one_time: 1, one_time_kem: 2 })
    );
    assert!(store.is_delivery_token(bob.account, bob.token).await.unwrap(), "contacts keep their tokens");
    let mut envelope = bob.envelope(envelope_id(), b"to the new device");
    assert_eq!(store.enqueue(START, vec![envelope.clone()]).await.unwrap(), [EnqueueOutcome::UnknownMailbox]);
    envelope.mailbox = takeover.mailbox;
    assert_eq!(store.enqueue(START, vec![envelope]).await.unwrap(), [EnqueueOutcome::Stored]);
}

async fn a_takeover_replaces_the_devices_at_once(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let waiting = bob.envelope(envelope_id(), b"nobody can read it any more");
    store.enqueue(START, vec![waiting]).await.unwrap();
    let takeover = takeover(bob.account);
    let published = store.take_over(takeover.clone(), START).await.unwrap();
    let expected = Published {
        added: vec![device_number(2)],
        removed: vec![(device_number(1), Some(bob.mailbox))],
        reset_ended: false,
    };
    assert_eq!(published, expected);
    is_taken_over(store, &bob, &takeover).await;
    let limit = FetchLimit { envelopes: 10, bytes: usize::MAX };
    let fetched = store.fetch(START, bob.mailbox, MailboxSeq::START, limit).await.unwrap();
    assert!(fetched.envelopes.is_empty(), "what waited for the old device went with its mailbox");

    // A claimed prekey does not come back when the request is repeated.
    store.claim_bundle(second(&bob), Claim::OneTime).await.unwrap().unwrap();
    assert_eq!(store.take_over(takeover, START).await.unwrap(), Published::default());
    let left = store.device(second(&bob)).await.unwrap().unwrap().prekeys;
    assert_eq!(left, PrekeyCounts { one_time: 0, one_time_kem: 1 });
}

async fn a_takeover_skips_counters_and_begins_numbers_anew(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let again = Takeover { key_set: key_set(bob.account, 70), device: device_number(1), ..takeover(bob.account) };
    let published = store.take_over(again.clone(), START).await.unwrap();
    assert_eq!(published.added, [device_number(1)]);
    assert_eq!(published.removed, [(device_number(1), Some(bob.mailbox))]);
    let record = store.device(bob.device).await.unwrap().unwrap();
    assert_eq!((record.mailbox, record.added_at), (Some(again.mailbox), key_set(bob.account, 70).counter));
    assert_eq!(store.mailbox_usage(bob.mailbox).await.unwrap(), None);
    let history = store.key_sets_from(bob.account, key_set(bob.account, 2).counter).await.unwrap();
    assert_eq!(history, [key_set(bob.account, 70)], "who asks for what was skipped gets what comes after");
    let device = DeviceAddress { account: bob.account, device: device_number(1) };
    assert_eq!(device, bob.device);
    assert_eq!(store.claim_bundle(device, Claim::OneTime).await.unwrap().unwrap().one_time, Some(prekey(3)));
}

async fn a_refused_takeover_leaves_no_trace(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let other = Fixture::registered(store).await;
    let good = takeover(bob.account);
    let taken = Takeover { mailbox: other.mailbox, ..good.clone() };
    assert!(matches!(store.take_over(taken, START).await, Err(TakeoverError::MailboxTaken)));
    let late = Takeover { previous: key_set(bob.account, 7).hash, ..good.clone() };
    assert!(matches!(
        store.take_over(late, START).await,
        Err(TakeoverError::KeySet(PublishError::Conflict { current })) if current.get() == 1
    ));
    let mut large = good.clone();
    large.prekeys.signed = Some(StoredPrekey { id: 1, bytes: vec![0; crate::limits::PREKEY_LEN_MAX + 1].into() });
    assert!(matches!(store.take_over(large, START).await, Err(TakeoverError::Prekeys)));
    let stranger = takeover(Fixture::new().account);
    assert!(matches!(store.take_over(stranger, START).await, Err(TakeoverError::KeySet(PublishError::UnknownAccount))));
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set(bob.account, 1)));
    assert_eq!(store.device(second(&bob)).await.unwrap(), None);
    store.take_over(good, START).await.unwrap();
}

async fn a_ticket_allows_one_reset_of_one_account(store: &dyn Store) {
    let (bob, other) = (Fixture::registered(store).await, Fixture::registered(store).await);
    let stranger = Fixture::new();
    let (first, ticket) = (ticket(), ticket());
    let unknown = store.add_reset_ticket(stranger.account, ticket, EXPIRY).await;
    assert!(matches!(unknown, Err(AddTicketError::UnknownAccount)));
    store.add_reset_ticket(bob.account, first, EXPIRY).await.unwrap();
    store.add_reset_ticket(bob.account, ticket, EXPIRY).await.unwrap();
    assert!(!store.is_reset_ticket(bob.account, first, START).await.unwrap(), "replaced by the second");
    assert!(store.is_reset_ticket(bob.account, ticket, START).await.unwrap());
    assert!(!store.is_reset_ticket(other.account, ticket, START).await.unwrap());
    assert!(!store.is_reset_ticket(bob.account, ticket, EXPIRY).await.unwrap(), "expired");

    let refused = |result| matches!(result, Err(BeginResetError::TicketRefused));
    assert!(refused(store.begin_reset(reset(first, &takeover(bob.account))).await));
    assert!(refused(store.begin_reset(reset(ticket, &takeover(other.account))).await));
    let late = BeginReset { now: EXPIRY, ..reset(ticket, &takeover(bob.account)) };
    assert!(refused(store.begin_reset(late).await));
    let wanted = takeover(bob.account);
    assert_eq!(store.begin_reset(reset(ticket, &wanted)).await.unwrap(), EFFECTIVE);
    let later = BeginReset { effective_at: EFFECTIVE.plus_seconds(9), ..reset(ticket, &wanted) };
    assert_eq!(store.begin_reset(later).await.unwrap(), EFFECTIVE, "repeated");
    let mut second = wanted.clone();
    second.key_set.bytes = Bytes::from_static(b"another one");
    assert!(refused(store.begin_reset(reset(ticket, &second)).await), "a ticket is for one reset");
    assert!(matches!(store.add_reset_ticket(bob.account, first, EXPIRY).await, Err(AddTicketError::Pending)));
}

async fn a_pending_reset_changes_nothing_until_it_is_due(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let (ticket, wanted) = (ticket(), takeover(bob.account));
    store.add_reset_ticket(bob.account, ticket, EXPIRY).await.unwrap();
    store.begin_reset(reset(ticket, &wanted)).await.unwrap();
    assert_eq!(settle(store, bob.account, UnixMillis::new(EFFECTIVE.get() - 1)).await, [], "nothing is due");
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set(bob.account, 1)));
    assert_eq!(store.key_sets_from(bob.account, key_set(bob.account, 2).counter).await.unwrap(), []);
    assert_eq!(store.device(second(&bob)).await.unwrap(), None);
    let state = store.reset(bob.account).await.unwrap().unwrap().state;
    let expected =
        ResetState::Pending { requested_at: START, effective_at: EFFECTIVE, key_set: wanted.key_set.clone() };
    assert_eq!(state, expected);
    assert!(store.cancel_reset(bob.account, CancelReset::Pending).await.unwrap());
    assert!(!store.cancel_reset(bob.account, CancelReset::Pending).await.unwrap(), "once");
    assert!(!store.is_reset_ticket(bob.account, ticket, START).await.unwrap(), "a veto uses the ticket up");
    assert_eq!(settle(store, bob.account, EFFECTIVE).await, [], "what was vetoed never happens");
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set(bob.account, 1)));
}

async fn a_due_reset_takes_effect_once(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let (ticket, wanted) = (ticket(), takeover(bob.account));
    store.add_reset_ticket(bob.account, ticket, EXPIRY).await.unwrap();
    store.begin_reset(reset(ticket, &wanted)).await.unwrap();
    let attempts = (0..4).map(|_| settle(store, bob.account, EFFECTIVE));
    let happened = futures_util::future::join_all(attempts).await.concat();
    let [Settled::InForce { published, .. }] = &happened[..] else { panic!("{happened:?}") };
    assert_eq!(published.removed, [(device_number(1), Some(bob.mailbox))]);
    is_taken_over(store, &bob, &wanted).await;
    assert_eq!(store.reset(bob.account).await.unwrap(), None);
}

async fn a_published_key_set_ends_a_pending_reset(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let (ticket, wanted) = (ticket(), takeover(bob.account));
    let publish = |counter: u64| PublishKeySet {
        account: bob.account,
        previous: key_set(bob.account, counter - 1).hash,
        key_set: key_set(bob.account, counter),
        devices: vec![device_number(1)],
        now: START,
    };
    store.add_reset_ticket(bob.account, ticket, EXPIRY).await.unwrap();
    assert!(!store.publish_key_set(publish(2)).await.unwrap().reset_ended);
    assert!(store.is_reset_ticket(bob.account, ticket, START).await.unwrap(), "an unused ticket stays");
    let conflict = store.begin_reset(reset(ticket, &wanted)).await;
    assert!(
        matches!(&conflict, Err(BeginResetError::Takeover(TakeoverError::KeySet(PublishError::Conflict { .. })))),
        "{conflict:?}"
    );
    let wanted = Takeover { previous: key_set(bob.account, 2).hash, key_set: key_set(bob.account, 3), ..wanted };
    store.begin_reset(reset(ticket, &wanted)).await.unwrap();
    let mut other = publish(3);
    other.key_set.bytes = Bytes::from_static(b"signed by a device");
    assert!(store.publish_key_set(other).await.unwrap().reset_ended);
    assert_eq!(store.reset(bob.account).await.unwrap(), None);
    assert_eq!(settle(store, bob.account, EFFECTIVE).await, []);
}

async fn a_reset_that_cannot_happen_any_more_is_dropped(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let (ticket, wanted) = (ticket(), takeover(bob.account));
    store.add_reset_ticket(bob.account, ticket, EXPIRY).await.unwrap();
    store.begin_reset(reset(ticket, &wanted)).await.unwrap();
    let mut thief = Fixture::new();
    thief.mailbox = wanted.mailbox;
    store.register(thief.registration()).await.unwrap();
    let dropped = Settled::Dropped { account: bob.account, code: "mailbox_taken" };
    assert_eq!(settle(store, bob.account, EFFECTIVE).await, [dropped]);
    assert_eq!(store.key_set(bob.account).await.unwrap(), Some(key_set(bob.account, 1)));
    assert!(store.device(bob.device).await.unwrap().is_some());
    assert_eq!(store.reset(bob.account).await.unwrap(), None);
}

async fn resets_are_listed_and_cancelled(store: &dyn Store) {
    let (bob, carol) = (Fixture::registered(store).await, Fixture::registered(store).await);
    for fixture in [&bob, &carol] {
        store.add_reset_ticket(fixture.account, ticket(), EXPIRY).await.unwrap();
    }
    let mut seen = Vec::new();
    loop {
        let page = store.resets(seen.last().copied(), 1).await.unwrap();
        let [record] = &page[..] else { break };
        assert!(seen.last().is_none_or(|last| *last < record.account), "in order");
        seen.push(record.account);
    }
    assert!(seen.contains(&bob.account) && seen.contains(&carol.account));
    assert!(!store.cancel_reset(bob.account, CancelReset::Pending).await.unwrap(), "a device ends no ticket");
    assert!(store.cancel_reset(bob.account, CancelReset::Everything).await.unwrap());
    assert!(!store.cancel_reset(bob.account, CancelReset::Everything).await.unwrap());
    assert!(store.remove_account(carol.account).await.unwrap());
    assert_eq!(store.reset(carol.account).await.unwrap(), None, "goes with its account");
    let dave = Fixture::registered(store).await;
    store.add_reset_ticket(dave.account, ticket(), EXPIRY).await.unwrap();
    assert!(settle(store, dave.account, EXPIRY).await.contains(&Settled::Expired));
    assert_eq!(store.reset(dave.account).await.unwrap(), None);
}

async fn the_key_map_dates_what_is_stored(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let stranger = Fixture::new();
    assert_eq!(store.key_map(stranger.account).await.unwrap(), None);
    let device = async |at: usize| store.key_map(bob.account).await.unwrap().unwrap().devices.swap_remove(at);
    let empty = KeyMapDeviceRecord {
        record: store.device(bob.device).await.unwrap().unwrap(),
        signed: None,
        last_resort: None,
        one_time_uploaded_at: None,
    };
    assert_eq!(device(0).await, empty);
    let upload = takeover(bob.account).prekeys;
    let later = START.plus_seconds(60);
    store.upload_prekeys(bob.device, upload.clone(), START).await.unwrap();
    store.upload_prekeys(bob.device, upload.clone(), later).await.unwrap();
    let mapped = device(0).await;
    let dated = |prekey, uploaded_at| Some(DatedPrekey { prekey, uploaded_at });
    assert_eq!(mapped.signed, dated(prekey(1), START), "repeating an upload makes no key younger");
    assert_eq!((mapped.last_resort, mapped.one_time_uploaded_at), (dated(prekey(2), START), Some(START)));
    let fresh = UploadPrekeys { signed: Some(prekey(9)), one_time: vec![prekey(7)], ..UploadPrekeys::default() };
    store.upload_prekeys(bob.device, fresh, later).await.unwrap();
    let mapped = device(0).await;
    assert_eq!((mapped.signed, mapped.last_resort), (dated(prekey(9), later), dated(prekey(2), START)));
    assert_eq!(mapped.one_time_uploaded_at, Some(later));
    store.take_over(takeover(bob.account), later).await.unwrap();
    let map = store.key_map(bob.account).await.unwrap().unwrap();
    assert_eq!((map.counter, map.hash), (key_set(bob.account, 2).counter, key_set(bob.account, 2).hash));
    assert_eq!(map.retired, [], "numbers began anew");
    assert_eq!(map.devices[0].record.added_at, key_set(bob.account, 2).counter);
    assert_eq!(map.devices[0].signed, dated(prekey(1), later));
}
