//! Contacts, servers and copies of stores that try what the threat model says they cannot.

use std::cell::Cell;

use rcseal_credential::{
    AccountSigner, DeviceClaims, IdentityProfile, KeySetBuilder, RecoveryCommitment, UnverifiedKeySet, prove_device,
};
use rcseal_crypto::ed25519;
use rcseal_crypto::seal::SealingSecretKey;
use rcseal_signal::IdentityKeyPair;
use rcseal_wire::api::BundlesResponse;
use rcseal_wire::content::{Body, ContactEntry, Content, Participant, Payload, Receipt, Role};
use rcseal_wire::envelope::{Envelope, Hello};
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{
    AccountId, ConversationId, Custody, DeviceAddress, DeviceNumber, EnvelopeId, KeySetCounter, KeySetHash, LinkId,
    MessageId, Platform,
};
use rcseal_wire::token::DeliveryToken;

use super::linking::link;
use super::world::{Phone, World, events, messages, new_account, second_device, text, texts};
use crate::account::AccountError;
use crate::contact::{ContactError, KeySetOutcome, KeySetRefusal, Verification};
use crate::event::Event;
use crate::link::{LinkFailure, LinkingDevice};
use crate::message::{FailureReason, MessageState};
use crate::need::{Need, NeedKind};
use crate::store::{Order, Row, StoreError, Table, Tx};
use crate::{Disposition, Engine, Undecryptable, UnixMillis};

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

#[test]
fn a_linked_device_takes_a_contacts_later_keys_from_the_same_account_key_only() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let bob_account = bob.address.account;
    ada.with(world.now, |engine| engine.mark_verified(bob_account)).unwrap();
    let mut tablet = link(&mut world, &mut ada, 20);
    // The directory shows the tablet, which has seen nothing of Bob yet, a later set that Bob never signed.
    let forged = forged_key_set(&mut tablet, bob_account, 2);
    let outcome = tablet.with(world.now, |engine| engine.handle_key_set(bob_account, &forged)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Behind), "{outcome:?}");
    let genuine = world.key_sets[&bob_account].clone();
    // Nor can it show how the one became the other.
    for chain in [vec![forged.clone()], vec![genuine.clone(), forged]] {
        let outcome = tablet.with(world.now, |engine| engine.handle_key_sets(bob_account, &chain)).unwrap();
        assert!(
            matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::NotPinned | KeySetRefusal::Invalid(_))),
            "{outcome:?}"
        );
    }
    let outcome = tablet.with(world.now, |engine| engine.handle_key_set(bob_account, &genuine)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    let view = tablet.with(0, |engine| engine.contact_view(bob_account)).unwrap();
    assert_eq!(view.verification, Verification::Verified);
}

#[test]
fn a_session_of_a_rolled_back_store_hears_and_never_speaks_again() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let backup = ada.store.clone();
    world.send(&mut ada, conversation, text("two"));
    world.serve(&mut ada);
    // Bob has not read that yet, and writes on: to Ada's restored ratchet his message belongs to a chain that it knows.
    world.send(&mut bob, conversation, text("from bob"));
    world.serve(&mut bob);
    ada.store = backup;
    ada.with(world.now, |engine| engine.handle_store_rollback()).unwrap();
    let own = ada.address.account;
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(matches!(needs[..], [Need::FetchKeySet { account, .. }] if account == own), "{needs:?}");
    assert!(world.deliver(&mut ada).iter().all(|disposition| *disposition == Disposition::Consumed));
    world.send(&mut ada, conversation, text("three"));
    world.serve(&mut ada);
    world.serve(&mut ada);
    let (_, three) = world.mailboxes[&bob.mailbox].back().unwrap();
    assert!(
        matches!(Envelope::parse(three), Ok(Envelope::First { .. })),
        "the old session's sending chain has made a key for this place before"
    );
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "from bob", "two", "three"]);
    // What the directory has of Ada may be of the life that was lost.
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 50, one_time_kem: 50, low: false };
    let upload = ada.with(world.now, |engine| engine.prekey_upload(counts)).unwrap().unwrap();
    assert!(upload.signed.is_some() && upload.last_resort.is_some());
}

