//! The mapping itself: a statement, the grounds, and the broker's signature over both.

use rcseal_crypto::ed25519::{Signature, SigningKey, VerifyingKey};
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::{AccountId, KeySetCounter, KeySetHash, MappingHash};
use rcseal_wire::number::E164;

use super::codec::{self, MappingFields};
use super::statement::Action;
use super::{
    CLOCK_SLACK_MS, CountersignError, FormError, Grounds, HASH_LABEL, LIFETIME_MS_MAX, MAPPING_LABEL, MAPPING_LEN_MAX,
    MAPPING_VERSION, MappingError, NumberStatement, STATEMENT_AGE_MS_MAX, SignedStatement, VerifiedStatement,
    check_succession,
};
use crate::VerifiedKeySet;

/// A well-formed mapping whose signatures nobody has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedMapping {
    bytes: Vec<u8>,
    body_len: usize,
    hash: MappingHash,
    statement: SignedStatement,
    grounds: Grounds,
    countersigned_at_ms: u64,
    expires_at_ms: u64,
    signature: Signature,
}

impl UnverifiedMapping {
    /// Makes the mapping that follows `before`, the newest one ever countersigned for the number, also where it has expired or was
    /// released. Checks everything that readers check.
    ///
    /// # Errors
    /// [`CountersignError`].
    pub fn countersign(
        key: &SigningKey,
        before: Option<&VerifiedMapping>,
        statement: VerifiedStatement,
        grounds: Grounds,
        countersigned_at_ms: u64,
        expires_at_ms: u64,
    ) -> Result<VerifiedMapping, CountersignError> {
        let account_key = *statement.account_key();
        let mut bytes = codec::encode(&MappingFields {
            version: MAPPING_VERSION,
            statement: statement.as_bytes().to_vec().into(),
            grounds: grounds.fields(),
            countersigned_at_ms,
            expires_at_ms,
        });
        let signature = key.sign(&[MAPPING_LABEL, &bytes]);
        let body_len = bytes.len();
        bytes.extend_from_slice(signature.as_bytes());
        let statement = statement.signed().clone();
        let hash = hash(&statement, &grounds);
        let mapping = Self { bytes, body_len, hash, statement, grounds, countersigned_at_ms, expires_at_ms, signature };
        mapping.verify_broker(&key.verifying_key()).map_err(CountersignError::Refused)?;
        mapping.check_rules().map_err(CountersignError::Refused)?;
        let sequence = mapping.sequence();
        let made = VerifiedMapping { mapping, account_key };
        match before {
            None if sequence == 1 => {}
            None => return Err(CountersignError::NotFirst { sequence }),
            Some(before) => {
                check_succession(before, &made).map_err(CountersignError::Succession)?;
                // A gap is for readers who were away. The broker itself misses none.
                if sequence != before.sequence().saturating_add(1) && made.hash() != before.hash() {
                    return Err(CountersignError::NotFirst { sequence });
                }
            }
        }
        Ok(made)
    }

