//! Reports and messages: answered once somebody has them, and known again.

use rcseal_carrier::sms::ReportState;
use rcseal_carrier::sms::smpp::Config;

use super::*;

const RECEIPT: u8 = 0x04;

fn receipt(sequence: u32, id: &str, state: &str) -> Vec<u8> {
    deliver(sequence, RECEIPT, 0, format!("id:{id} sub:001 dlvrd:001 stat:{state} err:000 text:x").as_bytes())
}

#[tokio::test]
async fn a_delivery_is_answered_once_somebody_has_it_and_comes_again_otherwise() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    conversation.write(&deliver(1, 0, 0, b"hello")).await;
    drop(timeout(PATIENCE, client.receive()).await.unwrap().unwrap());
    let later = conversation.read().await.unwrap();
    assert_eq!((later.id, later.status, later.sequence), (DELIVER | ANSWER, 0x64, 1));
    conversation.write(&deliver(2, 0, 0, b"hello")).await;
    let message = timeout(PATIENCE, client.receive()).await.unwrap().unwrap().accept();
    assert_eq!((message.text.as_str(), message.from.as_str()), ("hello", "+4915112345678"));
    assert_eq!(message.to_number().unwrap().as_str(), "+491700000000");
    let done = conversation.read().await.unwrap();
    assert_eq!((done.status, done.sequence), (0, 2));
}

#[tokio::test]
async fn more_than_is_waited_for_is_told_to_come_later() {
    let smsc = Smsc::start().await;
    let mut config = smsc.config();
    config.limits.waiting_max = 3;
    let client = start(config);
    let mut conversation = smsc.bound().await;
    for sequence in 1..=10 {
        conversation.write(&deliver(sequence, 0, 0, b"hello")).await;
    }
    for sequence in 4..=10 {
        let answer = conversation.read().await.unwrap();
        assert_eq!((answer.status, answer.sequence), (0x64, sequence));
    }
    for _ in 0..3 {
        let _message = timeout(PATIENCE, client.receive()).await.unwrap().unwrap().accept();
        assert_eq!(conversation.read().await.unwrap().status, 0);
    }
}

#[tokio::test]
async fn a_receipt_right_behind_the_answer_finds_its_message() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sent = submit(&client, &"and so on, ".repeat(30));
    for part in ["a", "b", "c"] {
        let question = conversation.submission().await;
        let answer = pdu(SUBMIT | ANSWER, 0, question.sequence, format!("{part}\0").as_bytes());
        conversation.write(&[answer, receipt(question.sequence, part, "DELIVRD")].concat()).await;
        if part != "c" {
            assert_eq!(conversation.read().await.unwrap().status, 0);
        }
    }
    let submitted = sent.await.unwrap().unwrap();
    assert_eq!((submitted.segments, submitted.gateway_id.as_str()), (3, "a"));
    let report = timeout(PATIENCE, client.next_report()).await.unwrap().unwrap().accept();
    assert_eq!((report.gateway_id, report.state, report.error), (submitted.gateway_id, ReportState::Delivered, None));
}

#[tokio::test]
async fn receipts_of_a_long_message_are_one_report_also_after_a_restart() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sent = submit(&client, &"and so on, ".repeat(30));
    for part in ["a", "b", "c"] {
        let question = conversation.submission().await;
        conversation.answer(&question, 0, part).await;
    }
    let submitted = sent.await.unwrap().unwrap();
    drop(conversation);
    drop(client);
    let client = start(smsc.config());
    client.expect_receipts(&submitted);
    let mut conversation = smsc.bound().await;
    for (sequence, part) in [(1, "c"), (2, "a")] {
        conversation.write(&receipt(sequence, part, "DELIVRD")).await;
        assert_eq!(conversation.read().await.unwrap().status, 0);
    }
    conversation.write(&receipt(3, "b", "UNDELIV")).await;
    let report = timeout(PATIENCE, client.next_report()).await.unwrap().unwrap().accept();
    assert_eq!((report.gateway_id.as_str(), report.state), ("a", ReportState::Undeliverable));
}

#[tokio::test]
async fn a_text_that_looks_like_a_receipt_is_a_message() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    conversation.write(&deliver(1, 0, 0, b"id:a stat:DELIVRD err:000 text:")).await;
    let message = timeout(PATIENCE, client.receive()).await.unwrap().unwrap().accept();
    assert!(message.text.starts_with("id:a stat:DELIVRD"));
    assert_eq!(client.status().receipts, 0);
}

#[tokio::test]
async fn segments_are_one_message_and_the_last_is_answered_when_somebody_has_it() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let segment = |sequence: u32, part: u8, words: &[u8]| {
        deliver(sequence, 0x40, 0, &[&[5, 0, 3, 0xaa, 2, part][..], words].concat())
    };
    conversation.write(&segment(1, 2, b"world")).await;
    assert_eq!(conversation.read().await.unwrap().status, 0);
    conversation.write(&segment(2, 1, b"hello, ")).await;
    drop(timeout(PATIENCE, client.receive()).await.unwrap().unwrap());
    assert_eq!(conversation.read().await.unwrap().status, 0x64);
    conversation.write(&segment(3, 1, b"hello, ")).await;
    assert_eq!(timeout(PATIENCE, client.receive()).await.unwrap().unwrap().accept().text, "hello, world");
    assert_eq!(conversation.read().await.unwrap().status, 0);
}

#[tokio::test]
async fn an_smsc_with_another_default_alphabet_is_understood_and_given_nothing_ambiguous() {
    use rcseal_carrier::sms::smpp::DefaultAlphabet;
    let smsc = Smsc::start().await;
    let client = start(Config { default_alphabet: DefaultAlphabet::Latin1, ..smsc.config() });
    let mut conversation = smsc.bound().await;
    conversation.write(&deliver(1, 0, 0, b"caf\xe9")).await;
    assert_eq!(timeout(PATIENCE, client.receive()).await.unwrap().unwrap().accept().text, "café");
    conversation.read().await.unwrap();
    for (words, coding) in [("plain words.", 0), ("at @ home", 8), ("café", 8)] {
        let sent = submit(&client, words);
        let question = conversation.submission().await;
        let octets = if coding == 0 { words.len() } else { words.chars().count() * 2 };
        let fields = &question.body[question.body.len() - octets - 3..][..2];
        assert_eq!(fields[0], coding, "{words}");
        conversation.answer(&question, 0, "id").await;
        sent.await.unwrap().unwrap();
    }
}
