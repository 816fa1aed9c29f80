//! Turning sessions: a ping and the pong that answers it give both directions of a session new ratchet keys.
//!
//! A ratchet turns when the side that was silent answers. Where only one side writes, nothing turns, and whoever once saw the state of
//! either device reads on. So a conversation in which something was sent or received is *due* an interval later, an hour if the user has
//! not said otherwise, and then each device in its scope whose session has not turned lately is pinged. What the pong brings:
//!
//! - the pong comes under a ratchet key that the other device draws for it, so what it sends from then on is new;
//! - it makes this device draw a new key of its own, which counts from its next message on.
//!
//! Both are encrypted messages like any other, so the post-quantum ratchet moves with them. They are not shown, make no receipts, are no
//! activity, and no event tells of them. Bounds: one ping per device is outstanding, for [`PING_MS_MAX`] at most, so that a device that
//! never answers gets one a day; a device answers [`PONGS_PER_HOUR_MAX`] pings in an hour. Where there is no session there is nothing to
//! turn: no handshake is ever made here. A session that was never answered, as between two devices of one account, is answered by the pong.
//!
//! Table of rekeys, rows of kind 1: settings and due time of a conversation. `docs/protocol/sessions.md`.

use rcseal_credential::VerifiedKeySet;
use rcseal_wire::content::{Body, Conversation, RekeyStep};
use rcseal_wire::id::{ConversationId, DeviceAddress};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::Account;
use crate::context::{Engine, UnixMillis};
use crate::conversation::{devices_in_scope, direct_conversation_id};
use crate::record::{Record, key};
use crate::schedule::Task;
use crate::send::{SendError, native_identity};
use crate::store::{StoreError, Table};

/// First byte of the keys of these rows, in the table of rekeys.
const PREFIX: u8 = 1;
/// How long a ping that nothing answers keeps others back: a day, in milliseconds.
const PING_MS_MAX: u64 = 24 * 3600 * 1000;
/// The same where the user asks for one: a minute, which covers a finger on the button and a slow network.
const PING_DEMANDED_MS_MAX: u64 = 60 * 1000;
/// Pings of one device that are answered in an hour: one a minute, far more than any schedule makes.
const PONGS_PER_HOUR_MAX: u16 = 60;
/// Part of an interval by which a rekey may come early, as a divisor.
const JITTER_DIVISOR: u64 = 8;

/// How long sessions of an active conversation go without turning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RekeyInterval(u32);

impl RekeyInterval {
    /// What applies where nothing was chosen: an hour.
    pub const DEFAULT: Self = Self(60);
    /// Minutes in the shortest: below that the pings would outnumber the messages.
    pub const MINUTES_MIN: u32 = 1;
    /// Minutes in the longest, thirty days: what is rarer is as good as never.
    pub const MINUTES_MAX: u32 = 30 * 24 * 60;

    /// An interval of whole minutes; `None` outside of the limits.
    #[must_use]
    pub const fn from_minutes(minutes: u32) -> Option<Self> {
        if minutes >= Self::MINUTES_MIN && minutes <= Self::MINUTES_MAX { Some(Self(minutes)) } else { None }
    }

    /// Its length in minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    fn millis(self) -> u64 {
        u64::from(self.0) * 60 * 1000
    }
}

/// Who wants sessions to turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Scheduled(RekeyInterval),
    Demanded,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct RekeyRecord {
    /// 1 where the user has chosen.
    is_chosen: u8,
    /// The choice; 0 is never.
    minutes: u32,
    /// When the next rekey is due; 0 where none is.
    due_at_ms: u64,
}

impl Record for RekeyRecord {
    const VERSION: u8 = 1;
}

impl RekeyRecord {
    fn interval(&self) -> Option<RekeyInterval> {
        if self.is_chosen == 0 { Some(RekeyInterval::DEFAULT) } else { RekeyInterval::from_minutes(self.minutes) }
    }
}

fn row_key(conversation: ConversationId) -> Vec<u8> {
    key(&[&[PREFIX], conversation.as_bytes()])
}