#[test]
fn fetches_that_are_always_refused_do_not_hold_up_the_others() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    // Contacts whose key sets the directory does not give away: their tokens were withdrawn.
    let mut invitation = bob.with(world.now, |engine| engine.invitation()).unwrap();
    let bob_account = invitation.account;
    ada.with(world.now, |engine| {
        for _ in 0..2_000 {
            invitation.account = AccountId::generate(engine.rng);
            let account = engine.add_contact(&invitation, "")?;
            engine.handle_need_failed(NeedKind::KeySet, account)?;
        }
        Ok::<_, ContactError>(())
    })
    .unwrap();
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    let key_set = world.key_sets[&bob_account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(bob_account, &key_set)).unwrap();
    let needs = ada.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(matches!(needs[..], [Need::FetchBundles { .. }]), "{needs:?}");
}

#[test]
fn a_message_without_keys_fails_after_a_week_whatever_the_directory_answers() {
    let mut world = World::new();
    let (mut ada, mut bob, mut carol) = (world.phone(1, "Ada"), world.phone(2, "Bob"), world.phone(3, "Carol"));
    let (to_bob, to_carol) = (world.introduce(&mut ada, &mut bob), world.introduce(&mut ada, &mut carol));
    world.send(&mut ada, to_bob, text("no key set"));
    world.send(&mut ada, to_carol, text("no bundle"));
    let key_set = world.key_sets[&carol.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(carol.address.account, &key_set)).unwrap();
    world.now += 8 * 24 * 3600 * 1000;
    ada.with(world.now, |engine| engine.keep_house()).unwrap();
    assert_eq!(ada.store.len(Table::Pending), 0);
    for conversation in [to_bob, to_carol] {
        let state = messages(&mut ada, conversation)[0].state;
        assert_eq!(state, MessageState::Failed { reason: FailureReason::NoKeys });
    }
}

#[test]
fn an_introduction_does_not_send_us_to_another_server() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut mallory = world.phone(3, "Mallory");
    // Mallory has Bob's invitation, and names a machine inside Bob's network as her server.
    mallory
        .with(world.now, |engine| {
            let mut account = engine.account()?;
            account.origin = "https://192.168.1.1:22".parse().unwrap();
            engine.put_account(&account)?;
            Ok::<_, AccountError>(())
        })
        .unwrap();
    let conversation = world.introduce(&mut mallory, &mut bob);
    world.send(&mut mallory, conversation, text("hello"));
    world.serve(&mut mallory);
    world.serve(&mut mallory);
    world.deliver(&mut bob);
    let key_set = world.key_sets[&mallory.address.account].clone();
    bob.with(world.now, |engine| engine.handle_key_set(mallory.address.account, &key_set)).unwrap();
    assert_eq!(texts(&mut bob, conversation), ["hello"]);
    // The receipt goes out by itself, before Bob has seen anything.
    bob.with(world.now, |engine| engine.flush_receipts()).unwrap();
    let own = bob.with(0, |engine| engine.account_view()).unwrap().unwrap().origin;
    for outgoing in bob.with(world.now, |engine| engine.poll_outbox(16)).unwrap() {
        assert_eq!(outgoing.origin, own);
    }
    assert_eq!(bob.with(0, |engine| engine.contact_view(mallory.address.account)).unwrap().origin, own);
}

#[test]
fn what_is_kept_aside_is_not_read_again_for_every_envelope() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let junk = vec![0x12; 96 * 1024];
    for _ in 0..205 {
        bytes_read(&mut bob, world.now, &junk);
    }
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 200);
    let (disposition, read) = bytes_read(&mut bob, world.now, &junk);
    assert_eq!(disposition, Disposition::Undecryptable(Undecryptable::UnknownSession));
    assert!(read < 3 * junk.len(), "{read} bytes read to keep one envelope aside");
}

#[test]
fn what_waits_for_key_sets_is_bounded_per_sender_and_not_read_again_for_every_envelope() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let sender = stranger(&mut bob);
    let envelope = claim(&world, &mut bob, sender, 1);
    let mut parked = 0;
    for _ in 0..100 {
        match bytes_read(&mut bob, world.now, &envelope).0 {
            Disposition::Parked => parked += 1,
            other => assert_eq!(other, Disposition::Undecryptable(Undecryptable::TooManyParked)),
        }
    }
    assert_eq!(parked, 32);
    // Another sender is not shut out by it.
    let other = stranger(&mut bob);
    let envelope = claim(&world, &mut bob, other, 1);
    let (disposition, read) = bytes_read(&mut bob, world.now, &envelope);
    assert_eq!(disposition, Disposition::Parked);
    assert!(read < envelope.len(), "{read} bytes read to park one envelope");
}

