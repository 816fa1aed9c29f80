//! One encoding per set: what parses encodes to itself, and each departure has its name.

use rcseal_credential::{
    BuildError, DeviceEntry, IdentityProfile, KEY_SET_LEN_MAX, KeySetBuilder, KeySetError, ParseError, ParticipantKey,
    RecoveryCommitment, UnverifiedKeySet,
};
use rcseal_crypto::{ed25519, seal, x25519};
use rcseal_wire::id::KeySetCounter;

use crate::fixture::{Account, Device, number};

/// Offsets in an encoded set, as `docs/protocol/key-set.md` tabulates them.
const COUNTER: usize = 17;
const PREVIOUS: usize = 25;
const ACCOUNT_KEY: usize = 57;
const RECOVERY: usize = 89;
const PARTICIPANT_KEY: usize = 90;
const HIGHEST_DEVICE: usize = 91;
const DEVICE: usize = 95;
const PLATFORM: usize = DEVICE + 1;
const CUSTODY: usize = DEVICE + 2;
const IDENTITY_PROFILE: usize = DEVICE + 3 + 32 + 2;
const SEALING_KEY: usize = IDENTITY_PROFILE + 2 + 32 + 2;

fn parse_changed(offset: usize, bytes: &[u8]) -> ParseError {
    let mut set = Account::new(1).first.as_bytes().to_vec();
    set[offset..offset + bytes.len()].copy_from_slice(bytes);
    UnverifiedKeySet::parse(&set).unwrap_err()
}

#[test]
fn a_signed_set_parses_to_what_was_signed() {
    let account = Account::new(1);
    let three = account.add(&account.add(&account.first, 2, 12), 3, 13);
    let parsed = UnverifiedKeySet::parse(three.as_bytes()).unwrap();
    assert_eq!(parsed.account(), account.id);
    assert_eq!(parsed.counter(), KeySetCounter::new(3));
    assert_eq!(parsed.hash(), three.hash());
    assert_eq!(parsed.verify().unwrap(), three);
    assert_eq!(three.devices().len(), 3);
    assert_eq!(three.next_device_number(), Some(number(4)));
    let device = three.device(number(2)).unwrap();
    assert_eq!(device, &Device::new(12).entry(account.id, 2));
    assert_eq!(device.identity_key(IdentityProfile::Native), Some(&Device::new(12).native.public_key()));
    assert_eq!(device.identity_key(IdentityProfile::SignalV4), None);
    assert!(three.device(number(4)).is_none());
}

#[test]
fn sizes_are_the_documented_ones() {
    let account = Account::new(1);
    assert_eq!(account.first.as_bytes().len(), 1_582);
    assert_eq!(account.add(&account.first, 2, 12).as_bytes().len(), 1_582 + 1_421);
}

#[test]
fn optional_parts_survive() {
    let account = Account::new(1);
    let device = Device::new(12);
    let entry = device.entry_with(
        account.id,
        2,
        &[(IdentityProfile::Native, &device.native), (IdentityProfile::SignalV4, &device.signal)],
        &[vec![1; 32], vec![4; 65]],
    );
    let participant = ParticipantKey::from_bytes(&[[2].as_slice(), &[7; 32]].concat()).unwrap();
    let set = KeySetBuilder::successor(&account.first)
        .add_device(entry.clone())
        .unwrap()
        .participant_key(Some(participant))
        .sign(&account.signer)
        .unwrap();
    let parsed = UnverifiedKeySet::parse(set.as_bytes()).unwrap().verify().unwrap();
    assert_eq!(parsed.participant_key(), Some(&participant));
    let device = parsed.device(number(2)).unwrap();
    assert_eq!(device.identity_keys().len(), 2);
    assert_eq!(device.mls_leaf_keys().map(<[u8]>::len).collect::<Vec<_>>(), [32, 65]);
    assert_eq!(DeviceEntry::parse(&entry.to_bytes()).unwrap(), entry);
}

