//! Key sets on their way in: parsed, verified, and placed in the succession of the stored one.

use bytes::Bytes;
use rcseal_credential::{
    DeviceEntry, KeySetError, Succession, SuccessionProof, UnverifiedKeySet, VerifiedKeySet as Credential,
};
use rcseal_crypto::ed25519::{Signature, VerifyingKey};
use rcseal_store::{StoreError, StoredKeySet};
use rcseal_wire::id::{AccountId, DeviceNumber};

use super::DirectoryError;
use crate::takeover::TakeoverRefusal;

/// Bytes of a key set that takes an account over: it lists one device. Whatever is longer is not even parsed for a stranger.
const TAKEOVER_LEN_MAX: usize = 8 * 1024;

/// A key set that verified as a first one or as the successor of the stored one. Only this can be stored.
#[derive(Debug)]
pub(crate) struct VerifiedKeySet {
    account: AccountId,
    stored: StoredKeySet,
    devices: Vec<DeviceNumber>,
}

impl VerifiedKeySet {
    /// An account's first key set: counter 1, no predecessor, the primary device alone.
    pub(crate) async fn first(bytes: Vec<u8>) -> Result<Self, DirectoryError> {
        blocking(move || Self::verify_first(&bytes)).await
    }

    fn verify_first(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let verified = parse(bytes)?.verify_first().map_err(|_| DirectoryError::KeySetInvalid)?;
        let primary_alone = matches!(verified.devices(), [device] if device.number() == DeviceNumber::PRIMARY);
        if primary_alone { Ok(Self::new(&verified)) } else { Err(DirectoryError::NotFirst) }
    }

    /// The key set after `current`, of the account that is logged in.
    pub(crate) async fn successor(
        bytes: Vec<u8>,
        account: AccountId,
        current: StoredKeySet,
    ) -> Result<Self, DirectoryError> {
        blocking(move || Self::verify_successor(&bytes, account, &current)).await
    }

    fn verify_successor(bytes: &[u8], account: AccountId, current: &StoredKeySet) -> Result<Self, DirectoryError> {
        let next = parse(bytes)?;
        if next.account() != account {
            return Err(DirectoryError::OtherAccount);
        }
        let next = next.verify().map_err(|_| DirectoryError::KeySetInvalid)?;
        let current = trusted(current)?;
        match current.check_successor(&next) {
            Ok(Succession::Unchanged | Succession::SameAccountKey | Succession::Migrated) => Ok(Self::new(&next)),
            // Any device of the account may upload here; these two take the account from its devices, and have doors of their own.
            Ok(Succession::Recovered | Succession::Reset) => Err(DirectoryError::KeySetInvalid),
            Err(error) => Err(misplaced(&error, &current, &next)),
        }
    }

    fn new(verified: &Credential) -> Self {
        Self {
            account: verified.account(),
            stored: StoredKeySet {
                counter: verified.counter(),
                hash: verified.hash(),
                bytes: Bytes::copy_from_slice(verified.as_bytes()),
            },
            devices: verified.devices().iter().map(|device| device.number()).collect(),
        }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    pub(crate) fn devices(&self) -> &[DeviceNumber] {
        &self.devices
    }

    pub(crate) fn stored(&self) -> &StoredKeySet {
        &self.stored
    }

    pub(crate) fn into_stored(self) -> StoredKeySet {
        self.stored
    }
}

/// Why `next` does not follow `current`, as the API says it.
fn misplaced(error: &KeySetError, current: &Credential, next: &Credential) -> DirectoryError {
    match error {
        KeySetError::Rollback { .. } => DirectoryError::Rollback,
        KeySetError::Gap { .. } => DirectoryError::Conflict,
        // Two sets with one counter and one predecessor: somebody lost a race, and signs again on top of the winner's.
        KeySetError::Fork { .. } if next.counter() == current.counter() && next.previous() == current.previous() => {
            DirectoryError::Conflict
        }
        KeySetError::Fork { .. } => DirectoryError::Fork,
        _ => DirectoryError::KeySetInvalid,
    }
}

/// A key set that would take an account over: parsed, but no signature checked, since anybody may send one. Making it needs nothing that is
/// stored, so that what is wrong with it does not say whether the account exists.
pub(crate) struct TakeoverSet {
    claimed: UnverifiedKeySet,
    expected: Succession,
    not_before_ms: u64,
}

impl TakeoverSet {
    /// One that shows a recovery key, or where somebody `has_account_key`, that the account key has signed alone.
    pub(crate) async fn recovery(
        bytes: Vec<u8>,
        account: AccountId,
        has_account_key: bool,
    ) -> Result<Self, TakeoverRefusal> {
        blocking(move || {
            let claimed = parse_takeover(&bytes, account)?;
            let expected = match claimed.proof() {
                SuccessionProof::Recovery { .. } => Succession::Recovered,
                SuccessionProof::None if has_account_key => Succession::SameAccountKey,
                SuccessionProof::None | SuccessionProof::Migration { .. } | SuccessionProof::Reset { .. } => {
                    return Err(DirectoryError::KeySetInvalid.into());
                }
            };
            Ok(Self { claimed, expected, not_before_ms: 0 })
        })
        .await
    }

