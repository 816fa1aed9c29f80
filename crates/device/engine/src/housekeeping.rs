//! Housekeeping: rows that have outlived their use. The shell calls it now and then; nothing depends on when.

use crate::account::AccountError;
use crate::context::Engine;

/// How long it is remembered which message an envelope carried, and which ciphertexts were read: a relay keeps envelopes for 30 days, and a
/// receipt may be late as long.
const SENT_KEPT_MS: u64 = 60 * 24 * 3600 * 1000;

impl Engine<'_> {
    /// Deletes what is no longer of use.
    ///
    /// # Errors
    /// Those of the store.
    pub fn keep_house(&mut self) -> Result<(), AccountError> {
        let oldest_kept = self.now.0.saturating_sub(SENT_KEPT_MS);
        self.forget_sent_before(oldest_kept)?;
        self.forget_seen_before(oldest_kept)?;
        self.forget_again_before(oldest_kept)?;
        self.keep_carrier(oldest_kept)?;
        self.keep_sms()?;
        self.end_what_expired()?;
        self.drop_old_cases()?;
        self.forget_asked()?;
        self.forget_idle_peers()?;
        self.drop_silent_sessions(oldest_kept)?;
        self.drop_expired_pending()?;
        if let Some(oldest) = self.oldest_signed_prekey()? {
            self.forget_base_keys_before(oldest)?;
        }
        self.drop_expired_parked()
    }
}
