//! Archives, and what two devices make of them.

use proptest::prelude::*;
use rcseal_crypto::secret::Secret;
use rcseal_wire::backup::{AccountRow, Cost, Header, Row, RowKind, SecretKind};
use zeroize::Zeroizing;

use super::{blank, offer, rotate};
use crate::account::{AccountError, AccountState};
use crate::backup::{ArchiveOpener, ArchiveSealer, BackupError, Collector, Restored, SEALED_CHUNK_LEN, check_value};
use crate::contact::Verification;
use crate::event::Event;
use crate::store::Table;
use crate::tests::world::{Phone, World, events, new_account, text, texts};

fn header(stretched: &Secret<32>) -> Header {
    let salt = [3; 32];
    Header {
        secret: SecretKind::Generated,
        cost: Cost::FLOOR,
        created_at_ms: 1,
        salt,
        check: check_value(stretched, &salt),
    }
}

fn secret() -> Secret<32> {
    Secret::from_bytes([5; 32])
}

fn seal(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sealer = ArchiveSealer::new(&secret(), &header(&secret()));
    for row in rows {
        sealer.add(row, &mut bytes).unwrap();
    }
    sealer.finish(&mut bytes).unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Result<Vec<Row>, BackupError> {
    let mut opener = ArchiveOpener::new(&secret(), &header(&secret()))?;
    let chunks: Vec<_> = bytes.chunks(SEALED_CHUNK_LEN).collect();
    let mut rows = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        opener.open(chunk, index + 1 == chunks.len())?;
        while let Some(row) = opener.next_row()? {
            rows.push(row);
        }
    }
    opener.finish()?;
    Ok(rows)
}

fn row(kind: RowKind, len: usize) -> Row {
    Row { kind, key: vec![1, 2], value: Zeroizing::new(vec![7; len]) }
}

fn collect(phone: &mut Phone, now: u64, with_account_key: bool) -> Vec<Row> {
    let (mut collector, mut rows) = (Collector::new(with_account_key), Vec::new());
    while let Some(page) = phone.with(now, |engine| engine.collect(&mut collector)).unwrap() {
        rows.extend(page);
    }
    rows
}

fn account_row(rows: &[Row]) -> AccountRow {
    AccountRow::parse(&rows[0].value).unwrap()
}

fn restore(phone: &mut Phone, now: u64, rows: &[Row]) -> Result<Restored, BackupError> {
    phone.with(now, |engine| {
        let mut restorer = engine.begin_restore(&account_row(rows))?;
        for row in rows {
            engine.restore_row(&mut restorer, row)?;
        }
        engine.end_restore(&restorer)
    })
}

#[test]
fn chunks_that_were_altered_moved_left_out_or_added_are_refused() {
    let rows = [row(RowKind::Account, 10), row(RowKind::Message, 150_000), row(RowKind::Message, 90_000)];
    let sealed = seal(&rows);
    assert_eq!(open(&sealed).unwrap()[..3], rows);
    let chunks: Vec<_> = sealed.chunks(SEALED_CHUNK_LEN).map(<[u8]>::to_vec).collect();
    assert_eq!(chunks.len(), 4);
    for (at, byte) in [(0, 0), (1, 70_000), (3, sealed.len() - 1)] {
        let mut altered = sealed.clone();
        altered[byte] ^= 1;
        assert!(matches!(open(&altered), Err(BackupError::Tampered { chunk }) if chunk == at), "{at}");
    }
    let mut swapped = chunks.clone();
    swapped.swap(0, 1);
    assert!(matches!(open(&swapped.concat()), Err(BackupError::Tampered { chunk: 0 })));
    assert!(matches!(open(&chunks[..2].concat()), Err(BackupError::Truncated)));
    assert!(matches!(open(&[chunks[0].clone(), chunks[2].clone()].concat()), Err(BackupError::Tampered { chunk: 1 })));
    assert!(matches!(open(&[sealed, vec![0; 40]].concat()), Err(BackupError::Tampered { chunk: 3 })));
    let other = header(&Secret::from_bytes([6; 32]));
    assert!(matches!(ArchiveOpener::new(&secret(), &other), Err(BackupError::WrongSecret)));
}

#[test]
fn an_archive_holds_no_session_no_prekey_and_no_device_key() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    world.acquaint(&mut ada, &mut bob);
    let secrets: Vec<Vec<u8>> = ada
        .with(world.now, |engine| {
            let account = engine.account()?;
            Ok::<_, AccountError>(vec![
                account.device_auth.seed().to_vec(),
                account.identity.expose_secret().to_vec(),
                account.sealing_seed.expose().to_vec(),
                account.delivery_token.expose().to_vec(),
                account.signer.unwrap().seed().to_vec(),
            ])
        })
        .unwrap();
    let found = |rows: &[Row], secret: &[u8]| {
        rows.iter().any(|row| row.value.windows(secret.len()).any(|window| window == secret))
    };
    let rows = collect(&mut ada, world.now, false);
    assert!(secrets.iter().all(|secret| !found(&rows, secret)));
    assert!(!rows.iter().any(|row| row.kind == RowKind::AccountKey));
    let with_key = collect(&mut ada, world.now, true);
    assert!(secrets[..4].iter().all(|secret| !found(&with_key, secret)) && found(&with_key, &secrets[4]));
    for (kind, table) in [(RowKind::Message, Table::Message), (RowKind::Contact, Table::Contact)] {
        assert_eq!(rows.iter().filter(|row| row.kind == kind).count(), ada.store.len(table));
    }
}

