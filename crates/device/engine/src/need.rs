//! What the engine asks of its shell: things to fetch and to publish. The shell polls, does, and tells.
//!
//! A need is a row, so it survives a crash; it is due again after a growing, jittered delay until it was met.

use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::{AccountId, DeliveryTokenHash, DeviceNumber, KeySetCounter};
use rcseal_wire::origin::Origin;
use rcseal_wire::token::DeliveryToken;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::account::{Account, AccountError};
use crate::capability::NumberKey;
use crate::carrier::Fetch;
use crate::context::{Engine, UnixMillis};
use crate::pages::Pages;
use crate::record::Record;
use crate::store::{BadRow, StoreError, Table};

/// First delay of a retry, in milliseconds: a lost packet's worth.
const RETRY_MS_MIN: u64 = 500;
/// Longest delay of a retry: five minutes, so that a server that comes back is not waited for.
const RETRY_MS_MAX: u64 = 5 * 60 * 1000;
/// No retry is later than this: what is due after it was chosen by a clock that has been set back since.
pub(crate) const RETRY_WAIT_MS_MAX: u64 = RETRY_MS_MIN + RETRY_MS_MAX;
/// Times that a directory is asked for the key set an envelope waits for. Only its answers count, not its absence, so that this is some
/// hours: whoever claims to be somebody who does not exist must not keep a device asking for a week.
const PARKED_ATTEMPTS_MAX: u32 = 64;
/// How long a carrier may take to answer a question: longer than any transport waits.
const ASKED_MS: u64 = 5 * 60 * 1000;
/// Needs in one poll.
const POLL_MAX: usize = 64;
/// Rows read at once.
const PAGE: usize = 256;

/// What to do.
#[derive(Debug)]
pub enum Need {
    /// Fetch an account's key set; answer with [`Engine::handle_key_set`].
    FetchKeySet {
        /// Whose.
        account: AccountId,
        /// Where.
        origin: Origin,
        /// By whose leave.
        delivery_token: DeliveryToken,
    },
    /// Fetch key sets of an account in a row, oldest first; answer with [`Engine::handle_key_sets`].
    FetchKeySets {
        /// Whose.
        account: AccountId,
        /// Where.
        origin: Origin,
        /// By whose leave.
        delivery_token: DeliveryToken,
        /// The first one's counter.
        from: KeySetCounter,
    },
    /// Fetch prekey bundles; answer with [`Engine::handle_bundles`].
    FetchBundles {
        /// Whose.
        account: AccountId,
        /// Where.
        origin: Origin,
        /// By whose leave.
        delivery_token: DeliveryToken,
        /// Of which devices.
        devices: Vec<DeviceNumber>,
    },
    /// Publish our own key set; answer with [`Engine::handle_published`].
    PublishKeySet {
        /// The signed bytes.
        key_set: Vec<u8>,
    },
    /// Replace the list of valid delivery tokens at our server; answer with [`Engine::handle_delivery_tokens`] and these hashes.
    SetDeliveryTokens {
        /// Hashes of the tokens that are valid.
        hashes: Vec<DeliveryTokenHash>,
        /// Those that the server knows beside them stay valid, as many as there is room for.
        keeps_others: bool,
    },
    /// Ask the carrier what a number can do; answer with [`Engine::handle_carrier_capabilities`], or with
    /// [`Engine::handle_carrier_capabilities_failed`].
    QueryCapabilities {
        /// Which number.
        number: PhoneNumber,
    },
    /// Fetch an envelope that a contact's device keeps as a blob; answer with [`Engine::handle_fetched`], or with
    /// [`Engine::handle_fetch_failed`].
    FetchEnvelope(Fetch),
    /// Ask our server for the key to which messages that it may read are sealed; answer with [`Engine::handle_server_key`], or with
    /// [`Engine::handle_server_key_fault`].
    FetchServerKey,
    /// Ask the broker who has a number; answer with [`Engine::handle_lookup`], or with [`Engine::handle_number_need_failed`].
    LookUpNumber {
        /// The broker.
        origin: Origin,
        /// Which.
        number: PhoneNumber,
    },
    /// Ask the broker for its view of one of our numbers; answer with [`Engine::handle_number_view`], or with
    /// [`Engine::handle_number_need_failed`].
    ViewNumber {
        /// The broker.
        origin: Origin,
        /// Which.
        number: PhoneNumber,
    },
    /// Call a pending reset of our account off; answer with [`Engine::handle_reset_vetoed`].
    VetoReset,
}

