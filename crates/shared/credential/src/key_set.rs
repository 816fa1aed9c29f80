//! The key set itself: from bytes, over its signatures, to something that can be believed.
//!
//! `bytes -> UnverifiedKeySet -> VerifiedKeySet`. Parsing checks the form and every key in it; verifying checks the account signature
//! and each device's proofs. Whether a verified set may follow the one already known is asked separately (`succession.rs`): a set on
//! its own cannot say that it is the newest.

use rcseal_crypto::ed25519::{self, VerifyingKey};
use rcseal_crypto::hash::sha256;
use rcseal_crypto::x25519;
use rcseal_wire::id::{AccountId, DeviceNumber, KeySetCounter, KeySetHash};

use crate::codec::{self, BodyFields, ProofFields};
use crate::{DeviceEntry, IdentityProfile, KeySetError, ParseError, Party, RecoveryCommitment, SuccessionProof};

/// The version of the format.
pub const KEY_SET_VERSION: u8 = 1;
/// Devices in one key set. A person has a handful, a business its agents' gateways; more belongs to several accounts.
pub const DEVICES_MAX: usize = 64;
/// Bytes of the longest key set accepted: 64 devices with every key they can have take 235 KB. A common one, of three devices, takes 5 KB.
pub const KEY_SET_LEN_MAX: usize = 256 * 1024;

/// Label of the account signature.
pub(crate) const SIGNATURE_LABEL: &[u8] = b"rcseal/key-set/v1";
/// Label of the hash over the full signed bytes.
const HASH_LABEL: &[u8] = b"rcseal/key-set/hash/v1";

/// A P-256 participant key (RCC.16) in SEC1 compressed form, checked by length and prefix only: curve membership is checked where
/// certificates are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParticipantKey([u8; 33]);

impl ParticipantKey {
    /// Takes 33 bytes that start with 2 or 3.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        match <[u8; 33]>::try_from(bytes) {
            Ok(key @ [2 | 3, ..]) => Ok(Self(key)),
            _ => Err(ParseError::ParticipantKey),
        }
    }

    /// The compressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

/// What a key set says, and the bytes that said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) bytes: Vec<u8>,
    pub(crate) body_len: usize,
    pub(crate) signed_len: usize,
    pub(crate) hash: KeySetHash,
    pub(crate) account: AccountId,
    pub(crate) counter: KeySetCounter,
    pub(crate) previous: KeySetHash,
    pub(crate) account_key: VerifyingKey,
    pub(crate) recovery: Vec<RecoveryCommitment>,
    pub(crate) participant_key: Option<ParticipantKey>,
    pub(crate) highest_device: DeviceNumber,
    pub(crate) devices: Vec<DeviceEntry>,
    pub(crate) proof: SuccessionProof,
    pub(crate) signature: ed25519::Signature,
}

impl Contents {
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() > KEY_SET_LEN_MAX {
            return Err(ParseError::TooLong { actual: bytes.len() });
        }
        // The version decides how the rest reads, so it is looked at before anything else can fail.
        match bytes.first() {
            Some(&KEY_SET_VERSION) => {}
            Some(&version) => return Err(ParseError::UnknownVersion { version }),
            None => return Err(ParseError::Malformed),
        }
        let (body, rest): (BodyFields, _) = codec::decode(bytes)?;
        let body_len = bytes.len() - rest.len();
        let (proof, rest): (ProofFields, _) = codec::decode(rest)?;
        let signed_len = bytes.len() - rest.len();
        let signature: [u8; 64] = codec::decode_exact(rest)?;

