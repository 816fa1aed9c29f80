//! Taking an account back with the recovery key, beginning it again without, and what a thief of either key can make of that.

use rcseal_credential::{
    AccountSigner, BuildError, KEY_SET_GAP_MAX, KeySetBuilder, KeySetError, RecoveryCommitment, RecoveryKey,
    Succession, SuccessionProof, UnverifiedKeySet, VerifiedKeySet,
};
use rcseal_crypto::ed25519::SigningKey;
use rcseal_wire::id::KeySetCounter;

use crate::fixture::{Account, Device, number, rng};

const MIGRATION: &[u8] = b"rcseal/key-set/migration/v1";
const RECOVERY: &[u8] = b"rcseal/key-set/recovery/v1";
const SIGNATURE: &[u8] = b"rcseal/key-set/v1";

fn recovery_key(seed: u8) -> RecoveryKey {
    RecoveryKey::from_seed([seed; 32])
}

fn signer(seed: u64) -> AccountSigner {
    AccountSigner::generate(&mut rng(seed))
}

/// An account with recovery key 9.
fn account() -> Account {
    Account::with_recovery(1, recovery_key(9).commitment())
}

/// What the owner does on a new installation, from the newest set they can get.
fn recover(current: &VerifiedKeySet, key: u8, renewed: u8, seed: u64) -> VerifiedKeySet {
    let device = current.device_number_anew().get();
    KeySetBuilder::recovery(current, &recovery_key(key), recovery_key(renewed).commitment())
        .unwrap()
        .add_device(Device::new(seed).entry(current.account(), device))
        .unwrap()
        .sign_recovery(&recovery_key(key), &signer(seed))
        .unwrap()
}

/// What somebody who has lost everything does, or an operator who is made to.
fn reset(current: &VerifiedKeySet, added: RecoveryCommitment, seed: u64) -> VerifiedKeySet {
    let device = current.device_number_anew().get();
    KeySetBuilder::reset(current, added)
        .add_device(Device::new(seed).entry(current.account(), device))
        .unwrap()
        .sign_reset(&signer(seed), 1_000)
        .unwrap()
}

/// What a thief of the account key does.
fn steal(account: &Account, current: &VerifiedKeySet, seed: u64) -> VerifiedKeySet {
    KeySetBuilder::successor(current).sign_migration(&account.signer, &signer(seed)).unwrap()
}

/// The set's body, taken from an encoded set whose proof has `proof` bytes with kind and length.
fn body(set: &VerifiedKeySet, proof: usize) -> &[u8] {
    &set.as_bytes()[..set.as_bytes().len() - 64 - proof]
}

/// A set with the body of another and a proof of the caller's making, signed by the account key that the body names.
fn forged(body: &[u8], kind: u8, content: &[u8], account_key: &AccountSigner) -> VerifiedKeySet {
    let signed = [body, &[kind, u8::try_from(content.len()).unwrap()], content].concat();
    let signature = SigningKey::from_seed(*account_key.seed()).sign(&[SIGNATURE, &signed]);
    UnverifiedKeySet::parse(&[&signed[..], signature.as_bytes()].concat()).unwrap().verify().unwrap()
}

#[test]
fn the_recovery_key_takes_the_account_to_a_new_key_and_device() {
    let account = account();
    let second = account.add(&account.first, 2, 12);
    let recovered = recover(&second, 9, 10, 50);
    assert_eq!(second.check_successor(&recovered), Ok(Succession::Recovered));
    assert_eq!(second.check_newer(&recovered), Ok(Succession::Recovered));
    assert_eq!(recovered.devices().len(), 1);
    assert_eq!(recovered.devices()[0].number(), number(3));
    assert_eq!(recovered.recovery_commitments(), [recovery_key(10).commitment()]);
    assert!(matches!(recovered.proof(), SuccessionProof::Recovery { key, .. } if *key == recovery_key(9).public_key()));
    // Life goes on under the new account key.
    let next = KeySetBuilder::successor(&recovered).sign(&signer(50)).unwrap();
    assert_eq!(recovered.check_successor(&next), Ok(Succession::SameAccountKey));
}

