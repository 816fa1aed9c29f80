//! The server's key.
//!
//! The first key that the account's server offers is pinned. Another one of the same tenant and region takes its place, which is journalled and
//! told to the app: such keys are renewed. A key of another tenant or another region is somebody else's to read, or under another law: it is
//! kept aside, nothing is sealed to either, and the user decides ([`Engine::accept_server_key`]). A key's id follows from the key, so one id
//! never names two.
//!
//! A key is asked for again before it is used after the time that its server named; words wait for the answer.

use rcseal_crypto::hpke_p256::PublicKey;
use rcseal_wire::api::retained::{
    RETENTION_CLASSES_MAX, RetentionClass, ServerKey, Tenant, is_class_name, server_key_id,
};
use rcseal_wire::id::{AccountId, ServerKeyId, TenantId};
use rcseal_wire::origin::Origin;
use tls_codec::{TlsByteVecU8, TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize, TlsVecU16};

use crate::account::AccountError;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::need::NeedKind;
use crate::policy::{DeliveryMode, Entry, EntryKind, Reason, Subject};
use crate::record::{Record, text};
use crate::store::{BadRow, StoreError, Table};

/// The longest name of a tenant or region that is kept.
const NAME_LEN_MAX: usize = 255;
/// The key of the pinned row.
const PINNED: [u8; 1] = [1];
/// The key of the row that waits for the user's word.
const OFFERED: [u8; 1] = [2];
/// The key of the class that the user chose.
const CLASS: [u8; 1] = [3];

/// What came of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKeyChange {
    /// It is the first, and pinned.
    Pinned,
    /// It is the one that is pinned.
    Same,
    /// It took the place of another of the same tenant and region.
    Changed,
    /// It is of another tenant or region, and waits for the user.
    Held,
}

impl ServerKeyChange {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Held => "held",
        }
    }
}

/// What is the matter with a key, as its server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKeyFault {
    /// It does not exist any more, or the server has none.
    Gone,
    /// It is not where the account's data are to be.
    RegionMismatch,
}

/// Whether anything is sealed to the pinned key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKeyState {
    /// It is, where policy, consent and the user's word let it.
    Usable,
    /// It is asked for again first.
    Stale,
    /// The server offers one of another tenant or region, and the user has not decided.
    Held,
    /// The server says that it does not exist any more, or offers none.
    Gone,
    /// The server says that it is not where the account's data are to be.
    RegionMismatch,
}

impl ServerKeyState {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Stale => "stale",
            Self::Held => "held",
            Self::Gone => "gone",
            Self::RegionMismatch => "region_mismatch",
        }
    }
}

/// The pinned key, as apps see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerKeyView {
    /// The server.
    pub origin: Origin,
    /// The key, whose it is, and where.
    pub key: ServerKey,
    /// Since when it is pinned.
    pub pinned_at: UnixMillis,
    /// Whether anything is sealed to it.
    pub state: ServerKeyState,
    /// The key that waits for the user's word.
    pub offered: Option<ServerKey>,
    /// The class of retention that the user chose; the server's own choice where there is none.
    pub class: Option<String>,
}

/// Why something about the server's key was not done.
#[derive(Debug, thiserror::Error)]
pub enum RetainedError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This device's account is not ready.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// What the server offers is no key, or a part of it is out of its limits.
    #[error("the server's key cannot be used")]
    KeyMalformed,
    /// The key's time is over.
    #[error("the server's key has expired")]
    KeyExpired,
    /// No key waits for the user's word, or another one does by now.
    #[error("no such key waits to be accepted")]
    NoOffer,
    /// The server has no such class of retention.
    #[error("the server has no such class of retention")]
    UnknownClass,
}

