//! Numbers of this account: claiming, confirming, renewing, letting go.
//!
//! ```text
//! claiming ──broker sends a code──▶ code sent ──code is right──▶ verified ──statement follows the newest mapping──▶ mapped
//!                                       │                            └──another account has it──▶ pending ──its time passes──▶ mapped
//!                                       └──refused
//! ```
//!
//! The statement is signed here and nowhere else, kept before it leaves, and sent again byte for byte when an answer was lost: an account that
//! signed two for one place would fork its own number. What comes back must hold exactly that statement.

use rcseal_credential::mapping::{
    Action, NumberStatement, SignedStatement, UnverifiedMapping, VerifiedMapping, check_succession,
};
use rcseal_credential::{UnverifiedKeySet, VerifiedKeySet};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{ClaimStarted, ClaimState, ConfirmAnswer, ConfirmRequest, MappingHead, ReleaseRequest};
use rcseal_wire::id::MappingHash;

use super::judge::finding_of;
use super::record::{Broker, OwnRecord, e164};
use super::state::NumberState;
use super::{BrokerFinding, NumberError, WATCH_MS};
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;

/// A statement is sent again for so long, and then signed anew: a broker takes none that is older than a fortnight.
const STATEMENT_REUSED_MS: u64 = 7 * 24 * 3600 * 1000;
/// Bytes of the broker's name for a claim, and of its reason for a refusal.
const NAME_LEN_MAX: usize = 64;

/// What became of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The number is this account's, and both signatures are here.
    Mapped,
    /// The code was right. Confirm again: the statement follows what the broker named.
    Verified,
    /// Another account has it and is told.
    Pending {
        /// When the number goes over at the soonest.
        until: UnixMillis,
    },
    /// The broker's answer does not hold; the finding says what is wrong with it.
    NotBelieved {
        /// What.
        finding: BrokerFinding,
    },
}

