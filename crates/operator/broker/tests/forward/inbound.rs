use rcseal_rcs::frame::{FrameId, Kind, split};
use rcseal_rcs::transport::{
    Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Taken, TransportProfile,
};
use rcseal_wire::api::broker::NOTICE_CONTENT_TYPE;
use rcseal_wire::carrier_delivery::{CarrierChannel, DeliverySender, forwarded_id};

use crate::world::{ALICE, BOB, Person, STRANGER, World, envelope, phone, until, with_sessions};

const BINARY: &str = "application/vnd.rcseal.frame";
const TEXT: &str = "text/plain;charset=UTF-8";

fn profile(body_len_max: usize) -> TransportProfile {
    TransportProfile { is_binary_safe: true, body_len_max, parts_max: 64, carries_headers: true, has_receipts: true }
}

fn parts(id: u8, blob: &[u8], body_len_max: usize) -> Vec<Vec<u8>> {
    let parts = split(Kind::Envelope, FrameId::from_bytes([id; 16]), blob, &profile(body_len_max)).unwrap();
    parts.into_iter().map(|part| part.as_bytes().to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_arrives_byte_for_byte_under_the_id_that_follows_from_it() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    let envelope = envelope(1, 4096);
    let part = parts(1, &envelope, 8192).remove(0);
    assert_eq!(world.bring(BOB, ALICE, BINARY, &part).await, Ok(Taken::Answered));
    let mail = alice.mail(&world).await;
    assert_eq!(mail, [(forwarded_id(&alice.mailbox, &envelope), envelope)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_is_dropped_whatever_was_restarted_in_between() {
    let mut world = World::start().await;
    let alice = world.person(ALICE).await;
    let envelope = envelope(1, 512);
    let part = parts(1, &envelope, 8192).remove(0);
    // The same part, and the same envelope in another frame.
    let other = parts(2, &envelope, 8192).remove(0);
    assert_eq!(world.bring(BOB, ALICE, BINARY, &part).await, Ok(Taken::Answered));
    assert_eq!(world.bring(BOB, ALICE, BINARY, &other).await, Ok(Taken::Answered));
    let mail = alice.mail(&world).await;
    assert_eq!(mail.len(), 1);
    alice.acknowledge(&world, &[mail[0].0]).await;
    world.restart_broker().await;
    world.relay.stop().await;
    world.relay.start_again().await;
    for part in [&part, &other] {
        assert_eq!(world.bring(BOB, ALICE, BINARY, part).await, Ok(Taken::Answered));
    }
    assert!(alice.mail(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_join_across_restarts_and_only_the_whole_is_passed_on() {
    let mut world = World::start().await;
    let alice = world.person(ALICE).await;
    let envelope = envelope(3, 4096);
    let parts = parts(3, &envelope, 1100);
    assert!(parts.len() > 3, "{}", parts.len());
    let (last, first) = parts.split_last().unwrap();
    for part in first {
        assert_eq!(world.bring(BOB, ALICE, BINARY, part).await, Ok(Taken::Answered));
        world.restart_broker().await;
        assert!(alice.mail(&world).await.is_empty());
    }
    // Somebody else's part of the same frame is of another frame.
    assert_eq!(world.bring(STRANGER, ALICE, BINARY, last).await, Ok(Taken::Answered));
    assert!(alice.mail(&world).await.is_empty());
    for _ in 0..2 {
        assert_eq!(world.bring(BOB, ALICE, BINARY, last).await, Ok(Taken::Answered));
    }
    assert_eq!(alice.mail(&world).await, [(forwarded_id(&alice.mailbox, &envelope), envelope)]);
    world.restart_broker().await;
    for part in &parts {
        assert_eq!(world.bring(BOB, ALICE, BINARY, part).await, Ok(Taken::Answered));
    }
    assert_eq!(alice.mail(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_stay_alone_reach_the_app_sealed() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    let parts = parts(4, &envelope(4, 4096), 1100);
    for part in &parts[..2] {
        assert_eq!(world.bring(BOB, ALICE, BINARY, part).await, Ok(Taken::Answered));
    }
    world.broker().sweep().await.unwrap();
    assert!(alice.mail(&world).await.is_empty());
    world.clock.advance_seconds(10 * 60);
    world.broker().sweep().await.unwrap();
    let mail = alice.mail(&world).await;
    let bodies: Vec<_> = mail.iter().map(|(_, envelope)| alice.open(envelope).body).collect();
    assert_eq!(bodies, parts[..2]);
    world.broker().sweep().await.unwrap();
    assert_eq!(alice.mail(&world).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_brings_is_taken_like_a_message() {
    let mut world = World::start_with(with_sessions).await;
    let (alice, bob) = (world.person(ALICE).await, world.person(BOB).await);
    let core = world.core_with_sessions().await;
    let carry = async |to: &str, carriage| {
        let id = CarrierMessageId::from_random(rand::random());
        let message = CarrierMessage { to: phone(to), id, receipts: ReceiptRequest::default(), carriage };
        core.send_from(&phone(STRANGER), message).await
    };
    let envelope = envelope(8, 65_536);
    let part = parts(8, &envelope, 1 << 20).remove(0);
    assert_eq!(carry(ALICE, Carriage::Framed { is_text: false, bytes: part }).await, Ok(Taken::Answered));
    assert_eq!(alice.mail(&world).await, [(forwarded_id(&alice.mailbox, &envelope), envelope)]);
    let words = |len| Carriage::Verbatim { headers: Vec::new(), content_type: TEXT.into(), body: vec![b'x'; len] };
    assert_eq!(carry(BOB, words(20_000)).await, Ok(Taken::Answered));
    let delivery = bob.open(&bob.mail(&world).await[0].1);
    assert_eq!((delivery.to.as_str(), &delivery.from), (BOB, &DeliverySender::Asserted(STRANGER.parse().unwrap())));
    // No mailbox takes this, and nobody has that number.
    assert_eq!(carry(BOB, words(100_000)).await, Err(SendFailure::TooLarge));
    assert!(carry("+447700900155", words(20_000)).await.is_err());
    assert_eq!(bob.mail(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_receipts_are_sealed_to_the_device_with_what_the_carrier_said_of_them() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    assert_eq!(world.bring(BOB, ALICE, TEXT, b"dinner at eight").await, Ok(Taken::Answered));
    let receipt = b"<?xml version=\"1.0\"?><imdn/>";
    assert_eq!(world.bring(BOB, ALICE, "message/imdn+xml", receipt).await, Ok(Taken::Answered));
    let mail = alice.mail(&world).await;
    assert_eq!(mail.len(), 2);
    for ((id, envelope), (content_type, body)) in
        mail.iter().zip([(TEXT, &b"dinner at eight"[..]), ("message/imdn+xml", &receipt[..])])
    {
        let delivery = alice.open(envelope);
        assert_eq!(delivery.from, DeliverySender::Asserted(BOB.parse().unwrap()));
        assert_eq!((delivery.to.as_str(), delivery.channel), (ALICE, CarrierChannel::Rcs));
        assert_eq!((delivery.content_type.as_str(), delivery.body.as_slice()), (content_type, body));
        assert_eq!(&delivery.id, id.as_bytes());
        assert!(!envelope.windows(6).any(|window| window == b"dinner"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_words_with_an_id_come_once_and_without_one_as_often_as_they_were_said() {
    let mut world = World::start().await;
    let alice = world.person(ALICE).await;
    let cpim = format!(
        "From: <tel:{BOB}>\r\nTo: <tel:{ALICE}>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m1\r\n\r\n\
         Content-Type: text/plain\r\n\r\nyes"
    );
    for _ in 0..2 {
        assert_eq!(world.bring(BOB, ALICE, "message/cpim", cpim.as_bytes()).await, Ok(Taken::Answered));
        world.restart_broker().await;
    }
    assert_eq!(alice.mail(&world).await.len(), 1);
    for _ in 0..2 {
        assert_eq!(world.bring(BOB, ALICE, TEXT, b"yes").await, Ok(Taken::Answered));
    }
    assert_eq!(alice.mail(&world).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_puts_words_into_the_brokers_mouth() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    let forged = rcseal_wire::carrier_delivery::CarrierDelivery {
        id: [1; 16],
        received_at_ms: 1,
        channel: CarrierChannel::Sms,
        to: ALICE.parse().unwrap(),
        from: DeliverySender::Asserted("+447700900999".parse().unwrap()),
        content_type: "text/plain".into(),
        content_encoding: None,
        body: b"this is your bank".to_vec(),
    };
    let forged = forged.seal(&alice.sealing.public_key(), alice.address(), &mut rand::rng()).unwrap();
    let part = parts(5, &forged, 8192).remove(0);
    assert_eq!(world.bring(STRANGER, ALICE, BINARY, &part).await, Ok(Taken::Answered));
    let mail = alice.mail(&world).await;
    let outer = alice.open(&mail[0].1);
    assert_eq!(outer.from, DeliverySender::Asserted(STRANGER.parse().unwrap()));
    assert_eq!(outer.body, part);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_numbers_and_bodies_that_no_mailbox_takes_are_refused_by_name() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    assert_eq!(world.bring(BOB, STRANGER, TEXT, b"hello").await, Err(SendFailure::NotFound));
    let answer = world.core().invite(&phone(STRANGER), b"v=0\r\n").await;
    assert!(answer.is_err());
    assert!(alice.mail(&world).await.is_empty());
    let world = World::start_with(|config| {
        let trunk = config.forward.trunk.as_mut().unwrap();
        trunk.pager_len_max = 1300;
    })
    .await;
    let _alice = world.person(ALICE).await;
    // Larger than a datagram: the sender's own stack says so.
    let long = vec![b'x'; 70_000];
    assert_eq!(world.bring(BOB, ALICE, TEXT, &long).await, Err(SendFailure::Unfit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_sends_too_much_is_told_later_and_others_are_not() {
    let world = World::start_with(|config| config.forward.per_sender_per_minute = 2).await;
    let alice = world.person(ALICE).await;
    for words in ["one", "two"] {
        assert_eq!(world.bring(BOB, ALICE, TEXT, words.as_bytes()).await, Ok(Taken::Answered));
    }
    let answer = world.bring(BOB, ALICE, TEXT, b"three").await;
    assert!(matches!(answer, Err(SendFailure::Busy { .. })), "{answer:?}");
    assert_eq!(world.bring(STRANGER, ALICE, TEXT, b"four").await, Ok(Taken::Answered));
    assert_eq!(alice.mail(&world).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_cannot_take_waits_here_and_arrives_once() {
    let mut world = World::start().await;
    let alice = world.person(ALICE).await;
    world.relay.stop().await;
    let envelope = envelope(6, 512);
    let part = parts(6, &envelope, 8192).remove(0);
    // Taken, because it is durable here; and taken once.
    for _ in 0..2 {
        assert_eq!(world.bring(BOB, ALICE, BINARY, &part).await, Ok(Taken::Answered));
    }
    assert_eq!(world.bring(BOB, ALICE, TEXT, b"words").await, Ok(Taken::Answered));
    world.restart_broker().await;
    assert_eq!(world.bring(BOB, ALICE, BINARY, &part).await, Ok(Taken::Answered));
    world.relay.start_again().await;
    until(async || alice.mail(&world).await.len() == 2).await;
    world.restart_broker().await;
    let mail = alice.mail(&world).await;
    assert_eq!(mail.len(), 2);
    let whole = (forwarded_id(&alice.mailbox, &envelope), envelope);
    assert!(mail.contains(&whole));
    let words = mail.iter().find(|one| **one != whole).unwrap();
    assert_eq!(alice.open(&words.1).body, b"words");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_changed_hands_leads_to_its_new_account_at_once() {
    let world = World::start().await;
    let alice = world.person(ALICE).await;
    let heir = Person::register(&world).await;
    heir.enrol(&world).await;
    let newest = alice.newest_mapping(&world);
    let release = alice.release(&world, ALICE, newest);
    heir.claim(&world, ALICE, Some((newest, release))).await;
    assert_eq!(world.bring(BOB, ALICE, TEXT, b"for the heir").await, Ok(Taken::Answered));
    // All that the one before gets is the broker's own notice.
    for (_, envelope) in alice.mail(&world).await {
        assert_eq!(alice.open(&envelope).content_type, NOTICE_CONTENT_TYPE);
    }
    let bodies: Vec<_> = heir.mail(&world).await.iter().map(|(_, envelope)| heir.open(envelope).body).collect();
    assert!(bodies.contains(&b"for the heir".to_vec()));
}