        let counter = KeySetCounter::new(body.counter);
        let previous = KeySetHash::from_bytes(body.previous);
        let proof = SuccessionProof::from_fields(&proof)?;
        let is_first = counter == KeySetCounter::FIRST;
        let names_none = body.previous == [0; 32];
        if body.counter == 0 || is_first != names_none || (is_first && proof != SuccessionProof::None) {
            return Err(ParseError::Counter { counter });
        }
        let participant_key = match body.participant_key.as_slice() {
            [] => None,
            key => Some(ParticipantKey::from_bytes(key)?),
        };
        let count = body.devices.len();
        if count == 0 || count > DEVICES_MAX {
            return Err(ParseError::DeviceCount { count });
        }
        let devices =
            body.devices.into_vec().into_iter().map(DeviceEntry::from_fields).collect::<Result<Vec<_>, _>>()?;
        if !devices.is_sorted_by(|a, b| a.number() < b.number()) {
            return Err(ParseError::NotAscending { list: "devices" });
        }
        let highest = body.highest_device;
        let highest_listed = devices.last().map(|device| device.number().get());
        // Where the account begins or begins anew, no number was assigned that is not listed.
        let is_anew = is_first || matches!(proof, SuccessionProof::Recovery { .. } | SuccessionProof::Reset { .. });
        let covers = highest_listed.is_some_and(|listed| if is_anew { listed == highest } else { listed <= highest });
        let highest_device = match DeviceNumber::new(highest) {
            Ok(number) if covers => number,
            _ => return Err(ParseError::HighestDevice { highest }),
        };
        Ok(Self {
            bytes: bytes.to_vec(),
            body_len,
            signed_len,
            hash: KeySetHash::from_bytes(sha256(&[HASH_LABEL, bytes])),
            account: AccountId::from_bytes(body.account),
            counter,
            previous,
            account_key: VerifyingKey::from_bytes(&body.account_key).map_err(ParseError::Ed25519Key)?,
            recovery: RecoveryCommitment::list(body.recovery_commitments.as_slice())?,
            participant_key,
            highest_device,
            devices,
            proof,
            signature: ed25519::Signature(signature),
        })
    }

    fn verify(&self) -> Result<(), KeySetError> {
        self.account_key
            .verify(&[SIGNATURE_LABEL, &self.bytes[..self.signed_len]], &self.signature)
            .map_err(|_| KeySetError::AccountSignature)?;
        signal_v4_identity(&self.devices)?;
        self.devices.iter().try_for_each(|device| device.verify(self.account))
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[..self.body_len]
    }
}

/// The one `signal-v4` identity key that these devices list. Contacts of that profile know one per account: two would give one person two
/// safety numbers.
fn signal_v4_identity(devices: &[DeviceEntry]) -> Result<Option<x25519::PublicKey>, KeySetError> {
    let mut known = None;
    for device in devices {
        match (known, device.identity_key(IdentityProfile::SignalV4)) {
            (_, None) => {}
            (None, Some(key)) => known = Some(*key),
            (Some(known), Some(key)) if known == *key => {}
            (Some(_), Some(_)) => return Err(KeySetError::SignalV4Identity { device: device.number() }),
        }
    }
    Ok(known)
}

/// A well-formed key set whose signatures nobody has checked. It tells which account and counter it claims, so that a caller can look
/// up what it knows, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedKeySet(Contents);

impl UnverifiedKeySet {
    /// Parses the full signed bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Contents::parse(bytes).map(Self)
    }

    /// The account it claims.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.0.account
    }

    /// The counter it claims.
    #[must_use]
    pub fn counter(&self) -> KeySetCounter {
        self.0.counter
    }

    /// The hash of its bytes, as invitations and the next set name it.
    #[must_use]
    pub fn hash(&self) -> KeySetHash {
        self.0.hash
    }

    /// The ground it claims for a change of account key. A server that knows the recovery key's commitment need not check any signature
    /// to refuse a stranger's.
    #[must_use]
    pub fn proof(&self) -> &SuccessionProof {
        &self.0.proof
    }

    /// How many devices it claims: what checking it costs.
    #[must_use]
    pub fn device_count(&self) -> usize {
        self.0.devices.len()
    }

    /// Checks the account signature and every device's proofs.
    pub fn verify(self) -> Result<VerifiedKeySet, KeySetError> {
        self.0.verify()?;
        Ok(VerifiedKeySet(self.0))
    }

    /// Takes a set for verified because it was: for bytes that went into an authenticated store as a [`VerifiedKeySet`], and for no others.
    /// Verifying costs a quarter of a millisecond per device, which a client would pay several times for each message; an account with
    /// 64 devices could make each of its messages cost its contacts as much as a hundred ordinary ones.
    #[must_use]
    pub fn assume_verified(self) -> VerifiedKeySet {
        VerifiedKeySet(self.0)
    }

    /// Like [`Self::verify`], and refuses any but an account's first set: what a directory accepts from a new account.
    pub fn verify_first(self) -> Result<VerifiedKeySet, KeySetError> {
        match self.0.counter {
            KeySetCounter::FIRST => self.verify(),
            counter => Err(KeySetError::NotFirst { counter }),
        }
    }
}

