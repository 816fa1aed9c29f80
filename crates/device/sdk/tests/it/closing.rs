//! Calls after the close, and calls whose caller is gone.

use rcseal_sdk::RcsealError;

use crate::support::{TestVault, nowhere, open};

#[tokio::test]
async fn after_the_close_every_call_answers_closed() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    client.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    client.shutdown_now().unwrap();
    assert!(client.is_closed().unwrap());
    let answers = [
        client.account().await.unwrap_err(),
        client.create_account(nowhere()).await.unwrap_err(),
        client.connect().await.unwrap_err(),
        client.connection_state().unwrap_err(),
        client.conversations(50, None).await.unwrap_err(),
        client.security_state().await.unwrap_err(),
    ];
    for error in answers {
        assert!(matches!(error, RcsealError::Closed { .. }), "{error:?}");
        assert_eq!(error.code(), "closed");
    }
}

#[tokio::test]
async fn a_call_whose_caller_is_gone_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    {
        // One poll starts the call; then whoever made it is gone, as a cancelled coroutine is.
        let call = client.create_account(nowhere());
        tokio::pin!(call);
        assert!(futures_util::poll!(&mut call).is_pending());
    }
    let found = async {
        while client.pending_recovery_code().await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), found).await.unwrap();
    assert!(client.account().await.unwrap().is_some());
}

#[tokio::test]
async fn an_account_whose_server_is_away_is_here_with_its_recovery_code() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    let created = client.create_account(nowhere()).await.unwrap();
    assert!(!created.is_registered && created.is_retryable);
    assert_eq!(client.pending_recovery_code().await.unwrap(), created.recovery_code);
    client.confirm_recovery_code().await.unwrap();
    assert_eq!(client.pending_recovery_code().await.unwrap(), None);
    assert!(!client.security_state().await.unwrap().is_registered);
}

#[tokio::test]
async fn an_argument_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    let error = client.contact("nobody".to_owned()).await.unwrap_err();
    assert!(matches!(error, RcsealError::InvalidArgument { .. }), "{error:?}");
    assert_eq!(error.code(), "argument_malformed");
    assert!(!error.reason().contains("nobody"));
}
