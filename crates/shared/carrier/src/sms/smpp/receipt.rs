//! Receipts: what an SMSC says of a message some time later.
//!
//! SMPP has two forms, and SMSCs send either or both: the parameters `receipted_message_id` and `message_state`, and a text that no standard
//! fixes but everybody writes about like `id:… sub:001 dlvrd:001 submit date:… done date:… stat:DELIVRD err:000 text:…` (SMPP 3.4,
//! appendix B). Parameters win where both say something. The text is read up to `text:`, because what follows is the beginning of the message
//! itself: its sender could have written anything there, a state as well.

use super::config::ReceiptIds;
use super::pdu::Delivery;
use crate::sms::{GatewayId, ReportState, SmsReport};

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has ended so.
    Final(ReportState),
    /// It is still on its way.
    Underway,
}

/// A receipt, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which message.
    pub id: GatewayId,
    /// How far it has come.
    pub stage: Stage,
    /// What went wrong, in the network's own code.
    pub error: Option<String>,
}

/// A receipt that says too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Which message it is of.
    #[error("a receipt does not say of which message it is")]
    NoId,
    /// What became of it.
    #[error("a receipt does not say what became of the message")]
    NoState,
}

impl ReceiptError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoId => "smpp_receipt_no_id",
            Self::NoState => "smpp_receipt_no_state",
        }
    }
}

/// The longest text that is looked at: the form has some 130 characters before `text:`.
const TEXT_LEN_MAX: usize = 512;

/// Reads a receipt.
///
/// # Errors
/// [`ReceiptError`].
pub fn read(delivery: &Delivery) -> Result<Receipt, ReceiptError> {
    let words = Words::of(&delivery.user_data);
    let parameters = &delivery.parameters;
    let id = parameters.receipted_message_id.clone().or_else(|| words.value("id").and_then(GatewayId::parse));
    let stage = parameters
        .message_state
        .and_then(state_by_number)
        .or_else(|| words.value("stat").and_then(state_by_word))
        .or((delivery.esm_class & 0x3c == 0x20).then_some(Stage::Underway));
    let in_words = words.value("err").and_then(SmsReport::error_code);
    let error = in_words.or_else(|| parameters.network_error.map(|(_, code)| code.to_string()));
    Ok(Receipt {
        id: id.ok_or(ReceiptError::NoId)?,
        stage: stage.ok_or(ReceiptError::NoState)?,
        // Zeros say that nothing went wrong.
        error: error.filter(|code| code.bytes().any(|byte| byte != b'0')),
    })
}

/// The words of a receipt before the message's own.
struct Words(String);

impl Words {
    fn of(user_data: &[u8]) -> Self {
        let mut text = String::from_utf8_lossy(&user_data[..user_data.len().min(TEXT_LEN_MAX)]).into_owned();
        if let Some(end) = text.to_ascii_lowercase().find("text:") {
            text.truncate(end);
        }
        Self(text)
    }

    /// The value of a key that stands at the beginning or behind a space.
    fn value(&self, key: &str) -> Option<&str> {
        self.0.split_ascii_whitespace().find_map(|word| {
            let (name, value) = word.split_once(':')?;
            (name.eq_ignore_ascii_case(key) && !value.is_empty()).then_some(value)
        })
    }
}

/// A state by its number (SMPP 3.4, 5.2.28). `None` for numbers that are none.
const fn state_by_number(number: u8) -> Option<Stage> {
    Some(match number {
        0 | 1 | 6 => Stage::Underway,
        2 => Stage::Final(ReportState::Delivered),
        3 => Stage::Final(ReportState::Expired),
        4 | 5 => Stage::Final(ReportState::Undeliverable),
        7 => Stage::Final(ReportState::Unknown),
        8 | 9 => Stage::Final(ReportState::Rejected),
        _ => return None,
    })
}

/// A state by its word, in seven letters or in full. A word that nobody knows says nothing.
pub(crate) fn state_by_word(word: &str) -> Option<Stage> {
    const WORDS: [(&str, Stage); 14] = [
        ("DELIVRD", Stage::Final(ReportState::Delivered)),
        ("DELIVERED", Stage::Final(ReportState::Delivered)),
        ("EXPIRED", Stage::Final(ReportState::Expired)),
        ("DELETED", Stage::Final(ReportState::Undeliverable)),
        ("UNDELIV", Stage::Final(ReportState::Undeliverable)),
        ("UNDELIVERABLE", Stage::Final(ReportState::Undeliverable)),
        ("FAILED", Stage::Final(ReportState::Undeliverable)),
        ("REJECTD", Stage::Final(ReportState::Rejected)),
        ("REJECTED", Stage::Final(ReportState::Rejected)),
        ("UNKNOWN", Stage::Final(ReportState::Unknown)),
        ("ACCEPTD", Stage::Underway),
        ("ACCEPTED", Stage::Underway),
        ("ENROUTE", Stage::Underway),
        ("BUFFRED", Stage::Underway),
    ];
    WORDS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, stage)| stage)
}

