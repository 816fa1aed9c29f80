//! The file: against archives of other software, and against a disk that fails and a process that is killed.
#![allow(clippy::unwrap_used)]

use rcseal_engine::backup::BackupError;
use rcseal_wire::backup::{AccountRow, Row, RowKind};
use serde_json::Value;
use zeroize::Zeroizing;

use super::archive::{OpenedArchive, create, inspect};
use super::{BackupFailure, BackupSecret, SecretKind};
use crate::client::ClientError;

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn archives_of_other_software_open_and_hold_the_rows_that_they_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../vectors/backup/archive.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive");
    for vector in vectors["archives"].as_array().unwrap() {
        std::fs::write(&file, bytes(&vector["archive"])).unwrap();
        let text = vector["secret"].as_str().unwrap();
        let secret = match vector["secret_kind"].as_str().unwrap() {
            "generated" => BackupSecret::parse_generated(text).unwrap(),
            _ => BackupSecret::Passphrase(Zeroizing::new(text.to_owned())),
        };
        let info = inspect(&file).unwrap();
        assert_eq!(info.secret, secret.kind());
        assert_eq!(u64::from(info.memory_kib), vector["memory_kib"].as_u64().unwrap());
        let opened = OpenedArchive::open(&file, &secret).unwrap();
        assert_eq!(opened.account_key.is_some(), info.secret == SecretKind::Generated);
        assert_eq!(opened.account.display_name, "Ada");
        let mut rows = Vec::new();
        opened
            .rows(&mut |_| {}, |row| {
                rows.push(row.clone());
                Ok(())
            })
            .unwrap();
        let expected = vector["rows"].as_array().unwrap();
        assert_eq!(rows.len(), expected.len() + 1);
        for (row, expected) in rows.iter().zip(expected) {
            assert_eq!(u64::from(row.kind.code()), expected["kind"].as_u64().unwrap());
            assert_eq!((&row.key, &*row.value), (&bytes(&expected["key"]), &bytes(&expected["value"])));
        }
    }
}

fn pages(count: usize) -> impl FnMut(&mut rcseal_engine::backup::Collector) -> Result<Option<Vec<Row>>, ClientError> {
    let account = AccountRow {
        account: rcseal_wire::id::AccountId::from_bytes([1; 16]),
        origin: "https://relay.example".parse().unwrap(),
        display_name: String::new(),
        change_policy: 3,
        key_set: vec![0; 1600],
    };
    let mut left = count;
    move |_| {
        left = match left.checked_sub(1) {
            Some(left) => left,
            None => return Ok(None),
        };
        let (kind, value) =
            if left + 1 == count { (RowKind::Account, account.to_bytes()) } else { (RowKind::Message, vec![7; 9000]) };
        Ok(Some(vec![Row { kind, key: Vec::new(), value: Zeroizing::new(value) }]))
    }
}

#[test]
fn a_backup_replaces_the_one_before_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive");
    let secret = BackupSecret::generate();
    let first = create(&file, &secret, 1, pages(30), &mut |_| {}).unwrap();
    assert_eq!((first.rows, first.bytes), (30, std::fs::metadata(&file).unwrap().len()));
    let before = std::fs::read(&file).unwrap();
    // A process that was killed leaves this.
    std::fs::write(folder.path().join("archive.part"), b"half of something").unwrap();
    let mut left = 5;
    let mut ok = pages(30);
    let failing = |collector: &mut _| {
        left -= 1;
        if left == 0 { Err(ClientError::Stopped) } else { ok(collector) }
    };
    assert!(matches!(create(&file, &secret, 2, failing, &mut |_| {}), Err(ClientError::Stopped)));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    create(&file, &secret, 3, pages(3), &mut |_| {}).unwrap();
    assert_eq!(inspect(&file).unwrap().created_at_ms, 3);
}

#[test]
fn every_cut_of_a_file_is_named_and_so_is_the_wrong_kind_of_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive");
    let secret = BackupSecret::generate();
    create(&file, &secret, 1, pages(10), &mut |_| {}).unwrap();
    let whole = std::fs::read(&file).unwrap();
    for len in (1..whole.len()).step_by(977).chain([whole.len() - 1, whole.len() - 16, whole.len() - 17]) {
        std::fs::write(&file, &whole[..len]).unwrap();
        let refused = inspect(&file).unwrap_err();
        assert!(matches!(refused, ClientError::Backup(BackupFailure::Archive(BackupError::Truncated))), "{len}");
        assert_eq!(refused.code(), "backup_truncated");
    }
    std::fs::write(&file, &whole).unwrap();
    let other = BackupSecret::passphrase("a lamp over the harbour").unwrap();
    let refused = OpenedArchive::open(&file, &other).err().unwrap();
    assert_eq!(refused.code(), "backup_other_secret");
    let refused = OpenedArchive::open(&file, &BackupSecret::generate()).err().unwrap();
    assert_eq!(refused.code(), "backup_wrong_secret");
}
