//! Contacts, servers and copies of stores that try what the threat model says they cannot.

mod bounds;
mod claims;
mod devices;

use std::cell::Cell;

use rcseal_credential::{
    AccountSigner, DeviceClaims, IdentityProfile, KeySetBuilder, RecoveryCommitment, UnverifiedKeySet, prove_device,
};
use rcseal_crypto::ed25519;
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_signal::IdentityKeyPair;
use rcseal_wire::envelope::Hello;
use rcseal_wire::id::{
    AccountId, Custody, DeviceAddress, DeviceNumber, EnvelopeId, KeySetCounter, KeySetHash, Platform,
};
use rcseal_wire::token::DeliveryToken;

use super::world::{Phone, World};
use crate::account::AccountError;
use crate::store::{Order, Row, StoreError, Table, Tx};
use crate::{Disposition, Engine, UnixMillis};

/// A key set for `account` with `counter` sets behind it, signed by an account key that nobody knows.
fn forged_key_set(phone: &mut Phone, account: AccountId, counter: u64) -> Vec<u8> {
    let rng = &mut phone.rng;
    let (auth, identity) = (ed25519::SigningKey::generate(rng), IdentityKeyPair::generate(rng));
    let sealing = SealingSecretKey::generate(rng).public_key();
    let claims = DeviceClaims {
        account,
        number: DeviceNumber::PRIMARY,
        platform: Platform::Android,
        custody: Custody::User,
        auth_key: &auth,
        identity_keys: &[(IdentityProfile::Native, identity.secret_key())],
        sealing_key: &sealing,
        mls_leaf_keys: &[],
    };
    let entry = prove_device(rng, &claims).unwrap();
    let signer = AccountSigner::generate(rng);
    let mut key_set =
        KeySetBuilder::first(account, RecoveryCommitment::NONE).add_device(entry).unwrap().sign(&signer).unwrap();
    while key_set.counter().get() < counter {
        key_set = KeySetBuilder::successor(&key_set).sign(&signer).unwrap();
    }
    key_set.as_bytes().to_vec()
}

/// A first envelope to `to` that claims to come from `sender` and holds nothing that authenticates.
fn claim(world: &World, to: &mut Phone, sender: DeviceAddress, counter: u64) -> Vec<u8> {
    let key_set = UnverifiedKeySet::parse(&world.key_sets[&to.address.account]).unwrap().verify().unwrap();
    let hello = Hello {
        sender,
        key_set_counter: KeySetCounter::new(counter),
        key_set_hash: KeySetHash::from_bytes([7; 32]),
        delivery_token: DeliveryToken::from_bytes([9; 32]),
        ciphertext: vec![0xb1; 90 * 1024],
    };
    let sealing = key_set.device(to.address.device).unwrap().sealing_key();
    crate::seal::seal_first(sealing, to.address, &hello, &mut to.rng).unwrap()
}

fn stranger(phone: &mut Phone) -> DeviceAddress {
    DeviceAddress { account: AccountId::generate(&mut phone.rng), device: DeviceNumber::PRIMARY }
}

/// Counts what a transaction reads.
struct Counting<'a> {
    tx: &'a mut dyn Tx,
    read: Cell<usize>,
}

impl Tx for Counting<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tx.get(table, key)?;
        self.read.set(self.read.get() + value.as_ref().map_or(0, Vec::len));
        Ok(value)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.tx.put(table, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.tx.delete(table, key)
    }

    fn delete_range(&mut self, table: Table, start: &[u8], end: &[u8]) -> Result<(), StoreError> {
        self.tx.delete_range(table, start, end)
    }

    fn scan(&self, table: Table, start: &[u8], end: &[u8], limit: usize, order: Order) -> Result<Vec<Row>, StoreError> {
        let rows = self.tx.scan(table, start, end, limit, order)?;
        self.read.set(self.read.get() + rows.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>());
        Ok(rows)
    }
}

/// Takes an envelope in, and answers how many bytes of the store that read.
fn bytes_read(phone: &mut Phone, now: u64, envelope: &[u8]) -> (Disposition, usize) {
    let Phone { store, rng, .. } = phone;
    let id = EnvelopeId::generate(rng);
    store
        .run(|tx| {
            let mut counting = Counting { tx, read: Cell::new(0) };
            let disposition = Engine::new(&mut counting, UnixMillis(now), rng).handle_envelope(id, envelope)?;
            Ok::<_, AccountError>((disposition, counting.read.get()))
        })
        .unwrap()
}