#[test]
fn a_restored_device_is_a_new_one_with_the_old_account_key_and_its_contacts_hear_of_it() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.acquaint(&mut ada, &mut bob);
    let account = ada.address.account;
    let digits = ada.with(world.now, |engine| engine.safety_number(bob.address.account)).unwrap().numeric();
    ada.with(world.now, |engine| engine.verify_digits(bob.address.account, &digits)).unwrap();
    bob.with(world.now, |engine| engine.verify_digits(account, &digits)).unwrap();
    let rows = collect(&mut ada, world.now, true);
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(9, &ada);
    let from = account_row(&rows);
    phone
        .with(world.now, |engine| {
            let key = Secret::from_slice(&rows[1].value[1..]).unwrap();
            engine.begin_restoration(&new_account("Ada"), &key, &from, &basis)
        })
        .unwrap();
    let restored = restore(&mut phone, world.now, &rows).unwrap();
    assert_eq!((restored.contacts, restored.verified, restored.conversations, restored.messages), (1, 1, 1, 2));
    let request = phone.with(world.now, |engine| engine.recovery_request()).unwrap();
    let view = phone.with(world.now, |engine| engine.account_view()).unwrap().unwrap();
    assert_eq!((view.state, view.address.device.get()), (AccountState::Recovering, 2));
    world.record(&request.key_set.0);
    world.key_sets.insert(account, request.key_set.0.clone());
    world.devices.insert(view.address, request.device);
    world.mailboxes.insert(view.mailbox, std::collections::VecDeque::new());
    phone.address = view.address;
    phone.mailbox = view.mailbox;
    events(&mut bob);
    phone.with(world.now, |engine| engine.complete_takeover()).unwrap();
    // Nobody has written yet: the restored device says by itself that it is there.
    world.settle(&mut [&mut phone, &mut bob]);
    assert!(events(&mut bob).contains(&Event::DevicesChanged { account }));
    let contact = bob.with(world.now, |engine| engine.contact_view(account)).unwrap();
    assert_eq!(contact.verification, Verification::Verified);
    assert_eq!(contact.devices.iter().map(|device| device.number.get()).collect::<Vec<_>>(), [2]);
    let contact = phone.with(world.now, |engine| engine.contact_view(bob.address.account)).unwrap();
    assert_eq!(contact.verification, Verification::Verified);
    world.send(&mut bob, conversation, text("welcome back"));
    world.send(&mut phone, conversation, text("thank you"));
    world.settle(&mut [&mut phone, &mut bob]);
    assert_eq!(texts(&mut phone, conversation).len(), 4);
    assert_eq!(texts(&mut bob, conversation).len(), 4);

    // The device before learns that it is none any more, and gives the account key up.
    offer(&mut ada, world.now, account, &world.key_sets[&account].clone());
    assert!(events(&mut ada).contains(&Event::DeviceRemoved));
    let refused = ada.with(world.now, |engine| engine.rotate_account_key()).unwrap_err();
    assert!(matches!(refused, AccountError::NotPrimary), "{refused:?}");
}

#[test]
fn an_archive_without_an_account_key_goes_into_another_account_as_what_it_is() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    world.acquaint(&mut ada, &mut bob);
    let rows = collect(&mut ada, world.now, false);
    let mut none = blank(8, &ada);
    assert!(matches!(restore(&mut none, world.now, &rows), Err(BackupError::NeedsAccount)));
    let mut other = world.phone(9, "Ada again");
    let restored = restore(&mut other, world.now, &rows).unwrap();
    assert_eq!((restored.contacts, restored.messages), (1, 2));
    assert!(matches!(restore(&mut other, world.now, &rows), Err(BackupError::TargetNotEmpty)));
    let with_bob = other.with(world.now, |engine| engine.direct_conversation(bob.address.account)).unwrap();
    let said = other.with(world.now, |engine| engine.messages(with_bob, None, 10)).unwrap();
    assert_eq!(
        said.iter().map(|message| message.sender.account).collect::<Vec<_>>(),
        [bob.address.account, other.address.account]
    );
    world.send(&mut other, with_bob, text("a new account of mine"));
    world.settle(&mut [&mut other, &mut bob]);
    assert_eq!(texts(&mut bob, with_bob), ["a new account of mine"]);
}

#[test]
fn an_account_key_that_was_replaced_since_restores_no_device() {
    let mut world = World::new();
    let mut ada = world.phone(1, "Ada");
    let rows = collect(&mut ada, world.now, true);
    rotate(&mut world, &mut ada, 1);
    let (from, key) = (account_row(&rows), Secret::from_slice(&rows[1].value[1..]).unwrap());
    let basis = world.key_sets[&from.account].clone();
    let mut phone = blank(9, &ada);
    let refused =
        phone.with(world.now, |engine| engine.begin_restoration(&new_account("Ada"), &key, &from, &basis)).unwrap_err();
    assert!(matches!(refused, AccountError::KeySet(_)), "{refused:?}");
}

proptest! {
    #[test]
    fn any_row_is_taken_in_or_named(kind in 3_u8..=11, key in prop::collection::vec(any::<u8>(), 0..48), value: Vec<u8>) {
        let mut world = World::new();
        let mut ada = world.phone(1, "Ada");
        let rows = collect(&mut ada, world.now, false);
        let kind = RowKind::STORED.into_iter().find(|known| known.code() == kind).unwrap();
        let odd = Row { kind, key, value: Zeroizing::new(value) };
        let outcome = restore(&mut ada, world.now, &[rows[0].clone(), odd]);
        prop_assert!(matches!(outcome, Ok(_) | Err(BackupError::Malformed { .. })), "{:?}", outcome);
    }

    #[test]
    fn any_bytes_are_no_archive(bytes in prop::collection::vec(any::<u8>(), 1..4000)) {
        let is_refused = matches!(open(&bytes), Err(BackupError::Tampered { chunk: 0 }));
        prop_assert!(is_refused);
    }
}
