//! The watch over one's own numbers: what the broker shows to others must be what this account signed.
//!
//! A device asks the broker for its own numbers as anybody would, once a day, at every start and when asked to, and asks for the holder's view
//! beside it. A broker that swaps a mapping, rolls it back, forks it or withholds it has to tell the holder from everybody else to stay
//! unseen, which it cannot: both ask the same way, and contacts compare inside their sessions (`gossip.rs`).

use rcseal_credential::UnverifiedKeySet;
use rcseal_credential::mapping::{Evidence, Finding, GroundsKind, UnverifiedMapping, VerifiedMapping, WAIT_MS};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::broker::{BrokerNotice, NumberView};

use super::judge::Doubt;
use super::record::{OwnRecord, e164};
use super::state::NumberState;
use super::{BrokerFinding, NumberError, RENEW_MS, WATCH_MS};
use crate::account::AccountError;
use crate::capability::NumberKey;
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::store::StoreError;

impl Engine<'_> {
    /// Looks at what the broker shows of this account's numbers now. The shell calls it at every start.
    ///
    /// # Errors
    /// Those of the store.
    pub fn watch_numbers(&mut self) -> Result<(), StoreError> {
        for number in self.own_number_keys()? {
            let Some(record) = self.own_number(number)? else { continue };
            if record.is_held()? {
                self.need_lookup(number, self.now)?;
            }
            if !matches!(record.state()?, NumberState::Released | NumberState::Refused | NumberState::Lost) {
                self.need_number_view(number, self.now)?;
            }
        }
        Ok(())
    }

    /// A mapping of one of this account's numbers, as the broker shows it to anybody or to us, or as a contact was shown it. Answers what is
    /// wrong with it. `key_set` is what came with it.
    pub(super) fn judge_own(
        &mut self,
        number: NumberKey,
        bytes: &[u8],
        key_set: Option<&[u8]>,
    ) -> Result<Result<(), Doubt>, NumberError> {
        let Some(record) = self.own_number(number)? else { return Ok(Ok(())) };
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let shown = match UnverifiedMapping::parse(bytes) {
            Ok(shown) => shown,
            Err(error) => return Ok(Err(Doubt::new(BrokerFinding::MappingInvalid, error.code()))),
        };
        if shown.number().as_str() != number.text() {
            return Ok(Err(Doubt::new(BrokerFinding::Swapped, "mapping_other_number")));
        }
        if let Err(error) = shown.verify_broker(&broker.key) {
            return Ok(Err(Doubt::new(super::judge::finding_of(&error), error.code())));
        }
        let own = self.account()?;
        let Some((known, known_key_set)) = record.mapping(&broker)? else {
            // It is on its way: what was signed here comes back countersigned. Anything else is somebody else's, which we wait for.
            if shown.signed_statement().as_bytes() == record.statement.as_slice() {
                let taken = self.take_countersigned(number, record, bytes)?;
                return Ok(match taken {
                    super::Claimed::NotBelieved { finding } => Err(Doubt::new(finding, finding.code())),
                    _ => Ok(()),
                });
            }
            return Ok(Ok(()));
        };
        if shown.hash() == known.hash() {
            return Ok(Ok(()));
        }
        if shown.signed_statement().as_bytes() == record.statement.as_slice() {
            // A renewal whose answer was lost.
            let taken = self.take_countersigned(number, record, bytes)?;
            return Ok(match taken {
                super::Claimed::NotBelieved { finding } => Err(Doubt::new(finding, finding.code())),
                _ => Ok(()),
            });
        }
        let (place, known_place) = (shown.sequence(), known.sequence());
        let pair = Evidence::of_pair(known.unverified(), &shown).with_key_set(&known_key_set);
        let doubt = |finding: BrokerFinding| Doubt {
            evidence: Some(Box::new(pair.clone())),
            ..Doubt::new(finding, finding.code())
        };
        if place < known_place {
            return Ok(Err(Doubt { evidence: None, ..doubt(BrokerFinding::RolledBack) }));
        }
        let skips = place == known_place + 1 && shown.statement().previous != Some(known.hash());
        if place == known_place || skips {
            return Ok(Err(doubt(BrokerFinding::Forked)));
        }
        if shown.account() != own.address.account {
            if is_let_go(&record, &pair, &broker, self.now) {
                self.lose(number)?;
                return Ok(Ok(()));
            }
            return Ok(Err(doubt(BrokerFinding::Swapped)));
        }
        // For this account, and newer than what is here. Signed by our key it is ours: this device has forgotten it.
        let current = self.own_key_set(&own)?;
        if !shown.signed_statement().is_signed_by(current.account_key()) {
            let evidence = Evidence::of_one(&shown).with_key_set(&current);
            let is_proof = evidence.check(&broker.key).is_ok();
            let evidence = is_proof.then(|| Box::new(evidence));
            return Ok(Err(Doubt { evidence, ..Doubt::new(BrokerFinding::Swapped, "mapping_account_signature") }));
        }
        let given = key_set.and_then(|bytes| UnverifiedKeySet::parse(bytes).ok()?.verify().ok());
        let named = [Some(current), given].into_iter().flatten().find(|set| set.hash() == shown.key_set_hash());
        match named {
            Some(named) => match shown.verify(&broker.key, &named) {
                Ok(newer) => self.adopt_forgotten(number, record, &newer, &named)?,
                Err(error) => return Ok(Err(Doubt::new(super::judge::finding_of(&error), error.code()))),
            },
            // What anybody is shown comes with the key set.
            None => self.need_lookup(number, self.now)?,
        }
        Ok(Ok(()))
    }

    /// The broker has a newer mapping of ours than this device: its store is an older copy of itself. Seen, and taken.
    fn adopt_forgotten(
        &mut self,
        number: NumberKey,
        record: OwnRecord,
        newer: &VerifiedMapping,
        key_set: &rcseal_credential::VerifiedKeySet,
    ) -> Result<(), NumberError> {
        self.emit(Event::NumberStateBehind { number })?;
        self.adopt_mapping(number, record, newer, key_set)
    }

    /// What anybody is shown of one of our numbers was looked at; `mapping` is none where the broker named nobody.
    pub(super) fn watched(
        &mut self,
        number: NumberKey,
        mapping: Option<(&[u8], Option<&[u8]>)>,
    ) -> Result<Result<(), Doubt>, NumberError> {
        let own = self.account()?.address.account;
        let judged = match mapping {
            Some((bytes, key_set)) => self.judge_own(number, bytes, key_set)?,
            None => self.judge_silence(number)?,
        };
        match &judged {
            Ok(()) => {
                self.finding_is_over(number, BrokerFinding::Withheld)?;
                self.finding_is_over(number, BrokerFinding::RolledBack)?;
                if let Some(mut record) = self.own_number(number)? {
                    record.watched_at_ms = self.now.0;
                    self.put_own_number(number, &record)?;
                }
            }
            Err(doubt) => {
                let evidence = doubt.evidence.as_deref();
                self.note_finding(Some(number), Some(own), None, doubt.finding, evidence)?;
                self.lose_if_rebound(number, doubt)?;
            }
        }
        let is_over = match self.own_number(number)? {
            Some(record) => matches!(record.state()?, NumberState::Released | NumberState::Lost),
            None => true,
        };
        if is_over {
            self.lookup_is_here(number)?;
        } else {
            self.need_lookup(number, self.now.plus(WATCH_MS))?;
        }
        Ok(judged)
    }

    /// The broker names nobody for a number of ours.
    fn judge_silence(&mut self, number: NumberKey) -> Result<Result<(), Doubt>, NumberError> {
        let Some(record) = self.own_number(number)? else { return Ok(Ok(())) };
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let is_shown = match record.mapping(&broker)? {
            Some((mapping, _)) => record.is_held()? && record.is_hidden == 0 && !mapping.is_expired(self.now.0),
            None => false,
        };
        let finding = BrokerFinding::Withheld;
        Ok(if is_shown { Err(Doubt::new(finding, finding.code())) } else { Ok(()) })
    }

    /// Where the chain goes on with another account, the number is not ours any more, whatever the grounds: contacts are told.
    fn lose_if_rebound(&mut self, number: NumberKey, doubt: &Doubt) -> Result<(), NumberError> {
        let own = self.account()?.address.account;
        let newer = doubt.evidence.as_ref().and_then(|evidence| evidence.mappings().1);
        let is_rebound = doubt.finding == BrokerFinding::Swapped && newer.is_some_and(|newer| newer.account() != own);
        if is_rebound { self.lose(number) } else { Ok(()) }
    }

    fn lose(&mut self, number: NumberKey) -> Result<(), NumberError> {
        let Some(mut record) = self.own_number(number)? else { return Ok(()) };
        if record.state()? == NumberState::Lost {
            return Ok(());
        }
        record.state = NumberState::Lost.code();
        self.put_own_number(number, &record)?;
        self.emit(Event::NumberChanged { number, state: NumberState::Lost })?;
        Ok(self.mapping_changed()?)
    }

    /// The broker's view of a number for its holder, or for who waits for it.
    ///
    /// # Errors
    /// [`NumberError::UnknownNumber`], those of the store.
    pub fn handle_number_view(&mut self, number: &PhoneNumber, view: &NumberView) -> Result<(), NumberError> {
        let (key, _) = self.claimed(number)?;
        if view.number != e164(number)? {
            return Ok(());
        }
        if let Some(mapping) = &view.mapping
            && let Err(doubt) = self.judge_own(key, &mapping.0, None)?
        {
            let own = self.account()?.address.account;
            self.note_finding(Some(key), Some(own), None, doubt.finding, doubt.evidence.as_deref())?;
            self.lose_if_rebound(key, &doubt)?;
        }
        let Some(mut record) = self.own_number(key)? else { return Ok(()) };
        record.is_hidden = u8::from(!view.discoverable);
        let contested = view.claimed_by_another.map_or(0, |waiting| waiting.effective_at_ms);
        let is_news = contested > 0 && record.contested_until_ms == 0;
        record.contested_until_ms = contested;
        if is_news || contested == 0 {
            record.contested_since_ms = if is_news { self.now.0 } else { 0 };
        }
        if let Some(waiting) = view.waiting {
            record.pending_until_ms = waiting.effective_at_ms;
        }
        self.put_own_number(key, &record)?;
        if is_news {
            self.emit(Event::NumberContested { number: key, until: UnixMillis(contested) })?;
        }
        self.plan_view(key, &record)
    }

    /// When to ask for the view again: at the end of a wait, and otherwise daily. Tells the app of a mapping that has to be renewed.
    fn plan_view(&mut self, number: NumberKey, record: &OwnRecord) -> Result<(), NumberError> {
        // What was due is met; the next time is chosen anew.
        self.view_is_here(number)?;
        let daily = self.now.plus(WATCH_MS);
        let due = match record.state()? {
            NumberState::Pending if record.pending_until_ms > self.now.0 => {
                UnixMillis(record.pending_until_ms).min(daily)
            }
            NumberState::Released | NumberState::Refused | NumberState::Lost => return Ok(()),
            _ => daily,
        };
        self.need_number_view(number, due)?;
        let broker = self.broker()?.ok_or(NumberError::NoBroker)?;
        let account = self.account()?;
        let account_key = *self.own_key_set(&account)?.account_key();
        if let Some((mapping, _)) = record.mapping(&broker)?.filter(|_| record.state == NumberState::Mapped.code())
            // Under a key that the account has replaced nobody who knows the new one believes it.
            && (mapping.expires_at_ms().saturating_sub(self.now.0) < RENEW_MS || *mapping.account_key() != account_key)
        {
            self.emit(Event::NumberExpiring { number, at: UnixMillis(mapping.expires_at_ms()) })?;
        }
        Ok(())
    }

    /// The broker says something of a number in a sealed notice. It is its word: the view is asked for before anything is done.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_broker_notice(&mut self, notice: &BrokerNotice) -> Result<(), AccountError> {
        let Ok(number) = notice.number.as_str().parse::<PhoneNumber>() else { return Ok(()) };
        let key = NumberKey::of(&number);
        if self.own_number(key)?.is_some() {
            self.need_number_view(key, self.now)?;
            self.need_lookup(key, self.now)?;
        }
        Ok(())
    }

    /// The store is an older copy of itself: what was signed since is not here. Every number is looked at before anything is signed again.
    pub(crate) fn numbers_after_rollback(&mut self) -> Result<(), StoreError> {
        self.end_waiting_cases()?;
        for number in self.own_number_keys()? {
            if let Some(mut record) = self.own_number(number)? {
                // The statement may have been signed again, otherwise, by the life that was lost.
                record.watched_at_ms = 0;
                self.put_own_number(number, &record)?;
                self.emit(Event::NumberStateBehind { number })?;
            }
        }
        self.watch_numbers()
    }
}

/// Whether the holder had a part in the change: signed the release, or was told and let the time pass.
fn is_let_go(record: &OwnRecord, pair: &Evidence, broker: &super::record::Broker, now: UnixMillis) -> bool {
    match pair.check(&broker.key) {
        Ok(Finding::Asserted { grounds: Some(GroundsKind::Released) }) => true,
        // Told as long before as the wait is, but for the day between two looks: a broker that tells late has not told, and one that dates the
        // change ahead has not waited.
        Ok(Finding::Asserted { grounds: Some(GroundsKind::Waited) }) => {
            let ends = record.contested_since_ms.saturating_add(WAIT_MS - WATCH_MS);
            let made = pair.mappings().1.map_or(0, UnverifiedMapping::countersigned_at_ms);
            record.contested_since_ms > 0 && ends <= made.min(now.0)
        }
        _ => false,
    }
}
