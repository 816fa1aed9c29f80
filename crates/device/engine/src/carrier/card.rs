//! What this device and its peers say of themselves, and the numbers of contacts.
//!
//! Each device says inside its sessions which frames it reads and which number it is reached at (`Body::Capabilities`, the *card*). It
//! says so again when that changes, and to every peer that has not heard it yet, as soon as that peer is heard; to blocked ones never.
//!
//! A number on a card is a claim. It is kept apart from the number that the user gives a contact, and nothing goes to it before the user
//! has given the contact the same one: otherwise any contact could make this device send to a stranger's phone.

use rcseal_rcs::frame::FRAME_VERSION;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::TransportProfile;
use rcseal_wire::content::{Body, Capabilities, FrameForm};
use rcseal_wire::id::{AccountId, DeviceAddress};
use tls_codec::{TlsByteVecU8, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::prefix;
use crate::account::{Account, AccountError};
use crate::capability::{LatchSource, Latched, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::conversation::direct_conversation_id;
use crate::pages::Pages;
use crate::policy::DeliveryMode;
use crate::record::{Number, Record, key, text};
use crate::send::as_account_error;
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// How long a hand-over may stay unconfirmed before the envelope goes by the relay: a push and a phone that wakes take seconds, a person
/// who waits for an answer looks after a minute.
pub const PATIENCE_MS: u64 = 60_000;
/// Cards read at once.
const CARDS_MAX: usize = 256;

/// Whose way into the carrier it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CarrierKind {
    /// This device's: the network takes its messages, and delivers to it.
    #[default]
    Own,
    /// A broker's: it hands over what this device gives it, and what comes in it puts into the mailbox.
    Broker,
}

/// This device's way into a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierSetup {
    /// The number it is registered with, or that the broker serves.
    pub number: PhoneNumber,
    /// Whose way it is.
    pub kind: CarrierKind,
    /// What the transport can carry.
    pub profile: TransportProfile,
    /// How long a hand-over may stay unconfirmed, in milliseconds.
    pub patience_ms: u64,
}

impl CarrierSetup {
    /// A setup with the usual patience.
    #[must_use]
    pub const fn new(number: PhoneNumber, profile: TransportProfile) -> Self {
        Self { number, kind: CarrierKind::Own, profile, patience_ms: PATIENCE_MS }
    }

    /// A broker's, with the usual patience.
    #[must_use]
    pub const fn by_broker(number: PhoneNumber, profile: TransportProfile) -> Self {
        Self { number, kind: CarrierKind::Broker, profile, patience_ms: PATIENCE_MS }
    }

    fn card(&self) -> Capabilities {
        let binary = self.profile.is_binary_safe.then_some(FrameForm::Binary);
        Capabilities {
            frame_version: FRAME_VERSION,
            number: Some(self.number.as_str().to_owned()),
            forms: binary.into_iter().chain([FrameForm::Text, FrameForm::Reference]).collect(),
            via_broker: self.kind == CarrierKind::Broker,
            mapping: None,
        }
    }
}

/// Why something about a contact's number was not done.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no such contact.
    #[error("there is no such contact")]
    UnknownContact,
}

impl CarrierError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::UnknownContact => "contact_unknown",
        }
    }
}

/// What is known of a contact's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberView {
    /// The number that the user gave the contact.
    pub number: Option<PhoneNumber>,
    /// What its devices say that they are reached at. Nothing is sent there unless it is `number` as well.
    pub claimed: Vec<(DeviceAddress, PhoneNumber)>,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct OwnRecord {
    /// 0 none, 1 its own, 2 a broker's.
    kind: u8,
    /// Goes up with every change that peers are told of.
    card_version: u64,
    number: TlsByteVecU8,
    is_binary_safe: u8,
    body_len_max: u64,
    parts_max: u16,
    carries_headers: u8,
    has_receipts: u8,
    patience_ms: u64,
}

