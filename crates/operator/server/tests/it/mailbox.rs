//! The message plane: submitting, delivering, acknowledging, and what happens to those who do it wrong.

use http::Method;
use prost::Message as _;
use rcseal_wire::api::DeviceUpload;
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::{
    Acknowledge, Acknowledged, BATCH_LEN_MAX, Deliveries, FRAME_LEN_MAX, MAILBOX_PATH, MailboxRequest, Submission,
    SubmitBatch, SubmitResults, SubmitStatus, Undecryptable,
};
use rcseal_wire::id::{DeviceNumber, EnvelopeId, MailboxId};
use rcseal_wire::padding::ENVELOPE_LEN_MAX;
use rcseal_wire::token::DeliveryToken;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Closed, Owner, Plane, TestServer, body, device_upload, submission};

fn id(n: u32) -> EnvelopeId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    EnvelopeId::from_bytes(bytes)
}

fn ids(range: std::ops::Range<u32>) -> Vec<EnvelopeId> {
    range.map(id).collect()
}

fn to(owner: &Owner, id: EnvelopeId) -> Submission {
    submission(owner.mailbox, &owner.delivery_token, id, b"sealed")
}

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code, reason: reason.to_owned() }
}

#[tokio::test]
async fn envelopes_are_delivered_in_order_then_the_queue_is_empty_then_live() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut alice = server.submitter().await;
    let statuses = alice.submit(ids(0..5).into_iter().map(|id| to(&bob, id)).collect()).await;
    assert_eq!(statuses, [SubmitStatus::Stored; 5]);

    let mut device = server.mailbox(&client).await;
    assert_eq!(device.backlog().await, ids(0..5));
    alice.submit(vec![to(&bob, id(5))]).await;
    let Event::Deliveries(Deliveries { envelopes, .. }) = device.event().await else { panic!("not a delivery") };
    assert_eq!(envelopes[0].envelope, &b"sealed"[..]);
    assert_eq!(envelopes[0].received_at_ms, crate::support::START.get());
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again_and_what_is_does_not() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    server.submitter().await.submit(ids(0..4).into_iter().map(|id| to(&bob, id)).collect()).await;
    let mut device = server.mailbox(&client).await;
    assert_eq!(device.backlog().await, ids(0..4));
    assert_eq!(device.acknowledge(&[id(0), id(2)]).await, 2);
    assert_eq!(device.acknowledge(&[id(0)]).await, 0);
    drop(device);
    assert_eq!(server.mailbox(&client).await.backlog().await, [id(1), id(3)]);
    let server = server.restart().await;
    let mut client = server.connect().await;
    bob.log_in(&server, &mut client).await;
    assert_eq!(server.mailbox(&client).await.backlog().await, [id(1), id(3)]);
}

#[tokio::test]
async fn a_repeated_submission_is_recognised_even_after_acknowledgement() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut alice = server.submitter().await;
    assert_eq!(alice.submit(vec![to(&bob, id(1))]).await, [SubmitStatus::Stored]);
    assert_eq!(alice.submit(vec![to(&bob, id(1))]).await, [SubmitStatus::Duplicate]);
    let mut device = server.mailbox(&client).await;
    assert_eq!(device.backlog().await, [id(1)]);
    assert_eq!(device.acknowledge(&[id(1)]).await, 1);
    assert_eq!(alice.submit(vec![to(&bob, id(1))]).await, [SubmitStatus::Duplicate]);
    assert!(server.mailbox(&client).await.backlog().await.is_empty());
}

