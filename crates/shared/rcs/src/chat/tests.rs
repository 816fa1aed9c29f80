//! From one end to the other, and through what networks do in between.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::*;
use crate::imdn::{ClientReason, FailureReason, Kind};
use crate::transport::VerbatimHeader;

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

fn message(carriage: Carriage) -> CarrierMessage {
    CarrierMessage {
        to: number("+15551230002"),
        id: CarrierMessageId::from_random([7; 16]),
        receipts: ReceiptRequest { delivered: true, failed: true, displayed: false },
        carriage,
    }
}

fn wrapped(message: &CarrierMessage) -> Vec<u8> {
    wrap(message, &number("+15551230001"), &"ims.example.test".parse().unwrap(), Timestamp::from_millis(1_000_000))
        .unwrap()
}

fn framed() -> CarrierMessage {
    message(Carriage::Framed { is_text: false, bytes: vec![0, 255, 13, 10, 13, 10, 1] })
}

#[test]
fn a_frame_arrives_byte_for_byte_with_its_id() {
    let sent = framed();
    let came = unwrap("message/cpim", None, &wrapped(&sent)).unwrap();
    assert_eq!(came.id, Some(sent.id));
    assert_eq!(came.receipts, sent.receipts);
    assert_eq!(came.from, Some(number("+15551230001")));
    assert_eq!(came.date_time, Some(Timestamp::from_millis(1_000_000)));
    assert_eq!(came.wrapper, Wrapper::Intact);
    let content_type = frame::MEDIA_TYPE.to_owned();
    assert_eq!(came.content, Content::Body { content_type, body: vec![0, 255, 13, 10, 13, 10, 1] });
}

#[test]
fn a_text_frame_is_plain_text_to_everybody_on_the_way() {
    let sent = message(Carriage::Framed { is_text: true, bytes: b"armour".to_vec() });
    let came = unwrap("message/cpim", None, &wrapped(&sent)).unwrap();
    assert_eq!(came.content, Content::Body { content_type: TEXT_CONTENT_TYPE.to_owned(), body: b"armour".to_vec() });
}

#[test]
fn a_verbatim_body_keeps_its_headers() {
    let headers =
        vec![VerbatimHeader { namespace: cpim::MLS.to_owned(), name: "Era-ID".to_owned(), value: "3".to_owned() }];
    let sent = message(Carriage::Verbatim { headers, content_type: "message/mls".to_owned(), body: vec![1, 2, 3] });
    let came = unwrap("message/cpim", None, &wrapped(&sent)).unwrap();
    assert_eq!(came.header(cpim::MLS, "era-id"), Some("3"));
    assert_eq!(came.content, Content::Body { content_type: "message/mls".to_owned(), body: vec![1, 2, 3] });
}

#[test]
fn a_verbatim_body_cannot_bring_headers_that_are_ours_or_none() {
    let attempt = |namespace: &str, name: &str, value: &str, content_type: &str| {
        let header = VerbatimHeader { namespace: namespace.to_owned(), name: name.to_owned(), value: value.to_owned() };
        let sent = message(Carriage::Verbatim {
            headers: vec![header],
            content_type: content_type.to_owned(),
            body: Vec::new(),
        });
        wrap(&sent, &number("+15551230001"), &"a.test".parse().unwrap(), Timestamp::from_millis(0))
    };
    assert_eq!(attempt(cpim::IMDN, "message-id", "x", "a/b"), Err(WrapError::OwnHeader));
    assert_eq!(attempt(cpim::MLS, "Era-ID", "3\r\nTo: x", "a/b"), Err(WrapError::Header(TextError::BadCharacter)));
    assert_eq!(attempt(cpim::MLS, "Era-ID", "3", "a/b\r\nX: y"), Err(WrapError::ContentType(TextError::BadCharacter)));
}

#[test]
fn a_wrapper_under_another_media_type_or_behind_a_prefix_is_found() {
    let bytes = wrapped(&framed());
    let intact = unwrap("message/cpim", None, &bytes).unwrap();
    let prefix = b"[Offline message - Mon Nov 23 14:45:52 2026] ";
    let stored = [prefix.as_slice(), &bytes].concat();
    for (content_type, body, prefix_len) in [
        ("text/plain", &bytes, 0),
        ("text/plain", &stored, prefix.len()),
        ("message/cpim", &stored, prefix.len()),
        ("", &bytes, 0),
    ] {
        let came = unwrap(content_type, None, body).unwrap();
        assert_eq!(came.wrapper, Wrapper::Displaced { prefix_len });
        assert_eq!((came.id, came.content), (intact.id.clone(), intact.content.clone()));
    }
}

#[test]
fn what_has_no_wrapper_comes_out_as_it_is() {
    let came = unwrap("Text/Plain", None, b"hello").unwrap();
    assert_eq!((came.wrapper, came.id), (Wrapper::Absent, None));
    assert_eq!(came.content, Content::Body { content_type: "Text/Plain".to_owned(), body: b"hello".to_vec() });
    let came = unwrap("message/cpim", None, b"\0broken").unwrap();
    assert_eq!(came.wrapper, Wrapper::Broken);
    assert_eq!(came.content, Content::Body { content_type: "message/cpim".to_owned(), body: b"\0broken".to_vec() });
    let came = unwrap("not a type\r\n", None, b"x").unwrap();
    assert_eq!(came.content, Content::Body { content_type: String::new(), body: b"x".to_vec() });
}