impl Record for OwnRecord {
    const VERSION: u8 = 1;
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct CardRecord {
    frame_version: u8,
    /// Empty where it names none.
    number: TlsByteVecU8,
    takes_binary: u8,
    takes_text: u8,
    /// [`FOLLOWS_REFERENCES`], [`VIA_BROKER`].
    flags: u8,
    at_ms: u64,
}

impl Record for CardRecord {
    const VERSION: u8 = 1;
}

/// Flag of a card: the device fetches what a reference names.
const FOLLOWS_REFERENCES: u8 = 1;
/// Flag of a card: a broker takes for the device what the carrier delivers.
const VIA_BROKER: u8 = 2;

/// What a peer device said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) frame_version: u8,
    pub(crate) number: Option<PhoneNumber>,
    pub(crate) takes_binary: bool,
    pub(crate) takes_text: bool,
    /// It fetches what a reference names.
    pub(crate) takes_references: bool,
    /// A broker takes for it what the carrier delivers.
    pub(crate) is_via_broker: bool,
    /// When it did.
    pub(crate) at: UnixMillis,
}

/// How a device is reached by the carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CarrierWay {
    /// At which number.
    pub(crate) to: PhoneNumber,
    /// *Native*, or *brokered*.
    pub(crate) mode: DeliveryMode,
}

impl CarrierWay {
    /// Whether frames of a message that was decided to go in `decided` may take it. A broker gets nothing that was to pass none; what was
    /// to pass one may as well pass none.
    pub(crate) fn serves(&self, decided: DeliveryMode) -> bool {
        match decided {
            DeliveryMode::Brokered => self.mode.is_by_carrier(),
            DeliveryMode::Native => self.mode == DeliveryMode::Native,
            DeliveryMode::Relayed
            | DeliveryMode::ServerEncrypted
            | DeliveryMode::CarrierReadable
            | DeliveryMode::Sms => false,
        }
    }
}

fn parse_number(bytes: &[u8]) -> Result<PhoneNumber, StoreError> {
    text(Table::Carrier, bytes)?.parse().map_err(|_| BadRow::error(Table::Carrier))
}

fn number_key(account: AccountId) -> Vec<u8> {
    key(&[&[prefix::NUMBER], account.as_bytes()])
}

impl OwnRecord {
    fn setup(&self) -> Result<Option<CarrierSetup>, StoreError> {
        let kind = match self.kind {
            0 => return Ok(None),
            1 => CarrierKind::Own,
            2 => CarrierKind::Broker,
            _ => return Err(BadRow::error(Table::Carrier)),
        };
        Ok(Some(CarrierSetup {
            number: parse_number(self.number.as_slice())?,
            kind,
            profile: TransportProfile {
                is_binary_safe: self.is_binary_safe == 1,
                body_len_max: usize::try_from(self.body_len_max).unwrap_or(usize::MAX),
                parts_max: self.parts_max,
                carries_headers: self.carries_headers == 1,
                has_receipts: self.has_receipts == 1,
            },
            patience_ms: self.patience_ms,
        }))
    }

    fn of(setup: Option<&CarrierSetup>, card_version: u64) -> Self {
        let profile = setup.map(|setup| &setup.profile);
        let flag = |is: fn(&TransportProfile) -> bool| u8::from(profile.is_some_and(is));
        Self {
            kind: setup.map_or(0, |setup| match setup.kind {
                CarrierKind::Own => 1,
                CarrierKind::Broker => 2,
            }),
            card_version,
            number: setup.map_or_else(Vec::new, |setup| setup.number.as_str().as_bytes().to_vec()).into(),
            is_binary_safe: flag(|profile| profile.is_binary_safe),
            body_len_max: profile.map_or(0, |profile| u64::try_from(profile.body_len_max).unwrap_or(u64::MAX)),
            parts_max: profile.map_or(0, |profile| profile.parts_max),
            carries_headers: flag(|profile| profile.carries_headers),
            has_receipts: flag(|profile| profile.has_receipts),
            patience_ms: setup.map_or(0, |setup| setup.patience_ms),
        }
    }
}

