//! Two clients on a carrier, each behind a host's stack of its own, while their relay is away.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rcseal_carrier::host::{HostCallbacks, HostConfig, HostStack};
use rcseal_carrier::transport::{Answer, CarrierCapabilities, Transport};
use rcseal_client::client::{AppPart, CarrierLink, CarrierOptions, ClientError};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::{Client, Config};
use rcseal_engine::Disposition;
use rcseal_engine::carrier::CarrierDisposition;
use rcseal_engine::hand_over::HandOverError;
use rcseal_engine::message::{EncryptionStatus, MessageState};
use rcseal_engine::policy::{RoutePreference, Subject};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Sender, Taken, TransportProfile};
use rcseal_wire::content::Body;
use rcseal_wire::id::ConversationId;

use crate::support::acquainted::{NOWHERE, Party, acquainted};
use crate::support::relay::BlobRelay;
use crate::support::server::{Authority, impatient};
use crate::support::vault;

const ADA: &str = "+15552010001";
const BOB: &str = "+15552010002";

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

fn profile() -> TransportProfile {
    TransportProfile {
        is_binary_safe: true,
        body_len_max: 1000,
        parts_max: 32,
        carries_headers: true,
        has_receipts: true,
    }
}

/// What the carrier does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Delivers,
    Swallows,
    Hangs,
    Refuses(u16),
}

/// A carrier between two stacks.
struct Line {
    own: PhoneNumber,
    far: Mutex<Option<Arc<HostStack>>>,
    mood: Mutex<Mood>,
    answers: Mutex<Vec<Answer>>,
}

#[async_trait]
impl HostCallbacks for Line {
    async fn send_cpim(&self, _to: &PhoneNumber, cpim: Vec<u8>) -> Result<Taken, SendFailure> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Swallows => Ok(Taken::Answered),
            Mood::Hangs => std::future::pending().await,
            Mood::Refuses(404) => Err(SendFailure::NotFound),
            Mood::Refuses(status) => Err(SendFailure::Refused { status }),
            Mood::Delivers => {
                let far = self.far.lock().unwrap().clone().unwrap();
                let answer = far.deliver_cpim(Sender::Asserted(self.own.clone()), cpim).await;
                self.answers.lock().unwrap().push(answer);
                match answer {
                    Answer::Accepted => Ok(Taken::Answered),
                    Answer::UnsupportedMedia => Err(SendFailure::UnsupportedMedia),
                    Answer::NotFound => Err(SendFailure::NotFound),
                    Answer::TooLarge => Err(SendFailure::TooLarge),
                    Answer::TryLater => Err(SendFailure::Busy { retry_after: None }),
                    Answer::Malformed => Err(SendFailure::Refused { status: 400 }),
                }
            }
        }
    }

    async fn query_capabilities(&self, _of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        Ok(CarrierCapabilities { contacts: vec![vec!["+g.rcseal.frame=\"1\"".to_owned()]] })
    }
}

struct Phone {
    client: Client,
    line: Arc<Line>,
    stack: Arc<HostStack>,
    folder: PathBuf,
}

async fn phone(party: &Party, folder: &Path, own: &str, (pem, timeouts): (&str, Timeouts)) -> Phone {
    let trust = TrustAnchors::from_pem(pem.as_bytes()).unwrap();
    let config = Config::new(party.folder.clone(), trust, timeouts);
    let client = Client::open(config, Arc::new(vault(&party.vault, "pass"))).await.unwrap();
    let line = Arc::new(Line {
        own: number(own),
        far: Mutex::default(),
        mood: Mutex::new(Mood::Delivers),
        answers: Mutex::default(),
    });
    let callbacks: Arc<dyn HostCallbacks> = Arc::<Line>::clone(&line);
    // A phone that does not run answers nothing, and the carrier says so soon.
    let config = HostConfig { answer_patience: Duration::from_secs(2), ..HostConfig::new(number(own), profile()) };
    let stack = HostStack::new(config, callbacks);
    Phone { client, line, stack, folder: folder.to_owned() }
}

/// Two acquainted clients that have told each other their numbers, on a carrier.
struct Pair {
    ada: Phone,
    bob: Phone,
    conversation: ConversationId,
    _folder: tempfile::TempDir,
}

