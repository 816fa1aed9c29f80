//! Targets for the archive of a backup: its header, and the rows that are inside its encryption.

use rcseal_wire::backup::{AccountRow, CHECK_LEN, Cost, Header, Row, RowKind, RowReader, SALT_LEN, SecretKind};
use rcseal_wire::id::AccountId;

use crate::Verdict;

/// A header, and back to the same bytes.
pub(crate) fn header(bytes: &[u8]) -> Verdict {
    let parsed = Header::parse(bytes);
    if let Ok(header) = &parsed {
        assert!(bytes.starts_with(&header.to_bytes()), "a header has one encoding");
    }
    Verdict::of(&parsed)
}

pub(crate) fn header_seeds() -> Vec<Vec<u8>> {
    [SecretKind::Passphrase, SecretKind::Generated]
        .map(|secret| {
            let header =
                Header { secret, cost: Cost::FLOOR, created_at_ms: 1, salt: [2; SALT_LEN], check: [3; CHECK_LEN] };
            header.to_bytes().to_vec()
        })
        .into()
}

/// Rows in pieces, and back to the same bytes.
pub(crate) fn rows(bytes: &[u8]) -> Verdict {
    let read = read(bytes);
    if let Ok(rows) = &read {
        let mut written = Vec::new();
        for row in rows {
            row.write(&mut written).expect("a row that was read is within the limits");
            if row.kind == RowKind::Account
                && let Ok(account) = AccountRow::parse(&row.value)
            {
                assert_eq!(account.to_bytes(), *row.value, "an account has one encoding");
            }
        }
        assert_eq!(written, bytes, "rows have one encoding");
    }
    Verdict::of(&read)
}

fn read(bytes: &[u8]) -> Result<Vec<Row>, rcseal_wire::backup::RowError> {
    let (mut reader, mut rows) = (RowReader::default(), Vec::new());
    for piece in bytes.chunks(13) {
        reader.push(piece);
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
    }
    reader.finish()?;
    Ok(rows)
}

pub(crate) fn rows_seeds() -> Vec<Vec<u8>> {
    let account = AccountRow {
        account: AccountId::from_bytes([1; 16]),
        origin: "https://relay.example".parse().expect("it is an origin"),
        display_name: "Ada".to_owned(),
        change_policy: 3,
        key_set: vec![4; 40],
    };
    let row = |kind, key: &[u8], value: &[u8]| Row { kind, key: key.to_vec(), value: value.to_vec().into() };
    let rows = [
        row(RowKind::Account, &[], &account.to_bytes()),
        row(RowKind::AccountKey, &[], &[1; 33]),
        row(RowKind::Contact, &[5; 16], &[1, 2, 3]),
        row(RowKind::Message, &[6; 24], &[7; 100]),
        row(RowKind::Message, &[8; 24], &[]),
        Row::end(5),
    ];
    let mut bytes = Vec::new();
    for row in rows {
        row.write(&mut bytes).expect("it is within the limits");
    }
    vec![bytes]
}
