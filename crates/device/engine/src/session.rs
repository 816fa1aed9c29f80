//! Sessions: where the ratchet's state lives between two messages.
//!
//! A session is a fixed-size record and a row for each skipped key, so that a message writes the same few rows however long the session
//! has lived. A device may have several sessions with a peer device (both began at once, a peer was restored): the one that last decrypted
//! something is the one to send on (Sesame, section 3.2), and at most [`SESSIONS_MAX`] are kept.
//!
//! Nothing outside this module touches a session's rows. A step's delta is written in the transaction that holds what the step produced.

use rcseal_crypto::secret::Secret;
use rcseal_signal::{
    Address, Delta, IdentityKey, LookupFailed, Session, SkippedId, SkippedKeys, SkippedKind, SkippedRow,
};
use rcseal_wire::envelope::Tag;
use rcseal_wire::id::DeviceAddress;
use tls_codec::{TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::{Zeroize, Zeroizing};

use crate::context::{Engine, Sequence, UnixMillis};
use crate::pages::Pages;
use crate::record::{Record, key, trailing_u64};
use crate::seal::{EPOCH_AGE_MS_MAX, EPOCH_MESSAGES_MAX, EPOCHS_AHEAD, EPOCHS_BEHIND, SealRoot};
use crate::store::{BadRow, Order, StoreError, Table, Tx, prefix_end};

/// Sessions kept with one peer device: as many as deployed clients keep.
const SESSIONS_MAX: usize = 40;
/// Sessions read at once where all are looked at.
pub(crate) const SESSIONS_PAGE: usize = 64;

/// Skipped keys read at once where many are dropped.
const SKIPPED_PAGE: usize = 256;

/// Base keys read at once where all are looked at.
const BASE_KEYS_PAGE: usize = 512;

const EXPORT_INITIATOR: &[u8] = b"rcseal/seal/initiator/v1";
const EXPORT_RESPONDER: &[u8] = b"rcseal/seal/responder/v1";

/// A session's place in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionKey {
    pub(crate) peer: DeviceAddress,
    pub(crate) number: u64,
}

impl SessionKey {
    fn bytes(self) -> Vec<u8> {
        key(&[&self.peer.to_bytes(), &self.number.to_be_bytes()])
    }

    pub(crate) fn parse(table: Table, bytes: &[u8]) -> Result<Self, StoreError> {
        let (peer, number) = bytes.split_at_checked(DeviceAddress::LEN).ok_or_else(|| BadRow::error(table))?;
        let number: [u8; 8] = number.try_into().map_err(|_| BadRow::error(table))?;
        Ok(Self {
            peer: DeviceAddress::parse(peer).map_err(|_| BadRow::error(table))?,
            number: u64::from_be_bytes(number),
        })
    }
}

