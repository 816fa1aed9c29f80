//! Targets for the formats of `rcseal_wire`: envelopes and what is in them, invitations, frames of the message plane.

use std::str::FromStr;

use bytes::Bytes;
use prost::Message as _;
use rcseal_wire::carrier_delivery::{CarrierChannel, CarrierDelivery, DeliverySender};
use rcseal_wire::content::{
    Body, Capabilities, CaseId, CaseState, CaseStatus, Content, Conversation, ConversationKind, FrameForm,
    MappingClaim, NumberSeen, Participant, Payload, Receipt, RekeyStep, Role,
};
use rcseal_wire::continuation::{CaseToken, Continuation};
use rcseal_wire::envelope::{Envelope, FIRST_OVERHEAD, Hello, NONCE_LEN, TAG_LEN, Tag};
use rcseal_wire::frame::{
    self, Acks, MailboxEvent, MailboxRequest, Submit, SubmitBatch, SubmitResults, mailbox_request,
};
use rcseal_wire::id::{
    AccountId, ConversationId, DeviceAddress, DeviceNumber, EnvelopeId, KeySetCounter, KeySetHash, LinkId, MailboxId,
    MappingHash, MessageId,
};
use rcseal_wire::invitation::Invitation;
use rcseal_wire::link::{LinkOffer, LinkRequest, LinkWelcome};
use rcseal_wire::padding;
use rcseal_wire::token::DeliveryToken;

use crate::Verdict;

/// Layout, accepted or not, and back to the same bytes.
pub(crate) fn envelope(bytes: &[u8]) -> Verdict {
    let parsed = Envelope::parse(bytes);
    if let Ok(envelope) = &parsed {
        assert_eq!(envelope.to_bytes(), bytes, "an envelope has one encoding");
        let _ = envelope.associated_data();
    }
    Verdict::of(&parsed)
}

pub(crate) fn envelope_seeds() -> Vec<Vec<u8>> {
    vec![
        Envelope::First { sealed: &[7; FIRST_OVERHEAD] }.to_bytes(),
        Envelope::Session { tag: Tag([1; TAG_LEN]), nonce: [2; NONCE_LEN], ciphertext: &[3; 64] }.to_bytes(),
        Envelope::Forwarded { sealed: &[8; FIRST_OVERHEAD] }.to_bytes(),
    ]
}

/// What a forwarded envelope holds once it is opened.
pub(crate) fn carrier_delivery(bytes: &[u8]) -> Verdict {
    let parsed = CarrierDelivery::parse(bytes);
    if let Ok(delivery) = &parsed {
        let again = delivery.to_bytes().expect("what was read keeps every limit");
        assert_eq!(again, bytes, "a delivery has one encoding");
    }
    Verdict::of(&parsed)
}

pub(crate) fn carrier_delivery_seeds() -> Vec<Vec<u8>> {
    let number = |text: &str| text.parse().expect("a number of E.164");
    let words = CarrierDelivery {
        id: [1; 16],
        received_at_ms: 1_700_000_000_000,
        channel: CarrierChannel::Rcs,
        to: number("+15551230001"),
        from: DeliverySender::Asserted(number("+15551230002")),
        content_type: "message/cpim".to_owned(),
        content_encoding: Some("deflate".to_owned()),
        body: b"words".to_vec(),
    };
    let claimed = CarrierDelivery {
        channel: CarrierChannel::Sms,
        from: DeliverySender::Claimed(number("+15551230002")),
        content_encoding: None,
        ..words.clone()
    };
    let anonymous = CarrierDelivery { from: DeliverySender::Anonymous, body: Vec::new(), ..claimed.clone() };
    [words, claimed, anonymous].iter().filter_map(|delivery| delivery.to_bytes().ok()).collect()
}

/// What a first envelope holds once it is opened.
pub(crate) fn hello(bytes: &[u8]) -> Verdict {
    let parsed = Hello::parse(bytes);
    if let Ok(hello) = &parsed {
        assert_eq!(hello.to_bytes(), bytes, "a hello has one encoding");
    }
    Verdict::of(&parsed)
}