#[test]
fn a_recovery_is_believed_across_a_gap() {
    let account = account();
    let second = account.add(&account.first, 2, 12);
    let recovered = recover(&account.add(&second, 3, 13), 9, 10, 50);
    assert_eq!(account.first.check_newer(&recovered), Ok(Succession::Recovered));
}

#[test]
fn the_owner_wins_over_a_thiefs_migration() {
    let account = account();
    let stolen = steal(&account, &account.first, 40);
    let recovered = recover(&stolen, 9, 10, 50);
    // At a contact that took the thief's set in, and at one that never saw it.
    assert_eq!(stolen.check_newer(&recovered), Ok(Succession::Recovered));
    assert_eq!(account.first.check_newer(&recovered), Ok(Succession::Recovered));
    // What the thief signs after it follows nothing that anybody knows.
    let thief = KeySetBuilder::successor(&stolen).sign(&signer(40)).unwrap();
    assert_eq!(recovered.check_newer(&thief), Err(KeySetError::Fork { counter: KeySetCounter::new(3) }));
    let later = KeySetBuilder::successor(&thief).sign(&signer(40)).unwrap();
    assert_eq!(recovered.check_newer(&later), Err(KeySetError::Fork { counter: KeySetCounter::new(3) }));
    let latest = KeySetBuilder::successor(&later).sign(&signer(40)).unwrap();
    assert_eq!(recovered.check_newer(&latest), Err(KeySetError::KeyChangeAcrossGap));
    assert_eq!(recovered.check_chain(&[later, latest]), Err(KeySetError::Fork { counter: KeySetCounter::new(3) }));
}

#[test]
fn the_owner_wins_from_the_last_set_before_the_thiefs() {
    let account = account();
    let stolen = steal(&account, &account.first, 40);
    // The owner has the first set alone, and a counter above the thief's: the predecessor named is not the contact's.
    let ours = account.add(&account.first, 2, 12);
    let recovered = recover(&ours, 9, 10, 50);
    assert_eq!(recovered.counter(), KeySetCounter::new(3));
    assert_ne!(recovered.previous(), Some(stolen.hash()));
    assert_eq!(stolen.check_successor(&recovered), Ok(Succession::Recovered));
    // At the thief's own counter it comes too late: the counter decides, and the owner signs again with a higher one.
    let same_counter = recover(&account.first, 9, 10, 50);
    assert_eq!(stolen.check_newer(&same_counter), Err(KeySetError::Fork { counter: KeySetCounter::new(2) }));
}

#[test]
fn a_thief_cannot_use_up_numbers_or_counters() {
    let account = account();
    let stolen = account.add(&account.first, 127, 40);
    assert_eq!(stolen.next_device_number(), None);
    let recovered = recover(&stolen, 9, 10, 50);
    assert_eq!(recovered.devices()[0].number(), number(1));
    assert_eq!(recovered.next_device_number(), Some(number(2)));
    assert_eq!(stolen.check_newer(&recovered), Ok(Succession::Recovered));

    // The counter of the second set stands at offset 17; the thief signs any.
    let mut leap = body(&account.add(&account.first, 2, 12), 2).to_vec();
    leap[17..25].copy_from_slice(&(2 + KEY_SET_GAP_MAX).to_be_bytes());
    let leap = forged(&leap, 0, &[], &account.signer);
    assert_eq!(
        account.first.check_newer(&leap),
        Err(KeySetError::Gap { known: KeySetCounter::FIRST, offered: leap.counter() })
    );
}

