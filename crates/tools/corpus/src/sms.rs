//! Parsers of short messages: what SMSCs and gateways send, and what stands in user data.

use rcseal_carrier::auth::Password;
use rcseal_carrier::sms::encoding::join::{Joiner, Key};
use rcseal_carrier::sms::encoding::{self, Alphabet, Reference, udh};
use rcseal_carrier::sms::http_gateway::{Callback, Config, Event, read};
use rcseal_carrier::sms::smpp::pdu::{Address, Delivery, Framer, Parameters};
use rcseal_carrier::sms::smpp::receipt;
use rcseal_carrier::sms::{GatewayId, SmsReport};

use super::Verdict;

const PDU_LEN_MAX: usize = 4096;

/// What is read of a stream: how many PDUs, how many of them could be read further, and whether the stream can go on.
fn pdus(pieces: &[&[u8]]) -> (usize, usize, bool) {
    let mut framer = Framer::new(PDU_LEN_MAX);
    let (mut frames, mut read) = (0, 0);
    for piece in pieces {
        framer.buffer().extend_from_slice(piece);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    frames += 1;
                    let id = frame.message_id();
                    assert!(id.as_ref().is_none_or(|id| GatewayId::parse(id.as_str()).is_some()));
                    let delivery = frame.delivery();
                    if let Ok(delivery) = &delivery {
                        assert!(delivery.user_data.len() <= PDU_LEN_MAX);
                        assert!(delivery.source.text.is_ascii() && delivery.destination.text.is_ascii());
                        let _ = receipt::read(delivery);
                    }
                    read += usize::from(id.is_some() || delivery.is_ok());
                }
                Ok(None) => break,
                Err(_) => return (frames, read, false),
            }
        }
    }
    (frames, read, true)
}

/// A stream in one piece and in two.
pub(super) fn smpp_pdu(bytes: &[u8]) -> Verdict {
    let whole = pdus(&[bytes]);
    let (left, right) = bytes.split_at(bytes.len() / 2);
    assert_eq!(whole, pdus(&[left, right]), "where a packet ends changes what a stream says");
    if whole.0 > 0 && whole.2 { Verdict::Accepted } else { Verdict::Refused }
}

fn pdu(id: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], &id.to_be_bytes(), &[0; 4], &7_u32.to_be_bytes(), body].concat()
}

pub(super) fn smpp_pdu_seeds() -> Vec<Vec<u8>> {
    let addresses = b"\0\x01\x014915112345678\0\x01\x01491700000000\0".as_slice();
    let message = [addresses, &[0x40, 0, 0, 0, 0, 0, 0, 8, 0, 10, 5, 0, 3, 1, 2, 1, 4, 0x4f, 4, 0x50]].concat();
    let text = b"id:a1 sub:001 dlvrd:001 submit date:2611231800 done date:2611231801 stat:DELIVRD err:000 text:x";
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let receipt = [addresses, &[4, 0, 0, 0, 0, 0, 0, 0, 0, len], text, b"\0\x1e\0\x03a1\0\x04\x27\0\x01\x02"].concat();
    let payload =
        [addresses, &[0, 0, 8], b"\x04\x24\0\x04\0a\0b\x02\x0c\0\x02\0\x09\x02\x0e\0\x01\x02\x02\x0f\0\x01\x01"];
    vec![
        pdu(5, &message),
        pdu(5, &receipt),
        pdu(0x103, &payload.concat()),
        [pdu(0x8000_0004, b"0001\0"), pdu(0x8000_0004, b""), pdu(0x15, b""), pdu(0x8000_0000, b"")].concat(),
    ]
}

/// A receipt's text, with a state by parameter in the first byte.
pub(super) fn sms_receipt(bytes: &[u8]) -> Verdict {
    let (state, text) = bytes.split_first().map_or((None, bytes), |(first, rest)| (Some(*first), rest));
    let delivery = |message_state| Delivery {
        source: Address::default(),
        destination: Address::default(),
        esm_class: 0x04,
        data_coding: 0,
        user_data: text.to_vec().into(),
        parameters: Parameters { message_state, ..Parameters::default() },
    };
    let by_text = receipt::read(&delivery(None));
    let by_both = receipt::read(&delivery(state));
    if let (Ok(by_text), Ok(by_both)) = (&by_text, &by_both) {
        assert_eq!(by_text.id, by_both.id, "a state changes which message it is of");
    }
    if let Ok(receipt) = &by_text {
        assert!(receipt.error.as_ref().is_none_or(|error| error.len() <= SmsReport::ERROR_LEN_MAX));
        // What the sender of the message wrote comes behind, and says nothing.
        let longer = [text, b" text:id:forged stat:DELIVRD err:9"].concat();
        let longer = Delivery { user_data: longer.into(), ..delivery(None) };
        if text.len() < 256 && text.is_ascii() {
            assert_eq!(receipt::read(&longer).as_ref(), Ok(receipt), "the words of the message are read as a receipt");
        }
    }
    Verdict::of(&by_text)
}

