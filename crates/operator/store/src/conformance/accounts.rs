use rcseal_crypto::secret::Secret;

use super::fixture::{Fixture, START, envelope_id, key_set, unique};
use crate::account::{AccountRecord, InviteHash, RegisterError};
use crate::{EnqueueOutcome, SecretName, Store};

pub(super) async fn run(store: &dyn Store) {
    an_account_registers_once(store).await;
    a_refused_registration_leaves_no_trace(store).await;
    an_invite_admits_one_account(store).await;
    who_was_not_let_in_does_not_learn_which_accounts_exist(store).await;
    a_removed_account_is_gone(store).await;
    a_secret_is_drawn_once(store).await;
    store.check().await.unwrap();
}

async fn an_account_registers_once(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let record = store.account(bob.account).await.unwrap();
    let expected = AccountRecord {
        created_at: START,
        counter: key_set(bob.account, 1).counter,
        delivery_tokens: vec![bob.token],
        blob_bytes: 0,
    };
    assert_eq!(record, Some(expected));
    store.register(bob.registration()).await.expect("repeating a registration whose answer was lost");
    let mut other = bob.registration();
    other.key_set = key_set(Fixture::new().account, 1);
    assert!(matches!(store.register(other).await, Err(RegisterError::AccountExists)));
}

async fn a_refused_registration_leaves_no_trace(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    let mut carol = Fixture::new();
    carol.mailbox = bob.mailbox;
    assert!(matches!(store.register(carol.registration()).await, Err(RegisterError::MailboxTaken)));
    assert_eq!(store.account(carol.account).await.unwrap(), None);
    assert_eq!(store.key_set(carol.account).await.unwrap(), None);
    assert_eq!(store.device(carol.device).await.unwrap(), None);
}

async fn an_invite_admits_one_account(store: &dyn Store) {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&unique());
    let invite = InviteHash::from_bytes(hash);
    let with_invite = |fixture: &Fixture| crate::Register { invite: Some(invite), ..fixture.registration() };
    let bob = Fixture::new();
    assert!(matches!(store.register(with_invite(&bob)).await, Err(RegisterError::InviteRefused)));
    store.add_invite(invite, START, START).await.unwrap();
    assert!(matches!(store.register(with_invite(&bob)).await, Err(RegisterError::InviteRefused)), "expired");
    hash[31] = 1;
    let invite = InviteHash::from_bytes(hash);
    store.add_invite(invite, START.plus_millis(1), START).await.unwrap();
    let with_invite = |fixture: &Fixture| crate::Register { invite: Some(invite), ..fixture.registration() };
    let (one, other) = (Fixture::new(), Fixture::new());
    let attempts =
        futures_util::future::join(store.register(with_invite(&one)), store.register(with_invite(&other))).await;
    assert_ne!(attempts.0.is_ok(), attempts.1.is_ok(), "an invite admitted two, or nobody");
    let admitted = if attempts.0.is_ok() { one } else { other };
    store.register(with_invite(&admitted)).await.expect("repeating it needs no second invite");
}

async fn who_was_not_let_in_does_not_learn_which_accounts_exist(store: &dyn Store) {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&unique());
    let invite = InviteHash::from_bytes(hash);
    let bob = Fixture::registered(store).await;
    let impostor = crate::Register {
        key_set: key_set(Fixture::new().account, 1),
        invite: Some(invite),
        ..Fixture::new().registration()
    };
    let impostor = crate::Register { account: bob.account, ..impostor };
    assert!(matches!(store.register(impostor.clone()).await, Err(RegisterError::InviteRefused)));
    store.add_invite(invite, START.plus_millis(1), START).await.unwrap();
    assert!(matches!(store.register(impostor).await, Err(RegisterError::AccountExists)));
    let carol = Fixture::new();
    let with_invite = crate::Register { invite: Some(invite), ..carol.registration() };
    store.register(with_invite).await.expect("the refusal did not use the invite up");
}

async fn a_removed_account_is_gone(store: &dyn Store) {
    let bob = Fixture::registered(store).await;
    assert!(store.remove_account(bob.account).await.unwrap());
    assert!(!store.remove_account(bob.account).await.unwrap());
    assert_eq!(store.account(bob.account).await.unwrap(), None);
    assert_eq!(store.key_set(bob.account).await.unwrap(), None);
    assert_eq!(store.devices(bob.account).await.unwrap(), []);
    let outcomes = store.enqueue(START, vec![bob.envelope(envelope_id(), b"x")]).await.unwrap();
    assert_eq!(outcomes, [EnqueueOutcome::UnknownMailbox]);
    while store.expire(START, 1).await.unwrap().more {}
    store.register(bob.registration()).await.expect("the id is free again");
}

async fn a_secret_is_drawn_once(store: &dyn Store) {
    let first = store.server_secret(SecretName::LoginToken, Secret::from_bytes([1; 32])).await.unwrap();
    let again = store.server_secret(SecretName::LoginToken, Secret::from_bytes([2; 32])).await.unwrap();
    assert!(first.ct_eq(&again));
    let other = store.server_secret(SecretName::LoginNonce, Secret::from_bytes([3; 32])).await.unwrap();
    assert!(!first.ct_eq(&other));
}
