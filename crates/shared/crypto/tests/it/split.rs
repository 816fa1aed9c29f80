//! ML-KEM-768 in pieces against the whole of it.

use rcseal_crypto::Secret;
use rcseal_crypto::mlkem768::split::{Encapsulation, KeyPair, VECTOR_LEN, VectorError, check_vector};
use rcseal_crypto::mlkem768::{Ciphertext, PublicKey, SecretKey};

use crate::fixture::{Chosen, rng};

fn pair(number: u64) -> (Secret<64>, KeyPair) {
    let seed = Secret::generate(&mut rng(number));
    let pair = KeyPair::from_seed(&seed);
    (seed, pair)
}

#[test]
fn header_and_vector_are_the_whole_key() {
    let (seed, pair) = pair(1);
    let whole = SecretKey::from_seed(*seed.expose());
    let key = whole.public_key().as_bytes();
    assert_eq!(pair.vector(), &key[..VECTOR_LEN]);
    assert_eq!(pair.header()[..32], key[VECTOR_LEN..]);
    assert_eq!(pair.header()[32..], rcseal_crypto::hash::sha3_256(&[key]));
}

#[test]
fn two_halves_are_the_ciphertext_of_the_whole_key() {
    for number in 0..10 {
        let (seed, pair) = pair(number);
        let message = Secret::<32>::generate(&mut rng(100 + number));
        let halves = Encapsulation::begin(pair.header(), &message);
        let ct2 = halves.finish(pair.vector()).unwrap();

        let whole = SecretKey::from_seed(*seed.expose());
        let public = PublicKey::from_bytes(whole.public_key().as_bytes()).unwrap();
        let (ciphertext, shared) = public.encapsulate(&mut Chosen(message.expose().to_vec()));
        let joined = [halves.ct1().as_slice(), &ct2].concat();
        assert_eq!(ciphertext.as_bytes().as_slice(), joined);
        assert!(halves.shared_secret().ct_eq(&shared));

        // Either side may be whole.
        assert!(whole.decapsulate(&Ciphertext::from_bytes(&joined).unwrap()).ct_eq(&shared));
        let (ct1, ct2) = ciphertext.as_bytes().split_at(halves.ct1().len());
        assert!(pair.decapsulate(ct1.try_into().unwrap(), ct2.try_into().unwrap()).ct_eq(&shared));
    }
}

#[test]
fn a_seed_and_a_message_say_everything() {
    let (seed, first) = pair(3);
    let again = KeyPair::from_seed(&seed);
    assert_eq!((first.header(), first.vector()), (again.header(), again.vector()));
    let message = Secret::<32>::generate(&mut rng(4));
    let (a, b) = (Encapsulation::begin(first.header(), &message), Encapsulation::begin(first.header(), &message));
    assert_eq!(a.ct1(), b.ct1());
    assert!(a.shared_secret().ct_eq(b.shared_secret()));
    assert_eq!(a.finish(first.vector()), b.finish(first.vector()));
}

#[test]
fn a_vector_of_another_header_is_refused() {
    let (_, ours) = pair(5);
    let (_, other) = pair(6);
    let halves = Encapsulation::begin(ours.header(), &Secret::from_bytes([7; 32]));
    assert_eq!(halves.finish(other.vector()), Err(VectorError::NotOfHeader));
    for place in [0, VECTOR_LEN / 2, VECTOR_LEN - 1] {
        let mut tampered = *ours.vector();
        tampered[place] ^= 1;
        assert_eq!(halves.finish(&tampered), Err(VectorError::NotOfHeader));
    }
    // A changed header fits no vector, whichever half of it was changed.
    for place in [0, 31, 32, 63] {
        let mut header = *ours.header();
        header[place] ^= 1;
        assert_eq!(check_vector(&header, ours.vector()), Err(VectorError::NotOfHeader));
        let halves = Encapsulation::begin(&header, &Secret::from_bytes([7; 32]));
        assert_eq!(halves.finish(ours.vector()), Err(VectorError::NotOfHeader));
    }
}

#[test]
fn an_unreduced_vector_is_refused_even_when_its_hash_fits() {
    let (_, pair) = pair(8);
    // q = 3329 = 0xd01 as the first and as the last coefficient, and 4095 in the middle.
    let mut first = *pair.vector();
    (first[0], first[1]) = (0x01, (first[1] & 0xf0) | 0x0d);
    let mut last = *pair.vector();
    (last[VECTOR_LEN - 2], last[VECTOR_LEN - 1]) = ((last[VECTOR_LEN - 2] & 0x0f) | 0x10, 0xd0);
    let mut middle = *pair.vector();
    middle[600..603].fill(0xff);
    for vector in [first, last, middle] {
        let mut header = *pair.header();
        let hash = rcseal_crypto::hash::sha3_256(&[&vector, &header[..32]]);
        header[32..].copy_from_slice(&hash);
        assert_eq!(check_vector(&header, &vector), Err(VectorError::Modulus));
        let halves = Encapsulation::begin(&header, &Secret::from_bytes([9; 32]));
        assert_eq!(halves.finish(&vector), Err(VectorError::Modulus));
    }
}

#[test]
fn parts_for_another_key_give_an_unrelated_secret() {
    let (_, ours) = pair(10);
    let (_, other) = pair(11);
    let halves = Encapsulation::begin(ours.header(), &Secret::from_bytes([12; 32]));
    let mut ct2 = halves.finish(ours.vector()).unwrap();
    assert!(!other.decapsulate(halves.ct1(), &ct2).ct_eq(halves.shared_secret()));
    ct2[0] ^= 1;
    assert!(!ours.decapsulate(halves.ct1(), &ct2).ct_eq(halves.shared_secret()));
}

#[test]
fn nothing_secret_is_printed() {
    let (_, pair) = pair(13);
    let halves = Encapsulation::begin(pair.header(), &Secret::from_bytes([14; 32]));
    assert!(format!("{pair:?}").starts_with("mlkem768::split::KeyPair("));
    assert!(format!("{halves:?}").starts_with("mlkem768::split::Encapsulation("));
}
