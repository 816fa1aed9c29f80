//! The hand-over to an app's own stack, as far as one client without a server can show it.

use std::sync::Arc;

use rcseal_sdk::RcsealError;
use rcseal_sdk::hand_over::{HostStackConfig, PayloadPart, RcsStack, StackAnswer, StackError, StackOutcome};

use crate::support::{TestVault, nowhere, open};

fn config(number: &str) -> HostStackConfig {
    HostStackConfig {
        number: number.to_owned(),
        is_binary_safe: true,
        body_len_max: 1000,
        parts_max: 16,
        patience_ms: None,
    }
}

struct Refusing;

impl RcsStack for Refusing {
    fn send_encrypted_payload(&self, _part: PayloadPart) -> Result<StackOutcome, StackError> {
        Ok(StackOutcome::Refused)
    }
}

#[tokio::test]
async fn what_the_stack_received_is_answered_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    client.create_account(nowhere()).await.unwrap();
    client.use_app_stack(config("+15552010001")).await.unwrap();
    let from = || Some("+15552010002".to_owned());
    let unknown = client.decrypt(from(), true, "application/x-other".to_owned(), None, vec![1, 2]).await.unwrap();
    assert_eq!((unknown.answer, unknown.code.as_str()), (StackAnswer::UnsupportedMedia, "unsupported"));
    let large = client.decrypt(from(), true, "message/cpim".to_owned(), None, vec![0; (1 << 20) + 1]).await.unwrap();
    assert_eq!((large.answer, large.code.as_str()), (StackAnswer::TooLarge, "body_too_large"));
    let error = client.decrypt(Some("nobody".to_owned()), true, String::new(), None, Vec::new()).await.unwrap_err();
    assert_eq!(error.code(), "argument_malformed");
}

#[tokio::test]
async fn a_stack_is_attached_and_taken_away_and_its_arguments_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    let early = client.use_app_stack(config("+15552010001")).await.unwrap_err();
    assert!(matches!(early, RcsealError::Account { .. }), "{early:?}");
    client.create_account(nowhere()).await.unwrap();
    client.attach_host_stack(config("+15552010001"), Arc::new(Refusing)).await.unwrap();
    client.leave_carrier().await.unwrap();
    for wrong in [config("123"), HostStackConfig { parts_max: 0, ..config("+15552010001") }] {
        assert_eq!(client.use_app_stack(wrong).await.unwrap_err().code(), "argument_malformed");
    }
    let stranger = "6b3f0f7e-5c39-4f5a-9d0c-2f1f6a6b7c8d".to_owned();
    let unknown = client.set_contact_number(stranger.clone(), Some("+15552010002".to_owned())).await.unwrap_err();
    assert!(matches!(unknown, RcsealError::Contact { .. }), "{unknown:?}");
    assert!(client.get_or_create_session(stranger).await.is_err());
}
