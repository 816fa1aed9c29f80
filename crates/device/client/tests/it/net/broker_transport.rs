//! A broker as a way into the carrier, against a server that plays one.

use std::sync::{Arc, Mutex};

use rcseal_carrier::transport::Transport as _;
use rcseal_client::net::{Authenticated, BrokerTransport};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Taken};
use rcseal_wire::api::outbound::{OutboundAnswer, OutboundRequest, OutboundTaken};
use rcseal_wire::problem::ProblemCode;

use crate::support::device::{serve_login, signer};
use crate::support::server::{Peer, Server, impatient};

/// What the broker does with the n-th request.
#[derive(Clone, Copy)]
enum Does {
    Takes(OutboundTaken),
    HangsUp,
    Refuses(ProblemCode),
}

fn number(last: u8) -> PhoneNumber {
    format!("+1415555010{last}").parse().unwrap()
}

fn message() -> CarrierMessage {
    CarrierMessage {
        to: number(2),
        id: CarrierMessageId::from_random([7; 16]),
        receipts: ReceiptRequest { delivered: true, failed: true, displayed: false },
        carriage: Carriage::Framed { is_text: false, bytes: vec![1; 300] },
    }
}

struct Broker {
    server: Server,
    requests: Arc<Mutex<Vec<OutboundRequest>>>,
}

impl Broker {
    async fn start(script: Vec<Does>) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&requests);
        let server = Server::start(move |mut peer: Peer| {
            let (requests, script) = (Arc::clone(&shared), script.clone());
            async move {
                serve_login(&mut peer, "token").await;
                while let Some(request) = peer.request().await {
                    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/outbound"));
                    assert_eq!(request.header("authorization"), Some("Bearer token"));
                    let place = {
                        let mut requests = requests.lock().unwrap();
                        requests.push(serde_json::from_slice(&request.body).unwrap());
                        requests.len() - 1
                    };
                    match script[place] {
                        Does::Takes(taken) => {
                            let body = serde_json::to_vec(&OutboundAnswer { taken }).unwrap();
                            peer.answer(202, "content-type: application/json\r\n", &body).await;
                        }
                        Does::HangsUp => return,
                        Does::Refuses(code) => peer.answer_problem(code).await,
                    }
                }
            }
        })
        .await;
        Self { server, requests }
    }

    fn transport(&self) -> BrokerTransport {
        let server = Authenticated::new(self.server.endpoint_with(impatient()), signer());
        BrokerTransport::new(Arc::new(server), number(1))
    }
}

#[tokio::test]
async fn a_message_is_posted_under_its_id_at_the_carrier_by_whoever_is_logged_in() {
    let broker = Broker::start(vec![Does::Takes(OutboundTaken::Stored), Does::Takes(OutboundTaken::Answered)]).await;
    let transport = broker.transport();
    assert!(!transport.profile().is_binary_safe);
    assert_eq!(transport.send(message()).await, Ok(Taken::Stored));
    assert_eq!(transport.send(message()).await, Ok(Taken::Answered));
    assert_eq!(broker.server.connections(), 1);
    let requests = broker.requests.lock().unwrap();
    assert_eq!((requests[0].from.as_str(), requests[0].to.as_str()), ("+14155550101", "+14155550102"));
    assert_eq!(requests[0].id.0, message().id.uuid_bytes().unwrap());
    assert_eq!((requests[0].content_type.as_deref(), requests[0].body.0.len()), (None, 300));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_id_and_then_nobody_knows() {
    let broker = Broker::start(vec![Does::HangsUp, Does::HangsUp, Does::Takes(OutboundTaken::Answered)]).await;
    assert_eq!(broker.transport().send(message()).await, Ok(Taken::Answered));
    {
        let requests = broker.requests.lock().unwrap();
        assert_eq!(requests.len(), 3);
        assert!(requests.iter().all(|request| *request == requests[0]), "the very same request");
    }
    let silent = Broker::start(vec![Does::HangsUp; 8]).await;
    assert_eq!(silent.transport().send(message()).await, Err(SendFailure::NoAnswer));
    assert_eq!(silent.requests.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_passed_on_as_what_it_is_and_not_repeated() {
    let cases = [
        (ProblemCode::CarrierUnsupportedMedia, SendFailure::UnsupportedMedia),
        (ProblemCode::NumberNotYours, SendFailure::Unauthorized),
        (ProblemCode::CarrierNoAnswer, SendFailure::NoAnswer),
        (ProblemCode::RateLimited, SendFailure::Busy { retry_after: None }),
    ];
    for (code, failure) in cases {
        let broker = Broker::start(vec![Does::Refuses(code); 3]).await;
        assert_eq!(broker.transport().send(message()).await, Err(failure));
        assert_eq!(broker.requests.lock().unwrap().len(), 1, "{code:?}");
    }
}

#[tokio::test]
async fn a_broker_that_is_away_is_unreachable_and_has_nothing() {
    let broker = Broker::start(Vec::new()).await;
    let transport = broker.transport();
    drop(broker);
    assert_eq!(transport.send(message()).await, Err(SendFailure::Unreachable));
}
