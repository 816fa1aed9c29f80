//! Which points are keys, and which are not.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::montgomery::MontgomeryPoint;
use rcseal_crypto::{ed25519, x25519};
use serde::Deserialize;

use crate::fixture::{Hex, load, rng};

#[derive(Deserialize)]
struct LowOrder {
    u: Hex,
    refused_as: String,
}

#[derive(Deserialize)]
struct NonCanonical {
    u: Hex,
}

#[derive(Deserialize)]
struct LowOrderFile {
    low_order: Vec<LowOrder>,
    non_canonical: Vec<NonCanonical>,
}

#[derive(Deserialize)]
struct Ed25519File {
    small_order: Vec<Hex>,
    non_canonical: Vec<Hex>,
}

#[test]
fn low_order_and_noncanonical_points() {
    let file: LowOrderFile = load("x25519_low_order");
    for case in file.low_order {
        let expected = match case.refused_as.as_str() {
            "low_order" => x25519::KeyError::LowOrder,
            "non_canonical" => x25519::KeyError::NonCanonical,
            other => panic!("{other}"),
        };
        assert_eq!(x25519::PublicKey::from_bytes(&case.u.array()), Err(expected), "{:?}", case.u);
    }
    for case in file.non_canonical {
        assert_eq!(x25519::PublicKey::from_bytes(&case.u.array()), Err(x25519::KeyError::NonCanonical), "{:?}", case.u);
    }
}

#[test]
fn the_largest_and_the_base_coordinate_are_keys() {
    let mut base = [0; 32];
    base[0] = 9;
    assert!(x25519::PublicKey::from_bytes(&base).is_ok());
    // p - 2, the largest that is not of low order.
    let mut largest = [0xff; 32];
    (largest[0], largest[31]) = (0xeb, 0x7f);
    assert!(x25519::PublicKey::from_bytes(&largest).is_ok());
}

#[test]
fn both_sides_agree_and_a_stored_key_is_the_same_key() {
    let mut rng = rng(1);
    let (ours, theirs) = (x25519::KeyPair::generate(&mut rng), x25519::KeyPair::generate(&mut rng));
    let shared = ours.secret.diffie_hellman(&theirs.public).unwrap();
    assert!(shared.ct_eq(&theirs.secret.diffie_hellman(&ours.public).unwrap()));
    let restored = x25519::SecretKey::from_bytes(*ours.secret.expose());
    assert_eq!(restored.public_key(), ours.public);
    assert_eq!(ours.secret.duplicate().public_key(), ours.public);
    assert_eq!(x25519::PublicKey::from_bytes(ours.public.as_bytes()), Ok(ours.public));
}

#[test]
fn a_key_with_a_small_component_is_not_torsion_free() {
    let mut rng = rng(5);
    for _ in 0..8 {
        let pair = x25519::KeyPair::generate(&mut rng);
        assert!(pair.public.is_torsion_free());
        let point = MontgomeryPoint(*pair.public.as_bytes()).to_edwards(0).unwrap();
        // The first of the eight points of small order is the identity.
        for small in &EIGHT_TORSION[1..] {
            let tweaked = x25519::PublicKey::from_bytes(&(point + small).to_montgomery().0).unwrap();
            assert!(!tweaked.is_torsion_free());
            // Clamping kills the small component: a second name for the same agreement.
            let peer = x25519::SecretKey::generate(&mut rng);
            assert!(peer.diffie_hellman(&tweaked).unwrap().ct_eq(&peer.diffie_hellman(&pair.public).unwrap()));
        }
    }
}

#[test]
fn a_point_of_the_twist_is_not_torsion_free() {
    let on_twist = (2..50u8)
        .filter_map(|u| {
            let mut bytes = [0; 32];
            bytes[0] = u;
            x25519::PublicKey::from_bytes(&bytes).ok()
        })
        .filter(|key| MontgomeryPoint(*key.as_bytes()).to_edwards(0).is_none())
        .collect::<Vec<_>>();
    assert!(on_twist.len() > 10);
    assert!(on_twist.iter().all(|key| !key.is_torsion_free()));
    let mut base = [0; 32];
    base[0] = 9;
    assert!(x25519::PublicKey::from_bytes(&base).unwrap().is_torsion_free());
}

#[test]
fn ed25519_refuses_small_order_and_second_spellings() {
    let file: Ed25519File = load("ed25519");
    assert_eq!(file.small_order.len(), 8);
    for key in file.small_order {
        assert_eq!(ed25519::VerifyingKey::from_bytes(&key.array()), Err(ed25519::KeyError::SmallOrder), "{key:?}");
    }
    for key in file.non_canonical {
        assert!(ed25519::VerifyingKey::from_bytes(&key.array()).is_err(), "{key:?}");
    }
    // y = 2 is on no point.
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    assert_eq!(ed25519::VerifyingKey::from_bytes(&off_curve), Err(ed25519::KeyError::NotAPoint));
}

#[test]
fn ed25519_signs_parts_as_their_concatenation() {
    let key = ed25519::SigningKey::generate(&mut rng(2));
    let signature = key.sign(&[b"label", b"", b"body"]);
    assert_eq!(signature, key.sign(&[b"labelbody"]));
    let public = key.verifying_key();
    assert_eq!(public.verify(&[b"labelbo", b"dy"], &signature), Ok(()));
    assert_eq!(public.verify(&[b"label", b"bodz"], &signature), Err(ed25519::SignatureError));
    let other = ed25519::SigningKey::from_seed([5; 32]).verifying_key();
    assert_eq!(other.verify(&[b"labelbody"], &signature), Err(ed25519::SignatureError));
    assert_eq!(ed25519::VerifyingKey::from_bytes(public.as_bytes()), Ok(public));
    assert_eq!(ed25519::SigningKey::from_seed(*key.seed()).verifying_key(), public);
    assert_eq!(key.duplicate().verifying_key(), public);
}