impl Pair {
    /// Whose relay is away.
    async fn new(patience: Duration) -> Self {
        Self::at(NOWHERE, (&Authority::new("127.0.0.1").pem, impatient()), patience).await
    }

    async fn at(origin: &str, trust: (&str, Timeouts), patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, origin) = (folder.path().to_owned(), origin.to_owned());
        let (ada, bob, conversation) = tokio::task::spawn_blocking(move || {
            acquainted(&path, &origin, [(number(ADA), profile()), (number(BOB), profile())])
        })
        .await
        .unwrap();
        let bob_account = bob.address.account;
        let ada_account = ada.address.account;
        let (ada, bob) = (phone(&ada, folder.path(), ADA, trust).await, phone(&bob, folder.path(), BOB, trust).await);
        *ada.line.far.lock().unwrap() = Some(Arc::clone(&bob.stack));
        *bob.line.far.lock().unwrap() = Some(Arc::clone(&ada.stack));
        for (phone, own, peer, theirs) in [(&ada, ADA, bob_account, BOB), (&bob, BOB, ada_account, ADA)] {
            let transport: Arc<dyn Transport> = Arc::<HostStack>::clone(&phone.stack);
            let options = CarrierOptions { patience, ..CarrierOptions::new(number(own)) };
            phone.client.attach_transport(options, transport).await.unwrap();
            phone.client.set_contact_number(peer, Some(number(theirs))).await.unwrap();
            let subject = Some(Subject::Conversation(conversation));
            phone.client.set_route_preference(subject, Some(RoutePreference::Native)).await.unwrap();
        }
        Self { ada, bob, conversation, _folder: folder }
    }

    async fn texts_of_bob(&self) -> Vec<String> {
        let messages = self.bob.client.messages(self.conversation, None, 100).await.unwrap();
        let text = |body: &Body| match body {
            Body::Text(text) => Some(text.clone()),
            _ => None,
        };
        messages.iter().rev().filter_map(|message| text(message.content.as_ref()?.body())).collect()
    }
}

/// Waits until something holds.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn messages_arrive_by_the_carrier_while_the_relay_is_away() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    let long = "said again and again; ".repeat(150);
    let both = async {
        pair.ada.client.send_text(pair.conversation, "by the carrier".to_owned()).await.unwrap();
        pair.ada.client.send_text(pair.conversation, long.clone()).await.unwrap();
        until("both arrive", || async { pair.texts_of_bob().await.len() == 4 }).await;
        // Bob's phone says to the carrier that it has them, since Ada's asked.
        until("receipts", || async { pair.ada.client.carrier_status().await.unwrap().received >= 2 }).await;
        // The last part is taken, too, before Ada's phone stops.
        until("all is handed over", || async { pair.ada.client.carrier_status().await.unwrap().sent > 5 }).await;
    };
    tokio::select! {
        ended = pair.ada.client.run(std::future::pending()) => panic!("{ended:?}"),
        ended = pair.bob.client.run(std::future::pending()) => panic!("{ended:?}"),
        () = both => {}
    }
    let texts = pair.texts_of_bob().await;
    assert_eq!(texts[2..], ["by the carrier".to_owned(), long]);
    let received = pair.bob.client.messages(pair.conversation, None, 2).await.unwrap();
    assert!(received.iter().all(|message| message.encryption == EncryptionStatus::Native));
    let status = pair.ada.client.carrier_status().await.unwrap();
    assert_eq!(status.link, CarrierLink::Attached);
    assert_eq!((status.view.handed_over, status.view.ready, status.view.back), (2, 0, 0));
    assert!(status.sent > 5, "{} messages, for the long one has parts", status.sent);
    // Nobody has confirmed yet: receipts go by the relay.
    let sent = pair.ada.client.messages(pair.conversation, None, 2).await.unwrap();
    assert!(sent.iter().all(|message| message.state == MessageState::Queued));
}

