//! SMSCs that send what none should: nothing of it costs more than the connection.

use rcseal_carrier::sms::smpp::Config;
use rcseal_carrier::tls::TrustAnchors;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What a hostile SMSC writes once it has bound us; each of it ends the connection.
async fn ends_the_connection(bytes: &[u8], config: impl FnOnce(&mut Config)) {
    let smsc = Smsc::start().await;
    let mut own = smsc.config();
    config(&mut own);
    let client = start(own);
    let mut conversation = smsc.bound().await;
    conversation.write(bytes).await;
    conversation.until_end().await;
    let _again = smsc.bound().await;
    until(|| client.status().connections == 2).await;
}

#[tokio::test]
async fn a_length_out_of_bounds_ends_the_connection_before_anything_is_held() {
    ends_the_connection(&[0, 0, 0, 15], |_| {}).await;
    ends_the_connection(&[0xff, 0xff, 0xff, 0xff], |_| {}).await;
    ends_the_connection(&(68_u32 << 10 | 1).to_be_bytes(), |_| {}).await;
}

#[tokio::test]
async fn a_pdu_that_never_ends_ends_the_connection() {
    ends_the_connection(&[0, 0, 0, 200, 0, 0], |config| config.timers.stall = Duration::from_millis(50)).await;
}

#[tokio::test]
async fn silence_ends_the_connection_once_nobody_answers() {
    let smsc = Smsc::start().await;
    let mut config = smsc.config();
    config.timers.enquire = Duration::from_millis(40);
    let client = start(config);
    let mut conversation = smsc.bound().await;
    // As long as the SMSC answers, the connection stays.
    for _ in 0..3 {
        let question = conversation.read().await.unwrap();
        assert_eq!(question.id, ENQUIRE);
        conversation.answer(&question, 0, "").await;
    }
    assert_eq!(conversation.read().await.unwrap().id, ENQUIRE);
    conversation.until_end().await;
    let _again = smsc.bound().await;
    until(|| client.status().connections == 2).await;
}

#[tokio::test]
async fn an_smsc_that_asks_and_does_not_read_loses_its_connection() {
    let smsc = Smsc::start().await;
    let mut config = smsc.config();
    config.limits.write_queue_max = 64;
    config.timers.stall = Duration::from_secs(60);
    let client = start(config);
    let conversation = smsc.bound().await;
    client.bound(PATIENCE).await.unwrap();
    // More questions than the two buffers between us and a queue of 64 hold answers for.
    let question = pdu(ENQUIRE, 0, 1, b"");
    let many: Vec<u8> = question.iter().copied().cycle().take(question.len() * 4096).collect();
    let (mut reader, mut writer) = conversation.0.into_split();
    let flooding = tokio::spawn(async move { while writer.write_all(&many).await.is_ok() {} });
    until_lost(&client, 1).await;
    flooding.abort();
    let _ = reader.read(&mut [0; 1]).await;
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_counted_and_change_nothing() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sent = submit(&client, "hello");
    let question = conversation.submission().await;
    for wrong in [question.sequence + 1, 0, u32::MAX] {
        conversation.write(&pdu(SUBMIT | ANSWER, 0, wrong, b"forged\0")).await;
    }
    conversation.write(&pdu(ANSWER, 3, 0, b"")).await;
    conversation.write(&pdu(0x8000_0103, 0, question.sequence, b"x\0")).await;
    conversation.answer(&question, 0, "true").await;
    assert_eq!(sent.await.unwrap().unwrap().gateway_id.as_str(), "true");
    assert_eq!(client.status().unasked, 5);
}

#[tokio::test]
async fn what_is_not_understood_is_answered_so() {
    let smsc = Smsc::start().await;
    let _client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    // A command that no gateway has, a delivery with a body that lies, one in an alphabet of pictures, a receipt that says nothing.
    let mut lying = deliver(3, 0, 0, b"words");
    let len = lying.len();
    lying[len - 6] = 200;
    let cases = [
        (pdu(0x77, 0, 2, b"what"), (ANSWER, 3)),
        (lying, (DELIVER | ANSWER, 0x65)),
        (deliver(4, 0, 9, b"\x01\x02"), (DELIVER | ANSWER, 0x65)),
        (deliver(5, 0x40, 0, b"\xff\x00"), (DELIVER | ANSWER, 0x65)),
        (deliver(6, 0x04, 0, b"nothing at all"), (DELIVER | ANSWER, 0)),
    ];
    for (bytes, expected) in cases {
        conversation.write(&bytes).await;
        let answer = conversation.read().await.unwrap();
        assert_eq!((answer.id, answer.status), expected);
    }
}

#[tokio::test]
async fn an_smsc_that_wants_to_part_is_let_go_and_asked_again() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    conversation.write(&pdu(UNBIND, 0, 9, b"")).await;
    conversation.until_end().await;
    let _again = smsc.bound().await;
    until(|| client.status().connections == 2).await;
}

#[tokio::test]
async fn a_stranger_who_is_no_smsc_is_tried_again_and_believed_nothing() {
    let smsc = Smsc::start().await;
    let mut config = smsc.config();
    config.timers.connect = Duration::from_millis(100);
    let client = start(config);
    smsc.accept().await.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    smsc.accept().await.write(&pdu(SUBMIT | ANSWER, 0, 1, b"x\0")).await;
    let silent = smsc.accept().await;
    let _bound = smsc.bound().await;
    drop(silent);
    until(|| client.status().link == LinkState::Bound).await;
    assert_eq!(client.status().connections, 1);
}

#[tokio::test]
async fn with_authorities_the_smsc_shows_a_certificate_of_theirs() {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let smsc = Smsc::start().await;
    let trusting =
        |pem: String| Config { trust: Some(TrustAnchors::from_pem(pem.as_bytes()).unwrap()), ..smsc.config() };
    let wary = start(trusting(other.cert.pem()));
    let (stream, _) = smsc.0.accept().await.unwrap();
    assert!(acceptor.accept(stream).await.is_err());
    wary.close().await;
    let client = start(trusting(key.cert.pem()));
    // The wary one may have tried once more before it was closed.
    let mut tls = loop {
        let (stream, _) = smsc.0.accept().await.unwrap();
        if let Ok(tls) = acceptor.accept(stream).await {
            break tls;
        }
    };
    let mut bind = [0; 16 + 3 + 7 + 5];
    tls.read_exact(&mut bind).await.unwrap();
    tls.write_all(&pdu(BIND_TRANSCEIVER | ANSWER, 0, 1, b"fake\0")).await.unwrap();
    client.bound(PATIENCE).await.unwrap();
}
