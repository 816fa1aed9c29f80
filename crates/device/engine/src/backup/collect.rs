//! Reading a store for an archive, a page at a time.
//!
//! Each page is one transaction, and between two of them the app goes on: what comes in behind the place that was reached is in the archive,
//! what comes in before it is not. Rows are copied as they are; each begins with its own version.

use rcseal_wire::backup::{AccountRow, Row, RowKind};
use rcseal_wire::id::AccountId;
use zeroize::Zeroizing;

use super::BackupError;
use crate::account::AccountState;
use crate::context::Engine;
use crate::store::{Order, StoreError, Table, prefix_end};

/// Rows of a page.
const PAGE: usize = 64;

/// How far the reading has come.
#[derive(Debug)]
pub struct Collector {
    with_account_key: bool,
    place: Place,
    own: Option<AccountId>,
}

#[derive(Debug)]
enum Place {
    Account,
    Rows { kind: usize, from: Vec<u8> },
    Done,
}

impl Collector {
    /// Begins at the first row. The account key is read only under a generated secret.
    #[must_use]
    pub const fn new(with_account_key: bool) -> Self {
        Self { with_account_key, place: Place::Account, own: None }
    }
}

/// The table that rows of a kind are kept in.
pub(super) const fn table(kind: RowKind) -> Table {
    match kind {
        RowKind::KeySet => Table::KeySet,
        RowKind::Latch => Table::Latch,
        RowKind::Contact => Table::Contact,
        RowKind::Conversation => Table::Conversation,
        RowKind::ConversationSettings => Table::ConversationSettings,
        RowKind::Message => Table::Message,
        RowKind::Reaction => Table::Reaction,
        RowKind::Thread => Table::PlainThread,
        RowKind::ThreadMessage => Table::PlainMessage,
        RowKind::Account | RowKind::AccountKey | RowKind::End => Table::Account,
    }
}

impl Engine<'_> {
    /// The next rows of an archive; `None` when there are no more.
    ///
    /// # Errors
    /// [`BackupError::Account`] without an account that is this device's.
    pub fn collect(&self, collector: &mut Collector) -> Result<Option<Vec<Row>>, BackupError> {
        match &mut collector.place {
            Place::Account => {
                let rows = self.account_rows(collector.with_account_key)?;
                collector.own = Some(self.account()?.address.account);
                collector.place = Place::Rows { kind: 0, from: Vec::new() };
                Ok(Some(rows))
            }
            Place::Rows { kind: index, from } => {
                let Some(&kind) = RowKind::STORED.get(*index) else {
                    collector.place = Place::Done;
                    return Ok(None);
                };
                let found = self.tx.scan(table(kind), from, &prefix_end(&[]), PAGE, Order::Ascending)?;
                match found.last() {
                    Some((last, _)) => *from = [last.as_slice(), &[0]].concat(),
                    None => {
                        *index += 1;
                        from.clear();
                    }
                }
                let own = collector.own;
                let mut rows = Vec::with_capacity(found.len());
                for (key, value) in found {
                    let value = Zeroizing::new(value);
                    if self.belongs(kind, own, &key)? {
                        rows.push(Row { kind, key, value });
                    }
                }
                Ok(Some(rows))
            }
            Place::Done => Ok(None),
        }
    }

    fn account_rows(&self, with_account_key: bool) -> Result<Vec<Row>, BackupError> {
        let account = self.account()?;
        account.is_ours()?;
        let row = AccountRow {
            account: account.address.account,
            origin: account.origin.clone(),
            display_name: account.display_name.clone(),
            change_policy: account.change_policy.number(),
            key_set: self.own_key_set(&account)?.as_bytes().to_vec(),
        };
        let mut rows = vec![Row { kind: RowKind::Account, key: Vec::new(), value: Zeroizing::new(row.to_bytes()) }];
        if let (true, Some(signer), AccountState::Active) = (with_account_key, &account.signer, account.state) {
            let mut value = Zeroizing::new(Vec::with_capacity(33));
            value.push(1);
            value.extend_from_slice(signer.seed());
            rows.push(Row { kind: RowKind::AccountKey, key: Vec::new(), value });
        }
        Ok(rows)
    }

    /// Whether a row is the user's: of accounts that somebody only claims to be, and of strangers, nothing is kept.
    fn belongs(&self, kind: RowKind, own: Option<AccountId>, key: &[u8]) -> Result<bool, StoreError> {
        match (kind, AccountId::parse(key)) {
            (RowKind::KeySet, Ok(account)) => Ok(Some(account) != own && self.known_contact(account)?.is_some()),
            (RowKind::Contact, Ok(account)) => Ok(self.known_contact(account)?.is_some()),
            _ => Ok(true),
        }
    }
}
