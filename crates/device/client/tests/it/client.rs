//! The client without a server: what it keeps, what it refuses, and what it says when nobody answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcseal_client::client::Status;
use rcseal_client::net::{NetError, Timeouts, TrustAnchors};
use rcseal_client::store::OpenError;
use rcseal_client::{Client, ClientError, Config};
use rcseal_engine::account::{AccountError, AccountState, NewAccount};
use rcseal_engine::contact::ContactError;
use rcseal_engine::event::Event;
use rcseal_engine::message::MessageState;
use rcseal_engine::rekey::RekeyInterval;
use rcseal_engine::renewal::Handshakes;
use rcseal_engine::resend::ResendError;
use rcseal_engine::send::SendError;
use rcseal_wire::id::{ConversationId, Custody, Platform};
use rcseal_wire::problem::ProblemCode;
use tokio::net::TcpListener;

use crate::support::server::{Authority, Server};
use crate::support::vault;

fn config(folder: &Path) -> Config {
    let pem = Authority::new("127.0.0.1").pem;
    Config::new(folder.join("client"), TrustAnchors::from_pem(pem.as_bytes()).unwrap(), Timeouts::default())
}

/// An account that is on a server of its own, and a client of somebody else that trusts that server.
async fn with_contact_on(server: &Server, folder: &Path) -> (Client, rcseal_wire::id::AccountId) {
    let trust = TrustAnchors::from_pem(server.authority_pem().as_bytes()).unwrap();
    let open = |name: &'static str| {
        let config = Config::new(folder.join(name), trust.clone(), crate::support::server::impatient());
        let vault = Arc::new(vault(&folder.join(name).join("vault"), "pass"));
        async move { Client::open(config, vault).await.unwrap() }
    };
    let new = |port: u16| NewAccount {
        origin: format!("https://127.0.0.1:{port}").parse().unwrap(),
        platform: Platform::Desktop,
        custody: Custody::User,
        display_name: String::new(),
    };
    let (ada, bob) = (open("ada").await, open("bob").await);
    // Nobody listens on Ada's server; Bob's is the one under test.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    ada.create_account(new(nobody)).await.unwrap();
    bob.create_account(new(server.port)).await.unwrap();
    let bob_account = ada.add_contact(bob.invite().await.unwrap(), "Bob".to_owned()).await.unwrap();
    (ada, bob_account)
}

#[tokio::test]
async fn a_contacts_server_cannot_end_the_run() {
    for code in [ProblemCode::LoginRefused, ProblemCode::DeviceUnknown, ProblemCode::AccountExists] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(move |mut peer| async move {
            while peer.request().await.is_some() {
                peer.answer_problem(code).await;
            }
        })
        .await;
        let (ada, _) = with_contact_on(&server, folder.path()).await;
        let mut running = std::pin::pin!(ada.run(std::future::pending()));
        let asked = async {
            while server.connections() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            ended = &mut running => panic!("{code:?} of a contact's server ended the run: {ended:?}"),
            asked = tokio::time::timeout(Duration::from_secs(20), asked) => asked.unwrap(),
        }
        // The answer has been sent; give the run the time to take it in.
        let grace = tokio::time::sleep(Duration::from_millis(300));
        tokio::select! {
            ended = &mut running => panic!("{code:?} of a contact's server ended the run: {ended:?}"),
            () = grace => {}
        }
    }
}

async fn open(folder: &Path) -> Client {
    Client::open(config(folder), Arc::new(vault(&folder.join("vault"), "pass"))).await.unwrap()
}

/// An account on a server where nobody listens.
async fn with_account(folder: &Path) -> Client {
    let client = open(folder).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let new = NewAccount {
        origin: format!("https://127.0.0.1:{port}").parse().unwrap(),
        platform: Platform::Desktop,
        custody: Custody::User,
        display_name: "Ada".to_owned(),
    };
    client.create_account(new).await.unwrap();
    client
}

#[tokio::test]
async fn an_account_is_there_after_a_restart_and_not_twice() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_account(folder.path()).await;
    let first = client.account().await.unwrap().unwrap();
    assert_eq!((first.state, first.is_primary, first.devices.len()), (AccountState::Registering, true, 1));
    let again = NewAccount {
        origin: first.origin.clone(),
        platform: Platform::Desktop,
        custody: Custody::User,
        display_name: String::new(),
    };
    let error = client.create_account(again).await.unwrap_err();
    assert!(matches!(error, ClientError::Account(AccountError::Exists)), "{error:?}");
    drop(client);
    let client = open(folder.path()).await;
    assert_eq!(client.account().await.unwrap().unwrap().address, first.address);
    assert!(!client.was_rolled_back());
}

#[tokio::test]
async fn a_server_that_is_away_is_a_retryable_error() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_account(folder.path()).await;
    for error in [client.register(None).await.unwrap_err(), client.sync_once().await.unwrap_err()] {
        assert!(matches!(error, ClientError::Net(NetError::Connect(_))), "{error:?}");
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn a_run_goes_offline_keeps_trying_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_account(folder.path()).await;
    let mut status = client.status();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.run(async { drop(stopped.await) }).await }
    });
    let offline = Status::Offline { code: "net.connect" };
    tokio::time::timeout(Duration::from_secs(20), status.wait_for(|status| *status == offline)).await.unwrap().unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(*client.status().borrow(), Status::Stopped);
}

#[tokio::test]
async fn a_second_run_waits_for_the_first_and_stops_when_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_account(folder.path()).await;
    let mut status = client.status();
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.run(std::future::pending()).await }
    });
    tokio::time::timeout(Duration::from_secs(20), status.wait_for(|status| *status != Status::Stopped))
        .await
        .unwrap()
        .unwrap();
    client.run(std::future::ready(())).await.unwrap();
    assert_ne!(*client.status().borrow(), Status::Stopped);
    running.abort();
}

