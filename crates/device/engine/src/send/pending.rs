//! Payloads that wait: for a prekey bundle of a device, or for the first key set of an account.

use rcseal_credential::{DeviceEntry, IdentityProfile, VerifiedKeySet};
use rcseal_signal::{
    IdentityKey, KemPreKeyPublic, OneTimePreKeyPublic, Peer, PreKeyBundle, Profile, Session, SignedPreKeyPublic,
};
use rcseal_wire::api::{BundlesResponse, DeviceBundle};
use rcseal_wire::content::{Conversation, ConversationKind, Participant};
use rcseal_wire::id::{AccountId, ConversationId, DeviceAddress, DeviceNumber};
use tls_codec::{TlsByteVecU16, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::{BundleRefusal, as_account_error, native_identity};
use crate::account::{Account, AccountError};
use crate::context::{Engine, Sequence, UnixMillis};
use crate::message::{DeliveryState, FailureReason, MessageKey};
use crate::need::NeedKind;
use crate::pages::Pages;
use crate::record::Record;
use crate::session::{StoredSession, signal_address};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// How long a message waits for the recipient's keys: a week, in milliseconds.
const PENDING_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
/// Rows read at once where all are looked at: they may have 80 KiB each.
const PAGE: usize = 16;

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct PendingRecord {
    /// Zeros where it is every device in scope of a key set that is not known yet.
    identity: [u8; 32],
    /// Scope, as an encoded conversation with the one participant; empty but for that case.
    scope: TlsByteVecU16,
    /// 1 where the payload carries a message that has states.
    has_message: u8,
    conversation: [u8; 16],
    order: u64,
    queued_at_ms: u64,
    payload: TlsByteVecU32,
}

impl Record for PendingRecord {
    const VERSION: u8 = 1;
}

/// Stands for "every device in scope" in the key of a waiting payload: no device has number 0.
const EVERY_DEVICE: u8 = 0;

fn pending_prefix(account: AccountId, device: u8) -> Vec<u8> {
    [&account.as_bytes()[..], &[device]].concat()
}

impl Engine<'_> {
    /// Keeps a payload until the device's prekey bundle is here, bound to the identity key that it was sent to.
    pub(crate) fn wait_for_bundle(
        &mut self,
        device: DeviceAddress,
        identity: IdentityKey,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), StoreError> {
        let record = PendingRecord::new(*identity.as_bytes(), Vec::new(), message, self.now, payload);
        self.put_pending(device.account, device.device.get(), &record)?;
        self.need_bundles(device.account)
    }

    /// Keeps a payload until the account's first key set is here.
    pub(super) fn wait_for_key_set(
        &mut self,
        participant: &Participant,
        payload: &[u8],
        message: Option<MessageKey>,
    ) -> Result<(), StoreError> {
        let participants = vec![participant.clone()];
        let scope = Conversation { kind: ConversationKind::Direct, participants, title: String::new() };
        let record = PendingRecord::new([0; 32], scope.to_bytes(), message, self.now, payload);
        self.put_pending(participant.account, EVERY_DEVICE, &record)?;
        self.need_key_set(participant.account)
    }

    fn put_pending(&mut self, account: AccountId, device: u8, record: &PendingRecord) -> Result<(), StoreError> {
        let order = self.next(Sequence::Pending)?;
        let key = [pending_prefix(account, device), order.to_be_bytes().to_vec()].concat();
        self.tx.put(Table::Pending, &key, &record.to_row())
    }

    /// The account's first key set is here, or messages are kept back no more: what waited goes to the devices in scope.
    pub(crate) fn release_waiting(&mut self, peer: AccountId) -> Result<(), AccountError> {
        let account = self.account()?;
        for (row_key, record) in self.pending_rows(peer, EVERY_DEVICE)? {
            self.tx.delete(Table::Pending, &row_key)?;
            let bad = || BadRow::error(Table::Pending);
            let scope = Conversation::parse(record.scope.as_slice()).map_err(|_| bad())?;
            let participant = scope.participants.into_iter().next().ok_or_else(bad)?;
            let message = record.message();
            self.dispatch(&account, &participant, record.payload.as_slice(), message).map_err(as_account_error)?;
        }
        // Nobody has asked for bundles while messages were kept back.
        if self.devices_waiting(peer)?.is_empty() { Ok(()) } else { Ok(self.need_bundles(peer)?) }
    }

    /// Whether something waits for a session with a device.
    pub(crate) fn is_waiting(&self, device: DeviceAddress) -> Result<bool, StoreError> {
        self.has_waiting(device, 1)
    }

    /// Whether this many payloads wait for a session with a device, or more.
    pub(crate) fn has_waiting(&self, device: DeviceAddress, count: u64) -> Result<bool, StoreError> {
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let prefix = pending_prefix(device.account, device.device.get());
        let rows = self.tx.scan(Table::Pending, &prefix, &prefix_end(&prefix), limit, Order::Ascending)?;
        Ok(rows.len() >= limit)
    }

    /// A device has begun a session itself: what waited for one goes out on it, and no prekey is fetched.
    pub(crate) fn flush_waiting(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        key_set: &VerifiedKeySet,
    ) -> Result<(), AccountError> {
        match self.active_session(device)? {
            // A contact for whom messages are kept back hears nothing, not even that its session was taken.
            _ if self.is_kept_back(device.account)? => Ok(()),
            Some(mut session) if self.is_waiting(device)? => self.flush_pending(account, &mut session, key_set),
            Some(_) | None => Ok(()),
        }
    }

    fn pending_rows(&self, account: AccountId, device: u8) -> Result<Vec<(Vec<u8>, PendingRecord)>, StoreError> {
        let prefix = pending_prefix(account, device);
        let rows = self.tx.scan(Table::Pending, &prefix, &prefix_end(&prefix), 1_000, Order::Ascending)?;
        rows.into_iter().map(|(key, row)| Ok((key, PendingRecord::from_row(Table::Pending, &row)?))).collect()
    }

    /// The devices of an account that payloads wait for.
    pub(crate) fn devices_waiting(&self, account: AccountId) -> Result<Vec<DeviceNumber>, StoreError> {
        let end = prefix_end(account.as_bytes());
        let (mut devices, mut from) = (Vec::new(), 1);
        while from <= DeviceNumber::MAX {
            let row = self.tx.scan(Table::Pending, &pending_prefix(account, from), &end, 1, Order::Ascending)?;
            let Some(number) = row.first().and_then(|(key, _)| key.get(AccountId::LEN)) else { break };
            devices.push(DeviceNumber::new(*number).map_err(|_| BadRow::error(Table::Pending))?);
            from = number + 1;
        }
        Ok(devices)
    }

    /// The directory answered with prekey bundles: sessions begin, and what waited for them is encrypted. Answers what was not usable.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_bundles(
        &mut self,
        peer: AccountId,
        response: &BundlesResponse,
    ) -> Result<Vec<(DeviceNumber, BundleRefusal)>, AccountError> {
        let account = self.account()?;
        let Some(key_set) = self.key_set(peer)? else { return Ok(Vec::new()) };
        // The user has decided, or has to, since they were asked for: what waits does so until it is released.
        if self.is_kept_back(peer)? {
            self.need_met(NeedKind::Bundles, peer)?;
            return Ok(Vec::new());
        }
        let mut refused = Vec::new();
        // Each device that waits gets one session: a bundle that nobody asked for would put another in the place of the one in use.
        let mut waiting = self.devices_waiting(peer)?;
        for bundle in &response.bundles {
            let Some(at) = waiting.iter().position(|device| *device == bundle.device) else { continue };
            waiting.swap_remove(at);
            let device = DeviceAddress { account: peer, device: bundle.device };
            match self.begin_session(&account, device, &key_set, bundle)? {
                Ok(mut session) => self.flush_pending(&account, &mut session, &key_set)?,
                Err(refusal) => refused.push((bundle.device, refusal)),
            }
        }
        if self.devices_waiting(peer)?.is_empty() {
            self.need_met(NeedKind::Bundles, peer)?;
        } else {
            self.handle_need_failed(NeedKind::Bundles, peer)?;
        }
        Ok(refused)
    }

    fn begin_session(
        &mut self,
        account: &Account,
        device: DeviceAddress,
        key_set: &VerifiedKeySet,
        bundle: &DeviceBundle,
    ) -> Result<Result<StoredSession, BundleRefusal>, StoreError> {
        let Some(identity) = native_identity(key_set, device.device)? else {
            return Ok(Err(BundleRefusal::UnknownDevice));
        };
        let verified = match parse_bundle(identity, bundle).and_then(|bundle| bundle.verify(Profile::Native)) {
            Ok(verified) => verified,
            Err(error) => return Ok(Err(error.into())),
        };
        let peer = Peer { address: signal_address(device), identity };
        let session = match Session::initiate(
            self.rng,
            Profile::Native,
            &account.identity,
            signal_address(account.address),
            peer,
            verified,
        ) {
            Ok(session) => session,
            Err(error) => return Ok(Err(error.into())),
        };
        self.put_route(device, bundle.mailbox)?;
        self.add_session(device, session, None).map(Ok)
    }

    fn flush_pending(
        &mut self,
        account: &Account,
        session: &mut StoredSession,
        key_set: &VerifiedKeySet,
    ) -> Result<(), AccountError> {
        let device = session.key.peer;
        let identity = session.session.their_identity();
        for (row_key, record) in self.pending_rows(device.account, device.device.get())? {
            self.tx.delete(Table::Pending, &row_key)?;
            let message = record.message();
            if &record.identity != identity.as_bytes() {
                // The device has other keys than when the message was sent: it is not the device it was sent to.
                if let Some(message) = message {
                    self.set_delivery(message, device, DeliveryState::Failed(FailureReason::NoKeys))?;
                    self.hold_undelivered(message, device)?;
                }
                continue;
            }
            self.encrypt_and_queue(account, session, key_set, record.payload.as_slice(), message)
                .map_err(as_account_error)?;
        }
        Ok(())
    }

    /// Devices that a new key set no longer names, or names with another identity key: what waits here for them is not sent any more. It
    /// was written for them, and whoever removed one had a reason to.
    pub(crate) fn forget_removed_devices(
        &mut self,
        replaced: &VerifiedKeySet,
        key_set: &VerifiedKeySet,
    ) -> Result<(), StoreError> {
        let native = IdentityProfile::Native;
        let is_gone = |device: &&DeviceEntry| {
            let now = key_set.device(device.number());
            now.is_none_or(|now| now.identity_key(native) != device.identity_key(native))
        };
        let account = key_set.account();
        let gone: Vec<_> = replaced
            .devices()
            .iter()
            .filter(is_gone)
            .map(|device| DeviceAddress { account, device: device.number() })
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        for device in &gone {
            for (row_key, record) in self.pending_rows(account, device.device.get())? {
                self.tx.delete(Table::Pending, &row_key)?;
                if let Some(message) = record.message() {
                    self.set_delivery(message, *device, DeliveryState::Failed(FailureReason::NoKeys))?;
                    self.hold_undelivered(message, *device)?;
                }
            }
        }
        self.drop_outgoing(&gone)?;
        self.hold_on_its_way(&gone)
    }

    /// The contact was removed: what waits here for it is not sent any more.
    pub(crate) fn forget_unsent(&mut self, account: AccountId) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        for number in 0..=DeviceNumber::MAX {
            // Where no device is known, the account's first stands for all.
            let device = DeviceNumber::new(number).unwrap_or(DeviceNumber::PRIMARY);
            let device = DeviceAddress { account, device };
            loop {
                let rows = self.pending_rows(account, number)?;
                if rows.is_empty() {
                    break;
                }
                for (row_key, record) in rows {
                    self.tx.delete(Table::Pending, &row_key)?;
                    if let Some(message) = record.message() {
                        self.set_delivery(message, device, DeliveryState::Failed(FailureReason::NoKeys))?;
                    }
                }
            }
            gone.push(device);
        }
        self.drop_outgoing(&gone)
    }

    /// Gives up on keys that never came.
    pub(crate) fn drop_expired_pending(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Pending, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let record = PendingRecord::from_row(Table::Pending, row)?;
                if self.now.since(UnixMillis(record.queued_at_ms)) <= PENDING_MS_MAX {
                    continue;
                }
                self.tx.delete(Table::Pending, row_key)?;
                let bad = || BadRow::error(Table::Pending);
                let (account, rest) = row_key.split_first_chunk::<{ AccountId::LEN }>().ok_or_else(bad)?;
                // Where no device is known, the account's first stands for all.
                let device = rest.first().and_then(|number| DeviceNumber::new(*number).ok());
                let device = device.unwrap_or(DeviceNumber::PRIMARY);
                if let Some(message) = record.message() {
                    let device = DeviceAddress { account: AccountId::from_bytes(*account), device };
                    self.set_delivery(message, device, DeliveryState::Failed(FailureReason::NoKeys))?;
                }
            }
        }
        Ok(())
    }
}