#[tokio::test]
async fn each_submission_of_a_batch_has_its_own_outcome() {
    let server = TestServer::start().await;
    let (bob, _) = server.registered().await;
    let mut alice = server.submitter().await;
    let stranger = DeliveryToken::from_bytes([1; 32]);
    let mut short_id = to(&bob, id(6));
    short_id.id.truncate(15);
    let mut forever = to(&bob, id(7));
    forever.ttl_seconds = u32::MAX;
    let batch = vec![
        to(&bob, id(1)),
        submission(bob.mailbox, &bob.delivery_token, id(1), b"other content"),
        submission(bob.mailbox, &stranger, id(2), b"sealed"),
        submission(MailboxId::from_bytes([9; 16]), &bob.delivery_token, id(3), b"sealed"),
        submission(bob.mailbox, &bob.delivery_token, id(4), &vec![0; ENVELOPE_LEN_MAX + 1]),
        submission(bob.mailbox, &bob.delivery_token, id(5), b""),
        short_id,
        forever,
        submission(bob.mailbox, &bob.delivery_token, id(8), &vec![0; ENVELOPE_LEN_MAX]),
    ];
    let expected = [
        SubmitStatus::Stored,
        SubmitStatus::IdConflict,
        SubmitStatus::Refused,
        SubmitStatus::Refused,
        SubmitStatus::TooLarge,
        SubmitStatus::Malformed,
        SubmitStatus::Malformed,
        SubmitStatus::Malformed,
        SubmitStatus::Stored,
    ];
    assert_eq!(alice.submit(batch).await, expected);
}

#[tokio::test]
async fn batches_are_pipelined_and_answered_in_their_order() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut alice = server.submitter().await;
    for batch in 0..100 {
        assert!(alice.try_send_batch(u64::from(batch), vec![to(&bob, id(batch))]).await);
    }
    for batch in 0..100 {
        let results = alice.results().await.unwrap();
        assert_eq!((results.batch, results.results().collect::<Vec<_>>()), (batch, vec![SubmitStatus::Stored]));
    }
    assert_eq!(server.mailbox(&client).await.backlog().await, ids(0..100));
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_harms_no_other() {
    let server = TestServer::start_with(|config| config.limits.mailbox_messages_max = 2).await;
    let ((bob, client), (carol, _)) = (server.registered().await, server.registered().await);
    let mut alice = server.submitter().await;
    let batch = vec![to(&bob, id(1)), to(&bob, id(2)), to(&bob, id(3)), to(&carol, id(4))];
    let expected = [SubmitStatus::Stored, SubmitStatus::Stored, SubmitStatus::QuotaExceeded, SubmitStatus::Stored];
    assert_eq!(alice.submit(batch).await, expected);
    let mut device = server.mailbox(&client).await;
    assert_eq!(device.acknowledge(&[id(1)]).await, 1);
    assert_eq!(alice.submit(vec![to(&bob, id(3))]).await, [SubmitStatus::Stored]);
}

#[tokio::test]
async fn nobody_acknowledges_for_another() {
    let server = TestServer::start().await;
    let ((bob, bobs), (_, mallorys)) = (server.registered().await, server.registered().await);
    server.submitter().await.submit(vec![to(&bob, id(1))]).await;
    let mut mallory = server.mailbox(&mallorys).await;
    assert_eq!(mallory.acknowledge(&[id(1), id(77)]).await, 0);
    assert_eq!(server.mailbox(&bobs).await.backlog().await, [id(1)]);
}

#[tokio::test]
async fn a_mailbox_needs_a_login_and_a_mailbox() {
    let server = TestServer::start().await;
    let open = |token: Option<String>| {
        let (tls, address) = (server.tls.clone(), server.running.addr());
        async move { Plane::open(&tls, address, MAILBOX_PATH, token.as_deref()).await.err() }
    };
    assert_eq!(open(None).await, Some(401));
    assert_eq!(open(Some("forged".to_owned())).await, Some(401));
    let (owner, mut client) = server.registered().await;
    let (next, key) = owner.with_linked_device();
    assert_eq!(client.put("/v1/account/key-set", &body(&next)).await.status, 204);
    let mut linked = server.connect().await;
    owner.log_in_as(&server, &mut linked, DeviceNumber::new(2).unwrap(), &key).await;
    assert_eq!(open(linked.token.clone()).await, Some(404));
    let upload: DeviceUpload = device_upload(MailboxId::from_bytes([3; 16]), 1, 30);
    assert_eq!(linked.put("/v1/device", &upload).await.status, 200);
    assert_eq!(open(linked.token.clone()).await, None);
}

#[tokio::test]
async fn the_newest_connection_takes_over() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut old = server.mailbox(&client).await;
    old.backlog().await;
    let mut new = server.mailbox(&client).await;
    new.backlog().await;
    let Event::Failure(failure) = old.event().await else { panic!("not a failure") };
    assert_eq!(failure.code, "taken_over");
    assert_eq!(old.closed().await, closed(4409, "taken_over"));
    server.submitter().await.submit(vec![to(&bob, id(1))]).await;
    assert_eq!(new.delivered(1).await, [id(1)]);
}