impl Engine<'_> {
    /// Begins a claim, or a renewal: the shell asks the broker for a code.
    ///
    /// # Errors
    /// [`NumberError::NoBroker`], [`AccountError::NotPrimary`], [`NumberError::Number`].
    pub fn claim_number(&mut self, number: &PhoneNumber) -> Result<(), NumberError> {
        self.broker()?.ok_or(NumberError::NoBroker)?;
        let account = self.account()?;
        account.is_ours()?;
        if account.signer.is_none() {
            return Err(AccountError::NotPrimary.into());
        }
        e164(number)?;
        let key = NumberKey::of(number);
        let mut record = self.own_number(key)?.unwrap_or_else(OwnRecord::new);
        record.state = NumberState::Claiming.code();
        record.refusal = Vec::new().into();
        Ok(self.put_own_number(key, &record)?)
    }

    /// The broker has sent a code to the number.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`], [`NumberError::State`].
    pub fn handle_claim_started(&mut self, number: &PhoneNumber, started: &ClaimStarted) -> Result<(), NumberError> {
        let (key, mut record) = self.claimed(number)?;
        if started.claim.len() > NAME_LEN_MAX {
            return Err(NumberError::State { state: "named too long" });
        }
        record.state = NumberState::CodeSent.code();
        record.claim = started.claim.as_bytes().into();
        let seconds = |seconds: u64| self.now.plus(seconds.saturating_mul(1000)).0;
        record.code_until_ms = seconds(started.expires_in_seconds);
        record.resend_after_ms = seconds(started.resend_after_seconds);
        self.take_head(key, &mut record, started.current)?;
        self.put_own_number(key, &record)?;
        Ok(self.emit(Event::NumberChanged { number: key, state: NumberState::CodeSent })?)
    }

    /// What the user types in, and the statement that binds the number. Asking again gives the same statement.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`], [`NumberError::State`] without a claim, [`AccountError::NotPrimary`].
    pub fn confirm_request(
        &mut self,
        number: &PhoneNumber,
        code: &str,
        release: Option<&[u8]>,
    ) -> Result<(String, ConfirmRequest), NumberError> {
        let (key, mut record) = self.claimed(number)?;
        let claim = crate::record::text(crate::store::Table::NumberOwn, record.claim.as_slice())?;
        if claim.is_empty() {
            return Err(NumberError::State { state: record.state()?.as_str() });
        }
        let statement = self.statement(number, &mut record, Action::Bind)?;
        self.put_own_number(key, &record)?;
        let request = ConfirmRequest {
            code: code.to_owned(),
            statement: Some(Base64(statement)),
            release: release.map(|release| Base64(release.to_vec())),
        };
        Ok((claim, request))
    }

    /// The broker answered a confirmation.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`], those of the store. An answer that does not hold is no error: [`Claimed::NotBelieved`].
    pub fn handle_confirmed(&mut self, number: &PhoneNumber, answer: &ConfirmAnswer) -> Result<Claimed, NumberError> {
        let (key, mut record) = self.claimed(number)?;
        match (answer.state, &answer.mapping) {
            (ClaimState::Mapped, Some(mapping)) => self.take_countersigned(key, record, &mapping.0),
            (ClaimState::Mapped, None) => self.not_believed(key, BrokerFinding::MappingInvalid),
            (ClaimState::Verified, _) => {
                record.state = NumberState::Verified.code();
                self.take_head(key, &mut record, answer.current)?;
                self.put_own_number(key, &record)?;
                self.emit(Event::NumberChanged { number: key, state: NumberState::Verified })?;
                Ok(Claimed::Verified)
            }
            (ClaimState::Pending, _) => {
                let until = UnixMillis(answer.pending_until_ms.unwrap_or(self.now.0));
                record.state = NumberState::Pending.code();
                record.pending_until_ms = until.0;
                self.put_own_number(key, &record)?;
                self.need_number_view(key, until)?;
                self.emit(Event::NumberChanged { number: key, state: NumberState::Pending })?;
                Ok(Claimed::Pending { until })
            }
        }
    }

    /// The broker refused, for a reason of its own: its problem code.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`].
    pub fn handle_claim_refused(&mut self, number: &PhoneNumber, code: &str) -> Result<(), NumberError> {
        let (key, mut record) = self.claimed(number)?;
        // What is mapped stays so: a renewal that was refused is tried again before the mapping ends.
        let state = if record.is_held()? { NumberState::Mapped } else { NumberState::Refused };
        record.state = state.code();
        record.refusal = code.chars().take(NAME_LEN_MAX).filter(char::is_ascii).collect::<String>().into_bytes().into();
        self.put_own_number(key, &record)?;
        Ok(self.emit(Event::NumberChanged { number: key, state })?)
    }

    /// What lets a number go. It can also be handed to the account that is to have it.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`], [`NumberError::State`] where this account does not have it.
    pub fn release_request(&mut self, number: &PhoneNumber) -> Result<ReleaseRequest, NumberError> {
        let (key, mut record) = self.claimed(number)?;
        if !record.is_held()? {
            return Err(NumberError::State { state: record.state()?.as_str() });
        }
        // A release counts under the key that the mapping stands under, and under no later one: the mapping is renewed first.
        let (account, broker) = (self.account()?, self.broker()?.ok_or(NumberError::NoBroker)?);
        let account_key = *self.own_key_set(&account)?.account_key();
        if record.mapping(&broker)?.is_some_and(|(mapping, _)| *mapping.account_key() != account_key) {
            return Err(NumberError::State { state: "mapped under an earlier account key" });
        }
        let statement = self.statement(number, &mut record, Action::Release)?;
        self.put_own_number(key, &record)?;
        Ok(ReleaseRequest { statement: Base64(statement) })
    }

    /// The broker has taken the release.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`].
    pub fn handle_released(&mut self, number: &PhoneNumber) -> Result<(), NumberError> {
        let (key, mut record) = self.claimed(number)?;
        record.state = NumberState::Released.code();
        self.put_own_number(key, &record)?;
        self.emit(Event::NumberChanged { number: key, state: NumberState::Released })?;
        Ok(self.mapping_changed()?)
    }

    pub(super) fn claimed(&self, number: &PhoneNumber) -> Result<(NumberKey, OwnRecord), NumberError> {
        let key = NumberKey::of(number);
        Ok((key, self.own_number(key)?.ok_or(NumberError::UnknownNumber)?))
    }

    fn not_believed(&mut self, number: NumberKey, finding: BrokerFinding) -> Result<Claimed, NumberError> {
        let own = self.account()?.address.account;
        self.note_finding(Some(number), Some(own), None, finding, None)?;
        Ok(Claimed::NotBelieved { finding })
    }

    /// The broker named the newest mapping of the number. Where it is this account's it must be the one that is here.
    fn take_head(
        &mut self,
        number: NumberKey,
        record: &mut OwnRecord,
        head: Option<MappingHead>,
    ) -> Result<(), NumberError> {
        let Some(head) = head else { return Ok(()) };
        let own = self.account()?.address.account;
        if record.is_held()?
            && let Some(broker) = self.broker()?
            && let Some((mapping, _)) = record.mapping(&broker)?
        {
            let finding = match head.sequence.cmp(&mapping.sequence()) {
                std::cmp::Ordering::Less => Some(BrokerFinding::RolledBack),
                std::cmp::Ordering::Equal if head.hash != mapping.hash() => Some(BrokerFinding::Forked),
                std::cmp::Ordering::Equal => None,
                // Somebody has had it since, or this device has forgotten what it signed: the number's view tells.
                std::cmp::Ordering::Greater => {
                    self.need_number_view(number, self.now)?;
                    None
                }
            };
            if let Some(finding) = finding {
                return Ok(self.note_finding(Some(number), Some(own), None, finding, None)?);
            }
        }
        record.head_sequence = head.sequence;
        record.head_hash = *head.hash.as_bytes();
        Ok(())
    }

    /// The statement that follows the newest mapping there is: the one that was sent before, where nothing has changed.
    fn statement(
        &mut self,
        number: &PhoneNumber,
        record: &mut OwnRecord,
        action: Action,
    ) -> Result<Vec<u8>, NumberError> {
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let account = self.account()?;
        account.is_ours()?;
        let key_set = self.own_key_set(&account)?;
        let before = record.mapping(&broker)?.map(|(mapping, _)| (mapping.sequence(), mapping.hash()));
        let named =
            (record.head_sequence > 0).then(|| (record.head_sequence, MappingHash::from_bytes(record.head_hash)));
        // A release is of our own mapping, whatever the broker says of others.
        let before =
            if action == Action::Release { before } else { before.into_iter().chain(named).max_by_key(|head| head.0) };
        let statement = NumberStatement {
            action,
            number: e164(number)?,
            account: account.address.account,
            device: account.address.device,
            sequence: before.map_or(1, |(sequence, _)| sequence.saturating_add(1)),
            previous: before.map(|(_, hash)| hash),
            key_set_counter: key_set.counter(),
            key_set_hash: key_set.hash(),
            broker: broker.id(),
            issued_at_ms: self.now.0,
        };
        if let Ok(kept) = SignedStatement::parse(record.statement.as_slice()) {
            let issued_at_ms = kept.statement().issued_at_ms;
            let is_fresh = self.now.0.saturating_sub(issued_at_ms) < STATEMENT_REUSED_MS && issued_at_ms <= self.now.0;
            if is_fresh && *kept.statement() == (NumberStatement { issued_at_ms, ..statement.clone() }) {
                return Ok(kept.as_bytes().to_vec());
            }
        }
        let signer = account.signer.as_ref().ok_or(AccountError::NotPrimary)?;
        let signed = statement.sign(signer).map_err(NumberError::Statement)?;
        record.statement = signed.as_bytes().into();
        record.statement_key_set = key_set.as_bytes().into();
        Ok(signed.as_bytes().to_vec())
    }

    /// The broker shows a mapping for a statement of this device.
    pub(super) fn take_countersigned(
        &mut self,
        number: NumberKey,
        record: OwnRecord,
        bytes: &[u8],
    ) -> Result<Claimed, NumberError> {
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let own = self.account()?.address.account;
        match countersigned(&broker, &record, bytes, self.now) {
            Ok((mapping, key_set)) => {
                self.adopt_mapping(number, record, &mapping, &key_set)?;
                Ok(Claimed::Mapped)
            }
            Err((finding, evidence)) => {
                self.note_finding(Some(number), Some(own), None, finding, evidence.as_deref())?;
                Ok(Claimed::NotBelieved { finding })
            }
        }
    }

    /// A mapping of this account counts from now on: peers hear of it, and it is watched.
    pub(super) fn adopt_mapping(
        &mut self,
        number: NumberKey,
        mut record: OwnRecord,
        mapping: &VerifiedMapping,
        key_set: &VerifiedKeySet,
    ) -> Result<(), NumberError> {
        record.state = NumberState::Mapped.code();
        record.claim = Vec::new().into();
        record.mapping = mapping.as_bytes().into();
        record.key_set = key_set.as_bytes().into();
        record.head_sequence = mapping.sequence();
        record.head_hash = *mapping.hash().as_bytes();
        (record.pending_until_ms, record.contested_until_ms, record.contested_since_ms) = (0, 0, 0);
        self.put_own_number(number, &record)?;
        let due = self.now.plus(WATCH_MS);
        self.need_lookup(number, due)?;
        self.need_number_view(number, due)?;
        self.emit(Event::NumberChanged { number, state: NumberState::Mapped })?;
        Ok(self.mapping_changed()?)
    }
}