#[tokio::test]
async fn without_an_account_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path()).await;
    assert!(client.account().await.unwrap().is_none());
    for error in [client.run(std::future::pending()).await.unwrap_err(), client.sync_once().await.unwrap_err()] {
        assert!(matches!(error, ClientError::Account(AccountError::NoAccount)), "{error:?}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn what_is_sent_offline_is_queued_told_and_survives_a_restart() {
    let (ada_folder, bob_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ada, bob) = (with_account(ada_folder.path()).await, with_account(bob_folder.path()).await);
    let mut events = ada.events();
    let bob_account = ada.add_contact(bob.invite().await.unwrap(), "Bob".to_owned()).await.unwrap();
    let first = events.next().await.unwrap();
    assert_eq!(first.event, Event::ContactAdded { account: bob_account });
    let conversation = ada.direct_conversation(bob_account).await.unwrap();
    let id = ada.send_text(conversation, "Are you there?".to_owned()).await.unwrap();
    let own = ada.account().await.unwrap().unwrap().address.account;
    ada.forget_events(first.number).await.unwrap();
    drop((ada, events));
    let ada = open(ada_folder.path()).await;
    let message = ada.message(conversation, own, id).await.unwrap().unwrap();
    assert_eq!(message.state, MessageState::Queued);
    // Forgotten events stay forgotten.
    let told = ada.events().try_next().await.unwrap();
    assert!(told.is_none_or(|event| event.number > first.number));
    let to = ada_folder.path().join("export.jsonl");
    let summary = ada.export(&to).await.unwrap();
    assert_eq!((summary.conversations, summary.messages), (1, 1));
    let lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&to).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["account", "contact", "conversation", "message"]);
    assert_eq!(lines[3]["content"]["text"], "Are you there?");
    assert!(matches!(ada.export(&to).await, Err(ClientError::File(_))));
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_account(folder.path()).await;
    let nowhere = ConversationId::from_bytes([0; 16]);
    let error = client.send_text(nowhere, "hello".to_owned()).await.unwrap_err();
    assert!(matches!(error, ClientError::Send(SendError::UnknownConversation)), "{error:?}");
    let stranger = rcseal_wire::id::AccountId::from_bytes([9; 16]);
    let error = client.contact(stranger).await.unwrap_err();
    assert!(matches!(error, ClientError::Contact(ContactError::Unknown)), "{error:?}");
    let error = client.add_contact(client.invite().await.unwrap(), String::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Contact(ContactError::Own)), "{error:?}");
}

#[tokio::test]
async fn a_second_client_waits_for_the_first_to_be_gone_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    let vault = Arc::new(vault(&folder.path().join("vault"), "pass"));
    let error = Client::open(config(folder.path()), vault.clone()).await.unwrap_err();
    assert!(matches!(error, ClientError::Open(OpenError::InUse)), "{error:?}");
    let (second, ()) = tokio::join!(Client::open(config(folder.path()), vault), async { drop(first) });
    second.unwrap();
}

#[tokio::test]
async fn an_operation_that_nobody_waits_for_is_done_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_account(folder.path()).await;
    let other = tempfile::tempdir().unwrap();
    let invitation = with_account(other.path()).await.invite().await.unwrap();
    let mut events = client.events();
    {
        let adding = std::pin::pin!(client.add_contact(invitation, "Bob".to_owned()));
        // Begun, and dropped.
        let _ = futures_util::poll!(adding);
    }
    let told = tokio::time::timeout(Duration::from_secs(20), events.next()).await.unwrap().unwrap();
    assert!(matches!(told.event, Event::ContactAdded { .. }));
    assert_eq!(client.contacts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_restored_client_says_so_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(with_account(folder.path()).await);
    let at = folder.path().join("client");
    let backup = folder.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    for name in ["store.db", "store.key"] {
        std::fs::copy(at.join(name), backup.join(name)).unwrap();
    }
    drop(open(folder.path()).await);
    for name in ["store.db", "store.key"] {
        std::fs::copy(backup.join(name), at.join(name)).unwrap();
    }
    let _ = std::fs::remove_file(at.join("store.db-wal"));
    let client = open(folder.path()).await;
    assert!(client.was_rolled_back());
    assert!(client.account().await.unwrap().is_some());
    drop(client);
    assert!(!open(folder.path()).await.was_rolled_back());
}

#[tokio::test]
async fn sessions_intervals_and_held_messages_are_there_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| async {}).await;
    let (ada, bob) = with_contact_on(&server, folder.path()).await;
    let conversation = ada.direct_conversation(bob).await.unwrap();
    assert_eq!(ada.sessions(bob).await.unwrap(), []);
    assert_eq!(ada.handshakes().await.unwrap(), Handshakes::default());
    assert_eq!(ada.rekey_now(conversation).await.unwrap(), 0);
    assert_eq!(ada.rekey_interval(conversation).await.unwrap(), Some(RekeyInterval::DEFAULT));
    ada.set_rekey_interval(conversation, None).await.unwrap();
    assert_eq!(ada.rekey_interval(conversation).await.unwrap(), None);
    let unknown = ada.rekey_now(ConversationId::from_bytes([1; 16])).await.unwrap_err();
    assert!(matches!(unknown, ClientError::Send(SendError::UnknownConversation)), "{unknown:?}");
    assert_eq!(ada.held_resends().await.unwrap(), []);
    let message = ada.send_text(conversation, "one".to_owned()).await.unwrap();
    let not_held = ada.approve_resend(conversation, message).await.unwrap_err();
    assert!(matches!(not_held, ClientError::Resend(ResendError::NotHeld)), "{not_held:?}");
    assert_eq!(not_held.code(), "resend_not_held");
}
