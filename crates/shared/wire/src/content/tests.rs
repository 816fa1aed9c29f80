#![allow(clippy::unwrap_used, clippy::panic)]

use prost::Message as _;

use super::*;
use crate::continuation::CaseToken;
use crate::id::{
    AccountId, BlobId, ConversationId, Digest, EnvelopeId, KeySetCounter, KeySetHash, MailboxId, MappingHash, MessageId,
};
use crate::token::DeliveryToken;
use rcseal_crypto::secret::Secret;

fn message_id(byte: u8) -> MessageId {
    MessageId::from_bytes([byte; 16])
}

fn blob() -> BlobReference {
    BlobReference {
        id: BlobId::from_bytes([1; 32]),
        key: Secret::from_bytes([2; 32]),
        digest: Digest::from_bytes([3; 32]),
        size: 20_000_000,
        origin: "https://relay.example".parse().unwrap(),
    }
}

fn envelope_reference(size: u64) -> EnvelopeReference {
    EnvelopeReference { envelope: EnvelopeId::from_bytes([9; 16]), blob: BlobReference { size, ..blob() } }
}

fn every_body() -> Vec<Body> {
    vec![
        Body::Text("grüezi".to_owned()),
        Body::Edit { target: message_id(1), text: "new".to_owned() },
        Body::Delete { target: message_id(1) },
        Body::Reaction { target: message_id(1), emoji: "👍".to_owned(), removed: false },
        Body::Receipt(Receipt::Delivered(vec![message_id(1)])),
        Body::Receipt(Receipt::Read(vec![message_id(1), message_id(2)])),
        Body::Receipt(Receipt::Undecryptable { envelopes: vec![EnvelopeId::from_bytes([4; 16])], reason: 3 }),
        Body::Typing(true),
        Body::Media(Box::new(Media {
            blob: blob(),
            content_type: "image/png".to_owned(),
            file_name: "a.png".to_owned(),
            caption: String::new(),
            width: 10,
            height: 20,
            thumbnail: Some(blob()),
        })),
        Body::Card(Box::new(Card {
            title: "Your order".to_owned(),
            text: "It is on its way".to_owned(),
            media: None,
            suggestions: vec![Suggestion { id: [7; 16], label: "Where is it?".to_owned(), url: String::new() }],
        })),
        Body::Suggested { card: message_id(1), suggestion: [7; 16] },
        Body::GroupEvent {
            kind: GroupEventKind::Added,
            subject: Some(AccountId::from_bytes([5; 16])),
            title: String::new(),
        },
        Body::ConsentEvent { choice: ConsentChoice::Retained, retention_days: 30 },
        Body::KeySetChanged,
        Body::Rekey(RekeyStep::Ping { id: [8; 16] }),
        Body::Rekey(RekeyStep::Pong { id: [8; 16] }),
        Body::ResendRequest { envelopes: vec![EnvelopeId::from_bytes([4; 16]), EnvelopeId::from_bytes([5; 16])] },
        Body::Capabilities(Capabilities {
            frame_version: 1,
            number: Some("+15550100".to_owned()),
            forms: vec![FrameForm::Binary, FrameForm::Text, FrameForm::Reference],
            via_broker: true,
            mapping: Some(MappingClaim { sequence: 3, hash: MappingHash::from_bytes([6; 32]) }),
        }),
        Body::NumberSeen(Box::new(NumberSeen {
            number: "+15551230001".parse().unwrap(),
            is_senders: true,
            sequence: 3,
            hash: MappingHash::from_bytes([6; 32]),
            seen_at_ms: 1_800_000_000_000,
            mapping: vec![1; 400],
        })),
        Body::ContinueCase { token: CaseToken::from_bytes([9; 16]) },
        Body::CaseState(CaseState {
            case: CaseId::of(&CaseToken::from_bytes([9; 16])),
            status: CaseStatus::Opened,
            reference: "A-1042".to_owned(),
            number_verified: true,
        }),
        Body::CaseState(CaseState {
            case: CaseId::from_bytes([2; 16]),
            status: CaseStatus::Used,
            reference: String::new(),
            number_verified: false,
        }),
        Body::Capabilities(Capabilities::default()),
        Body::DeliveryNotice(DeliveryNotice { mode: 5 }),
        Body::EnvelopeReference(Box::new(envelope_reference(98_304))),
        Body::ContactSync(vec![
            ContactEntry {
                account: AccountId::from_bytes([1; 16]),
                delivery_token: DeliveryToken::from_bytes([2; 32]),
                origin: "https://relay.example".parse().unwrap(),
                name: "Ada".to_owned(),
                key_set_counter: KeySetCounter::new(4),
                key_set_hash: KeySetHash::from_bytes([3; 32]),
                account_key: Some([4; 32]),
                verified: true,
                changed: None,
                blocked: false,
            },
            ContactEntry {
                account: AccountId::from_bytes([5; 16]),
                delivery_token: DeliveryToken::from_bytes([6; 32]),
                origin: "https://relay.example".parse().unwrap(),
                name: String::new(),
                key_set_counter: KeySetCounter::FIRST,
                key_set_hash: KeySetHash::from_bytes([7; 32]),
                account_key: None,
                verified: false,
                changed: Some(KeyChange::Reset),
                blocked: true,
            },
        ]),
    ]
}