#[test]
fn a_claim_that_the_directory_keeps_denying_is_given_up() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let sender = stranger(&mut bob);
    let envelope = claim(&world, &mut bob, sender, 1);
    let (disposition, _) = bytes_read(&mut bob, world.now, &envelope);
    assert_eq!(disposition, Disposition::Parked);
    let mut asked = 0;
    // Far less than the week that an honest sender's envelope would wait for a server that is merely away.
    for _ in 0..2 * 24 * 60 {
        world.now += 60 * 1000;
        asked += bob.with(world.now, |engine| engine.poll_needs()).unwrap().len();
        world.serve(&mut bob);
    }
    assert!(asked < 100, "asked {asked} times");
    assert_eq!((bob.store.len(Table::Parked), bob.store.len(Table::Contact), bob.store.len(Table::Need)), (0, 0, 0));
    assert_eq!(bob.with(0, |engine| engine.quarantined()).unwrap().len(), 1);
}

#[test]
fn a_claim_of_a_later_key_set_than_there_is_is_given_up() {
    let mut world = World::new();
    let (mut bob, carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    // Carol exists, and the directory answers with the set she has; the claim names one that she never made.
    let envelope = claim(&world, &mut bob, carol.address, u64::MAX);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    let mut asked = 0;
    for _ in 0..24 * 60 {
        world.now += 60 * 1000;
        asked += bob.with(world.now, |engine| engine.poll_needs()).unwrap().len();
        world.serve(&mut bob);
    }
    assert!(asked < 100, "asked {asked} times");
    assert_eq!((bob.store.len(Table::Parked), bob.store.len(Table::Contact), bob.store.len(Table::Need)), (0, 0, 0));
}

#[test]
fn a_mailbox_that_takes_nothing_does_not_hold_up_the_others() {
    let mut world = World::new();
    let (mut ada, mut bob, mut mallory) = (world.phone(1, "Ada"), world.phone(2, "Bob"), world.phone(3, "Mallory"));
    let with_mallory = world.introduce(&mut ada, &mut mallory);
    world.send(&mut ada, with_mallory, text("hello"));
    world.settle(&mut [&mut ada, &mut mallory]);
    // Mallory's mailbox is full, and each of her messages makes Ada send a receipt.
    let identity = IdentityKeyPair::generate(&mut ada.rng).public();
    ada.with(world.now, |engine| (0..5_000).try_for_each(|_| engine.queue(mallory.address, identity, &[0; 64], None)))
        .unwrap();
    let stuck = ada.with(world.now, |engine| engine.poll_outbox(1)).unwrap();
    ada.with(world.now, |engine| engine.handle_submitted(stuck[0].number, SubmitStatus::QuotaExceeded)).unwrap();
    let with_bob = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, with_bob, text("to bob"));
    for _ in 0..2 {
        for need in ada.with(world.now, |engine| engine.poll_needs()).unwrap() {
            match need {
                Need::FetchKeySet { account, .. } => {
                    let key_set = world.key_sets[&account].clone();
                    ada.with(world.now, |engine| engine.handle_key_set(account, &key_set)).unwrap();
                }
                Need::FetchBundles { account, .. } => {
                    let bundles = vec![world.bundle(bob.address).unwrap()];
                    ada.with(world.now, |engine| engine.handle_bundles(account, &BundlesResponse { bundles })).unwrap();
                }
                _ => unreachable!("nothing else is wanted"),
            }
        }
    }
    let due = ada.with(world.now, |engine| engine.poll_outbox(16)).unwrap();
    assert_eq!(due.iter().map(|outgoing| outgoing.submit.mailbox).collect::<Vec<_>>(), [bob.mailbox]);
}