#[test]
fn a_recovery_may_be_made_ahead_of_a_thief_who_does_not_pause_and_nothing_else_may() {
    let account = account();
    let ahead = |counters| {
        KeySetBuilder::recovery(&account.first, &recovery_key(9), recovery_key(10).commitment())
            .unwrap()
            .ahead(counters)
            .add_device(Device::new(50).entry(account.first.account(), 2))
            .unwrap()
            .sign_recovery(&recovery_key(9), &signer(50))
    };
    let recovered = ahead(100).unwrap();
    assert_eq!(recovered.counter(), KeySetCounter::new(102));
    let mut stolen = steal(&account, &account.first, 40);
    for _ in 0..99 {
        stolen = KeySetBuilder::successor(&stolen).sign(&signer(40)).unwrap();
    }
    assert_eq!(stolen.check_successor(&recovered), Ok(Succession::Recovered));
    let gap = |offered| {
        let (known, offered) = (KeySetCounter::FIRST, KeySetCounter::new(offered));
        Some(BuildError::Refused(KeySetError::Gap { known, offered }))
    };
    assert_eq!(ahead(KEY_SET_GAP_MAX).err(), gap(2 + KEY_SET_GAP_MAX));
    assert_eq!(KeySetBuilder::successor(&account.first).ahead(1).sign(&account.signer).err(), gap(3));
    assert_eq!(ahead(u64::MAX).err(), Some(BuildError::CounterExhausted));
}

#[test]
fn no_recovery_key_uses_up_the_counters_for_one_that_outranks_it() {
    let account = account();
    // A server resets the account, with a recovery key of its own behind the owner's, and makes a recovery with that at a counter it likes.
    let taken = reset(&account.first, recovery_key(20).commitment(), 40);
    let genuine = recover(&taken, 20, 21, 41);
    let at = |counter: u64| {
        let mut body = body(&genuine, 98).to_vec();
        body[17..25].copy_from_slice(&counter.to_be_bytes());
        let key = recovery_key(20);
        let signature = SigningKey::from_seed(*key.seed()).sign(&[RECOVERY, &body]);
        forged(&body, 2, &[&key.public_key().as_bytes()[..], signature.as_bytes()].concat(), &signer(41))
    };
    for counter in [3 + KEY_SET_GAP_MAX, u64::MAX] {
        let offered = KeySetCounter::new(counter);
        let gap = KeySetError::Gap { known: KeySetCounter::new(2), offered };
        assert_eq!(taken.check_successor(&at(counter)), Err(gap));
        // The sets between may tell, if there are any.
        assert_eq!(taken.check_newer(&at(counter)), Err(KeySetError::KeyChangeAcrossGap));
    }
    // So far and no farther; the owner, whose key outranks that one, still finds a higher counter.
    let leapt = at(2 + KEY_SET_GAP_MAX);
    assert_eq!(taken.check_newer(&leapt), Ok(Succession::Recovered));
    let owner = recover(&leapt, 9, 10, 50);
    assert_eq!(leapt.check_newer(&owner), Ok(Succession::Recovered));
    assert_eq!(owner.recovery_commitments(), [recovery_key(10).commitment()]);
}

#[test]
fn a_recovery_by_a_wrong_key_is_refused() {
    let account = account();
    let wrong = KeySetBuilder::recovery(&account.first, &recovery_key(8), recovery_key(10).commitment());
    assert_eq!(wrong.unwrap_err(), BuildError::Refused(KeySetError::RecoveryKey));
    // The thief makes the set for an account of their own and shows it as this one's.
    let genuine = recover(&account.first, 9, 10, 50);
    let body = body(&genuine, 98);
    let thief = recovery_key(8);
    let signature = SigningKey::from_seed(*thief.seed()).sign(&[RECOVERY, body]);
    let proof = [&thief.public_key().as_bytes()[..], signature.as_bytes()].concat();
    let offered = forged(body, 2, &proof, &signer(50));
    assert_eq!(account.first.check_successor(&offered), Err(KeySetError::RecoveryKey));
    // The right key beside the wrong one's signature.
    let proof = [&recovery_key(9).public_key().as_bytes()[..], signature.as_bytes()].concat();
    let offered = forged(body, 2, &proof, &signer(50));
    assert_eq!(account.first.check_successor(&offered), Err(KeySetError::RecoverySignature));
    assert_eq!(KeySetError::RecoverySignature.code(), "key_set_recovery_signature");
}

