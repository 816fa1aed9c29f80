//! What the engine may expect of any store, run against the one on disk and the one in memory.

use proptest::prelude::*;
use rcseal_engine::store::memory::MemoryStore;
use rcseal_engine::store::{Order, Row, StoreError, Table, Tx};

use crate::support;

type Operation<'a> = &'a mut dyn FnMut(&mut dyn Tx) -> Result<(), StoreError>;
/// Runs one transaction.
type Run<'a> = &'a mut dyn FnMut(Operation<'_>) -> Result<(), StoreError>;

/// Runs `check` with both stores.
fn with_each_store(check: impl Fn(Run<'_>)) {
    let mut memory = MemoryStore::new();
    check(&mut |operation| memory.run(|tx| operation(tx)));
    let folder = tempfile::tempdir().unwrap();
    let vault = support::vault(&folder.path().join("vault"), "pass");
    let disk = support::open_ready(&folder.path().join("store"), &vault);
    check(&mut |operation| disk.run(|tx| operation(tx)));
}

fn all(tx: &dyn Tx, table: Table) -> Vec<Row> {
    tx.scan(table, &[], &[0xff; 64], usize::MAX, Order::Ascending).unwrap()
}

#[test]
fn a_value_is_read_back_replaced_and_deleted() {
    with_each_store(|run| {
        run(&mut |tx| {
            assert_eq!(tx.get(Table::Message, b"k")?, None);
            tx.put(Table::Message, b"k", b"one")?;
            tx.put(Table::Message, b"k", b"two")?;
            assert_eq!(tx.get(Table::Message, b"k")?.as_deref(), Some(&b"two"[..]));
            tx.put(Table::Message, b"", b"")?;
            assert_eq!(tx.get(Table::Message, b"")?.as_deref(), Some(&b""[..]));
            tx.delete(Table::Message, b"k")?;
            tx.delete(Table::Message, b"k")?;
            assert_eq!(tx.get(Table::Message, b"k")?, None);
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn tables_do_not_share_keys() {
    with_each_store(|run| {
        run(&mut |tx| {
            for table in Table::ALL {
                tx.put(table, b"same", table.name().as_bytes())?;
            }
            for table in Table::ALL {
                assert_eq!(tx.get(table, b"same")?.as_deref(), Some(table.name().as_bytes()));
            }
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn scans_are_in_byte_order_half_open_and_limited() {
    with_each_store(|run| {
        run(&mut |tx| {
            for key in [&b"\x00"[..], b"", b"\xff", b"a", b"ab", b"b", b"\x7f", b"\x80"] {
                tx.put(Table::Outbox, key, b"v")?;
            }
            let keys = |rows: Vec<Row>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
            let up = tx.scan(Table::Outbox, b"\x00", b"\x80", 10, Order::Ascending)?;
            assert_eq!(keys(up), [&b"\x00"[..], b"a", b"ab", b"b", b"\x7f"]);
            let down = tx.scan(Table::Outbox, b"", b"\xff", 3, Order::Descending)?;
            assert_eq!(keys(down), [&b"\x80"[..], b"\x7f", b"b"]);
            assert_eq!(tx.scan(Table::Outbox, b"b", b"a", 3, Order::Ascending)?, []);
            assert_eq!(tx.scan(Table::Outbox, b"", b"\xff", 0, Order::Ascending)?, []);
            tx.delete_range(Table::Outbox, b"a", b"b")?;
            assert_eq!(keys(all(tx, Table::Outbox)), [&b""[..], b"\x00", b"b", b"\x7f", b"\x80", b"\xff"]);
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    with_each_store(|run| {
        run(&mut |tx| tx.put(Table::Session, b"kept", b"before")).unwrap();
        let failed = run(&mut |tx| {
            tx.put(Table::Session, b"kept", b"after")?;
            tx.put(Table::Session, b"new", b"row")?;
            Err(StoreError::of(rcseal_engine::store::StoreErrorKind::Io))
        });
        assert!(failed.is_err());
        run(&mut |tx| {
            assert_eq!(all(tx, Table::Session), [(b"kept".to_vec(), b"before".to_vec())]);
            Ok(())
        })
        .unwrap();
    });
}

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    DeleteRange(Vec<u8>, Vec<u8>),
    Scan(Vec<u8>, Vec<u8>, usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || proptest::collection::vec(0_u8..4, 0..3);
    prop_oneof![
        (key(), any::<Vec<u8>>()).prop_map(|(key, value)| Step::Put(key, value)),
        key().prop_map(Step::Delete),
        (key(), key()).prop_map(|(start, end)| Step::DeleteRange(start, end)),
        (key(), key(), 0_usize..5, any::<bool>()).prop_map(|(start, end, limit, up)| Step::Scan(start, end, limit, up)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn both_stores_answer_alike(steps in proptest::collection::vec(step(), 1..40)) {
        let answers = std::cell::RefCell::new(Vec::new());
        with_each_store(|run| {
            let mut seen = Vec::new();
            run(&mut |tx| {
                for step in &steps {
                    match step {
                        Step::Put(key, value) => tx.put(Table::Tag, key, value)?,
                        Step::Delete(key) => tx.delete(Table::Tag, key)?,
                        Step::DeleteRange(start, end) => tx.delete_range(Table::Tag, start, end)?,
                        Step::Scan(start, end, limit, up) => {
                            let order = if *up { Order::Ascending } else { Order::Descending };
                            seen.push(tx.scan(Table::Tag, start, end, *limit, order)?);
                        }
                    }
                }
                seen.push(all(tx, Table::Tag));
                Ok(())
            })
            .unwrap();
            answers.borrow_mut().push(seen);
        });
        let answers = answers.into_inner();
        prop_assert_eq!(&answers[0], &answers[1]);
    }
}