#[tokio::test]
async fn what_is_too_long_for_the_carrier_is_kept_at_the_relay_and_fetched_from_there() {
    let relay = BlobRelay::start().await;
    let trust = (relay.authority_pem(), Timeouts::default());
    let pair = Pair::at(&relay.origin(), trust, Duration::from_secs(60)).await;
    let long = "x".repeat(16_380);
    let there = async {
        pair.ada.client.send_text(pair.conversation, long.clone()).await.unwrap();
        until("it arrives", || async { pair.texts_of_bob().await.len() == 3 }).await;
    };
    tokio::select! {
        ended = pair.ada.client.run(std::future::pending()) => panic!("{ended:?}"),
        ended = pair.bob.client.run(std::future::pending()) => panic!("{ended:?}"),
        () = there => {}
    }
    assert_eq!(pair.texts_of_bob().await.last(), Some(&long));
    let received = pair.bob.client.messages(pair.conversation, None, 1).await.unwrap();
    assert_eq!(received[0].encryption, EncryptionStatus::Native);
    let status = pair.ada.client.carrier_status().await.unwrap();
    assert_eq!((status.sent, status.view.handed_over), (1, 1), "one message on the carrier instead of 35");
    assert_eq!(*pair.bob.line.answers.lock().unwrap(), []);
    assert_eq!(*pair.ada.line.answers.lock().unwrap(), [Answer::Accepted]);
    let kept = relay.blob();
    assert_eq!(kept.len(), 32_768 + 16, "an envelope in a seal of its own");
    assert!(relay.pieces() > 1, "in as many pieces as the relay takes");
}

#[tokio::test]
async fn one_synchronisation_hands_over_and_takes_in_although_the_relay_is_away() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    pair.ada.client.send_text(pair.conversation, "once".to_owned()).await.unwrap();
    // A stack waits for the answer to what it delivers, so both sides take part.
    let (sent, received) = tokio::join!(pair.ada.client.sync_once(), async {
        until("it waits", || async {
            let _ = pair.bob.client.sync_once().await;
            pair.texts_of_bob().await.len() == 3
        })
        .await;
    });
    assert!(sent.unwrap_err().is_retryable(), "the relay is away, and that is what is said");
    let () = received;
    assert_eq!(pair.texts_of_bob().await.last().unwrap(), "once");
}

#[tokio::test]
async fn what_the_carrier_swallows_or_refuses_goes_back_to_the_relay() {
    for mood in [Mood::Swallows, Mood::Refuses(404), Mood::Refuses(403)] {
        let pair = Pair::new(Duration::from_millis(300)).await;
        *pair.ada.line.mood.lock().unwrap() = mood;
        pair.ada.client.send_text(pair.conversation, "lost".to_owned()).await.unwrap();
        let back =
            until("it is the relay's", || async { pair.ada.client.carrier_status().await.unwrap().view.back == 1 });
        tokio::select! {
            ended = pair.ada.client.run(std::future::pending()) => panic!("{ended:?}"),
            () = back => {}
        }
        let sent = pair.ada.client.messages(pair.conversation, None, 1).await.unwrap();
        assert_eq!((sent[0].state, sent[0].encryption), (MessageState::Queued, EncryptionStatus::Relayed), "{mood:?}");
    }
}

#[tokio::test]
async fn a_carrier_that_does_not_even_answer_has_no_longer_than_the_patience() {
    let pair = Pair::new(Duration::from_millis(300)).await;
    *pair.ada.line.mood.lock().unwrap() = Mood::Hangs;
    pair.ada.client.send_text(pair.conversation, "lost".to_owned()).await.unwrap();
    let synced = tokio::time::timeout(Duration::from_secs(10), pair.ada.client.sync_once()).await;
    assert!(synced.unwrap().unwrap_err().is_retryable(), "the relay is away, and that is what is said");
    let status = pair.ada.client.carrier_status().await.unwrap();
    assert_eq!((status.view.back, status.view.handed_over), (1, 0));
}

#[tokio::test]
async fn without_a_transport_what_was_the_carriers_is_the_relays_at_once() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    pair.ada.client.detach_transport();
    pair.ada.client.send_text(pair.conversation, "no stack".to_owned()).await.unwrap();
    let back = until("it is the relay's", || async { pair.ada.client.carrier_status().await.unwrap().view.back == 1 });
    tokio::select! {
        ended = pair.ada.client.run(std::future::pending()) => panic!("{ended:?}"),
        () = back => {}
    }
    assert_eq!(pair.ada.client.carrier_status().await.unwrap().link, CarrierLink::Detached);
}