/// A session out of the store.
pub(crate) struct StoredSession {
    pub(crate) key: SessionKey,
    pub(crate) session: Session,
    /// Introductions sent on it: a peer hears how to answer until it has answered, and once in any case.
    pub(crate) introduced: u8,
    /// Times we told the peer that something could not be decrypted.
    pub(crate) reported: u16,
    /// Its sending side may have been used by a life of the store that was lost. It decrypts, and never encrypts again.
    pub(crate) is_archived: bool,
    pub(crate) created_at: UnixMillis,
    /// When the peer last came with a new ratchet key.
    pub(crate) turned_at: UnixMillis,
    /// When something was last decrypted in it.
    pub(crate) heard_at: UnixMillis,
    /// Messages encrypted in it.
    pub(crate) sent: u64,
    /// Messages decrypted in it.
    pub(crate) received: u64,
    /// Envelopes of the peer that did not decrypt, since the last that did.
    pub(crate) failures: u8,
    /// Envelopes of ours that the peer could not decrypt, since it last showed that it can.
    pub(crate) refusals: u8,
    send_epoch: u32,
    send_count: u16,
    send_epoch_at: UnixMillis,
    receive_epoch: u32,
    seal_send: SealRoot,
    seal_receive: SealRoot,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct SessionRecord {
    created_at_ms: u64,
    introduced: u8,
    reported: u16,
    is_archived: u8,
    turned_at_ms: u64,
    heard_at_ms: u64,
    sent: u64,
    received: u64,
    failures: u8,
    refusals: u8,
    send_epoch: u32,
    send_count: u16,
    send_epoch_at_ms: u64,
    receive_epoch: u32,
    seal_send: [u8; 32],
    seal_receive: [u8; 32],
    signal: TlsByteVecU16,
}

impl Record for SessionRecord {
    const VERSION: u8 = 1;
}

impl Drop for SessionRecord {
    fn drop(&mut self) {
        self.seal_send.zeroize();
        self.seal_receive.zeroize();
        let mut signal: Vec<u8> = std::mem::take(&mut self.signal).into();
        signal.zeroize();
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct SkippedRecord {
    ordinal: u64,
    secret: [u8; 32],
}

impl Record for SkippedRecord {
    const VERSION: u8 = 1;
}

impl Drop for SkippedRecord {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct TagRecord {
    peer: [u8; DeviceAddress::LEN],
    number: u64,
    epoch: u32,
}

impl Record for TagRecord {
    const VERSION: u8 = 1;
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct BaseKeyRecord {
    peer: [u8; DeviceAddress::LEN],
    number: u64,
    accepted_at_ms: u64,
}

impl Record for BaseKeyRecord {
    const VERSION: u8 = 1;
}

/// What is known of a base key.
pub(crate) enum KnownBaseKey {
    /// Never seen.
    New,
    /// It made this session.
    Session(Box<StoredSession>),
    /// It made a session that is gone: the message is a replay.
    Replayed,
}

/// The ratchet's view of the skipped rows of one session.
pub(crate) struct StoredSkipped<'a> {
    tx: &'a dyn Tx,
    number: u64,
}

impl SkippedKeys for StoredSkipped<'_> {
    fn get(&self, id: &SkippedId) -> Result<Option<SkippedRow>, LookupFailed> {
        let Some(row) = self.tx.get(Table::Skipped, &skipped_key(self.number, id)).map_err(|_| LookupFailed)? else {
            return Ok(None);
        };
        let row = Zeroizing::new(row);
        let record = SkippedRecord::from_row(Table::Skipped, &row).map_err(|_| LookupFailed)?;
        Ok(Some(SkippedRow::from_parts(*id, record.ordinal, Secret::from_bytes(record.secret))))
    }
}

fn skipped_key(number: u64, id: &SkippedId) -> Vec<u8> {
    key(&[&number.to_be_bytes(), &id.to_bytes()])
}

fn ordinal_key(number: u64, kind: SkippedKind, ordinal: u64) -> Vec<u8> {
    key(&[&number.to_be_bytes(), &[kind.code()], &ordinal.to_be_bytes()])
}

/// The ratchet's form of an address.
pub(crate) fn signal_address(address: DeviceAddress) -> Address {
    Address::new(*address.account.as_bytes(), address.device.get())
}

impl StoredSession {
    /// Seals a suite's ciphertext for the peer, moving to the next tag epoch when it is time.
    pub(crate) fn seal(
        &mut self,
        ciphertext: Vec<u8>,
        engine: &mut Engine<'_>,
    ) -> Result<Vec<u8>, rcseal_wire::padding::TooLong> {
        if self.send_count >= EPOCH_MESSAGES_MAX || engine.now.since(self.send_epoch_at) >= EPOCH_AGE_MS_MAX {
            self.send_epoch = self.send_epoch.saturating_add(1);
            self.send_count = 0;
            self.send_epoch_at = engine.now;
        }
        self.send_count += 1;
        self.seal_send.seal(self.send_epoch, ciphertext, engine.rng)
    }

    /// The root that opens what the peer seals.
    pub(crate) const fn seal_receive(&self) -> &SealRoot {
        &self.seal_receive
    }

    fn to_record(&self, signal: &[u8]) -> SessionRecord {
        SessionRecord {
            created_at_ms: self.created_at.0,
            introduced: self.introduced,
            reported: self.reported,
            is_archived: u8::from(self.is_archived),
            turned_at_ms: self.turned_at.0,
            heard_at_ms: self.heard_at.0,
            sent: self.sent,
            received: self.received,
            failures: self.failures,
            refusals: self.refusals,
            send_epoch: self.send_epoch,
            send_count: self.send_count,
            send_epoch_at_ms: self.send_epoch_at.0,
            receive_epoch: self.receive_epoch,
            seal_send: *self.seal_send.0.expose(),
            seal_receive: *self.seal_receive.0.expose(),
            signal: signal.into(),
        }
    }
}

impl Engine<'_> {
    /// The session to send to a device on.
    pub(crate) fn active_session(&self, peer: DeviceAddress) -> Result<Option<StoredSession>, StoreError> {
        let Some(number) = self.tx.get(Table::ActiveSession, &peer.to_bytes())? else { return Ok(None) };
        let number = trailing_u64(Table::ActiveSession, &number)?;
        self.session(SessionKey { peer, number })
    }

    /// The session to send to a device on, if it may still be sent on: it is with the identity key that the device has now, and is no
    /// initiation that nobody has answered in a month.
    pub(crate) fn sendable_session(
        &self,
        peer: DeviceAddress,
        identity: IdentityKey,
    ) -> Result<Option<StoredSession>, StoreError> {
        let active = self.active_session(peer)?;
        Ok(active.filter(|active| active.session.their_identity() == identity && !active.is_given_up(self.now)))
    }

    /// Every session with a device, oldest first.
    pub(crate) fn sessions_with(&self, peer: DeviceAddress) -> Result<Vec<StoredSession>, StoreError> {
        let prefix = peer.to_bytes();
        let rows = self.tx.scan(Table::Session, &prefix, &prefix_end(&prefix), SESSIONS_MAX + 1, Order::Ascending)?;
        rows.into_iter()
            .map(|(row_key, row)| read(SessionKey::parse(Table::Session, &row_key)?, &Zeroizing::new(row)))
            .collect()
    }

    pub(crate) fn session(&self, session_key: SessionKey) -> Result<Option<StoredSession>, StoreError> {
        let Some(row) = self.tx.get(Table::Session, &session_key.bytes())? else { return Ok(None) };
        read(session_key, &Zeroizing::new(row)).map(Some)
    }

    /// The session and tag epoch that a recognition tag names.
    pub(crate) fn session_by_tag(&self, tag: Tag) -> Result<Option<(StoredSession, u32)>, StoreError> {
        let Some(row) = self.tx.get(Table::Tag, &tag.0)? else { return Ok(None) };
        let record = TagRecord::from_row(Table::Tag, &row)?;
        let peer = DeviceAddress::parse(&record.peer).map_err(|_| BadRow::error(Table::Tag))?;
        let session =
            self.session(SessionKey { peer, number: record.number })?.ok_or_else(|| BadRow::error(Table::Tag))?;
        Ok(Some((session, record.epoch)))
    }

    /// Forgets base keys whose session is gone and whose prekey is as well: a replay of their message is refused without them.
    pub(crate) fn forget_base_keys_before(&mut self, oldest_prekey: UnixMillis) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::BaseKey, &[], BASE_KEYS_PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let record = BaseKeyRecord::from_row(Table::BaseKey, row)?;
                let session = key(&[&record.peer, &record.number.to_be_bytes()]);
                if record.accepted_at_ms < oldest_prekey.0 && self.tx.get(Table::Session, &session)?.is_none() {
                    self.tx.delete(Table::BaseKey, row_key)?;
                }
            }
        }
        Ok(())
    }

    /// What a first message's base key has made before.
    pub(crate) fn session_by_base_key(&self, base_key: &[u8; 32]) -> Result<KnownBaseKey, StoreError> {
        let Some(row) = self.tx.get(Table::BaseKey, base_key)? else { return Ok(KnownBaseKey::New) };
        let record = BaseKeyRecord::from_row(Table::BaseKey, &row)?;
        let peer = DeviceAddress::parse(&record.peer).map_err(|_| BadRow::error(Table::BaseKey))?;
        Ok(match self.session(SessionKey { peer, number: record.number })? {
            Some(session) => KnownBaseKey::Session(Box::new(session)),
            None => KnownBaseKey::Replayed,
        })
    }

    /// The skipped keys of a session, for the ratchet to look up.
    pub(crate) fn skipped(&self, session: &StoredSession) -> StoredSkipped<'_> {
        StoredSkipped { tx: self.tx, number: session.key.number }
    }

    /// Stores a session that has just come to be, and makes it the one to send on. `delta` is that of its first step, if it has made one.
    pub(crate) fn add_session(
        &mut self,
        peer: DeviceAddress,
        session: Session,
        delta: Option<&Delta>,
    ) -> Result<StoredSession, StoreError> {
        let number = self.next(Sequence::Session)?;
        let (send, receive) = match session.role() {
            rcseal_signal::Role::Initiator => (EXPORT_INITIATOR, EXPORT_RESPONDER),
            rcseal_signal::Role::Responder => (EXPORT_RESPONDER, EXPORT_INITIATOR),
        };
        let stored = StoredSession {
            key: SessionKey { peer, number },
            introduced: 0,
            reported: 0,
            is_archived: false,
            created_at: self.now,
            turned_at: self.now,
            heard_at: self.now,
            sent: 0,
            // Who answers has read the first message already.
            received: u64::from(delta.is_some()),
            failures: 0,
            refusals: 0,
            send_epoch: 0,
            send_count: 0,
            send_epoch_at: self.now,
            receive_epoch: 0,
            seal_send: SealRoot(session.export(send)),
            seal_receive: SealRoot(session.export(receive)),
            session,
        };
        for epoch in 0..=EPOCHS_AHEAD {
            self.put_tag(&stored, epoch)?;
        }
        let base_key = stored.session.base_key();
        let record = BaseKeyRecord { peer: peer.to_bytes(), number, accepted_at_ms: self.now.0 };
        self.tx.put(Table::BaseKey, &base_key, &record.to_row())?;
        if let Some(delta) = delta {
            self.write_delta(number, delta)?;
        }
        let record = stored.session.record();
        let row = stored.to_record(record.as_bytes()).to_row();
        self.tx.put(Table::Session, &stored.key.bytes(), &row)?;
        self.activate(&stored)?;
        self.session_is_new(&stored)?;
        self.drop_oldest_sessions(peer)?;
        Ok(stored)
    }

    /// Makes a session the one to send on, unless it never sends again, or is past its age and has a successor.
    pub(crate) fn activate(&mut self, session: &StoredSession) -> Result<(), StoreError> {
        if session.is_archived {
            return Ok(());
        }
        if session.is_old(self.now)
            && self.active_session(session.key.peer)?.is_some_and(|active| !active.is_old(self.now))
        {
            return Ok(());
        }
        self.tx.put(Table::ActiveSession, &session.key.peer.to_bytes(), &session.key.number.to_be_bytes())
    }

    /// Writes a step and moves the session behind it.
    pub(crate) fn commit_step(&mut self, stored: &mut StoredSession, delta: &Delta) -> Result<(), StoreError> {
        self.write_delta(stored.key.number, delta)?;
        let known = stored.session.their_ratchet_key();
        stored.session.apply(delta).map_err(|error| StoreError::new(crate::store::StoreErrorKind::Corrupt, error))?;
        if stored.session.their_ratchet_key() != known {
            stored.turned_at = self.now;
        }
        let row = stored.to_record(delta.record().as_bytes()).to_row();
        self.tx.put(Table::Session, &stored.key.bytes(), &row)
    }

    /// Drops sessions that nothing can arrive in any more: not the one to send on, and silent for longer than an envelope is on its way.
    /// What a stolen store could read with them is gone then.
    pub(crate) fn drop_silent_sessions(&mut self, heard_before_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Session, &[], SESSIONS_PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in rows {
                let session_key = SessionKey::parse(Table::Session, &row_key)?;
                let record = SessionRecord::from_row(Table::Session, &Zeroizing::new(row))?;
                let active = self.tx.get(Table::ActiveSession, &session_key.peer.to_bytes())?;
                let active = active.map(|number| trailing_u64(Table::ActiveSession, &number)).transpose()?;
                if record.heard_at_ms < heard_before_ms && active != Some(session_key.number) {
                    self.drop_session(session_key)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what changed round the ratchet: counters of the seal, not the ratchet itself.
    pub(crate) fn save_session(&mut self, stored: &StoredSession) -> Result<(), StoreError> {
        let record = stored.session.record();
        let row = stored.to_record(record.as_bytes()).to_row();
        self.tx.put(Table::Session, &stored.key.bytes(), &row)
    }

    fn write_delta(&mut self, number: u64, delta: &Delta) -> Result<(), StoreError> {
        let evict = delta.evict();
        for (kind, below) in
            [(SkippedKind::Message, evict.messages_below), (SkippedKind::PostQuantum, evict.post_quantum_below)]
        {
            if let Some(below) = below {
                self.evict_ordinals(number, kind, below)?;
            }
        }
        if let Some(below) = evict.epochs_below {
            self.evict_epochs(number, below)?;
        }
        for id in delta.remove() {
            let row_key = skipped_key(number, id);
            if let Some(row) = self.tx.get(Table::Skipped, &row_key)? {
                let record = SkippedRecord::from_row(Table::Skipped, &Zeroizing::new(row))?;
                self.tx.delete(Table::SkippedOrdinal, &ordinal_key(number, id.kind(), record.ordinal))?;
                self.tx.delete(Table::Skipped, &row_key)?;
            }
        }
        for row in delta.insert() {
            let id = row.id();
            let record = SkippedRecord { ordinal: row.ordinal(), secret: *row.key().expose() };
            self.tx.put(Table::Skipped, &skipped_key(number, &id), &record.to_row())?;
            self.tx.put(Table::SkippedOrdinal, &ordinal_key(number, id.kind(), row.ordinal()), &id.to_bytes())?;
        }
        Ok(())
    }

    /// Drops the oldest skipped keys of a kind.
    fn evict_ordinals(&mut self, number: u64, kind: SkippedKind, below: u64) -> Result<(), StoreError> {
        let (start, end) = (ordinal_key(number, kind, 0), ordinal_key(number, kind, below));
        loop {
            let rows = self.tx.scan(Table::SkippedOrdinal, &start, &end, SKIPPED_PAGE, Order::Ascending)?;
            for (row_key, id) in &rows {
                self.tx.delete(Table::Skipped, &key(&[&number.to_be_bytes(), id]))?;
                self.tx.delete(Table::SkippedOrdinal, row_key)?;
            }
            if rows.len() < SKIPPED_PAGE {
                return Ok(());
            }
        }
    }

    /// Drops the skipped post-quantum keys of key epochs that are over.
    fn evict_epochs(&mut self, number: u64, below: u64) -> Result<(), StoreError> {
        let at = |epoch| skipped_key(number, &SkippedId::PostQuantum { epoch, index: 0 });
        let (start, end) = (at(0), at(below));
        loop {
            let rows = self.tx.scan(Table::Skipped, &start, &end, SKIPPED_PAGE, Order::Ascending)?;
            let last = rows.len() < SKIPPED_PAGE;
            for (row_key, row) in rows {
                let record = SkippedRecord::from_row(Table::Skipped, &Zeroizing::new(row))?;
                let ordinal = ordinal_key(number, SkippedKind::PostQuantum, record.ordinal);
                self.tx.delete(Table::SkippedOrdinal, &ordinal)?;
                self.tx.delete(Table::Skipped, &row_key)?;
            }
            if last {
                return Ok(());
            }
        }
    }

    /// The peer used this tag epoch: the window moves with it.
    pub(crate) fn advance_epoch(&mut self, stored: &mut StoredSession, epoch: u32) -> Result<(), StoreError> {
        if epoch <= stored.receive_epoch {
            return Ok(());
        }
        let (old, new) = (stored.receive_epoch, epoch);
        for ahead in old.saturating_add(EPOCHS_AHEAD + 1)..=new.saturating_add(EPOCHS_AHEAD) {
            self.put_tag(stored, ahead)?;
        }
        for behind in old.saturating_sub(EPOCHS_BEHIND)..new.saturating_sub(EPOCHS_BEHIND) {
            let tag = stored.seal_receive.tag(behind);
            self.tx.delete(Table::Tag, &tag.0)?;
        }
        stored.receive_epoch = new;
        Ok(())
    }

    fn put_tag(&mut self, stored: &StoredSession, epoch: u32) -> Result<(), StoreError> {
        let record = TagRecord { peer: stored.key.peer.to_bytes(), number: stored.key.number, epoch };
        self.tx.put(Table::Tag, &stored.seal_receive.tag(epoch).0, &record.to_row())
    }

    /// Keeps the number of sessions with a device bounded. Their base keys stay, against replays.
    fn drop_oldest_sessions(&mut self, peer: DeviceAddress) -> Result<(), StoreError> {
        let prefix = peer.to_bytes();
        let rows = self.tx.scan(Table::Session, &prefix, &prefix_end(&prefix), SESSIONS_MAX + 1, Order::Ascending)?;
        if rows.len() <= SESSIONS_MAX {
            return Ok(());
        }
        let oldest = SessionKey::parse(Table::Session, &rows[0].0)?;
        self.drop_session(oldest)
    }

    pub(crate) fn drop_session(&mut self, session_key: SessionKey) -> Result<(), StoreError> {
        let Some(stored) = self.session(session_key)? else { return Ok(()) };
        for epoch in
            stored.receive_epoch.saturating_sub(EPOCHS_BEHIND)..=stored.receive_epoch.saturating_add(EPOCHS_AHEAD)
        {
            let tag = stored.seal_receive.tag(epoch);
            self.tx.delete(Table::Tag, &tag.0)?;
        }
        let prefix = session_key.number.to_be_bytes();
        self.tx.delete_range(Table::Skipped, &prefix, &prefix_end(&prefix))?;
        self.tx.delete_range(Table::SkippedOrdinal, &prefix, &prefix_end(&prefix))?;
        self.tx.delete(Table::Session, &session_key.bytes())?;
        if let Some(active) = self.tx.get(Table::ActiveSession, &session_key.peer.to_bytes())?
            && trailing_u64(Table::ActiveSession, &active)? == session_key.number
        {
            self.tx.delete(Table::ActiveSession, &session_key.peer.to_bytes())?;
        }
        Ok(())
    }
}

fn read(session_key: SessionKey, row: &[u8]) -> Result<StoredSession, StoreError> {
    let record = SessionRecord::from_row(Table::Session, row)?;
    Ok(StoredSession {
        key: session_key,
        session: Session::from_record(record.signal.as_slice()).map_err(|_| BadRow::error(Table::Session))?,
        introduced: record.introduced,
        reported: record.reported,
        is_archived: record.is_archived != 0,
        created_at: UnixMillis(record.created_at_ms),
        turned_at: UnixMillis(record.turned_at_ms),
        heard_at: UnixMillis(record.heard_at_ms),
        sent: record.sent,
        received: record.received,
        failures: record.failures,
        refusals: record.refusals,
        send_epoch: record.send_epoch,
        send_count: record.send_count,
        send_epoch_at: UnixMillis(record.send_epoch_at_ms),
        receive_epoch: record.receive_epoch,
        seal_send: SealRoot(Secret::from_bytes(record.seal_send)),
        seal_receive: SealRoot(Secret::from_bytes(record.seal_receive)),
    })
}

#[cfg(feature = "audit")]
impl Engine<'_> {
    /// Names every secret of every session (see [`crate::audit`]).
    pub(crate) fn audit_sessions(&self, add: &mut dyn FnMut(&'static str, &[u8])) -> Result<(), StoreError> {
        for (row_key, _) in self.tx.scan(Table::Session, &[], &prefix_end(&[]), 10_000, Order::Ascending)? {
            let Some(stored) = self.session(SessionKey::parse(Table::Session, &row_key)?)? else { continue };
            add("seal key", stored.seal_send.0.expose());
            add("seal key", stored.seal_receive.0.expose());
            for (kind, secret) in stored.session.audit_secrets() {
                add(kind, &secret);
            }
        }
        for (_, row) in self.tx.scan(Table::Skipped, &[], &prefix_end(&[]), 10_000, Order::Ascending)? {
            add("skipped message key", &SkippedRecord::from_row(Table::Skipped, &Zeroizing::new(row))?.secret);
        }
        Ok(())
    }
}
