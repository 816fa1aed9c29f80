//! The broker's engine.

use std::sync::Arc;

use proptest::prelude::*;
use rcseal_store::broker::{Bind, BindError, MappingRecord, NumberStore as _};
use rcseal_store::conformance::broker::{START, run, run_faults};
use rcseal_store::{BrokerStore, FjallBrokerStore, FjallStore, StoreError, StoreLimits};
use rcseal_wire::id::{AccountId, DeviceNumber, MappingHash};

fn open(folder: &tempfile::TempDir) -> FjallBrokerStore {
    FjallBrokerStore::open(folder.path(), 0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_engine_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    run(&open(&folder)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbers_life_survives_one_fault_at_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn BrokerStore> = Arc::new(open(&folder));
    assert!(run_faults(&store).await > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_holds_one_schema() {
    let relay = tempfile::tempdir().unwrap();
    let store = FjallStore::open(relay.path(), StoreLimits { free_bytes_min: 0, ..StoreLimits::default() }).unwrap();
    rcseal_store::Store::close(&store).await;
    drop(store);
    let refused = FjallBrokerStore::open(relay.path(), 0);
    assert!(matches!(refused, Err(StoreError::Corrupt { space: "format" })), "{refused:?}");
    let broker = tempfile::tempdir().unwrap();
    let store = open(&broker);
    BrokerStore::close(&store).await;
    drop(store);
    let refused = FjallStore::open(broker.path(), StoreLimits::default());
    assert!(matches!(refused, Err(StoreError::Corrupt { space: "format" })), "{refused:?}");
}

/// What somebody tries to put in the place of the newest mapping, by what it says comes before it.
#[derive(Debug, Clone)]
enum Action {
    Follow,
    FollowOlder(usize),
    RepeatNewest,
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => Just(Action::Follow),
        3 => (0..5usize).prop_map(Action::FollowOlder),
        2 => Just(Action::RepeatNewest),
        1 => Just(Action::Crash),
    ]
}

fn mapping(drawn: u8, sequence: u64) -> MappingRecord {
    MappingRecord {
        sequence,
        hash: MappingHash::from_bytes([drawn; 32]),
        bytes: vec![drawn].into(),
        account: AccountId::from_bytes([drawn % 3; 16]),
        device: DeviceNumber::PRIMARY,
        key_set: vec![].into(),
        expires_at: START.plus_seconds(1000),
    }
}

async fn check(actions: Vec<Action>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let number: rcseal_wire::number::E164 = "+447700900123".parse().unwrap();
    let mut chain: Vec<MappingRecord> = Vec::new();
    for (drawn, action) in (1u8..).zip(actions) {
        let bind = |previous: Option<&MappingRecord>, mapping: &MappingRecord| Bind {
            number: number.clone(),
            previous: previous.map(|mapping| mapping.hash),
            mapping: mapping.clone(),
            claim: None,
            remind_at: START,
        };
        let next = mapping(drawn, chain.len() as u64 + 1);
        match action {
            Action::Follow => {
                store.bind(bind(chain.last(), &next)).await.unwrap();
                chain.push(next);
            }
            Action::FollowOlder(back) => {
                // Behind nothing, or behind one that is the newest no longer.
                if chain.is_empty() {
                    continue;
                }
                let older = chain.len().checked_sub(back + 2).map(|at| &chain[at]);
                let refused = store.bind(bind(older, &next)).await;
                assert!(matches!(refused, Err(BindError::Conflict)), "{refused:?}");
            }
            Action::RepeatNewest => {
                if let Some(newest) = chain.last() {
                    store.bind(bind(None, newest)).await.unwrap();
                }
            }
            Action::Crash => store.crash_and_reopen().await,
        }
        let stored = store.number(number.clone()).await.unwrap();
        assert_eq!(stored.map(|record| record.head), chain.last().cloned());
        let before = store.mappings_before(number.clone()).await.unwrap();
        assert_eq!(before, chain[..chain.len().saturating_sub(1)]);
    }
}

proptest! {
    // Every crash opens the database anew, so cases are few and long.
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_number_has_one_chain_whatever_is_tried_and_whenever_it_crashes(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(check(actions));
    }
}
