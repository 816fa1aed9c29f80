//! What a client accepts after what it knows.

use rcseal_credential::{
    AccountSigner, BuildError, IdentityProfile, KeySetBuilder, KeySetError, RecoveryCommitment, Succession,
    UnverifiedKeySet, VerifiedKeySet,
};
use rcseal_crypto::ed25519::SigningKey;
use rcseal_wire::id::KeySetCounter;

use crate::fixture::{Account, Device, number, rng};

fn counter(counter: u64) -> KeySetCounter {
    KeySetCounter::new(counter)
}

#[test]
fn the_next_set_is_accepted_and_the_same_one_is_no_news() {
    let account = Account::new(1);
    let second = account.add(&account.first, 2, 12);
    assert_eq!(account.first.check_successor(&second), Ok(Succession::SameAccountKey));
    assert_eq!(account.first.check_newer(&second), Ok(Succession::SameAccountKey));
    assert_eq!(second.check_successor(&second), Ok(Succession::Unchanged));
    assert_eq!(second.check_newer(&second), Ok(Succession::Unchanged));
}

#[test]
fn a_rolled_back_set_is_refused() {
    let account = Account::new(1);
    let second = account.add(&account.first, 2, 12);
    let rollback = KeySetError::Rollback { known: counter(2), offered: counter(1) };
    assert_eq!(second.check_successor(&account.first), Err(rollback));
    assert_eq!(second.check_newer(&account.first), Err(rollback));
    assert_eq!(rollback.code(), "key_set_rollback");
}

#[test]
fn a_fork_is_refused_at_the_counter_and_after_it() {
    let account = Account::new(1);
    let (left, right) = (account.add(&account.first, 2, 12), account.add(&account.first, 2, 13));
    let fork = Err(KeySetError::Fork { counter: counter(2) });
    assert_eq!(left.check_successor(&right), fork);
    assert_eq!(left.check_newer(&right), fork);
    let after_right = account.remove(&right, 2);
    assert_eq!(left.check_successor(&after_right), fork);
    assert_eq!(left.check_newer(&after_right), fork);
}

#[test]
fn another_account_is_refused() {
    let (account, other) = (Account::new(1), Account::new(2));
    let wrong = Err(KeySetError::WrongAccount { known: account.id, offered: other.id });
    assert_eq!(account.first.check_successor(&other.first), wrong);
    assert_eq!(account.first.check_newer(&other.first), wrong);
}

#[test]
fn a_gap_is_named_by_the_strict_check_and_bridged_by_the_other() {
    let account = Account::new(1);
    let second = account.add(&account.first, 2, 12);
    let third = account.remove(&second, 2);
    assert_eq!(account.first.check_successor(&third), Err(KeySetError::Gap { known: counter(1), offered: counter(3) }));
    assert_eq!(account.first.check_newer(&third), Ok(Succession::SameAccountKey));
}

#[test]
fn a_device_number_is_never_reused() {
    let account = Account::new(1);
    let second = account.add(&account.first, 2, 12);
    let third = account.remove(&second, 2);
    assert_eq!(third.highest_device(), number(2));
    assert_eq!(third.next_device_number(), Some(number(3)));
    let again = KeySetBuilder::successor(&third).add_device(Device::new(12).entry(account.id, 2)).unwrap();
    assert_eq!(
        again.sign(&account.signer).unwrap_err(),
        BuildError::Refused(KeySetError::DeviceNumberReused { device: number(2) })
    );
    // Another device in the place of a living one is reuse too.
    let replaced = KeySetBuilder::successor(&second).replace_device(Device::new(13).entry(account.id, 2)).unwrap();
    assert_eq!(
        replaced.sign(&account.signer).unwrap_err(),
        BuildError::Refused(KeySetError::DeviceNumberReused { device: number(2) })
    );
}

/// A set of the same account key at a chosen counter, as a careless or hostile primary could sign it: built on a chain of its own.
fn elsewhere(account: &Account, steps: usize, device: u8, seed: u64) -> VerifiedKeySet {
    let mut set = account.first.clone();
    for _ in 0..steps {
        set = KeySetBuilder::successor(&set).sign(&account.signer).unwrap();
    }
    account.add(&set, device, seed)
}

#[test]
fn reuse_is_seen_across_a_gap() {
    let account = Account::new(1);
    let known = account.add(&account.first, 2, 12);
    let offered = elsewhere(&account, 3, 2, 13);
    assert_eq!(known.check_newer(&offered), Err(KeySetError::DeviceNumberReused { device: number(2) }));
}

