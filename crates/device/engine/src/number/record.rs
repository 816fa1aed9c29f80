//! The rows: the pinned broker, own numbers, what was shown of others, and mappings with the key sets they are checked under.
//!
//! A mapping is stored beside its key set and checked again when it is read, by its two signatures: it is read seldom, and a type that says
//! *verified* is worth more than the half millisecond.

use rcseal_credential::mapping::{UnverifiedMapping, VerifiedMapping};
use rcseal_credential::{UnverifiedKeySet, VerifiedKeySet};
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::{AccountId, BrokerKeyId, MappingHash};
use rcseal_wire::number::E164;
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tls_codec::{TlsByteVecU8, TlsByteVecU16, TlsByteVecU24, TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroize;

use super::NumberError;
use super::state::{NumberState, OwnNumberView};
use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::record::{Record, text};
use crate::store::{BadRow, Order, StoreError, Table, prefix_end};

/// Numbers that one scan reads: more than a person or a business line has.
const NUMBERS_MAX: usize = 1_000;

/// A number as it stands in signed objects.
pub(super) fn e164(number: &PhoneNumber) -> Result<E164, NumberError> {
    number.as_str().parse().map_err(|_| NumberError::Number)
}

/// The pinned broker.
pub(crate) struct Broker {
    pub(crate) origin: Origin,
    pub(crate) key: VerifyingKey,
    pub(crate) pinned_at: UnixMillis,
}

impl Broker {
    pub(crate) fn id(&self) -> BrokerKeyId {
        BrokerKeyId::from_bytes(*self.key.as_bytes())
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct BrokerRecord {
    pub(super) origin: TlsByteVecU16,
    pub(super) key: [u8; 32],
    pub(super) pinned_at_ms: u64,
}

impl Record for BrokerRecord {
    const VERSION: u8 = 1;
}

impl BrokerRecord {
    pub(super) fn broker(&self) -> Result<Broker, StoreError> {
        let bad = || BadRow::error(Table::NumberBroker);
        Ok(Broker {
            origin: text(Table::NumberBroker, self.origin.as_slice())?.parse().map_err(|_| bad())?,
            key: VerifyingKey::from_bytes(&self.key).map_err(|_| bad())?,
            pinned_at: UnixMillis(self.pinned_at_ms),
        })
    }
}

/// A mapping and the key set that its statement names, both out of the store.
pub(super) fn read_mapping(
    table: Table,
    broker: &VerifyingKey,
    mapping: &[u8],
    key_set: &[u8],
) -> Result<(VerifiedMapping, VerifiedKeySet), StoreError> {
    let bad = || BadRow::error(table);
    let key_set = UnverifiedKeySet::parse(key_set).map_err(|_| bad())?.assume_verified();
    let mapping = UnverifiedMapping::parse(mapping).map_err(|_| bad())?;
    Ok((mapping.verify(broker, &key_set).map_err(|_| bad())?, key_set))
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct OwnRecord {
    pub(super) state: u8,
    pub(super) claim: TlsByteVecU8,
    pub(super) code_until_ms: u64,
    pub(super) resend_after_ms: u64,
    pub(super) pending_until_ms: u64,
    pub(super) contested_until_ms: u64,
    /// When this device heard of that.
    pub(super) contested_since_ms: u64,
    /// The newest mapping of the number, whoever has it, by the broker's word: what the next statement follows. 0: none was named.
    pub(super) head_sequence: u64,
    pub(super) head_hash: [u8; 32],
    /// What this device signed last, and the key set it did so under: a repetition sends the same again.
    pub(super) statement: TlsByteVecU16,
    pub(super) statement_key_set: TlsByteVecU24,
    /// What the broker countersigned, and the key set that it names.
    pub(super) mapping: TlsByteVecU16,
    pub(super) key_set: TlsByteVecU24,
    pub(super) is_hidden: u8,
    pub(super) watched_at_ms: u64,
    pub(super) refusal: TlsByteVecU8,
}

impl Record for OwnRecord {
    const VERSION: u8 = 1;
}

impl OwnRecord {
    pub(super) fn new() -> Self {
        Self {
            state: NumberState::Claiming.code(),
            claim: Vec::new().into(),
            code_until_ms: 0,
            resend_after_ms: 0,
            pending_until_ms: 0,
            contested_until_ms: 0,
            contested_since_ms: 0,
            head_sequence: 0,
            head_hash: [0; 32],
            statement: Vec::new().into(),
            statement_key_set: Vec::new().into(),
            mapping: Vec::new().into(),
            key_set: Vec::new().into(),
            is_hidden: 0,
            watched_at_ms: 0,
            refusal: Vec::new().into(),
        }
    }

    pub(super) fn state(&self) -> Result<NumberState, StoreError> {
        NumberState::from_code(self.state).ok_or_else(|| BadRow::error(Table::NumberOwn))
    }

    /// The mapping that counts for this account, with its key set.
    pub(super) fn mapping(&self, broker: &Broker) -> Result<Option<(VerifiedMapping, VerifiedKeySet)>, StoreError> {
        if self.mapping.as_slice().is_empty() {
            return Ok(None);
        }
        read_mapping(Table::NumberOwn, &broker.key, self.mapping.as_slice(), self.key_set.as_slice()).map(Some)
    }

    /// Whether the number is this account's by what both sides signed, whatever is under way beside it.
    pub(super) fn is_held(&self) -> Result<bool, StoreError> {
        let state = self.state()?;
        Ok(!self.mapping.as_slice().is_empty() && !matches!(state, NumberState::Released | NumberState::Lost))
    }

    fn view(&self, number: PhoneNumber, broker: Option<&Broker>) -> Result<OwnNumberView, StoreError> {
        let at = |ms: u64| (ms > 0).then_some(UnixMillis(ms));
        let mapping = match broker {
            Some(broker) => self.mapping(broker)?.map(|(mapping, _)| mapping),
            None => None,
        };
        let filled = |bytes: &[u8]| (!bytes.is_empty()).then(|| text(Table::NumberOwn, bytes)).transpose();
        Ok(OwnNumberView {
            number,
            state: self.state()?,
            claim: filled(self.claim.as_slice())?,
            code_until: at(self.code_until_ms),
            resend_after: at(self.resend_after_ms),
            pending_until: at(self.pending_until_ms),
            contested_until: at(self.contested_until_ms),
            sequence: mapping.as_ref().map(VerifiedMapping::sequence),
            hash: mapping.as_ref().map(VerifiedMapping::hash),
            expires_at: mapping.as_ref().map(|mapping| UnixMillis(mapping.expires_at_ms())),
            refusal: filled(self.refusal.as_slice())?,
            watched_at: at(self.watched_at_ms),
        })
    }
}

/// What the broker has shown of a number of somebody else's.
pub(crate) struct Shown {
    pub(crate) mapping: VerifiedMapping,
    pub(super) key_set: VerifiedKeySet,
    pub(crate) seen_at: UnixMillis,
    pub(super) relay: Origin,
    pub(super) delivery_token: DeliveryToken,
}

impl Shown {
    pub(crate) fn account(&self) -> AccountId {
        self.mapping.account()
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ShownRecord {
    mapping: TlsByteVecU16,
    key_set: TlsByteVecU24,
    seen_at_ms: u64,
    relay: TlsByteVecU16,
    delivery_token: [u8; 32],
}

impl Record for ShownRecord {
    const VERSION: u8 = 1;
}

impl Drop for ShownRecord {
    fn drop(&mut self) {
        self.delivery_token.zeroize();
    }
}

/// What a contact says that it signed, or was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) number: NumberKey,
    pub(crate) sequence: u64,
    pub(crate) hash: MappingHash,
    /// When it was heard.
    pub(crate) at: UnixMillis,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct HeardRecord {
    number: [u8; 16],
    sequence: u64,
    hash: [u8; 32],
    at_ms: u64,
}

impl Record for HeardRecord {
    const VERSION: u8 = 1;
}

impl HeardRecord {
    pub(super) fn of(heard: &Heard) -> Self {
        Self {
            number: *heard.number.as_bytes(),
            sequence: heard.sequence,
            hash: *heard.hash.as_bytes(),
            at_ms: heard.at.0,
        }
    }

    pub(super) fn heard(&self) -> Result<Heard, StoreError> {
        let bad = || BadRow::error(Table::NumberGossip);
        Ok(Heard {
            number: NumberKey::from_bytes(self.number).ok_or_else(bad)?,
            sequence: self.sequence,
            hash: MappingHash::from_bytes(self.hash),
            at: UnixMillis(self.at_ms),
        })
    }
}

impl Engine<'_> {
    pub(super) fn own_number(&self, number: NumberKey) -> Result<Option<OwnRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::NumberOwn, number.as_bytes())? else { return Ok(None) };
        OwnRecord::from_row(Table::NumberOwn, &row).map(Some)
    }

    pub(super) fn put_own_number(&mut self, number: NumberKey, record: &OwnRecord) -> Result<(), StoreError> {
        self.tx.put(Table::NumberOwn, number.as_bytes(), &record.to_row())
    }

    /// The keys of this account's numbers.
    pub(super) fn own_number_keys(&self) -> Result<Vec<NumberKey>, StoreError> {
        let rows = self.tx.scan(Table::NumberOwn, &[], &prefix_end(&[]), NUMBERS_MAX, Order::Ascending)?;
        let bad = || BadRow::error(Table::NumberOwn);
        rows.into_iter().map(|(key, _)| key.try_into().ok().and_then(NumberKey::from_bytes).ok_or_else(bad)).collect()
    }

    /// This account's numbers, those that were refused or lost included.
    ///
    /// # Errors
    /// Those of the store.
    pub fn own_numbers(&self) -> Result<Vec<OwnNumberView>, StoreError> {
        let broker = self.broker()?;
        let mut views = Vec::new();
        for key in self.own_number_keys()? {
            if let (Some(record), Some(number)) = (self.own_number(key)?, key.number()) {
                views.push(record.view(number, broker.as_ref())?);
            }
        }
        Ok(views)
    }

    pub(crate) fn shown(&self, number: NumberKey) -> Result<Option<Shown>, StoreError> {
        let Some(row) = self.tx.get(Table::NumberShown, number.as_bytes())? else { return Ok(None) };
        let bad = || BadRow::error(Table::NumberShown);
        let Some(broker) = self.broker()? else { return Ok(None) };
        let record = ShownRecord::from_row(Table::NumberShown, &row)?;
        let (mapping, key_set) =
            read_mapping(Table::NumberShown, &broker.key, record.mapping.as_slice(), record.key_set.as_slice())?;
        Ok(Some(Shown {
            mapping,
            key_set,
            seen_at: UnixMillis(record.seen_at_ms),
            relay: text(Table::NumberShown, record.relay.as_slice())?.parse().map_err(|_| bad())?,
            delivery_token: DeliveryToken::from_bytes(record.delivery_token),
        }))
    }

    pub(super) fn put_shown(&mut self, number: NumberKey, shown: &Shown) -> Result<(), StoreError> {
        let record = ShownRecord {
            mapping: shown.mapping.as_bytes().into(),
            key_set: shown.key_set.as_bytes().into(),
            seen_at_ms: shown.seen_at.0,
            relay: shown.relay.as_str().as_bytes().into(),
            delivery_token: *shown.delivery_token.expose(),
        };
        self.tx.put(Table::NumberShown, number.as_bytes(), &record.to_row())
    }
}