#[test]
fn every_body_survives_the_wire() {
    for body in every_body() {
        let kind = body.kind();
        let content = Content::new(body, Some(message_id(9)));
        let parsed = Content::parse(content.as_bytes().to_vec()).unwrap();
        assert_eq!(parsed.body().kind(), kind);
        assert_eq!(parsed.reply_to(), Some(message_id(9)));
        let again = Content::new(parsed.into_body(), Some(message_id(9)));
        assert_eq!(again.as_bytes(), content.as_bytes(), "{kind}");
    }
}

#[test]
fn a_body_of_a_later_version_survives_unchanged() {
    // Field 31, length-delimited: a body that does not exist yet.
    let later = [&[0xfa, 0x01, 0x03][..], b"new"].concat();
    let content = Content::parse(later.clone()).unwrap();
    assert!(matches!(content.body(), Body::Unknown));
    assert_eq!(content.as_bytes(), later);

    let payload = Payload {
        message_id: message_id(1),
        conversation_id: ConversationId::from_bytes([2; 16]),
        sent_at_ms: 5,
        key_set_counter: KeySetCounter::FIRST,
        conversation: None,
        content,
        introduction: None,
    };
    assert_eq!(Payload::parse(&payload.to_bytes()).unwrap().content.as_bytes(), later);
}

#[test]
fn a_silent_body_of_a_later_version_is_ignored_and_survives_unchanged() {
    // Field 31 as above, and field 33, the mark.
    let later = [&[0xfa, 0x01, 0x03][..], b"new", &[0x88, 0x02, 0x01]].concat();
    let content = Content::parse(later.clone()).unwrap();
    assert!(matches!(content.body(), Body::Ignored));
    assert_eq!(content.as_bytes(), later);
    let card = Content::new(Body::Capabilities(Capabilities::default()), None);
    assert!(card.as_bytes().ends_with(&[0x88, 0x02, 0x01]), "who does not know the card shows nothing");
}

#[test]
fn a_notice_of_no_mode_or_of_one_far_beyond_is_of_a_later_version() {
    for mode in [0, 256, u32::MAX] {
        let body = Some(proto::content::Body::DeliveryNotice(proto::DeliveryNotice { mode }));
        let bytes = proto::Content { body, ..Default::default() }.encode_to_vec();
        assert!(matches!(Content::parse(bytes).unwrap().body(), Body::Unknown), "{mode}");
    }
}

#[test]
fn the_number_of_a_card_is_digits_and_its_forms_are_few() {
    for number in ["15550100", "+1555010", "+15550100\r\nVia: x", "+1234567890123456", "tel:+15550100"] {
        let card = Capabilities { frame_version: 1, number: Some(number.to_owned()), ..Capabilities::default() };
        let content = Content::new(Body::Capabilities(card), None);
        let parsed = Content::parse(content.as_bytes().to_vec());
        match number {
            "+1555010" => assert!(parsed.is_ok(), "seven digits are enough"),
            _ => assert_eq!(parsed.unwrap_err(), ContentError::Field { field: "number" }, "{number}"),
        }
    }
    let card =
        Capabilities { frame_version: 1, forms: vec![FrameForm::Text; FORMS_MAX + 1], ..Capabilities::default() };
    let content = Content::new(Body::Capabilities(card), None);
    assert_eq!(Content::parse(content.as_bytes().to_vec()).unwrap_err(), ContentError::TooLong { field: "forms" });
}

#[test]
fn what_is_kept_elsewhere_is_as_long_as_an_envelope() {
    let parsed = |size| {
        let content = Content::new(Body::EnvelopeReference(Box::new(envelope_reference(size))), None);
        assert!(content.as_bytes().ends_with(&[0x88, 0x02, 0x01]), "who does not know it shows nothing");
        Content::parse(content.as_bytes().to_vec()).map(drop)
    };
    assert_eq!(parsed(98_304), Ok(()));
    assert_eq!(parsed(0), Err(ContentError::Field { field: "blob.size" }));
    assert_eq!(parsed(98_305), Err(ContentError::TooLong { field: "blob.size" }));
    assert_eq!(parsed(u64::MAX), Err(ContentError::TooLong { field: "blob.size" }));
}

