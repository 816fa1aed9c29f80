//! Two user agents of ours over a fake registrar, and what peers may do to one.

mod greedy;
mod hostile;
pub(crate) mod registrar;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcseal_carrier::auth::milenage::SoftwareSim;
use rcseal_carrier::auth::{Credentials, Password};
use rcseal_carrier::sip::{
    Access, Config, Limits, PagerMessage, Peer, Registration, Timers, UserAgent, WayTrouble, Wire,
};
use rcseal_carrier::tls::TrustAnchors;
use rcseal_carrier::transport::{Answer, Inbound};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Sender, Taken};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use registrar::{Auth, FakeRegistrar, Listen};

const ALICE: &str = "+15551230001";
const BOB: &str = "+15551230002";
const DOMAIN: &str = "carrier.test";

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

fn timers() -> Timers {
    let ms = Duration::from_millis;
    Timers {
        t1: ms(50),
        t2: ms(200),
        answer: ms(3000),
        invite: ms(4000),
        connect: ms(3000),
        stall: ms(300),
        keep_alive: ms(100),
        expires: Duration::from_secs(600),
    }
}

fn config(own: &str, at: SocketAddr, wire: Wire, access: Access) -> Config {
    let peer = Peer { host: at.ip().to_string(), port: at.port() };
    let mut config = Config::new(number(own), DOMAIN.parse().unwrap(), peer, wire, access);
    config.local = "127.0.0.1:0".parse().unwrap();
    config.timers = timers();
    config
}

fn password(own: &str, password: &str) -> Access {
    Access::Register(Some(Credentials::Password { user: own.to_owned(), password: Password::new(password) }))
}

async fn registered(own: &str, registrar: &FakeRegistrar, wire: Wire) -> UserAgent {
    let agent = UserAgent::start(config(own, registrar.address, wire, password(own, "secret"))).await.unwrap();
    agent.register().await.unwrap();
    agent
}

fn pager(to: &str, body: &[u8]) -> PagerMessage {
    PagerMessage {
        to: number(to),
        content_type: "message/cpim".to_owned(),
        body: Bytes::copy_from_slice(body),
        conversation: Some([7; 16]),
    }
}

async fn received(agent: &UserAgent) -> Inbound {
    tokio::time::timeout(Duration::from_secs(5), agent.receive()).await.unwrap().unwrap()
}

/// Waits until something holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it never held");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn tls() -> (Listen, Wire) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).unwrap().self_signed(&key).unwrap();
    let trust = TrustAnchors::from_pem(certificate.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (Listen::Tls(CertificateDer::from(certificate.der().to_vec()), Arc::new(key)), Wire::Tls(trust))
}

/// Sends from alice to bob while bob answers, and gives back what alice was told.
async fn exchange(alice: &UserAgent, bob: &UserAgent, body: &[u8], answer: Answer) -> Result<Taken, SendFailure> {
    let receive = async {
        let inbound = received(bob).await;
        assert_eq!(inbound.from, Sender::Claimed(number(ALICE)));
        assert_eq!((inbound.content_type.as_str(), inbound.body.as_slice()), ("message/cpim", body));
        inbound.answer(answer);
    };
    tokio::join!(alice.message(pager(BOB, body)), receive).0
}

#[tokio::test]
async fn a_message_arrives_byte_for_byte_over_every_wire() {
    let body: Vec<u8> = (0..=255).chain(*b"\r\n\r\n\0end").collect();
    let (tls_listen, tls_wire) = tls();
    for (listen, wire) in [(Listen::Udp, Wire::Udp), (Listen::Tcp, Wire::Tcp), (tls_listen, tls_wire)] {
        let registrar = FakeRegistrar::start(listen, Auth::Digest("SHA-256", "auth", "secret")).await;
        let alice = registered(ALICE, &registrar, wire.clone()).await;
        let bob = registered(BOB, &registrar, wire).await;
        assert_eq!(exchange(&alice, &bob, &body, Answer::Accepted).await, Ok(Taken::Answered));
        assert_eq!(registrar.count("MESSAGE"), 1);
        alice.close().await;
        assert_eq!(exchange_nobody(&bob).await, Err(SendFailure::NotFound));
    }
}

