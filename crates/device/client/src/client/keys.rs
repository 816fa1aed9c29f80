//! The server's map of the account's public keys, beside what this device has itself.
//!
//! Others encrypt first messages to the prekeys that the server hands out. A device can check that those are its own, and that the server's
//! key set is the one it knows: a server that hands out others cannot read anything by it (prekeys are signed), but messages made with them
//! are lost, and a key set that was put back would hide a removal. There is no private key in the map, on either side.

use rcseal_crypto::hash::sha256;
use rcseal_engine::account::{AccountError, AccountView};
use rcseal_wire::api::{DeviceUpload, KeyMap, KeyMapDevice, KeyMapPrekey};
use rcseal_wire::id::{DeviceNumber, Digest, KeySetHash};

use super::{Client, ClientError};

/// A prekey as this device has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnPrekey {
    /// Its number.
    pub id: u32,
    /// SHA-256 of the public key.
    pub fingerprint: Digest,
}

/// The public keys of this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKeys {
    /// This device.
    pub device: DeviceNumber,
    /// Its signed prekey.
    pub signed: Option<OwnPrekey>,
    /// Its last-resort KEM prekey.
    pub last_resort: Option<OwnPrekey>,
    /// One-time prekeys whose secrets are here.
    pub one_time: usize,
    /// One-time KEM prekeys whose secrets are here.
    pub one_time_kem: usize,
}

/// Something in which the server's map is not what this device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disagreement {
    /// The server's key set is older than the one known here.
    OlderKeySet,
    /// The server's key set is newer, and did not follow from the one known here when it was fetched.
    NewerKeySet,
    /// The server's key set has the same counter and is another one.
    OtherKeySet,
    /// The server lists a device that the key set known here does not.
    UnknownDevice(DeviceNumber),
    /// The server does not list a device of the key set known here.
    MissingDevice(DeviceNumber),
    /// The server delivers to another mailbox than this device's.
    OtherMailbox,
    /// The server's signed prekey is not this device's.
    SignedPrekey,
    /// The server's last-resort prekey is not this device's.
    LastResortPrekey,
    /// The server has more one-time prekeys than there are secrets here: some first messages could not be read.
    MoreOneTimePrekeys,
}

impl Disagreement {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OlderKeySet => "older_key_set",
            Self::NewerKeySet => "newer_key_set",
            Self::OtherKeySet => "other_key_set",
            Self::UnknownDevice(_) => "unknown_device",
            Self::MissingDevice(_) => "missing_device",
            Self::OtherMailbox => "other_mailbox",
            Self::SignedPrekey => "signed_prekey",
            Self::LastResortPrekey => "last_resort_prekey",
            Self::MoreOneTimePrekeys => "more_one_time_prekeys",
        }
    }

    /// The device it is about, where it is about one.
    #[must_use]
    pub const fn device(self) -> Option<DeviceNumber> {
        match self {
            Self::UnknownDevice(device) | Self::MissingDevice(device) => Some(device),
            Self::OlderKeySet
            | Self::NewerKeySet
            | Self::OtherKeySet
            | Self::OtherMailbox
            | Self::SignedPrekey
            | Self::LastResortPrekey
            | Self::MoreOneTimePrekeys => None,
        }
    }
}

/// The server's map and this device's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCheck {
    /// What the server says.
    pub map: KeyMap,
    /// What is here.
    pub own: OwnKeys,
    /// Where the two differ.
    pub disagreements: Vec<Disagreement>,
}

