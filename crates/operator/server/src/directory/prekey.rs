//! Prekeys: from an upload's JSON to stored bytes, and from stored bytes to a bundle's JSON.
//!
//! Stored form: public key, then the signature where there is one. The lengths tell the parts apart.

use bytes::Bytes;
use rcseal_crypto::hash::sha256;
use rcseal_crypto::{mlkem1024, x25519};
use rcseal_store::StoredPrekey;
use rcseal_store::directory::{ClaimedBundle, DatedPrekey, KeyMapDeviceRecord, KeyMapRecord, UploadPrekeys};
use rcseal_wire::api::{
    Base64, DeviceBundle, DeviceUpload, KemPreKey, KeyMap, KeyMapDevice, KeyMapPrekey, ONE_TIME_PREKEYS_MAX,
    OneTimePreKey, SignedPreKey,
};
use rcseal_wire::id::{DeviceNumber, Digest, KeySetCounter, MailboxId};

use super::DirectoryError;

const EC_LEN: usize = x25519::KEY_LEN;
const KEM_LEN: usize = mlkem1024::PUBLIC_KEY_LEN;
const SIGNATURE_LEN: usize = 64;

/// Checks the form of an upload and brings it into stored form.
pub(crate) fn parse_upload(upload: DeviceUpload) -> Result<UploadPrekeys, DirectoryError> {
    if upload.one_time.len() > ONE_TIME_PREKEYS_MAX || upload.one_time_kem.len() > ONE_TIME_PREKEYS_MAX {
        return Err(DirectoryError::TooManyPrekeys);
    }
    Ok(UploadPrekeys {
        signed: upload
            .signed
            .map(|prekey| stored(prekey.id, ec(&prekey.key, "signed.key")?, &prekey.signature, "signed.signature"))
            .transpose()?,
        last_resort: upload.last_resort.map(|prekey| stored_kem(&prekey, "last_resort")).transpose()?,
        one_time: upload
            .one_time
            .iter()
            .map(|prekey| {
                let key = ec(&prekey.key, "one_time.key")?;
                Ok(StoredPrekey { id: prekey.id, bytes: Bytes::copy_from_slice(key) })
            })
            .collect::<Result<_, DirectoryError>>()?,
        one_time_kem: upload
            .one_time_kem
            .iter()
            .map(|prekey| stored_kem(prekey, "one_time_kem"))
            .collect::<Result<_, DirectoryError>>()?,
        replace: false,
    })
}

fn stored_kem(prekey: &KemPreKey, field: &'static str) -> Result<StoredPrekey, DirectoryError> {
    mlkem1024::PublicKey::from_bytes(&prekey.key.0).map_err(|_| DirectoryError::Prekey { field })?;
    stored(prekey.id, &prekey.key.0, &prekey.signature, field)
}

fn stored(id: u32, key: &[u8], signature: &Base64, field: &'static str) -> Result<StoredPrekey, DirectoryError> {
    if signature.0.len() != SIGNATURE_LEN {
        return Err(DirectoryError::Prekey { field });
    }
    Ok(StoredPrekey { id, bytes: [key, &signature.0].concat().into() })
}

/// The bytes, if they are a key that a handshake could use.
fn ec<'a>(key: &'a Base64, field: &'static str) -> Result<&'a [u8; EC_LEN], DirectoryError> {
    let refused = || DirectoryError::Prekey { field };
    let bytes: &[u8; EC_LEN] = key.0.as_slice().try_into().map_err(|_| refused())?;
    x25519::PublicKey::from_bytes(bytes).map_err(|_| refused())?;
    Ok(bytes)
}

/// A claimed bundle as JSON; `None` if a stored prekey is not what [`parse_upload`] makes.
pub(super) fn bundle(device: DeviceNumber, mailbox: MailboxId, claimed: &ClaimedBundle) -> Option<DeviceBundle> {
    let (signed_key, signed_signature) = claimed.signed.bytes.split_at_checked(EC_LEN)?;
    let (kem, kem_last_resort) = match &claimed.one_time_kem {
        Some(kem) => (kem, false),
        None => (&claimed.last_resort, true),
    };
    let (kem_key, kem_signature) = kem.bytes.split_at_checked(KEM_LEN)?;
    let base64 = |bytes: &[u8]| Base64(bytes.to_vec());
    Some(DeviceBundle {
        device,
        mailbox,
        signed: SignedPreKey { id: claimed.signed.id, key: base64(signed_key), signature: base64(signed_signature) },
        kem: KemPreKey { id: kem.id, key: base64(kem_key), signature: base64(kem_signature) },
        kem_last_resort,
        one_time: claimed.one_time.as_ref().map(|prekey| OneTimePreKey { id: prekey.id, key: base64(&prekey.bytes) }),
    })
}

/// A key map as JSON; `None` if a stored prekey is not what [`parse_upload`] makes.
pub(super) fn key_map(map: KeyMapRecord) -> Option<KeyMap> {
    let KeyMapRecord { counter, hash, devices, retired } = map;
    let devices = devices.iter().map(|device| mapped(device, counter)).collect::<Option<_>>()?;
    Some(KeyMap { counter: counter.get(), key_set_hash: hash, devices, retired })
}

fn mapped(device: &KeyMapDeviceRecord, counter: KeySetCounter) -> Option<KeyMapDevice> {
    let record = &device.record;
    let prekey = |dated: &Option<DatedPrekey>, key_len| match dated {
        None => Some(None),
        Some(dated) => fingerprint(dated, key_len).map(Some),
    };
    Some(KeyMapDevice {
        device: record.address.device,
        added_at_counter: record.added_at.get(),
        listed_at_counter: counter.get(),
        mailbox: record.mailbox,
        signed: prekey(&device.signed, EC_LEN)?,
        last_resort: prekey(&device.last_resort, KEM_LEN)?,
        one_time: record.prekeys.one_time,
        one_time_kem: record.prekeys.one_time_kem,
        one_time_uploaded_at_ms: device.one_time_uploaded_at.map(rcseal_store::UnixMillis::get),
    })
}

fn fingerprint(dated: &DatedPrekey, key_len: usize) -> Option<KeyMapPrekey> {
    let (key, _signature) = dated.prekey.bytes.split_at_checked(key_len)?;
    Some(KeyMapPrekey {
        id: dated.prekey.id,
        fingerprint: Digest::from_bytes(sha256(&[key])),
        uploaded_at_ms: dated.uploaded_at.get(),
    })
}