async fn exchange_nobody(bob: &UserAgent) -> Result<Taken, SendFailure> {
    bob.message(pager(ALICE, b"x")).await
}

#[tokio::test]
async fn what_the_consumer_answers_is_what_the_sender_is_told() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let bob = registered(BOB, &registrar, Wire::Udp).await;
    for (answer, told) in [
        (Answer::UnsupportedMedia, SendFailure::UnsupportedMedia),
        (Answer::TooLarge, SendFailure::TooLarge),
        (Answer::TryLater, SendFailure::Busy { retry_after: Some(5) }),
        (Answer::Malformed, SendFailure::Refused { status: 400 }),
    ] {
        assert_eq!(exchange(&alice, &bob, b"x", answer).await, Err(told));
    }
    let forgotten = async { drop(received(&bob).await) };
    let told = tokio::join!(alice.message(pager(BOB, b"x")), forgotten).0;
    assert_eq!(told, Err(SendFailure::Busy { retry_after: Some(5) }));
}

#[tokio::test]
async fn every_form_of_digest_is_answered() {
    for (algorithm, qop) in
        [("MD5", "auth"), ("MD5-sess", "auth"), ("SHA-256", "auth-int"), ("SHA-256-sess", "auth"), ("MD5", "auth-int")]
    {
        let registrar = FakeRegistrar::start(Listen::Udp, Auth::Digest(algorithm, qop, "secret")).await;
        registrar.state.lock().unwrap().challenges_messages = true;
        let alice = registered(ALICE, &registrar, Wire::Udp).await;
        let bob = registered(BOB, &registrar, Wire::Udp).await;
        assert_eq!(registrar.count("REGISTER"), 4);
        for _ in 0..3 {
            assert_eq!(
                exchange(&alice, &bob, b"body", Answer::Accepted).await,
                Ok(Taken::Answered),
                "{algorithm} {qop}"
            );
        }
        assert_eq!(registrar.count("MESSAGE"), 4, "the proxy's challenge is answered once, then at once");
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::Digest("MD5", "auth", "other")).await;
    let alice = UserAgent::start(config(ALICE, registrar.address, Wire::Udp, password(ALICE, "secret"))).await.unwrap();
    assert_eq!(alice.register().await, Err(SendFailure::Unauthorized));
    assert_eq!(registrar.count("REGISTER"), 2);
    assert_eq!(alice.registration(), Registration::Failed(SendFailure::Unauthorized));
}

#[tokio::test]
async fn a_stale_nonce_is_replaced_without_a_word_to_the_caller() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::Digest("MD5", "auth", "secret")).await;
    {
        let mut state = registrar.state.lock().unwrap();
        state.nonce_uses = 2;
        state.challenges_messages = true;
    }
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let bob = registered(BOB, &registrar, Wire::Udp).await;
    for _ in 0..6 {
        assert_eq!(exchange(&alice, &bob, b"body", Answer::Accepted).await, Ok(Taken::Answered));
    }
}

#[tokio::test]
async fn a_sim_registers_and_brings_its_count_to_the_network() {
    let (key, opc) = ([1; 16], [2; 16]);
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::Aka(key, opc, 10)).await;
    let with_sim =
        |sim| Access::Register(Some(Credentials::Aka { user: "impi@carrier.test".into(), sim: Arc::new(sim) }));
    let access = with_sim(SoftwareSim::new(key, opc, 1000));
    let alice = UserAgent::start(config(ALICE, registrar.address, Wire::Tcp, access)).await.unwrap();
    alice.register().await.unwrap();
    assert_eq!(registrar.state.lock().unwrap().resynchronised, 1);
    assert_eq!(registrar.count("REGISTER"), 3);
    let foreign = with_sim(SoftwareSim::new([9; 16], opc, 0));
    let bob = UserAgent::start(config(BOB, registrar.address, Wire::Tcp, foreign)).await.unwrap();
    assert_eq!(bob.register().await, Err(SendFailure::Unauthorized));
    assert_eq!(registrar.count("REGISTER"), 4, "a network that does not prove itself gets no answer");
}