/// The id of a receipt in the form in which the answer to the submission had it.
pub(super) fn same_form(id: &GatewayId, ids: ReceiptIds) -> GatewayId {
    let text = id.as_str();
    let changed = match ids {
        ReceiptIds::Same => None,
        ReceiptIds::DecimalInReceipts => text.parse::<u128>().ok().map(|number| format!("{number:x}")),
        ReceiptIds::HexInReceipts => u128::from_str_radix(text, 16).ok().map(|number| number.to_string()),
    };
    changed.and_then(|text| GatewayId::parse(&text)).unwrap_or_else(|| id.clone())
}

/// The id of an answer in the form that receipts are brought into: hexadecimal ids are written in many ways.
pub(super) fn answered_form(id: GatewayId, ids: ReceiptIds) -> GatewayId {
    let text = id.as_str();
    let changed = match ids {
        ReceiptIds::Same => None,
        ReceiptIds::DecimalInReceipts => u128::from_str_radix(text, 16).ok().map(|number| format!("{number:x}")),
        ReceiptIds::HexInReceipts => text.parse::<u128>().ok().map(|number| number.to_string()),
    };
    changed.and_then(|text| GatewayId::parse(&text)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::pdu::{Address, Parameters};
    use super::*;

    fn delivery(text: &str, parameters: Parameters) -> Delivery {
        Delivery {
            source: Address::default(),
            destination: Address::default(),
            esm_class: 0x04,
            data_coding: 0,
            user_data: Bytes::copy_from_slice(text.as_bytes()),
            parameters,
        }
    }

    fn read_text(text: &str) -> Result<Receipt, ReceiptError> {
        read(&delivery(text, Parameters::default()))
    }

    #[test]
    fn the_usual_text_is_read() {
        let text =
            "id:c449ab97 sub:001 dlvrd:001 submit date:2611231800 done date:2611231801 stat:DELIVRD err:000 text:hello";
        let receipt = read_text(text).unwrap();
        assert_eq!(receipt.id.as_str(), "c449ab97");
        assert_eq!((receipt.stage, receipt.error), (Stage::Final(ReportState::Delivered), None));
        let receipt = read_text("ID:77AB SUB:1 DLVRD:0 STAT:UNDELIV ERR:27 TEXT:").unwrap();
        assert_eq!((receipt.id.as_str(), receipt.stage), ("77AB", Stage::Final(ReportState::Undeliverable)));
        assert_eq!(receipt.error.as_deref(), Some("27"));
        assert_eq!(read_text("stat:ENROUTE id:5").unwrap().stage, Stage::Underway);
        assert_eq!(read_text("id:5 stat:rejected").unwrap().stage, Stage::Final(ReportState::Rejected));
    }

    #[test]
    fn the_words_of_the_message_are_not_read_as_a_receipt() {
        assert_eq!(read_text("text:id:1 stat:DELIVRD"), Err(ReceiptError::NoId));
        assert_eq!(read_text("id:1 Text: stat:DELIVRD"), Err(ReceiptError::NoState));
        let receipt = read_text("id:1 stat:EXPIRED text:a id:2 stat:DELIVRD").unwrap();
        assert_eq!((receipt.id.as_str(), receipt.stage), ("1", Stage::Final(ReportState::Expired)));
    }

    #[test]
    fn parameters_win_over_the_text() {
        let parameters = Parameters {
            receipted_message_id: GatewayId::parse("by-parameter"),
            message_state: Some(5),
            network_error: Some((3, 8)),
            ..Parameters::default()
        };
        let receipt = read(&delivery("id:by-text stat:DELIVRD err:000", parameters)).unwrap();
        assert_eq!(receipt.id.as_str(), "by-parameter");
        assert_eq!(receipt.stage, Stage::Final(ReportState::Undeliverable));
        let parameters = Parameters { message_state: Some(99), ..Parameters::default() };
        assert_eq!(
            read(&delivery("id:1 stat:DELIVRD", parameters)).unwrap().stage,
            Stage::Final(ReportState::Delivered)
        );
    }

    #[test]
    fn what_says_too_little_is_refused() {
        assert_eq!(read_text("stat:DELIVRD"), Err(ReceiptError::NoId));
        assert_eq!(read_text("id:1"), Err(ReceiptError::NoState));
        assert_eq!(read_text("id:1 stat:SOMEHOW"), Err(ReceiptError::NoState));
        assert_eq!(read_text(""), Err(ReceiptError::NoId));
        assert_eq!(read_text(&format!("id:{} stat:DELIVRD", "9".repeat(65))), Err(ReceiptError::NoId));
    }

    #[test]
    fn ids_in_two_writings_are_one() {
        let id = |text: &str| GatewayId::parse(text).unwrap();
        let same = |answer: &str, receipt: &str, ids| answered_form(id(answer), ids) == same_form(&id(receipt), ids);
        assert!(same("1F4A", "8010", ReceiptIds::DecimalInReceipts));
        assert!(same("0001f4a", "8010", ReceiptIds::DecimalInReceipts));
        assert!(same("8010", "1F4A", ReceiptIds::HexInReceipts));
        assert!(same("a-b", "a-b", ReceiptIds::HexInReceipts));
        assert!(!same("1F4A", "8010", ReceiptIds::Same));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(bytes: Vec<u8>, tail in "(id|stat|err|text):[a-zA-Z0-9: ]{0,40}") {
            let _ = read(&delivery(&String::from_utf8_lossy(&bytes), Parameters::default()));
            let _ = read_text(&tail);
        }
    }
}
