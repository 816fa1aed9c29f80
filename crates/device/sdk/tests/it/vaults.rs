//! Key vaults that fail.

use std::time::Duration;

use rcseal_sdk::RcsealError;
use rcseal_sdk::vault::KeyProtection;

use crate::support::{Fault, TestVault, open};

#[tokio::test]
async fn each_failure_of_a_vault_has_its_code_and_the_store_opens_when_it_has_passed() {
    let folder = tempfile::tempdir().unwrap();
    let vault = TestVault::new();
    open(folder.path(), &vault).await.unwrap().shutdown().await.unwrap();
    for (fault, code, retryable) in [
        (Fault::Locked, "vault.user_not_authenticated", true),
        (Fault::Invalidated, "vault.key_invalidated", false),
        (Fault::Throwing, "vault.unexpected", false),
    ] {
        vault.set(fault);
        let error = open(folder.path(), &vault).await.unwrap_err();
        assert!(matches!(error, RcsealError::Vault { .. }), "{error:?}");
        assert_eq!((error.code(), error.retryable()), (code, retryable));
        // What an app's exception said is the app's own.
        assert!(!error.reason().contains("secret"), "{error:?}");
    }
    vault.set(Fault::None);
    let client = open(folder.path(), &vault).await.unwrap();
    assert_eq!(client.security_state().await.unwrap().protection, KeyProtection::Tee);
}

#[tokio::test]
async fn a_slow_vault_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let vault = TestVault::new();
    vault.set(Fault::Slow(Duration::from_millis(60)));
    let client = open(folder.path(), &vault).await.unwrap();
    assert!(!client.security_state().await.unwrap().was_rolled_back);
}

#[tokio::test]
async fn a_vault_that_hangs_ends_the_call_with_a_code_and_nobody_else() {
    let (hung, sound) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (hanging, working) = (TestVault::new(), TestVault::new());
    hanging.set(Fault::Hanging);
    let (failed, opened) = tokio::join!(open(hung.path(), &hanging), open(sound.path(), &working));
    let error = failed.unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("vault.timeout", true));
    assert!(opened.is_ok());
    hanging.set(Fault::None);
    assert!(open(hung.path(), &hanging).await.is_ok());
}

#[tokio::test]
async fn a_second_client_on_a_store_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let vault = TestVault::new();
    let first = open(folder.path(), &vault).await.unwrap();
    let error = open(folder.path(), &vault).await.unwrap_err();
    assert!(matches!(error, RcsealError::Store { .. }), "{error:?}");
    assert_eq!((error.code(), error.retryable()), ("store.in_use", true));
    first.shutdown().await.unwrap();
    assert!(open(folder.path(), &vault).await.is_ok());
}