impl Client {
    /// Fetches the server's map of the account's public keys and compares it with what this device has. A key set that follows the known
    /// one is taken in first: another device of the account may have just published it. Anything that is about to be uploaded differs until
    /// it was; [`Client::sync_once`] first makes that unlikely.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account, [`ClientError::Net`] when the server is away or refuses.
    pub async fn check_keys(&self) -> Result<KeyCheck, ClientError> {
        let server = self.core.authenticated().await?;
        let map = server.key_map().await?;
        let known = self.core.account().await?;
        if map.counter > known.key_set_counter {
            let own = known.address.account;
            let key_set = server.key_set(&own).await?;
            // Should it be refused, the comparison says so, and an event why.
            self.core.change(move |engine| engine.handle_key_set(own, &key_set)).await?;
        }
        let (account, upload, hash) = self
            .core
            .engine(|engine| {
                let account = engine.account_view()?.ok_or(AccountError::NoAccount)?;
                // An invitation names the key set by its hash, as the map does.
                Ok::<_, AccountError>((account, engine.own_device_upload()?, engine.invitation()?.key_set_hash))
            })
            .await?;
        let disagreements = compare(&map, &account, hash, &upload);
        Ok(KeyCheck { map, own: own_keys(&account, &upload), disagreements })
    }
}

fn own_keys(account: &AccountView, upload: &DeviceUpload) -> OwnKeys {
    OwnKeys {
        device: account.address.device,
        signed: upload.signed.as_ref().map(|prekey| own(prekey.id, &prekey.key.0)),
        last_resort: upload.last_resort.as_ref().map(|prekey| own(prekey.id, &prekey.key.0)),
        one_time: upload.one_time.len(),
        one_time_kem: upload.one_time_kem.len(),
    }
}

fn own(id: u32, key: &[u8]) -> OwnPrekey {
    OwnPrekey { id, fingerprint: Digest::from_bytes(sha256(&[key])) }
}

fn compare(map: &KeyMap, account: &AccountView, hash: KeySetHash, upload: &DeviceUpload) -> Vec<Disagreement> {
    let mut found = Vec::new();
    match map.counter.cmp(&account.key_set_counter) {
        std::cmp::Ordering::Less => found.push(Disagreement::OlderKeySet),
        std::cmp::Ordering::Greater => found.push(Disagreement::NewerKeySet),
        std::cmp::Ordering::Equal if map.key_set_hash != hash => found.push(Disagreement::OtherKeySet),
        std::cmp::Ordering::Equal => {}
    }
    let is_known = |number| account.devices.iter().any(|device| device.number == number);
    let is_listed = |number| map.devices.iter().any(|device| device.device == number);
    let listed = map.devices.iter().map(|device| device.device);
    found.extend(listed.filter(|number| !is_known(*number)).map(Disagreement::UnknownDevice));
    let known = account.devices.iter().map(|device| device.number);
    found.extend(known.filter(|number| !is_listed(*number)).map(Disagreement::MissingDevice));
    if let Some(listed) = map.devices.iter().find(|device| device.device == account.address.device) {
        found.extend(compare_device(listed, &own_keys(account, upload), upload));
    }
    found
}