#[test]
fn labels_are_not_exchangeable() {
    let account = account();
    // The old account key signs the change as a recovery would be signed, and the recovery key as a migration.
    let genuine = recover(&account.first, 9, 10, 50);
    let body = body(&genuine, 98);
    let old = SigningKey::from_seed(*account.signer.seed());
    let proof = [&recovery_key(9).public_key().as_bytes()[..], old.sign(&[RECOVERY, body]).as_bytes()].concat();
    assert_eq!(
        account.first.check_successor(&forged(body, 2, &proof, &signer(50))),
        Err(KeySetError::RecoverySignature)
    );
    let recovery = SigningKey::from_seed([9; 32]);
    for signature in [recovery.sign(&[MIGRATION, body]), old.sign(&[RECOVERY, body]), old.sign(&[SIGNATURE, body])] {
        assert_eq!(
            account.first.check_successor(&forged(body, 1, signature.as_bytes(), &signer(50))),
            Err(KeySetError::MigrationSignature)
        );
    }
    let migration = recovery.sign(&[MIGRATION, body]);
    let proof = [&recovery_key(9).public_key().as_bytes()[..], migration.as_bytes()].concat();
    assert_eq!(
        account.first.check_successor(&forged(body, 2, &proof, &signer(50))),
        Err(KeySetError::RecoverySignature)
    );
}

#[test]
fn nobody_on_the_way_turns_one_kind_into_another() {
    let account = account();
    let migrated = steal(&account, &account.first, 40);
    let body = body(&migrated, 66);
    let signature = &migrated.as_bytes()[migrated.as_bytes().len() - 64..];
    // The account signature covers the proof: a courier who strips it, or calls it a reset, breaks it.
    for proof in [&[0, 0][..], &[3, 8, 0, 0, 0, 0, 0, 0, 0, 0][..]] {
        let altered = UnverifiedKeySet::parse(&[body, proof, signature].concat()).unwrap();
        assert_eq!(altered.verify().unwrap_err(), KeySetError::AccountSignature);
    }
}

#[test]
fn a_reset_is_its_own_kind_and_passes_for_no_other() {
    let account = account();
    let reset = reset(&account.first, recovery_key(10).commitment(), 50);
    assert_eq!(account.first.check_successor(&reset), Ok(Succession::Reset));
    assert_eq!(account.first.check_newer(&reset), Ok(Succession::Reset));
    assert_eq!(reset.proof(), &SuccessionProof::Reset { not_before_ms: 1_000 });
    // As a migration, with the only signature its maker can give.
    let disguised = {
        let body = body(&reset, 10);
        let own = SigningKey::from_seed(*signer(50).seed()).sign(&[MIGRATION, body]);
        forged(body, 1, own.as_bytes(), &signer(50))
    };
    assert_eq!(account.first.check_successor(&disguised), Err(KeySetError::MigrationSignature));
    // As nothing at all.
    let silent = forged(body(&reset, 10), 0, &[], &signer(50));
    assert_eq!(account.first.check_successor(&silent), Err(KeySetError::ProofMissing));
    // And only from neighbour to neighbour: across a gap the sets between have to show it.
    let later = KeySetBuilder::successor(&reset).sign(&signer(50)).unwrap();
    assert_eq!(account.first.check_newer(&later), Err(KeySetError::KeyChangeAcrossGap));
    assert_eq!(account.first.check_chain(&[reset, later]), Ok(Succession::Reset));
}