pub(super) fn sms_receipt_seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 4] = [
        b"\x02id:c449ab97 sub:001 dlvrd:001 submit date:2611231800 done date:2611231801 stat:DELIVRD err:000 text:hello",
        b"\x00ID:77AB STAT:UNDELIV ERR:27 TEXT:",
        b"\xffstat:EXPIRED id:5",
        b"\x05id:a stat:REJECTD err:x1 text:id:b stat:DELIVRD",
    ];
    texts.map(<[u8]>::to_vec).to_vec()
}

/// A text that is cut and joined, and the same bytes as user data of a segment.
pub(super) fn sms_encoding(bytes: &[u8]) -> Verdict {
    for alphabet in [Alphabet::Gsm7, Alphabet::Ucs2] {
        let words = encoding::decode(alphabet, bytes);
        assert!(words.chars().count() <= bytes.len(), "octets have become more characters than they are");
    }
    if let Ok((Some(which), words)) = udh::split(bytes) {
        assert!(which.part >= 1 && which.part <= which.total && words.len() < bytes.len());
        let mut joiner = Joiner::default();
        let key = Key { from: "a".to_owned(), to: "b".to_owned(), coding: 0 };
        let whole = joiner.take(key, which, words, 0);
        assert_eq!(whole.is_some(), which.total == 1);
        let again = [which.header(), words.to_vec()].concat();
        assert_eq!(udh::split(&again), Ok((Some(which), words)));
    }
    let text = std::str::from_utf8(bytes);
    if let Ok(text) = text {
        for reference in [Reference::Eight, Reference::Sixteen] {
            let segments = encoding::plan_with(text, reference);
            let joined: String =
                segments.parts().iter().map(|part| encoding::decode(segments.alphabet(), part)).collect();
            assert_eq!(joined, text, "a text is another after it was cut and joined");
            let room = match segments.alphabet() {
                Alphabet::Gsm7 => encoding::GSM7_ALONE,
                Alphabet::Ucs2 => encoding::UCS2_ALONE * 2,
            };
            assert!(segments.parts().iter().all(|part| part.len() <= room));
        }
    }
    Verdict::of(&text)
}

pub(super) fn sms_encoding_seeds() -> Vec<Vec<u8>> {
    let long = "and so on, for 5 € each; ".repeat(9);
    let texts =
        ["plain words", "5 € [x] {y} ~z~", "слова 🦐 日本語", long.as_str(), "\u{5}\u{0}\u{3}\u{1}\u{2}\u{1}joined"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// The secret of the gateway below.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A call of a gateway, by one that signs and one that does not.
pub(super) fn gateway_callback(bytes: &[u8]) -> Verdict {
    let config = Config::new("http://gateway.test/send", "us", Password::new("p"), Password::new(SECRET));
    let Ok(config) = config else { return Verdict::Refused };
    let call = Callback { secret: SECRET, content: bytes, signature: None, timestamp: None, now_ms: 1 };
    let event = read(&config, &call);
    match &event {
        Ok(Event::Report { report, .. }) => {
            assert!(report.error.as_ref().is_none_or(|error| error.len() <= SmsReport::ERROR_LEN_MAX));
        }
        Ok(Event::Message { message, .. }) => {
            assert!(!message.to.is_empty() && message.to.len() <= 32 && message.text.len() <= bytes.len() * 3);
        }
        Ok(Event::Underway) | Err(_) => {}
    }
    assert_eq!(event, read(&config, &call), "one call says two things");
    assert!(read(&config, &Callback { secret: "guess", ..call }).is_err(), "a guessed secret is taken");
    let signing = Config { signing_key: Some(Password::new("key")), ..config };
    let text = std::str::from_utf8(bytes).ok();
    let forged = Callback { signature: text, timestamp: text, ..call };
    assert!(read(&signing, &forged).is_err(), "a signature is taken that nobody made");
    Verdict::of(&event)
}

pub(super) fn gateway_callback_seeds() -> Vec<Vec<u8>> {
    let calls: [&[u8]; 4] = [
        b"id=a-1&level=2&id_smsc=7&sub=001&dlvrd=001&err=000&message_status=DELIVRD&text=hi",
        b"id=a-1&level=1&message_status=ESME_RINVDSTADR&connector=net",
        b"id=m-1&from=4917012345678&to=72345&coding=8&binary=044fd83edd90&content=%3F&priority=0",
        b"from=BANK&to=72345&content=caf%C3%A9",
    ];
    calls.map(<[u8]>::to_vec).to_vec()
}