fn compare_device(listed: &KeyMapDevice, own: &OwnKeys, upload: &DeviceUpload) -> Vec<Disagreement> {
    let is_same = |listed: &Option<KeyMapPrekey>, own: Option<OwnPrekey>| {
        listed.as_ref().map(|prekey| (prekey.id, prekey.fingerprint))
            == own.map(|prekey| (prekey.id, prekey.fingerprint))
    };
    let has_more = |listed: u32, own: usize| usize::try_from(listed).unwrap_or(usize::MAX) > own;
    [
        (listed.mailbox != Some(upload.mailbox), Disagreement::OtherMailbox),
        (!is_same(&listed.signed, own.signed), Disagreement::SignedPrekey),
        (!is_same(&listed.last_resort, own.last_resort), Disagreement::LastResortPrekey),
        (
            has_more(listed.one_time, own.one_time) || has_more(listed.one_time_kem, own.one_time_kem),
            Disagreement::MoreOneTimePrekeys,
        ),
    ]
    .into_iter()
    .filter_map(|(differs, disagreement)| differs.then_some(disagreement))
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_engine::account::{AccountState, DeviceView};
    use rcseal_engine::contact::ChangePolicy;
    use rcseal_wire::api::{Base64, KemPreKey, OneTimePreKey, SignedPreKey};
    use rcseal_wire::id::{AccountId, Custody, DeviceAddress, MailboxId, Platform};

    use super::*;

    const COUNTER: u64 = 7;

    fn number(number: u8) -> DeviceNumber {
        DeviceNumber::new(number).unwrap()
    }

    fn hash() -> KeySetHash {
        KeySetHash::from_bytes([9; 32])
    }

    fn account() -> AccountView {
        let device = |n| DeviceView { number: number(n), platform: Platform::Desktop, custody: Custody::User };
        AccountView {
            address: DeviceAddress { account: AccountId::from_bytes([1; 16]), device: number(1) },
            origin: "https://localhost:8443".parse().unwrap(),
            state: AccountState::Active,
            display_name: String::new(),
            is_primary: true,
            mailbox: MailboxId::from_bytes([2; 16]),
            devices: vec![device(1), device(2)],
            key_set_counter: COUNTER,
            change_policy: ChangePolicy::Block,
            reset_at: None,
        }
    }

    fn upload() -> DeviceUpload {
        let (key, signature) = (|byte| Base64(vec![byte; 32]), Base64(vec![0; 64]));
        DeviceUpload {
            mailbox: MailboxId::from_bytes([2; 16]),
            signed: Some(SignedPreKey { id: 3, key: key(3), signature: signature.clone() }),
            last_resort: Some(KemPreKey { id: 4, key: key(4), signature: signature.clone() }),
            one_time: vec![OneTimePreKey { id: 5, key: key(5) }; 2],
            one_time_kem: vec![KemPreKey { id: 6, key: key(6), signature }; 2],
        }
    }

    fn listed(device: u8, mailbox: u8) -> KeyMapDevice {
        let prekey = |id: u8| {
            let fingerprint = Digest::from_bytes(sha256(&[&[id; 32]]));
            Some(KeyMapPrekey { id: u32::from(id), fingerprint, uploaded_at_ms: 0 })
        };
        KeyMapDevice {
            device: number(device),
            added_at_counter: 1,
            listed_at_counter: COUNTER,
            mailbox: Some(MailboxId::from_bytes([mailbox; 16])),
            signed: prekey(3),
            last_resort: prekey(4),
            one_time: 2,
            one_time_kem: 1,
            one_time_uploaded_at_ms: None,
        }
    }

    fn map() -> KeyMap {
        KeyMap {
            counter: COUNTER,
            key_set_hash: hash(),
            devices: vec![listed(1, 2), listed(2, 3)],
            retired: Vec::new(),
        }
    }

    /// What is found when a map that agrees is changed.
    fn found(change: impl FnOnce(&mut KeyMap)) -> Vec<Disagreement> {
        let mut map = map();
        change(&mut map);
        compare(&map, &account(), hash(), &upload())
    }

    #[test]
    fn a_map_of_ones_own_keys_agrees() {
        assert_eq!(found(|_| {}), []);
    }

    #[test]
    fn every_difference_has_a_name() {
        use Disagreement as D;
        assert_eq!(found(|map| map.counter -= 1), [D::OlderKeySet]);
        assert_eq!(found(|map| map.counter += 1), [D::NewerKeySet]);
        assert_eq!(found(|map| map.key_set_hash = KeySetHash::from_bytes([8; 32])), [D::OtherKeySet]);
        assert_eq!(found(|map| map.devices.push(listed(3, 4))), [D::UnknownDevice(number(3))]);
        assert_eq!(found(|map| map.devices.truncate(1)), [D::MissingDevice(number(2))]);
        assert_eq!(found(|map| map.devices[0].mailbox = None), [D::OtherMailbox]);
        assert_eq!(found(|map| map.devices[0].signed = None), [D::SignedPrekey]);
        assert_eq!(found(|map| map.devices[0].signed.as_mut().unwrap().id = 9), [D::SignedPrekey]);
        let other = Digest::from_bytes([0; 32]);
        assert_eq!(
            found(|map| map.devices[0].last_resort.as_mut().unwrap().fingerprint = other),
            [D::LastResortPrekey]
        );
        assert_eq!(found(|map| map.devices[0].one_time_kem = 3), [D::MoreOneTimePrekeys]);
        // Those of another device are for that device to check.
        assert_eq!(found(|map| map.devices[1].signed = None), []);
    }
}