impl Engine<'_> {
    /// This device has a way into a carrier, or has none any more. Peers with a session are told where that changes what they know; it
    /// does no harm to say the same at every start.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], those of the store.
    pub fn set_carrier(&mut self, setup: Option<CarrierSetup>) -> Result<(), AccountError> {
        let account = self.account()?;
        let before = self.own_carrier_record()?;
        let version = before.as_ref().map_or(0, |record| record.card_version);
        let known = before.as_ref().map_or(Ok(None), OwnRecord::setup)?;
        let card = |setup: Option<&CarrierSetup>| setup.map(CarrierSetup::card);
        let is_changed = card(known.as_ref()) != card(setup.as_ref());
        let is_brokered = |setup: Option<&CarrierSetup>| setup.is_some_and(|setup| setup.kind == CarrierKind::Broker);
        if known.is_some() && is_brokered(setup.as_ref()) && !is_brokered(known.as_ref()) {
            // The user agreed that their carrier reads it, and nobody was said to stand between.
            self.withdraw_consents_to(DeliveryMode::CarrierReadable)?;
        }
        let version = if is_changed { version.saturating_add(1) } else { version };
        self.tx.put(Table::Carrier, &[prefix::OWN], &OwnRecord::of(setup.as_ref(), version).to_row())?;
        if is_changed {
            let contacts = self.contact_accounts()?;
            for contact in contacts {
                self.tell_card_to_account(&account, contact)?;
            }
        }
        Ok(())
    }

    fn own_carrier_record(&self) -> Result<Option<OwnRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::Carrier, &[prefix::OWN])? else { return Ok(None) };
        OwnRecord::from_row(Table::Carrier, &row).map(Some)
    }

    /// This device's way into a carrier.
    ///
    /// # Errors
    /// Those of the store.
    pub fn carrier_setup(&self) -> Result<Option<CarrierSetup>, StoreError> {
        self.own_carrier_record()?.map_or(Ok(None), |record| record.setup())
    }

    /// Whether this device is on the carrier through a broker.
    pub(crate) fn is_on_broker(&self) -> Result<bool, StoreError> {
        Ok(self.carrier_setup()?.is_some_and(|setup| setup.kind == CarrierKind::Broker))
    }

    /// The user gives a contact a number, or takes it back.
    ///
    /// # Errors
    /// [`CarrierError::UnknownContact`].
    pub fn set_contact_number(&mut self, contact: AccountId, number: Option<&PhoneNumber>) -> Result<(), CarrierError> {
        self.known_contact(contact)?.ok_or(CarrierError::UnknownContact)?;
        if self.number_of(contact)?.as_ref() != number {
            // What was acknowledged was for the number before.
            self.end_downgrade_with(contact)?;
        }
        match number {
            Some(number) => {
                self.tx.put(Table::Carrier, &number_key(contact), number.as_str().as_bytes())?;
                // What was an account's number is not written to in the open again unless the user says so.
                self.latch(Latched::Number(NumberKey::of(number)), LatchSource::User)?;
                self.end_downgrade_of(NumberKey::of(number))?;
                // Whoever may be called by number may know ours.
                let account = self.account()?;
                self.tell_card_to_account(&account, contact)?;
            }
            None => self.tx.delete(Table::Carrier, &number_key(contact))?,
        }
        Ok(())
    }

    /// What is known of a contact's numbers.
    ///
    /// # Errors
    /// [`CarrierError::UnknownContact`].
    pub fn contact_number(&self, contact: AccountId) -> Result<NumberView, CarrierError> {
        self.known_contact(contact)?.ok_or(CarrierError::UnknownContact)?;
        let claimed = self
            .cards_of(contact)?
            .into_iter()
            .filter_map(|(device, card)| card.number.map(|number| (device, number)))
            .collect();
        Ok(NumberView { number: self.number_of(contact)?, claimed })
    }

    /// The number that the user gave a contact.
    pub(crate) fn number_of(&self, contact: AccountId) -> Result<Option<PhoneNumber>, StoreError> {
        let Some(row) = self.tx.get(Table::Carrier, &number_key(contact))? else { return Ok(None) };
        parse_number(&row).map(Some)
    }

    /// Whether the user gave this number to a contact that is blocked.
    pub(super) fn is_number_of_blocked(&self, number: &PhoneNumber) -> Result<bool, StoreError> {
        let mut pages = Pages::new(Table::Carrier, &[prefix::NUMBER], CARDS_MAX);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, row) in &rows {
                let account = row_key.get(1..).and_then(|bytes| AccountId::parse(bytes).ok());
                let account = account.ok_or_else(|| BadRow::error(Table::Carrier))?;
                if row == number.as_str().as_bytes() && self.is_blocked(account)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What a device said of itself.
    pub(crate) fn card(&self, device: DeviceAddress) -> Result<Option<Card>, StoreError> {
        let row_key = key(&[&[prefix::CARD], &device.to_bytes()]);
        self.tx.get(Table::Carrier, &row_key)?.map(|row| Card::read(&row)).transpose()
    }

    /// What the devices of an account said of themselves.
    pub(crate) fn cards_of(&self, account: AccountId) -> Result<Vec<(DeviceAddress, Card)>, StoreError> {
        let start = key(&[&[prefix::CARD], account.as_bytes()]);
        let rows = self.tx.scan(Table::Carrier, &start, &prefix_end(&start), CARDS_MAX, Order::Ascending)?;
        rows.iter()
            .map(|(row_key, row)| {
                let device = row_key.get(1..).and_then(|bytes| DeviceAddress::parse(bytes).ok());
                Ok((device.ok_or_else(|| BadRow::error(Table::Carrier))?, Card::read(row)?))
            })
            .collect()
    }

    /// The number at which a device takes frames, and in which mode they go there: this device is on a carrier, the device said which
    /// number it is reached at, and the user has given the contact that one. A broker on either side makes it *brokered*.
    pub(crate) fn carrier_way(&self, device: DeviceAddress) -> Result<Option<CarrierWay>, StoreError> {
        let Some(setup) = self.carrier_setup()? else { return Ok(None) };
        let Some(card) = self.card(device)?.filter(|card| card.frame_version >= FRAME_VERSION) else { return Ok(None) };
        let given = self.number_of(device.account)?;
        let is_brokered = setup.kind == CarrierKind::Broker || card.is_via_broker;
        let mode = if is_brokered { DeliveryMode::Brokered } else { DeliveryMode::Native };
        Ok(card.number.filter(|claimed| given.as_ref() == Some(claimed)).map(|to| CarrierWay { to, mode }))
    }

    /// A device said what it takes. It is told what we take, unless it has heard.
    pub(crate) fn take_card(&mut self, device: DeviceAddress, card: &Capabilities) -> Result<(), AccountError> {
        // The account, and not the number: anybody could name a stranger's.
        self.latch(Latched::Account(device.account), LatchSource::Session)?;
        // A number that the numbering plan does not know is as good as none.
        let number: Option<PhoneNumber> = card.number.as_ref().and_then(|number| number.parse().ok());
        let heard = number.as_ref().map(NumberKey::of);
        let record = CardRecord {
            frame_version: card.frame_version,
            number: number.map_or_else(Vec::new, |number| number.as_str().as_bytes().to_vec()).into(),
            takes_binary: u8::from(card.forms.contains(&FrameForm::Binary)),
            takes_text: u8::from(card.forms.contains(&FrameForm::Text)),
            flags: if card.forms.contains(&FrameForm::Reference) { FOLLOWS_REFERENCES } else { 0 }
                | if card.via_broker { VIA_BROKER } else { 0 },
            at_ms: self.now.0,
        };
        self.tx.put(Table::Carrier, &key(&[&[prefix::CARD], &device.to_bytes()]), &record.to_row())?;
        match (heard, card.mapping) {
            (Some(number), Some(mapping)) => self.heard_mapping(device.account, number, mapping),
            (Some(number), None) => self.heard_no_mapping(device.account, number),
            (None, _) => Ok(()),
        }
    }

    /// The mapping of this account's number is another one, which the card names: contacts are told.
    pub(crate) fn mapping_changed(&mut self) -> Result<(), AccountError> {
        let Some(mut record) = self.own_carrier_record()? else { return Ok(()) };
        let account = self.account()?;
        record.card_version = record.card_version.saturating_add(1);
        self.tx.put(Table::Carrier, &[prefix::OWN], &record.to_row())?;
        for contact in self.contact_accounts()? {
            self.tell_card_to_account(&account, contact)?;
        }
        Ok(())
    }

    fn contact_accounts(&mut self) -> Result<Vec<AccountId>, AccountError> {
        let contacts = self.contacts().map_err(|_| BadRow::error(Table::Contact))?;
        Ok(contacts.into_iter().map(|contact| contact.account).collect())
    }

    fn tell_card_to_account(&mut self, account: &Account, peer: AccountId) -> Result<(), AccountError> {
        let Some(key_set) = self.key_set(peer)? else { return Ok(()) };
        for device in key_set.devices() {
            self.tell_card(account, DeviceAddress { account: peer, device: device.number() })?;
        }
        Ok(())
    }

    /// Whether a contact may know the number of this device. Whoever has an invitation can write here and be a contact for that; the number
    /// names a person far beyond this account, and is told to nobody whom the user has not written to or has no number of.
    pub(crate) fn may_know_number(&self, account: &Account, peer: AccountId) -> Result<bool, StoreError> {
        if self.number_of(peer)?.is_some() {
            return Ok(true);
        }
        let own = account.address.account;
        self.has_written(direct_conversation_id(own, peer), own)
    }

    /// Tells a device what this one takes, unless it has heard, is blocked, may not know the number, or there is no session: then it hears
    /// as soon as it is heard.
    pub(crate) fn tell_card(&mut self, account: &Account, device: DeviceAddress) -> Result<(), AccountError> {
        let Some(own) = self.own_carrier_record()? else { return Ok(()) };
        let told_key = key(&[&[prefix::TOLD], &device.to_bytes()]);
        let told = match self.tx.get(Table::Carrier, &told_key)? {
            Some(row) => Number::from_row(Table::Carrier, &row)?.0,
            None => 0,
        };
        let is_stranger = device.account == account.address.account || self.known_contact(device.account)?.is_none();
        if told == own.card_version || is_stranger || !self.may_notify(device)? {
            return Ok(());
        }
        if !self.may_know_number(account, device.account)? {
            return Ok(());
        }
        // Whoever never heard of a number need not hear that there is none.
        let setup = own.setup()?;
        if told == 0 && setup.is_none() {
            return Ok(());
        }
        if self.tx.get(Table::ActiveSession, &device.to_bytes())?.is_none() {
            return Ok(());
        }
        let Some(key_set) = self.key_set(device.account)? else { return Ok(()) };
        self.tx.put(Table::Carrier, &told_key, &Number(own.card_version).to_row())?;
        let mut card = setup.as_ref().map(CarrierSetup::card).unwrap_or_default();
        if let Some(setup) = &setup {
            card.mapping = self.mapping_claim(NumberKey::of(&setup.number))?;
        }
        let conversation = direct_conversation_id(account.address.account, device.account);
        let payload = self.notice(account, conversation, Body::Capabilities(card)).map_err(as_account_error)?;
        self.dispatch_to_device(account, device, &key_set, &payload, None).map_err(as_account_error)
    }

    /// A contact is removed: what it said, what it was told, its number, and what it would have us fetch.
    pub(crate) fn forget_on_carrier(&mut self, contact: AccountId) -> Result<(), StoreError> {
        for first in [prefix::CARD, prefix::TOLD, prefix::NUMBER, prefix::FETCH] {
            let start = key(&[&[first], contact.as_bytes()]);
            self.tx.delete_range(Table::Carrier, &start, &prefix_end(&start))?;
        }
        Ok(())
    }
}

impl Card {
    fn read(row: &[u8]) -> Result<Self, StoreError> {
        let record = CardRecord::from_row(Table::Carrier, row)?;
        let number = record.number.as_slice();
        Ok(Self {
            frame_version: record.frame_version,
            number: if number.is_empty() { None } else { Some(parse_number(number)?) },
            takes_binary: record.takes_binary == 1,
            takes_text: record.takes_text == 1,
            takes_references: record.flags & FOLLOWS_REFERENCES != 0,
            is_via_broker: record.flags & VIA_BROKER != 0,
            at: UnixMillis(record.at_ms),
        })
    }
}
