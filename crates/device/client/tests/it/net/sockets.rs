//! The two WebSockets.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use rcseal_client::net::{Anonymous, Authenticated, Fault, MailboxNotice, NetError, Stage};
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::{
    Acknowledged, Acks, Deliveries, Delivery, FRAME_LEN_MAX, Failure, MailboxEvent, MailboxRequest, PrekeysLow,
    QueueEmpty, ResetNotice, Submit, SubmitBatch, SubmitResults, SubmitStatus, mailbox_request,
};
use rcseal_wire::id::{EnvelopeId, MailboxId};
use rcseal_wire::problem::ProblemCode;
use rcseal_wire::token::DeliveryToken;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::support::device::{serve_login, signer};
use crate::support::server::{Peer, Server, impatient};

type ServerSocket = WebSocketStream<TlsStream<TcpStream>>;

async fn accept_mailbox(mut peer: Peer) -> ServerSocket {
    serve_login(&mut peer, "t").await;
    accept_async(peer.stream).await.unwrap()
}

async fn say(socket: &mut ServerSocket, event: Event) {
    let frame = MailboxEvent { event: Some(event) }.encode_to_vec();
    socket.send(Message::Binary(frame.into())).await.unwrap();
}

fn submission(id: u8) -> Submit {
    Submit {
        mailbox: MailboxId::from_bytes([1; 16]),
        token: DeliveryToken::from_bytes([2; 32]),
        id: EnvelopeId::from_bytes([id; 16]),
        ttl_seconds: 60,
        envelope: Bytes::from_static(b"sealed"),
    }
}