#[test]
fn every_departure_from_the_form_has_its_name() {
    assert_eq!(parse_changed(0, &[2]), ParseError::UnknownVersion { version: 2 });
    assert_eq!(parse_changed(COUNTER, &[0; 8]), ParseError::Counter { counter: KeySetCounter::new(0) });
    assert_eq!(parse_changed(COUNTER + 7, &[2]), ParseError::Counter { counter: KeySetCounter::new(2) });
    assert_eq!(parse_changed(PREVIOUS, &[1]), ParseError::Counter { counter: KeySetCounter::FIRST });
    assert_eq!(
        parse_changed(ACCOUNT_KEY, &[[1].as_slice(), &[0; 31]].concat()),
        ParseError::Ed25519Key(ed25519::KeyError::SmallOrder)
    );
    assert_eq!(parse_changed(HIGHEST_DEVICE, &[0]), ParseError::HighestDevice { highest: 0 });
    assert_eq!(parse_changed(HIGHEST_DEVICE, &[2]), ParseError::HighestDevice { highest: 2 });
    assert_eq!(parse_changed(HIGHEST_DEVICE, &[128]), ParseError::HighestDevice { highest: 128 });
    assert_eq!(parse_changed(DEVICE, &[0]).code(), "key_set_unknown_code");
    assert_eq!(parse_changed(DEVICE, &[128]).code(), "key_set_unknown_code");
    assert_eq!(parse_changed(PLATFORM, &[99]).code(), "key_set_unknown_code");
    assert_eq!(parse_changed(CUSTODY, &[0]).code(), "key_set_unknown_code");
    assert_eq!(parse_changed(IDENTITY_PROFILE, &[9]), ParseError::UnknownProfile { code: 9 });
    assert_eq!(parse_changed(IDENTITY_PROFILE, &[2]), ParseError::NoNativeIdentity { device: number(1) });
    assert_eq!(parse_changed(IDENTITY_PROFILE + 2, &[0; 32]), ParseError::IdentityKey(x25519::KeyError::LowOrder));
    assert_eq!(
        parse_changed(SEALING_KEY, &[0xff; 3]),
        ParseError::SealingKey(seal::KeyError::MlKem(rcseal_crypto::mlkem768::KeyError::Modulus))
    );
}

#[test]
fn lengths_are_exact() {
    let set = Account::new(1).first.as_bytes().to_vec();
    for length in 1..set.len() {
        assert_eq!(UnverifiedKeySet::parse(&set[..length]).unwrap_err(), ParseError::Malformed, "{length}");
    }
    assert_eq!(UnverifiedKeySet::parse(&[]).unwrap_err(), ParseError::Malformed);
    let longer = [set.as_slice(), &[0]].concat();
    assert_eq!(UnverifiedKeySet::parse(&longer).unwrap_err(), ParseError::TrailingBytes { count: 1 });
    let huge = vec![1; KEY_SET_LEN_MAX + 1];
    assert_eq!(UnverifiedKeySet::parse(&huge).unwrap_err(), ParseError::TooLong { actual: KEY_SET_LEN_MAX + 1 });
}

/// Replaces the proof of a set: the kind, then the length and bytes of its content, before the 64 bytes of the signature.
fn with_proof(set: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let (body, signature) = (&set[..set.len() - 66], &set[set.len() - 64..]);
    [body, &[kind, u8::try_from(content.len()).unwrap()], content, signature].concat()
}

#[test]
fn a_proof_has_a_known_kind_and_its_length() {
    let account = Account::new(1);
    let second = account.add(&account.first, 2, 12);
    let parse = |kind, content: &[u8]| UnverifiedKeySet::parse(&with_proof(second.as_bytes(), kind, content));
    assert_eq!(parse(0, &[]).unwrap().hash(), second.hash());
    assert_eq!(parse(4, &[]).unwrap_err(), ParseError::UnknownProof { code: 4 });
    for (code, length) in [(0, 1), (1, 0), (1, 63), (1, 65), (2, 31), (2, 95), (2, 97), (3, 0), (3, 7), (3, 9)] {
        let point = second.account_key().as_bytes().repeat(4);
        let error = parse(code, &point[..length]).unwrap_err();
        assert_eq!(error, ParseError::ProofLength { code, actual: length });
        assert_eq!(error.code(), "key_set_proof_length");
    }
    assert_eq!(parse(2, &[0; 96]).unwrap_err(), ParseError::Ed25519Key(ed25519::KeyError::SmallOrder));
    // A first set shows none, and one that begins anew has assigned no number beyond those it lists.
    assert_eq!(
        UnverifiedKeySet::parse(&with_proof(account.first.as_bytes(), 3, &[0; 8])).unwrap_err(),
        ParseError::Counter { counter: KeySetCounter::FIRST }
    );
    let third = account.remove(&second, 2);
    let reset = UnverifiedKeySet::parse(&with_proof(third.as_bytes(), 3, &[0; 8]));
    assert_eq!(reset.unwrap_err(), ParseError::HighestDevice { highest: 2 });
}

#[test]
fn recovery_commitments_are_few_and_none_is_empty() {
    let set = Account::new(1).first.as_bytes().to_vec();
    let with = |commitments: &[[u8; 32]]| {
        let list = commitments.concat();
        let bytes = [&set[..RECOVERY], &[u8::try_from(list.len()).unwrap()], &list, &set[RECOVERY + 1..]].concat();
        UnverifiedKeySet::parse(&bytes)
    };
    assert!(with(&[[1; 32]; 4]).is_ok());
    assert_eq!(with(&[[1; 32]; 5]).unwrap_err(), ParseError::RecoveryCommitments);
    assert_eq!(with(&[[1; 32], [0; 32]]).unwrap_err(), ParseError::RecoveryCommitments);
    let mut ragged = set.clone();
    ragged[RECOVERY] = 1;
    assert!(UnverifiedKeySet::parse(&ragged).is_err());
}

