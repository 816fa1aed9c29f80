//! Targets for the JSON bodies: every request that a server reads and every answer that a device reads.
//!
//! The bytes are tried as each type in turn, because a fuzzer that has found the shape of one body is close to the next.

use rcseal_wire::api::{
    Base64, BlobCreate, BlobCreated, BundlesRequest, BundlesResponse, DeliveryTokens, DeviceBundle, DeviceUpload,
    KemPreKey, KeyMap, KeyMapDevice, KeyMapPrekey, KeySetBasis, KeySetBody, KeySetProof, KeySetsBody, LinkCreated,
    LoginChallenge, LoginRequest, LoginResponse, OneTimePreKey, PendingReset, PrekeyCounts, RecoveryRequest,
    RegisterRequest, ResetAccepted, ResetRequest, ResetStatus, SignedPreKey,
};
use rcseal_wire::id::{AccountId, BlobId, DeliveryTokenHash, DeviceNumber, Digest, KeySetHash, LinkId, MailboxId};
use rcseal_wire::problem::{Problem, ProblemCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Verdict;

/// Reads the bytes as `T`; what was read is written and read again, and must then be written the same.
fn body<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Verdict {
    let parsed = serde_json::from_slice::<T>(bytes);
    if let Ok(value) = &parsed {
        let written = write(value);
        let again: T = serde_json::from_slice(&written).expect("what we write, we can read");
        assert_eq!(write(&again), written, "a body that was read once is written the same for ever");
    }
    Verdict::of(&parsed)
}

fn write<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the bodies hold strings, numbers and lists, which JSON can carry")
}

fn any(verdicts: &[Verdict]) -> Verdict {
    if verdicts.contains(&Verdict::Accepted) { Verdict::Accepted } else { Verdict::Refused }
}

/// What a server reads of strangers.
pub(crate) fn request(bytes: &[u8]) -> Verdict {
    any(&[
        body::<RegisterRequest>(bytes),
        body::<LoginRequest>(bytes),
        body::<KeySetBody>(bytes),
        body::<DeviceUpload>(bytes),
        body::<BundlesRequest>(bytes),
        body::<DeliveryTokens>(bytes),
        body::<BlobCreate>(bytes),
        body::<KeySetProof>(bytes),
        body::<RecoveryRequest>(bytes),
        body::<ResetRequest>(bytes),
    ])
}

pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    vec![
        write(&RegisterRequest {
            invite: Some("code".to_owned()),
            key_set: Base64(vec![1; 40]),
            device: device_upload(),
            delivery_token_hash: DeliveryTokenHash::from_bytes([2; 32]),
        }),
        write(&LoginRequest {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceNumber::PRIMARY,
            signature: Base64(vec![3; 64]),
        }),
        write(&KeySetBody { key_set: Base64(vec![1; 40]) }),
        write(&device_upload()),
        write(&BundlesRequest { devices: vec![DeviceNumber::PRIMARY] }),
        write(&DeliveryTokens { hashes: vec![DeliveryTokenHash::from_bytes([2; 32])] }),
        write(&BlobCreate { size: 1000, digest: Digest::from_bytes([4; 32]), ttl_seconds: 3600 }),
        write(&KeySetProof { recovery_key: Some(Base64(vec![5; 32])), reset_ticket: None, account_signature: None }),
        write(&RecoveryRequest {
            key_set: Base64(vec![1; 40]),
            device: device_upload(),
            account_signature: Some(Base64(vec![2; 64])),
        }),
        write(&ResetRequest { ticket: "rst-x".to_owned(), key_set: Base64(vec![1; 40]), device: device_upload() }),
    ]
}

/// What a device reads of a server that may be malicious.
pub(crate) fn response(bytes: &[u8]) -> Verdict {
    any(&[
        body::<LoginChallenge>(bytes),
        body::<LoginResponse>(bytes),
        body::<KeySetsBody>(bytes),
        body::<PrekeyCounts>(bytes),
        body::<BundlesResponse>(bytes),
        body::<BlobCreated>(bytes),
        body::<LinkCreated>(bytes),
        body::<KeySetBasis>(bytes),
        body::<ResetAccepted>(bytes),
        body::<ResetStatus>(bytes),
        body::<KeyMap>(bytes),
        body::<Problem>(bytes),
    ])
}

pub(crate) fn response_seeds() -> Vec<Vec<u8>> {
    let device = device_upload();
    let bundle = DeviceBundle {
        device: DeviceNumber::PRIMARY,
        mailbox: device.mailbox,
        signed: signed(),
        kem: kem(),
        kem_last_resort: true,
        one_time: Some(OneTimePreKey { id: 3, key: Base64(vec![5; 32]) }),
    };
    vec![
        write(&LoginChallenge { nonce: Base64(vec![1; 32]) }),
        write(&LoginResponse { token: "token".to_owned(), expires_in_seconds: 600, reset_effective_at_ms: None }),
        write(&KeySetsBody { key_sets: vec![Base64(vec![1; 40])] }),
        write(&PrekeyCounts { one_time: 3, one_time_kem: 2, low: true }),
        write(&BundlesResponse { bundles: vec![bundle] }),
        write(&BlobCreated { id: BlobId::from_bytes([1; 32]), chunk_len: 1024 }),
        write(&LinkCreated { id: LinkId::from_bytes([1; 16]), expires_in_seconds: 60 }),
        write(&KeySetBasis { key_set: Base64(vec![1; 40]), now_ms: 1, reset_delay_seconds: 604_800 }),
        write(&ResetAccepted { effective_at_ms: 1, in_force: false }),
        write(&ResetStatus {
            pending: Some(PendingReset { requested_at_ms: 1, effective_at_ms: 2, key_set: Base64(vec![1; 40]) }),
        }),
        write(&key_map(device.mailbox)),
        ProblemCode::from_code("rate_limited").map_or_else(|| b"{}".to_vec(), |code| write(&Problem::new(code))),
    ]
}

fn key_map(mailbox: MailboxId) -> KeyMap {
    let device = KeyMapDevice {
        device: DeviceNumber::PRIMARY,
        added_at_counter: 1,
        listed_at_counter: 3,
        mailbox: Some(mailbox),
        signed: Some(KeyMapPrekey { id: 1, fingerprint: Digest::from_bytes([6; 32]), uploaded_at_ms: 7 }),
        last_resort: None,
        one_time: 20,
        one_time_kem: 19,
        one_time_uploaded_at_ms: Some(8),
    };
    KeyMap { counter: 3, key_set_hash: KeySetHash::from_bytes([9; 32]), devices: vec![device], retired: vec![] }
}

fn device_upload() -> DeviceUpload {
    DeviceUpload {
        mailbox: MailboxId::from_bytes([1; 16]),
        signed: Some(signed()),
        last_resort: Some(kem()),
        one_time: vec![OneTimePreKey { id: 3, key: Base64(vec![5; 32]) }],
        one_time_kem: vec![],
    }
}

fn signed() -> SignedPreKey {
    SignedPreKey { id: 1, key: Base64(vec![1; 32]), signature: Base64(vec![2; 64]) }
}

fn kem() -> KemPreKey {
    KemPreKey { id: 2, key: Base64(vec![3; 48]), signature: Base64(vec![4; 64]) }
}