#[tokio::test]
async fn a_mailbox_delivers_reports_the_end_of_the_queue_and_takes_acknowledgements() {
    let server = Server::start(|peer| async move {
        let mut socket = accept_mailbox(peer).await;
        let delivery = Delivery { id: vec![7; 16].into(), envelope: Bytes::from_static(b"e"), received_at_ms: 5 };
        say(&mut socket, Event::Deliveries(Deliveries { envelopes: vec![delivery], more: false })).await;
        say(&mut socket, Event::QueueEmpty(QueueEmpty {})).await;
        // An event of a later version is skipped.
        socket.send(Message::Binary(vec![0x7a, 0x00].into())).await.unwrap();
        say(&mut socket, Event::PrekeysLow(PrekeysLow { one_time: 3, one_time_kem: 4 })).await;
        say(&mut socket, Event::Reset(ResetNotice { pending: true, effective_at_ms: 77 })).await;
        say(&mut socket, Event::Reset(ResetNotice { pending: false, effective_at_ms: 0 })).await;
        let Message::Binary(frame) = socket.next().await.unwrap().unwrap() else { panic!("not binary") };
        let request = MailboxRequest::decode(frame).unwrap();
        let Some(mailbox_request::Request::Acknowledge(acknowledge)) = request.request else { panic!("nothing in it") };
        let acks = Acks::parse(&acknowledge).unwrap();
        assert_eq!(acks.consumed, [EnvelopeId::from_bytes([7; 16])]);
        say(&mut socket, Event::Acknowledged(Acknowledged { request: acks.request, removed: 1 })).await;
        socket.close(None).await.unwrap();
        while socket.next().await.is_some() {}
    })
    .await;
    let device = Authenticated::new(server.endpoint(), signer());
    let mut mailbox = device.mailbox().await.unwrap();
    let Some(MailboxNotice::Delivered(delivered)) = mailbox.next().await.unwrap() else { panic!("no delivery") };
    assert_eq!((delivered[0].id, &delivered[0].envelope[..]), (EnvelopeId::from_bytes([7; 16]), &b"e"[..]));
    assert_eq!(mailbox.next().await.unwrap(), Some(MailboxNotice::QueueEmpty));
    assert_eq!(mailbox.next().await.unwrap(), Some(MailboxNotice::PrekeysLow { one_time: 3, one_time_kem: 4 }));
    assert_eq!(mailbox.next().await.unwrap(), Some(MailboxNotice::Reset { effective_at_ms: Some(77) }));
    assert_eq!(mailbox.next().await.unwrap(), Some(MailboxNotice::Reset { effective_at_ms: None }));
    let acks = Acks { request: 11, consumed: vec![delivered[0].id], undecryptable: vec![] };
    mailbox.acknowledge(&acks).await.unwrap();
    assert_eq!(mailbox.next().await.unwrap(), Some(MailboxNotice::Acknowledged { request: 11, removed: 1 }));
    assert_eq!(mailbox.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_failure_frame_is_a_problem() {
    let server = Server::start(|peer| async move {
        let mut socket = accept_mailbox(peer).await;
        say(&mut socket, Event::Failure(Failure { code: "taken_over".to_owned() })).await;
    })
    .await;
    let mut mailbox = Authenticated::new(server.endpoint(), signer()).mailbox().await.unwrap();
    let error = mailbox.next().await.unwrap_err();
    assert_eq!((error.problem(), error.is_retryable()), (Some(ProblemCode::TakenOver), false));
}

#[tokio::test]
async fn a_silent_relay_is_pinged_and_then_given_up() {
    let server = Server::start(|peer| async move {
        let socket = accept_mailbox(peer).await;
        // Nobody reads, so nobody answers the ping.
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let timeouts = rcseal_client::net::Timeouts { answer: std::time::Duration::from_secs(5), ..impatient() };
    let device = Authenticated::new(server.endpoint_with(timeouts), signer());
    let mut mailbox = device.mailbox().await.unwrap();
    let error = mailbox.next().await.unwrap_err();
    assert!(matches!(error, NetError::Timeout(Stage::Silence)), "{error:?}");
}

#[tokio::test]
async fn a_relay_that_answers_pings_is_waited_for() {
    let server = Server::start(|peer| async move {
        let mut socket = accept_mailbox(peer).await;
        let mut pings = 0;
        while pings < 3 {
            if let Some(Ok(Message::Ping(_))) = socket.next().await {
                pings += 1;
            }
        }
        say(&mut socket, Event::QueueEmpty(QueueEmpty {})).await;
        while socket.next().await.is_some() {}
    })
    .await;
    let timeouts = rcseal_client::net::Timeouts { answer: std::time::Duration::from_secs(5), ..impatient() };
    let mut mailbox = Authenticated::new(server.endpoint_with(timeouts), signer()).mailbox().await.unwrap();
    assert_eq!(mailbox.next().await.unwrap(), Some(MailboxNotice::QueueEmpty));
}

#[tokio::test]
async fn frames_that_are_not_ours_are_refused() {
    let long_id = MailboxEvent {
        event: Some(Event::Deliveries(Deliveries {
            envelopes: vec![Delivery { id: vec![7; 17].into(), envelope: Bytes::new(), received_at_ms: 0 }],
            more: false,
        })),
    };
    let cases = [
        (Message::Text("hello".into()), Fault::Unexpected),
        (Message::Binary(vec![0xff; 9].into()), Fault::Body),
        (Message::Binary(long_id.encode_to_vec().into()), Fault::Body),
    ];
    for (message, expected) in cases {
        let server = Server::start(move |peer| {
            let message = message.clone();
            async move {
                let mut socket = accept_mailbox(peer).await;
                socket.send(message).await.unwrap();
                while let Some(Ok(_)) = socket.next().await {}
            }
        })
        .await;
        let mut mailbox = Authenticated::new(server.endpoint(), signer()).mailbox().await.unwrap();
        let error = mailbox.next().await.unwrap_err();
        assert!(matches!(error, NetError::Protocol(fault) if fault == expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_frame_over_the_limit_is_not_read() {
    let server = Server::start(|peer| async move {
        let mut socket = accept_mailbox(peer).await;
        let _ = socket.send(Message::Binary(vec![0; FRAME_LEN_MAX + 1].into())).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut mailbox = Authenticated::new(server.endpoint(), signer()).mailbox().await.unwrap();
    let error = mailbox.next().await.unwrap_err();
    assert!(matches!(error, NetError::TooLarge { limit: FRAME_LEN_MAX }), "{error:?}");
}

#[tokio::test]
async fn an_upgrade_with_the_wrong_key_is_refused() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.write(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: AAAA\r\n\r\n").await;
        peer.stall().await;
    })
    .await;
    let error = Anonymous::new(server.endpoint()).submit_socket().await.unwrap_err();
    assert!(matches!(error, NetError::Protocol(Fault::Header)), "{error:?}");
}

#[tokio::test]
async fn batches_are_pipelined_and_an_unknown_status_promises_nothing() {
    let server = Server::start(|peer| async move {
        let mut socket = accept_async(peer.stream).await.unwrap();
        for _ in 0..2 {
            let Message::Binary(frame) = socket.next().await.unwrap().unwrap() else { panic!("not binary") };
            let batch = SubmitBatch::decode(frame).unwrap();
            let mut results = vec![SubmitStatus::Stored as i32; batch.submissions.len()];
            results[0] = 99;
            let answer = SubmitResults { batch: batch.batch, results }.encode_to_vec();
            socket.send(Message::Binary(answer.into())).await.unwrap();
        }
        // An answer to a batch that was never sent.
        let stray = SubmitResults { batch: 77, results: vec![] }.encode_to_vec();
        socket.send(Message::Binary(stray.into())).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut submit = Anonymous::new(server.endpoint()).submit_socket().await.unwrap();
    let first = submit.send(&[submission(1), submission(2)]).await.unwrap();
    let second = submit.send(&[submission(3)]).await.unwrap();
    let expected = vec![SubmitStatus::Unavailable, SubmitStatus::Stored];
    assert_eq!(submit.next().await.unwrap(), Some((first, expected)));
    assert_eq!(submit.next().await.unwrap(), Some((second, vec![SubmitStatus::Unavailable])));
    assert!(matches!(submit.next().await, Err(NetError::Protocol(Fault::Unexpected))));
}

#[tokio::test]
async fn a_refused_upgrade_says_why() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.request().await;
        peer.answer_problem(ProblemCode::ShuttingDown).await;
    })
    .await;
    let error = Anonymous::new(server.endpoint()).submit_socket().await.unwrap_err();
    assert_eq!((error.problem(), error.is_retryable()), (Some(ProblemCode::ShuttingDown), true));
}