    /// Parses the full signed bytes.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        codec::check_head(bytes, MAPPING_LEN_MAX)?;
        let (fields, rest): (MappingFields, _) = codec::decode(bytes)?;
        let body_len = bytes.len() - rest.len();
        let signature: [u8; 64] = codec::decode_exact(rest)?;
        let statement = SignedStatement::parse(fields.statement.as_slice())?;
        let grounds = Grounds::from_fields(&fields.grounds)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            body_len,
            hash: hash(&statement, &grounds),
            statement,
            grounds,
            countersigned_at_ms: fields.countersigned_at_ms,
            expires_at_ms: fields.expires_at_ms,
            signature: Signature(signature),
        })
    }

    /// The full signed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the next statement of the number names. It covers the statement and the grounds; times and signatures it leaves out, so that
    /// a statement which is countersigned a second time is the same mapping.
    #[must_use]
    pub const fn hash(&self) -> MappingHash {
        self.hash
    }

    /// What it claims that the account says.
    #[must_use]
    pub const fn statement(&self) -> &NumberStatement {
        self.statement.statement()
    }

    /// The account's signed object.
    #[must_use]
    pub const fn signed_statement(&self) -> &SignedStatement {
        &self.statement
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> &E164 {
        &self.statement().number
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.statement().account
    }

    /// The place in the number's chain.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.statement().sequence
    }

    /// The counter of the key set that it is to be checked under.
    #[must_use]
    pub const fn key_set_counter(&self) -> KeySetCounter {
        self.statement().key_set_counter
    }

    /// The hash of that key set.
    #[must_use]
    pub const fn key_set_hash(&self) -> KeySetHash {
        self.statement().key_set_hash
    }

    /// On what grounds.
    #[must_use]
    pub const fn grounds(&self) -> &Grounds {
        &self.grounds
    }

    /// When the broker countersigned, by its clock.
    #[must_use]
    pub const fn countersigned_at_ms(&self) -> u64 {
        self.countersigned_at_ms
    }

    /// Until when it holds.
    #[must_use]
    pub const fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }

    /// Checks the countersignature alone: what makes the object one of the broker's.
    ///
    /// # Errors
    /// [`MappingError::WrongBroker`], [`MappingError::BrokerSignature`].
    pub fn verify_broker(&self, broker: &VerifyingKey) -> Result<(), MappingError> {
        if self.statement().broker.as_bytes() != broker.as_bytes() {
            return Err(MappingError::WrongBroker);
        }
        broker
            .verify(&[MAPPING_LABEL, &self.bytes[..self.body_len]], &self.signature)
            .map_err(|_| MappingError::BrokerSignature)
    }

    /// What holds of every mapping, whoever signed.
    pub(super) fn check_rules(&self) -> Result<(), MappingError> {
        let statement = self.statement();
        if statement.action != Action::Bind {
            return Err(MappingError::NotABind);
        }
        let (made, issued) = (self.countersigned_at_ms, statement.issued_at_ms);
        let is_timely = issued <= made.saturating_add(CLOCK_SLACK_MS)
            && made.saturating_sub(issued) <= STATEMENT_AGE_MS_MAX
            && self.expires_at_ms > made
            && self.expires_at_ms - made <= LIFETIME_MS_MAX;
        if !is_timely {
            return Err(MappingError::Times);
        }
        self.grounds.check(statement, made)
    }

    /// Checks both signatures and the rules: the broker's key, and exactly the key set that the statement names.
    ///
    /// # Errors
    /// [`MappingError`].
    pub fn verify(self, broker: &VerifyingKey, key_set: &VerifiedKeySet) -> Result<VerifiedMapping, MappingError> {
        self.verify_broker(broker)?;
        self.check_rules()?;
        let account_key = *self.statement.clone().verify(key_set)?.account_key();
        Ok(VerifiedMapping { mapping: self, account_key })
    }
}

fn hash(statement: &SignedStatement, grounds: &Grounds) -> MappingHash {
    MappingHash::from_bytes(sha256(&[HASH_LABEL, statement.body(), &codec::encode(&grounds.fields())]))
}

/// A mapping that account and broker have signed. That it is the newest it cannot say itself: compare it with the known one
/// ([`check_succession`]) and its end with a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedMapping {
    mapping: UnverifiedMapping,
    account_key: VerifyingKey,
}

impl VerifiedMapping {
    /// The full signed bytes, as stored and sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.mapping.as_bytes()
    }

    /// What the next statement of the number names.
    #[must_use]
    pub const fn hash(&self) -> MappingHash {
        self.mapping.hash()
    }

    /// What the account says.
    #[must_use]
    pub const fn statement(&self) -> &NumberStatement {
        self.mapping.statement()
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> &E164 {
        self.mapping.number()
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.mapping.account()
    }

    /// The place in the number's chain.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.mapping.sequence()
    }

    /// On what grounds.
    #[must_use]
    pub const fn grounds(&self) -> &Grounds {
        self.mapping.grounds()
    }

    /// When the broker countersigned, by its clock.
    #[must_use]
    pub const fn countersigned_at_ms(&self) -> u64 {
        self.mapping.countersigned_at_ms()
    }

    /// Until when it holds.
    #[must_use]
    pub const fn expires_at_ms(&self) -> u64 {
        self.mapping.expires_at_ms()
    }

    /// Whether it does not hold any more.
    #[must_use]
    pub const fn is_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_at_ms()
    }

    /// The account key that signed the statement.
    #[must_use]
    pub const fn account_key(&self) -> &VerifyingKey {
        &self.account_key
    }

    /// The object without what was checked of it.
    #[must_use]
    pub const fn unverified(&self) -> &UnverifiedMapping {
        &self.mapping
    }
}
