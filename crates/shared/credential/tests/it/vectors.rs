//! The shared vectors in `vectors/credential`. `RCSEAL_WRITE_VECTORS=1` writes them anew; a change of theirs is a change of format.

use std::path::PathBuf;

use rcseal_credential::mapping::{Evidence, Finding, Grounds, WAIT_MS};
use rcseal_credential::{
    AccountSigner, KeySetBuilder, RecoveryCommitment, RecoveryKey, SafetyNumber, Succession, UnverifiedKeySet,
};

use crate::fixture::{Account, Device, number};
use crate::mapping::{NOW, broker, countersign, release};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors/credential").join(name)
}

/// Compares with the file of shared vectors, or writes it when asked to.
fn check(name: &str, produced: &str) {
    if std::env::var_os("RCSEAL_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path("")).unwrap();
        std::fs::write(path(name), produced).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path(name)).unwrap(), produced, "{name}");
}

#[test]
fn key_sets_match_the_shared_vectors() {
    let recovery = RecoveryKey::from_seed([9; 32]);
    let account = Account::with_recovery(1, recovery.commitment());
    let second = account.add(&account.first, 2, 2);
    let third = account.remove(&second, 1);
    let signers: Vec<AccountSigner> = [21, 22, 23].map(|seed| AccountSigner::from_seed([seed; 32])).into();
    let migrated = KeySetBuilder::successor(&third).sign_migration(&account.signer, &signers[0]).unwrap();
    let recovered = KeySetBuilder::recovery(&migrated, &recovery, RecoveryKey::from_seed([10; 32]).commitment())
        .unwrap()
        .add_device(Device::new(3).entry(account.id, 3))
        .unwrap()
        .sign_recovery(&recovery, &signers[1])
        .unwrap();
    let reset = KeySetBuilder::reset(&recovered, RecoveryKey::from_seed([11; 32]).commitment())
        .add_device(Device::new(4).entry(account.id, 4))
        .unwrap()
        .sign_reset(&signers[2], 1_800_000_000_000)
        .unwrap();
    let chain = [&account.first, &second, &third, &migrated, &recovered, &reset];
    let steps: Vec<&str> = std::iter::once("first")
        .chain(chain.windows(2).map(|pair| pair[0].check_successor(pair[1]).unwrap().as_str()))
        .collect();
    let rows: Vec<String> = chain
        .iter()
        .zip(steps)
        .map(|(set, step)| {
            format!(
                "    {{ \"counter\": {}, \"succession\": \"{step}\", \"hash\": \"{}\", \"signed\": \"{}\" }}",
                set.counter(),
                hex::encode(set.hash().as_bytes()),
                hex::encode(set.as_bytes())
            )
        })
        .collect();
    let produced = format!(
        "{{\n  \"source\": \"RCSeal, docs/protocol/key-set.md: a chain of six sets (one device; two; the first removed; a migration; a recovery; a reset)\",\n  \"account\": \"{}\",\n  \"account_seed\": \"{}\",\n  \"recovery_seed\": \"{}\",\n  \"sets\": [\n{}\n  ]\n}}\n",
        hex::encode(account.id.as_bytes()),
        hex::encode(account.signer.seed()),
        hex::encode(recovery.seed()),
        rows.join(",\n")
    );
    check("key_set.json", &produced);
    assert_eq!(account.first.check_newer(&third), Ok(Succession::SameAccountKey));
    assert!(UnverifiedKeySet::parse(third.as_bytes()).unwrap().verify().is_ok());
    assert_eq!(third.highest_device(), number(2));
}

#[test]
fn safety_numbers_match_the_shared_vectors() {
    let account = |seed| {
        let signer = AccountSigner::from_seed([seed; 32]);
        let id = rcseal_wire::id::AccountId::from_bytes([seed; 16]);
        let set = KeySetBuilder::first(id, RecoveryCommitment::NONE)
            .add_device(Device::new(u64::from(seed)).entry(id, 1))
            .unwrap()
            .sign(&signer)
            .unwrap();
        set.party()
    };
    let (us, them) = (account(1), account(2));
    let number = SafetyNumber::new(&us, &them);
    let produced = format!(
        "{{\n  \"source\": \"RCSeal, docs/protocol/key-set.md, safety number version 1\",\n  \"our_account\": \"{}\",\n  \"our_account_key\": \"{}\",\n  \"their_account\": \"{}\",\n  \"their_account_key\": \"{}\",\n  \"numeric\": \"{}\",\n  \"our_qr\": \"{}\"\n}}\n",
        hex::encode(us.account.as_bytes()),
        hex::encode(us.account_key.as_bytes()),
        hex::encode(them.account.as_bytes()),
        hex::encode(them.account_key.as_bytes()),
        number.numeric(),
        number.qr_payload()
    );
    check("safety_number.json", &produced);
}

#[test]
fn mappings_match_the_shared_vectors() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let first = countersign(&alice, None, Grounds::First, NOW).unwrap();
    let renewed = countersign(&alice, Some(&first), Grounds::Same, NOW + 1_000).unwrap();
    let release = release(&alice, &renewed, NOW + 2_000);
    let released = countersign(&bob, Some(&renewed), Grounds::Released(release), NOW + 3_000).unwrap();
    let announced_at_ms = NOW + 4_000;
    let waited = Grounds::Waited { announced_at_ms };
    let waited = countersign(&alice, Some(&released), waited, announced_at_ms + WAIT_MS).unwrap();
    let fork = countersign(&bob, None, Grounds::First, NOW).unwrap();
    let chain = [&first, &renewed, &released, &waited];
    let rows: Vec<String> = chain
        .iter()
        .map(|mapping| {
            format!(
                "    {{ \"sequence\": {}, \"grounds\": \"{}\", \"account\": \"{}\", \"hash\": \"{}\", \"signed\": \"{}\" }}",
                mapping.sequence(),
                mapping.grounds().kind().as_str(),
                hex::encode(mapping.account().as_bytes()),
                hex::encode(mapping.hash().as_bytes()),
                hex::encode(mapping.as_bytes())
            )
        })
        .collect();
    let evidence = Evidence::of_pair(first.unverified(), fork.unverified());
    assert_eq!(evidence.check(&broker().verifying_key()), Ok(Finding::Forked));
    let produced = format!(
        "{{\n  \"source\": \"RCSeal, docs/protocol/mapping.md: a number's chain at one broker, and a fork of it\",\n  \"broker_seed\": \"{}\",\n  \"broker_key\": \"{}\",\n  \"key_sets\": [\n    \"{}\",\n    \"{}\"\n  ],\n  \"mappings\": [\n{}\n  ],\n  \"evidence_of_a_fork\": \"{}\"\n}}\n",
        hex::encode(broker().seed()),
        hex::encode(broker().verifying_key().as_bytes()),
        hex::encode(alice.first.as_bytes()),
        hex::encode(bob.first.as_bytes()),
        rows.join(",\n"),
        hex::encode(evidence.to_bytes())
    );
    check("mapping.json", &produced);
}