#[test]
fn a_reset_does_not_shake_off_the_recovery_key() {
    let account = account();
    let reset_set = reset(&account.first, recovery_key(10).commitment(), 50);
    assert_eq!(reset_set.recovery_commitments(), [recovery_key(9).commitment(), recovery_key(10).commitment()]);
    // The first key outranks the reset's: it drops the reset's commitment with the reset.
    let recovered = recover(&reset_set, 9, 11, 51);
    assert_eq!(reset_set.check_newer(&recovered), Ok(Succession::Recovered));
    assert_eq!(recovered.recovery_commitments(), [recovery_key(11).commitment()]);
    // The reset's key works too, and leaves the first in its place.
    let second = recover(&reset_set, 10, 12, 52);
    assert_eq!(second.recovery_commitments(), [recovery_key(9).commitment(), recovery_key(12).commitment()]);
    assert_eq!(reset_set.check_newer(&second), Ok(Succession::Recovered));
    // A contact that did not see the reset cannot know its key, and asks for the sets between.
    assert_eq!(account.first.check_newer(&second), Err(KeySetError::KeyChangeAcrossGap));
    assert_eq!(account.first.check_chain(&[reset_set, second]), Ok(Succession::Reset));
    assert_eq!(account.first.check_newer(&recovered), Ok(Succession::Recovered));
    // A reset that drops or replaces a commitment.
    for list in [vec![], vec![recovery_key(10).commitment()]] {
        let stripped = KeySetBuilder::first(account.id, list.first().copied().unwrap_or(RecoveryCommitment::NONE))
            .add_device(Device::new(50).entry(account.id, 2))
            .unwrap()
            .sign(&signer(50))
            .unwrap();
        let mut body = body(&stripped, 2).to_vec();
        body[17..25].copy_from_slice(&2_u64.to_be_bytes());
        body[25..57].copy_from_slice(account.first.hash().as_bytes());
        let offered = forged(&body, 3, &[0; 8], &signer(50));
        assert_eq!(account.first.check_successor(&offered), Err(KeySetError::RecoveryCommitmentChanged));
    }
}

#[test]
fn resets_in_a_row_leave_the_commitments_that_are_there() {
    let account = account();
    let mut set = account.first.clone();
    for round in 0..6_u8 {
        set = reset(&set, recovery_key(20 + round).commitment(), 60 + u64::from(round));
    }
    assert_eq!(set.recovery_commitments().len(), 4);
    assert!(!set.takes_recovery_commitment());
    assert_eq!(account.first.recovery_rank(&recovery_key(9).public_key()), Some(0));
    let recovered = recover(&set, 9, 11, 70);
    assert_eq!(set.check_newer(&recovered), Ok(Succession::Recovered));
}

#[test]
fn no_account_key_strips_or_adds_a_commitment() {
    let account = account();
    for commitment in [RecoveryCommitment::NONE, recovery_key(8).commitment()] {
        let builder = KeySetBuilder::successor(&account.first).recovery_commitment(commitment);
        assert_eq!(
            builder.clone().sign(&account.signer).unwrap_err(),
            BuildError::Refused(KeySetError::RecoveryCommitmentChanged)
        );
        assert_eq!(
            builder.sign_migration(&account.signer, &signer(40)).unwrap_err(),
            BuildError::Refused(KeySetError::RecoveryCommitmentChanged)
        );
    }
    // Nor does a recovery key strip what outranks it.
    let reset_set = reset(&account.first, recovery_key(10).commitment(), 50);
    let genuine = recover(&reset_set, 10, 12, 52);
    let mut stripped = body(&genuine, 98).to_vec();
    // The list begins at offset 89 with its length; its first entry goes.
    stripped[89] = 32;
    stripped.drain(90..122);
    let signature = SigningKey::from_seed([10; 32]).sign(&[RECOVERY, &stripped]);
    let proof = [&recovery_key(10).public_key().as_bytes()[..], signature.as_bytes()].concat();
    assert_eq!(
        reset_set.check_newer(&forged(&stripped, 2, &proof, &signer(52))),
        Err(KeySetError::RecoveryCommitmentChanged)
    );
}