/// Kinds of need, as the first byte of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedKind {
    /// [`Need::FetchKeySet`].
    KeySet,
    /// [`Need::FetchBundles`].
    Bundles,
    /// [`Need::PublishKeySet`].
    Publish,
    /// [`Need::FetchKeySets`].
    KeySets,
    /// [`Need::SetDeliveryTokens`].
    Tokens,
    /// [`Need::VetoReset`].
    VetoReset,
    /// [`Need::FetchServerKey`].
    ServerKey,
    /// [`Need::QueryCapabilities`]. Its rows are keyed by a number, and no account belongs to them.
    Capabilities,
    /// [`Need::LookUpNumber`]. As [`Self::Capabilities`].
    LookUp,
    /// [`Need::ViewNumber`]. As [`Self::Capabilities`].
    NumberView,
}

impl NeedKind {
    const fn code(self) -> u8 {
        match self {
            Self::KeySet => 1,
            Self::Bundles => 2,
            Self::Publish => 3,
            Self::KeySets => 10,
            Self::Tokens => 11,
            Self::VetoReset => 12,
            Self::Capabilities => 20,
            Self::LookUp => 21,
            Self::NumberView => 22,
            Self::ServerKey => 30,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::KeySet),
            2 => Some(Self::Bundles),
            3 => Some(Self::Publish),
            10 => Some(Self::KeySets),
            11 => Some(Self::Tokens),
            12 => Some(Self::VetoReset),
            20 => Some(Self::Capabilities),
            21 => Some(Self::LookUp),
            22 => Some(Self::NumberView),
            30 => Some(Self::ServerKey),
            _ => None,
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct NeedRecord {
    attempts: u32,
    due_at_ms: u64,
}

impl Record for NeedRecord {
    const VERSION: u8 = 1;
}

fn need_key(kind: NeedKind, account: AccountId) -> Vec<u8> {
    [&[kind.code()][..], account.as_bytes()].concat()
}

/// As [`capabilities_key`].
fn number_key(kind: NeedKind, number: NumberKey) -> Vec<u8> {
    [&[kind.code()][..], number.as_bytes()].concat()
}

/// A number takes as many bytes as an account id.
fn capabilities_key(number: NumberKey) -> Vec<u8> {
    [&[NeedKind::Capabilities.code()][..], number.as_bytes()].concat()
}

impl Engine<'_> {
    /// A delay that grows with the attempts, drawn evenly from its upper bound down (full jitter), so that clients of a server that
    /// comes back do not all come at once.
    pub(crate) fn retry_at(&mut self, attempts: u32) -> UnixMillis {
        let bound = RETRY_MS_MIN.saturating_mul(1_u64 << attempts.min(20)).min(RETRY_MS_MAX);
        let mut bytes = [0; 8];
        self.rng.fill_bytes(&mut bytes);
        // The bias of the remainder is below 2^-40 and of no consequence for a delay.
        self.now.plus(RETRY_MS_MIN + u64::from_be_bytes(bytes) % bound)
    }

    fn add_need(&mut self, kind: NeedKind, account: AccountId) -> Result<(), StoreError> {
        let key = need_key(kind, account);
        if self.tx.get(Table::Need, &key)?.is_none() {
            self.tx.put(Table::Need, &key, &NeedRecord { attempts: 0, due_at_ms: self.now.0 }.to_row())?;
        }
        Ok(())
    }

    pub(crate) fn need_key_set(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.add_need(NeedKind::KeySet, account)
    }

    pub(crate) fn need_bundles(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.add_need(NeedKind::Bundles, account)
    }

    pub(crate) fn need_publish(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.add_need(NeedKind::Publish, account)
    }

    /// Asks for the sets between. What waits for them has waited for `attempts` already.
    pub(crate) fn need_key_sets(&mut self, account: AccountId, attempts: u32) -> Result<(), StoreError> {
        let key = need_key(NeedKind::KeySets, account);
        if self.tx.get(Table::Need, &key)?.is_none() {
            self.tx.put(Table::Need, &key, &NeedRecord { attempts, due_at_ms: self.now.0 }.to_row())?;
        }
        Ok(())
    }

    /// The server is to be told of delivery tokens at a time.
    pub(crate) fn need_tokens_at(&mut self, own: AccountId, due: UnixMillis) -> Result<(), StoreError> {
        let record = NeedRecord { attempts: 0, due_at_ms: due.0 };
        self.tx.put(Table::Need, &need_key(NeedKind::Tokens, own), &record.to_row())
    }

    pub(crate) fn need_capabilities(&mut self, number: NumberKey) -> Result<(), StoreError> {
        let due_at_ms = self.now.0;
        self.tx.put(Table::Need, &capabilities_key(number), &NeedRecord { attempts: 0, due_at_ms }.to_row())
    }

    /// The carrier was asked, whatever it answered.
    pub(crate) fn capabilities_are_here(&mut self, number: NumberKey) -> Result<(), StoreError> {
        self.tx.delete(Table::Need, &capabilities_key(number))
    }

    pub(crate) fn need_server_key(&mut self, own: AccountId) -> Result<(), StoreError> {
        self.add_need(NeedKind::ServerKey, own)
    }

    /// The broker is to be asked who has a number, at a time; sooner where it is to be sooner already.
    pub(crate) fn need_lookup(&mut self, number: NumberKey, due: UnixMillis) -> Result<(), StoreError> {
        self.need_of_number(NeedKind::LookUp, number, due)
    }

    pub(crate) fn lookup_is_here(&mut self, number: NumberKey) -> Result<(), StoreError> {
        self.tx.delete(Table::Need, &number_key(NeedKind::LookUp, number))
    }

    pub(crate) fn need_number_view(&mut self, number: NumberKey, due: UnixMillis) -> Result<(), StoreError> {
        self.need_of_number(NeedKind::NumberView, number, due)
    }

    pub(crate) fn view_is_here(&mut self, number: NumberKey) -> Result<(), StoreError> {
        self.tx.delete(Table::Need, &number_key(NeedKind::NumberView, number))
    }

    fn need_of_number(&mut self, kind: NeedKind, number: NumberKey, due: UnixMillis) -> Result<(), StoreError> {
        let row_key = number_key(kind, number);
        let known = self.tx.get(Table::Need, &row_key)?;
        let known = known.map(|row| NeedRecord::from_row(Table::Need, &row)).transpose()?;
        if known.is_some_and(|known| known.attempts == 0 && known.due_at_ms <= due.0) {
            return Ok(());
        }
        self.tx.put(Table::Need, &row_key, &NeedRecord { attempts: 0, due_at_ms: due.0 }.to_row())
    }

    /// The broker could not be asked about a number; it is asked again later.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_number_need_failed(&mut self, kind: NeedKind, number: &PhoneNumber) -> Result<(), StoreError> {
        let row_key = number_key(kind, NumberKey::of(number));
        let Some(row) = self.tx.get(Table::Need, &row_key)? else { return Ok(()) };
        let attempts = NeedRecord::from_row(Table::Need, &row)?.attempts.saturating_add(1);
        let due_at_ms = self.retry_at(attempts).0;
        self.tx.put(Table::Need, &row_key, &NeedRecord { attempts, due_at_ms }.to_row())
    }

