//! Connections that break, answers that do not come, an SMSC that is asked too fast: what is said of a message, and that none goes twice.

use rcseal_carrier::sms::smpp::{BindMode, Config, StartError};

use super::*;

#[tokio::test]
async fn what_was_in_flight_at_a_break_is_unconfirmed_and_never_sent_again() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut first = smsc.bound().await;
    let (one, two) = (submit(&client, "one"), submit(&client, "two"));
    let answered = first.submission().await;
    let _silent = first.submission().await;
    first.answer(&answered, 0, "id-1").await;
    until(|| client.status().taken == 1).await;
    drop(first);
    let mut outcomes = [one.await.unwrap(), two.await.unwrap()];
    outcomes.sort_by_key(Result::is_err);
    assert_eq!(outcomes[0].as_ref().unwrap().gateway_id.as_str(), "id-1");
    assert_eq!(outcomes[1], Err(SendFailure::NoAnswer));
    // On the new connection comes what is new, and nothing else.
    let mut second = smsc.bound().await;
    let three = submit(&client, "three");
    let next = second.submission().await;
    assert!(next.body.ends_with(b"\x05three"));
    second.answer(&next, 0, "id-3").await;
    assert_eq!(three.await.unwrap().unwrap().gateway_id.as_str(), "id-3");
    assert_eq!((client.status().connections, client.status().unconfirmed), (2, 1));
}

#[tokio::test]
async fn what_waits_for_its_turn_never_left_and_goes_when_there_is_a_connection_again() {
    let smsc = Smsc::start().await;
    let client = start(Config { window: 1, ..smsc.config() });
    let mut first = smsc.bound().await;
    let one = submit(&client, "in flight");
    first.submission().await;
    let two = submit(&client, "waiting");
    drop(first);
    assert_eq!(one.await.unwrap(), Err(SendFailure::NoAnswer));
    let mut second = smsc.bound().await;
    let next = second.submission().await;
    assert!(next.body.ends_with(b"waiting"));
    second.answer(&next, 0, "id").await;
    assert!(two.await.unwrap().is_ok());
}

#[tokio::test]
async fn no_connection_is_no_answer_to_nothing() {
    let smsc = Smsc::start().await;
    let mut config = smsc.config();
    drop(smsc);
    config.timers.patience = Duration::from_millis(50);
    let client = start(config);
    assert_eq!(client.submit(message("hello")).await, Err(SendFailure::Unreachable));
    assert_eq!(client.status().unconfirmed, 0);
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_the_message_unconfirmed_and_one_that_comes_late_is_nobodys() {
    let smsc = Smsc::start().await;
    let mut config = smsc.config();
    config.timers.answer = Duration::from_millis(50);
    let client = start(config);
    let mut conversation = smsc.bound().await;
    let one = submit(&client, "one");
    let late = conversation.submission().await;
    assert_eq!(one.await.unwrap(), Err(SendFailure::NoAnswer));
    assert_eq!(client.status().in_flight, 0);
    conversation.answer(&late, 0, "late").await;
    let two = submit(&client, "two");
    let next = conversation.submission().await;
    assert_ne!(next.sequence, late.sequence);
    conversation.answer(&next, 0, "id-2").await;
    assert_eq!(two.await.unwrap().unwrap().gateway_id.as_str(), "id-2");
    assert_eq!(client.status().unasked, 1);
}

#[tokio::test]
async fn answers_are_matched_by_number_and_not_by_order() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sending = [submit(&client, "first"), submit(&client, "second")];
    let mut asked = [conversation.submission().await, conversation.submission().await];
    asked.reverse();
    for question in &asked {
        let words = String::from_utf8_lossy(&question.body).into_owned();
        conversation.answer(question, 0, if words.ends_with("first") { "of-first" } else { "of-second" }).await;
    }
    let [first, second] = sending;
    assert_eq!(first.await.unwrap().unwrap().gateway_id.as_str(), "of-first");
    assert_eq!(second.await.unwrap().unwrap().gateway_id.as_str(), "of-second");
}

#[tokio::test]
async fn the_window_holds_back_and_says_busy_when_patience_ends() {
    let smsc = Smsc::start().await;
    let mut config = Config { window: 2, ..smsc.config() };
    config.timers.patience = Duration::from_millis(100);
    let client = start(config);
    let mut conversation = smsc.bound().await;
    let held = [submit(&client, "one"), submit(&client, "two")];
    let asked = [conversation.submission().await, conversation.submission().await];
    assert_eq!(client.submit(message("three")).await, Err(SendFailure::Busy { retry_after: None }));
    assert_eq!(client.status().in_flight, 2);
    for question in &asked {
        conversation.answer(question, 0, "id").await;
    }
    for sent in held {
        assert!(sent.await.unwrap().is_ok());
    }
    // Nothing of the third was written: the next is another one.
    let four = submit(&client, "four");
    let next = conversation.submission().await;
    assert!(next.body.ends_with(b"four"));
    conversation.answer(&next, 0, "id").await;
    assert!(four.await.unwrap().is_ok());
}

