//! Targets for the formats of `rcseal_credential`: key sets, device entries, scanned safety numbers.

use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_credential::{
    AccountSigner, DeviceClaims, DeviceEntry, IdentityProfile, KeySetBuilder, RecoveryKey, SafetyNumber, SignalV4Party,
    SignalV4SafetyNumber, UnverifiedKeySet, VerifiedKeySet, prove_device,
};
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_crypto::{ed25519, x25519};
use rcseal_wire::id::{AccountId, Custody, DeviceNumber, Platform};

use crate::Verdict;

/// A key set as a directory sends it: parsed, then every signature in it checked. Bytes that parse are accepted here, because
/// no fuzzer can sign; what verifies must be kept byte for byte, since its hash is what the next one names.
pub(crate) fn key_set(bytes: &[u8]) -> Verdict {
    let parsed = UnverifiedKeySet::parse(bytes);
    let verdict = Verdict::of(&parsed);
    if let Ok(unverified) = parsed {
        let hash = unverified.hash();
        if let Ok(verified) = unverified.verify() {
            assert_eq!(verified.as_bytes(), bytes, "a key set is kept as it was signed");
            assert_eq!(verified.hash(), hash, "verifying changes no hash");
        }
    }
    verdict
}

pub(crate) fn key_set_seeds() -> Vec<Vec<u8>> {
    let first = first_key_set();
    let (entry, signer) = (device(2), signer());
    let second = KeySetBuilder::successor(&first).add_device(entry).and_then(|builder| builder.sign(&signer));
    let second = second.expect("the second device is new and the signer the same");
    // One set of every kind of succession: the bytes differ in the proof.
    let next = AccountSigner::from_seed([3; 32]);
    let migrated = KeySetBuilder::successor(&second).sign_migration(&signer, &next);
    let recovered = KeySetBuilder::recovery(&second, &recovery(), recovery().commitment())
        .and_then(|builder| builder.add_device(device(3)))
        .and_then(|builder| builder.sign_recovery(&recovery(), &next));
    let reset = KeySetBuilder::reset(&second, recovery().commitment())
        .add_device(device(3))
        .and_then(|builder| builder.sign_reset(&next, 1_800_000_000_000));
    let changed = [migrated, recovered, reset].map(|set| set.expect("each follows the second set by its own right"));
    [first, second].iter().chain(&changed).map(|set| set.as_bytes().to_vec()).collect()
}

/// One device's entry, as it travels while a device is linked.
pub(crate) fn device_entry(bytes: &[u8]) -> Verdict {
    let parsed = DeviceEntry::parse(bytes);
    if let Ok(entry) = &parsed {
        assert_eq!(entry.to_bytes(), bytes, "an entry has one encoding");
        let _ = entry.verify(account());
    }
    Verdict::of(&parsed)
}

pub(crate) fn device_entry_seeds() -> Vec<Vec<u8>> {
    vec![device(1).to_bytes()]
}

/// The text of a scanned safety number. Only the right one is accepted, and that is the seed.
pub(crate) fn safety_number(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    Verdict::of(&ours().verify_scan(text))
}

pub(crate) fn safety_number_seeds() -> Vec<Vec<u8>> {
    vec![theirs().qr_payload().into_bytes()]
}

/// What a device of the other profile's contacts shows: their scannable code. Only the right one is accepted.
pub(crate) fn safety_number_v4(bytes: &[u8]) -> Verdict {
    static OURS: OnceLock<SignalV4SafetyNumber> = OnceLock::new();
    let (us, them) = parties_v4();
    let ours = OURS.get_or_init(|| SignalV4SafetyNumber::new(&us, &them));
    let scanned = ours.verify_scan(bytes);
    if scanned.is_ok() {
        let (local, remote) = (&ours.code()[6..38], &ours.code()[42..]);
        assert!(bytes[6..38] == *remote && bytes[42..] == *local, "only the contact's own code is accepted");
    }
    Verdict::of(&scanned)
}

pub(crate) fn safety_number_v4_seeds() -> Vec<Vec<u8>> {
    let (us, them) = parties_v4();
    vec![SignalV4SafetyNumber::new(&them, &us).code().to_vec()]
}

fn parties_v4() -> (SignalV4Party, SignalV4Party) {
    let party = |account, seed| {
        let identity = x25519::SecretKey::from_bytes([seed; 32]).public_key();
        SignalV4Party::from_aci([account; 16], identity)
    };
    (party(1, 11), party(2, 12))
}

/// Computed once: a fuzzer calls this a thousand times a second.
fn ours() -> &'static SafetyNumber {
    static OURS: OnceLock<SafetyNumber> = OnceLock::new();
    OURS.get_or_init(|| {
        let (us, them) = parties();
        SafetyNumber::new(&us.party(), &them.party())
    })
}

fn theirs() -> SafetyNumber {
    let (us, them) = parties();
    SafetyNumber::new(&them.party(), &us.party())
}

fn parties() -> (VerifiedKeySet, VerifiedKeySet) {
    (first_key_set(), key_set_of(AccountId::from_bytes([7; 16]), AccountSigner::from_seed([8; 32])))
}

pub(crate) fn first_key_set() -> VerifiedKeySet {
    key_set_of(account(), signer())
}

fn key_set_of(account: AccountId, signer: AccountSigner) -> VerifiedKeySet {
    let builder = KeySetBuilder::first(account, recovery().commitment());
    let signed = builder.add_device(device_of(account, 1)).and_then(|builder| builder.sign(&signer));
    signed.expect("a first key set with one device is in order")
}

fn account() -> AccountId {
    AccountId::from_bytes([1; 16])
}

pub(crate) fn signer() -> AccountSigner {
    AccountSigner::from_seed([2; 32])
}

fn recovery() -> RecoveryKey {
    RecoveryKey::from_seed([4; 32])
}

fn device(number: u8) -> DeviceEntry {
    device_of(account(), number)
}

fn device_of(account: AccountId, number: u8) -> DeviceEntry {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(number));
    let identity = x25519::SecretKey::generate(&mut rng);
    let claims = DeviceClaims {
        account,
        number: DeviceNumber::new(number).expect("1 to 3 are device numbers"),
        platform: Platform::Android,
        custody: Custody::User,
        auth_key: &ed25519::SigningKey::generate(&mut rng),
        identity_keys: &[(IdentityProfile::Native, &identity)],
        sealing_key: &SealingSecretKey::generate(&mut rng).public_key(),
        mls_leaf_keys: &[],
    };
    prove_device(&mut rng, &claims).expect("one identity key and no leaf keys are in order")
}
