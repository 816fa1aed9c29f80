//! Sessions as apps and tools see them: which there are, how old, how much went over them, and when they last turned. No key is in it.

use rcseal_wire::id::{AccountId, DeviceAddress};

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::session::StoredSession;
use crate::store::StoreError;

/// A device and the sessions with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSessions {
    /// Which device.
    pub device: DeviceAddress,
    /// The sessions, the newest first; none before the first message.
    pub sessions: Vec<SessionView>,
}

/// One session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// Whether it is the one to send on.
    pub is_active: bool,
    /// Whether it only receives, because its store was rolled back.
    pub is_archived: bool,
    /// Whether this device began it.
    pub is_initiator: bool,
    /// Whether the peer has answered. An initiation that it has not is given up after 30 days.
    pub is_answered: bool,
    /// When it began.
    pub created_at: UnixMillis,
    /// When the peer last came with a new ratchet key; when the session began, if it never has.
    pub turned_at: UnixMillis,
    /// When something was last decrypted in it; when it began, if nothing was.
    pub heard_at: UnixMillis,
    /// The key epoch of its post-quantum ratchet: how often both devices have agreed on a fresh ML-KEM secret. It takes some hundred
    /// messages, of both sides, to get to the next.
    pub post_quantum_epoch: u64,
    /// Messages of any kind encrypted in it.
    pub sent: u64,
    /// Messages of any kind decrypted in it.
    pub received: u64,
    /// Envelopes in a row that did not decrypt, up to now.
    pub failures: u8,
}

impl Engine<'_> {
    /// The devices of an account as its key set names them, and the sessions with each: a contact's, or our own account's other devices.
    /// Empty where no key set is known.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], and those of the store.
    pub fn sessions(&self, account: AccountId) -> Result<Vec<DeviceSessions>, AccountError> {
        let own = self.account()?.address;
        let Some(key_set) = self.key_set(account)? else { return Ok(Vec::new()) };
        let mut devices = Vec::new();
        for device in key_set.devices() {
            let device = DeviceAddress { account, device: device.number() };
            if device != own {
                devices.push(DeviceSessions { device, sessions: self.session_views(device)? });
            }
        }
        Ok(devices)
    }

    fn session_views(&self, device: DeviceAddress) -> Result<Vec<SessionView>, StoreError> {
        let active = self.active_session(device)?.map(|session| session.key);
        let mut sessions = self.sessions_with(device)?;
        sessions.reverse();
        Ok(sessions.iter().map(|session| view(session, active == Some(session.key))).collect())
    }
}

fn view(stored: &StoredSession, is_active: bool) -> SessionView {
    SessionView {
        is_active,
        is_archived: stored.is_archived,
        is_initiator: stored.session.role() == rcseal_signal::Role::Initiator,
        is_answered: stored.session.has_received(),
        created_at: stored.created_at,
        turned_at: stored.turned_at,
        heard_at: stored.heard_at,
        post_quantum_epoch: stored.session.pq_epoch(),
        sent: stored.sent,
        received: stored.received,
        failures: stored.failures,
    }
}