pub(crate) fn hello_seeds() -> Vec<Vec<u8>> {
    let hello = Hello {
        sender: DeviceAddress { account: account(), device: DeviceNumber::PRIMARY },
        key_set_counter: KeySetCounter::FIRST,
        key_set_hash: KeySetHash::from_bytes([2; 32]),
        delivery_token: DeliveryToken::from_bytes([3; 32]),
        ciphertext: vec![4; 100],
    };
    vec![hello.to_bytes()]
}

/// Taking padding off, and putting it on again.
pub(crate) fn padding(bytes: &[u8]) -> Verdict {
    let unpadded = padding::unpad(bytes.to_vec());
    if let Ok(text) = &unpadded {
        assert!(text.len() < bytes.len(), "padding is at least one byte");
        let mut again = text.clone();
        if padding::pad(&mut again, 0).is_ok() {
            assert_eq!(padding::unpad(again).as_ref(), Ok(text), "what was padded comes off");
        }
    }
    Verdict::of(&unpadded)
}

pub(crate) fn padding_seeds() -> Vec<Vec<u8>> {
    vec![b"text\x80\0\0\0".to_vec(), vec![0x80]]
}

/// The plaintext of a message. Protobuf allows several encodings, so the promise is that the second writing changes nothing.
pub(crate) fn payload(bytes: &[u8]) -> Verdict {
    let parsed = Payload::parse(bytes);
    if let Ok(payload) = &parsed {
        let written = payload.to_bytes();
        let again = Payload::parse(&written).expect("what we write, we can read");
        assert_eq!(again.to_bytes(), written, "a payload that was read once is written the same for ever");
        assert_eq!(again.content.as_bytes(), payload.content.as_bytes(), "content is kept as it came");
    }
    Verdict::of(&parsed)
}

pub(crate) fn payload_seeds() -> Vec<Vec<u8>> {
    let participant = |byte, role| Participant { account: AccountId::from_bytes([byte; 16]), role, devices: None };
    let payload = |conversation, content| Payload {
        message_id: message_id(),
        conversation_id: ConversationId::from_bytes([2; 16]),
        sent_at_ms: 1_700_000_000_000,
        key_set_counter: KeySetCounter::new(4),
        conversation,
        content,
        introduction: None,
    };
    let conversation = Conversation {
        kind: ConversationKind::Direct,
        participants: vec![participant(1, Role::Customer), participant(2, Role::Agent)],
        title: "title".to_owned(),
    };
    let text = Content::new(Body::Text("hello".to_owned()), None);
    let receipt = Content::new(Body::Receipt(Receipt::Read(vec![message_id()])), None);
    vec![payload(None, text).to_bytes(), payload(Some(conversation), receipt).to_bytes()]
}

/// What the user wrote or did. Bytes are kept as they came, known or not.
pub(crate) fn content(bytes: &[u8]) -> Verdict {
    let parsed = Content::parse(bytes.to_vec());
    if let Ok(content) = &parsed {
        assert_eq!(content.as_bytes(), bytes, "content is kept as it came");
    }
    Verdict::of(&parsed)
}

pub(crate) fn content_seeds() -> Vec<Vec<u8>> {
    let bodies = [
        Body::Text("grüezi".to_owned()),
        Body::Edit { target: message_id(), text: "new".to_owned() },
        Body::Reaction { target: message_id(), emoji: "👍".to_owned(), removed: false },
        Body::Receipt(Receipt::Undecryptable { envelopes: vec![EnvelopeId::from_bytes([4; 16])], reason: 3 }),
        Body::Typing(true),
        Body::KeySetChanged,
        Body::Rekey(RekeyStep::Ping { id: [6; 16] }),
        Body::ResendRequest { envelopes: vec![EnvelopeId::from_bytes([4; 16])] },
        Body::Capabilities(Capabilities {
            frame_version: 1,
            number: Some("+15550100".to_owned()),
            forms: vec![FrameForm::Text],
            via_broker: true,
            mapping: Some(MappingClaim { sequence: 3, hash: MappingHash::from_bytes([6; 32]) }),
        }),
        Body::NumberSeen(Box::new(NumberSeen {
            number: "+15551230001".parse().expect("eleven digits are a number"),
            is_senders: false,
            sequence: 3,
            hash: MappingHash::from_bytes([6; 32]),
            seen_at_ms: 1_800_000_000_000,
            mapping: vec![1; 40],
        })),
        Body::ContinueCase { token: CaseToken::from_bytes([9; 16]) },
        Body::CaseState(CaseState {
            case: CaseId::from_bytes([2; 16]),
            status: CaseStatus::Opened,
            reference: "A-1042".to_owned(),
            number_verified: true,
        }),
    ];
    bodies.into_iter().map(|body| Content::new(body, Some(message_id())).as_bytes().to_vec()).collect()
}