#[test]
fn notices_to_a_mailbox_that_takes_nothing_are_bounded() {
    let mut world = World::new();
    let (mut ada, mut mallory) = (world.phone(1, "Ada"), world.phone(3, "Mallory"));
    let mallory_account = mallory.address.account;
    let conversation = world.introduce(&mut ada, &mut mallory);
    world.send(&mut ada, conversation, text("hello"));
    world.settle(&mut [&mut ada, &mut mallory]);
    let receipt = |ada: &mut Phone, now: u64| {
        ada.with(now, |engine| {
            let account = engine.account()?;
            let body = Body::Receipt(Receipt::Read(vec![MessageId::from_bytes([1; 16])]));
            engine.send_notice(&account, mallory_account, conversation, body)
        })
        .unwrap();
    };
    for _ in 0..1_000 {
        receipt(&mut ada, world.now);
    }
    assert_eq!(ada.store.len(Table::Outbox), 256);
    // What a person wrote is not a notice.
    world.send(&mut ada, conversation, text("words"));
    assert_eq!(ada.store.len(Table::Outbox), 257);
    world.settle(&mut [&mut ada, &mut mallory]);
    assert_eq!(texts(&mut mallory, conversation), ["hello", "words"]);
    receipt(&mut ada, world.now);
    assert_eq!(ada.store.len(Table::Outbox), 1);
}

#[test]
fn an_invitation_binds_the_keys_that_a_claim_brought_before_it() {
    let mut world = World::new();
    let (mut bob, mut carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    let old = world.key_sets[&carol.address.account].clone();
    link(&mut world, &mut carol, 30);
    // Somebody writes in Carol's name and claims a later set still; the directory answers with her first one, which she has replaced.
    let envelope = claim(&world, &mut bob, carol.address, 9);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    bob.with(world.now, |engine| engine.handle_key_set(carol.address.account, &old)).unwrap();
    // Then Carol's invitation comes, which names her second.
    world.introduce(&mut bob, &mut carol);
    let view = bob.with(0, |engine| engine.contact_view(carol.address.account)).unwrap();
    assert_eq!(view.key_set_counter, None, "a set older than the invitation's is not believed");
    let outcome = bob.with(world.now, |engine| engine.handle_key_set(carol.address.account, &old)).unwrap();
    assert!(matches!(outcome, KeySetOutcome::Refused(KeySetRefusal::OlderThanPinned)), "{outcome:?}");
}

#[test]
fn a_second_invitation_does_not_move_a_contact_whose_keys_are_not_here_yet() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let genuine = bob.with(world.now, |engine| engine.invitation()).unwrap();
    ada.with(world.now, |engine| engine.add_contact(&genuine, "Bob")).unwrap();
    let mut forged = bob.with(world.now, |engine| engine.invitation()).unwrap();
    forged.account_key = *ed25519::SigningKey::generate(&mut bob.rng).verifying_key().as_bytes();
    forged.origin = "https://elsewhere.example".parse().unwrap();
    let error = ada.with(world.now, |engine| engine.add_contact(&forged, "Bob")).unwrap_err();
    assert!(matches!(error, ContactError::OtherAccountKey), "{error:?}");
    assert_eq!(ada.with(0, |engine| engine.contact_view(bob.address.account)).unwrap().origin, genuine.origin);
}

#[test]
fn bundles_that_nobody_asked_for_begin_no_session() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let before = (ada.store.len(Table::Session), ada.store.len(Table::BaseKey));
    let bundles = (0..3).map(|_| world.bundle(bob.address).unwrap()).collect();
    ada.with(world.now, |engine| engine.handle_bundles(bob.address.account, &BundlesResponse { bundles })).unwrap();
    assert_eq!((ada.store.len(Table::Session), ada.store.len(Table::BaseKey)), before);
    // Asked for once, answered three times.
    let mut carol = world.phone(3, "Carol");
    let conversation = world.introduce(&mut ada, &mut carol);
    world.send(&mut ada, conversation, text("hello"));
    let key_set = world.key_sets[&carol.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(carol.address.account, &key_set)).unwrap();
    let bundles = (0..3).map(|_| world.bundle(carol.address).unwrap()).collect();
    ada.with(world.now, |engine| engine.handle_bundles(carol.address.account, &BundlesResponse { bundles })).unwrap();
    assert_eq!(ada.store.len(Table::Session), before.0 + 1);
}