#[tokio::test]
async fn a_stack_that_closes_is_seen_and_another_takes_its_place() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    let another = async {
        pair.bob.stack.close();
        until("closed", || async { pair.bob.client.carrier_status().await.unwrap().link == CarrierLink::Closed }).await;
        let callbacks: Arc<dyn HostCallbacks> = Arc::<Line>::clone(&pair.bob.line);
        let stack = HostStack::new(HostConfig::new(number(BOB), profile()), callbacks);
        *pair.ada.line.far.lock().unwrap() = Some(Arc::clone(&stack));
        pair.bob.client.attach_transport(CarrierOptions::new(number(BOB)), stack).await.unwrap();
        pair.ada.client.send_text(pair.conversation, "to the new one".to_owned()).await.unwrap();
        until("it arrives", || async { pair.texts_of_bob().await.len() == 3 }).await;
    };
    tokio::select! {
        ended = pair.ada.client.run(std::future::pending()) => panic!("{ended:?}"),
        ended = pair.bob.client.run(std::future::pending()) => panic!("{ended:?}"),
        () = another => {}
    }
    assert!(pair.ada.folder.exists());
}

#[tokio::test]
async fn damage_is_answered_so_that_the_sender_knows() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    let damaged = async {
        let from = Sender::Asserted(number(ADA));
        let body = b"application/vnd.rcseal.frame, so it says".to_vec();
        let deliver = pair.bob.stack.deliver(from, "application/vnd.rcseal.frame".to_owned(), None, body);
        assert_eq!(deliver.await, Answer::Malformed);
    };
    tokio::select! {
        ended = pair.bob.client.run(std::future::pending()) => panic!("{ended:?}"),
        () = damaged => {}
    }
    let mutations = pair.bob.client.carrier_status().await.unwrap().view.mutations;
    assert_eq!(mutations.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["frame_unrecognisable"]);
}

#[tokio::test]
async fn an_app_carries_parts_by_itself_while_the_relay_is_away() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    for (phone, own) in [(&pair.ada, ADA), (&pair.bob, BOB)] {
        phone.client.use_app_stack(CarrierOptions::new(number(own)), profile()).await.unwrap();
    }
    assert_eq!(pair.ada.client.carrier_status().await.unwrap().link, CarrierLink::Detached);
    let words = Body::Text("by hand; ".repeat(200));
    let handed = pair.ada.client.hand_over(pair.conversation, words, None).await.unwrap();
    assert!(handed.parts.len() > 1);
    // A run finds nothing more to do about it than to wait.
    assert!(pair.ada.client.sync_once().await.unwrap_err().is_retryable());
    pair.ada.client.hand_over_result(pair.conversation, handed.message, Ok(Taken::Answered)).await.unwrap();
    assert_eq!(pair.ada.client.carrier_status().await.unwrap().view.handed_over, 1);
    let bring = |part: &AppPart| {
        let (content_type, body) = (part.content_type.to_owned(), part.body.clone());
        pair.bob.client.take_in(Some(number(ADA)), true, content_type, None, body)
    };
    let mut last = None;
    for part in &handed.parts {
        assert_eq!(part.to, number(BOB));
        last = Some(bring(part).await.unwrap());
    }
    assert_eq!(last, Some(CarrierDisposition::Envelope(Disposition::Consumed)));
    assert_eq!(pair.texts_of_bob().await.last(), Some(&"by hand; ".repeat(200)));
    // All of it once more makes the same envelope once more, and that is known.
    for part in &handed.parts {
        last = Some(bring(part).await.unwrap());
    }
    assert_eq!(last, Some(CarrierDisposition::Envelope(Disposition::Duplicate)));
    assert_eq!(pair.texts_of_bob().await.len(), 3);
}

#[tokio::test]
async fn what_would_go_by_the_relay_is_not_handed_to_an_app() {
    let pair = Pair::new(Duration::from_secs(60)).await;
    let subject = Some(Subject::Conversation(pair.conversation));
    pair.ada.client.use_app_stack(CarrierOptions::new(number(ADA)), profile()).await.unwrap();
    pair.ada.client.set_route_preference(subject, Some(RoutePreference::Relayed)).await.unwrap();
    let body = Body::Text("no".to_owned());
    let refused = pair.ada.client.hand_over(pair.conversation, body, None).await.unwrap_err();
    assert!(matches!(refused, ClientError::HandOver(HandOverError::OtherWay { .. })), "{refused:?}");
    assert_eq!(pair.ada.client.messages(pair.conversation, None, 9).await.unwrap().len(), 2);
}