#[test]
fn limits_have_names() {
    let content = Content::new(Body::Text("x".repeat(TEXT_LEN_MAX + 1)), None);
    assert_eq!(Content::parse(content.as_bytes().to_vec()).unwrap_err(), ContentError::TooLong { field: "text" });
    let Body::Media(mut media) = every_body().swap_remove(8) else { panic!("the ninth body is media") };
    media.file_name = "../../etc/passwd".to_owned();
    let content = Content::new(Body::Media(media), None);
    assert_eq!(Content::parse(content.as_bytes().to_vec()).unwrap_err(), ContentError::Field { field: "file_name" });
}

#[test]
fn a_resend_request_names_a_bounded_number_of_envelopes() {
    let envelopes = vec![EnvelopeId::from_bytes([4; 16]); RESEND_LEN_MAX + 1];
    let content = Content::new(Body::ResendRequest { envelopes }, None);
    assert_eq!(Content::parse(content.as_bytes().to_vec()).unwrap_err(), ContentError::TooLong { field: "envelopes" });
}

#[test]
fn a_rekey_step_that_is_neither_ping_nor_pong_is_refused() {
    // Field 14, a rekey of step 3.
    let bytes = [&[0x72, 0x14, 0x08, 0x03, 0x12, 0x10][..], &[8; 16]].concat();
    assert_eq!(Content::parse(bytes).unwrap_err(), ContentError::Field { field: "rekey.step" });
}

#[test]
fn a_blob_larger_than_any_file_is_refused() {
    for size in [MEDIA_LEN_MAX + 1, u64::MAX] {
        let Body::Media(mut media) = every_body().swap_remove(8) else { panic!("the ninth body is media") };
        media.blob.size = size;
        let content = Content::new(Body::Media(media), None);
        assert_eq!(
            Content::parse(content.as_bytes().to_vec()).unwrap_err(),
            ContentError::TooLong { field: "blob.size" }
        );
    }
}

#[test]
fn bodies_do_not_print_what_they_say() {
    assert_eq!(format!("{:?}", Body::Text("hidden words".to_owned())), r#"Body("text")"#);
    assert_eq!(format!("{:?}", every_body().pop().unwrap()), r#"Body("contact_sync")"#);
}

#[test]
fn payloads_round_trip_and_secrets_do_not_print() {
    let participants = vec![
        Participant { account: AccountId::from_bytes([1; 16]), role: Role::Customer, devices: None },
        Participant {
            account: AccountId::from_bytes([2; 16]),
            role: Role::Agent,
            devices: Some(vec![crate::id::DeviceNumber::PRIMARY]),
        },
    ];
    let payload = Payload {
        message_id: message_id(1),
        conversation_id: ConversationId::from_bytes([2; 16]),
        sent_at_ms: 1_700_000_000_000,
        key_set_counter: KeySetCounter::new(4),
        conversation: Some(Conversation { kind: ConversationKind::Direct, participants, title: "t".to_owned() }),
        content: Content::new(Body::Text("hidden words".to_owned()), None),
        introduction: Some(Introduction {
            delivery_token: DeliveryToken::from_bytes([8; 32]),
            origin: "https://relay.example".parse().unwrap(),
            display_name: "Ada".to_owned(),
            mailbox: MailboxId::from_bytes([6; 16]),
        }),
    };
    let bytes = payload.to_bytes();
    let parsed = Payload::parse(&bytes).unwrap();
    assert_eq!(parsed.to_bytes(), bytes);
    assert_eq!(parsed.conversation, payload.conversation);
    let printed = format!("{payload:?} {:?}", blob());
    assert!(
        !printed.contains("hidden words")
            && !printed.contains("8, 8")
            && !printed.contains("2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2")
    );
}

proptest::proptest! {
    #[test]
    fn parsers_never_panic(bytes: Vec<u8>) {
        let _ = Payload::parse(&bytes);
        let _ = Content::parse(bytes.clone());
        let _ = Conversation::parse(&bytes);
    }
}

#[test]
fn what_is_said_of_a_number_and_a_case_is_within_its_limits() {
    let seen = |sequence, mapping| NumberSeen {
        number: "+15551230001".parse().unwrap(),
        is_senders: false,
        sequence,
        hash: MappingHash::from_bytes([6; 32]),
        seen_at_ms: 1,
        mapping,
    };
    let parse = |body: Body| Content::parse(Content::new(body, None).as_bytes().to_vec()).map(|_| ());
    let too_long = Body::NumberSeen(Box::new(seen(1, vec![0; MAPPING_LEN_MAX + 1])));
    assert_eq!(parse(too_long), Err(ContentError::TooLong { field: "mapping" }));
    let of_none = Body::NumberSeen(Box::new(seen(0, Vec::new())));
    assert_eq!(parse(of_none), Err(ContentError::Field { field: "sequence" }));
    let state = CaseState {
        case: CaseId::from_bytes([2; 16]),
        status: CaseStatus::Opened,
        reference: "x".repeat(REFERENCE_LEN_MAX + 1),
        number_verified: false,
    };
    assert_eq!(parse(Body::CaseState(state)), Err(ContentError::TooLong { field: "reference" }));
}
