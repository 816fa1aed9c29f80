//! A carrier between two phones: what its steps do to what passes, and whether a frame survives it.

use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::host::HostStack;
use rcseal_carrier::transport::{Answer, Inbound, Transport};
use rcseal_rcs::chat;
use rcseal_rcs::frame::{self, Assembly, AssemblyLimits, FrameId, Kind, Progress};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{
    Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Sender, Taken, TransportProfile,
};
use rcseal_sim::carrier::{Origin, SimCarrier};
use rcseal_sim::data::{Expectation, World, parse_carriers};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

fn numbers() -> (PhoneNumber, PhoneNumber) {
    ("+14155550101".parse().unwrap(), "+14155550102".parse().unwrap())
}

struct Pair {
    carrier: Arc<SimCarrier>,
    alice: Arc<HostStack>,
    bob: Arc<HostStack>,
}

fn pair(profile: &str) -> Pair {
    let carrier = SimCarrier::new(World::load().unwrap().carrier(profile).unwrap().clone(), 7);
    joined(carrier)
}

/// A carrier with these steps and nothing else.
fn with_steps(steps: &str) -> Pair {
    let text =
        format!("[[carrier]]\nname = \"a\"\nwhat = \"b\"\npatience_ms = 1\nexpect = \"either\"\nsteps = [{steps}]\n");
    joined(SimCarrier::new(parse_carriers(&text).unwrap().remove(0), 7))
}

fn joined(carrier: Arc<SimCarrier>) -> Pair {
    let (alice, bob) = numbers();
    let (alice, bob) = (carrier.attach(&alice), carrier.attach(&bob));
    Pair { carrier, alice, bob }
}

fn id(n: u8) -> CarrierMessageId {
    CarrierMessageId::from_random([n; 16])
}

fn message(n: u8, carriage: Carriage) -> CarrierMessage {
    let receipts = ReceiptRequest { delivered: true, failed: true, displayed: false };
    CarrierMessage { to: numbers().1, id: id(n), receipts, carriage }
}

fn text(n: u8, text: &str) -> CarrierMessage {
    let carriage = Carriage::Verbatim {
        headers: Vec::new(),
        content_type: chat::TEXT_CONTENT_TYPE.to_owned(),
        body: text.as_bytes().to_vec(),
    };
    message(n, carriage)
}

/// What arrived: as it was, after it was answered.
struct Arrived {
    from: Sender,
    content_type: String,
    content_encoding: Option<String>,
    body: Vec<u8>,
}

impl Arrived {
    fn inner(&self) -> String {
        let body = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        body.splitn(3, "\n\n").nth(2).unwrap_or_default().to_owned()
    }
}

fn take(inbound: Inbound, answer: Answer) -> Arrived {
    let arrived = Arrived {
        from: inbound.from.clone(),
        content_type: inbound.content_type.clone(),
        content_encoding: inbound.content_encoding.clone(),
        body: inbound.body.clone(),
    };
    inbound.answer(answer);
    arrived
}

/// Everything that arrives at a phone, answered as it comes.
fn listen(stack: Arc<HostStack>) -> tokio::sync::mpsc::UnboundedReceiver<Arrived> {
    let (out, arrived) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(inbound) = stack.receive().await {
            if out.send(take(inbound, Answer::Accepted)).is_err() {
                return;
            }
        }
    });
    arrived
}

async fn next(arrived: &mut tokio::sync::mpsc::UnboundedReceiver<Arrived>) -> Arrived {
    timeout(LIMIT, arrived.recv()).await.unwrap().unwrap()
}

/// Sends one text through these steps.
async fn through(steps: &str, words: &str) -> (Result<Taken, SendFailure>, Option<Arrived>) {
    let pair = with_steps(steps);
    let mut arrived = listen(Arc::clone(&pair.bob));
    let told = pair.alice.send(text(1, words)).await;
    (told, arrived.try_recv().ok())
}

