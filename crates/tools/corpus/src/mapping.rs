//! Targets for number mappings: an account's statements, a broker's countersignatures, and evidence against a broker.

use rcseal_credential::AccountSigner;
use rcseal_credential::mapping::{
    Action, BrokerKeyId, Evidence, Grounds, Mapping, NumberStatement, SignedStatement, UnverifiedMapping,
    VerifiedMapping,
};
use rcseal_crypto::ed25519::SigningKey;

use crate::Verdict;
use crate::credential::{first_key_set, signer};

const NOW_MS: u64 = 1_800_000_000_000;

/// What an account says of a number. No fuzzer can sign, so what parses is accepted.
pub(crate) fn number_statement(bytes: &[u8]) -> Verdict {
    let parsed = SignedStatement::parse(bytes);
    if let Ok(signed) = &parsed {
        assert_eq!(signed.as_bytes(), bytes, "a statement is kept as it was signed");
        let again = signed.statement().sign(&AccountSigner::from_seed([9; 32]));
        let again = again.expect("what parses can be signed");
        let body = bytes.len() - 64;
        assert_eq!(again.as_bytes()[..body], bytes[..body], "a statement has one encoding");
        let _ = signed.clone().verify(&first_key_set());
    }
    Verdict::of(&parsed)
}

pub(crate) fn number_statement_seeds() -> Vec<Vec<u8>> {
    let first = first();
    let mut release = statement(Some(&first));
    release.action = Action::Release;
    [statement(None), statement(Some(&first)), release]
        .iter()
        .map(|statement| signed(statement).as_bytes().to_vec())
        .collect()
}

/// A mapping as a broker or a contact shows it.
pub(crate) fn number_mapping(bytes: &[u8]) -> Verdict {
    let parsed = UnverifiedMapping::parse(bytes);
    if let Ok(mapping) = &parsed {
        assert_eq!(mapping.as_bytes(), bytes, "a mapping is kept as it was signed");
        let _ = Evidence::of_one(mapping).check(&broker().verifying_key());
        let hash = mapping.hash();
        if let Ok(verified) = mapping.clone().verify(&broker().verifying_key(), &first_key_set()) {
            assert_eq!(verified.hash(), hash, "verifying changes no hash");
        }
    }
    Verdict::of(&parsed)
}

pub(crate) fn number_mapping_seeds() -> Vec<Vec<u8>> {
    let first = first();
    let second = countersigned(Some(&first), Grounds::Same);
    let mut release = statement(Some(&second));
    release.action = Action::Release;
    let released = countersigned(Some(&second), Grounds::Released(signed(&release)));
    [first, second, released].iter().map(|mapping| mapping.as_bytes().to_vec()).collect()
}

/// Evidence as a third party is shown it.
pub(crate) fn mapping_evidence(bytes: &[u8]) -> Verdict {
    let parsed = Evidence::parse(bytes);
    if let Ok(evidence) = &parsed {
        assert_eq!(evidence.to_bytes(), bytes, "evidence has one encoding");
        let _ = evidence.check(&broker().verifying_key());
    }
    Verdict::of(&parsed)
}

pub(crate) fn mapping_evidence_seeds() -> Vec<Vec<u8>> {
    let first = first();
    let ported = countersigned(Some(&first), Grounds::Ported);
    let pair = Evidence::of_pair(first.unverified(), ported.unverified());
    let one = Evidence::of_one(first.unverified()).with_key_set(&first_key_set());
    vec![pair.to_bytes(), one.to_bytes()]
}

fn broker() -> SigningKey {
    SigningKey::from_seed([6; 32])
}

fn first() -> VerifiedMapping {
    countersigned(None, Grounds::First)
}

fn statement(before: Option<&VerifiedMapping>) -> NumberStatement {
    let key_set = first_key_set();
    NumberStatement {
        action: Action::Bind,
        number: "+15551230001".parse().expect("eleven digits are a number"),
        account: key_set.account(),
        device: key_set.devices()[0].number(),
        sequence: before.map_or(1, |before| before.sequence() + 1),
        previous: before.map(VerifiedMapping::hash),
        key_set_counter: key_set.counter(),
        key_set_hash: key_set.hash(),
        broker: BrokerKeyId::from_bytes(*broker().verifying_key().as_bytes()),
        issued_at_ms: NOW_MS,
    }
}

fn signed(statement: &NumberStatement) -> SignedStatement {
    statement.sign(&signer()).expect("every field has a value that it may have")
}

fn countersigned(before: Option<&VerifiedMapping>, grounds: Grounds) -> VerifiedMapping {
    let verified = signed(&statement(before)).verify(&first_key_set()).expect("the account of that set signed it");
    let made = Mapping::countersign(&broker(), before, verified, grounds, NOW_MS, NOW_MS + 1_000);
    made.expect("each follows the one before on grounds that hold")
}