type Doubt = (BrokerFinding, Option<Box<rcseal_credential::mapping::Evidence>>);

/// Whether bytes are what a broker makes of the statement that was signed here, after what it made before.
fn countersigned(
    broker: &Broker,
    record: &OwnRecord,
    bytes: &[u8],
    now: UnixMillis,
) -> Result<(VerifiedMapping, VerifiedKeySet), Doubt> {
    let invalid = || (BrokerFinding::MappingInvalid, None);
    let mapping = UnverifiedMapping::parse(bytes).map_err(|_| invalid())?;
    if mapping.signed_statement().as_bytes() != record.statement.as_slice() {
        return Err((BrokerFinding::Swapped, None));
    }
    let key_set = UnverifiedKeySet::parse(record.statement_key_set.as_slice()).map_err(|_| invalid())?;
    let key_set = key_set.assume_verified();
    let mapping = mapping.verify(&broker.key, &key_set).map_err(|error| (finding_of(&error), None))?;
    if mapping.is_expired(now.0) {
        return Err(invalid());
    }
    if let Some((known, known_key_set)) = record.mapping(broker).map_err(|_| invalid())? {
        check_succession(&known, &mapping).map_err(|error| {
            let evidence = error.evidence().map(|evidence| Box::new(evidence.clone().with_key_set(&known_key_set)));
            (super::judge::finding_of_succession(&error), evidence)
        })?;
    }
    Ok((mapping, key_set))
}
