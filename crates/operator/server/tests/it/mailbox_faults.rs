//! A store that fails at its n-th call, for every n: the server says so, keeps what it promised, and goes on.

use rcseal_store::conformance::FaultKind;
use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::{MAILBOX_PATH, SubmitStatus};
use rcseal_wire::id::EnvelopeId;

use crate::support::{Client, Owner, Plane, Reply, TestServer, ids, submission};

/// One fault costs one repetition; a second would mean that the first one was not the last.
const ATTEMPTS_MAX: u32 = 2;
/// More calls than a life makes, background work included.
const CALLS_MAX: u64 = 200;

fn id(n: u8) -> EnvelopeId {
    EnvelopeId::from_bytes([n; 16])
}

/// Repeats a request that the store failed; any other refusal is a bug.
macro_rules! persist {
    ($request:expr) => {{
        let mut attempts = 0;
        loop {
            attempts += 1;
            let reply: Reply = $request.await;
            if reply.status < 300 {
                break reply;
            }
            assert_eq!((reply.status, reply.code().as_str()), (503, "unavailable"));
            assert!(attempts < ATTEMPTS_MAX, "repeating after one fault did not help");
        }
    }};
}

async fn mailbox(server: &TestServer, client: &Client) -> Plane {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match Plane::open(&server.tls, server.running.addr(), MAILBOX_PATH, client.token.as_deref()).await {
            Ok(plane) => return plane,
            Err(status) => assert!(status == 503 && attempts < ATTEMPTS_MAX, "{status}"),
        }
    }
}

/// Receives and acknowledges everything; connects again when the server says that its store failed.
async fn drain(server: &TestServer, client: &Client) -> Vec<EnvelopeId> {
    let mut received: Vec<EnvelopeId> = Vec::new();
    let mut cut_off = 0;
    'connections: loop {
        let mut device = mailbox(server, client).await;
        let (mut open, mut is_drained) = (0, false);
        while open > 0 || !is_drained {
            match device.try_event().await {
                Ok(Event::Deliveries(deliveries)) => {
                    let ids = ids(&deliveries);
                    let new: Vec<_> = ids.iter().filter(|id| !received.contains(id)).copied().collect();
                    received.extend(new);
                    device.send_acknowledgement(1, &ids).await;
                    open += 1;
                }
                Ok(Event::Acknowledged(_)) => open -= 1,
                Ok(Event::QueueEmpty(_)) => is_drained = true,
                Ok(Event::PrekeysLow(_) | Event::Reset(_) | Event::RetainedWaiting(_)) => {}
                Ok(Event::Failure(failure)) => {
                    assert_eq!(failure.code, "unavailable");
                    let closed = device.closed().await;
                    assert_eq!((closed.code, closed.reason.as_str()), (4503, "unavailable"));
                    cut_off += 1;
                    assert!(cut_off < ATTEMPTS_MAX, "cut off twice for one fault");
                    continue 'connections;
                }
                Err(closed) => panic!("closed without a failure: {closed:?}"),
            }
        }
        return received;
    }
}

async fn one_life(server: &TestServer) {
    let owner = Owner::new();
    let mut client = server.connect().await;
    persist!(client.post("/v1/accounts", &owner.register_request()));
    let login = persist!(owner.try_log_in(server, &mut client));
    client.token = Some(login.json::<rcseal_wire::api::LoginResponse>().token);
    let mut alice = server.submitter().await;
    for n in 1..=3 {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let submissions = vec![submission(owner.mailbox, &owner.delivery_token, id(n), b"sealed")];
            match alice.submit(submissions).await[..] {
                [SubmitStatus::Stored | SubmitStatus::Duplicate] => break,
                [SubmitStatus::Unavailable] => assert!(attempts < ATTEMPTS_MAX),
                ref other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(drain(server, &client).await, [id(1), id(2), id(3)], "lost, doubled or out of order");
    assert!(drain(server, &client).await.is_empty(), "delivered after its acknowledgement");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_single_failed_call_of_the_store_loses_a_message() {
    let (server, faulty) = TestServer::start_faulty().await;
    for kind in [FaultKind::Before, FaultKind::After] {
        let mut failed = 0;
        for nth in 1.. {
            assert!(nth < CALLS_MAX);
            faulty.arm(nth, kind);
            one_life(&server).await;
            if !faulty.has_failed() {
                break;
            }
            failed += 1;
        }
        assert!(failed > 10, "only {failed} calls were failed");
    }
}