#[tokio::test]
async fn throttling_is_waited_out_and_the_message_is_taken_once() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sent = submit(&client, "not so fast");
    for status in [0x58, 0x14, 0x58, 0] {
        let question = conversation.submission().await;
        conversation.answer(&question, status, "id").await;
    }
    assert_eq!(sent.await.unwrap().unwrap().gateway_id.as_str(), "id");
    assert_eq!((client.status().throttled, client.status().taken), (3, 1));
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let refusals =
        [(0x0b, SendFailure::NotFound), (0x45, SendFailure::Refused { status: 0x45 }), (0x01, SendFailure::TooLarge)];
    for (status, failure) in refusals {
        let sent = submit(&client, "no");
        let question = conversation.submission().await;
        conversation.answer(&question, status, "").await;
        assert_eq!(sent.await.unwrap(), Err(failure));
    }
    // A nack with the number of a question is a refusal of it, too.
    let sent = submit(&client, "no");
    let question = conversation.submission().await;
    conversation.write(&pdu(ANSWER, 3, question.sequence, b"")).await;
    assert_eq!(sent.await.unwrap(), Err(SendFailure::Refused { status: 3 }));
}

#[tokio::test]
async fn a_long_message_of_which_some_was_taken_is_unconfirmed() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sent = submit(&client, &"and so on, ".repeat(30));
    let first = conversation.submission().await;
    conversation.answer(&first, 0, "part-1").await;
    let second = conversation.submission().await;
    assert_eq!(second.sequence, first.sequence + 1);
    conversation.answer(&second, 0x45, "").await;
    assert_eq!(sent.await.unwrap(), Err(SendFailure::NoAnswer));
}

#[tokio::test]
async fn a_message_taken_without_a_name_is_unconfirmed() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    let sent = submit(&client, "anonymous");
    let question = conversation.submission().await;
    conversation.write(&pdu(SUBMIT | ANSWER, 0, question.sequence, b"")).await;
    assert_eq!(sent.await.unwrap(), Err(SendFailure::NoAnswer));
}

#[tokio::test]
async fn a_wrong_password_is_said_and_is_shown_nowhere() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.accept().await;
    let bind = conversation.read().await.unwrap();
    conversation.answer(&bind, 0x0e, "").await;
    assert_eq!(client.bound(PATIENCE).await, Err(SendFailure::Unauthorized));
    assert_eq!(client.submit(message("hello")).await, Err(SendFailure::Unauthorized));
    assert!(!format!("{:?}", smsc.config()).contains("secret"));
    // It is tried again, and may be right one day.
    let _bound = smsc.bound().await;
    until(|| client.status().link == LinkState::Bound).await;
}

#[tokio::test]
async fn an_smsc_that_does_not_know_us_while_it_starts_keeps_messages_waiting() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    drop(smsc.bound().await);
    let mut starting = smsc.accept().await;
    let sent = submit(&client, "in a moment");
    let bind = starting.read().await.unwrap();
    starting.answer(&bind, 0x0f, "").await;
    drop(starting);
    let mut conversation = smsc.bound().await;
    let question = conversation.submission().await;
    conversation.answer(&question, 0, "id").await;
    assert!(sent.await.unwrap().is_ok());
}

#[tokio::test]
async fn closing_parts_politely_and_for_good() {
    let smsc = Smsc::start().await;
    let client = start(smsc.config());
    let mut conversation = smsc.bound().await;
    client.bound(PATIENCE).await.unwrap();
    let closing = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.close().await })
    };
    let parting = conversation.read().await.unwrap();
    assert_eq!(parting.id, UNBIND);
    conversation.answer(&parting, 0, "").await;
    closing.await.unwrap();
    assert_eq!(client.submit(message("hello")).await, Err(SendFailure::Unreachable));
    assert!(client.next_report().await.is_none() && client.receive().await.is_none());
}

#[tokio::test]
async fn a_configuration_that_cannot_work_does_not_start() {
    let smsc = Smsc::start().await;
    let error = |config: Config| SmppClient::start(config).err().unwrap();
    assert_eq!(error(Config { window: 0, ..smsc.config() }), StartError::Window);
    assert_eq!(error(Config { host: String::new(), ..smsc.config() }), StartError::Peer);
    let mut config = smsc.config();
    config.credentials.password = Password::new("nine chars");
    assert_eq!(error(config), StartError::Credentials);
    let client = start(Config { mode: BindMode::Receiver, ..smsc.config() });
    assert_eq!(client.submit(message("hello")).await, Err(SendFailure::Unfit));
}
