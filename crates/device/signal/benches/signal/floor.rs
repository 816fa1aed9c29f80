//! The primitives an operation cannot do without, with nothing in between.

use std::hint::black_box;
use std::rc::Rc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_crypto::hkdf::{hkdf_sha256, zero_salt};
use rcseal_crypto::hmac::{self, hmac_sha256};
use rcseal_crypto::mlkem768::split;
use rcseal_crypto::{Secret, cbc, hash, mlkem1024, x25519, xeddsa};

use crate::TEXT_LEN;
use crate::timing::per_call;

/// Associated data and a message of 1 KiB before its MAC.
const AUTHENTICATED_LEN: usize = 101 + 82 + TEXT_LEN + 16;
const LABEL: &[u8] = b"a label as long as the real ones are";
/// Rounds in which the post-quantum ratchet completes one epoch when nothing is lost.
const EPOCH_ROUNDS: usize = 42;

/// Seed and next key of the Double Ratchet's chain, and a step of the post-quantum chain: the keys of one message.
fn message_keys() -> Secret<80> {
    let chain = hmac::Key::new(black_box(&[5; 32]));
    let (seed, _) = black_box((chain.mac(&[&[1]]), chain.mac(&[&[2]])));
    let post_quantum: Secret<64> = zero_salt(black_box(&[6; 32]), &[&[0; 4], LABEL]);
    hkdf_sha256(&post_quantum.expose()[32..], &seed, &[LABEL])
}

fn encrypt_once() -> (Vec<u8>, [u8; 32]) {
    let keys = black_box(message_keys());
    let ciphertext = cbc::encrypt(&[1; 32], &[2; 16], black_box(&[7; TEXT_LEN]));
    let mac = hmac_sha256(&keys.expose()[32..64], &[black_box(&[7; AUTHENTICATED_LEN])]);
    (ciphertext, mac)
}

pub(crate) fn encrypt(count: usize) -> f64 {
    per_call(count, |_| encrypt_once())
}

fn decrypt_once(ciphertext: &[u8]) -> Vec<u8> {
    let keys = black_box(message_keys());
    black_box(hmac_sha256(&keys.expose()[32..64], &[black_box(&[7; AUTHENTICATED_LEN])]));
    cbc::decrypt(&[1; 32], &[2; 16], black_box(ciphertext)).unwrap()
}

pub(crate) fn decrypt(count: usize) -> f64 {
    let ciphertext = cbc::encrypt(&[1; 32], &[2; 16], &[7; TEXT_LEN]);
    per_call(count, |_| decrypt_once(&ciphertext))
}

/// Per direction: one key pair, two agreements, two root steps, one encryption and one decryption; and this round's share of a KEM
/// epoch.
pub(crate) fn ping_pong(count: usize) -> f64 {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let theirs = x25519::KeyPair::generate(&mut rng);
    let ciphertext = cbc::encrypt(&[1; 32], &[2; 16], &[7; TEXT_LEN]);
    per_call(count, |round| {
        if round % EPOCH_ROUNDS == 0 {
            black_box(epoch());
        }
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

/// One key pair, one encapsulation in two halves, one decapsulation.
fn epoch() -> Secret<32> {
    let pair = split::KeyPair::from_seed(&Secret::from_bytes([8; 64]));
    let halves = split::Encapsulation::begin(pair.header(), &Secret::from_bytes([9; 32]));
    let ct2 = halves.finish(pair.vector()).unwrap();
    pair.decapsulate(halves.ct1(), &ct2)
}

/// The two chains that a jump walks, without a message's keys.
pub(crate) fn chain_steps(count: u32) -> f64 {
    per_call(1, |_| {
        let (mut key, mut post_quantum) = ([5; 32], Secret::from_bytes([6; 32]));
        for index in 0..count {
            key = hmac_sha256(&key, &[&[2]]);
            post_quantum = zero_salt::<32>(post_quantum.expose(), &[&index.to_be_bytes(), LABEL]);
        }
        (key, post_quantum)
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

    /// Key check, two verifications by one key, two key pairs, encapsulation, five agreements, the hashes of header and
    /// transcript, four HKDFs.
    pub(crate) fn initiate(&self, count: usize) -> f64 {
        let keys = &*self.0;
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        per_call(count, |_| {
            let kem = mlkem1024::PublicKey::from_bytes(keys.kem.public_key().as_bytes()).unwrap();
            let identity = xeddsa::VerifyingKey::new(&keys.theirs.public).unwrap();
            identity.verify(&[keys.ours.public.as_bytes()], &keys.key_signature).unwrap();
            identity.verify(&[kem.as_bytes()], &keys.kem_signature).unwrap();
            let (base, ratchet) = (x25519::KeyPair::generate(&mut rng), x25519::KeyPair::generate(&mut rng));
            black_box(kem.encapsulate(&mut rng));
            for secret in [&keys.ours.secret, &base.secret, &base.secret, &base.secret, &ratchet.secret] {
                black_box(secret.diffie_hellman(&keys.theirs.public).unwrap());
            }
            derive(keys)
        })
    }

    /// Two stored X25519 keys and one stored KEM key made ready, decapsulation, five agreements, hashes, four HKDFs.
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

/// The post-quantum ratchet's first message begins with a key pair and the MAC of its header.
pub(crate) fn first_chunk(count: usize) -> f64 {
    per_call(count, |_| {
        let pair = split::KeyPair::from_seed(black_box(&Secret::from_bytes([8; 64])));
        hmac_sha256(&[9; 32], &[LABEL, &[0; 8], pair.header()])
    })
}

fn derive(keys: &Keys) -> (Secret<128>, Secret<64>, Secret<96>, Secret<64>) {
    let header =
        hash::sha256(&[keys.ours.public.as_bytes(), keys.theirs.public.as_bytes(), keys.ciphertext.as_bytes()]);
    let transcript = hash::sha256(&[keys.kem.public_key().as_bytes(), &header]);
    (
        zero_salt(&[3; 192], &[LABEL, &transcript]),
        hkdf_sha256(&[4; 32], &[5; 32], &[LABEL]),
        zero_salt(&[6; 32], &[LABEL]),
        zero_salt(&[7; 64], &[LABEL, &[0; 8]]),
    )
}
