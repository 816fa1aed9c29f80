//! Bytes from anybody: no panic, no second spelling, no altered set believed.

use proptest::prelude::*;
use rcseal_credential::{DeviceEntry, SafetyNumber, UnverifiedKeySet};

use crate::fixture::Account;

#[test]
fn no_byte_of_a_signed_set_can_be_changed() {
    let set = Account::new(1).first.as_bytes().to_vec();
    for index in 0..set.len() {
        for change in [0x01, 0x80] {
            let mut changed = set.clone();
            changed[index] ^= change;
            let believed = UnverifiedKeySet::parse(&changed).is_ok_and(|set| set.verify().is_ok());
            assert!(!believed, "byte {index} xor {change:#04x}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(UnverifiedKeySet::parse(&bytes).is_err());
        prop_assert!(DeviceEntry::parse(&bytes).is_err());
    }

    #[test]
    fn a_set_cut_and_spliced_never_panics_nor_is_believed(
        cut in 0usize..1_582,
        insert in proptest::collection::vec(any::<u8>(), 0..64),
        skip in 0usize..64,
    ) {
        let set = Account::new(1).first.as_bytes().to_vec();
        let tail = set.get(cut + skip..).unwrap_or_default();
        let spliced = [&set[..cut], &insert, tail].concat();
        prop_assume!(spliced != set);
        let believed = UnverifiedKeySet::parse(&spliced).is_ok_and(|set| set.verify().is_ok());
        prop_assert!(!believed);
    }

    #[test]
    fn an_entry_that_parses_encodes_to_itself(index in 0usize..1_421, value: u8) {
        let account = Account::new(1);
        let mut bytes = account.first.devices()[0].to_bytes();
        bytes[index] = value;
        if let Ok(entry) = DeviceEntry::parse(&bytes) {
            prop_assert_eq!(entry.to_bytes(), bytes);
        }
    }

    #[test]
    fn scanned_texts_never_panic(text: String, tail in "[A-Za-z0-9_-]{0,120}") {
        let (us, them) = (Account::new(1), Account::new(2));
        let number = SafetyNumber::new(&us.first.party(), &them.first.party());
        prop_assert!(number.verify_scan(&text).is_err());
        prop_assert!(number.verify_digits(&text).is_err());
        let code = format!("rcseal://verify/{tail}");
        prop_assert!(number.verify_scan(&code).is_err());
    }
}
