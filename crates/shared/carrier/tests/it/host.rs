//! A host's own stack: what goes out and in by its callbacks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rcseal_carrier::host::{HostCallbacks, HostConfig, HostStack};
use rcseal_carrier::transport::{Answer, CarrierCapabilities, Transport};
use rcseal_rcs::chat::{self, Content};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{
    Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Sender, Taken, TransportProfile,
    VerbatimHeader,
};

use crate::support::{number, profile};

#[derive(Default)]
struct Recorder {
    sent: Mutex<Vec<(PhoneNumber, Vec<u8>)>>,
    is_silent: bool,
}

#[async_trait]
impl HostCallbacks for Recorder {
    async fn send_cpim(&self, to: &PhoneNumber, cpim: Vec<u8>) -> Result<Taken, SendFailure> {
        if self.is_silent {
            std::future::pending::<()>().await;
        }
        self.sent.lock().unwrap().push((to.clone(), cpim));
        Ok(Taken::Stored)
    }

    async fn query_capabilities(&self, _: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        Ok(CarrierCapabilities { contacts: vec![vec!["+g.rcseal.frame=\"1\"".to_owned()]] })
    }
}

fn framed(bytes: &[u8]) -> CarrierMessage {
    CarrierMessage {
        to: number(2),
        id: CarrierMessageId::from_random([7; 16]),
        receipts: ReceiptRequest::default(),
        carriage: Carriage::Framed { is_text: false, bytes: bytes.to_vec() },
    }
}

fn stack(recorder: Recorder, profile: TransportProfile) -> (Arc<HostStack>, Arc<Recorder>) {
    let recorder = Arc::new(recorder);
    let mut config = HostConfig::new(number(1), profile);
    config.callback_patience = Duration::from_millis(50);
    config.answer_patience = Duration::from_millis(50);
    (HostStack::new(config, Arc::clone(&recorder) as Arc<dyn HostCallbacks>), recorder)
}

#[tokio::test]
async fn what_the_host_is_given_is_cpim_with_the_bytes_in_it() {
    let (stack, recorder) = stack(Recorder::default(), profile(4096));
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(stack.send(framed(&bytes)).await, Ok(Taken::Stored));
    let (to, cpim) = recorder.sent.lock().unwrap().pop().unwrap();
    assert_eq!(to, number(2));
    let unwrapped = chat::unwrap("message/cpim", None, &cpim).unwrap();
    let Content::Body { body, .. } = unwrapped.content else { panic!("not opaque: {unwrapped:?}") };
    assert_eq!(body, bytes);
    assert_eq!(stack.capabilities(&number(2)).await.unwrap().contacts.len(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_not_handed_to_the_host() {
    let (stack, recorder) = stack(Recorder::default(), profile(100));
    assert_eq!(stack.send(framed(&[0; 101])).await, Err(SendFailure::TooLarge));
    let mut message = framed(b"");
    message.carriage = Carriage::Verbatim {
        headers: vec![VerbatimHeader {
            namespace: "urn:x".to_owned(),
            name: "A".to_owned(),
            value: "b\r\nc: d".to_owned(),
        }],
        content_type: "text/plain".to_owned(),
        body: Vec::new(),
    };
    assert_eq!(stack.send(message).await, Err(SendFailure::Unfit));
    let (text_only, _) = self::stack(Recorder::default(), TransportProfile { is_binary_safe: false, ..profile(100) });
    assert_eq!(text_only.send(framed(b"bytes")).await, Err(SendFailure::Unfit));
    assert!(recorder.sent.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_is_answered_when_the_application_answered_it() {
    let (stack, _) = stack(Recorder::default(), profile(4096));
    let delivering = tokio::spawn({
        let stack = Arc::clone(&stack);
        async move { stack.deliver_cpim(Sender::Claimed(number(2)), b"opaque".to_vec()).await }
    });
    let inbound = stack.receive().await.unwrap();
    assert_eq!((inbound.from.clone(), inbound.body.as_slice()), (Sender::Claimed(number(2)), b"opaque".as_slice()));
    assert!(!delivering.is_finished());
    inbound.answer(Answer::Accepted);
    assert_eq!(delivering.await.unwrap(), Answer::Accepted);
}

#[tokio::test]
async fn silence_on_either_side_is_never_success() {
    let (stack, _) = stack(Recorder { is_silent: true, ..Recorder::default() }, profile(4096));
    assert_eq!(stack.send(framed(b"x")).await, Err(SendFailure::NoAnswer));
    // Nobody takes it out, then somebody drops it.
    assert_eq!(stack.deliver_cpim(Sender::Anonymous, b"x".to_vec()).await, Answer::TryLater);
    drop(stack.receive().await);
    stack.close();
    assert!(stack.receive().await.is_none());
    assert_eq!(stack.send(framed(b"x")).await, Err(SendFailure::Unreachable));
    assert_eq!(stack.deliver_cpim(Sender::Anonymous, b"x".to_vec()).await, Answer::TryLater);
}

#[tokio::test]
async fn queues_of_messages_that_came_in_are_bounded() {
    let (stack, _) = stack(Recorder::default(), profile(4096));
    assert_eq!(stack.deliver_cpim(Sender::Anonymous, vec![0; 64 << 10]).await, Answer::TooLarge);
    let delivering: Vec<_> = (0..300)
        .map(|_| {
            let stack = Arc::clone(&stack);
            tokio::spawn(async move { stack.deliver_cpim(Sender::Anonymous, vec![0; 16]).await })
        })
        .collect();
    for answer in delivering {
        assert_eq!(answer.await.unwrap(), Answer::TryLater);
    }
    let mut waiting = 0;
    stack.close();
    while stack.receive().await.is_some() {
        waiting += 1;
    }
    assert_eq!(waiting, 256);
}
