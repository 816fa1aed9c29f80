//! Signatures that somebody made who knows the curve's eight points of small order: both back ends must say the same of each, or two
//! clients would believe two different key sets.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use rcseal_crypto::backend::{aws_lc, portable};
use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_crypto::hash::sha512;
use rcseal_crypto::{x25519, xeddsa};

use crate::vectors::add_group_order;

const MESSAGE: &[u8] = b"a key set";

/// What both say.
fn verified(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let verdict = aws_lc::ed25519_verify(public, message, signature);
    assert_eq!(verdict, portable::ed25519_verify(public, message, signature), "{public:02x?} {signature:02x?}");
    verdict
}

fn scalar(n: u8) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&sha512(&[&[n]]))
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&sha512(&[r, a, message]))
}

/// R is given, s is r + h a, whatever R and A really are.
fn forged(r: Scalar, r_bytes: [u8; 32], a: Scalar, a_bytes: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let s = r + challenge(&r_bytes, a_bytes, message) * a;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r_bytes);
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

/// Every spelling of the points of small order: y and y + p where that fits into 255 bits, with either sign.
fn spellings() -> Vec<[u8; 32]> {
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut one_more = p;
    one_more[0] = 0xee;
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
    all.extend([p, one_more]);
    all.iter()
        .flat_map(|bytes| {
            let mut other = *bytes;
            other[31] ^= 0x80;
            [*bytes, other]
        })
        .collect()
}

#[test]
fn a_key_with_a_small_component_is_judged_alike_by_both_back_ends() {
    let (mut valid, mut invalid) = (0, 0);
    for n in 0..8 {
        let a = scalar(n);
        for small in EIGHT_TORSION {
            let public = (EdwardsPoint::mul_base(&a) + small).compress().0;
            // The strict parser takes it: only the owner of `a` can have made it, and nobody gains by it.
            assert!(VerifyingKey::from_bytes(&public).is_ok());
            for k in 0..4 {
                let r = scalar(100 + k);
                let signature = forged(r, EdwardsPoint::mul_base(&r).compress().0, a, &public, MESSAGE);
                if verified(&public, MESSAGE, &signature) {
                    valid += 1;
                } else {
                    invalid += 1;
                }
                let mut unreduced = signature;
                add_group_order(&mut unreduced);
                assert!(!verified(&public, MESSAGE, &unreduced), "s + q");
            }
        }
    }
    // Without a cofactor the small component shows, except where the challenge happens to be a multiple of its order.
    assert!(valid >= 32 && invalid > valid, "{valid} {invalid}");
}

#[test]
fn a_commitment_of_small_order_is_judged_alike_and_in_one_spelling_only() {
    let a = scalar(1);
    let public = EdwardsPoint::mul_base(&a).compress().0;
    let mut valid = Vec::new();
    for r_bytes in spellings() {
        let signature = forged(Scalar::ZERO, r_bytes, a, &public, MESSAGE);
        if verified(&public, MESSAGE, &signature) {
            valid.push(r_bytes);
        }
    }
    // r = 0: whoever signs so gives the private key away, and is the only one who can.
    assert_eq!(valid, [EIGHT_TORSION[0].compress().0]);
}

#[test]
fn keys_of_small_order_and_second_spellings_are_no_keys_whatever_the_back_ends_say_of_them() {
    for public in spellings() {
        assert!(VerifyingKey::from_bytes(&public).is_err(), "{public:02x?}");
    }
    // y + p for y below 19 is all that fits; none of them is a key.
    for low in 0xed..=0xffu8 {
        let mut public = [0xff; 32];
        (public[0], public[31]) = (low, 0x7f);
        assert!(VerifyingKey::from_bytes(&public).is_err(), "{low:02x}");
        public[31] = 0xff;
        assert!(VerifyingKey::from_bytes(&public).is_err(), "{low:02x} with a sign");
    }
}

#[test]
fn a_scalar_at_or_above_the_order_is_refused_by_both() {
    let a = scalar(1);
    let public = EdwardsPoint::mul_base(&a).compress().0;
    let r = scalar(2);
    let good = forged(r, EdwardsPoint::mul_base(&r).compress().0, a, &public, MESSAGE);
    assert!(verified(&public, MESSAGE, &good));
    let mut shifted = good;
    // Up to s + 15 q fits into 32 bytes.
    for _ in 0..14 {
        add_group_order(&mut shifted);
        assert!(!verified(&public, MESSAGE, &shifted));
    }
    for top in [0x20, 0x40, 0x80, 0xe0] {
        let mut high = good;
        high[63] |= top;
        assert!(!verified(&public, MESSAGE, &high));
    }
}

#[test]
fn xeddsa_takes_one_spelling_of_each_part_in_both_conventions() {
    let mut seen = 0;
    for n in 0..8 {
        let a = scalar(n);
        for small in EIGHT_TORSION {
            let u = (EdwardsPoint::mul_base(&a) + small).to_montgomery();
            let public = x25519::PublicKey::from_bytes(&u.0).unwrap();
            let point = MontgomeryPoint(u.0).to_edwards(0).unwrap().compress().0;
            for r_bytes in spellings() {
                // With r = 0 the equation holds for the holder of the key alone: under a clean key with the identity as R, under another
                // with the small point that its own small component leaves. The scalar of the point with sign 0 is a or -a.
                for a in [a, -a] {
                    let signature = xeddsa::Signature(forged(Scalar::ZERO, r_bytes, a, &point, MESSAGE));
                    let accepted = xeddsa::verify(&public, &[MESSAGE], &signature).is_ok();
                    assert_eq!(accepted, xeddsa::verify_with_sign_bit(&public, &[MESSAGE], &signature).is_ok());
                    // It is an Ed25519 signature under the converted key, for both back ends.
                    assert_eq!(accepted, verified(&point, MESSAGE, &signature.0));
                    let fitting = if small == EIGHT_TORSION[0] { &EIGHT_TORSION[..1] } else { &EIGHT_TORSION[..] };
                    let is_canonical = fitting.iter().any(|point| point.compress().0 == r_bytes);
                    assert!(is_canonical || !accepted, "{r_bytes:02x?}");
                    seen += usize::from(accepted);
                    let mut unreduced = signature;
                    add_group_order(&mut unreduced.0);
                    assert!(xeddsa::verify(&public, &[MESSAGE], &unreduced).is_err());
                    assert!(xeddsa::verify_with_sign_bit(&public, &[MESSAGE], &unreduced).is_err());
                    let mut signed = signature;
                    signed.0[63] |= 0x80;
                    assert!(xeddsa::verify(&public, &[MESSAGE], &signed).is_err(), "sign bit in the strict convention");
                }
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}
