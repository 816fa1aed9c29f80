//! A reset of the account, as its existing devices see it: somebody asked the operator to begin the account again, with keys that no device
//! of ours knows. The server tells every device; each may call it off until it takes effect. Whoever really lost everything has no device
//! left to veto with.

use super::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::need::NeedKind;

impl Engine<'_> {
    /// The server says when a pending reset takes effect, or that none is pending. Told once per reset, however often the server repeats
    /// it.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn handle_reset_notice(&mut self, effective_at: Option<UnixMillis>) -> Result<(), AccountError> {
        let mut account = self.account()?;
        if account.reset_at == effective_at {
            return Ok(());
        }
        account.reset_at = effective_at;
        self.put_account(&account)?;
        match effective_at {
            Some(effective_at) => self.emit(Event::ResetPending { effective_at })?,
            None => {
                self.need_met(NeedKind::VetoReset, account.address.account)?;
                self.emit(Event::ResetCalledOff)?;
            }
        }
        Ok(())
    }

    /// Calls a pending reset off. The shell tells the server next, and again until it has heard.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn veto_reset(&mut self) -> Result<(), AccountError> {
        let account = self.account()?;
        Ok(self.need_veto(account.address.account)?)
    }

    /// The server has called the reset off.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`].
    pub fn handle_reset_vetoed(&mut self) -> Result<(), AccountError> {
        let account = self.account()?;
        self.need_met(NeedKind::VetoReset, account.address.account)?;
        self.handle_reset_notice(None)
    }
}
