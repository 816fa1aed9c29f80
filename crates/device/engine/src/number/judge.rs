//! What a mapping is worth that somebody shows: by its signatures, and against what is known.

use rcseal_credential::mapping::{Evidence, MappingError, SuccessionError, UnverifiedMapping, VerifiedMapping};
use rcseal_credential::{UnverifiedKeySet, VerifiedKeySet};
use rcseal_wire::id::AccountId;
use rcseal_wire::number::E164;

use super::BrokerFinding;
use super::record::Broker;
use crate::context::UnixMillis;

/// What is wrong with something that a broker shows.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    pub(super) finding: BrokerFinding,
    /// The stable code of the cause.
    pub(super) code: &'static str,
    pub(super) evidence: Option<Box<Evidence>>,
    /// The contact whose word it rests on; none where the broker's own suffice.
    pub(super) told_by: Option<AccountId>,
}

impl Doubt {
    pub(super) const fn new(finding: BrokerFinding, code: &'static str) -> Self {
        Self { finding, code, evidence: None, told_by: None }
    }

    pub(super) const fn told_by(mut self, contact: AccountId) -> Self {
        self.told_by = Some(contact);
        self
    }

    fn with(self, evidence: Evidence) -> Self {
        Self { evidence: Some(Box::new(evidence)), ..self }
    }
}

/// What a mapping that does not verify says of the broker that shows it.
pub(super) const fn finding_of(error: &MappingError) -> BrokerFinding {
    match error {
        MappingError::WrongBroker => BrokerFinding::OtherKey,
        // Countersigned for an account that did not ask for it.
        MappingError::AccountSignature | MappingError::KeySet | MappingError::Device => BrokerFinding::Swapped,
        MappingError::BrokerSignature
        | MappingError::NotABind
        | MappingError::NotARelease
        | MappingError::Grounds
        | MappingError::Times => BrokerFinding::MappingInvalid,
    }
}

/// What a mapping that does not follow says of the broker that shows it.
pub(super) const fn finding_of_succession(error: &SuccessionError) -> BrokerFinding {
    match error {
        SuccessionError::OtherNumber | SuccessionError::NotNext(_) => BrokerFinding::Swapped,
        SuccessionError::OtherBroker => BrokerFinding::OtherKey,
        SuccessionError::RolledBack { .. } => BrokerFinding::RolledBack,
        SuccessionError::Forked(_) => BrokerFinding::Forked,
    }
}

/// Checks what can be checked of a mapping without the key set that it names: the broker's signature, whose number it is, and its times.
pub(super) fn countersigned(
    broker: &Broker,
    number: &E164,
    mapping: &[u8],
    now: UnixMillis,
) -> Result<UnverifiedMapping, Doubt> {
    let mapping =
        UnverifiedMapping::parse(mapping).map_err(|error| Doubt::new(BrokerFinding::MappingInvalid, error.code()))?;
    if mapping.number() != number {
        return Err(Doubt::new(BrokerFinding::Swapped, "mapping_other_number"));
    }
    mapping.verify_broker(&broker.key).map_err(|error| Doubt::new(finding_of(&error), error.code()))?;
    if mapping.countersigned_at_ms() > now.plus(super::AHEAD_MS).0 {
        return Err(Doubt::new(BrokerFinding::MappingInvalid, "mapping_times"));
    }
    Ok(mapping)
}

/// Checks what a broker shows for a number, by its signatures and its time.
pub(super) fn believable(
    broker: &Broker,
    number: &E164,
    mapping: &[u8],
    key_set: &[u8],
    now: UnixMillis,
) -> Result<(VerifiedMapping, VerifiedKeySet), Doubt> {
    let mapping = countersigned(broker, number, mapping, now)?;
    let key_set = UnverifiedKeySet::parse(key_set)
        .map_err(|error| Doubt::new(BrokerFinding::MappingInvalid, error.code()))?
        .verify()
        .map_err(|error| Doubt::new(BrokerFinding::MappingInvalid, error.code()))?;
    let verified = mapping.clone().verify(&broker.key, &key_set).map_err(|error| {
        let evidence = Evidence::of_one(&mapping);
        // The key set convicts only where it is the one that the mapping names.
        let is_named = mapping.key_set_hash() == key_set.hash();
        let evidence = if is_named { evidence.with_key_set(&key_set) } else { evidence };
        let doubt = Doubt::new(finding_of(&error), error.code());
        if evidence.check(&broker.key).is_ok() { doubt.with(evidence) } else { doubt }
    })?;
    if verified.is_expired(now.0) {
        return Err(Doubt::new(BrokerFinding::MappingInvalid, "mapping_expired"));
    }
    Ok((verified, key_set))
}

/// A succession that does not hold, with the key set of the mapping before, which shows whether its holder signed a release.
pub(super) fn doubt_of(error: &SuccessionError, known_key_set: &VerifiedKeySet) -> Doubt {
    let doubt = Doubt::new(finding_of_succession(error), error.code());
    match error.evidence() {
        Some(evidence) => doubt.with(evidence.clone().with_key_set(known_key_set)),
        None => doubt,
    }
}
