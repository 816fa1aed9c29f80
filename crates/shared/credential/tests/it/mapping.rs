//! Number mappings: what account and broker sign, what is refused, and what convicts a broker.

use proptest::prelude::*;
use rcseal_credential::VerifiedKeySet;
use rcseal_credential::mapping::{
    Action, BrokerKeyId, Change, CountersignError, Evidence, EvidenceError, Finding, Grounds, GroundsKind,
    LIFETIME_MS_MAX, Mapping, MappingError, NumberStatement, STATEMENT_AGE_MS_MAX, SignedStatement, SuccessionError,
    UnverifiedMapping, VerifiedMapping, WAIT_MS, check_succession,
};
use rcseal_crypto::ed25519::SigningKey;

use crate::fixture::{Account, number};

pub(crate) const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;

pub(crate) fn broker() -> SigningKey {
    SigningKey::from_seed([77; 32])
}

/// What `account` says of the number, as the next one after `before`.
pub(crate) fn statement(account: &Account, before: Option<&VerifiedMapping>, now_ms: u64) -> NumberStatement {
    of_key_set(&account.first, before, now_ms)
}

fn of_key_set(key_set: &VerifiedKeySet, before: Option<&VerifiedMapping>, now_ms: u64) -> NumberStatement {
    NumberStatement {
        action: Action::Bind,
        number: "+15551230001".parse().unwrap(),
        account: key_set.account(),
        device: number(1),
        sequence: before.map_or(1, |before| before.sequence() + 1),
        previous: before.map(VerifiedMapping::hash),
        key_set_counter: key_set.counter(),
        key_set_hash: key_set.hash(),
        broker: BrokerKeyId::from_bytes(*broker().verifying_key().as_bytes()),
        issued_at_ms: now_ms,
    }
}

pub(crate) fn countersign(
    account: &Account,
    before: Option<&VerifiedMapping>,
    grounds: Grounds,
    now_ms: u64,
) -> Result<VerifiedMapping, CountersignError> {
    let statement = statement(account, before, now_ms).sign(&account.signer).unwrap();
    let statement = statement.verify(&account.first).unwrap();
    Mapping::countersign(&broker(), before, statement, grounds, now_ms, now_ms + LIFETIME_MS_MAX)
}

/// What a broker that keeps no rule signs.
fn forge(account: &Account, statement: &NumberStatement, grounds: Grounds, now_ms: u64) -> VerifiedMapping {
    unbound(account, statement, grounds, now_ms, now_ms + LIFETIME_MS_MAX)
        .verify(&broker().verifying_key(), &account.first)
        .unwrap()
}

/// Writes the layout by hand, as `docs/protocol/mapping.md` has it, and so checks that page too.
fn unbound(
    account: &Account,
    statement: &NumberStatement,
    grounds: Grounds,
    made_ms: u64,
    expires_ms: u64,
) -> UnverifiedMapping {
    layout(statement.sign(&account.signer).unwrap().as_bytes(), &grounds, made_ms, expires_ms, &broker())
}

