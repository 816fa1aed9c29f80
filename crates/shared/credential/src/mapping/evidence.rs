//! What a broker signed that it must not have signed, in a form that a third party can check.
//!
//! Evidence holds one or two mappings as they came, and a key set where one is needed to judge them. Whoever has the broker's key can
//! check it without trusting the one who shows it: every finding but the last follows from the broker's own signatures.

use super::codec::{self, EvidenceFields};
use super::grounds::Before;
use super::{EvidenceError, FormError, GroundsKind, MAPPING_VERSION, UnverifiedMapping};
use crate::{KEY_SET_LEN_MAX, UnverifiedKeySet, VerifiedKeySet};
use rcseal_crypto::ed25519::VerifyingKey;

/// Bytes of the longest evidence: a key set, two mappings and their length fields.
const EVIDENCE_LEN_MAX: usize = KEY_SET_LEN_MAX + 2 * super::MAPPING_LEN_MAX + 16;

/// One or two mappings that speak against the broker that signed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    first: UnverifiedMapping,
    second: Option<UnverifiedMapping>,
    key_set: Option<UnverifiedKeySet>,
    key_set_bytes: Vec<u8>,
}

/// What evidence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// Two mappings of one number at one place of its chain.
    Forked,
    /// A mapping whose predecessor, which it names, is another one than the broker signed.
    Skipped,
    /// The number changed hands on grounds that do not hold.
    Groundless,
    /// A mapping that breaks a rule on its face: its times, or its grounds.
    Unlawful,
    /// A mapping with a statement that the account did not sign.
    Unsigned,
    /// The number changed hands, and nothing in the two contradicts the other: what is disputed is the broker's word.
    Asserted {
        /// The grounds it gave; none where mappings between are missing.
        grounds: Option<GroundsKind>,
    },
}

impl Finding {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forked => "forked",
            Self::Skipped => "skipped",
            Self::Groundless => "groundless",
            Self::Unlawful => "unlawful",
            Self::Unsigned => "unsigned",
            Self::Asserted { .. } => "asserted",
        }
    }

    /// Whether the broker's signatures alone prove that it broke a rule.
    #[must_use]
    pub const fn is_proof(self) -> bool {
        match self {
            Self::Forked | Self::Skipped | Self::Groundless | Self::Unlawful | Self::Unsigned => true,
            Self::Asserted { .. } => false,
        }
    }
}

impl Evidence {
    /// Two mappings of one number.
    #[must_use]
    pub fn of_pair(first: &UnverifiedMapping, second: &UnverifiedMapping) -> Self {
        Self { first: first.clone(), second: Some(second.clone()), key_set: None, key_set_bytes: Vec::new() }
    }

    /// One mapping that does not hold.
    #[must_use]
    pub fn of_one(mapping: &UnverifiedMapping) -> Self {
        Self { first: mapping.clone(), second: None, key_set: None, key_set_bytes: Vec::new() }
    }

    /// Adds the key set that the first mapping names: it shows that its statement, or a release of its holder's, was not signed.
    #[must_use]
    pub fn with_key_set(self, key_set: &VerifiedKeySet) -> Self {
        let key_set_bytes = key_set.as_bytes().to_vec();
        // What a verified set was parsed from parses again.
        Self { key_set: UnverifiedKeySet::parse(&key_set_bytes).ok(), key_set_bytes, ..self }
    }

    /// The mappings.
    #[must_use]
    pub const fn mappings(&self) -> (&UnverifiedMapping, Option<&UnverifiedMapping>) {
        (&self.first, self.second.as_ref())
    }

