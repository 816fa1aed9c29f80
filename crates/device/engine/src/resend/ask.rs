//! Asking for an envelope once more.

use std::collections::BTreeMap;

use rcseal_wire::content::{Body, RESEND_LEN_MAX};
use rcseal_wire::id::{DeviceAddress, EnvelopeId};

use crate::account::{Account, AccountError};
use crate::context::{Engine, UnixMillis};
use crate::conversation::direct_conversation_id;
use crate::inbox::Undecryptable;
use crate::pages::Pages;
use crate::record::{Number, Record as _, key};
use crate::renewal::When;
use crate::send::{SendError, as_account_error, native_identity};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// First bytes of the keys: envelopes to be asked for, and those that were.
const DUE: u8 = 1;
const ASKED: u8 = 2;
/// Envelopes of one device that are asked for in an hour: eight requests full. A session that is broken is replaced long before.
const ASKED_PER_HOUR_MAX: u16 = 64;
/// How long it is remembered that an envelope was asked for: two days. An acknowledged envelope is not delivered again after that.
const ASKED_KEPT_MS: u64 = 2 * 24 * 3600 * 1000;
/// Envelopes that one step asks for.
const DUE_MAX: usize = 512;
/// Rows read at once where all are looked at.
const PAGE: usize = 256;

fn row_key(kind: u8, device: DeviceAddress, envelope: EnvelopeId) -> Vec<u8> {
    key(&[&[kind], &device.to_bytes(), envelope.as_bytes()])
}

fn parse(row_key: &[u8]) -> Result<(DeviceAddress, EnvelopeId), StoreError> {
    let bad = || BadRow::error(Table::Resend);
    let (device, envelope) =
        row_key.get(1..).and_then(|ids| ids.split_at_checked(DeviceAddress::LEN)).ok_or_else(bad)?;
    Ok((DeviceAddress::parse(device).map_err(|_| bad())?, EnvelopeId::parse(envelope).map_err(|_| bad())?))
}

impl Undecryptable {
    /// Whether the same message in another envelope may succeed. What a session cannot decrypt may; what it decrypted and did not
    /// understand or believe will not be better the second time.
    pub(crate) const fn is_of_the_session(self) -> bool {
        match self {
            Self::Authentication | Self::TooFarAhead | Self::WrongSession | Self::KeyGone | Self::PrekeyGone => true,
            Self::Malformed
            | Self::UnknownVersion
            | Self::SealBroken
            | Self::UnknownSession
            | Self::UnknownDevice
            | Self::KeySetFork
            | Self::Handshake
            | Self::Content
            | Self::NotParticipant
            | Self::Replayed
            | Self::Reflected
            | Self::TooManyParked
            | Self::NotEnrolled
            | Self::NoRoom => false,
        }
    }
}

impl Engine<'_> {
    /// An envelope of this device could not be decrypted: it is to be asked for, once, unless too many are.
    pub(crate) fn ask_again(
        &mut self,
        device: DeviceAddress,
        envelope: EnvelopeId,
        when: When,
    ) -> Result<(), StoreError> {
        let due = row_key(DUE, device, envelope);
        if self.tx.get(Table::Resend, &due)?.is_some()
            || self.tx.get(Table::Resend, &row_key(ASKED, device, envelope))?.is_some()
        {
            return Ok(());
        }
        let mut peer = self.peer(device)?;
        if !peer.asked.take(self.now, ASKED_PER_HOUR_MAX) {
            return Ok(());
        }
        self.put_peer(device, &peer)?;
        let row_key = match when {
            When::Now => due,
            When::InTheNextSession => row_key(ASKED, device, envelope),
        };
        self.tx.put(Table::Resend, &row_key, &Number(self.now.0).to_row())
    }

    /// What was asked for in a session that is being replaced may never have been read: it is asked for again in the new one.
    pub(crate) fn ask_anew(&mut self, device: DeviceAddress) -> Result<(), StoreError> {
        let prefix = key(&[&[ASKED], &device.to_bytes()]);
        for (asked, row) in self.tx.scan(Table::Resend, &prefix, &prefix_end(&prefix), DUE_MAX, Order::Ascending)? {
            let (_, envelope) = parse(&asked)?;
            self.tx.delete(Table::Resend, &asked)?;
            self.tx.put(Table::Resend, &row_key(DUE, device, envelope), &row)?;
        }
        Ok(())
    }

    /// Whether something was asked of a device, or will be in the next session.
    pub(crate) fn has_asked(&self, device: DeviceAddress) -> Result<bool, StoreError> {
        let prefix = key(&[&[ASKED], &device.to_bytes()]);
        Ok(!self.tx.scan(Table::Resend, &prefix, &prefix_end(&prefix), 1, Order::Ascending)?.is_empty())
    }

    /// Asks for what is to be asked for, as many envelopes in one request as fit.
    pub(crate) fn flush_resend_requests(&mut self, account: &Account) -> Result<(), AccountError> {
        let rows = self.tx.scan(Table::Resend, &[DUE], &[DUE + 1], DUE_MAX, Order::Ascending)?;
        let mut asked: BTreeMap<DeviceAddress, Vec<EnvelopeId>> = BTreeMap::new();
        for (due, _) in rows {
            self.tx.delete(Table::Resend, &due)?;
            let (device, envelope) = parse(&due)?;
            self.tx.put(Table::Resend, &row_key(ASKED, device, envelope), &Number(self.now.0).to_row())?;
            asked.entry(device).or_default().push(envelope);
        }
        for (device, envelopes) in asked {
            for envelopes in envelopes.chunks(RESEND_LEN_MAX) {
                self.request(account, device, envelopes).map_err(as_account_error)?;
            }
        }
        Ok(())
    }

    fn request(&mut self, account: &Account, device: DeviceAddress, envelopes: &[EnvelopeId]) -> Result<(), SendError> {
        let Some(key_set) = self.key_set(device.account)? else { return Ok(()) };
        // A device that has left its account cannot be asked, nor one that has not shown yet that it is who it says.
        if native_identity(&key_set, device.device)?.is_none()
            || self.is_claim(device.account)?
            || !self.may_notify(device)?
        {
            return Ok(());
        }
        let conversation = direct_conversation_id(account.address.account, device.account);
        let payload = self.notice(account, conversation, Body::ResendRequest { envelopes: envelopes.to_vec() })?;
        self.dispatch_to_device(account, device, &key_set, &payload, None)
    }

    /// Forgets what was asked for so long ago that it will not come any more.
    pub(crate) fn forget_asked(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::Resend, &[ASKED], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let asked_at = UnixMillis(Number::from_row(Table::Resend, row)?.0);
                if self.now.since(asked_at) > ASKED_KEPT_MS {
                    self.tx.delete(Table::Resend, row_key)?;
                }
            }
        }
        Ok(())
    }
}