/// The link by which a case goes on end to end, in either form.
pub(crate) fn continuation(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let parsed = text.parse::<Continuation>();
    if let Ok(link) = &parsed {
        let again = link.expose_text();
        let reread = again.parse::<Continuation>().expect("what was written can be read");
        assert_eq!(reread.expose_text(), again, "a link has one encoding");
    }
    Verdict::of(&parsed)
}

pub(crate) fn continuation_seeds() -> Vec<Vec<u8>> {
    let invitation = invitation_seeds().into_iter().next().expect("there is one");
    let invitation = String::from_utf8(invitation).expect("an invitation is text");
    let link = Continuation {
        invitation: invitation.parse().expect("our own writer made it"),
        token: CaseToken::from_bytes([5; 16]),
        expires_at_ms: 1_800_000_000_000,
    };
    let host = "https://shop.example".parse().expect("a host name");
    vec![link.expose_text().into_bytes(), link.expose_web_text(&host).into_bytes()]
}

/// The text of an invitation, from a QR code or a paste.
pub(crate) fn invitation(bytes: &[u8]) -> Verdict {
    text_form(bytes, Invitation::expose_text)
}

pub(crate) fn invitation_seeds() -> Vec<Vec<u8>> {
    let invitation = Invitation {
        account: account(),
        key_set_counter: KeySetCounter::new(3),
        key_set_hash: KeySetHash::from_bytes([2; 32]),
        account_key: [4; 32],
        delivery_token: DeliveryToken::from_bytes([3; 32]),
        origin: ORIGIN.parse().expect("the constant is an origin"),
    };
    vec![invitation.expose_text().into_bytes()]
}

/// The linking of a device: the text of the QR code, and the two messages that are opened after it.
pub(crate) fn link(bytes: &[u8]) -> Verdict {
    let offer = LinkOffer::parse(bytes);
    if let Ok(offer) = &offer {
        assert_eq!(offer.to_bytes(), bytes, "an offer has one encoding");
    }
    let welcome = LinkWelcome::parse(bytes);
    if let Ok(welcome) = &welcome {
        assert_eq!(welcome.to_bytes(), bytes, "a welcome has one encoding");
    }
    match (offer, welcome) {
        (Err(_), Err(_)) => text_form(bytes, LinkRequest::expose_text),
        (Ok(_), _) | (_, Ok(_)) => Verdict::Accepted,
    }
}

pub(crate) fn link_seeds() -> Vec<Vec<u8>> {
    // The secret's type belongs to another crate; a text of the right shape is as good a seed as one that was written.
    let fields =
        [&[1][..], &[1; 16], &[2; 32], &[3; 32], &(ORIGIN.len() as u32).to_be_bytes(), ORIGIN.as_bytes()].concat();
    let text = format!("rcseal://link/{}", rcseal_wire::b64::encode(&fields));
    let offer = LinkOffer {
        account: account(),
        device: DeviceNumber::PRIMARY,
        key_set: vec![5; 40],
        display_name: "Ada".to_owned(),
    };
    let welcome =
        LinkWelcome { key_set: vec![5; 40], delivery_token: DeliveryToken::from_bytes([3; 32]), contacts: vec![6; 8] };
    debug_assert!(LinkRequest::from_str(&text).is_ok());
    vec![text.into_bytes(), offer.to_bytes(), welcome.to_bytes()]
}

fn text_form<T: FromStr>(bytes: &[u8], write: fn(&T) -> String) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let parsed = T::from_str(text);
    if let Ok(value) = &parsed {
        let written = write(value);
        let Ok(again) = T::from_str(&written) else { unreadable(&written) };
        assert_eq!(write(&again), written, "a text that was read once is written the same for ever");
    }
    Verdict::of(&parsed)
}

#[allow(clippy::panic, reason = "a broken promise is reported by a panic")]
fn unreadable(text: &str) -> ! {
    panic!("what we wrote, we cannot read: {} bytes of text", text.len())
}