#[test]
fn the_highest_number_never_falls() {
    let account = Account::new(1);
    let known = account.add(&account.first, 9, 12);
    let mut offered = account.first.clone();
    for _ in 0..4 {
        offered = KeySetBuilder::successor(&offered).sign(&account.signer).unwrap();
    }
    assert_eq!(known.check_newer(&offered), Err(KeySetError::HighestDevice { known: number(9), offered: number(1) }));
}

#[test]
fn a_device_renews_its_keys_under_its_number() {
    let account = Account::new(1);
    let device = Device::new(1);
    let renewed = device.entry_with(
        account.id,
        1,
        &[(IdentityProfile::Native, &device.native), (IdentityProfile::SignalV4, &device.signal)],
        &[],
    );
    let second =
        KeySetBuilder::successor(&account.first).replace_device(renewed).unwrap().sign(&account.signer).unwrap();
    assert_eq!(account.first.check_successor(&second), Ok(Succession::SameAccountKey));
}

#[test]
fn an_account_key_changes_by_migration_only() {
    let account = Account::new(1);
    let new = AccountSigner::generate(&mut rng(50));
    let migrated = KeySetBuilder::successor(&account.first).sign_migration(&account.signer, &new).unwrap();
    assert_eq!(account.first.check_successor(&migrated), Ok(Succession::Migrated));
    assert_eq!(migrated.account_key(), &new.account_key());

    assert_eq!(
        KeySetBuilder::successor(&account.first).sign(&new).unwrap_err(),
        BuildError::Refused(KeySetError::ProofMissing)
    );
    let stranger = AccountSigner::generate(&mut rng(51));
    assert_eq!(
        KeySetBuilder::successor(&account.first).sign_migration(&stranger, &new).unwrap_err(),
        BuildError::Refused(KeySetError::MigrationSignature)
    );
    assert_eq!(
        KeySetBuilder::successor(&account.first).sign_migration(&account.signer, &account.signer).unwrap_err(),
        BuildError::Refused(KeySetError::ProofUnexpected)
    );

    // Who has only the set before last cannot see who signed the change.
    let later = KeySetBuilder::successor(&migrated).sign(&new).unwrap();
    assert_eq!(account.first.check_newer(&later), Err(KeySetError::KeyChangeAcrossGap));
    assert_eq!(migrated.check_newer(&later), Ok(Succession::SameAccountKey));
}

#[test]
fn the_recovery_commitment_is_set_once() {
    let key = |seed| RecoveryCommitment::to_key(&SigningKey::generate(&mut rng(seed)).verifying_key());
    let account = Account::new(1);
    let set = KeySetBuilder::successor(&account.first).recovery_commitment(key(60)).sign(&account.signer).unwrap();
    assert!(set.recovery_commitments()[0].is_for(&SigningKey::generate(&mut rng(60)).verifying_key()));
    for changed in [key(61), RecoveryCommitment::NONE] {
        assert_eq!(
            KeySetBuilder::successor(&set).recovery_commitment(changed).sign(&account.signer).unwrap_err(),
            BuildError::Refused(KeySetError::RecoveryCommitmentChanged)
        );
    }
}

#[test]
fn changes_to_devices_that_are_not_there_are_refused() {
    let account = Account::new(1);
    let builder = KeySetBuilder::successor(&account.first);
    assert_eq!(builder.clone().remove_device(number(5)).unwrap_err(), BuildError::NoSuchDevice { device: number(5) });
    assert_eq!(
        builder.clone().replace_device(Device::new(5).entry(account.id, 5)).unwrap_err(),
        BuildError::NoSuchDevice { device: number(5) }
    );
    assert_eq!(
        builder.add_device(Device::new(5).entry(account.id, 1)).unwrap_err(),
        BuildError::DeviceExists { device: number(1) }
    );
}

#[test]
fn the_stored_seed_signs_on() {
    let account = Account::new(1);
    let restored = AccountSigner::from_seed(*account.signer.seed());
    let second = KeySetBuilder::successor(&account.first).sign(&restored).unwrap();
    let parsed = UnverifiedKeySet::parse(second.as_bytes()).unwrap().verify().unwrap();
    assert_eq!(account.first.check_successor(&parsed), Ok(Succession::SameAccountKey));
}
