//! Who an account is, over time: its key replaced, taken back with the recovery key, begun again without.

mod backup;
mod chain;
mod recovery;
mod reset;
mod rotation;

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rcseal_credential::{UnverifiedKeySet, VerifiedKeySet};
use rcseal_crypto::secret::Secret;
use rcseal_wire::api::DeviceUpload;
use rcseal_wire::id::{AccountId, ConversationId};

use super::world::{Phone, World, events, new_account};
use crate::account::AccountState;
use crate::contact::{KeySetOutcome, Verification};
use crate::store::memory::MemoryStore;
use crate::{Engine, UnixMillis};

/// A phone with nothing on it.
fn blank(seed: u64, like: &Phone) -> Phone {
    Phone {
        store: MemoryStore::new(),
        rng: ChaCha20Rng::seed_from_u64(seed),
        mailbox: like.mailbox,
        address: like.address,
    }
}

/// The recovery key that `World::phone` drew for a seed, by drawing it again.
fn recovery_seed(seed: u64, name: &str, now: u64) -> Secret<32> {
    let (mut store, mut rng) = (MemoryStore::new(), ChaCha20Rng::seed_from_u64(seed));
    store.run(|tx| Engine::new(tx, UnixMillis(now), &mut rng).create_account(&new_account(name))).unwrap().recovery_seed
}

/// The server gives the account to the phone: its devices are this one.
fn take_over(world: &mut World, phone: &mut Phone, key_set: Vec<u8>, device: DeviceUpload) {
    phone.with(world.now, |engine| engine.complete_takeover()).unwrap();
    let view = phone.with(world.now, |engine| engine.account_view()).unwrap().unwrap();
    assert_eq!(view.state, AccountState::Active);
    (phone.mailbox, phone.address) = (view.mailbox, view.address);
    world.devices.retain(|address, _| address.account != view.address.account);
    world.devices.insert(view.address, device);
    world.mailboxes.insert(view.mailbox, VecDeque::new());
    world.record(&key_set);
    world.key_sets.insert(view.address.account, key_set);
}

/// Takes the account of `lost` back on a new phone.
fn recover(world: &mut World, lost: &Phone, code: &Secret<32>, seed: u64) -> (Phone, Secret<32>) {
    let account = lost.address.account;
    let basis = world.key_sets[&account].clone();
    let mut phone = blank(seed, lost);
    let started =
        phone.with(world.now, |engine| engine.begin_recovery(account, &new_account("Ada"), code, &basis)).unwrap();
    let request = phone.with(world.now, |engine| engine.recovery_request()).unwrap();
    take_over(world, &mut phone, request.key_set.0, request.device);
    (phone, started.recovery_seed.unwrap())
}

fn offer(phone: &mut Phone, now: u64, account: AccountId, bytes: &[u8]) -> KeySetOutcome {
    phone.with(now, |engine| engine.handle_key_set(account, bytes)).unwrap()
}

fn verification(phone: &mut Phone, account: AccountId) -> Verification {
    phone.with(0, |engine| engine.contact_view(account)).unwrap().verification
}

fn parse(bytes: &[u8]) -> VerifiedKeySet {
    UnverifiedKeySet::parse(bytes).unwrap().verify().unwrap()
}

/// Ada and Bob, who have written to each other; Bob has compared safety numbers with Ada.
fn acquainted() -> (World, Phone, Phone, ConversationId) {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.acquaint(&mut bob, &mut ada);
    bob.with(world.now, |engine| engine.mark_verified(ada.address.account)).unwrap();
    events(&mut bob);
    events(&mut ada);
    (world, ada, bob, conversation)
}

/// Ada changes her account key `times` times while Bob is away.
fn rotate(world: &mut World, ada: &mut Phone, times: usize) {
    for _ in 0..times {
        ada.with(world.now, |engine| engine.rotate_account_key()).unwrap();
        world.serve(ada);
    }
}
