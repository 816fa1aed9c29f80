//! What the account key alone can do: put a restored device in the place of all others, and end the account.

use rcseal_wire::api::{AccountDeletion, Base64, KeySetBasis, KeySetProof};
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::EnvelopeId;

use crate::support::{Owner, TestServer, submission};

const DELETION: &str = "/v1/account/deletion";

fn proof(owner: &Owner) -> KeySetProof {
    let signature = owner.signer.prove_restoration(&owner.account);
    KeySetProof { account_signature: Some(Base64(signature.0.to_vec())), ..KeySetProof::default() }
}

#[tokio::test]
async fn a_backups_account_key_puts_one_new_device_in_the_place_of_all_others() {
    let server = TestServer::start().await;
    let (owner, mut old) = server.registered().await;
    let mut client = server.connect().await;
    let key_set = format!("/v1/accounts/{}/key-set", owner.account);
    let basis: KeySetBasis = client.post(&key_set, &proof(&owner)).await.json();
    assert_eq!(basis.key_set.0, owner.key_set.as_bytes());
    let back = owner.restored(&owner.key_set);
    let recovery = format!("/v1/accounts/{}/recovery", owner.account);
    assert_eq!(client.post(&recovery, &back.restoration_request()).await.status, 204);
    assert_eq!(client.post(&recovery, &back.restoration_request()).await.status, 204, "the answer may have been lost");
    assert_eq!(old.get("/v1/device/prekeys").await.code(), "device_unknown");
    back.log_in(&server, &mut client).await;

    // Another account key is refused as another recovery key is, and reads nothing.
    let impostor = Owner::of_account(owner.account);
    assert_eq!(client.post(&key_set, &proof(&impostor)).await.code(), "recovery_refused");
    let taken = impostor.restored(&impostor.key_set);
    assert_eq!(client.post(&recovery, &taken.restoration_request()).await.code(), "recovery_refused");
    // Contacts have key sets as well: without the account key none of them says whether it is the newest.
    for known in [&owner, &back] {
        assert_eq!(client.post(&recovery, &known.recovery_request()).await.code(), "key_set_invalid");
        let mut shown = known.recovery_request();
        shown.account_signature = Some(Base64(vec![7; 64]));
        assert_eq!(client.post(&recovery, &shown).await.code(), "recovery_refused");
    }
    // The same device again under a later set would lose what waits for it.
    let late = owner.restored(&owner.key_set);
    assert_eq!(client.post(&recovery, &late.restoration_request()).await.status, 409);
}

#[tokio::test]
async fn an_account_is_deleted_by_its_key_and_by_nothing_less() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let (other, _) = server.registered().await;
    let mut listening = server.mailbox(&client).await;
    for wrong in [other.deletion_request(), AccountDeletion { signature: Base64(vec![7; 64]) }] {
        assert_eq!(client.post(DELETION, &wrong).await.code(), "forbidden");
    }
    assert_eq!(server.connect().await.post(DELETION, &owner.deletion_request()).await.status, 401);
    assert_eq!(client.post(DELETION, &owner.deletion_request()).await.status, 204);
    assert_eq!(listening.closed().await.code, 4401);
    assert_eq!(owner.try_log_in(&server, &mut client).await.code(), "login_refused");
    let mut plane = server.submitter().await;
    let to = submission(owner.mailbox, &owner.delivery_token, EnvelopeId::from_bytes([1; 16]), b"x");
    assert_eq!(plane.submit(vec![to]).await, [SubmitStatus::Refused]);
}