    /// The portable form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&EvidenceFields {
            version: MAPPING_VERSION,
            first: self.first.as_bytes().to_vec().into(),
            second: self.second.as_ref().map_or_else(Vec::new, |mapping| mapping.as_bytes().to_vec()).into(),
            key_set: self.key_set_bytes.clone().into(),
        })
    }

    /// Parses the portable form.
    ///
    /// # Errors
    /// [`EvidenceError::Form`], [`EvidenceError::KeySet`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let form = EvidenceError::Form;
        codec::check_head(bytes, EVIDENCE_LEN_MAX).map_err(form)?;
        let fields: EvidenceFields = codec::decode_exact(bytes).map_err(form)?;
        let mapping = |bytes: &[u8]| UnverifiedMapping::parse(bytes).map_err(form);
        let second = match fields.second.as_slice() {
            [] => None,
            bytes => Some(mapping(bytes)?),
        };
        let key_set_bytes = fields.key_set.into_vec();
        let key_set = match &key_set_bytes[..] {
            [] => None,
            bytes => Some(UnverifiedKeySet::parse(bytes).map_err(|_| EvidenceError::Form(FormError::Malformed))?),
        };
        Ok(Self { first: mapping(fields.first.as_slice())?, second, key_set, key_set_bytes })
    }

    /// What it shows of the broker with this key.
    ///
    /// # Errors
    /// [`EvidenceError`]: it shows nothing.
    pub fn check(&self, broker: &VerifyingKey) -> Result<Finding, EvidenceError> {
        self.first.verify_broker(broker).map_err(EvidenceError::Mapping)?;
        let key_set = self.verified_key_set()?;
        let Some(second) = &self.second else {
            return Self::check_one(&self.first, key_set.as_ref());
        };
        second.verify_broker(broker).map_err(EvidenceError::Mapping)?;
        if self.first.number() != second.number() {
            return Err(EvidenceError::Unrelated);
        }
        for mapping in [&self.first, second] {
            if mapping.check_rules().is_err() {
                return Ok(Finding::Unlawful);
            }
        }
        let (older, newer) =
            if self.first.sequence() <= second.sequence() { (&self.first, second) } else { (second, &self.first) };
        let holder = key_set.as_ref().filter(|set| set.hash() == older.key_set_hash()).map(VerifiedKeySet::account_key);
        Self::check_pair(older, newer, holder)
    }

    fn verified_key_set(&self) -> Result<Option<VerifiedKeySet>, EvidenceError> {
        let Some(key_set) = self.key_set.clone() else { return Ok(None) };
        let is_named = [Some(&self.first), self.second.as_ref()]
            .into_iter()
            .flatten()
            .any(|mapping| mapping.key_set_hash() == key_set.hash());
        if !is_named {
            return Err(EvidenceError::KeySet(None));
        }
        key_set.verify().map(Some).map_err(|cause| EvidenceError::KeySet(Some(cause)))
    }

    fn check_one(mapping: &UnverifiedMapping, key_set: Option<&VerifiedKeySet>) -> Result<Finding, EvidenceError> {
        if mapping.check_rules().is_err() {
            return Ok(Finding::Unlawful);
        }
        let Some(key_set) = key_set else { return Err(EvidenceError::NoContradiction) };
        match mapping.signed_statement().clone().verify(key_set) {
            Ok(_) => Err(EvidenceError::NoContradiction),
            // The set has the hash that the statement names: whatever else differs, the broker signed it.
            Err(_) => Ok(Finding::Unsigned),
        }
    }

    fn check_pair(
        older: &UnverifiedMapping,
        newer: &UnverifiedMapping,
        holder: Option<&VerifyingKey>,
    ) -> Result<Finding, EvidenceError> {
        if older.hash() == newer.hash() {
            return Err(EvidenceError::NoContradiction);
        }
        let distance = newer.sequence() - older.sequence();
        let is_rebound = older.account() != newer.account();
        match distance {
            0 => Ok(Finding::Forked),
            1 if newer.statement().previous != Some(older.hash()) => Ok(Finding::Skipped),
            1 => {
                let before = Before {
                    statement: older.statement(),
                    countersigned_at_ms: older.countersigned_at_ms(),
                    expires_at_ms: older.expires_at_ms(),
                    holder,
                };
                if !before.allows(newer.grounds(), newer.account(), newer.countersigned_at_ms()) {
                    Ok(Finding::Groundless)
                } else if is_rebound {
                    Ok(Finding::Asserted { grounds: Some(newer.grounds().kind()) })
                } else {
                    Err(EvidenceError::NoContradiction)
                }
            }
            _ if is_rebound => Ok(Finding::Asserted { grounds: None }),
            _ => Err(EvidenceError::NoContradiction),
        }
    }
}