#[tokio::test]
async fn the_clean_carrier_changes_nothing_and_records_everything() {
    let pair = pair("clean");
    let mut arrived = listen(Arc::clone(&pair.bob));
    let mut told = pair.carrier.subscribe();
    assert_eq!(pair.alice.send(text(1, "words that pass")).await, Ok(Taken::Answered));
    let arrived = next(&mut arrived).await;
    assert_eq!((arrived.content_type.as_str(), arrived.inner().as_str()), ("message/cpim", "words that pass"));
    assert!(matches!(&arrived.from, Sender::Asserted(number) if *number == numbers().0));
    let record = pair.carrier.record();
    assert_eq!((record.len(), record[0].origin), (1, Origin::Phone));
    assert_eq!(record[0].passed_on, [record[0].handed_in.clone()]);
    assert_eq!(told.try_recv().unwrap().number, 1);
    assert!(pair.carrier.could_read(b"words that pass") && !pair.carrier.could_read(b"other words"));
}

#[tokio::test]
async fn what_the_far_phone_answers_is_what_the_sender_is_told() {
    for (answer, told) in [
        (Answer::Accepted, Ok(Taken::Answered)),
        (Answer::UnsupportedMedia, Err(SendFailure::UnsupportedMedia)),
        (Answer::TooLarge, Err(SendFailure::TooLarge)),
        (Answer::TryLater, Err(SendFailure::Busy { retry_after: None })),
        (Answer::Malformed, Err(SendFailure::Refused { status: 400 })),
    ] {
        let pair = pair("clean");
        let (sent, ()) = tokio::join!(pair.alice.send(text(1, "a")), async {
            take(pair.bob.receive().await.unwrap(), answer);
        });
        assert_eq!(sent, told);
    }
}

#[tokio::test]
async fn headers_are_stripped_and_renamed() {
    let (_, arrived) = through("\"strip_headers\"", "a").await;
    let bytes = String::from_utf8(arrived.unwrap().body).unwrap();
    assert!(!bytes.to_ascii_lowercase().contains("message-id") && bytes.contains("From: "), "{bytes}");
    let (_, arrived) = through("{ rename_headers = { prefix = \"zz\" } }", "a").await;
    let arrived = arrived.unwrap();
    let bytes = String::from_utf8(arrived.body.clone()).unwrap();
    assert!(bytes.contains("NS: zz0 <urn:ietf:params:imdn>") && bytes.contains("zz0.MESSAGE-ID: "), "{bytes}");
    // By namespace and without regard to case, the id is still there.
    let unwrapped = chat::unwrap(&arrived.content_type, None, &arrived.body).unwrap();
    assert_eq!(unwrapped.id, Some(id(1)));
}

#[tokio::test]
async fn types_line_ends_and_surroundings_are_rewritten() {
    let (_, arrived) = through("{ retype = { to = \"text/html\", at = \"both\" } }", "a").await;
    let arrived = arrived.unwrap();
    assert_eq!(arrived.content_type, "text/html");
    assert!(String::from_utf8(arrived.body).unwrap().contains("Content-Type: text/html\r\n"));
    let (_, arrived) = through("{ crlf_to_lf = { at = \"everything\" } }", "a\r\nb").await;
    assert!(!arrived.unwrap().body.contains(&b'\r'));
    let (_, arrived) = through("{ crlf_to_lf = { at = \"body\" } }", "a\r\nb").await;
    let bytes = arrived.unwrap().body;
    assert!(bytes.ends_with(b"\r\n\r\na\nb"), "{}", String::from_utf8_lossy(&bytes));
    let (_, arrived) = through("{ surround = { before = \"<<\", behind = \">>\", at = \"body\" } }", "a").await;
    assert_eq!(arrived.unwrap().inner(), "<<a>>");
    let (_, arrived) = through("{ surround = { before = \"<<\", behind = \">>\", at = \"everything\" } }", "a").await;
    let bytes = arrived.unwrap().body;
    assert!(bytes.starts_with(b"<<From") && bytes.ends_with(b"a>>"));
}

#[tokio::test]
async fn text_is_quoted_wrapped_and_set_by_typographers() {
    let (_, arrived) = through("{ quote_and_wrap = { columns = 4, quote = \"> \" } }", "abcdefg").await;
    assert_eq!(arrived.unwrap().inner(), "> abcd\n> efg\n");
    let (_, arrived) = through("{ typography = { every = 4 } }", "abcdef 1/2").await;
    assert_eq!(arrived.unwrap().inner(), "\u{feff}\u{ff41}\u{200b}bcd\u{ff45}\u{200b}f \u{bd}");
}