impl RetainedError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::KeyMalformed => "server_key_malformed",
            Self::KeyExpired => "server_key_expired",
            Self::NoOffer => "server_key_not_offered",
            Self::UnknownClass => "retention_unknown",
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ClassRecord {
    name: TlsByteVecU8,
    days: u32,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct KeyRecord {
    origin: TlsByteVecU16,
    tenant: [u8; 16],
    tenant_name: TlsByteVecU8,
    key_id: [u8; 16],
    public_key: TlsByteVecU8,
    region: TlsByteVecU8,
    classes: TlsVecU16<ClassRecord>,
    default_class: TlsByteVecU8,
    not_after_ms: u64,
    pinned_at_ms: u64,
    /// 0 nothing, 1 gone, 2 in another region.
    fault: u8,
}

impl Record for KeyRecord {
    const VERSION: u8 = 1;
}

/// A key that is pinned or offered.
pub(super) struct PinnedKey {
    pub(super) origin: Origin,
    pub(super) key: ServerKey,
    pinned_at: UnixMillis,
    fault: Option<ServerKeyFault>,
}

fn bad() -> StoreError {
    BadRow::error(Table::ServerKey)
}

impl PinnedKey {
    fn read(row: &[u8]) -> Result<Self, StoreError> {
        let record = KeyRecord::from_row(Table::ServerKey, row)?;
        let name = |bytes: &TlsByteVecU8| text(Table::ServerKey, bytes.as_slice());
        let class = |class: &ClassRecord| Ok(RetentionClass { name: name(&class.name)?, days: class.days });
        Ok(Self {
            origin: text(Table::ServerKey, record.origin.as_slice())?.parse().map_err(|_| bad())?,
            key: ServerKey {
                tenant: Tenant { id: TenantId::from_bytes(record.tenant), name: name(&record.tenant_name)? },
                key_id: ServerKeyId::from_bytes(record.key_id),
                public_key: record.public_key.as_slice().to_vec().into(),
                region: name(&record.region)?,
                classes: record.classes.as_slice().iter().map(class).collect::<Result<_, StoreError>>()?,
                default_class: name(&record.default_class)?,
                not_after_ms: record.not_after_ms,
            },
            pinned_at: UnixMillis(record.pinned_at_ms),
            fault: match record.fault {
                0 => None,
                1 => Some(ServerKeyFault::Gone),
                2 => Some(ServerKeyFault::RegionMismatch),
                _ => return Err(bad()),
            },
        })
    }

    fn record(&self) -> KeyRecord {
        let class = |class: &RetentionClass| ClassRecord { name: class.name.as_bytes().into(), days: class.days };
        KeyRecord {
            origin: self.origin.as_str().as_bytes().into(),
            tenant: *self.key.tenant.id.as_bytes(),
            tenant_name: self.key.tenant.name.as_bytes().into(),
            key_id: *self.key.key_id.as_bytes(),
            public_key: self.key.public_key.0.as_slice().into(),
            region: self.key.region.as_bytes().into(),
            classes: self.key.classes.iter().map(class).collect::<Vec<_>>().into(),
            default_class: self.key.default_class.as_bytes().into(),
            not_after_ms: self.key.not_after_ms,
            pinned_at_ms: self.pinned_at.0,
            fault: match self.fault {
                None => 0,
                Some(ServerKeyFault::Gone) => 1,
                Some(ServerKeyFault::RegionMismatch) => 2,
            },
        }
    }

    fn state(&self, has_offer: bool, now: UnixMillis) -> ServerKeyState {
        match self.fault {
            Some(ServerKeyFault::Gone) => ServerKeyState::Gone,
            Some(ServerKeyFault::RegionMismatch) => ServerKeyState::RegionMismatch,
            None if has_offer => ServerKeyState::Held,
            None if self.key.not_after_ms <= now.0 => ServerKeyState::Stale,
            None => ServerKeyState::Usable,
        }
    }
}

/// What a server offers is checked once, before anything of it is kept.
fn check(key: &ServerKey, now: UnixMillis) -> Result<(), RetainedError> {
    let is_name = |name: &str| (1..=NAME_LEN_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    let is_sound = is_name(&key.tenant.name)
        && is_name(&key.region)
        && (1..=RETENTION_CLASSES_MAX).contains(&key.classes.len())
        && key.classes.iter().all(|class| is_class_name(&class.name))
        && key.classes.iter().any(|class| class.name == key.default_class)
        && server_key_id(&key.public_key.0) == key.key_id
        && PublicKey::from_bytes(&key.public_key.0).is_ok();
    if !is_sound {
        return Err(RetainedError::KeyMalformed);
    }
    if key.not_after_ms <= now.0 { Err(RetainedError::KeyExpired) } else { Ok(()) }
}

/// Whether the same people can read under both, by the same law.
fn is_of_same_place(one: &ServerKey, other: &ServerKey) -> bool {
    (one.tenant.id, &one.region) == (other.tenant.id, &other.region)
}

impl Engine<'_> {
    fn server_key_row(&self, row_key: &[u8]) -> Result<Option<PinnedKey>, StoreError> {
        self.tx.get(Table::ServerKey, row_key)?.map(|row| PinnedKey::read(&row)).transpose()
    }

    /// The user wants to know the server's key, or it is to be asked for again: the shell fetches it
    /// ([`crate::need::Need::FetchServerKey`]).
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], those of the store.
    pub fn want_server_key(&mut self) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        Ok(self.need_server_key(own)?)
    }

    /// The account's server says which key it has.
    ///
    /// # Errors
    /// [`RetainedError::KeyMalformed`], [`RetainedError::KeyExpired`]; what is pinned stays then.
    pub fn handle_server_key(&mut self, key: ServerKey) -> Result<ServerKeyChange, RetainedError> {
        let account = self.account()?;
        self.need_met(NeedKind::ServerKey, account.address.account)?;
        check(&key, self.now)?;
        // A key that an earlier server of the account had is none of this one's.
        let Some(known) = self.server_key_row(&PINNED)?.filter(|known| known.origin == account.origin) else {
            self.pin(&account.origin, key, self.now)?;
            return Ok(ServerKeyChange::Pinned);
        };
        if !is_of_same_place(&known.key, &key) {
            let is_new = self.server_key_row(&OFFERED)?.is_none_or(|waiting| waiting.key.key_id != key.key_id);
            let waiting = PinnedKey { origin: account.origin, key, pinned_at: self.now, fault: None };
            self.tx.put(Table::ServerKey, &OFFERED, &waiting.record().to_row())?;
            if is_new {
                self.note_server_key(None, Reason::ServerKeyHeld)?;
            }
            return Ok(ServerKeyChange::Held);
        }
        if known.key.key_id == key.key_id && known.fault.is_none() {
            self.pin(&account.origin, key, known.pinned_at)?;
            return Ok(ServerKeyChange::Same);
        }
        self.pin(&account.origin, key, self.now)?;
        self.note_server_key(Some(DeliveryMode::ServerEncrypted), Reason::ServerKeyChanged)?;
        Ok(ServerKeyChange::Changed)
    }

    /// The account's server says that it has no key that could be used. Nothing is sealed to the one that is pinned.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], those of the store.
    pub fn handle_server_key_fault(&mut self, fault: ServerKeyFault) -> Result<(), AccountError> {
        let own = self.account()?.address.account;
        self.need_met(NeedKind::ServerKey, own)?;
        Ok(self.fault_server_key(fault)?)
    }

    pub(super) fn fault_server_key(&mut self, fault: ServerKeyFault) -> Result<(), StoreError> {
        let Some(pinned) = self.server_key_row(&PINNED)? else { return Ok(()) };
        if pinned.fault == Some(fault) {
            return Ok(());
        }
        self.tx.put(Table::ServerKey, &PINNED, &PinnedKey { fault: Some(fault), ..pinned }.record().to_row())?;
        let reason = match fault {
            ServerKeyFault::Gone => Reason::ServerKeyGone,
            ServerKeyFault::RegionMismatch => Reason::RegionMismatch,
        };
        self.note_server_key(None, reason)
    }

    fn pin(&mut self, origin: &Origin, key: ServerKey, pinned_at: UnixMillis) -> Result<(), StoreError> {
        let pinned = PinnedKey { origin: origin.clone(), key, pinned_at, fault: None };
        self.tx.put(Table::ServerKey, &PINNED, &pinned.record().to_row())?;
        self.tx.delete(Table::ServerKey, &OFFERED)
    }

    /// The user has seen that the server's key is of another tenant or region, and takes it all the same. Consents that were given for the one
    /// before end: they were given to let others read.
    ///
    /// # Errors
    /// [`RetainedError::NoOffer`] where this key does not wait.
    pub fn accept_server_key(&mut self, key_id: ServerKeyId) -> Result<(), RetainedError> {
        let waiting = self.server_key_row(&OFFERED)?.filter(|waiting| waiting.key.key_id == key_id);
        let PinnedKey { origin, key, .. } = waiting.ok_or(RetainedError::NoOffer)?;
        check(&key, self.now)?;
        self.withdraw_consents_to(DeliveryMode::ServerEncrypted)?;
        self.pin(&origin, key, self.now)?;
        Ok(self.note_server_key(Some(DeliveryMode::ServerEncrypted), Reason::ServerKeyChanged)?)
    }

    /// The journal and the app hear of a key's end or change.
    fn note_server_key(&mut self, taken: Option<DeliveryMode>, reason: Reason) -> Result<(), StoreError> {
        self.append_to_journal(&Entry {
            kind: EntryKind::KeyChange,
            subject: Subject::Server,
            message: None,
            wanted: DeliveryMode::ServerEncrypted,
            taken,
            reason,
            consent: None,
            decision: 0,
        })?;
        self.emit(Event::ServerKeyChanged { is_usable: taken.is_some() })
    }

    /// Chooses a class of retention, or with `None` leaves it to the server.
    ///
    /// # Errors
    /// [`RetainedError::UnknownClass`].
    pub fn set_retention_class(&mut self, class: Option<&str>) -> Result<(), RetainedError> {
        let Some(class) = class else { return Ok(self.tx.delete(Table::ServerKey, &CLASS)?) };
        let pinned = self.server_key_row(&PINNED)?.ok_or(RetainedError::UnknownClass)?;
        if !pinned.key.classes.iter().any(|known| known.name == class) {
            return Err(RetainedError::UnknownClass);
        }
        Ok(self.tx.put(Table::ServerKey, &CLASS, class.as_bytes())?)
    }

    pub(super) fn retention_class(&self) -> Result<Option<String>, StoreError> {
        self.tx.get(Table::ServerKey, &CLASS)?.map(|bytes| text(Table::ServerKey, &bytes)).transpose()
    }

    /// The server's key that is pinned; `None` where none ever was.
    ///
    /// # Errors
    /// Those of the store.
    pub fn server_key(&self) -> Result<Option<ServerKeyView>, StoreError> {
        let Some(pinned) = self.server_key_row(&PINNED)? else { return Ok(None) };
        let offered = self.server_key_row(&OFFERED)?.map(|waiting| waiting.key);
        let state = pinned.state(offered.is_some(), self.now);
        let PinnedKey { origin, key, pinned_at, .. } = pinned;
        Ok(Some(ServerKeyView { origin, key, pinned_at, state, offered, class: self.retention_class()? }))
    }

    /// The key that messages are sealed to, and whether it is to be asked for again first; `None` where nothing is sealed.
    pub(super) fn sealing_key(&self) -> Result<Option<(PinnedKey, bool)>, StoreError> {
        let Some(pinned) = self.server_key_row(&PINNED)? else { return Ok(None) };
        let has_offer = self.tx.get(Table::ServerKey, &OFFERED)?.is_some();
        Ok(match pinned.state(has_offer, self.now) {
            ServerKeyState::Usable => Some((pinned, false)),
            ServerKeyState::Stale => Some((pinned, true)),
            ServerKeyState::Held | ServerKeyState::Gone | ServerKeyState::RegionMismatch => None,
        })
    }

    /// Whether words can go to a contact by the server that both are at.
    pub(crate) fn has_retained_way(&self, account: AccountId) -> Result<bool, StoreError> {
        let Some((pinned, _)) = self.sealing_key()? else { return Ok(false) };
        Ok(self.known_contact(account)?.is_some_and(|contact| contact.origin == pinned.origin))
    }
}