/// A key set whose account signature and device proofs hold. That it is the newest, or of the person one means, it cannot say itself:
/// compare it with the known one, the invitation's hash or the safety number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKeySet(pub(crate) Contents);

impl VerifiedKeySet {
    /// The full signed bytes, as stored and sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// SHA-256 of the label and the full signed bytes.
    #[must_use]
    pub fn hash(&self) -> KeySetHash {
        self.0.hash
    }

    /// The account's identity key in the `signal-v4` profile, if any device speaks it.
    #[must_use]
    pub fn signal_v4_identity(&self) -> Option<x25519::PublicKey> {
        // Verified sets list at most one.
        signal_v4_identity(&self.0.devices).ok().flatten()
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.0.account
    }

    /// The set's place in the account's succession.
    #[must_use]
    pub fn counter(&self) -> KeySetCounter {
        self.0.counter
    }

    /// The hash of the set before this one; `None` for the first.
    #[must_use]
    pub fn previous(&self) -> Option<KeySetHash> {
        (self.0.counter != KeySetCounter::FIRST).then_some(self.0.previous)
    }

    /// The account key.
    #[must_use]
    pub fn account_key(&self) -> &VerifyingKey {
        &self.0.account_key
    }

    /// The commitments to offline recovery keys, the one that outranks the others first. Empty where the account has none; more than one
    /// after a reset.
    #[must_use]
    pub fn recovery_commitments(&self) -> &[RecoveryCommitment] {
        &self.0.recovery
    }

    /// By whose leave this set takes the place of the one before. Only [`VerifiedKeySet::check_successor`] and its kin say whether the
    /// proof holds.
    #[must_use]
    pub fn proof(&self) -> &SuccessionProof {
        &self.0.proof
    }

    /// The participant key, where the account has one.
    #[must_use]
    pub fn participant_key(&self) -> Option<&ParticipantKey> {
        self.0.participant_key.as_ref()
    }

    /// The highest device number the account ever assigned.
    #[must_use]
    pub fn highest_device(&self) -> DeviceNumber {
        self.0.highest_device
    }

    /// The number a new device gets; `None` when all 127 were used.
    #[must_use]
    pub fn next_device_number(&self) -> Option<DeviceNumber> {
        self.0.highest_device.next()
    }

    /// The number of the one device that a recovery or a reset begins with: one never assigned while there are any, or the first again.
    #[must_use]
    pub fn device_number_anew(&self) -> DeviceNumber {
        self.next_device_number().unwrap_or(DeviceNumber::PRIMARY)
    }

    /// The devices, ascending by number.
    #[must_use]
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.0.devices
    }

    /// The device of that number.
    #[must_use]
    pub fn device(&self, number: DeviceNumber) -> Option<&DeviceEntry> {
        self.0.devices.binary_search_by_key(&number, DeviceEntry::number).ok().map(|index| &self.0.devices[index])
    }

    /// Account and account key, as the safety number compares them.
    #[must_use]
    pub fn party(&self) -> Party {
        Party { account: self.0.account, account_key: self.0.account_key }
    }
}