#[tokio::test]
async fn a_message_becomes_a_multipart_or_is_compressed() {
    let (_, arrived) = through("{ multipart = { transfer = \"binary\" } }", "words inside").await;
    let arrived = arrived.unwrap();
    assert!(arrived.content_type.starts_with("multipart/mixed;boundary="));
    assert!(String::from_utf8(arrived.body).unwrap().contains("words inside"));
    let long = "x=".repeat(100);
    let (_, arrived) = through("{ multipart = { transfer = \"quoted_printable\" } }", &long).await;
    let bytes = String::from_utf8(arrived.unwrap().body).unwrap();
    assert!(bytes.contains("x=3Dx=3D") && bytes.contains("=\r\n") && !bytes.contains(&long));
    let (_, arrived) = through("\"deflate\"", "words inside").await;
    let arrived = arrived.unwrap();
    assert_eq!(arrived.content_encoding.as_deref(), Some("deflate"));
    let unwrapped = chat::unwrap(&arrived.content_type, arrived.content_encoding.as_deref(), &arrived.body).unwrap();
    assert!(matches!(unwrapped.content, chat::Content::Body { body, .. } if body == b"words inside"));
}

#[tokio::test]
async fn what_is_compressed_or_in_base64_is_readable_to_the_carrier() {
    let pair = pair("clean");
    let _arrived = listen(Arc::clone(&pair.bob));
    pair.alice.send(text(1, "ZGVlcCBzZWNyZXQgd29yZHM=")).await.unwrap();
    assert!(pair.carrier.could_read(b"deep secret words"));
}

#[tokio::test]
async fn bodies_are_cut_corrupted_and_segmented() {
    let (_, arrived) = through("{ truncate = { keep = 3 } }", "abcdef").await;
    assert_eq!(arrived.unwrap().inner(), "abc");
    let (_, arrived) = through("{ corrupt = { one_in = 1000 } }", "abcdef").await;
    let inner = arrived.unwrap().body;
    let inner = &inner[inner.len() - 6..];
    let flipped: u32 = inner.iter().zip(b"abcdef").map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(flipped, 1);
    let pair = with_steps("{ segment = { bytes = 4 } }");
    let mut arrived = listen(Arc::clone(&pair.bob));
    pair.alice.send(text(1, "abcdefghij")).await.unwrap();
    for piece in ["abcd", "efgh", "ij"] {
        assert_eq!(next(&mut arrived).await.inner(), piece);
    }
}

#[tokio::test]
async fn messages_are_repeated_at_once_and_later() {
    let pair = with_steps("{ duplicate = { copies = 2 } }, { repeat_later = { hold_ms = 20 } }");
    let mut arrived = listen(Arc::clone(&pair.bob));
    pair.alice.send(text(1, "again")).await.unwrap();
    for _ in 0..4 {
        assert_eq!(next(&mut arrived).await.inner(), "again");
    }
}

#[tokio::test]
async fn every_second_message_is_overtaken_by_the_next() {
    let pair = with_steps("{ reorder = { hold_ms = 5000 } }");
    let mut arrived = listen(Arc::clone(&pair.bob));
    for n in 1..=3 {
        assert_eq!(pair.alice.send(text(n, &n.to_string())).await, Ok(Taken::Answered));
    }
    for expected in ["1", "3", "2"] {
        assert_eq!(next(&mut arrived).await.inner(), expected);
    }
}

#[tokio::test]
async fn refusals_have_the_carriers_status() {
    for (status, failure) in [
        (403, SendFailure::Refused { status: 403 }),
        (404, SendFailure::NotFound),
        (415, SendFailure::UnsupportedMedia),
        (513, SendFailure::TooLarge),
        (503, SendFailure::Busy { retry_after: None }),
        (407, SendFailure::Unauthorized),
    ] {
        let (told, arrived) = through(&format!("{{ refuse = {{ status = {status} }} }}"), "a").await;
        assert_eq!(told, Err(failure));
        assert!(arrived.is_none());
    }
    let above = "{ refuse_above = { bytes = 1300, status = 513 } }";
    assert_eq!(through(above, "short").await.0, Ok(Taken::Answered));
    assert_eq!(through(above, &"x".repeat(1300)).await.0, Err(SendFailure::TooLarge));
    let types = "{ refuse_types = { accept = [\"text/html\"], status = 415 } }";
    assert_eq!(through(types, "a").await.0, Err(SendFailure::UnsupportedMedia));
    let types = "{ refuse_types = { accept = [\"Text/Plain\"], status = 415 } }";
    assert_eq!(through(types, "a").await.0, Ok(Taken::Answered));
}

