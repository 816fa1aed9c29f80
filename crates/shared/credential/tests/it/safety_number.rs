//! Both sides see one number, and a scan tells a stranger's keys from a contact's.

use rcseal_credential::{AccountSigner, KeySetBuilder, SafetyNumber, ScanError};

use crate::fixture::{Account, rng};

#[test]
fn both_sides_see_the_same_sixty_digits() {
    let (us, them) = (Account::new(1), Account::new(2));
    let ours = SafetyNumber::new(&us.first.party(), &them.first.party());
    let theirs = SafetyNumber::new(&them.first.party(), &us.first.party());
    assert_eq!(ours.numeric(), theirs.numeric());
    let groups: Vec<&str> = ours.numeric().leak().split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())));
}

#[test]
fn each_scans_the_other() {
    let (us, them) = (Account::new(1), Account::new(2));
    let ours = SafetyNumber::new(&us.first.party(), &them.first.party());
    let theirs = SafetyNumber::new(&them.first.party(), &us.first.party());
    assert_eq!(ours.verify_scan(&theirs.qr_payload()), Ok(()));
    assert_eq!(theirs.verify_scan(&ours.qr_payload()), Ok(()));
    // Our own code, shown back to us, proves nothing.
    assert_eq!(ours.verify_scan(&ours.qr_payload()), Err(ScanError::Mismatch));
}

#[test]
fn digits_are_those_of_these_keys_however_they_are_written() {
    let (us, them, stranger) = (Account::new(1), Account::new(2), Account::new(3));
    let ours = SafetyNumber::new(&us.first.party(), &them.first.party());
    let digits = ours.numeric();
    for written in [digits.clone(), digits.replace(' ', ""), digits.replace(' ', "-"), format!(" {digits}\r\n")] {
        assert_eq!(ours.verify_digits(&written), Ok(()), "{written:?}");
    }
    let others = SafetyNumber::new(&us.first.party(), &stranger.first.party()).numeric();
    assert_eq!(ours.verify_digits(&others), Err(ScanError::Mismatch));
    for wrong in ["", &digits[1..], &format!("{digits}0"), &digits.replacen(char::is_numeric, "x", 1)] {
        assert_eq!(ours.verify_digits(wrong), Err(ScanError::Malformed), "{wrong:?}");
    }
}

#[test]
fn the_number_survives_a_new_device_and_changes_with_the_account_key() {
    let (us, them) = (Account::new(1), Account::new(2));
    let before = SafetyNumber::new(&us.first.party(), &them.first.party()).numeric();
    let second = us.add(&us.first, 2, 12);
    assert_eq!(SafetyNumber::new(&second.party(), &them.first.party()).numeric(), before);
    let migrated =
        KeySetBuilder::successor(&second).sign_migration(&us.signer, &AccountSigner::generate(&mut rng(70))).unwrap();
    assert_ne!(SafetyNumber::new(&migrated.party(), &them.first.party()).numeric(), before);
}

#[test]
fn account_id_and_key_both_count() {
    let (us, them, other) = (Account::new(1), Account::new(2), Account::new(3));
    let mut same_key = them.first.party();
    same_key.account = other.id;
    let number = SafetyNumber::new(&us.first.party(), &them.first.party());
    assert_ne!(SafetyNumber::new(&us.first.party(), &same_key).numeric(), number.numeric());
    let of_other_id = SafetyNumber::new(&same_key, &us.first.party());
    assert_eq!(number.verify_scan(&of_other_id.qr_payload()), Err(ScanError::Mismatch));
}

#[test]
fn other_texts_and_versions_are_named() {
    let (us, them) = (Account::new(1), Account::new(2));
    let number = SafetyNumber::new(&us.first.party(), &them.first.party());
    let good = SafetyNumber::new(&them.first.party(), &us.first.party()).qr_payload();
    assert_eq!(number.verify_scan("https://example.org"), Err(ScanError::Malformed));
    assert_eq!(number.verify_scan("rcseal://verify/"), Err(ScanError::Malformed));
    assert_eq!(number.verify_scan(&format!("{good}AA")), Err(ScanError::Malformed));
    assert_eq!(number.verify_scan(&good[..good.len() - 4]), Err(ScanError::Malformed));
    // Base64url "Ag" starts with byte 2, whatever follows.
    assert_eq!(number.verify_scan("rcseal://verify/AgAA"), Err(ScanError::WrongVersion { version: 2 }));
}