#[tokio::test]
async fn a_removed_device_is_cut_off() {
    let server = TestServer::start().await;
    let (mut owner, mut client) = server.registered().await;
    let (next, key) = owner.with_linked_device();
    assert_eq!(client.put("/v1/account/key-set", &body(&next)).await.status, 204);
    owner.key_set = next;
    let two = DeviceNumber::new(2).unwrap();
    let mut linked = server.connect().await;
    owner.log_in_as(&server, &mut linked, two, &key).await;
    let mailbox = MailboxId::from_bytes([3; 16]);
    assert_eq!(linked.put("/v1/device", &device_upload(mailbox, 1, 30)).await.status, 200);
    let mut device = server.mailbox(&linked).await;
    device.backlog().await;
    let mut primary = server.mailbox(&client).await;
    primary.backlog().await;
    assert_eq!(client.put("/v1/account/key-set", &body(&owner.without_device(two))).await.status, 204);
    assert_eq!(device.closed().await, closed(4401, "device_unknown"));
    let mut alice = server.submitter().await;
    assert_eq!(
        alice.submit(vec![submission(mailbox, &owner.delivery_token, id(1), b"x")]).await,
        [SubmitStatus::Refused]
    );
    assert_eq!(alice.submit(vec![to(&owner, id(1))]).await, [SubmitStatus::Stored]);
    assert_eq!(primary.delivered(1).await, [id(1)]);
}

#[tokio::test]
async fn a_device_that_does_not_acknowledge_gets_a_bounded_number() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut alice = server.submitter().await;
    for first in [0, 100, 200] {
        alice.submit(ids(first..first + 100).into_iter().map(|id| to(&bob, id)).collect()).await;
    }
    let mut device = server.mailbox(&client).await;
    assert_eq!(device.delivered(256).await, ids(0..256));
    device.send_acknowledgement(1, &ids(0..10)).await;
    // Whatever comes before the answer was sent without waiting for it.
    loop {
        match device.event().await {
            Event::Acknowledged(answer) => break assert_eq!(answer.removed, 10),
            Event::PrekeysLow(_) => {}
            other => panic!("more than 256 unacknowledged: {other:?}"),
        }
    }
    assert_eq!(device.delivered(10).await, ids(256..266));
}

#[tokio::test]
async fn expired_envelopes_are_not_delivered() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut short = to(&bob, id(1));
    short.ttl_seconds = 10;
    server.submitter().await.submit(vec![short, to(&bob, id(2))]).await;
    server.clock.advance_seconds(10);
    assert_eq!(server.mailbox(&client).await.backlog().await, [id(2)]);
    assert_eq!(server.running.sweep().await.unwrap().messages, 1);
    assert_eq!(server.mailbox(&client).await.backlog().await, [id(2)]);
}

#[tokio::test]
async fn low_prekeys_are_noticed() {
    let server = TestServer::start().await;
    let (_, client) = server.registered().await;
    // The registration brought no one-time prekeys.
    let Event::PrekeysLow(low) = server.mailbox(&client).await.event().await else { panic!("no notice") };
    assert_eq!((low.one_time, low.one_time_kem), (0, 0));
}

#[tokio::test]
async fn malformed_frames_end_the_connection_with_a_code() {
    let server = TestServer::start().await;
    let (_, client) = server.registered().await;
    let mut garbage = server.submitter().await;
    garbage.send(vec![0xff; 10]).await;
    assert_eq!(garbage.closed().await, closed(4400, "malformed"));
    let mut text = server.submitter().await;
    text.raw(Message::Text("hello".into())).await;
    assert_eq!(text.closed().await, closed(4400, "malformed"));
    let mut device = server.mailbox(&client).await;
    device.send(MailboxRequest { request: None }.encode_to_vec()).await;
    assert_eq!(device.closed().await, closed(4400, "malformed"));
}