#[tokio::test]
async fn dropped_messages_are_answered_as_the_profile_says() {
    for (answer, told) in [("ok", Ok(Taken::Answered)), ("nothing", Err(SendFailure::NoAnswer))] {
        let (is_told, arrived) = through(&format!("{{ drop = {{ answer = \"{answer}\" }} }}"), "a").await;
        assert_eq!(is_told, told);
        assert!(arrived.is_none());
        let above = format!("{{ drop_above = {{ bytes = 800, answer = \"{answer}\" }} }}");
        assert_eq!(through(&above, "a").await.0, Ok(Taken::Answered));
        let (is_told, arrived) = through(&above, &"x".repeat(1000)).await;
        assert_eq!(is_told, told);
        assert!(arrived.is_none());
    }
}

#[tokio::test]
async fn a_store_answers_202_and_delivers_changed_when_the_phone_is_back() {
    let pair = pair("store_and_forward");
    let mut arrived = listen(Arc::clone(&pair.bob));
    pair.carrier.set_online(&numbers().1, false);
    assert_eq!(pair.alice.send(text(1, "for later")).await, Ok(Taken::Stored));
    pair.carrier.set_online(&numbers().1, true);
    let arrived = next(&mut arrived).await;
    assert_eq!(arrived.content_type, "text/plain");
    assert!(arrived.body.starts_with(b"[Offline message"));
}

#[tokio::test]
async fn a_phone_that_is_away_is_not_found_and_sends_nothing() {
    let pair = pair("clean");
    pair.carrier.set_online(&numbers().1, false);
    assert_eq!(pair.alice.send(text(1, "a")).await, Err(SendFailure::NotFound));
    assert_eq!(pair.alice.capabilities(&numbers().1).await, Err(SendFailure::NotFound));
    pair.carrier.set_online(&numbers().0, false);
    assert_eq!(pair.alice.send(text(1, "a")).await, Err(SendFailure::Unreachable));
}

#[tokio::test]
async fn a_late_message_arrives_after_its_sender_was_told_nothing() {
    let pair = with_steps("{ late = { hold_ms = 30 } }");
    let mut arrived = listen(Arc::clone(&pair.bob));
    assert_eq!(pair.alice.send(text(1, "late")).await, Err(SendFailure::NoAnswer));
    assert_eq!(next(&mut arrived).await.inner(), "late");
}

#[tokio::test]
async fn the_sender_is_hidden() {
    let (_, arrived) = through("\"anonymous\"", "a").await;
    let arrived = arrived.unwrap();
    assert_eq!(arrived.from, Sender::Anonymous);
    assert!(!String::from_utf8(arrived.body).unwrap().contains(&numbers().0.as_str()[1..]));
}

#[tokio::test]
async fn receipts_and_messages_are_made_up() {
    let pair = with_steps("\"forge_receipts\", { drop = { answer = \"ok\" } }");
    let mut to_alice = listen(Arc::clone(&pair.alice));
    pair.alice.send(text(9, "a")).await.unwrap();
    for word in ["<delivered/>", "<displayed/>"] {
        let receipt = String::from_utf8(next(&mut to_alice).await.body).unwrap();
        assert!(receipt.contains(id(9).as_str()), "{receipt}");
        assert!(receipt.contains(word), "{receipt}");
    }
    assert_eq!(pair.carrier.record().iter().filter(|seen| seen.origin == Origin::Carrier).count(), 2);
    let pair = with_steps("{ inject = { text = \"trust me\" } }");
    let mut to_bob = listen(Arc::clone(&pair.bob));
    pair.alice.send(text(1, "a")).await.unwrap();
    next(&mut to_bob).await;
    assert_eq!(next(&mut to_bob).await.inner(), "trust me");
    // What the carrier itself says is no secret that it read.
    assert!(!pair.carrier.could_read(b"trust me"));
}