    pub(crate) fn need_veto(&mut self, own: AccountId) -> Result<(), StoreError> {
        self.add_need(NeedKind::VetoReset, own)
    }

    pub(crate) fn key_set_is_here(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.need_met(NeedKind::KeySet, account)?;
        self.need_met(NeedKind::KeySets, account)
    }

    /// How often an account's key set has been asked for without success.
    pub(crate) fn key_set_attempts(&self, account: AccountId) -> Result<u32, StoreError> {
        let mut attempts = 0;
        for kind in [NeedKind::KeySet, NeedKind::KeySets] {
            if let Some(row) = self.tx.get(Table::Need, &need_key(kind, account))? {
                attempts = attempts.max(NeedRecord::from_row(Table::Need, &row)?.attempts);
            }
        }
        Ok(attempts)
    }

    /// The key set that came is not the one that envelopes wait for. Answers whether it is worth asking again.
    pub(crate) fn ask_for_key_set_again(&mut self, account: AccountId, attempts: u32) -> Result<bool, StoreError> {
        let attempts = attempts.saturating_add(1);
        if attempts >= PARKED_ATTEMPTS_MAX {
            return Ok(false);
        }
        let due_at_ms = self.retry_at(attempts).0;
        let record = NeedRecord { attempts, due_at_ms };
        self.tx.put(Table::Need, &need_key(NeedKind::KeySet, account), &record.to_row())?;
        Ok(true)
    }