#[tokio::test]
async fn oversized_frames_and_batches_end_the_connection_with_a_code() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut large = server.submitter().await;
    // Only the head of a frame that would be too large: the server need not wait for the rest.
    let mut head = vec![0x82, 0xff];
    head.extend_from_slice(&(FRAME_LEN_MAX as u64 + 1).to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    large.stream().write_all(&head).await.unwrap();
    assert_eq!(large.closed().await, closed(1009, "too_large"));
    let mut many = server.submitter().await;
    let submissions = vec![to(&bob, id(1)); BATCH_LEN_MAX + 1];
    many.send(SubmitBatch { batch: 1, submissions }.encode_to_vec()).await;
    assert_eq!(many.closed().await, closed(1009, "too_large"));
    assert!(server.mailbox(&client).await.backlog().await.is_empty(), "part of a refused batch was stored");
}

#[tokio::test]
async fn a_peer_that_stops_in_the_middle_of_a_frame_is_cut_off_and_others_go_on() {
    let server = TestServer::start_with(|config| {
        config.limits.header_seconds_max = 1;
        config.limits.stall_seconds_max = 1;
    })
    .await;
    let (bob, _) = server.registered().await;
    let mut stalled = server.submitter().await;
    stalled.stream().write_all(&[0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5]).await.unwrap();
    let mut alice = server.submitter().await;
    assert_eq!(alice.submit(vec![to(&bob, id(1))]).await, [SubmitStatus::Stored]);
    // Answering pings is all it takes to stay.
    let (stalled, alive) = tokio::join!(stalled.closed(), async {
        let quiet = tokio::time::timeout(std::time::Duration::from_secs(4), alice.next()).await;
        quiet.is_err()
    });
    assert_eq!(stalled, closed(4408, "stalled"));
    assert!(alive, "a quiet peer that answers was cut off");
}

#[tokio::test]
async fn a_flood_is_answered_as_such() {
    let server = TestServer::start_with(|config| config.limits.submissions_per_second_max = 1).await;
    let (bob, client) = server.registered().await;
    let mut alice = server.submitter().await;
    let batch = |range| ids(range).into_iter().map(|id| to(&bob, id)).collect::<Vec<_>>();
    let burst = BATCH_LEN_MAX as u32;
    assert_eq!(alice.submit(batch(0..burst)).await, [SubmitStatus::Stored; BATCH_LEN_MAX]);
    assert_eq!(alice.submit(batch(burst..2 * burst)).await, [SubmitStatus::RateLimited; BATCH_LEN_MAX]);
    assert_eq!(server.mailbox(&client).await.delivered(BATCH_LEN_MAX).await, ids(0..burst));
}

#[tokio::test]
async fn a_shutdown_says_goodbye_and_keeps_what_it_answered() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut alice = server.submitter().await;
    let mut device = server.mailbox(&client).await;
    device.backlog().await;
    for batch in 0..50 {
        assert!(alice.try_send_batch(u64::from(batch), vec![to(&bob, id(batch))]).await);
    }
    let shutdown = tokio::spawn(server.restart());
    let mut stored = 0;
    let end = loop {
        match alice.results().await {
            Ok(results) => {
                assert_eq!(results.results().collect::<Vec<_>>(), [SubmitStatus::Stored]);
                stored += 1;
            }
            Err(end) => break end,
        }
    };
    assert_eq!(end, Some(closed(1001, "shutting_down")));
    assert_eq!(device.closed().await, closed(1001, "shutting_down"));
    let server = shutdown.await.unwrap();
    let mut client = server.connect().await;
    bob.log_in(&server, &mut client).await;
    let present = server.mailbox(&client).await.backlog().await;
    assert!(present.len() >= stored, "{stored} were answered, {} are there", present.len());
    assert_eq!(present, ids(0..present.len() as u32));
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

