//! Listeners that throw, call back, cancel themselves, and hang.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rcseal_sdk::RcsealClient;
use rcseal_sdk::connection::{ConnectionState, ConnectionStatus};
use rcseal_sdk::observe::{ClientEvent, ConnectionListener, EventListener, ListenerError, Subscription};

use crate::support::{TestVault, nowhere, open};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

struct Throwing(Sender<ConnectionStatus>);

impl ConnectionListener for Throwing {
    fn on_connection(&self, state: ConnectionState) -> Result<(), ListenerError> {
        self.0.send(state.status).unwrap();
        Err(ListenerError::Failed { reason: "as told".to_owned() })
    }
}

#[tokio::test]
async fn a_listener_that_throws_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    client.create_account(nowhere()).await.unwrap();
    let (told, tellings) = channel();
    let _subscription = client.observe_connection(Arc::new(Throwing(told))).unwrap();
    assert_eq!(tellings.recv_timeout(LIMIT).unwrap(), ConnectionStatus::Stopped);
    client.connect().await.unwrap();
    assert_ne!(tellings.recv_timeout(LIMIT).unwrap(), ConnectionStatus::Stopped);
}

struct CallingBack {
    client: Weak<RcsealClient>,
    told: Sender<bool>,
}

impl ConnectionListener for CallingBack {
    fn on_connection(&self, _state: ConnectionState) -> Result<(), ListenerError> {
        let client = self.client.upgrade().unwrap();
        self.told.send(client.connection_state().is_ok() && client.network_changed().is_ok()).unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_listener_may_call_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    let (told, tellings) = channel();
    let listener = CallingBack { client: Arc::downgrade(&client), told };
    let _subscription = client.observe_connection(Arc::new(listener)).unwrap();
    assert!(tellings.recv_timeout(LIMIT).unwrap());
}

struct Hanging {
    entered: Sender<()>,
    released: Mutex<Receiver<()>>,
}

impl ConnectionListener for Hanging {
    fn on_connection(&self, _state: ConnectionState) -> Result<(), ListenerError> {
        self.entered.send(()).unwrap();
        // Ends when the test does.
        let _ = self.released.lock().unwrap().recv();
        Ok(())
    }
}

#[tokio::test]
async fn a_listener_that_hangs_holds_nobody_and_the_store_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let vault = TestVault::new();
    let client = open(folder.path(), &vault).await.unwrap();
    let (entered, entries) = channel();
    let (_release, released) = channel();
    let subscription =
        client.observe_connection(Arc::new(Hanging { entered, released: Mutex::new(released) })).unwrap();
    entries.recv_timeout(LIMIT).unwrap();
    assert!(client.account().await.unwrap().is_none());
    subscription.cancel().unwrap();
    subscription.cancel().unwrap();
    client.shutdown().await.unwrap();
    assert!(open(folder.path(), &vault).await.is_ok());
}

/// Goes away in the middle of the first event that it is told: cancels itself and fails.
struct Leaving {
    subscription: Mutex<Receiver<Arc<Subscription>>>,
    told: Sender<u64>,
    leaves: bool,
}

impl EventListener for Leaving {
    fn on_event(&self, event: ClientEvent) -> Result<(), ListenerError> {
        if self.leaves {
            self.subscription.lock().unwrap().recv_timeout(LIMIT).unwrap().cancel().unwrap();
        }
        self.told.send(event.number).unwrap();
        if self.leaves { Err(ListenerError::Failed { reason: "gone".to_owned() }) } else { Ok(()) }
    }
}

#[tokio::test]
async fn an_event_that_a_listener_left_in_the_middle_of_is_told_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let client = open(folder.path(), &TestVault::new()).await.unwrap();
    client.create_account(nowhere()).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let contact = open(other.path(), &TestVault::new()).await.unwrap();
    contact.create_account(nowhere()).await.unwrap();
    client.add_contact(contact.invitation().await.unwrap(), "Ben".to_owned()).await.unwrap();
    let observe = |leaves| {
        let (told, tellings) = channel();
        let (give, subscription) = channel();
        let listener = Leaving { subscription: Mutex::new(subscription), told, leaves };
        let subscription = client.observe_events(Arc::new(listener)).unwrap();
        give.send(Arc::clone(&subscription)).unwrap();
        (subscription, tellings)
    };
    let (_left, tellings) = observe(true);
    let first = tellings.recv_timeout(LIMIT).unwrap();
    // The sender goes with the listener: nothing more is told to it.
    assert!(tellings.recv_timeout(LIMIT).is_err());
    let (_stays, tellings) = observe(false);
    assert_eq!(tellings.recv_timeout(LIMIT).unwrap(), first);
}