#[tokio::test]
async fn a_registration_takes_the_length_that_the_registrar_wants_and_is_renewed() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::Digest("MD5", "auth", "secret")).await;
    registrar.state.lock().unwrap().min_expires = 1200;
    let alice = UserAgent::start(config(ALICE, registrar.address, Wire::Udp, password(ALICE, "secret"))).await.unwrap();
    assert_eq!(alice.register().await, Ok(Duration::from_secs(1200)));
    {
        let mut state = registrar.state.lock().unwrap();
        state.granted = 1;
        state.seen.clear();
    }
    assert_eq!(alice.register().await, Ok(Duration::from_secs(1)));
    until(|| registrar.count("REGISTER") >= 3).await;
    assert!(matches!(alice.registration(), Registration::Until(_)));
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_registered_over() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::Digest("MD5", "auth", "secret")).await;
    let alice = registered(ALICE, &registrar, Wire::Tcp).await;
    let raw = registrar.raw.lock().unwrap().clone().unwrap();
    raw.send(Bytes::new()).unwrap();
    until(|| registrar.state.lock().unwrap().connections == 2 && registrar.count("REGISTER") >= 3).await;
    until(|| matches!(alice.registration(), Registration::Until(_))).await;
    assert_eq!(registrar.state.lock().unwrap().withdrawn, 1, "the contact over the lost connection is taken back");
    let bob = registered(BOB, &registrar, Wire::Tcp).await;
    let receive = async { received(&alice).await.answer(Answer::Accepted) };
    assert_eq!(tokio::join!(bob.message(pager(ALICE, b"x")), receive).0, Ok(Taken::Answered));
}

#[tokio::test]
async fn a_connection_on_which_nobody_answers_is_given_up_for_another() {
    let registrar = FakeRegistrar::start(Listen::Tcp, Auth::Digest("MD5", "auth", "secret")).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(ALICE, listener.local_addr().unwrap(), Wire::Tcp, password(ALICE, "secret"));
    config.timers.answer = Duration::from_millis(300);
    let at = registrar.address;
    // The first connection is a hole; the second leads on.
    let hole = tokio::spawn(async move {
        let (_held, _) = listener.accept().await.unwrap();
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(at).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let alice = UserAgent::start(config).await.unwrap();
    assert_eq!(alice.register().await, Err(SendFailure::NoAnswer));
    until(|| matches!(alice.registration(), Registration::Until(_))).await;
    hole.abort();
}

#[tokio::test]
async fn lost_datagrams_are_sent_again_and_doubled_ones_arrive_once() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    {
        let mut state = registrar.state.lock().unwrap();
        state.swallows = 2;
        state.doubles = true;
    }
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let bob = registered(BOB, &registrar, Wire::Udp).await;
    assert_eq!(exchange(&alice, &bob, b"one", Answer::Accepted).await, Ok(Taken::Answered));
    assert_eq!(exchange(&alice, &bob, b"two", Answer::Accepted).await, Ok(Taken::Answered));
    assert!(registrar.count("MESSAGE") >= 4);
}

#[tokio::test]
async fn no_answer_is_said_to_be_none() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    registrar.state.lock().unwrap().swallows = usize::MAX;
    assert_eq!(alice.message(pager(BOB, b"x")).await, Err(SendFailure::NoAnswer));
}

/// What nobody waits for: a test that ends before has not waited for it.
const TOO_LONG: Duration = Duration::from_secs(60);

