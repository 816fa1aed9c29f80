//! Bundles and messages as bytes: one encoding each, and arbitrary bytes are an error and never a panic.

use proptest::prelude::*;
use rcseal_pairwise::{BUNDLE_LEN_MAX, Bundle, FormatError, Message, PAIRWISE_MESSAGE_LEN_MAX};

use crate::support::Device;

#[test]
fn a_bundle_and_a_message_have_one_encoding() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    for bundle in [bob.bundle(), bob.last_resort()] {
        assert_eq!(Bundle::parse(&bundle).unwrap().to_bytes(), bundle);
    }
    let bundle = bob.bundle();
    assert_eq!(bundle.len(), BUNDLE_LEN_MAX);
    alice.begin("bob", &bundle).unwrap();
    let message = alice.encrypt("bob", "hello").unwrap();
    assert_eq!(Message::parse(&message).unwrap().to_bytes(), message);
}

#[test]
fn every_bit_of_a_bundle_counts() {
    let bundle = Device::new(2).bundle();
    for at in 0..bundle.len() {
        let mut changed = bundle.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(Bundle::parse(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn each_way_of_being_wrong_has_its_error() {
    let bundle = Device::new(2).bundle();
    let error = |bytes: &[u8]| Bundle::parse(bytes).unwrap_err();
    assert_eq!(error(&bundle[..bundle.len() - 1]), FormatError::Truncated);
    assert_eq!(
        error(&vec![1; BUNDLE_LEN_MAX + 1]),
        FormatError::TooLong { max: BUNDLE_LEN_MAX, actual: BUNDLE_LEN_MAX + 1 }
    );
    assert_eq!(error(&[2]), FormatError::Version { found: 2 });
    let message = |bytes: &[u8]| Message::parse(bytes).unwrap_err();
    assert_eq!(message(&[]), FormatError::Truncated);
    assert_eq!(message(&[1, 0]), FormatError::Truncated);
    assert_eq!(message(&[1, 7, 0]), FormatError::Form { found: 7 });
    let max = PAIRWISE_MESSAGE_LEN_MAX;
    assert_eq!(message(&vec![0; max + 1]), FormatError::TooLong { max, actual: max + 1 });
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_bundle(bytes in prop::collection::vec(any::<u8>(), 0..2_200)) {
        prop_assert!(Bundle::parse(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_a_message_that_writes_itself_or_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_decrypted_by_nobody(mut bytes in prop::collection::vec(any::<u8>(), 3..300)) {
        bytes[..2].copy_from_slice(&[1, 0]);
        prop_assert!(Device::new(1).decrypt("bob", &bytes).is_err());
    }
}
