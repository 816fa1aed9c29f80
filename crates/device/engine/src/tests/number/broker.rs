//! A broker that a test plays: honest unless it is told to lie, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use rcseal_credential::mapping::{Action, Grounds, LIFETIME_MS_MAX, Mapping, SignedStatement, VerifiedMapping};
use rcseal_credential::{UnverifiedKeySet, VerifiedKeySet};
use rcseal_crypto::ed25519::SigningKey;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{
    ClaimStarted, ClaimState, ConfirmAnswer, EnrolmentRequest, LookupAnswer, LookupInvitation, LookupOutcome,
    MappingHead, NumberView, Waiting,
};
use rcseal_wire::id::AccountId;
use rcseal_wire::origin::Origin;

use crate::number::{BrokerCheck, Claimed, NumberError};
use crate::tests::world::{Phone, World};

/// A mapping and its key set, as they are shown.
#[derive(Clone)]
pub(in crate::tests) struct Entry {
    pub(in crate::tests) mapping: Vec<u8>,
    pub(in crate::tests) key_set: Vec<u8>,
    pub(in crate::tests) account: AccountId,
}

impl Entry {
    pub(in crate::tests) fn of(mapping: &VerifiedMapping, key_set: &[u8]) -> Self {
        Self { mapping: mapping.as_bytes().to_vec(), key_set: key_set.to_vec(), account: mapping.account() }
    }
}

/// What is shown in the place of the newest mapping.
#[derive(Clone)]
pub(in crate::tests) enum Lie {
    Absent,
    Undiscoverable,
    /// Absent, with something that is called a proof.
    ForgedAbsence,
    Show(Entry),
}

pub(in crate::tests) struct Broker {
    pub(in crate::tests) key: SigningKey,
    pub(in crate::tests) chains: BTreeMap<String, Vec<(VerifiedMapping, Vec<u8>)>>,
    pub(in crate::tests) enrolled: BTreeMap<AccountId, EnrolmentRequest>,
    /// Of which number, to whom; to everybody where it is to nobody in particular.
    pub(in crate::tests) lies: BTreeMap<(String, Option<AccountId>), Lie>,
    pub(in crate::tests) hidden: BTreeSet<String>,
    pub(in crate::tests) contested: Option<Waiting>,
}

impl Broker {
    pub(in crate::tests) fn new() -> Self {
        Self {
            key: SigningKey::from_seed([77; 32]),
            chains: BTreeMap::new(),
            enrolled: BTreeMap::new(),
            lies: BTreeMap::new(),
            hidden: BTreeSet::new(),
            contested: None,
        }
    }

    pub(in crate::tests) fn origin() -> Origin {
        "https://broker.example".parse().unwrap()
    }

    pub(in crate::tests) fn newest(&self, number: &PhoneNumber) -> Option<&(VerifiedMapping, Vec<u8>)> {
        self.chains.get(number.as_str()).and_then(|chain| chain.last())
    }

    pub(in crate::tests) fn lie(&mut self, number: &PhoneNumber, to: Option<AccountId>, lie: Lie) {
        self.lies.insert((number.as_str().to_owned(), to), lie);
    }

    pub(in crate::tests) fn head(&self, number: &PhoneNumber) -> Option<MappingHead> {
        self.newest(number).map(|(mapping, _)| MappingHead { sequence: mapping.sequence(), hash: mapping.hash() })
    }

    fn key_set(&self, account: AccountId) -> VerifiedKeySet {
        UnverifiedKeySet::parse(&self.enrolled[&account].key_set.0).unwrap().verify().unwrap()
    }

    /// Countersigns after `before`, whatever the chain is.
    pub(in crate::tests) fn countersign(
        &self,
        before: Option<&VerifiedMapping>,
        statement: &[u8],
        grounds: Grounds,
        now: u64,
    ) -> (VerifiedMapping, Vec<u8>) {
        let statement = SignedStatement::parse(statement).unwrap();
        let key_set = self.key_set(statement.statement().account);
        let statement = statement.verify(&key_set).unwrap();
        assert_eq!(statement.statement().action, Action::Bind);
        let made = Mapping::countersign(&self.key, before, statement, grounds, now, now + LIFETIME_MS_MAX).unwrap();
        (made, key_set.as_bytes().to_vec())
    }

