//! ML-KEM against published vectors and, where AWS-LC is compiled in, against its own ML-KEM; round-3 Kyber against another
//! implementation's vectors.

use serde::Deserialize;

use crate::fixture::{Chosen, Hex, cases, rng};

#[derive(Deserialize)]
struct Case {
    seed: Hex,
    public: Hex,
    randomness: Hex,
    ciphertext: Hex,
    shared: Hex,
}

macro_rules! parameter_set {
    ($module:ident, $vectors:literal) => {
        mod $module {
            use rcseal_crypto::$module::{CIPHERTEXT_LEN, Ciphertext, KeyError, PUBLIC_KEY_LEN, PublicKey, SecretKey};

            use super::*;

            #[test]
            fn meets_the_vectors() {
                for case in cases::<Case>($vectors) {
                    let secret = SecretKey::from_seed(case.seed.array());
                    assert_eq!(secret.public_key().as_bytes(), &case.public.array());
                    let public = PublicKey::from_bytes(&case.public.0).unwrap();
                    let (ciphertext, shared) = public.encapsulate(&mut Chosen(case.randomness.0));
                    assert_eq!(ciphertext.as_bytes(), &case.ciphertext.array());
                    assert_eq!(shared.expose(), &case.shared.array());
                    let received = Ciphertext::from_bytes(&case.ciphertext.0).unwrap();
                    assert_eq!(secret.decapsulate(&received).expose(), &case.shared.array());
                }
            }

            #[test]
            fn lengths_and_modulus_are_checked() {
                let secret = SecretKey::generate(&mut rng(1));
                let good = secret.public_key().as_bytes().to_vec();
                assert_eq!(&PublicKey::from_bytes(&good).unwrap(), secret.public_key());
                for actual in [0, PUBLIC_KEY_LEN - 1, PUBLIC_KEY_LEN + 1] {
                    let error = KeyError::Length { expected: PUBLIC_KEY_LEN, actual };
                    assert_eq!(PublicKey::from_bytes(&vec![0; actual]).unwrap_err(), error);
                }
                for actual in [0, CIPHERTEXT_LEN - 1, CIPHERTEXT_LEN + 1] {
                    let error = KeyError::Length { expected: CIPHERTEXT_LEN, actual };
                    assert_eq!(Ciphertext::from_bytes(&vec![0; actual]).unwrap_err(), error);
                }
                // The first and the last coefficient as q itself, which is a second spelling of 0; q = 3329 = 0xd01.
                let mut first = good.clone();
                (first[0], first[1]) = (0x01, (first[1] & 0xf0) | 0x0d);
                assert_eq!(PublicKey::from_bytes(&first).unwrap_err(), KeyError::Modulus);
                let mut last = good;
                let end = PUBLIC_KEY_LEN - 32;
                (last[end - 2], last[end - 1]) = ((last[end - 2] & 0x0f) | 0x10, 0xd0);
                assert_eq!(PublicKey::from_bytes(&last).unwrap_err(), KeyError::Modulus);
            }

            #[test]
            fn a_ciphertext_for_another_key_gives_an_unrelated_secret() {
                let mut rng = rng(2);
                let (ours, other) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
                let (ciphertext, shared) = ours.public_key().encapsulate(&mut rng);
                assert!(ours.decapsulate(&ciphertext).ct_eq(&shared));
                assert!(!other.decapsulate(&ciphertext).ct_eq(&shared));
                let mut changed = ciphertext.as_bytes().to_vec();
                changed[100] ^= 1;
                let changed = Ciphertext::from_bytes(&changed).unwrap();
                assert!(!ours.decapsulate(&changed).ct_eq(&shared));
                // Implicit rejection is deterministic.
                assert!(ours.decapsulate(&changed).ct_eq(&ours.decapsulate(&changed)));
                let restored = SecretKey::from_seed(*ours.seed());
                assert!(restored.decapsulate(&ciphertext).ct_eq(&shared));
            }
        }
    };
}

parameter_set!(mlkem768, "mlkem768");
parameter_set!(mlkem1024, "mlkem1024");
#[cfg(feature = "kyber")]
parameter_set!(kyber1024, "kyber1024");

#[cfg(feature = "aws-lc")]
macro_rules! speaks_with_aws_lc {
    ($module:ident, $aws_lc:ident) => {{
        use rcseal_crypto::$module::{Ciphertext, PublicKey, SecretKey};
        let mut rng = rng(3);
        for _ in 0..20 {
            let ours = SecretKey::generate(&mut rng);
            let peer = kem::EncapsulationKey::new(&kem::$aws_lc, ours.public_key().as_bytes()).unwrap();
            let (ciphertext, shared) = peer.encapsulate().unwrap();
            let received = Ciphertext::from_bytes(ciphertext.as_ref()).unwrap();
            assert_eq!(ours.decapsulate(&received).expose(), shared.as_ref());

            let theirs = kem::DecapsulationKey::generate(&kem::$aws_lc).unwrap();
            let public = theirs.encapsulation_key().unwrap().key_bytes().unwrap();
            let public = PublicKey::from_bytes(public.as_ref()).unwrap();
            let (ciphertext, shared) = public.encapsulate(&mut rng);
            let opened = theirs.decapsulate(ciphertext.as_bytes().as_slice().into()).unwrap();
            assert_eq!(opened.as_ref(), shared.expose());
        }
    }};
}

#[cfg(feature = "aws-lc")]
#[test]
fn mlkem_speaks_with_aws_lc() {
    use aws_lc_rs::kem;
    speaks_with_aws_lc!(mlkem768, ML_KEM_768);
    speaks_with_aws_lc!(mlkem1024, ML_KEM_1024);
}

#[cfg(feature = "kyber")]
mod round_three {
    use rcseal_crypto::{kyber1024, mlkem1024};

    use super::*;

    #[test]
    fn is_not_ml_kem() {
        let (kyber, mlkem) = (kyber1024::SecretKey::from_seed([9; 64]), mlkem1024::SecretKey::from_seed([9; 64]));
        assert_ne!(kyber.public_key().as_bytes(), mlkem.public_key().as_bytes());
        // The bytes of a key fit both types; the secrets do not.
        let key = mlkem1024::PublicKey::from_bytes(kyber.public_key().as_bytes()).unwrap();
        let (ciphertext, shared) = key.encapsulate(&mut rng(3));
        let received = kyber1024::Ciphertext::from_bytes(ciphertext.as_bytes()).unwrap();
        assert!(!kyber.decapsulate(&received).ct_eq(&shared));
    }
}
