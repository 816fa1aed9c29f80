//! Two different pairs of people never share a safety number by the way it is put together, of either kind; and the `signal-v4` kind
//! equals libsignal's.

use std::path::PathBuf;

use proptest::prelude::*;
use rcseal_credential::{
    BuildError, IdentityProfile, KeySetBuilder, KeySetError, Party, SIGNAL_V4_CODE_LEN, SafetyNumber, ScanError,
    SignalV4Party, SignalV4SafetyNumber, SignalV4ScanError,
};
use rcseal_crypto::x25519;
use rcseal_wire::id::AccountId;

use crate::fixture::{Account, Device, number, rng};

fn v4_party(seed: u64) -> SignalV4Party {
    let mut rng = rng(seed);
    SignalV4Party {
        account: AccountId::generate(&mut rng),
        identity: x25519::SecretKey::generate(&mut rng).public_key(),
    }
}

#[test]
fn the_order_of_the_parties_does_not_change_either_number() {
    let (us, them) = (Account::new(1).first.party(), Account::new(2).first.party());
    assert_eq!(SafetyNumber::new(&us, &them).numeric(), SafetyNumber::new(&them, &us).numeric());
    let (us, them) = (v4_party(1), v4_party(2));
    assert_eq!(SignalV4SafetyNumber::new(&us, &them).numeric(), SignalV4SafetyNumber::new(&them, &us).numeric());
}

#[test]
fn no_byte_moves_between_id_and_key_without_changing_the_number() {
    // The last byte of the id and the first of the key swapped: the bytes in a row are the same for no other split.
    let (us, them) = (v4_party(3), v4_party(4));
    let before = SignalV4SafetyNumber::new(&us, &them).numeric();
    let (mut id, mut key) = (*them.account.as_bytes(), *them.identity.as_bytes());
    std::mem::swap(&mut id[15], &mut key[0]);
    let moved =
        SignalV4Party { account: AccountId::from_bytes(id), identity: x25519::PublicKey::from_bytes(&key).unwrap() };
    assert_ne!(SignalV4SafetyNumber::new(&us, &moved).numeric(), before);
    // The same for the native number; an Ed25519 key cannot be made up by bytes, so id and key are exchanged whole.
    let (us, them, other) =
        (Account::new(1).first.party(), Account::new(2).first.party(), Account::new(3).first.party());
    let before = SafetyNumber::new(&us, &them).numeric();
    assert_ne!(SafetyNumber::new(&us, &Party { account: other.account, ..them }).numeric(), before);
    assert_ne!(SafetyNumber::new(&us, &Party { account_key: other.account_key, ..them }).numeric(), before);
    let crossed = SafetyNumber::new(&Party { account: them.account, ..us }, &Party { account: us.account, ..them });
    assert_ne!(crossed.numeric(), before);
}

#[test]
fn the_two_kinds_never_read_each_other() {
    let native = SafetyNumber::new(&Account::new(1).first.party(), &Account::new(2).first.party());
    let (us, them) = (v4_party(5), v4_party(6));
    let ours = SignalV4SafetyNumber::new(&us, &them);
    assert_eq!(native.verify_scan(&hex::encode(ours.code())), Err(ScanError::Malformed));
    assert_eq!(ours.verify_scan(native.qr_payload().as_bytes()), Err(SignalV4ScanError::Malformed));
    assert_eq!(ours.numeric().len(), 60);
    assert_eq!(native.numeric().replace(' ', "").len(), 60);
}

#[test]
fn another_version_is_refused_and_says_nothing_about_the_contact() {
    let (us, them) = (v4_party(7), v4_party(8));
    let (ours, theirs) = (SignalV4SafetyNumber::new(&us, &them), SignalV4SafetyNumber::new(&them, &us));
    for version in [0, 1, 3, 127] {
        let mut code = theirs.code();
        code[1] = version;
        assert_eq!(ours.verify_scan(&code), Err(SignalV4ScanError::WrongVersion { version }));
    }
    let native = SafetyNumber::new(&Account::new(1).first.party(), &Account::new(2).first.party());
    assert_eq!(native.verify_scan("rcseal://verify/Ag"), Err(ScanError::WrongVersion { version: 2 }));
}

