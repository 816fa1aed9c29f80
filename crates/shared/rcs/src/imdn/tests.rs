//! Receipts as peers send them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// As a soft phone sends it, with elements that it adds.
const DELIVERED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\" \
xmlns:linphoneimdn=\"http://www.linphone.org/xsds/imdn.xsd\">\n  <message-id>34jk324j</message-id>\n  \
<datetime>2026-11-23T14:45:52+02:00</datetime>\n  <recipient-uri>im:bob@example.test</recipient-uri>\n  \
<delivery-notification>\n    <status>\n      <delivered/>\n      <linphoneimdn:reason code=\"200\">ok</linphoneimdn:reason>\n    </status>\n  \
</delivery-notification>\n</imdn>\n";

const FAILED: &str = "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>ID</message-id><datetime>2026-11-23T14:45:52Z</datetime>\
<delivery-notification><status><failed><mls-client-failure-reason><failed-to-decrypt/></mls-client-failure-reason></failed></status>\
</delivery-notification></imdn>";

fn parse(text: &str) -> Result<Notification, ImdnError> {
    Notification::parse(text.as_bytes())
}

#[test]
fn a_receipt_of_a_deployed_client_is_read() {
    let receipt = parse(DELIVERED).unwrap();
    assert_eq!(receipt.message_id.as_str(), "34jk324j");
    assert_eq!(receipt.kind, Kind::Delivered);
    assert_eq!(receipt.date_time.unwrap().to_string(), "2026-11-23T12:45:52Z");
    assert_eq!(receipt.recipient.unwrap().as_str(), "im:bob@example.test");
}

#[test]
fn a_failure_to_decrypt_is_read_and_written() {
    let receipt = parse(FAILED).unwrap();
    let reason = Some(FailureReason::Client(ClientReason::FailedToDecrypt));
    assert_eq!(receipt.kind, Kind::DeliveryFailed { reason });
    assert!(receipt.to_xml().ends_with(FAILED.split_once("Z</datetime>").unwrap().1));
    assert_eq!(parse(&receipt.to_xml()), Ok(receipt));
}

#[test]
fn a_failure_without_a_reason_or_with_an_unknown_one_is_a_failure() {
    let bare = FAILED.replace("<failed>", "<failed/><!--").replace("</failed>", "-->");
    assert_eq!(parse(&bare).unwrap().kind, Kind::DeliveryFailed { reason: None });
    let unknown = parse(&FAILED.replace("failed-to-decrypt", "tired")).unwrap();
    assert_eq!(unknown.kind, Kind::DeliveryFailed { reason: Some(FailureReason::Client(ClientReason::Other)) });
    let server = FAILED
        .replace("mls-client-failure-reason", "mls-server-failure-reason")
        .replace("failed-to-decrypt", "incorrect-era");
    assert_eq!(
        parse(&server).unwrap().kind,
        Kind::DeliveryFailed { reason: Some(FailureReason::Server(ServerReason::IncorrectEra)) }
    );
}

#[test]
fn a_reason_counts_on_a_failure_only() {
    let delivered = FAILED.replace("<failed>", "<delivered>").replace("</failed>", "</delivered>");
    assert_eq!(parse(&delivered).unwrap().kind, Kind::Delivered);
}

#[test]
fn the_reason_that_peers_choke_on_is_never_written() {
    let reason = Some(FailureReason::Client(ClientReason::ResentFailedToDecrypt));
    let receipt = Notification::new(CarrierMessageId::parse("ID").unwrap(), Kind::DeliveryFailed { reason });
    assert!(receipt.to_xml().contains("<failed-to-decrypt/>"));
    assert!(!receipt.to_xml().contains("resent"));
}

#[test]
fn every_kind_reads_back() {
    for kind in [
        Kind::Delivered,
        Kind::DeliveryFailed { reason: None },
        Kind::DeliveryForbidden,
        Kind::DeliveryError,
        Kind::Displayed,
        Kind::DisplayForbidden,
        Kind::DisplayError,
        Kind::Processed,
        Kind::Stored,
        Kind::ProcessingForbidden,
        Kind::ProcessingError,
    ] {
        let mut receipt = Notification::new(CarrierMessageId::parse("a<&>\"'b").unwrap(), kind);
        receipt.date_time = Some(Timestamp::from_millis(0));
        receipt.recipient = Some(Uri::parse("sip:a@b;x=1&y='2'").unwrap());
        assert_eq!(parse(&receipt.to_xml()), Ok(receipt));
    }
}

#[test]
fn a_receipt_names_exactly_one_message() {
    assert_eq!(
        parse(&DELIVERED.replace("<message-id>", "<message-id>other</message-id><message-id>")),
        Err(ImdnError::Ambiguous)
    );
    assert_eq!(parse(&DELIVERED.replace("34jk324j", "")), Err(ImdnError::NoMessageId));
    assert_eq!(parse(&DELIVERED.replace("34jk324j", "a b")), Err(ImdnError::NoMessageId));
    assert_eq!(parse(&DELIVERED.replace("34jk324j", &"x".repeat(65))), Err(ImdnError::NoMessageId));
    assert_eq!(parse(&DELIVERED.replace("message-id", "message")), Err(ImdnError::NoMessageId));
}

#[test]
fn a_receipt_says_exactly_one_thing() {
    assert_eq!(parse(&DELIVERED.replace("<delivered/>", "<delivered/><failed/>")), Err(ImdnError::Ambiguous));
    assert_eq!(
        parse(
            &DELIVERED.replace(
                "</imdn>",
                "<display-notification><status><displayed/></status></display-notification></imdn>"
            )
        ),
        Err(ImdnError::Ambiguous)
    );
    assert_eq!(parse(&DELIVERED.replace("<delivered/>", "<displayed/>")), Err(ImdnError::UnknownStatus));
    assert_eq!(parse(&DELIVERED.replace("delivery-notification", "x")), Err(ImdnError::UnknownStatus));
    let both = FAILED.replace("</failed>", "<mls-server-failure-reason/></failed>");
    assert_eq!(parse(&both), Err(ImdnError::Ambiguous));
}

#[test]
fn entities_are_not_expanded_and_large_documents_not_read() {
    let entity =
        format!("<!DOCTYPE imdn [<!ENTITY id SYSTEM \"file:///etc/passwd\">]>{}", FAILED.replace("ID", "&id;"));
    assert_eq!(parse(&entity), Err(ImdnError::BadDocument));
    let laughs = format!("<!DOCTYPE x [<!ENTITY a \"{}\">]>{FAILED}", "x".repeat(100));
    assert_eq!(parse(&laughs), Err(ImdnError::BadDocument));
    assert_eq!(parse(&FAILED.replace("ID", &" ".repeat(xml::LEN_MAX))), Err(ImdnError::BadDocument));
    assert_eq!(parse(&FAILED.replace("<datetime>", &"<x/>".repeat(600))), Err(ImdnError::BadDocument));
    let deep = format!("{}{}", "<imdn>".repeat(4000), "</imdn>".repeat(4000));
    assert_eq!(parse(&deep), Err(ImdnError::BadDocument));
    assert_eq!(parse("<imdn xmlns=\"urn:other\"/>"), Err(ImdnError::BadDocument));
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_in_a_receipt_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Notification::parse(&bytes);
    }

    #[test]
    fn damaged_receipts_never_name_two_messages(at in 0..DELIVERED.len(), byte in any::<u8>()) {
        let mut bytes = DELIVERED.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(receipt) = Notification::parse(&bytes) {
            prop_assert_eq!(parse(&receipt.to_xml()).unwrap().message_id, receipt.message_id);
        }
    }
}
