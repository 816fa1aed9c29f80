//! Sealing: X-Wing against its published vectors, and whole messages against those of an independent HPKE (other authors, another ML-KEM,
//! other curve code).

use rcseal_crypto::seal::{
    Encapsulation, KeyError, OpenError, PUBLIC_KEY_LEN, SEAL_OVERHEAD, SealingPublicKey, SealingSecretKey, seal,
};
use rcseal_crypto::x25519;
use serde::Deserialize;

use crate::fixture::{Chosen, Hex, cases, rng};

#[derive(Deserialize)]
struct Case {
    seed: Hex,
    eseed: Hex,
    public: Hex,
    encapsulation: Hex,
    shared: Hex,
}

fn meets(case: &Case) {
    let secret = SealingSecretKey::from_seed(case.seed.array());
    assert_eq!(secret.public_key().as_bytes(), &case.public.array());
    let public = SealingPublicKey::from_bytes(&case.public.0).unwrap();
    assert_eq!(public, secret.public_key());
    let (encapsulation, shared) = public.encapsulate(&mut Chosen(case.eseed.0.clone()));
    assert_eq!(encapsulation.to_bytes(), case.encapsulation.array());
    assert_eq!(shared.expose(), &case.shared.array());
    let received = Encapsulation::from_bytes(&case.encapsulation.0).unwrap();
    assert_eq!(secret.decapsulate(&received).unwrap().expose(), &case.shared.array());
}

#[test]
fn x_wing_meets_the_drafts_vectors() {
    cases("xwing").iter().for_each(meets);
    cases("hpke_xwing").iter().for_each(meets);
}

const INFO: &[u8] = b"rcseal/test";
const AAD: &[u8] = b"header";

#[derive(Deserialize)]
struct SealedCase {
    seed: Hex,
    eseed: Hex,
    info: Hex,
    aad: Hex,
    plaintext: Hex,
    sealed: Hex,
}

#[test]
fn sealed_messages_are_those_of_an_independent_hpke() {
    for case in cases::<SealedCase>("sealing") {
        let secret = SealingSecretKey::from_seed(case.seed.array());
        let opened = secret.open(&case.info.0, &case.aad.0, &case.sealed.0);
        assert_eq!(opened.as_ref(), Ok(&case.plaintext.0));
        let mut chosen = Chosen(case.eseed.0);
        let sealed = seal(&mut chosen, &secret.public_key(), &case.info.0, &case.aad.0, &case.plaintext.0);
        assert_eq!(sealed, case.sealed.0);
        assert_eq!(sealed.len(), case.plaintext.0.len() + SEAL_OVERHEAD);
    }
}

#[test]
fn nothing_of_a_sealed_message_can_be_changed() {
    let mut rng = rng(3);
    let secret = SealingSecretKey::generate(&mut rng);
    let sealed = seal(&mut rng, &secret.public_key(), INFO, AAD, b"first message");
    assert_eq!(secret.open(INFO, AAD, &sealed).unwrap(), b"first message");
    assert_eq!(secret.open(b"other", AAD, &sealed), Err(OpenError::NotAuthentic));
    assert_eq!(secret.open(INFO, b"other", &sealed), Err(OpenError::NotAuthentic));
    let other = SealingSecretKey::generate(&mut rng);
    assert_eq!(other.open(INFO, AAD, &sealed), Err(OpenError::NotAuthentic));
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 0x80;
        let error = secret.open(INFO, AAD, &changed).unwrap_err();
        // The top bit of the ephemeral key's last byte makes it non-canonical, which is seen before the tag.
        let expected = if index == SEAL_OVERHEAD - 17 {
            OpenError::Encapsulation(KeyError::X25519(x25519::KeyError::NonCanonical))
        } else {
            OpenError::NotAuthentic
        };
        assert_eq!(error, expected, "byte {index}");
    }
    for actual in [0, 1, SEAL_OVERHEAD - 1] {
        assert_eq!(secret.open(INFO, AAD, &sealed[..actual]), Err(OpenError::TooShort { actual }));
    }
}

#[test]
fn both_halves_of_a_public_key_are_checked() {
    let good = SealingSecretKey::from_seed([1; 32]).public_key().as_bytes().to_vec();
    for actual in [0, PUBLIC_KEY_LEN - 1, PUBLIC_KEY_LEN + 1] {
        let error = KeyError::Length { expected: PUBLIC_KEY_LEN, actual };
        let mut bytes = good.clone();
        bytes.resize(actual, 0);
        assert_eq!(SealingPublicKey::from_bytes(&bytes).unwrap_err(), error);
    }
    let mut unreduced = good.clone();
    unreduced[..3].fill(0xff);
    assert_eq!(
        SealingPublicKey::from_bytes(&unreduced).unwrap_err(),
        KeyError::MlKem(rcseal_crypto::mlkem768::KeyError::Modulus)
    );
    let mut low_order = good;
    low_order[PUBLIC_KEY_LEN - 32..].fill(0);
    assert_eq!(SealingPublicKey::from_bytes(&low_order).unwrap_err(), KeyError::X25519(x25519::KeyError::LowOrder));
}
