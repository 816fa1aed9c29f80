//! Who a peer is: fixed by the first bundle or message, compared by people, changed only by the app.

use rcseal_credential::ScanError;
use rcseal_pairwise::{FormatError, PEER_ID_LEN_MAX, PairwiseError};

use crate::support::{Device, acquainted};

#[test]
fn both_sides_see_one_safety_number_and_a_scan_verifies() {
    let (mut alice, mut bob) = acquainted();
    let of_alice = alice.call(|pairwise, at| pairwise.safety_number("bob", at)).unwrap();
    let of_bob = bob.call(|pairwise, at| pairwise.safety_number("alice", at)).unwrap();
    assert_eq!(of_alice.numeric(), of_bob.numeric());
    assert!(!alice.call(|pairwise, at| pairwise.is_verified("bob", at)).unwrap());
    alice.call(|pairwise, at| pairwise.verify("bob", &of_bob.qr_payload(), at)).unwrap();
    bob.call(|pairwise, at| pairwise.verify("alice", &of_alice.numeric(), at)).unwrap();
    assert!(alice.call(|pairwise, at| pairwise.is_verified("bob", at)).unwrap());
    assert!(bob.call(|pairwise, at| pairwise.is_verified("alice", at)).unwrap());

    let mallory = acquainted().0.call(|pairwise, at| pairwise.safety_number("bob", at)).unwrap();
    let (mut carol, mut dave) = (Device::new(3), Device::new(4));
    let bundle = dave.bundle();
    carol.begin("dave", &bundle).unwrap();
    let wrong = carol.call(|pairwise, at| pairwise.verify("dave", &mallory.numeric(), at));
    assert!(matches!(wrong, Err(PairwiseError::Scan(ScanError::Mismatch))));
    assert!(!carol.call(|pairwise, at| pairwise.is_verified("dave", at)).unwrap());
}

#[test]
fn another_identity_under_a_known_name_is_refused_until_the_peer_is_forgotten() {
    let (mut alice, _bob) = acquainted();
    let mut mallory = Device::new(9);
    let (bundle, of_alice) = (mallory.bundle(), alice.bundle());
    assert!(matches!(alice.begin("bob", &bundle), Err(PairwiseError::IdentityChanged)));
    mallory.begin("alice", &of_alice).unwrap();
    let message = mallory.encrypt("alice", "it is me, bob").unwrap();
    assert!(matches!(alice.decrypt("bob", &message), Err(PairwiseError::IdentityChanged)));

    alice.call(|pairwise, at| pairwise.forget_peer("bob", at)).unwrap();
    assert!(matches!(alice.encrypt("bob", "gone"), Err(PairwiseError::BundleNeeded)));
    let unknown = alice.call(|pairwise, at| pairwise.safety_number("bob", at));
    assert!(matches!(unknown, Err(PairwiseError::UnknownPeer)));
    assert_eq!(alice.decrypt("bob", &message).unwrap(), "it is me, bob");
}

/// Who puts their own prekeys under somebody's card, or somebody's prekeys under their own, has no valid bundle.
#[test]
fn a_bundle_of_two_people_is_nobodys() {
    let (mut alice, mut bob, mut mallory) = (Device::new(1), Device::new(2), Device::new(9));
    let (of_bob, of_mallory) = (bob.bundle(), mallory.bundle());
    let card = 1..129;
    let mut mixed = of_mallory;
    mixed[card.clone()].copy_from_slice(&of_bob[card]);
    let refused = alice.begin("bob", &mixed);
    assert!(matches!(refused, Err(PairwiseError::Format(FormatError::Signature))), "{refused:?}");
}

#[test]
fn a_device_makes_no_session_with_itself() {
    let mut alice = Device::new(1);
    let bundle = alice.bundle();
    assert!(matches!(alice.begin("me", &bundle), Err(PairwiseError::Initiate(_))));
}

#[test]
fn a_peers_name_has_a_limit() {
    let mut alice = Device::new(1);
    for name in [String::new(), "x".repeat(PEER_ID_LEN_MAX + 1)] {
        assert!(matches!(alice.encrypt(&name, "hello"), Err(PairwiseError::PeerId)));
    }
}