    pub(in crate::tests) fn answer(&self, number: &PhoneNumber, asker: AccountId) -> LookupAnswer {
        let name = number.as_str().to_owned();
        let lie = self.lies.get(&(name.clone(), Some(asker))).or_else(|| self.lies.get(&(name.clone(), None)));
        let nothing = |answer, proof| LookupAnswer {
            answer,
            mapping: None,
            key_set: None,
            invitation: None,
            proof,
            padding: String::new(),
        };
        let entry = match lie {
            Some(Lie::Absent) => return nothing(LookupOutcome::Absent, None),
            Some(Lie::Undiscoverable) => return nothing(LookupOutcome::Undiscoverable, None),
            Some(Lie::ForgedAbsence) => return nothing(LookupOutcome::Absent, Some(Base64(vec![1; 64]))),
            Some(Lie::Show(entry)) => entry.clone(),
            None if self.hidden.contains(&name) => return nothing(LookupOutcome::Undiscoverable, None),
            None => match self.newest(number) {
                None => return nothing(LookupOutcome::Absent, None),
                Some((mapping, key_set)) => Entry::of(mapping, key_set),
            },
        };
        let invitation = self.enrolled.get(&entry.account).map(|enrolled| LookupInvitation {
            relay: enrolled.relay.clone(),
            account: entry.account,
            delivery_token: enrolled.delivery_token.clone(),
        });
        LookupAnswer {
            mapping: Some(Base64(entry.mapping)),
            key_set: Some(Base64(entry.key_set)),
            invitation,
            ..nothing(LookupOutcome::Found, None)
        }
    }

    pub(in crate::tests) fn view(&self, number: &PhoneNumber, asker: AccountId) -> NumberView {
        let own = self.newest(number).filter(|(mapping, _)| mapping.account() == asker);
        NumberView {
            number: number.as_str().parse().unwrap(),
            mapping: own.map(|(mapping, _)| Base64(mapping.as_bytes().to_vec())),
            expires_at_ms: own.map(|(mapping, _)| mapping.expires_at_ms()),
            discoverable: !self.hidden.contains(number.as_str()),
            released: false,
            claimed_by_another: self.contested,
            waiting: None,
        }
    }
}

impl World {
    pub(in crate::tests) fn broker(&mut self) -> &mut Broker {
        self.broker.get_or_insert_with(Broker::new)
    }

    /// The phone pins the broker, its server learns the broker's token, and the broker learns of the account.
    pub(in crate::tests) fn enrol(&mut self, phone: &mut Phone) {
        let key = *self.broker().key.verifying_key().as_bytes();
        let checked = phone.with(self.now, |engine| engine.handle_broker_info(&Broker::origin(), &key)).unwrap();
        assert!(matches!(checked, BrokerCheck::Pinned | BrokerCheck::Same));
        self.serve(phone);
        let request = phone.with(self.now, |engine| engine.broker_enrolment(&[1; 32], &[2; 32])).unwrap();
        self.broker().enrolled.insert(phone.address.account, request);
    }

    /// The phone asks for a code and types it in; what it signs comes back.
    pub(in crate::tests) fn sign_claim(&mut self, phone: &mut Phone, number: &PhoneNumber) -> Vec<u8> {
        let started = ClaimStarted {
            claim: "claim".to_owned(),
            expires_in_seconds: 300,
            resend_after_seconds: 60,
            current: self.broker().head(number),
        };
        let signed = phone.with(self.now, |engine| {
            engine.claim_number(number)?;
            engine.handle_claim_started(number, &started)?;
            engine.confirm_request(number, "123456", None)
        });
        signed.unwrap().1.statement.unwrap().0
    }

    /// The broker countersigns what the phone signs, and the phone hears of it.
    pub(in crate::tests) fn claim(&mut self, phone: &mut Phone, number: &PhoneNumber, grounds: Grounds) -> Claimed {
        let statement = self.sign_claim(phone, number);
        let now = self.now;
        let broker = self.broker();
        let before = broker.newest(number).map(|(mapping, _)| mapping.clone());
        let made = broker.countersign(before.as_ref(), &statement, grounds, now);
        let bytes = made.0.as_bytes().to_vec();
        broker.chains.entry(number.as_str().to_owned()).or_default().push(made);
        self.mapped(phone, number, bytes).unwrap()
    }

    /// The phone hears that its number is mapped.
    pub(in crate::tests) fn mapped(
        &mut self,
        phone: &mut Phone,
        number: &PhoneNumber,
        mapping: Vec<u8>,
    ) -> Result<Claimed, NumberError> {
        let answer = ConfirmAnswer {
            state: ClaimState::Mapped,
            mapping: Some(Base64(mapping)),
            current: None,
            pending_until_ms: None,
        };
        phone.with(self.now, |engine| engine.handle_confirmed(number, &answer))
    }
}