#[test]
fn who_only_claims_to_be_somebody_cannot_be_written_to() {
    let mut world = World::new();
    let (mut bob, mut carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    let envelope = claim(&world, &mut bob, carol.address, 9);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    let account = carol.address.account;
    // Keys that a directory made up: nothing has shown that they are Carol's.
    let forged = forged_key_set(&mut carol, account, 1);
    bob.with(world.now, |engine| engine.handle_key_set(account, &forged)).unwrap();
    assert!(matches!(bob.with(0, |engine| engine.direct_conversation(account)), Err(ContactError::Unknown)));
    assert!(matches!(bob.with(0, |engine| engine.safety_number(account)), Err(ContactError::Unknown)));
    assert!(matches!(bob.with(0, |engine| engine.mark_verified(account)), Err(ContactError::Unknown)));
    assert!(!events(&mut bob).iter().any(|event| matches!(event, Event::DevicesChanged { .. })));
    // Nor does what waits for somebody of that name go to those keys.
    let own = bob.address.account;
    let conversation = crate::conversation::direct_conversation_id(own, account);
    bob.with(world.now, |engine| {
        engine.put_conversation(conversation, &crate::conversation::direct(own, account))?;
        engine.send(conversation, text("for Carol only"), None)
    })
    .unwrap();
    bob.with(world.now, |engine| engine.handle_key_set(account, &forged)).unwrap();
    let wanted = bob.with(world.now, |engine| engine.poll_needs()).unwrap();
    assert!(!wanted.iter().any(|need| matches!(need, Need::FetchBundles { .. })), "{wanted:?}");
}

#[test]
fn the_keys_of_who_only_claims_to_be_somebody_change_unheard() {
    let mut world = World::new();
    let (mut bob, mut carol) = (world.phone(2, "Bob"), world.phone(3, "Carol"));
    let envelope = claim(&world, &mut bob, carol.address, 9);
    assert_eq!(bytes_read(&mut bob, world.now, &envelope).0, Disposition::Parked);
    let account = carol.address.account;
    let forged = forged_key_set(&mut carol, account, 1);
    // The directory goes on to show a reset of what it made up.
    carol.store = crate::store::memory::MemoryStore::new();
    carol.with(world.now, |engine| engine.begin_reset(account, &new_account("Carol"), "t", &forged, 0)).unwrap();
    let reset = carol.with(world.now, |engine| engine.reset_request()).unwrap().key_set.0;
    for key_set in [forged, reset] {
        let outcome = bob.with(world.now, |engine| engine.handle_key_set(account, &key_set)).unwrap();
        assert!(matches!(outcome, KeySetOutcome::Accepted { .. }), "{outcome:?}");
    }
    assert_eq!(events(&mut bob), []);
    let candidate = bob.with(0, |engine| engine.contact(account)).unwrap().unwrap();
    assert!(candidate.is_candidate);
    assert_eq!((candidate.verification, candidate.changed_how), (Verification::Unverified, None));
}

#[test]
fn an_offer_is_answered_once_and_an_approval_used_once() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut tablet = world.phone(9, "unused");
    let origin: rcseal_wire::origin::Origin = "https://relay.example".parse().unwrap();
    let id = LinkId::generate(&mut tablet.rng);
    let mut linking = LinkingDevice::begin(origin, id, Platform::Ios, Custody::User, &mut tablet.rng);
    let (approval, offer) = bob.with(world.now, |engine| engine.link_offer(&linking.request())).unwrap();
    let reply = linking.handle_offer(&offer, &mut tablet.rng).unwrap();
    // A second answer would be another entry under the same key and nonce.
    assert!(matches!(linking.handle_offer(&offer, &mut tablet.rng), Err(LinkFailure::Order)));
    bob.with(world.now, |engine| engine.link_approve(&approval, &reply)).unwrap();
    bob.with(world.now, |engine| engine.handle_publish_refused()).unwrap();
    assert!(matches!(bob.with(world.now, |engine| engine.link_approve(&approval, &reply)), Err(LinkFailure::Order)));
}

