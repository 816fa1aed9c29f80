//! Numbers and cases, whole: a real relay and a real broker, and clients that claim, find, watch, let go, and go on with a case.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcseal_client::client::Client;
use rcseal_engine::UnixMillis;
use rcseal_engine::case::{CaseProgress, NewCase};
use rcseal_engine::number::{Claimed, FoundNumber, LookupResult, NumberState};
use rcseal_rcs::number::PhoneNumber;
use rcseal_server::RunningServer;
use rcseal_sim::broker::SimBroker;
use tempfile::TempDir;

use crate::phones::{self, sync};

struct World {
    server: RunningServer,
    broker: SimBroker,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = phones::relay(&folder.path().join("relay")).await;
        let broker = SimBroker::start(server.origin(), server.ca_pem().unwrap()).await.unwrap();
        Self { server, broker, folder }
    }

    async fn phone(&self, name: &str) -> Client {
        let trust = self.broker.trust_with(self.server.ca_pem().unwrap()).unwrap();
        let client = phones::phone(&self.server, trust, self.folder.path(), name).await;
        client.use_broker(self.broker.origin()).await.unwrap();
        client
    }
}

fn number() -> PhoneNumber {
    "+12015550101".parse().unwrap()
}

async fn found(client: &Client) -> FoundNumber {
    match client.look_up_number(&number()).await.unwrap() {
        LookupResult::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_bound_found_written_to_watched_and_let_go() {
    let world = World::start().await;
    let (ada, bob, carl) = (world.phone("ada").await, world.phone("bob").await, world.phone("carl").await);
    assert!(matches!(
        bob.look_up_number(&number()).await.unwrap(),
        LookupResult::Absent | LookupResult::Undiscoverable
    ));
    world.broker.bind(&ada, &number()).await.unwrap();

    let there = found(&bob).await;
    let account = bob.add_contact_by_number(&number(), "Ada".to_owned()).await.unwrap();
    assert_eq!(account, there.account);
    let conversation = bob.direct_conversation(account).await.unwrap();
    bob.send_text(conversation, "found you".to_owned()).await.unwrap();
    sync(&[&bob, &ada]).await;
    assert_eq!(ada.messages(conversation, None, 10).await.unwrap().len(), 1);
    ada.send_text(conversation, "so you have".to_owned()).await.unwrap();
    sync(&[&ada, &bob]).await;
    let own = ada.watch_numbers().await.unwrap();
    assert!(own[0].watched_at.is_some());
    assert_eq!(own[0].state, NumberState::Mapped);

    let release = ada.release_number(&number()).await.unwrap();
    world.broker.bind(&carl, &number()).await.unwrap();
    assert_ne!(found(&bob).await.account, account);
    assert_eq!(bob.contact_number(account).await.unwrap().number, None);
    assert!(!release.is_empty());
    for client in [&ada, &bob, &carl] {
        assert!(client.broker_evidence().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_somebody_has_waits_and_its_holder_objects() {
    let world = World::start().await;
    let (ada, bob) = (world.phone("ada").await, world.phone("bob").await);
    world.broker.bind(&ada, &number()).await.unwrap();
    bob.claim_number(&number()).await.unwrap();
    let code = world.broker.codes().take(&number()).unwrap();
    let claimed = bob.confirm_number(&number(), &code, None).await.unwrap();
    assert!(matches!(claimed, Claimed::Pending { .. }), "{claimed:?}");
    assert!(ada.watch_numbers().await.unwrap()[0].contested_until.is_some());
    ada.veto_number(&number()).await.unwrap();
    assert!(ada.own_numbers().await.unwrap()[0].contested_until.is_none());
    assert!(found(&ada).await.is_own);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_says_that_its_account_has_the_number() {
    let world = World::start().await;
    let (shop, ada) = (world.phone("shop").await, world.phone("ada").await);
    world.broker.bind(&ada, &number()).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    let new = NewCase {
        reference: "A-1042".to_owned(),
        number: Some(number()),
        expires_at: UnixMillis(u64::try_from(now.as_millis()).unwrap()),
        greeting: "Hello".to_owned(),
    };
    let link = shop.open_case(new).await.unwrap().expose_text();
    let conversation = ada.continue_case(link).await.unwrap();
    sync(&[&ada, &shop]).await;
    sync(&[&shop, &ada]).await;
    for client in [&shop, &ada] {
        let case = client.cases_of(conversation).await.unwrap().remove(0);
        assert_eq!((case.progress, case.reference.as_str()), (CaseProgress::Open, "A-1042"));
        assert!(case.is_number_verified);
    }
}
