//! A prekey signature vouches for one key of one kind under one id in one profile, and has one form.

use rcseal_crypto::xeddsa::Signature;
use rcseal_signal::*;

use crate::support::*;

fn refused_kind(bundle: PreKeyBundle, profile: Profile) -> PreKeyKind {
    match bundle.verify(profile).unwrap_err() {
        BundleError::Signature { kind, .. } => kind,
        other => panic!("expected a refused signature, got {other}"),
    }
}

#[test]
fn an_honest_bundle_verifies() {
    for profile in PROFILES {
        let device = Device::new(&mut rng(1), *profile, 1);
        assert_eq!(device.bundle(true).verify(*profile).unwrap().identity(), device.identity.public());
    }
}

#[test]
fn signatures_of_the_two_kinds_do_not_replace_each_other() {
    for profile in PROFILES {
        let device = Device::new(&mut rng(2), *profile, 1);
        let mut bundle = device.bundle(false);
        bundle.signed_prekey.signature = bundle.kem_prekey.signature;
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed);
        let mut bundle = device.bundle(false);
        bundle.kem_prekey.signature = bundle.signed_prekey.signature;
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Kem);
    }
}

#[test]
fn a_native_signature_is_bound_to_the_id() {
    let device = Device::new(&mut rng(3), Profile::Native, 1);
    let mut bundle = device.bundle(false);
    bundle.signed_prekey.id += 1;
    assert_eq!(refused_kind(bundle, Profile::Native), PreKeyKind::Signed);
    let mut bundle = device.bundle(false);
    bundle.kem_prekey.id += 1;
    assert_eq!(refused_kind(bundle, Profile::Native), PreKeyKind::Kem);
}

#[test]
fn an_identity_key_cannot_be_swapped_under_a_signature() {
    for profile in PROFILES {
        let mut rng = rng(4);
        let (one, two) = (Device::new(&mut rng, *profile, 1), Device::new(&mut rng, *profile, 2));
        let mut bundle = one.bundle(false);
        bundle.identity = two.identity.public();
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed);
    }
}

#[test]
fn every_bit_of_a_signature_counts() {
    for profile in PROFILES {
        let device = Device::new(&mut rng(5), *profile, 1);
        for bit in 0..512 {
            let mut bundle = device.bundle(false);
            bundle.signed_prekey.signature.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed, "bit {bit}");
            let mut bundle = device.bundle(false);
            bundle.kem_prekey.signature.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Kem, "bit {bit}");
        }
    }
}

#[test]
fn a_signature_over_one_key_vouches_for_no_other_of_its_kind() {
    for profile in PROFILES {
        let device = Device::new(&mut rng(8), *profile, 1);
        let mut rng = rng(9);
        let signed = SignedPreKey::generate(&mut rng, *profile, 7, &device.identity).unwrap().public();
        let kem = KemPreKey::generate(&mut rng, *profile, 300, &device.identity).unwrap().public();
        let mut bundle = device.bundle(false);
        bundle.signed_prekey.key = signed.key;
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed);
        let mut bundle = device.bundle(false);
        bundle.kem_prekey.key = kem.key;
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Kem);
        // A one-time prekey is published without a signature; none of the others fits it into another place.
        let mut bundle = device.bundle(false);
        bundle.signed_prekey.key = device.one_time.public().key;
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed);
    }
}

#[test]
fn r_has_one_spelling() {
    // y and y + p name the same point where both fit 255 bits, and the sign of a point with x = 0 can be set: R is compared as bytes.
    for profile in PROFILES {
        let device = Device::new(&mut rng(10), *profile, 1);
        for r in [
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let mut bundle = device.bundle(false);
            bundle.signed_prekey.signature.0[..32].copy_from_slice(&hex::decode(r).unwrap());
            assert_eq!(refused_kind(bundle.clone(), *profile), PreKeyKind::Signed);
            bundle.signed_prekey.signature.0[32..].fill(0);
            assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed);
        }
    }
}

#[test]
fn s_is_reduced() {
    // Adding the group order to s gives an equation that still holds; a second form of a signature must not verify.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    for profile in PROFILES {
        let device = Device::new(&mut rng(6), *profile, 1);
        let mut bundle = device.bundle(false);
        let Signature(bytes) = &mut bundle.signed_prekey.signature;
        let mut carry = 0u16;
        for (byte, add) in bytes[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert_eq!(refused_kind(bundle, *profile), PreKeyKind::Signed);
    }
}

#[cfg(feature = "signal-v4")]
#[test]
fn signatures_do_not_cross_profiles() {
    let native = Device::new(&mut rng(7), Profile::Native, 1);
    let v4 = Device::new(&mut rng(7), Profile::SignalV4, 1);
    assert_eq!(refused_kind(native.bundle(false), Profile::SignalV4), PreKeyKind::Signed);
    assert_eq!(refused_kind(v4.bundle(false), Profile::Native), PreKeyKind::Signed);
}
