use rcseal_carrier::transport::{Answer, Transport as _};
use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use rcseal_wire::api::Base64;
use rcseal_wire::api::outbound::{OUTBOUND_PATH, OutboundAnswer, OutboundReceipts, OutboundRequest, OutboundTaken};

use crate::client::Reply;
use crate::world::{ALICE, BOB, Person, World, phone, with_sessions};

fn request(from: &str, id: u8, body: &[u8]) -> OutboundRequest {
    OutboundRequest {
        from: from.parse().unwrap(),
        to: "+447700900177".parse().unwrap(),
        id: Base64(vec![id; 16]),
        content_type: None,
        is_text: false,
        headers: Vec::new(),
        body: Base64(body.to_vec()),
        receipts: OutboundReceipts { delivered: true, ..OutboundReceipts::default() },
    }
}

/// Sends while the carrier's core answers what it gets.
async fn send(world: &World, person: &Person, request: &OutboundRequest, answer: Answer) -> Reply {
    let mut client = person.at_broker(world).await;
    let carrier = async {
        let inbound = world.core().receive().await.unwrap();
        assert_eq!(inbound.from, Sender::Asserted(phone(ALICE)));
        assert_eq!(inbound.to, Some(phone("+447700900177")));
        let unwrapped = chat::unwrap(&inbound.content_type, None, &inbound.body).unwrap();
        assert_eq!(unwrapped.from, Some(phone(ALICE)));
        assert!(unwrapped.receipts.delivered);
        let id: [u8; 16] = request.id.0.as_slice().try_into().unwrap();
        assert_eq!(unwrapped.id, Some(CarrierMessageId::from_random(id)));
        let Content::Body { body, .. } = unwrapped.content else { panic!("not a body") };
        assert_eq!(body, request.body.0);
        inbound.answer(answer);
    };
    tokio::join!(client.post(OUTBOUND_PATH, request), carrier).0
}

fn taken(reply: &Reply) -> OutboundTaken {
    assert_eq!(reply.status, 202, "{reply:?}");
    reply.json::<OutboundAnswer>().taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_leaves_in_the_name_of_the_devices_number_and_once_by_its_id() {
    let mut world = World::start().await;
    let alice = world.person(ALICE).await;
    let part = request(ALICE, 1, b"a part of a frame");
    assert_eq!(taken(&send(&world, &alice, &part, Answer::Accepted).await), OutboundTaken::Answered);
    world.restart_broker().await;
    // Nobody answers at the carrier this time: the outcome is known.
    let reply = alice.at_broker(&world).await.post(OUTBOUND_PATH, &part).await;
    assert_eq!(taken(&reply), OutboundTaken::Answered);
    let other = request(ALICE, 1, b"something else");
    let reply = alice.at_broker(&world).await.post(OUTBOUND_PATH, &other).await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "id_conflict"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_carrier_refused_has_a_name_and_may_be_tried_again() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    let refusals = [
        (Answer::UnsupportedMedia, 422, "carrier_unsupported_media"),
        (Answer::NotFound, 422, "carrier_not_found"),
        (Answer::TryLater, 503, "carrier_busy"),
    ];
    let part = request(ALICE, 2, b"part");
    for (answer, status, code) in refusals {
        let reply = send(&world, &alice, &part, answer).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
    assert_eq!(taken(&send(&world, &alice, &part, Answer::Accepted).await), OutboundTaken::Answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_in_anothers_name() {
    let world = World::start().await;
    let (alice, bob) = (world.person(ALICE).await, world.person(BOB).await);
    for (person, from) in [(&bob, ALICE), (&alice, BOB), (&alice, "+447700900188")] {
        let reply = person.at_broker(&world).await.post(OUTBOUND_PATH, &request(from, 3, b"part")).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "number_not_yours"));
    }
    let reply = world.connect_broker().await.post(OUTBOUND_PATH, &request(ALICE, 4, b"part")).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "unauthenticated"));
    // Given up, it is nobody's.
    let mut client = alice.at_broker(&world).await;
    let release = serde_json::json!({ "statement": alice.release(&world, ALICE, alice.newest_mapping(&world)) });
    let headers = [("content-type", "application/json")];
    let body = serde_json::to_vec(&release).unwrap();
    let path = format!("/v1/numbers/{ALICE}");
    let reply = client.bytes(http::Method::DELETE, &path, &headers, &body).await;
    assert!(reply.status < 300, "{reply:?}");
    let reply = client.post(OUTBOUND_PATH, &request(ALICE, 5, b"part")).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "number_not_yours"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_sends_too_much_is_told_to_wait() {
    let world = World::start_with(|config| config.forward.outbound_per_device_per_minute = 1).await;
    let alice = world.person(ALICE).await;
    assert_eq!(
        taken(&send(&world, &alice, &request(ALICE, 6, b"part"), Answer::Accepted).await),
        OutboundTaken::Answered
    );
    let reply = alice.at_broker(&world).await.post(OUTBOUND_PATH, &request(ALICE, 7, b"part")).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limited"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_leaves_by_a_session_in_the_name_of_its_number() {
    let mut world = World::start_with(with_sessions).await;
    let alice = world.person(ALICE).await;
    let core = world.core_with_sessions().await;
    let part = request(ALICE, 10, &[7; 50_000]);
    let mut client = alice.at_broker(&world).await;
    let carrier = async {
        let inbound = core.receive().await.unwrap();
        assert_eq!((&inbound.from, &inbound.to), (&Sender::Asserted(phone(ALICE)), &Some(phone("+447700900177"))));
        let unwrapped = chat::unwrap(&inbound.content_type, None, &inbound.body).unwrap();
        let Content::Body { body, .. } = unwrapped.content else { panic!("not a body") };
        assert_eq!(body, part.body.0);
        inbound.answer(Answer::Accepted);
    };
    let (reply, ()) = tokio::join!(client.post(OUTBOUND_PATH, &part), carrier);
    assert_eq!(taken(&reply), OutboundTaken::Answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_before_anything_is_noted() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    let mut client = alice.at_broker(&world).await;
    let short = OutboundRequest { id: Base64(vec![1; 15]), ..request(ALICE, 8, b"part") };
    assert_eq!(client.post(OUTBOUND_PATH, &short).await.code(), "malformed");
    let long = OutboundRequest { body: Base64(vec![0; 270_000]), ..request(ALICE, 9, b"") };
    assert_eq!(client.post(OUTBOUND_PATH, &long).await.code(), "too_large");
}
