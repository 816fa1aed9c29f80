use bytes::Bytes;
use rcseal_wire::api::push::{PushHandle, PushProvider};
use rcseal_wire::id::{DeviceAddress, MailboxId};

use super::fixture::{Fixture, START, device_number, envelope_id, unique};
use crate::push::{NewPush, NextWakeUp, RegisterPushError};
use crate::{EnqueueOutcome, Store};

const INTERVAL_MILLIS: u64 = 30_000;

pub(super) async fn run(store: &dyn Store) {
    a_device_with_something_waiting_is_woken_at_intervals(store).await;
    a_token_belongs_to_the_device_that_registered_it_last(store).await;
    a_registration_is_replaced_and_ended(store).await;
    a_registration_ends_with_its_device(store).await;
    mailboxes_that_wait_are_found_again(store).await;
}

fn push(device: DeviceAddress, token: &[u8]) -> NewPush {
    NewPush {
        device,
        provider: PushProvider::Apns,
        token: Bytes::copy_from_slice(token),
        app: "org.example.app".to_owned(),
        handle: PushHandle::from_bytes(unique()),
    }
}

async fn fill(store: &dyn Store, fixture: &Fixture) {
    let outcomes = store.enqueue(START, vec![fixture.envelope(envelope_id(), b"x")]).await.unwrap();
    assert_eq!(outcomes, [EnqueueOutcome::Stored]);
}

/// The handle of the wake-up that is made now, and its number.
async fn woken(store: &dyn Store, mailbox: MailboxId) -> Option<(PushHandle, u64)> {
    match store.next_wake_up(mailbox, START, 0).await.unwrap() {
        NextWakeUp::Now(target) => Some((target.wake_up.handle, target.wake_up.counter)),
        NextWakeUp::None | NextWakeUp::NotBefore(_) => None,
    }
}

async fn a_device_with_something_waiting_is_woken_at_intervals(store: &dyn Store) {
    let fixture = Fixture::registered(store).await;
    let push = push(fixture.device, &unique());
    persist!(store.register_push(push.clone()));
    let next = async |now| store.next_wake_up(fixture.mailbox, now, INTERVAL_MILLIS).await.unwrap();
    assert_eq!(next(START).await, NextWakeUp::None, "nothing waits");
    fill(store, &fixture).await;
    let NextWakeUp::Now(target) = next(START).await else { panic!("the device is to be woken") };
    assert_eq!((target.provider, &target.token, &target.app), (push.provider, &push.token, &push.app));
    assert_eq!((target.wake_up.handle, target.wake_up.counter), (push.handle, 1));
    let free_at = START.plus_millis(INTERVAL_MILLIS);
    assert_eq!(next(START.plus_millis(1)).await, NextWakeUp::NotBefore(free_at));
    let NextWakeUp::Now(target) = next(free_at).await else { panic!("the interval is over") };
    assert_eq!(target.wake_up.counter, 2);
    assert_eq!(store.next_wake_up(MailboxId::from_bytes(unique()), START, 0).await.unwrap(), NextWakeUp::None);
}

async fn a_token_belongs_to_the_device_that_registered_it_last(store: &dyn Store) {
    let (one, other) = (Fixture::registered(store).await, Fixture::registered(store).await);
    let token = unique();
    persist!(store.register_push(push(one.device, &token)));
    let moved = push(other.device, &token);
    persist!(store.register_push(moved.clone()));
    fill(store, &one).await;
    fill(store, &other).await;
    assert_eq!(woken(store, one.mailbox).await, None, "the token is elsewhere now");
    assert_eq!(woken(store, other.mailbox).await, Some((moved.handle, 1)));
    // The same token at another service is another token.
    let elsewhere = NewPush { provider: PushProvider::Fcm, ..push(one.device, &token) };
    persist!(store.register_push(elsewhere.clone()));
    assert_eq!(woken(store, one.mailbox).await, Some((elsewhere.handle, 1)));
    assert_eq!(woken(store, other.mailbox).await, Some((moved.handle, 2)));
}

async fn a_registration_is_replaced_and_ended(store: &dyn Store) {
    let fixture = Fixture::registered(store).await;
    fill(store, &fixture).await;
    assert_eq!(woken(store, fixture.mailbox).await, None);
    let token = unique();
    let (first, second) = (push(fixture.device, &token), push(fixture.device, &token));
    persist!(store.register_push(first.clone()));
    assert_eq!(woken(store, fixture.mailbox).await, Some((first.handle, 1)));
    persist!(store.register_push(second.clone()));
    assert_eq!(woken(store, fixture.mailbox).await, Some((second.handle, 1)), "a new handle counts anew");
    assert!(!store.remove_push(fixture.device, Some(first.handle)).await.unwrap(), "the handle is an old one");
    assert_eq!(store.registered_device(fixture.mailbox).await.unwrap(), Some(fixture.device));
    assert!(store.remove_push(fixture.device, Some(second.handle)).await.unwrap());
    assert!(!store.remove_push(fixture.device, None).await.unwrap());
    assert_eq!(store.registered_device(fixture.mailbox).await.unwrap(), None);
    assert_eq!(woken(store, fixture.mailbox).await, None);
}

async fn a_registration_ends_with_its_device(store: &dyn Store) {
    let fixture = Fixture::registered(store).await;
    let token = unique();
    persist!(store.register_push(push(fixture.device, &token)));
    assert!(store.remove_account(fixture.account).await.unwrap());
    assert!(!store.remove_push(fixture.device, None).await.unwrap());
    let unknown = DeviceAddress { account: fixture.account, device: device_number(1) };
    let refused = store.register_push(push(unknown, &token)).await.unwrap_err();
    assert!(matches!(refused, RegisterPushError::UnknownDevice), "{refused:?}");
    // The token is free again.
    let next = Fixture::registered(store).await;
    let registration = push(next.device, &token);
    persist!(store.register_push(registration.clone()));
    fill(store, &next).await;
    assert_eq!(woken(store, next.mailbox).await, Some((registration.handle, 1)));
}

async fn mailboxes_that_wait_are_found_again(store: &dyn Store) {
    let mut expected = Vec::new();
    for fills in [true, false, true] {
        let fixture = Fixture::registered(store).await;
        persist!(store.register_push(push(fixture.device, &unique())));
        if fills {
            fill(store, &fixture).await;
            expected.push(fixture.mailbox);
        }
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (some, next) = store.waiting_pushes(after, 2).await.unwrap();
        assert!(some.len() <= 2);
        found.extend(some);
        match next {
            Some(device) => after = Some(device),
            None => break,
        }
    }
    for mailbox in expected {
        assert_eq!(found.iter().filter(|known| **known == mailbox).count(), 1);
    }
}