#[test]
fn devices_stand_in_ascending_order_and_at_least_one() {
    let account = Account::new(1);
    let two = account.add(&account.first, 2, 12).as_bytes().to_vec();
    let length = account.first.devices()[0].to_bytes().len();
    let mut swapped = two.clone();
    swapped[DEVICE..DEVICE + length].copy_from_slice(&two[DEVICE + length..DEVICE + 2 * length]);
    swapped[DEVICE + length..DEVICE + 2 * length].copy_from_slice(&two[DEVICE..DEVICE + length]);
    assert_eq!(UnverifiedKeySet::parse(&swapped).unwrap_err(), ParseError::NotAscending { list: "devices" });
    let mut twice = two;
    twice.copy_within(DEVICE..DEVICE + length, DEVICE + length);
    assert_eq!(UnverifiedKeySet::parse(&twice).unwrap_err(), ParseError::NotAscending { list: "devices" });
    let none = KeySetBuilder::first(account.id, RecoveryCommitment::NONE).sign(&account.signer);
    assert_eq!(none.unwrap_err(), BuildError::Format(ParseError::DeviceCount { count: 0 }));
}

#[test]
fn a_set_has_at_most_64_devices() {
    let account = Account::new(1);
    let mut builder = KeySetBuilder::first(account.id, RecoveryCommitment::NONE);
    let device = Device::new(2);
    for number in 1..=64 {
        builder = builder.add_device(device.entry(account.id, number)).unwrap();
    }
    let full = builder.clone().sign(&account.signer).unwrap();
    assert_eq!(full.devices().len(), 64);
    assert_eq!(
        builder.add_device(device.entry(account.id, 65)).unwrap_err(),
        BuildError::Format(ParseError::DeviceCount { count: 65 })
    );
}

#[test]
fn a_participant_key_is_empty_or_a_compressed_point() {
    assert_eq!(ParticipantKey::from_bytes(&[]).unwrap_err(), ParseError::ParticipantKey);
    assert_eq!(ParticipantKey::from_bytes(&[4; 33]).unwrap_err(), ParseError::ParticipantKey);
    assert_eq!(ParticipantKey::from_bytes(&[2; 32]).unwrap_err(), ParseError::ParticipantKey);
    assert!(ParticipantKey::from_bytes(&[3; 33]).is_ok());
    let mut set = Account::new(1).first.as_bytes().to_vec();
    set[PARTICIPANT_KEY] = 1;
    set.insert(PARTICIPANT_KEY + 1, 2);
    assert_eq!(UnverifiedKeySet::parse(&set).unwrap_err(), ParseError::ParticipantKey);
}

#[test]
fn proofs_hold_in_their_own_account_and_entry_only() {
    let account = Account::new(1);
    let other = Account::new(2);
    let theirs = Device::new(12).entry(other.id, 2);
    assert_eq!(theirs.verify(account.id).unwrap_err(), KeySetError::DeviceProof { device: number(2) });
    // The account key alone cannot list somebody else's device.
    let stolen = KeySetBuilder::successor(&account.first).add_device(theirs).unwrap();
    assert_eq!(
        stolen.sign(&account.signer).unwrap_err(),
        BuildError::Refused(KeySetError::DeviceProof { device: number(2) })
    );
    // An identity key that the device does not hold: its proof is another key's.
    let (mine, foreign) = (Device::new(12), Device::new(13));
    let mut bytes = mine.entry(account.id, 2).to_bytes();
    let foreign = foreign.entry(account.id, 2).to_bytes();
    let proof = bytes.len() - 64;
    bytes[proof..].copy_from_slice(&foreign[proof..]);
    assert_eq!(
        DeviceEntry::parse(&bytes).unwrap().verify(account.id).unwrap_err(),
        KeySetError::IdentityProof { device: number(2) }
    );
}

#[test]
fn a_first_set_is_told_from_a_later_one() {
    let account = Account::new(1);
    let second = account.add(&account.first, 2, 12);
    assert!(UnverifiedKeySet::parse(account.first.as_bytes()).unwrap().verify_first().is_ok());
    assert_eq!(
        UnverifiedKeySet::parse(second.as_bytes()).unwrap().verify_first().unwrap_err(),
        KeySetError::NotFirst { counter: KeySetCounter::new(2) }
    );
    assert_eq!(account.first.previous(), None);
    assert_eq!(second.previous(), Some(account.first.hash()));
}

#[test]
fn signers_print_nothing_secret() {
    let account = Account::new(1);
    assert_eq!(format!("{:?}", account.signer), "AccountSigner");
}
