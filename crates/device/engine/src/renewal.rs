//! New sessions in the place of old ones: by age, and when something is wrong with the one there is.
//!
//! A handshake costs the peer a one-time prekey, so nobody makes one lightly. There are three reasons:
//! - *there is no session to send on*: first contact, a device with new keys, an initiation that nobody answered in
//!   [`UNANSWERED_MS_MAX`], a store that was rolled back. Then what is to be sent waits for a prekey bundle;
//! - *age*: a session older than [`SESSION_MS_MAX`] goes on until the new one is here;
//! - *suspicion*: [`FAILURES_MAX`] envelopes in a row that authenticate as the peer's and do not decrypt, here or at the peer. What is sent
//!   until the new session is here waits for it, for [`SUSPECTED_MS_MAX`] at most.
//!
//! In the last two cases a handshake of either side within a day ([`PAUSE_MS`]) forbids another one. A new session begins with a ping, so
//! that the peer answers on it at once.

use rcseal_wire::content::Body;
use rcseal_wire::id::DeviceAddress;

use crate::account::Account;
use crate::context::{Engine, Tally, UnixMillis};
use crate::conversation::direct_conversation_id;
use crate::schedule::Task;
use crate::send::{SendError, native_identity};
use crate::session::{SessionKey, StoredSession};
use crate::store::StoreError;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// How long an initiation that nobody answered is sent on: 30 days, as deployed clients do. The prekeys it names are kept that long.
const UNANSWERED_MS_MAX: u64 = 30 * DAY_MS;
/// Age at which a session is renewed: 180 days. Long enough that handshakes stay rare, and a bound on what anything that the ratchet does
/// not replace (recognition tags, the exporter secret, the handshake's post-quantum share) is relied on.
const SESSION_MS_MAX: u64 = 180 * DAY_MS;
/// How much longer the side that did not begin the session waits, so that not both begin the next one.
const RESPONDER_GRACE_MS: u64 = 7 * DAY_MS;
/// Between two handshakes with a device while there is a session to send on: a day.
const PAUSE_MS: u64 = DAY_MS;
/// Failures in a row after which a session is suspected: one may be damage, and two the end of an older session.
const FAILURES_MAX: u8 = 3;
/// How long messages wait for the session that is to replace a suspected one: ten minutes. After that the suspected one is used again: a
/// directory that is away must not silence a conversation.
const SUSPECTED_MS_MAX: u64 = 10 * 60 * 1000;
/// Within what time all sessions begin anew after the store was rolled back: an hour, so that hundreds of contacts are not asked at once.
const ROLLBACK_SPREAD_MS: u64 = 3600 * 1000;

/// Handshakes that this device has taken part in, each of which may have used up a one-time prekey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handshakes {
    /// Sessions that it began.
    pub begun: u64,
    /// Sessions that others began with it.
    pub accepted: u64,
}

/// Why a session is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Age,
    Suspicion,
}

/// When the peer is told that something of it could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    /// The session is broken, and may not be replaced yet.
    InTheNextSession,
}

impl StoredSession {
    /// Whether this is an initiation that has gone unanswered for too long.
    pub(crate) fn is_given_up(&self, now: UnixMillis) -> bool {
        !self.session.has_received() && now.since(self.created_at) > UNANSWERED_MS_MAX
    }

    /// Whether it is time for a new one.
    pub(crate) fn is_old(&self, now: UnixMillis) -> bool {
        let age_max = match self.session.role() {
            rcseal_signal::Role::Initiator => SESSION_MS_MAX,
            rcseal_signal::Role::Responder => SESSION_MS_MAX + RESPONDER_GRACE_MS,
        };
        now.since(self.created_at) > age_max
    }
}