fn layout(statement: &[u8], grounds: &Grounds, made_ms: u64, expires_ms: u64, key: &SigningKey) -> UnverifiedMapping {
    let content: Vec<u8> = match grounds {
        Grounds::First | Grounds::Same | Grounds::Recycled | Grounds::Ported => Vec::new(),
        Grounds::Released(release) => release.as_bytes().to_vec(),
        Grounds::Waited { announced_at_ms } => announced_at_ms.to_be_bytes().to_vec(),
    };
    let mut bytes = vec![1];
    bytes.extend_from_slice(&u16::try_from(statement.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(statement);
    bytes.push(grounds.kind().code());
    bytes.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&content);
    bytes.extend_from_slice(&made_ms.to_be_bytes());
    bytes.extend_from_slice(&expires_ms.to_be_bytes());
    let signature = key.sign(&[b"rcseal/number-mapping/v1", &bytes]);
    bytes.extend_from_slice(signature.as_bytes());
    UnverifiedMapping::parse(&bytes).unwrap()
}

pub(crate) fn release(account: &Account, of: &VerifiedMapping, now_ms: u64) -> SignedStatement {
    let mut statement = statement(account, Some(of), now_ms);
    statement.action = Action::Release;
    statement.sign(&account.signer).unwrap()
}

/// A number that alice has had for ten days.
fn held() -> (Account, Account, VerifiedMapping) {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mapping = countersign(&alice, None, Grounds::First, NOW).unwrap();
    (alice, bob, mapping)
}

#[test]
fn a_number_lives_through_every_ground() {
    let (alice, bob, first) = held();
    let renewed = countersign(&alice, Some(&first), Grounds::Same, NOW + DAY).unwrap();
    assert_eq!(check_succession(&first, &renewed), Ok(Change::Renewed));
    assert_eq!(check_succession(&renewed, &renewed), Ok(Change::Unchanged));

    let grounds = Grounds::Released(release(&alice, &renewed, NOW + 2 * DAY));
    let released = countersign(&bob, Some(&renewed), grounds, NOW + 2 * DAY).unwrap();
    let rebound = |kind| Ok(Change::Rebound { grounds: kind });
    assert_eq!(check_succession(&renewed, &released), rebound(Some(GroundsKind::Released)));

    let announced = NOW + 3 * DAY;
    let waited = Grounds::Waited { announced_at_ms: announced };
    let waited = countersign(&alice, Some(&released), waited, announced + WAIT_MS).unwrap();
    assert_eq!(check_succession(&released, &waited), rebound(Some(GroundsKind::Waited)));

    let recycled = countersign(&bob, Some(&waited), Grounds::Recycled, waited.expires_at_ms()).unwrap();
    assert_eq!(check_succession(&waited, &recycled), rebound(Some(GroundsKind::Recycled)));
    let ported = countersign(&alice, Some(&recycled), Grounds::Ported, recycled.countersigned_at_ms() + 1).unwrap();
    assert_eq!(check_succession(&recycled, &ported), rebound(Some(GroundsKind::Ported)));
    // Who was away sees who has it now and not by whose leave.
    assert_eq!(check_succession(&first, &ported), Ok(Change::Renewed));
    assert_eq!(check_succession(&first, &recycled), rebound(None));

    for mapping in [&first, &renewed, &released, &waited, &recycled, &ported] {
        let parsed = UnverifiedMapping::parse(mapping.as_bytes()).unwrap();
        let account = if mapping.account() == alice.id { &alice } else { &bob };
        assert_eq!(&parsed.verify(&broker().verifying_key(), &account.first).unwrap(), mapping);
    }
}

#[test]
fn a_broker_cannot_bind_a_number_to_an_account_that_did_not_ask() {
    let (alice, bob, _) = held();
    let mut stolen = statement(&bob, None, NOW);
    stolen.account = alice.id;
    stolen.key_set_counter = alice.first.counter();
    stolen.key_set_hash = alice.first.hash();
    let signed = stolen.sign(&bob.signer).unwrap();
    assert_eq!(signed.clone().verify(&alice.first), Err(MappingError::AccountSignature));
    let mapping = layout(signed.as_bytes(), &Grounds::First, NOW, NOW + DAY, &broker());
    assert_eq!(mapping.clone().verify(&broker().verifying_key(), &alice.first), Err(MappingError::AccountSignature));
    let evidence = Evidence::of_one(&mapping).with_key_set(&alice.first);
    let carried = Evidence::parse(&evidence.to_bytes()).unwrap();
    assert_eq!(carried, evidence);
    assert_eq!(carried.check(&broker().verifying_key()), Ok(Finding::Unsigned));
    assert_eq!(Evidence::of_one(&mapping).check(&broker().verifying_key()), Err(EvidenceError::NoContradiction));
}

#[test]
fn a_mapping_holds_under_one_broker_and_one_key_set_only() {
    let (alice, bob, mapping) = held();
    let other = SigningKey::from_seed([78; 32]);
    let parsed = UnverifiedMapping::parse(mapping.as_bytes()).unwrap();
    assert_eq!(parsed.clone().verify(&other.verifying_key(), &alice.first), Err(MappingError::WrongBroker));
    let later = alice.add(&alice.first, 2, 5);
    let broker_key = broker().verifying_key();
    assert_eq!(parsed.clone().verify(&broker_key, &later), Err(MappingError::KeySet));
    assert_eq!(parsed.clone().verify(&broker_key, &bob.first), Err(MappingError::KeySet));
    let by_other = layout(parsed.signed_statement().as_bytes(), &Grounds::First, NOW, NOW + DAY, &other);
    assert_eq!(by_other.verify(&broker_key, &alice.first), Err(MappingError::BrokerSignature));
    let mut no_device = statement(&alice, None, NOW);
    no_device.device = number(9);
    assert_eq!(no_device.sign(&alice.signer).unwrap().verify(&alice.first), Err(MappingError::Device));
}

#[test]
fn times_and_grounds_that_break_a_rule_convict_on_their_face() {
    let (alice, bob, first) = held();
    let broker_key = broker().verifying_key();
    let renewal = statement(&alice, Some(&first), NOW);
    let cases = [
        (renewal.clone(), Grounds::Same, NOW, NOW + LIFETIME_MS_MAX + 1, MappingError::Times),
        (renewal.clone(), Grounds::Same, NOW, NOW, MappingError::Times),
        (renewal.clone(), Grounds::Same, NOW + STATEMENT_AGE_MS_MAX + 1, NOW + 20 * DAY, MappingError::Times),
        (renewal.clone(), Grounds::Same, NOW - DAY, NOW + DAY, MappingError::Times),
        (renewal.clone(), Grounds::First, NOW, NOW + DAY, MappingError::Grounds),
        (statement(&alice, None, NOW), Grounds::Ported, NOW, NOW + DAY, MappingError::Grounds),
        (
            renewal.clone(),
            Grounds::Waited { announced_at_ms: NOW - WAIT_MS + 1 },
            NOW,
            NOW + DAY,
            MappingError::Grounds,
        ),
        (
            renewal,
            Grounds::Released(release(&bob, &countersign(&bob, None, Grounds::First, NOW).unwrap(), NOW)),
            NOW,
            NOW + DAY,
            MappingError::NotARelease,
        ),
    ];
    for (statement, grounds, made, expires, error) in cases {
        let mapping = unbound(&alice, &statement, grounds, made, expires);
        assert_eq!(mapping.clone().verify(&broker_key, &alice.first), Err(error));
        assert_eq!(Evidence::of_one(&mapping).check(&broker_key), Ok(Finding::Unlawful));
    }
    let mut binds_nothing = statement(&alice, Some(&first), NOW);
    binds_nothing.action = Action::Release;
    let mapping = unbound(&alice, &binds_nothing, Grounds::Same, NOW, NOW + DAY);
    assert_eq!(mapping.verify(&broker_key, &alice.first), Err(MappingError::NotABind));
}

#[test]
fn two_chains_of_one_number_are_evidence_against_the_broker() {
    let (alice, bob, first) = held();
    let fork = forge(&bob, &statement(&bob, None, NOW + 1), Grounds::First, NOW + 1);
    let Err(SuccessionError::Forked(evidence)) = check_succession(&first, &fork) else { panic!("not a fork") };
    assert_eq!(evidence.check(&broker().verifying_key()), Ok(Finding::Forked));

    // The next one names another mapping than the one that was shown.
    let hidden = forge(&alice, &statement(&alice, Some(&fork), NOW + 2), Grounds::Ported, NOW + 2);
    let Err(SuccessionError::Forked(evidence)) = check_succession(&first, &hidden) else { panic!("not a fork") };
    let carried = Evidence::parse(&evidence.to_bytes()).unwrap();
    assert_eq!(carried.check(&broker().verifying_key()), Ok(Finding::Skipped));
    assert_eq!(
        carried.check(&SigningKey::from_seed([78; 32]).verifying_key()),
        Err(EvidenceError::Mapping(MappingError::WrongBroker))
    );
}

#[test]
fn grounds_that_do_not_hold_against_the_mapping_before_are_evidence() {
    let (alice, bob, first) = held();
    let next = statement(&bob, Some(&first), NOW + DAY);
    let forged_release = {
        let mut statement = statement(&alice, Some(&first), NOW + DAY);
        statement.action = Action::Release;
        statement.sign(&bob.signer).unwrap()
    };
    let early = NOW - 1;
    let cases = [
        (Grounds::Same, false),
        (Grounds::Recycled, false),
        (Grounds::Waited { announced_at_ms: early }, false),
        (Grounds::Released(release(&bob, &first, NOW + DAY)), false),
        (Grounds::Released(forged_release), true),
    ];
    for (grounds, needs_key_set) in cases {
        let kind = grounds.kind();
        let made = if kind == GroundsKind::Waited { NOW + 7 * DAY } else { NOW + DAY };
        let swapped = forge(&bob, &next, grounds, made);
        let Err(SuccessionError::NotNext(evidence)) = check_succession(&first, &swapped) else {
            panic!("{} was taken", kind.as_str())
        };
        let broker_key = broker().verifying_key();
        if needs_key_set {
            assert_eq!(evidence.check(&broker_key), Ok(Finding::Asserted { grounds: Some(kind) }));
        }
        assert_eq!(evidence.with_key_set(&alice.first).check(&broker_key), Ok(Finding::Groundless), "{kind:?}");
    }
}

#[test]
fn what_is_only_the_brokers_word_is_called_that() {
    let (_, bob, first) = held();
    let ported = countersign(&bob, Some(&first), Grounds::Ported, NOW + 1).unwrap();
    let evidence = Evidence::of_pair(first.unverified(), ported.unverified());
    let finding = evidence.check(&broker().verifying_key()).unwrap();
    assert_eq!(finding, Finding::Asserted { grounds: Some(GroundsKind::Ported) });
    assert!(!finding.is_proof());
}

#[test]
fn older_mappings_and_strangers_do_not_follow() {
    let (alice, _, first) = held();
    let second = countersign(&alice, Some(&first), Grounds::Same, NOW + DAY).unwrap();
    assert_eq!(check_succession(&second, &first), Err(SuccessionError::RolledBack { known: 2, offered: 1 }));
    let mut elsewhere = statement(&alice, None, NOW);
    elsewhere.number = "+15551230002".parse().unwrap();
    let elsewhere = forge(&alice, &elsewhere, Grounds::First, NOW);
    assert_eq!(check_succession(&first, &elsewhere), Err(SuccessionError::OtherNumber));
}

#[test]
fn a_broker_makes_nothing_that_readers_would_refuse() {
    let (alice, bob, first) = held();
    let no_before = statement(&alice, Some(&first), NOW).sign(&alice.signer).unwrap().verify(&alice.first).unwrap();
    let made = Mapping::countersign(&broker(), None, no_before, Grounds::Same, NOW, NOW + DAY);
    assert_eq!(made, Err(CountersignError::NotFirst { sequence: 2 }));
    let taken = countersign(&bob, Some(&first), Grounds::Same, NOW);
    assert!(matches!(taken, Err(CountersignError::Succession(SuccessionError::NotNext(_)))));
    let mut leap = statement(&alice, Some(&first), NOW);
    leap.sequence = 5;
    let leap = leap.sign(&alice.signer).unwrap().verify(&alice.first).unwrap();
    let made = Mapping::countersign(&broker(), Some(&first), leap, Grounds::Same, NOW, NOW + DAY);
    assert_eq!(made, Err(CountersignError::NotFirst { sequence: 5 }));
    // A second countersignature of the same statement is the same mapping.
    let again = statement(&alice, None, NOW).sign(&alice.signer).unwrap().verify(&alice.first).unwrap();
    let again = Mapping::countersign(&broker(), Some(&first), again, Grounds::First, NOW + 5, NOW + DAY).unwrap();
    assert_eq!(check_succession(&first, &again), Ok(Change::Unchanged));
}

#[test]
fn statements_that_no_reader_would_parse_are_not_signed() {
    let (alice, _, first) = held();
    let broken: [fn(&mut NumberStatement); 5] = [
        |statement| statement.sequence = 0,
        |statement| statement.sequence = 1,
        |statement| statement.previous = None,
        |statement| statement.broker = BrokerKeyId::from_bytes([0; 32]),
        |statement| statement.key_set_counter = rcseal_wire::id::KeySetCounter::new(0),
    ];
    for (index, change) in broken.into_iter().enumerate() {
        let mut statement = statement(&alice, Some(&first), NOW);
        change(&mut statement);
        assert!(statement.sign(&alice.signer).is_err(), "{index}");
    }
}

#[test]
fn no_byte_of_a_mapping_can_be_changed() {
    let (alice, _, first) = held();
    let broker_key = broker().verifying_key();
    for index in 0..first.as_bytes().len() {
        for change in [0x01, 0x80] {
            let mut changed = first.as_bytes().to_vec();
            changed[index] ^= change;
            let believed = UnverifiedMapping::parse(&changed)
                .is_ok_and(|mapping| mapping.verify(&broker_key, &alice.first).is_ok());
            assert!(!believed, "byte {index} xor {change:#04x}");
        }
    }
}

#[test]
fn the_longest_mapping_keeps_to_its_limit() {
    let (alice, bob, first) = held();
    let grounds = Grounds::Released(release(&alice, &first, NOW));
    let mapping = countersign(&bob, Some(&first), grounds, NOW).unwrap();
    // A number of 15 digits is four longer than this one, in the statement and in the release.
    assert_eq!(mapping.as_bytes().len() + 2 * 4, 526, "the page and the constants name this length");
    assert_eq!(mapping.unverified().signed_statement().as_bytes().len() + 4, 220);
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
        prop_assert!(UnverifiedMapping::parse(&bytes).is_err());
        prop_assert!(SignedStatement::parse(&bytes).is_err());
        prop_assert!(Evidence::parse(&bytes).is_err());
    }

    #[test]
    fn a_mapping_cut_and_spliced_never_panics_nor_is_believed(
        cut in 0usize..300,
        insert in proptest::collection::vec(any::<u8>(), 0..64),
        skip in 0usize..64,
    ) {
        let (alice, _, first) = held();
        let bytes = first.as_bytes();
        let spliced = [&bytes[..cut], &insert, bytes.get(cut + skip..).unwrap_or_default()].concat();
        prop_assume!(spliced != bytes);
        let believed = UnverifiedMapping::parse(&spliced)
            .is_ok_and(|mapping| mapping.verify(&broker().verifying_key(), &alice.first).is_ok());
        prop_assert!(!believed);
    }

    #[test]
    fn what_parses_has_one_encoding(index in 0usize..300, value: u8) {
        let (_, _, first) = held();
        let mut bytes = first.as_bytes().to_vec();
        bytes[index] = value;
        if let Ok(mapping) = UnverifiedMapping::parse(&bytes) {
            let rewritten = layout(
                mapping.signed_statement().as_bytes(),
                mapping.grounds(),
                mapping.countersigned_at_ms(),
                mapping.expires_at_ms(),
                &broker(),
            );
            let signed_len = bytes.len() - 64;
            prop_assert_eq!(&rewritten.as_bytes()[..signed_len], &bytes[..signed_len]);
        }
    }
}