#[test]
fn a_receipt_is_sent_only_where_it_was_asked_for_and_never_for_a_receipt() {
    let sent = framed();
    let came = unwrap("message/cpim", None, &wrapped(&sent)).unwrap();
    let delivered = came.delivered().unwrap();
    assert_eq!((&delivered.message_id, &delivered.kind), (&sent.id, &Kind::Delivered));
    let failed = came.failed_to_decrypt().unwrap();
    assert_eq!(
        failed.kind,
        Kind::DeliveryFailed { reason: Some(FailureReason::Client(ClientReason::FailedToDecrypt)) }
    );

    let mut quiet = framed();
    quiet.receipts = ReceiptRequest::default();
    let came = unwrap("message/cpim", None, &wrapped(&quiet)).unwrap();
    assert_eq!((came.delivered(), came.failed_to_decrypt()), (None, None));

    let mut answer = receipt(&delivered, number("+15551230001"), CarrierMessageId::from_random([8; 16]));
    assert_eq!(answer.receipts, ReceiptRequest::default());
    answer.receipts = ReceiptRequest { delivered: true, failed: true, displayed: true };
    let came = unwrap("message/cpim", None, &wrapped(&answer)).unwrap();
    assert_eq!(came.content, Content::Receipt(delivered));
    assert_eq!((came.delivered(), came.failed_to_decrypt()), (None, None));
}

#[test]
fn a_receipt_is_marked_as_a_notification_and_named_apart_from_its_subject() {
    let subject = CarrierMessageId::from_random([7; 16]);
    let own = CarrierMessageId::from_random([8; 16]);
    let answer = receipt(&Notification::new(subject.clone(), Kind::Delivered), number("+15551230001"), own.clone());
    let bytes = wrapped(&answer);
    assert!(String::from_utf8_lossy(&bytes).contains("\r\nContent-Disposition: notification\r\n"));
    let came = unwrap("message/cpim", None, &bytes).unwrap();
    assert_eq!(came.id, Some(own));
    assert!(matches!(came.content, Content::Receipt(receipt) if receipt.message_id == subject));
}

#[test]
fn bare_deflated_and_wrapped_receipts_and_notices_are_read() {
    let notification = Notification::new(CarrierMessageId::parse("x").unwrap(), Kind::Displayed);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(notification.to_xml().as_bytes()).unwrap();
    let deflated = encoder.finish().unwrap();
    let head =
        "From: <sip:a@b>\r\nTo: <sip:c@d>\r\n\r\nContent-Type: message/imdn+xml\r\nContent-Encoding: deflate\r\n\r\n";
    let wrapped = [head.as_bytes(), &deflated].concat();
    for (content_type, encoding, body, wrapper) in [
        ("Message/IMDN+xml;charset=UTF-8", None, notification.to_xml().as_bytes(), Wrapper::Absent),
        ("message/imdn+xml", Some("deflate"), &deflated, Wrapper::Absent),
        ("message/cpim", None, &wrapped, Wrapper::Intact),
    ] {
        let came = unwrap(content_type, encoding, body).unwrap();
        assert_eq!((came.wrapper, came.content), (wrapper, Content::Receipt(notification.clone())), "{content_type}");
    }

    let notice = crate::composing::IsComposing::new(crate::composing::State::Active);
    let came = unwrap("application/im-iscomposing+xml", None, notice.to_xml().as_bytes()).unwrap();
    assert_eq!(came.content, Content::Composing(notice));
    assert_eq!(unwrap("message/imdn+xml", None, b"<x/>").unwrap_err().code(), "imdn_bad_document");
    assert_eq!(unwrap("application/im-iscomposing+xml", None, b"<x/>").unwrap_err().code(), "composing_invalid");
    assert_eq!(unwrap("text/plain", Some("br"), b"").unwrap_err().code(), "encoding_unknown");
}

#[test]
fn a_message_with_two_ids_has_none_and_is_not_answered() {
    let text = String::from_utf8(wrapped(&message(Carriage::Framed { is_text: true, bytes: b"x".to_vec() }))).unwrap();
    let twice = text.replace("DateTime:", "imdn.Message-ID: other\r\nDateTime:");
    let came = unwrap("message/cpim", None, twice.as_bytes()).unwrap();
    assert_eq!((came.id.clone(), came.delivered()), (None, None));
}

#[test]
fn a_transfer_encoding_comes_off() {
    let text =
        String::from_utf8(wrapped(&message(Carriage::Framed { is_text: true, bytes: b"AP8=".to_vec() }))).unwrap();
    let encoded = text.replace("\r\n\r\nAP8=", "\r\nContent-Transfer-Encoding: base64\r\n\r\nAP8=");
    let came = unwrap("message/cpim", None, encoded.as_bytes()).unwrap();
    assert!(matches!(came.content, Content::Body { body, .. } if body == [0, 255]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_something_or_an_error(
        content_type in "(message/cpim|text/plain|message/imdn\\+xml|.{0,20})",
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = unwrap(&content_type, None, &bytes);
        let _ = unwrap(&content_type, Some("deflate"), &bytes);
    }

    #[test]
    fn any_frame_survives_the_wrapper(bytes in proptest::collection::vec(any::<u8>(), 0..600), is_text in any::<bool>()) {
        let sent = message(Carriage::Framed { is_text, bytes: bytes.clone() });
        let came = unwrap("message/cpim", None, &wrapped(&sent)).unwrap();
        let is_same = matches!(came.content, Content::Body { body, .. } if body == bytes);
        prop_assert!(is_same);
    }
}