#[tokio::test]
async fn capabilities_are_answered_as_the_profile_says() {
    let tags = |answer: Result<rcseal_carrier::transport::CarrierCapabilities, SendFailure>| {
        answer.map(|answer| answer.contacts.concat().iter().any(|tag| tag.contains("+g.rcseal.frame")))
    };
    for (profile, ours, standard) in [
        ("clean", Ok(true), Ok(false)),
        ("strip_capabilities", Ok(false), Ok(false)),
        ("forge_capabilities", Ok(true), Ok(true)),
        ("not_found", Err(SendFailure::NotFound), Err(SendFailure::NotFound)),
        ("silent", Err(SendFailure::NoAnswer), Err(SendFailure::NoAnswer)),
    ] {
        let pair = pair(profile);
        assert_eq!(tags(pair.alice.capabilities(&numbers().1).await), ours, "{profile}");
        let legacy: PhoneNumber = "+14155550199".parse().unwrap();
        let _phone = pair.carrier.attach_standard(&legacy);
        assert_eq!(tags(pair.alice.capabilities(&legacy).await), standard, "{profile}");
    }
}

#[tokio::test]
async fn a_standard_phone_shows_text_refuses_frames_and_sends_receipts() {
    let carrier = SimCarrier::new(World::load().unwrap().carrier("clean").unwrap().clone(), 7);
    let (a, b) = numbers();
    let alice = carrier.attach(&a);
    let phone = carrier.attach_standard(&b);
    let mut to_alice = listen(Arc::clone(&alice));
    assert_eq!(alice.send(text(3, "hello")).await, Ok(Taken::Answered));
    let shown = phone.shown().borrow().clone();
    assert_eq!((shown[0].from.as_ref(), shown[0].text.as_str()), (Some(&a), "hello"));
    let receipt = String::from_utf8(next(&mut to_alice).await.body).unwrap();
    assert!(receipt.contains("<delivered/>") && receipt.contains(id(3).as_str()), "{receipt}");
    let frame = message(4, Carriage::Framed { is_text: false, bytes: vec![1, 2, 3] });
    assert_eq!(alice.send(frame).await, Err(SendFailure::UnsupportedMedia));
    assert_eq!(phone.send_text(&a, "hello back").await, Ok(Taken::Answered));
    assert_eq!(next(&mut to_alice).await.inner(), "hello back");
}

/// The parts of a blob through a carrier, and whether what arrives is the blob.
async fn survives(profile: &str) -> bool {
    let pair = pair(profile);
    let mut arrived = listen(Arc::clone(&pair.bob));
    let blob: Vec<u8> = (0..5000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let transport: TransportProfile = pair.alice.profile();
    let parts = frame::split(Kind::Envelope, FrameId::from_bytes([3; 16]), &blob, &transport).unwrap();
    for (n, part) in parts.iter().enumerate() {
        let mut carriage = part.carriage(&transport);
        let mut told = pair.alice.send(message(n as u8, carriage)).await;
        if told == Err(SendFailure::UnsupportedMedia) {
            carriage = Carriage::Framed { is_text: true, bytes: part.to_text().into_bytes() };
            told = pair.alice.send(message(n as u8, carriage)).await;
        }
        if told.is_err() {
            return false;
        }
    }
    let mut assembly = Assembly::new(AssemblyLimits::default());
    // Ends by itself where nothing more can come: what was answered has arrived, and delays are short.
    while let Ok(Some(next)) = timeout(Duration::from_millis(400), arrived.recv()).await {
        let Arrived { content_type, content_encoding, body, .. } = next;
        for part in frame::find_in(Some(&content_type), content_encoding.as_deref(), &body).parts {
            if let Ok(Progress::Complete(whole)) = assembly.add(part, 0) {
                assert_eq!(whole.bytes, blob, "{profile}");
                return true;
            }
        }
    }
    false
}

#[tokio::test]
async fn a_frame_survives_exactly_the_carriers_that_say_so() {
    for carrier in World::load().unwrap().carriers {
        let is_there = survives(&carrier.name).await;
        match carrier.expect {
            Expectation::Native => assert!(is_there, "{}", carrier.name),
            // What comes late has survived and was of no use.
            Expectation::Relayed => assert!(!is_there, "{}", carrier.name),
            Expectation::Either => {}
        }
    }
}