    pub(crate) fn need_met(&mut self, kind: NeedKind, account: AccountId) -> Result<(), StoreError> {
        self.tx.delete(Table::Need, &need_key(kind, account))
    }

    fn postpone(&mut self, kind: NeedKind, account: AccountId) -> Result<(), StoreError> {
        let key = need_key(kind, account);
        let Some(row) = self.tx.get(Table::Need, &key)? else { return Ok(()) };
        let attempts = NeedRecord::from_row(Table::Need, &row)?.attempts.saturating_add(1);
        let due_at_ms = self.retry_at(attempts).0;
        self.tx.put(Table::Need, &key, &NeedRecord { attempts, due_at_ms }.to_row())
    }

    /// A fetch or a publication failed; it is due again later.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_need_failed(&mut self, kind: NeedKind, account: AccountId) -> Result<(), StoreError> {
        self.postpone(kind, account)?;
        if matches!(kind, NeedKind::KeySet | NeedKind::KeySets)
            && self.key_set_attempts(account)? >= PARKED_ATTEMPTS_MAX
        {
            self.give_up_parked(account)?;
            // We have one, and the next message says again that there is a newer. Nothing waits for it.
            if self.tx.get(Table::KeySet, account.as_bytes())?.is_some() {
                self.key_set_is_here(account)?;
            }
        }
        Ok(())
    }

    /// When a need is due: now, where it would be later than any retry is, because the clock was set back since. What is planned ahead, as
    /// the end of an old delivery token or the next question about a number, has no such bound until it is tried.
    fn need_due(&self, key: &[u8], need: &NeedRecord) -> UnixMillis {
        let due = UnixMillis(need.due_at_ms);
        let kind = key.first().copied().and_then(NeedKind::from_code);
        let is_planned = matches!(kind, Some(NeedKind::Tokens | NeedKind::LookUp | NeedKind::NumberView));
        let is_retry = need.attempts > 0 || !is_planned;
        if is_retry && due.since(self.now) > RETRY_WAIT_MS_MAX { self.now } else { due }
    }

    /// When something is to be done next; `None` when nothing is.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_needs_timeout(&self) -> Result<Option<UnixMillis>, StoreError> {
        let mut pages = Pages::new(Table::Need, &[], PAGE);
        let mut next = None::<UnixMillis>;
        while let Some(rows) = pages.next(self.tx)? {
            for (key, row) in &rows {
                let due = self.need_due(key, &NeedRecord::from_row(Table::Need, row)?);
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        Ok(next.into_iter().chain(self.poll_fetches_timeout()?).min())
    }

    /// Whether something is due, or has been tried and has to be tried again. What is only planned for later, such as the end of an old
    /// delivery token, is not.
    ///
    /// # Errors
    /// Those of the store.
    pub fn has_unmet_needs(&self) -> Result<bool, StoreError> {
        let mut pages = Pages::new(Table::Need, &[], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (key, row) in &rows {
                let need = NeedRecord::from_row(Table::Need, row)?;
                if need.attempts > 0 || self.need_due(key, &need) <= self.now {
                    return Ok(true);
                }
            }
        }
        Ok(self.poll_fetches_timeout()?.is_some())
    }

    /// What is to be done now.
    ///
    /// # Errors
    /// Those of the store.
    pub fn poll_needs(&mut self) -> Result<Vec<Need>, AccountError> {
        let own = self.account()?;
        let (mut needs, mut pages) = (Vec::new(), Pages::new(Table::Need, &[], PAGE));
        // Every row is looked at where it has to be: those that are never met must not hide the others.
        while needs.len() < POLL_MAX
            && let Some(rows) = pages.next(self.tx)?
        {
            for (key, row) in &rows {
                if needs.len() < POLL_MAX && self.need_due(key, &NeedRecord::from_row(Table::Need, row)?) <= self.now {
                    needs.extend(self.need(&own, key)?);
                }
            }
        }
        self.poll_fetches(&mut needs, POLL_MAX)?;
        Ok(needs)
    }

    /// The counter of the first key set that a chain to an account's newest begins with: after the one we have, or the one named to us.
    fn first_missing(&self, account: AccountId) -> Result<KeySetCounter, StoreError> {
        let after = |counter: KeySetCounter| counter.next().unwrap_or(counter);
        Ok(match self.key_set(account)? {
            Some(known) => after(known.counter()),
            None => self.contact(account)?.map_or(KeySetCounter::FIRST, |contact| contact.pin.counter),
        })
    }

    /// What a due row asks for; one that is no longer of use is deleted.
    fn need(&mut self, own: &Account, key: &[u8]) -> Result<Option<Need>, AccountError> {
        let bad = || BadRow::error(Table::Need);
        let (code, account) = key.split_first().ok_or_else(bad)?;
        let kind = NeedKind::from_code(*code).ok_or_else(bad)?;
        if kind == NeedKind::Capabilities {
            let number = account.try_into().ok().and_then(NumberKey::from_bytes).ok_or_else(bad)?;
            let number = number.number().filter(|_| matches!(self.carrier_setup(), Ok(Some(_))));
            match &number {
                // Whoever polls has it for a while: a carrier may take its time to answer.
                Some(_) => {
                    let due_at_ms = self.now.plus(ASKED_MS).0;
                    self.tx.put(Table::Need, key, &NeedRecord { attempts: 1, due_at_ms }.to_row())?;
                }
                None => self.tx.delete(Table::Need, key)?,
            }
            return Ok(number.map(|number| Need::QueryCapabilities { number }));
        }
        if matches!(kind, NeedKind::LookUp | NeedKind::NumberView) {
            let number = account.try_into().ok().and_then(NumberKey::from_bytes).ok_or_else(bad)?;
            let (Some(number), Some(broker)) = (number.number(), self.broker()?) else {
                self.tx.delete(Table::Need, key)?;
                return Ok(None);
            };
            let origin = broker.origin;
            return Ok(Some(match kind {
                NeedKind::LookUp => Need::LookUpNumber { origin, number },
                _ => Need::ViewNumber { origin, number },
            }));
        }
        let account = AccountId::parse(account).map_err(|_| bad())?;
        let whom = if account == own.address.account {
            Some((own.origin.clone(), own.delivery_token.duplicate()))
        } else {
            self.contact(account)?.map(|contact| (contact.origin, contact.delivery_token))
        };
        let need = match (kind, whom) {
            (_, None) => None,
            (NeedKind::KeySet, Some((origin, delivery_token))) => {
                Some(Need::FetchKeySet { account, origin, delivery_token })
            }
            (NeedKind::KeySets, Some((origin, delivery_token))) => {
                Some(Need::FetchKeySets { account, origin, delivery_token, from: self.first_missing(account)? })
            }
            (NeedKind::Tokens, Some(_)) => self
                .token_change(own)?
                .map(|change| Need::SetDeliveryTokens { hashes: change.hashes, keeps_others: change.keeps_others }),
            (NeedKind::VetoReset, Some(_)) => Some(Need::VetoReset),
            (NeedKind::ServerKey, Some(_)) => Some(Need::FetchServerKey),
            // Answered above: it is about a number.
            (NeedKind::Capabilities | NeedKind::LookUp | NeedKind::NumberView, Some(_)) => None,
            // What is kept back asks for a session when it is released.
            (NeedKind::Bundles, Some(_)) if self.is_kept_back(account)? => None,
            (NeedKind::Bundles, Some((origin, delivery_token))) => Some(self.devices_waiting(account)?)
                .filter(|devices| !devices.is_empty())
                .map(|devices| Need::FetchBundles { account, origin, delivery_token, devices }),
            (NeedKind::Publish, Some(_)) => own.unpublished.clone().map(|key_set| Need::PublishKeySet { key_set }),
        };
        if need.is_none() {
            self.tx.delete(Table::Need, key)?;
        }
        Ok(need)
    }
}