#[test]
fn own_devices_hear_of_a_new_key_set() {
    let mut world = World::new();
    let mut bob = world.phone(2, "Bob");
    let mut tablet = link(&mut world, &mut bob, 5);
    let mut laptop = link(&mut world, &mut bob, 6);
    world.settle(&mut [&mut bob, &mut tablet, &mut laptop]);
    let counter = |phone: &mut Phone| phone.with(0, |engine| engine.account_view()).unwrap().unwrap().key_set_counter;
    assert_eq!((counter(&mut tablet), counter(&mut laptop)), (3, 3));
    // The tablet is stolen.
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.settle(&mut [&mut bob, &mut laptop]);
    assert_eq!(counter(&mut laptop), 4, "the laptop goes on writing to the thief otherwise");
}

#[test]
fn contacts_are_taken_from_the_primary_device_only() {
    let mut world = World::new();
    let (mut bob, mut mallory) = (world.phone(2, "Bob"), world.phone(3, "Mallory"));
    let mut tablet = link(&mut world, &mut bob, 5);
    world.settle(&mut [&mut bob, &mut tablet]);
    let entry = ContactEntry {
        account: mallory.address.account,
        delivery_token: mallory.with(0, |engine| engine.delivery_token()).unwrap(),
        origin: "https://relay.example".parse().unwrap(),
        name: "Mum".to_owned(),
        key_set_counter: KeySetCounter::FIRST,
        key_set_hash: KeySetHash::from_bytes([1; 32]),
        account_key: Some([1; 32]),
        verified: true,
        changed: None,
        blocked: false,
    };
    tablet
        .with(world.now, |engine| {
            let account = engine.account()?;
            let payload = Payload {
                message_id: MessageId::from_bytes([1; 16]),
                conversation_id: ConversationId::from_bytes([1; 16]),
                sent_at_ms: 0,
                key_set_counter: KeySetCounter::FIRST,
                conversation: None,
                content: Content::new(Body::ContactSync(vec![entry]), None),
                introduction: None,
            };
            let ours = Participant { account: account.address.account, role: Role::Member, devices: None };
            engine.dispatch(&account, &ours, &payload.to_bytes(), None)
        })
        .unwrap();
    world.settle(&mut [&mut bob, &mut tablet]);
    assert!(bob.with(0, |engine| engine.contacts()).unwrap().is_empty());
}

#[test]
fn base_keys_are_forgotten_once_no_prekey_could_accept_them_again() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    bob.with(world.now, |engine| {
        let session = engine.active_session(ada.address)?.unwrap();
        engine.drop_session(session.key)
    })
    .unwrap();
    let counts = rcseal_wire::api::PrekeyCounts { one_time: 50, one_time_kem: 50, low: false };
    let keep_house = |bob: &mut Phone, now: u64| {
        bob.with(now, |engine| engine.prekey_upload(counts)).unwrap();
        bob.with(now, |engine| engine.keep_house()).unwrap();
        bob.store.len(Table::BaseKey)
    };
    world.now += 3 * 24 * 3600 * 1000;
    assert_eq!(keep_house(&mut bob, world.now), 1, "the prekey of then still opens messages");
    world.now += 33 * 24 * 3600 * 1000;
    assert_eq!(keep_house(&mut bob, world.now), 0);
}

#[test]
fn what_waits_for_a_removed_device_is_dropped() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.phone(1, "Ada"), world.phone(2, "Bob"));
    let conversation = world.introduce(&mut ada, &mut bob);
    world.send(&mut ada, conversation, text("one"));
    world.settle(&mut [&mut ada, &mut bob]);
    let mut tablet = link(&mut world, &mut bob, 5);
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    world.send(&mut ada, conversation, text("two"));
    world.settle(&mut [&mut ada, &mut bob, &mut tablet]);
    // Ada is offline while she writes, and Bob loses the tablet.
    world.send(&mut ada, conversation, text("three"));
    bob.with(world.now, |engine| engine.remove_device(second_device())).unwrap();
    world.serve(&mut bob);
    let newer = world.key_sets[&bob.address.account].clone();
    ada.with(world.now, |engine| engine.handle_key_set(bob.address.account, &newer)).unwrap();
    let due = ada.with(world.now, |engine| engine.poll_outbox(16)).unwrap();
    assert_eq!(due.iter().map(|outgoing| outgoing.submit.mailbox).collect::<Vec<_>>(), [bob.mailbox]);
    world.settle(&mut [&mut ada, &mut bob]);
    assert_eq!(texts(&mut bob, conversation), ["one", "two", "three"]);
}