/// A user agent that finds no way, and why.
async fn trouble_of(mut config: Config) -> WayTrouble {
    config.timers.connect = TOO_LONG;
    let lost = UserAgent::start(config).await.unwrap();
    assert_eq!(lost.trouble(), None, "nothing was tried yet");
    let asking = async { (lost.register().await, lost.message(pager(BOB, b"x")).await) };
    let (registered, sent) = tokio::time::timeout(TOO_LONG / 4, asking).await.unwrap();
    assert_eq!((registered, sent), (Err(SendFailure::Unreachable), Err(SendFailure::Unreachable)));
    lost.trouble().unwrap()
}

#[tokio::test]
async fn a_carrier_that_cannot_be_reached_is_said_to_be_at_once_and_why() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = config(ALICE, nobody, Wire::Tcp, Access::Register(None));
    assert_eq!(trouble_of(refused.clone()).await, WayTrouble::Refused);
    let (_, trust) = tls();
    assert_eq!(trouble_of(Config { wire: trust.clone(), ..refused.clone() }).await, WayTrouble::Refused);
    for wire in [Wire::Udp, Wire::Tcp, trust] {
        let peer = Peer { host: "carrier.invalid".to_owned(), port: 5060 };
        assert_eq!(trouble_of(Config { wire, peer, ..refused.clone() }).await, WayTrouble::UnknownHost);
    }
}

#[tokio::test]
async fn a_carrier_that_comes_back_is_registered_at_without_being_asked() {
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(ALICE, place, Wire::Tcp, password(ALICE, "secret"));
    // It does not even wait for its own next try.
    config.timers.connect = TOO_LONG;
    let alice = UserAgent::start(config).await.unwrap();
    assert_eq!(alice.register().await, Err(SendFailure::Unreachable));
    let registrar = FakeRegistrar::start_at(place, Listen::Tcp, Auth::Digest("MD5", "auth", "secret")).await;
    until(|| matches!(alice.registration(), Registration::Until(_))).await;
    assert_eq!(alice.trouble(), None);
    assert_eq!(registrar.state.lock().unwrap().connections, 1);
}

#[tokio::test]
async fn a_full_queue_is_answered_with_later() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let mut narrow = config(BOB, registrar.address, Wire::Udp, Access::Register(None));
    narrow.limits = Limits { inbound_max: 1, ..Limits::default() };
    let bob = UserAgent::start(narrow).await.unwrap();
    bob.register().await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let sent = alice.message(pager(BOB, b"first"));
            let answered = async {
                until(|| registrar.count("MESSAGE") >= 2).await;
                received(&bob).await.answer(Answer::Accepted);
            };
            tokio::join!(sent, answered).0
        },
        async {
            until(|| registrar.count("MESSAGE") == 1).await;
            alice.message(pager(BOB, b"second")).await
        }
    );
    assert_eq!(first, Ok(Taken::Answered));
    assert_eq!(second, Err(SendFailure::Busy { retry_after: Some(5) }));
}

#[tokio::test]
async fn a_device_tells_what_it_can_do() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let mut able = config(BOB, registrar.address, Wire::Udp, Access::Register(None));
    able.feature_tags = vec!["+g.rcseal.frame=\"1\"".to_owned(), "+g.oma.sip-im".to_owned()];
    able.instance = Some([3; 16]);
    let bob = UserAgent::start(able).await.unwrap();
    bob.register().await.unwrap();
    let told = alice.options(&number(BOB)).await.unwrap();
    assert_eq!(told.contacts.len(), 1);
    assert!(told.contacts[0].contains(&"+g.rcseal.frame=\"1\"".to_owned()));
    assert!(told.contacts[0].contains(&"+g.oma.sip-im".to_owned()));
    assert_eq!(alice.options(&number("+15551230009")).await, Err(SendFailure::NotFound));
}
