//! Where things stand with a peer device, beside its sessions: what keeps handshakes, pings and resends within bounds.
//!
//! One small row per device that any of it ever concerned. Every bound in it has forgotten everything after a day, so an idle row is
//! dropped by housekeeping and nothing is lost by it.

use rcseal_wire::id::DeviceAddress;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::context::{Engine, UnixMillis};
use crate::pages::Pages;
use crate::record::{Record, key};
use crate::store::{StoreError, Table};

/// First byte of the keys of these rows, in the table of rekeys.
const PREFIX: u8 = 2;
/// Length of a window: an hour, in milliseconds.
const WINDOW_MS: u64 = 3600 * 1000;
/// After this time without any change a row says nothing any more: twice the longest bound, a day.
const IDLE_MS_MAX: u64 = 2 * 24 * 3600 * 1000;
/// Rows read at once where all are looked at.
const PAGE: usize = 256;

/// How often something happened in the present hour.
#[derive(Debug, Clone, Copy, Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct Window {
    began_at_ms: u64,
    count: u16,
}

impl Window {
    /// Counts one, unless that is more than `max` in an hour. Answers whether it was counted.
    pub(crate) fn take(&mut self, now: UnixMillis, max: u16) -> bool {
        // A window that begins in the future is of a clock that was wrong.
        if self.began_at_ms > now.0 || now.0 - self.began_at_ms >= WINDOW_MS {
            *self = Self { began_at_ms: now.0, count: 0 };
        }
        let is_free = self.count < max;
        self.count += u16::from(is_free);
        is_free
    }
}

/// Where things stand with a peer device. Times are zero where there was none.
#[derive(Debug, Clone, Copy, Default, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(crate) struct PeerRecord {
    /// The last handshake of either side.
    pub(crate) handshake_at_ms: u64,
    /// When a new session was last asked for in the place of one that there is.
    pub(crate) renewal_at_ms: u64,
    /// 1 while that one is not here yet and the old one is not to be relied on.
    pub(crate) is_suspected: u8,
    /// When a new session is to be asked for that may not be asked for yet.
    pub(crate) renewal_due_at_ms: u64,
    /// The ping that was sent last.
    pub(crate) ping: [u8; 16],
    /// When; zero once it was answered.
    pub(crate) pinged_at_ms: u64,
    /// Pings that were answered.
    pub(crate) pongs: Window,
    /// Envelopes that were asked for once more.
    pub(crate) asked: Window,
    /// Messages that were sent once more.
    pub(crate) resent: Window,
}

impl Record for PeerRecord {
    const VERSION: u8 = 1;
}

impl PeerRecord {
    fn changed_at_ms(&self) -> u64 {
        [
            self.handshake_at_ms,
            self.renewal_at_ms,
            self.renewal_due_at_ms,
            self.pinged_at_ms,
            self.pongs.began_at_ms,
            self.asked.began_at_ms,
            self.resent.began_at_ms,
        ]
        .into_iter()
        .max()
        .unwrap_or_default()
    }
}

fn row_key(device: DeviceAddress) -> Vec<u8> {
    key(&[&[PREFIX], &device.to_bytes()])
}

impl Engine<'_> {
    pub(crate) fn peer(&self, device: DeviceAddress) -> Result<PeerRecord, StoreError> {
        match self.tx.get(Table::Rekey, &row_key(device))? {
            Some(row) => PeerRecord::from_row(Table::Rekey, &row),
            None => Ok(PeerRecord::default()),
        }
    }

    pub(crate) fn put_peer(&mut self, device: DeviceAddress, peer: &PeerRecord) -> Result<(), StoreError> {
        self.tx.put(Table::Rekey, &row_key(device), &peer.to_row())
    }

    /// Forgets devices with which nothing has happened for so long that no bound remembers it.
    pub(crate) fn forget_idle_peers(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Rekey, &[PREFIX], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let peer = PeerRecord::from_row(Table::Rekey, row)?;
                if self.now.since(UnixMillis(peer.changed_at_ms())) > IDLE_MS_MAX {
                    self.tx.delete(Table::Rekey, row_key)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_an_hour_and_survives_a_clock_that_goes_back() {
        let mut window = Window::default();
        let noon = UnixMillis(1_700_000_000_000);
        assert!(window.take(noon, 2) && window.take(noon, 2));
        assert!(!window.take(noon.plus(WINDOW_MS - 1), 2));
        assert!(window.take(noon.plus(WINDOW_MS), 2));
        // The clock was a year ahead, and was put right.
        assert!(window.take(noon, 2) && window.take(noon, 2) && !window.take(noon, 2));
    }
}