impl Engine<'_> {
    /// Pings every device in a conversation's scope that there is a session to send in with, one that it has not answered yet included.
    /// Answers how many were pinged: none where there is no session, and a device whose last ping is unanswered and less than a minute old
    /// is not pinged again.
    ///
    /// # Errors
    /// [`SendError::UnknownConversation`]; [`SendError::ContactBlocked`] and [`SendError::VerificationChanged`] where a message would be
    /// refused with them.
    pub fn rekey_now(&mut self, conversation: ConversationId) -> Result<usize, SendError> {
        let account = self.account()?;
        let participants = self.conversation(conversation)?.ok_or(SendError::UnknownConversation)?;
        for participant in &participants.participants {
            self.check_recipient(participant.account)?;
        }
        self.ping_all(&account, conversation, &participants, Pace::Demanded)
    }

    /// How long sessions of this conversation go without turning while it is active; `None` is for ever.
    ///
    /// # Errors
    /// [`SendError::UnknownConversation`].
    pub fn set_rekey_interval(
        &mut self,
        conversation: ConversationId,
        interval: Option<RekeyInterval>,
    ) -> Result<(), SendError> {
        if self.conversation(conversation)?.is_none() {
            return Err(SendError::UnknownConversation);
        }
        let mut record = self.rekey_record(conversation)?;
        let was_due = record.due_at_ms != 0;
        if was_due {
            self.unschedule(Task::Rekey(conversation), UnixMillis(record.due_at_ms))?;
        }
        record = RekeyRecord { is_chosen: 1, minutes: interval.map_or(0, RekeyInterval::minutes), due_at_ms: 0 };
        self.put_rekey_record(conversation, &record)?;
        if was_due {
            self.note_activity(conversation)?;
        }
        Ok(())
    }

    /// What [`Engine::set_rekey_interval`] chose, or the default.
    ///
    /// # Errors
    /// Those of the store.
    pub fn rekey_interval(&self, conversation: ConversationId) -> Result<Option<RekeyInterval>, StoreError> {
        Ok(self.rekey_record(conversation)?.interval())
    }

    /// Something was sent or received in a conversation: its next rekey is due an interval from now, unless one is due earlier.
    pub(crate) fn note_activity(&mut self, conversation: ConversationId) -> Result<(), StoreError> {
        let mut record = self.rekey_record(conversation)?;
        let Some(interval) = record.interval() else { return Ok(()) };
        let latest = self.now.plus(interval.millis());
        // One that is further away was chosen by a clock that was wrong.
        if record.due_at_ms != 0 && record.due_at_ms <= latest.0 {
            return Ok(());
        }
        if record.due_at_ms != 0 {
            self.unschedule(Task::Rekey(conversation), UnixMillis(record.due_at_ms))?;
        }
        let due = UnixMillis(latest.0 - self.jitter(interval.millis() / JITTER_DIVISOR));
        self.schedule(Task::Rekey(conversation), due)?;
        record.due_at_ms = due.0;
        self.put_rekey_record(conversation, &record)
    }

    /// The time has come. The next activity makes the conversation due again.
    pub(crate) fn rekey_due(&mut self, account: &Account, conversation: ConversationId) -> Result<(), SendError> {
        let mut record = self.rekey_record(conversation)?;
        record.due_at_ms = 0;
        self.put_rekey_record(conversation, &record)?;
        let (Some(interval), Some(participants)) = (record.interval(), self.conversation(conversation)?) else {
            return Ok(());
        };
        self.ping_all(account, conversation, &participants, Pace::Scheduled(interval))?;
        Ok(())
    }

    fn ping_all(
        &mut self,
        account: &Account,
        id: ConversationId,
        conversation: &Conversation,
        pace: Pace,
    ) -> Result<usize, SendError> {
        let mut pinged = 0;
        for participant in &conversation.participants {
            if self.is_claim(participant.account)? {
                continue;
            }
            let Some(key_set) = self.key_set(participant.account)? else { continue };
            for device in devices_in_scope(participant, &key_set) {
                if device != account.address && self.ping(account, id, device, &key_set, pace)? {
                    pinged += 1;
                }
            }
        }
        Ok(pinged)
    }

    /// Pings a device, if there is a session to send in and none of the bounds forbids it. Answers whether it did.
    fn ping(
        &mut self,
        account: &Account,
        conversation: ConversationId,
        device: DeviceAddress,
        key_set: &VerifiedKeySet,
        pace: Pace,
    ) -> Result<bool, SendError> {
        let Some(identity) = native_identity(key_set, device.device)? else { return Ok(false) };
        let Some(session) = self.sendable_session(device, identity)? else { return Ok(false) };
        let peer = self.peer(device)?;
        let ping_age = self.now.since(UnixMillis(peer.pinged_at_ms));
        // A session that turned since has done what the ping was for.
        let is_outstanding = peer.pinged_at_ms != 0 && session.turned_at.0 <= peer.pinged_at_ms;
        let is_early = match pace {
            Pace::Scheduled(interval) => {
                is_outstanding && ping_age < PING_MS_MAX || self.now.since(session.turned_at) < interval.millis() / 2
            }
            Pace::Demanded => is_outstanding && ping_age < PING_DEMANDED_MS_MAX,
        };
        if is_early || !self.may_notify(device)? {
            return Ok(false);
        }
        let step = self.draw_ping(device)?;
        let payload = self.notice(account, conversation, Body::Rekey(step))?;
        self.dispatch_to_device(account, device, key_set, &payload, None)?;
        Ok(true)
    }

    /// Draws a ping, and remembers it as the one that is outstanding.
    pub(crate) fn draw_ping(&mut self, device: DeviceAddress) -> Result<RekeyStep, StoreError> {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        let mut peer = self.peer(device)?;
        (peer.ping, peer.pinged_at_ms) = (id, self.now.0);
        self.put_peer(device, &peer)?;
        Ok(RekeyStep::Ping { id })
    }

    /// A device has sent a ping or a pong.
    pub(crate) fn take_rekey(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        step: RekeyStep,
    ) -> Result<(), SendError> {
        let mut peer = self.peer(device)?;
        match step {
            RekeyStep::Ping { id } => {
                if !self.may_notify(device)? || !peer.pongs.take(self.now, PONGS_PER_HOUR_MAX) {
                    return Ok(());
                }
                self.put_peer(device, &peer)?;
                let Some(key_set) = self.key_set(device.account)? else { return Ok(()) };
                // Between the two, whatever conversation the ping names: an introduction says who takes part in a conversation, and
                // whoever pings may have guessed one of somebody else's.
                let conversation = direct_conversation_id(account.address.account, device.account);
                let payload = self.notice(account, conversation, Body::Rekey(RekeyStep::Pong { id }))?;
                self.dispatch_to_device(account, device, &key_set, &payload, None)
            }
            RekeyStep::Pong { id } => {
                if peer.pinged_at_ms != 0 && peer.ping == id {
                    peer.pinged_at_ms = 0;
                    self.put_peer(device, &peer)?;
                    self.session_is_read(device)?;
                }
                Ok(())
            }
        }
    }

    fn rekey_record(&self, conversation: ConversationId) -> Result<RekeyRecord, StoreError> {
        match self.tx.get(Table::Rekey, &row_key(conversation))? {
            Some(row) => RekeyRecord::from_row(Table::Rekey, &row),
            None => Ok(RekeyRecord { is_chosen: 0, minutes: 0, due_at_ms: 0 }),
        }
    }

    fn put_rekey_record(&mut self, conversation: ConversationId, record: &RekeyRecord) -> Result<(), StoreError> {
        // What is as it is by default needs no row.
        if record.is_chosen == 0 && record.due_at_ms == 0 {
            return self.tx.delete(Table::Rekey, &row_key(conversation));
        }
        self.tx.put(Table::Rekey, &row_key(conversation), &record.to_row())
    }
}