#[tokio::test]
async fn the_same_works_over_plain_https() {
    let server = TestServer::start().await;
    let (bob, mut client) = server.registered().await;
    let mut alice = server.connect().await;
    let batch = SubmitBatch { batch: 3, submissions: ids(0..3).into_iter().map(|id| to(&bob, id)).collect() };
    let reply = alice.bytes(Method::POST, "/v1/messages", &[PROTOBUF], &batch.encode_to_vec()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-protobuf"));
    let results = SubmitResults::decode(reply.body).unwrap();
    assert_eq!((results.batch, results.results().collect::<Vec<_>>()), (3, vec![SubmitStatus::Stored; 3]));

    let fetched = Deliveries::decode(client.get("/v1/mailbox/messages").await.body).unwrap();
    assert_eq!((crate::support::ids(&fetched), fetched.more), (ids(0..3), false));
    let frame = Acknowledge {
        request: 5,
        consumed: vec![fetched.envelopes[0].id.clone()],
        undecryptable: vec![Undecryptable { id: fetched.envelopes[1].id.clone(), reason: 2 }],
    };
    let reply = client.bytes(Method::POST, "/v1/mailbox/acknowledge", &[PROTOBUF], &frame.encode_to_vec()).await;
    assert_eq!(Acknowledged::decode(reply.body).unwrap(), Acknowledged { request: 5, removed: 2 });
    let fetched = Deliveries::decode(client.get("/v1/mailbox/messages").await.body).unwrap();
    assert_eq!(crate::support::ids(&fetched), [id(2)]);
    assert!(server.running.metrics().contains("rcseal_messages_undecryptable_total 1"));
}

#[tokio::test]
async fn bad_https_requests_are_refused() {
    let server = TestServer::start().await;
    let (_, mut client) = server.registered().await;
    let mut anybody = server.connect().await;
    assert_eq!(anybody.bytes(Method::POST, "/v1/messages", &[], b"").await.code(), "unsupported_media_type");
    assert_eq!(anybody.bytes(Method::POST, "/v1/messages", &[PROTOBUF], &[0xff]).await.code(), "malformed");
    let large = vec![0; FRAME_LEN_MAX + 1];
    assert_eq!(anybody.bytes(Method::POST, "/v1/messages", &[PROTOBUF], &large).await.code(), "too_large");
    let mut anybody = server.connect().await;
    assert_eq!(anybody.get("/v1/mailbox/messages").await.code(), "unauthenticated");
    assert_eq!(
        anybody.bytes(Method::POST, "/v1/mailbox/acknowledge", &[PROTOBUF], b"").await.code(),
        "unauthenticated"
    );
    let short = Acknowledge { request: 1, consumed: vec![vec![1; 15].into()], undecryptable: vec![] };
    let reply = client.bytes(Method::POST, "/v1/mailbox/acknowledge", &[PROTOBUF], &short.encode_to_vec()).await;
    assert_eq!(reply.code(), "malformed");
}

#[tokio::test]
async fn asking_for_what_never_was_costs_the_asker_time_and_nobody_else() {
    let server = TestServer::start().await;
    let (bob, client) = server.registered().await;
    let mut device = server.mailbox(&client).await;
    device.backlog().await;
    let begun = std::time::Instant::now();
    assert_eq!(device.acknowledge(&ids(0..500)).await, 0);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(500));
    assert_eq!(server.submitter().await.submit(vec![to(&bob, id(1))]).await, [SubmitStatus::Stored]);
}

/// The head of a frame that fills a message, and most of that message.
async fn send_most_of_a_frame(plane: &mut Plane) -> std::io::Result<()> {
    let len = FRAME_LEN_MAX as u64;
    let head = [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat();
    let stream = plane.stream();
    stream.write_all(&head).await?;
    stream.write_all(&vec![0; FRAME_LEN_MAX - 1]).await?;
    stream.flush().await
}

#[tokio::test]
async fn frames_that_never_end_take_a_bounded_part_of_the_memory() {
    let server = TestServer::start().await;
    // An address has thirty-two mebibytes, and these are a little more.
    let mut planes = Vec::new();
    for _ in 0..16 {
        let mut plane = server.submitter().await;
        send_most_of_a_frame(&mut plane).await.unwrap();
        planes.push(plane);
    }
    let (refused, ..) = futures_util::future::select_all(planes.iter_mut().map(|plane| Box::pin(plane.next()))).await;
    // A connection that is cut while it sends may break before it hears why.
    let told = refused.unwrap_err();
    assert!(told.is_none() || told == Some(closed(4503, "unavailable")), "{told:?}");
    drop(planes);
    let (bob, _) = server.registered().await;
    let stored = async {
        loop {
            let mut alice = server.submitter().await;
            alice.send(SubmitBatch { batch: 1, submissions: vec![to(&bob, id(1))] }.encode_to_vec()).await;
            if alice.results().await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), stored).await.unwrap();
}
