//! The primitives an operation cannot do without, with nothing in between.

use std::hint::black_box;
use std::rc::Rc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_crypto::hkdf::hkdf_sha256;
use rcseal_crypto::hmac::hmac_sha256;
use rcseal_crypto::{Secret, cbc, hash, mlkem1024, x25519, xeddsa};

use crate::TEXT_LEN;
use crate::timing::per_call;

/// Associated data and a message of 1 KiB before its MAC.
const AUTHENTICATED_LEN: usize = 101 + 44 + TEXT_LEN + 16;
const LABEL: &[u8] = b"a label as long as the real ones are";

fn chain_step(key: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    (hmac_sha256(key, &[&[1]]), hmac_sha256(key, &[&[2]]))
}

fn message_keys(seed: &[u8; 32]) -> Secret<80> {
    hkdf_sha256(&[0; 32], seed, &[LABEL])
}

fn encrypt_once() -> (Vec<u8>, [u8; 32]) {
    let (seed, _) = black_box(chain_step(&[5; 32]));
    let keys = black_box(message_keys(&seed));
    let ciphertext = cbc::encrypt(&[1; 32], &[2; 16], black_box(&[7; TEXT_LEN]));
    let mac = hmac_sha256(&keys.expose()[32..64], &[black_box(&[7; AUTHENTICATED_LEN])]);
    (ciphertext, mac)
}

pub(crate) fn encrypt(count: usize) -> f64 {
    per_call(count, |_| encrypt_once())
}

fn decrypt_once(ciphertext: &[u8]) -> Vec<u8> {
    let (seed, _) = black_box(chain_step(&[5; 32]));
    let keys = black_box(message_keys(&seed));
    black_box(hmac_sha256(&keys.expose()[32..64], &[black_box(&[7; AUTHENTICATED_LEN])]));
    cbc::decrypt(&[1; 32], &[2; 16], black_box(ciphertext)).unwrap()
}

pub(crate) fn decrypt(count: usize) -> f64 {
    let ciphertext = cbc::encrypt(&[1; 32], &[2; 16], &[7; TEXT_LEN]);
    per_call(count, |_| decrypt_once(&ciphertext))
}

/// Per direction: one key pair, two agreements, two root steps, one encryption and one decryption.
pub(crate) fn ping_pong(count: usize) -> f64 {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let theirs = x25519::KeyPair::generate(&mut rng);
    let ciphertext = cbc::encrypt(&[1; 32], &[2; 16], &[7; TEXT_LEN]);
    per_call(count, |_| {
        for _ in 0..2 {
            let pair = x25519::KeyPair::generate(&mut rng);
            let sent = pair.secret.diffie_hellman(&theirs.public).unwrap();
            let read = theirs.secret.diffie_hellman(&pair.public).unwrap();
            black_box(hkdf_sha256::<64>(&[3; 32], sent.expose(), &[LABEL]));
            black_box(hkdf_sha256::<64>(&[3; 32], read.expose(), &[LABEL]));
            black_box(encrypt_once());
            black_box(decrypt_once(&ciphertext));
        }
    })
}

pub(crate) fn chain_steps(count: u32) -> f64 {
    per_call(1, |_| {
        let mut key = [5; 32];
        for _ in 0..count {
            key = hmac_sha256(&key, &[&[2]]);
        }
        key
    })
}

#[derive(Clone)]
pub(crate) struct Handshake(Rc<Keys>);

struct Keys {
    ours: x25519::KeyPair,
    theirs: x25519::KeyPair,
    stored: [u8; 32],
    kem: mlkem1024::SecretKey,
    ciphertext: mlkem1024::Ciphertext,
    key_signature: xeddsa::Signature,
    kem_signature: xeddsa::Signature,
}

impl Handshake {
    pub(crate) fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (ours, theirs) = (x25519::KeyPair::generate(&mut rng), x25519::KeyPair::generate(&mut rng));
        let kem = mlkem1024::SecretKey::generate(&mut rng);
        let (ciphertext, _) = kem.public_key().encapsulate(&mut rng);
        let key_signature = xeddsa::sign(&theirs.secret, &[ours.public.as_bytes()], &mut rng);
        let kem_signature = xeddsa::sign(&theirs.secret, &[kem.public_key().as_bytes()], &mut rng);
        Self(Rc::new(Keys { ours, theirs, stored: [9; 32], kem, ciphertext, key_signature, kem_signature }))
    }

    /// Key check, two verifications, two key pairs, encapsulation, five agreements, the hashes of header and
    /// transcript, two HKDFs.
    pub(crate) fn initiate(&self, count: usize) -> f64 {
        let keys = &*self.0;
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        per_call(count, |_| {
            let kem = mlkem1024::PublicKey::from_bytes(keys.kem.public_key().as_bytes()).unwrap();
            xeddsa::verify(&keys.theirs.public, &[keys.ours.public.as_bytes()], &keys.key_signature).unwrap();
            xeddsa::verify(&keys.theirs.public, &[kem.as_bytes()], &keys.kem_signature).unwrap();
            let (base, ratchet) = (x25519::KeyPair::generate(&mut rng), x25519::KeyPair::generate(&mut rng));
            black_box(kem.encapsulate(&mut rng));
            for secret in [&keys.ours.secret, &base.secret, &base.secret, &base.secret, &ratchet.secret] {
                black_box(secret.diffie_hellman(&keys.theirs.public).unwrap());
            }
            derive(keys)
        })
    }

    /// Two stored X25519 keys and one stored KEM key made ready, decapsulation, five agreements, hashes, two HKDFs.
    pub(crate) fn respond(&self, count: usize) -> f64 {
        let keys = &*self.0;
        per_call(count, |_| {
            let signed = x25519::SecretKey::from_bytes(keys.stored);
            let one_time = x25519::SecretKey::from_bytes(keys.stored);
            let kem = mlkem1024::SecretKey::from_seed(*keys.kem.seed());
            black_box(kem.decapsulate(&keys.ciphertext));
            for secret in [&keys.ours.secret, &signed, &signed, &one_time, &signed] {
                black_box(secret.diffie_hellman(&keys.theirs.public).unwrap());
            }
            derive(keys)
        })
    }
}

fn derive(keys: &Keys) -> (Secret<128>, Secret<64>) {
    let header =
        hash::sha256(&[keys.ours.public.as_bytes(), keys.theirs.public.as_bytes(), keys.ciphertext.as_bytes()]);
    let transcript = hash::sha256(&[keys.kem.public_key().as_bytes(), &header]);
    (hkdf_sha256(&[0; 32], &[3; 192], &[LABEL, &transcript]), hkdf_sha256(&[4; 32], &[5; 32], &[LABEL]))
}