impl PendingRecord {
    fn new(
        identity: [u8; 32],
        scope: Vec<u8>,
        message: Option<MessageKey>,
        queued_at: UnixMillis,
        payload: &[u8],
    ) -> Self {
        Self {
            identity,
            scope: scope.into(),
            has_message: u8::from(message.is_some()),
            conversation: message.map_or([0; 16], |message| *message.conversation.as_bytes()),
            order: message.map_or(0, |message| message.order),
            queued_at_ms: queued_at.0,
            payload: payload.into(),
        }
    }

    fn message(&self) -> Option<MessageKey> {
        (self.has_message == 1)
            .then_some(MessageKey { conversation: ConversationId::from_bytes(self.conversation), order: self.order })
    }
}

fn parse_bundle(identity: IdentityKey, bundle: &DeviceBundle) -> Result<PreKeyBundle, rcseal_signal::BundleError> {
    Ok(PreKeyBundle {
        identity,
        signed_prekey: SignedPreKeyPublic::from_parts(
            bundle.signed.id,
            &bundle.signed.key.0,
            &bundle.signed.signature.0,
        )?,
        kem_prekey: KemPreKeyPublic::from_parts(bundle.kem.id, &bundle.kem.key.0, &bundle.kem.signature.0)?,
        one_time: bundle
            .one_time
            .as_ref()
            .map(|prekey| OneTimePreKeyPublic::from_parts(prekey.id, &prekey.key.0))
            .transpose()?,
    })
}