    /// One that shows nothing.
    pub(crate) async fn reset(bytes: Vec<u8>, account: AccountId) -> Result<Self, TakeoverRefusal> {
        blocking(move || {
            let claimed = parse_takeover(&bytes, account)?;
            let SuccessionProof::Reset { not_before_ms } = *claimed.proof() else {
                return Err(DirectoryError::KeySetInvalid.into());
            };
            Ok(Self { claimed, expected: Succession::Reset, not_before_ms })
        })
        .await
    }

    /// Whether it keeps the account key. Who sent it has to show that key before anything else is said of it.
    pub(crate) fn keeps_account_key(&self) -> bool {
        self.expected == Succession::SameAccountKey
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, stored: &StoredKeySet) -> bool {
        self.claimed.hash() == stored.hash
    }

    /// Before when nobody takes a reset for valid, in milliseconds since 1970.
    pub(crate) const fn not_before_ms(&self) -> u64 {
        self.not_before_ms
    }

    /// Checks the recovery key, where one is shown; then every signature, and the place in the succession. Answers the one device, and
    /// what to store.
    pub(crate) async fn verify(&self, current: StoredKeySet) -> Result<(DeviceNumber, StoredKeySet), TakeoverRefusal> {
        let (claimed, expected) = (self.claimed.clone(), self.expected);
        blocking(move || {
            let current = trusted(&current)?;
            if let SuccessionProof::Recovery { key, .. } = claimed.proof()
                && current.recovery_rank(key).is_none()
            {
                return Err(TakeoverRefusal::Recovery);
            }
            let next = claimed.verify().map_err(|_| DirectoryError::KeySetInvalid)?;
            if expected == Succession::SameAccountKey {
                // The key that a backup brought back is not the account's any more, or it never was: as with another recovery key.
                if next.account_key() != current.account_key() {
                    return Err(TakeoverRefusal::Recovery);
                }
            }
            match current.check_successor(&next) {
                Ok(succession) if succession == expected => {}
                Ok(_) => return Err(DirectoryError::KeySetInvalid.into()),
                Err(KeySetError::RecoverySignature) => return Err(TakeoverRefusal::Recovery),
                Err(error) => return Err(misplaced(&error, &current, &next).into()),
            }
            // A device that stays is no new one: it would lose what waits for it.
            let is_known = |device: &DeviceEntry| current.device(device.number()).is_some();
            if expected == Succession::SameAccountKey && next.devices().iter().any(is_known) {
                return Err(TakeoverRefusal::Devices);
            }
            let [device] = next.devices() else { return Err(TakeoverRefusal::Devices) };
            Ok((device.number(), VerifiedKeySet::new(&next).into_stored()))
        })
        .await
    }
}

fn parse_takeover(bytes: &[u8], account: AccountId) -> Result<UnverifiedKeySet, TakeoverRefusal> {
    if bytes.len() > TAKEOVER_LEN_MAX {
        return Err(TakeoverRefusal::Devices);
    }
    let claimed = parse(bytes)?;
    if claimed.account() != account {
        return Err(DirectoryError::OtherAccount.into());
    }
    if claimed.device_count() != 1 {
        return Err(TakeoverRefusal::Devices);
    }
    Ok(claimed)
}

/// Whether the account key of a stored key set has signed a message. Bytes that are no signature are none.
pub(crate) async fn is_signed_by_account(
    stored: StoredKeySet,
    message: Vec<u8>,
    signature: Vec<u8>,
) -> Result<bool, StoreError> {
    blocking(move || {
        let Ok(signature) = signature.try_into().map(Signature) else { return Ok(false) };
        Ok(trusted(&stored)?.account_key().verify(&[&message], &signature).is_ok())
    })
    .await
}

/// Whether a stored key set commits to a recovery key. Bytes that are no key are none that it commits to.
pub(crate) async fn commits_to(stored: StoredKeySet, key: Vec<u8>) -> Result<bool, StoreError> {
    blocking(move || {
        let Some(key) = key.try_into().ok().and_then(|key: [u8; 32]| VerifyingKey::from_bytes(&key).ok()) else {
            return Ok(false);
        };
        Ok(trusted(&stored)?.recovery_commitments().iter().any(|commitment| commitment.is_for(&key)))
    })
    .await
}

fn parse(bytes: &[u8]) -> Result<UnverifiedKeySet, DirectoryError> {
    UnverifiedKeySet::parse(bytes).map_err(|_| DirectoryError::KeySetInvalid)
}

/// Reads back what was verified before it was stored; the hash beside it says that it is still the same. Verifying it again would cost
/// thirty milliseconds for an account with 127 devices, which anybody could ask for by trying to log in.
fn trusted(stored: &StoredKeySet) -> Result<Credential, StoreError> {
    UnverifiedKeySet::parse(&stored.bytes)
        .ok()
        .map(UnverifiedKeySet::assume_verified)
        .filter(|key_set| key_set.hash() == stored.hash)
        .ok_or(StoreError::Corrupt { space: "key set" })
}

/// The device-auth key of `device` in a stored key set.
pub(super) async fn auth_key(stored: StoredKeySet, device: DeviceNumber) -> Result<Option<VerifyingKey>, StoreError> {
    blocking(move || Ok(trusted(&stored)?.device(device).map(|entry| *entry.auth_key()))).await
}

/// Verifying dozens of signatures takes milliseconds, which the threads that serve sockets do not have.
async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    verify: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(verify).await {
        Ok(result) => result,
        // The task panicked, which is a bug of ours, or the runtime ends; nothing was decided.
        Err(_) => Err(StoreError::Unavailable.into()),
    }
}