impl Engine<'_> {
    /// How many handshakes this device has taken part in, ever.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handshakes(&self) -> Result<Handshakes, StoreError> {
        Ok(Handshakes { begun: self.tally(Tally::HandshakesBegun)?, accepted: self.tally(Tally::HandshakesAccepted)? })
    }

    /// A session has just come to be.
    pub(crate) fn session_is_new(&mut self, session: &StoredSession) -> Result<(), StoreError> {
        self.count_up(match session.session.role() {
            rcseal_signal::Role::Initiator => Tally::HandshakesBegun,
            rcseal_signal::Role::Responder => Tally::HandshakesAccepted,
        })?;
        let device = session.key.peer;
        let mut peer = self.peer(device)?;
        (peer.handshake_at_ms, peer.is_suspected) = (self.now.0, 0);
        self.put_peer(device, &peer)
    }

    /// Asks for a session in the place of the one there is. Answers whether one is on its way now.
    pub(crate) fn renew_session(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        cause: Cause,
    ) -> Result<bool, SendError> {
        if self.is_kept_back(device.account)? {
            return Ok(false);
        }
        let Some(key_set) = self.key_set(device.account)? else { return Ok(false) };
        let Some(identity) = native_identity(&key_set, device.device)? else { return Ok(false) };
        let mut peer = self.peer(device)?;
        let last = UnixMillis(peer.handshake_at_ms.max(peer.renewal_at_ms));
        // A handshake in the future is of a clock that was wrong. Without a session nothing could be sent at all.
        let is_recent = last.0 <= self.now.0 && self.now.since(last) < PAUSE_MS;
        if is_recent && self.sendable_session(device, identity)?.is_some() {
            return Ok(false);
        }
        (peer.renewal_at_ms, peer.is_suspected) = (self.now.0, u8::from(cause == Cause::Suspicion));
        self.put_peer(device, &peer)?;
        self.ask_anew(device)?;
        // What waits there already brings the new session with it.
        if !self.is_waiting(device)? {
            let ping = self.draw_ping(device)?;
            let conversation = direct_conversation_id(account.address.account, device.account);
            let payload = self.notice(account, conversation, Body::Rekey(ping))?;
            self.wait_for_bundle(device, identity, &payload, None)?;
        }
        Ok(true)
    }

    /// Whether what is to be sent to a device should wait for the session that replaces the one there is.
    pub(crate) fn is_suspected(&self, device: DeviceAddress) -> Result<bool, StoreError> {
        let peer = self.peer(device)?;
        let since = UnixMillis(peer.renewal_at_ms);
        Ok(peer.is_suspected == 1 && since.0 <= self.now.0 && self.now.since(since) < SUSPECTED_MS_MAX)
    }

    /// An envelope of a session's peer did not decrypt. Answers when the peer should be told.
    pub(crate) fn session_failed(&mut self, account: &Account, session: SessionKey) -> Result<When, SendError> {
        let Some(mut stored) = self.session(session)? else { return Ok(When::Now) };
        stored.failures = stored.failures.saturating_add(1);
        self.save_session(&stored)?;
        // Of a session that has a successor nothing is expected but the last of what was on its way.
        let is_active = match self.active_session(session.peer)? {
            Some(active) => active.key == session,
            None => true,
        };
        if !is_active || stored.failures < FAILURES_MAX {
            return Ok(When::Now);
        }
        let is_replaced = self.renew_or_schedule(account, session.peer)?;
        let is_broken = stored.failures > FAILURES_MAX;
        Ok(if is_broken && !is_replaced { When::InTheNextSession } else { When::Now })
    }

    /// A device writes in a session that cannot be accepted. Answers when it should be told.
    pub(crate) fn session_is_lost(&mut self, account: &Account, device: DeviceAddress) -> Result<When, SendError> {
        Ok(if self.renew_or_schedule(account, device)? { When::Now } else { When::InTheNextSession })
    }

    /// Replaces a session that has failed often enough, or sees to it that this is done as soon as it may be.
    fn renew_or_schedule(&mut self, account: &Account, device: DeviceAddress) -> Result<bool, SendError> {
        if self.is_suspected(device)? || self.renew_session(account, device, Cause::Suspicion)? {
            return Ok(true);
        }
        let mut peer = self.peer(device)?;
        if peer.renewal_due_at_ms <= self.now.0 {
            let due = self.now.plus(PAUSE_MS + self.jitter(ROLLBACK_SPREAD_MS));
            self.schedule(Task::Renewal(device), due)?;
            peer.renewal_due_at_ms = due.0;
            self.put_peer(device, &peer)?;
        }
        Ok(false)
    }

    /// A device says that it could not decrypt an envelope of ours.
    pub(crate) fn session_refused(&mut self, account: &Account, device: DeviceAddress) -> Result<(), SendError> {
        let Some(mut stored) = self.active_session(device)? else { return Ok(()) };
        stored.refusals = stored.refusals.saturating_add(1);
        self.save_session(&stored)?;
        if stored.refusals >= FAILURES_MAX {
            self.renew_or_schedule(account, device)?;
        }
        Ok(())
    }

    /// A device has shown that it decrypts what we send.
    pub(crate) fn session_is_read(&mut self, device: DeviceAddress) -> Result<(), StoreError> {
        match self.active_session(device)? {
            Some(mut stored) if stored.refusals > 0 => {
                stored.refusals = 0;
                self.save_session(&stored)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The store was rolled back, and no session with this device is sent on any more. It gets a new one within the hour, also when
    /// nobody writes: until then the device may go on writing in a session that the lost life had and this one does not know.
    pub(crate) fn schedule_renewal(&mut self, device: DeviceAddress) -> Result<(), StoreError> {
        let due = self.now.plus(self.jitter(ROLLBACK_SPREAD_MS));
        self.schedule(Task::Renewal(device), due)
    }

    pub(crate) fn renewal_due(&mut self, account: &Account, device: DeviceAddress) -> Result<(), SendError> {
        let is_known = device.account == account.address.account || self.known_contact(device.account)?.is_some();
        let is_needed = match self.active_session(device)? {
            Some(active) => {
                active.failures >= FAILURES_MAX || active.refusals >= FAILURES_MAX || self.has_asked(device)?
            }
            None => true,
        };
        if is_known && is_needed {
            self.renew_session(account, device, Cause::Suspicion)?;
        }
        Ok(())
    }
}