#[test]
fn an_old_recovery_is_not_believed_again() {
    let account = account();
    let recovered = recover(&account.first, 9, 10, 50);
    let next = KeySetBuilder::successor(&recovered).sign(&signer(50)).unwrap();
    let rollback = KeySetError::Rollback { known: KeySetCounter::new(3), offered: KeySetCounter::new(2) };
    assert_eq!(next.check_newer(&recovered), Err(rollback));
    // A second recovery by the spent key, at whatever counter: it is not committed to any more.
    let again = recover(&account.add(&account.add(&account.first, 2, 12), 3, 13), 9, 10, 51);
    assert_eq!(again.counter(), KeySetCounter::new(4));
    assert_eq!(next.check_successor(&again), Err(KeySetError::RecoveryKey));
    let later = recover(&again, 10, 11, 52);
    assert_eq!(later.counter(), KeySetCounter::new(5));
    // A key that the known set does commit to, on another branch: the owner's own, and it counts.
    assert_eq!(next.check_newer(&later), Ok(Succession::Recovered));
}

#[test]
fn a_recovery_that_keeps_the_account_key_is_refused() {
    let account = account();
    let kept = KeySetBuilder::recovery(&account.first, &recovery_key(9), recovery_key(10).commitment())
        .unwrap()
        .add_device(Device::new(50).entry(account.id, 2))
        .unwrap()
        .sign_recovery(&recovery_key(9), &account.signer);
    assert_eq!(kept.unwrap_err(), BuildError::Refused(KeySetError::ProofUnexpected));
    let kept = KeySetBuilder::reset(&account.first, RecoveryCommitment::NONE)
        .add_device(Device::new(50).entry(account.id, 2))
        .unwrap()
        .sign_reset(&account.signer, 0);
    assert_eq!(kept.unwrap_err(), BuildError::Refused(KeySetError::ProofUnexpected));
}

#[test]
fn a_chain_says_the_most_that_happened_in_it() {
    let account = account();
    let second = account.add(&account.first, 2, 12);
    let third = steal(&account, &second, 40);
    let fourth = KeySetBuilder::successor(&third).sign(&signer(40)).unwrap();
    let fifth = recover(&fourth, 9, 10, 50);
    let chain = [second, third, fourth, fifth];
    assert_eq!(account.first.check_chain(&[]), Ok(Succession::Unchanged));
    assert_eq!(account.first.check_chain(&chain[..1]), Ok(Succession::SameAccountKey));
    assert_eq!(account.first.check_newer(&chain[2]), Err(KeySetError::KeyChangeAcrossGap));
    assert_eq!(account.first.check_chain(&chain[..3]), Ok(Succession::Migrated));
    assert_eq!(account.first.check_chain(&chain), Ok(Succession::Recovered));
}

#[test]
fn a_chain_with_a_gap_is_refused() {
    let account = account();
    let second = account.add(&account.first, 2, 12);
    let third = steal(&account, &second, 40);
    let fourth = KeySetBuilder::successor(&third).sign(&signer(40)).unwrap();
    assert_eq!(
        account.first.check_chain(&[second.clone(), fourth.clone()]),
        Err(KeySetError::Gap { known: KeySetCounter::new(2), offered: KeySetCounter::new(4) })
    );
    assert_eq!(
        account.first.check_chain(&[third.clone(), fourth]),
        Err(KeySetError::Gap { known: KeySetCounter::FIRST, offered: KeySetCounter::new(3) })
    );
    // Out of order.
    assert_eq!(
        account.first.check_chain(&[second.clone(), third, second]),
        Err(KeySetError::Rollback { known: KeySetCounter::new(3), offered: KeySetCounter::new(2) })
    );
}

#[test]
fn the_key_prints_nothing_secret() {
    assert_eq!(format!("{:?}", recovery_key(9)), "RecoveryKey");
}
