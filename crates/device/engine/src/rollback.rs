//! After a rollback: the store is an older copy of itself, and what it would do next may have been done.
//!
//! Message keys, prekey ids and a successor of the key set may all have been used by the life that was lost. So nothing here is used that
//! it could have used: no session speaks again, prekeys are drawn under ids far ahead, and the account's key set is fetched anew. Nor is
//! anything readable sent by the user's word of then, which may have been taken back since.

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::pages::Pages;
use crate::session::{SESSIONS_PAGE, SessionKey};
use crate::store::{Table, prefix_end};

/// Prekey ids skipped after a rollback: a hundred for each upload of a thousand that the lost life may have made.
const PREKEY_IDS_SKIPPED: u32 = 100_000;

impl Engine<'_> {
    /// The store was rolled back or copied: message keys may have been used by the life that was lost. No session of it encrypts again;
    /// they stay readable, and the next message to each device begins a new one.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_store_rollback(&mut self) -> Result<(), AccountError> {
        // The signed prekeys that the directory hands out may be the lost life's: new ones take their place with the next upload.
        match self.account() {
            Ok(mut account) => {
                account.prekeys.drawn_at = UnixMillis(0);
                // The lost life may have used the ids that would come next, with other keys behind them.
                account.prekeys.next = account.prekeys.next.saturating_add(PREKEY_IDS_SKIPPED);
                self.put_account(&account)?;
                // So may the account's key set be: a primary device must not sign a second successor of the one it remembers.
                self.need_key_set(account.address.account)?;
                self.end_every_agreement()?;
                self.numbers_after_rollback()?;
            }
            Err(AccountError::NoAccount) => {}
            Err(error) => return Err(error),
        }
        self.tx.delete_range(Table::ActiveSession, &[], &prefix_end(&[]))?;
        let mut renewed = None;
        // A message that arrives on one of them would make it the one to send on again, so each is marked.
        let mut pages = Pages::new(Table::Session, &[], SESSIONS_PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, _) in &rows {
                let Some(mut stored) = self.session(SessionKey::parse(Table::Session, row_key)?)? else { continue };
                stored.is_archived = true;
                self.save_session(&stored)?;
                // Rows are in the order of devices.
                if renewed.replace(stored.key.peer) != Some(stored.key.peer) {
                    self.schedule_renewal(stored.key.peer)?;
                }
            }
        }
        Ok(())
    }
}
