//! The account's one row.

use rcseal_credential::AccountSigner;
use rcseal_crypto::ed25519;
use rcseal_crypto::secret::Secret;
use rcseal_signal::IdentityKeyPair;
use rcseal_wire::id::{DeviceAddress, MailboxId};
use rcseal_wire::token::DeliveryToken;
use tls_codec::{TlsByteVecU8, TlsByteVecU16, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::{Zeroize, Zeroizing};

use super::prekeys::PreKeyIds;
use super::{Account, AccountError, AccountState};
use crate::contact::ChangePolicy;
use crate::context::{Engine, UnixMillis};
use crate::record::{Record, text};
use crate::store::{BadRow, StoreError, Table};

/// The key of the one row.
pub(super) const KEY: &[u8] = b"self";

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct AccountRecord {
    address: [u8; DeviceAddress::LEN],
    /// 1 registering, 2 active, 3 recovering, 4 resetting.
    state: u8,
    origin: TlsByteVecU16,
    display_name: TlsByteVecU16,
    mailbox: [u8; 16],
    delivery_token: [u8; 32],
    device_auth: [u8; 32],
    identity: [u8; 32],
    sealing: [u8; 32],
    /// Empty on a linked device.
    account_key: TlsByteVecU8,
    /// The account key of the unpublished key set, where that changes it.
    next_account_key: TlsByteVecU8,
    /// Empty when nothing waits.
    unpublished: TlsByteVecU32,
    /// 1 allow, 2 warn, 3 block.
    change_policy: u8,
    /// What a recovery or a reset is asked for with, while it is under way.
    takeover: TlsByteVecU16,
    /// Empty but while it is on its way to the server.
    next_token: TlsByteVecU8,
    /// Empty but while a replaced token is still good.
    retiring_token: TlsByteVecU8,
    token_overlap_ms: u64,
    /// The server may know tokens of the account that this device does not.
    keeps_tokens: u8,
    /// 0 where none is known.
    reset_at_ms: u64,
    prekey_next: u32,
    prekey_signed: u32,
    prekey_last_resort: u32,
    prekeys_drawn_at_ms: u64,
}

impl Record for AccountRecord {
    const VERSION: u8 = 1;
}

impl Drop for AccountRecord {
    fn drop(&mut self) {
        self.delivery_token.zeroize();
        self.device_auth.zeroize();
        self.identity.zeroize();
        self.sealing.zeroize();
        for field in [&mut self.account_key, &mut self.next_account_key, &mut self.next_token, &mut self.retiring_token]
        {
            let mut secret: Vec<u8> = std::mem::take(field).into();
            secret.zeroize();
        }
        let mut takeover: Vec<u8> = std::mem::take(&mut self.takeover).into();
        takeover.zeroize();
    }
}

impl Engine<'_> {
    pub(crate) fn account(&self) -> Result<Account, AccountError> {
        let row = self.tx.get(Table::Account, KEY)?.ok_or(AccountError::NoAccount)?;
        let row = Zeroizing::new(row);
        Ok(read(&AccountRecord::from_row(Table::Account, &row)?)?)
    }

    pub(crate) fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let record = AccountRecord {
            address: account.address.to_bytes(),
            state: match account.state {
                AccountState::Registering => 1,
                AccountState::Active => 2,
                AccountState::Recovering => 3,
                AccountState::Resetting => 4,
            },
            origin: account.origin.as_str().as_bytes().into(),
            display_name: account.display_name.as_bytes().into(),
            mailbox: *account.mailbox.as_bytes(),
            delivery_token: *account.delivery_token.expose(),
            device_auth: *account.device_auth.seed(),
            identity: *account.identity.expose_secret(),
            sealing: *account.sealing_seed.expose(),
            account_key: account.signer.as_ref().map(|signer| signer.seed().to_vec()).unwrap_or_default().into(),
            next_account_key: account
                .next_signer
                .as_ref()
                .map(|signer| signer.seed().to_vec())
                .unwrap_or_default()
                .into(),
            unpublished: account.unpublished.clone().unwrap_or_default().into(),
            change_policy: account.change_policy.number(),
            takeover: account.takeover.as_slice().into(),
            next_token: token_bytes(account.next_token.as_ref()),
            retiring_token: token_bytes(account.retiring_token.as_ref()),
            token_overlap_ms: account.token_overlap_ms,
            keeps_tokens: u8::from(account.keeps_tokens),
            reset_at_ms: account.reset_at.map_or(0, |at| at.0),
            prekey_next: account.prekeys.next,
            prekey_signed: account.prekeys.signed,
            prekey_last_resort: account.prekeys.last_resort,
            prekeys_drawn_at_ms: account.prekeys.drawn_at.0,
        };
        self.tx.put(Table::Account, KEY, &record.to_row())
    }
}

fn token_bytes(token: Option<&DeliveryToken>) -> TlsByteVecU8 {
    token.map(|token| token.expose().to_vec()).unwrap_or_default().into()
}

/// 32 secret bytes, or none.
fn secret(field: &TlsByteVecU8) -> Result<Option<[u8; 32]>, StoreError> {
    match field.as_slice() {
        [] => Ok(None),
        bytes => bytes.try_into().map(Some).map_err(|_| BadRow::error(Table::Account)),
    }
}

fn read(record: &AccountRecord) -> Result<Account, StoreError> {
    let bad = || BadRow::error(Table::Account);
    let unpublished = Some(record.unpublished.as_slice().to_vec()).filter(|bytes| !bytes.is_empty());
    Ok(Account {
        address: DeviceAddress::parse(&record.address).map_err(|_| bad())?,
        state: match record.state {
            1 => AccountState::Registering,
            2 => AccountState::Active,
            3 => AccountState::Recovering,
            4 => AccountState::Resetting,
            _ => return Err(bad()),
        },
        origin: text(Table::Account, record.origin.as_slice())?.parse().map_err(|_| bad())?,
        display_name: text(Table::Account, record.display_name.as_slice())?,
        mailbox: MailboxId::from_bytes(record.mailbox),
        delivery_token: DeliveryToken::from_bytes(record.delivery_token),
        device_auth: ed25519::SigningKey::from_seed(record.device_auth),
        identity: IdentityKeyPair::from_secret_bytes(record.identity),
        sealing_seed: Secret::from_bytes(record.sealing),
        signer: secret(&record.account_key)?.map(AccountSigner::from_seed),
        next_signer: secret(&record.next_account_key)?.map(AccountSigner::from_seed),
        unpublished,
        change_policy: ChangePolicy::from_number(record.change_policy).ok_or_else(bad)?,
        takeover: Zeroizing::new(record.takeover.as_slice().to_vec()),
        next_token: secret(&record.next_token)?.map(DeliveryToken::from_bytes),
        retiring_token: secret(&record.retiring_token)?.map(DeliveryToken::from_bytes),
        token_overlap_ms: record.token_overlap_ms,
        keeps_tokens: record.keeps_tokens == 1,
        reset_at: (record.reset_at_ms != 0).then_some(UnixMillis(record.reset_at_ms)),
        prekeys: PreKeyIds {
            next: record.prekey_next,
            signed: record.prekey_signed,
            last_resort: record.prekey_last_resort,
            drawn_at: UnixMillis(record.prekeys_drawn_at_ms),
        },
    })
}
