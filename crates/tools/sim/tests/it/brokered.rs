//! Through a broker, whole: a real relay, a real broker with its trunk, a carrier behind it, and clients that have no way into a carrier of
//! their own.

use std::time::Duration;

use rcseal_engine::message::{EncryptionStatus, MessageState};
use rcseal_engine::plain::PlainSender;
use rcseal_engine::policy::{DeliveryMode, RoutePreference, Subject};
use rcseal_rcs::number::PhoneNumber;
use rcseal_sim::broker::SimBroker;
use rcseal_sim::carrier::SimCarrier;
use rcseal_sim::data::World;
use rcseal_wire::content::Body;

use crate::phones::{last, phone, relay, sync};

const LIMIT: Duration = Duration::from_secs(30);

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ciphertext_passes_a_broker_on_both_sides_and_is_labelled_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = relay(&folder.path().join("relay")).await;
    let pem = server.ca_pem().unwrap().to_owned();
    let broker = SimBroker::start(server.origin(), &pem).await.unwrap();
    let carrier = SimCarrier::new(World::load().unwrap().carrier("clean").unwrap().clone(), 7);
    let trust = || broker.trust_with(&pem).unwrap();
    let ada = phone(&server, trust(), folder.path(), "ada").await;
    let bob = phone(&server, trust(), folder.path(), "bob").await;
    let (adas, bobs, shops) = (number("+12015550101"), number("+12015550102"), number("+12015550142"));
    let contact = ada.add_contact(bob.invite().await.unwrap(), "Bob".to_owned()).await.unwrap();
    let conversation = ada.direct_conversation(contact).await.unwrap();
    ada.send_text(conversation, "by the relay".to_owned()).await.unwrap();
    sync(&[&ada, &bob]).await;
    bob.send_text(conversation, "and back".to_owned()).await.unwrap();
    sync(&[&bob, &ada]).await;
    broker.join(&ada, &adas, &carrier).await.unwrap();
    broker.join(&bob, &bobs, &carrier).await.unwrap();
    let ada_account = ada.account().await.unwrap().unwrap().address.account;
    let subject = Subject::Conversation(conversation);
    for (client, peer, theirs) in [(&ada, contact, &bobs), (&bob, ada_account, &adas)] {
        client.set_contact_number(peer, Some(theirs.clone())).await.unwrap();
        client.set_route_preference(Some(subject), Some(RoutePreference::Native)).await.unwrap();
    }
    sync(&[&ada, &bob]).await;
    let explained = ada.explain(subject).await.unwrap();
    assert_eq!(explained.decision.mode(), Some(DeliveryMode::Brokered), "{:?}", explained.lines());

    let words = "through two brokers' hands";
    let story = async {
        ada.send_text(conversation, words.to_owned()).await.unwrap();
        until("it is delivered", || async { last(&ada, conversation).await.state == MessageState::Delivered }).await;
        // Somebody without anything of ours writes to Bob's number: words, in a thread, claimed.
        let shop = carrier.attach_standard(&shops);
        shop.send_text(&bobs, "your table is free").await.unwrap();
        until("the words are there", || async {
            !bob.plain_messages(shops.clone(), None, 1).await.unwrap().is_empty()
        })
        .await;
    };
    tokio::select! {
        ended = ada.run(std::future::pending()) => panic!("{ended:?}"),
        ended = bob.run(std::future::pending()) => panic!("{ended:?}"),
        () = story => {}
    }
    for client in [&ada, &bob] {
        let message = last(client, conversation).await;
        assert_eq!(message.encryption, EncryptionStatus::Brokered);
        assert!(matches!(message.content.as_ref().unwrap().body(), Body::Text(text) if text == words));
    }
    assert!(!carrier.could_read(words.as_bytes()));
    assert!(ada.journal(0, 10).await.unwrap().is_empty(), "nothing fell back");
    let plain = bob.plain_messages(shops, None, 1).await.unwrap().remove(0);
    assert_eq!((plain.sender, plain.mode), (PlainSender::Claimed, DeliveryMode::CarrierReadable));
    drop(broker.stop().await);
    server.shutdown().await;
}