/// What a relay reads of strangers: submissions, and requests on the mailbox.
pub(crate) fn frame_to_relay(bytes: &[u8]) -> Verdict {
    let batch = SubmitBatch::decode(bytes);
    if let Ok(batch) = &batch {
        for submission in &batch.submissions {
            if let Ok(submit) = Submit::parse(submission.clone()) {
                let again = Submit::parse(submit.to_submission()).expect("what we write, we can read");
                assert_eq!(again.envelope, submit.envelope, "an envelope passes untouched");
                let _ = Envelope::parse(&submit.envelope);
            }
        }
    }
    let request = MailboxRequest::decode(bytes);
    if let Ok(MailboxRequest { request: Some(mailbox_request::Request::Acknowledge(acknowledge)) }) = &request
        && let Ok(acks) = Acks::parse(acknowledge)
    {
        assert_eq!(Acks::parse(&acks.to_frame()), Ok(acks), "an acknowledgement is read as it was written");
    }
    if batch.is_ok() || request.is_ok() { Verdict::Accepted } else { Verdict::Refused }
}

pub(crate) fn frame_to_relay_seeds() -> Vec<Vec<u8>> {
    let submission = |byte: u8, envelope: &[u8]| {
        let submit = Submit {
            mailbox: MailboxId::from_bytes([byte; 16]),
            token: DeliveryToken::from_bytes([3; 32]),
            id: EnvelopeId::from_bytes([byte; 16]),
            ttl_seconds: 3600,
            envelope: Bytes::copy_from_slice(envelope),
        };
        submit.to_submission()
    };
    let batch = SubmitBatch { batch: 9, submissions: vec![submission(1, &[1; 20]), submission(2, &[2; 30])] };
    let acks = Acks {
        request: 4,
        consumed: vec![EnvelopeId::from_bytes([1; 16])],
        undecryptable: vec![(EnvelopeId::from_bytes([2; 16]), 5)],
    };
    let request = MailboxRequest { request: Some(mailbox_request::Request::Acknowledge(acks.to_frame())) };
    vec![batch.encode_to_vec(), request.encode_to_vec()]
}

/// What a device reads of a relay that may be malicious.
pub(crate) fn frame_to_device(bytes: &[u8]) -> Verdict {
    let event = MailboxEvent::decode(bytes);
    if let Ok(event) = &event {
        let written = event.encode_to_vec();
        let again = MailboxEvent::decode(&written[..]).expect("what we write, we can read");
        assert_eq!(again.encode_to_vec(), written, "an event that was read once is written the same for ever");
    }
    let results = SubmitResults::decode(bytes);
    let deliveries = frame::Deliveries::decode(bytes);
    if event.is_ok() || results.is_ok() || deliveries.is_ok() { Verdict::Accepted } else { Verdict::Refused }
}

pub(crate) fn frame_to_device_seeds() -> Vec<Vec<u8>> {
    let delivery = frame::Delivery {
        id: Bytes::from_static(&[1; 16]),
        envelope: Bytes::from_static(&[2; 40]),
        received_at_ms: 1_700_000_000_000,
    };
    let deliveries = frame::Deliveries { envelopes: vec![delivery], more: false };
    let events = [
        frame::mailbox_event::Event::Deliveries(deliveries.clone()),
        frame::mailbox_event::Event::QueueEmpty(frame::QueueEmpty {}),
        frame::mailbox_event::Event::Reset(frame::ResetNotice { pending: true, effective_at_ms: 1_700_000_000_000 }),
        frame::mailbox_event::Event::RetainedWaiting(frame::RetainedWaiting { newest: 7 }),
        frame::mailbox_event::Event::Failure(frame::Failure { code: "token_expired".to_owned() }),
    ];
    let mut seeds: Vec<Vec<u8>> =
        events.into_iter().map(|event| MailboxEvent { event: Some(event) }.encode_to_vec()).collect();
    seeds.push(SubmitResults { batch: 9, results: vec![1, 2, 4] }.encode_to_vec());
    seeds.push(deliveries.encode_to_vec());
    seeds
}

const ORIGIN: &str = "https://relay.example:8443";

fn account() -> AccountId {
    AccountId::from_bytes([1; 16])
}

fn message_id() -> MessageId {
    MessageId::from_bytes([9; 16])
}

// The link id is only named so that a change of its length is noticed where the seed above spells it out.
const _: () = assert!(size_of::<LinkId>() == 16);