#[test]
fn a_code_is_compared_crossed_and_every_bit_counts() {
    let (us, them) = (v4_party(9), v4_party(10));
    let (ours, theirs) = (SignalV4SafetyNumber::new(&us, &them), SignalV4SafetyNumber::new(&them, &us));
    assert_eq!(ours.verify_scan(&theirs.code()), Ok(()));
    assert_eq!(theirs.verify_scan(&ours.code()), Ok(()));
    // Our own code, shown back to us, proves nothing.
    assert_eq!(ours.verify_scan(&ours.code()), Err(SignalV4ScanError::Mismatch));
    for bit in 0..SIGNAL_V4_CODE_LEN * 8 {
        let mut code = theirs.code();
        code[bit / 8] ^= 1 << (bit % 8);
        assert!(ours.verify_scan(&code).is_err(), "bit {bit}");
    }
    for len in 0..SIGNAL_V4_CODE_LEN {
        assert_eq!(ours.verify_scan(&theirs.code()[..len]), Err(SignalV4ScanError::Malformed));
    }
    assert_eq!(ours.verify_scan(&[&theirs.code()[..], &[0]].concat()), Err(SignalV4ScanError::Malformed));
}

#[test]
fn an_account_has_one_signal_v4_identity_key_over_all_its_devices() {
    let account = Account::new(11);
    let (one, two) = (Device::new(12), Device::new(13));
    let keys = |device: &Device, shared: &Device, at| {
        let native = (IdentityProfile::Native, &device.native);
        let signal = (IdentityProfile::SignalV4, &shared.signal);
        device.entry_with(account.id, at, &[native, signal], &[])
    };
    let with = |third| {
        KeySetBuilder::successor(&account.first)
            .add_device(keys(&one, &one, 2))
            .unwrap()
            .add_device(third)
            .unwrap()
            .sign(&account.signer)
    };
    assert_eq!(account.first.signal_v4_identity(), None, "devices without the profile list none");
    let set = with(keys(&two, &one, 3)).unwrap();
    assert_eq!(set.signal_v4_identity(), Some(one.signal.public_key()));
    let refused = with(keys(&two, &two, 3)).unwrap_err();
    assert_eq!(refused, BuildError::Refused(KeySetError::SignalV4Identity { device: number(3) }));
}

#[test]
fn digits_and_codes_equal_libsignals() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors/credential/safety_number_v4.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 4);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let bytes = |name: &str| hex::decode(text(name)).unwrap();
        let party = |side: &str| {
            let key = bytes(&format!("{side}_identity"));
            assert_eq!(key[0], 5);
            SignalV4Party {
                account: AccountId::from_bytes(bytes(&format!("{side}_aci")).try_into().unwrap()),
                identity: x25519::PublicKey::from_bytes(&key[1..].try_into().unwrap()).unwrap(),
            }
        };
        let (us, them) = (party("our"), party("their"));
        let (ours, theirs) = (SignalV4SafetyNumber::new(&us, &them), SignalV4SafetyNumber::new(&them, &us));
        assert_eq!(ours.numeric(), text("digits"));
        assert_eq!(ours.code().as_slice(), bytes("our_code"));
        assert_eq!(theirs.code().as_slice(), bytes("their_code"));
        assert_eq!(ours.verify_scan(&bytes("their_code")), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_codes_are_refused_with_a_typed_error(mut code in proptest::collection::vec(any::<u8>(), 0..80)) {
        let number = SignalV4SafetyNumber::new(&v4_party(12), &v4_party(13));
        prop_assert!(number.verify_scan(&code).is_err());
        if let [tag, version, ..] = code.as_mut_slice() {
            (*tag, *version) = (0x08, 2);
            let expected = match code.len() {
                SIGNAL_V4_CODE_LEN => vec![SignalV4ScanError::Malformed, SignalV4ScanError::Mismatch],
                _ => vec![SignalV4ScanError::Malformed],
            };
            prop_assert!(expected.contains(&number.verify_scan(&code).unwrap_err()));
        }
    }
}
