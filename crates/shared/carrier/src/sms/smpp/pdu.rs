//! PDUs of SMPP 3.4.
//!
//! The types are those of `rusmpp-core`. Three things are ours. *Frames*: a PDU is cut out of the stream by its length before anybody reads
//! it, so that one that lies about its fields cannot reach into the next. *Parameters* behind the mandatory fields: the crate refuses a whole
//! PDU for one parameter that is not by the book, and receipts of real SMSCs often carry such; we look for the four that matter and pass over
//! the rest. *The ESM class*: the crate's default sets a bit of ANSI-41, so that it is always made from a number here.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use rusmpp_core::command::owned::Command;
use rusmpp_core::decode::owned::DecodeWithLength;
use rusmpp_core::encode::Length;
use rusmpp_core::encode::owned::Encode;
use rusmpp_core::pdus::owned::{
    BindReceiver, BindTransceiver, BindTransmitter, DataSm, DataSmResp, DeliverSm, DeliverSmResp, Pdu, SubmitSm,
    SubmitSmResp,
};
use rusmpp_core::types::owned::{COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp_core::values::{DataCoding, EsmClass, InterfaceVersion, Npi, RegisteredDelivery, Ton};
use rusmpp_core::{CommandId, CommandStatus};

use super::config::{BindMode, Credentials};
use crate::sms::{GatewayId, SenderId};

/// Length, command, status, sequence number.
const HEADER_LEN: usize = 16;
/// Parameters of one PDU that are looked at.
const PARAMETERS_MAX: usize = 64;

/// An id of a receipt's message.
const RECEIPTED_MESSAGE_ID: u16 = 0x001e;
const MESSAGE_PAYLOAD: u16 = 0x0424;
const MESSAGE_STATE: u16 = 0x0427;
const NETWORK_ERROR_CODE: u16 = 0x0423;
const SAR_REFERENCE: u16 = 0x020c;
const SAR_TOTAL: u16 = 0x020e;
const SAR_PART: u16 = 0x020f;

/// One PDU's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The command.
    pub id: CommandId,
    /// The status of an answer.
    pub status: u32,
    /// The sequence number.
    pub sequence: u32,
    body: Bytes,
}

/// A stream that is not made of PDUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length that has no room for the header.
    #[error("a PDU of {len} bytes")]
    TooShort {
        /// The length.
        len: usize,
    },
    /// A length beyond the limit.
    #[error("a PDU of {len} bytes, more than {max}")]
    TooLong {
        /// The length.
        len: usize,
        /// The limit.
        max: usize,
    },
}

impl FrameError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "smpp_pdu_too_short",
            Self::TooLong { .. } => "smpp_pdu_too_long",
        }
    }
}

/// Cuts a stream into PDUs.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    len_max: usize,
}

impl Framer {
    /// A framer that takes PDUs up to a length.
    #[must_use]
    pub fn new(len_max: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(8 << 10), len_max }
    }

    /// Where what was received goes.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether a PDU has begun.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next PDU, if all of it is there.
    ///
    /// # Errors
    /// [`FrameError`]: nothing behind it can be found any more.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let len = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if len < HEADER_LEN {
            return Err(FrameError::TooShort { len });
        }
        if len > self.len_max {
            return Err(FrameError::TooLong { len, max: self.len_max });
        }
        if self.buffer.len() < len {
            return Ok(None);
        }
        let mut bytes = self.buffer.split_to(len).freeze();
        bytes.advance(4);
        let id = CommandId::from(bytes.get_u32());
        let status = bytes.get_u32();
        let sequence = bytes.get_u32();
        Ok(Some(Frame { id, status, sequence, body: bytes }))
    }
}

/// A body that is not what its command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body of a PDU cannot be read")]
pub struct BodyError;

/// An address as it was written.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// Type of number.
    pub ton: u8,
    /// The digits or the name.
    pub text: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address(ton {}, {} characters)", self.ton, self.text.len())
    }
}

/// Parameters that say which segment of which message this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sar {
    /// What the segments have in common.
    pub reference: u16,
    /// How many.
    pub total: u8,
    /// Which one, from 1.
    pub part: u8,
}

/// The parameters that matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// `receipted_message_id`.
    pub receipted_message_id: Option<GatewayId>,
    /// `message_state`.
    pub message_state: Option<u8>,
    /// `network_error_code`: network and code.
    pub network_error: Option<(u8, u16)>,
    /// `message_payload`: the user data, where the field for it is empty.
    pub payload: Option<Bytes>,
    /// `sar_*`.
    pub sar: Option<Sar>,
}

impl Parameters {
    /// Reads parameters as far as they can be read. A value of a wrong length is as good as none.
    fn read(mut bytes: Bytes) -> Self {
        let mut found = Self::default();
        let (mut reference, mut total, mut part) = (None, None, None);
        for _ in 0..PARAMETERS_MAX {
            if bytes.len() < 4 {
                break;
            }
            let (tag, len) = (bytes.get_u16(), usize::from(bytes.get_u16()));
            if bytes.len() < len {
                break;
            }
            let value = bytes.split_to(len);
            match tag {
                RECEIPTED_MESSAGE_ID => found.receipted_message_id = text(&value).and_then(GatewayId::parse),
                MESSAGE_STATE => found.message_state = value.first().copied(),
                NETWORK_ERROR_CODE => {
                    if let [network, high, low] = *value {
                        found.network_error = Some((network, u16::from_be_bytes([high, low])));
                    }
                }
                MESSAGE_PAYLOAD => found.payload = Some(value),
                SAR_REFERENCE => reference = value.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes)),
                SAR_TOTAL => total = value.first().copied(),
                SAR_PART => part = value.first().copied(),
                _ => {}
            }
        }
        if let (Some(reference), Some(total), Some(part)) = (reference, total, part)
            && (1..=total).contains(&part)
        {
            found.sar = Some(Sar { reference, total, part });
        }
        found
    }
}

/// A string that ought to end with a zero and often does not.
fn text(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()
}

/// Something that the SMSC delivers: a message or a receipt.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who sends.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// What kind of message it is, and whether a header stands in front of the user data.
    pub esm_class: u8,
    /// The alphabet.
    pub data_coding: u8,
    /// The user data.
    pub user_data: Bytes,
    /// Parameters.
    pub parameters: Parameters,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("len", &self.user_data.len()).finish_non_exhaustive()
    }
}

impl Delivery {
    /// Whether a header stands in front of the user data.
    #[must_use]
    pub const fn has_header(&self) -> bool {
        self.esm_class & 0x40 != 0
    }

    /// Whether the SMSC says that this is a receipt, or an intermediate notification. A text that looks like one and comes as a message is a
    /// message: anybody can write one.
    #[must_use]
    pub const fn is_receipt(&self) -> bool {
        matches!(self.esm_class & 0x3c, 0x04 | 0x20) || self.parameters.receipted_message_id.is_some()
    }
}

impl Frame {
    /// Whether this answers something.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        u32::from(self.id) & 0x8000_0000 != 0
    }

    /// The id in an answer to a submission. Refusals come without a body.
    #[must_use]
    pub fn message_id(&self) -> Option<GatewayId> {
        let mut body = BytesMut::from(&self.body[..]);
        // Zero for the length of the whole keeps the crate from the parameters behind.
        let (answer, _) = <SubmitSmResp as DecodeWithLength>::decode(&mut body, 0).ok()?;
        GatewayId::parse(answer.message_id().as_str())
    }

    /// What a `deliver_sm` or `data_sm` brings.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn delivery(&self) -> Result<Delivery, BodyError> {
        let mut body = BytesMut::from(&self.body[..]);
        let mut delivery = match self.id {
            CommandId::DeliverSm => {
                let (fields, _) = <DeliverSm as DecodeWithLength>::decode(&mut body, 0).map_err(|_| BodyError)?;
                Delivery {
                    source: address(fields.source_addr_ton, fields.source_addr.as_str()),
                    destination: address(fields.dest_addr_ton, fields.destination_addr.as_str()),
                    esm_class: fields.esm_class.into(),
                    data_coding: fields.data_coding.into(),
                    user_data: fields.short_message().clone().into_bytes(),
                    parameters: Parameters::default(),
                }
            }
            CommandId::DataSm => {
                let (fields, _) = <DataSm as DecodeWithLength>::decode(&mut body, 0).map_err(|_| BodyError)?;
                Delivery {
                    source: address(fields.source_addr_ton, fields.source_addr.as_str()),
                    destination: address(fields.dest_addr_ton, fields.destination_addr.as_str()),
                    esm_class: fields.esm_class.into(),
                    data_coding: fields.data_coding.into(),
                    user_data: Bytes::new(),
                    parameters: Parameters::default(),
                }
            }
            _ => return Err(BodyError),
        };
        delivery.parameters = Parameters::read(body.freeze());
        if delivery.user_data.is_empty()
            && let Some(payload) = delivery.parameters.payload.take()
        {
            delivery.user_data = payload;
        }
        Ok(delivery)
    }
}

fn address(ton: Ton, text: &str) -> Address {
    Address { ton: ton.into(), text: text.to_owned() }
}

/// A message to be submitted, one segment of it.
pub(super) struct Submission<'a> {
    /// To whom: digits without a plus sign.
    pub(super) to: &'a str,
    pub(super) from: &'a SenderId,
    /// Header and words.
    pub(super) user_data: &'a [u8],
    pub(super) has_header: bool,
    pub(super) data_coding: u8,
    pub(super) validity_seconds: Option<u32>,
    pub(super) wants_receipt: bool,
}

fn encode(sequence: u32, status: CommandStatus, pdu: Pdu) -> Bytes {
    let command = Command::new(status, sequence, pdu);
    let len = 4 + command.length();
    let mut bytes = BytesMut::with_capacity(len);
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    command.encode(&mut bytes);
    bytes.freeze()
}

fn c_string<const MAX: usize>(text: &str) -> Option<COctetString<1, MAX>> {
    // The crate refuses what is too long, not ASCII, or has a zero in it.
    COctetString::from_vec([text.as_bytes(), b"\0"].concat()).ok()
}

/// A bind; `None` where the credentials have no place in it.
pub(super) fn bind(mode: BindMode, credentials: &Credentials, sequence: u32) -> Option<Bytes> {
    let system_id = c_string(&credentials.system_id)?;
    let password = c_string(credentials.password.expose())?;
    let system_type = c_string(&credentials.system_type)?;
    let version = InterfaceVersion::Smpp3_4;
    let range = COctetString::null();
    let (ton, npi) = (Ton::Unknown, Npi::Unknown);
    let pdu: Pdu = match mode {
        BindMode::Transceiver => {
            BindTransceiver::new(system_id, password, system_type, version, ton, npi, range).into()
        }
        BindMode::Transmitter => {
            BindTransmitter::new(system_id, password, system_type, version, ton, npi, range).into()
        }
        BindMode::Receiver => BindReceiver::new(system_id, password, system_type, version, ton, npi, range).into(),
    };
    Some(encode(sequence, CommandStatus::EsmeRok, pdu))
}

/// A submission; `None` where something has no place in it.
pub(super) fn submit(submission: &Submission<'_>, sequence: u32) -> Option<Bytes> {
    let (ton, npi) = match submission.from {
        SenderId::Number(_) => (Ton::International, Npi::Isdn),
        SenderId::Name(_) => (Ton::Alphanumeric, Npi::Unknown),
        SenderId::Short(_) => (Ton::NetworkSpecific, Npi::Unknown),
    };
    // Field by field: the type has private ones.
    let mut pdu = SubmitSm::default();
    pdu.source_addr_ton = ton;
    pdu.source_addr_npi = npi;
    pdu.source_addr = c_string(submission.from.as_str().trim_start_matches('+'))?;
    pdu.dest_addr_ton = Ton::International;
    pdu.dest_addr_npi = Npi::Isdn;
    pdu.destination_addr = c_string(submission.to)?;
    pdu.esm_class = EsmClass::from(if submission.has_header { 0x40 } else { 0 });
    if let Some(seconds) = submission.validity_seconds {
        pdu.validity_period = EmptyOrFullCOctetString::from_string(relative_time(seconds)).ok()?;
    }
    pdu.registered_delivery = RegisteredDelivery::from(u8::from(submission.wants_receipt));
    pdu.data_coding = DataCoding::from(submission.data_coding);
    pdu.set_short_message(OctetString::from_slice(submission.user_data).ok()?);
    Some(encode(sequence, CommandStatus::EsmeRok, pdu.into()))
}

/// Thirty days: beyond it months would have to be counted, which have no length.
const VALIDITY_SECONDS_MAX: u32 = 30 * 24 * 3600;

/// A span in the form of SMPP (7.1.1): `YYMMDDhhmmss000R`.
fn relative_time(seconds: u32) -> String {
    let seconds = seconds.clamp(1, VALIDITY_SECONDS_MAX);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("0000{days:02}{hours:02}{minutes:02}{:02}000R", seconds % 60)
}

pub(super) fn enquire_link(sequence: u32) -> Bytes {
    encode(sequence, CommandStatus::EsmeRok, Pdu::EnquireLink)
}

pub(super) fn enquire_link_answer(sequence: u32) -> Bytes {
    encode(sequence, CommandStatus::EsmeRok, Pdu::EnquireLinkResp)
}

pub(super) fn unbind(sequence: u32) -> Bytes {
    encode(sequence, CommandStatus::EsmeRok, Pdu::Unbind)
}

pub(super) fn unbind_answer(sequence: u32) -> Bytes {
    encode(sequence, CommandStatus::EsmeRok, Pdu::UnbindResp)
}

/// Says that a PDU is not understood.
pub(super) fn nack(sequence: u32, status: CommandStatus) -> Bytes {
    encode(sequence, status, Pdu::GenericNack)
}

/// The answer to a delivery.
pub(super) fn delivery_answer(id: CommandId, sequence: u32, status: CommandStatus) -> Bytes {
    let pdu = match id {
        CommandId::DataSm => DataSmResp::default().into(),
        _ => DeliverSmResp::default().into(),
    };
    encode(sequence, status, pdu)
}

/// Reads whatever stands in bytes: for fuzzing. How many PDUs there were, and how many of them could be read as deliveries or answers.
#[must_use]
pub fn read_all(bytes: &[u8]) -> (usize, usize) {
    let mut framer = Framer::new(68 << 10);
    framer.buffer().extend_from_slice(bytes);
    let (mut frames, mut read) = (0, 0);
    while let Ok(Some(frame)) = framer.next_frame() {
        frames += 1;
        let is_read = frame.message_id().is_some() || frame.delivery().is_ok();
        read += usize::from(is_read);
    }
    (frames, read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::auth::Password;

    fn frame(bytes: &[u8]) -> Frame {
        let mut framer = Framer::new(1 << 16);
        framer.buffer().extend_from_slice(bytes);
        let frame = framer.next_frame().unwrap().unwrap();
        assert!(!framer.is_midway());
        frame
    }

    fn credentials(password: &str) -> Credentials {
        let password = Password::new(password);
        Credentials { system_id: "tester".to_owned(), password, system_type: String::new() }
    }

    #[test]
    fn a_bind_is_the_bytes_of_the_specification() {
        let bytes = bind(BindMode::Transceiver, &credentials("secret"), 1).unwrap();
        let body = b"tester\0secret\0\0\x34\0\0\0";
        let header = [0, 0, 0, u8::try_from(16 + body.len()).unwrap(), 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(bytes, [&header[..], body].concat());
        assert_eq!(bind(BindMode::Transceiver, &credentials("nine char"), 1), None);
        assert_eq!(bind(BindMode::Receiver, &credentials("a\0b"), 1), None);
    }

    #[test]
    fn a_submission_is_the_bytes_of_the_specification() {
        let from = SenderId::parse("RCSeal").unwrap();
        let submission = Submission {
            to: "4915112345678",
            from: &from,
            user_data: b"hello",
            has_header: false,
            data_coding: 0,
            validity_seconds: Some(90_061),
            wants_receipt: true,
        };
        let bytes = submit(&submission, 7).unwrap();
        let mut expected = vec![0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 7];
        expected.extend(b"\0\x05\0RCSeal\0\x01\x014915112345678\0\0\0\0\x00000001010101000R\0\x01\0\0\0\x05hello");
        expected[3] = u8::try_from(expected.len()).unwrap();
        assert_eq!(bytes, expected);
        let long = submit(&Submission { has_header: true, validity_seconds: None, ..submission }, 7).unwrap();
        assert_eq!(long.iter().filter(|byte| **byte == 0x40).count(), 1);
    }

    #[test]
    fn a_span_is_bounded() {
        assert_eq!(relative_time(0), "000000000001000R");
        assert_eq!(relative_time(u32::MAX), "000030000000000R");
    }

    /// A `deliver_sm` with parameters.
    fn deliver(esm_class: u8, words: &[u8], parameters: &[u8]) -> Vec<u8> {
        let mut body = b"\0\x01\x014915112345678\0\x01\x01491700000000\0".to_vec();
        body.extend([esm_class, 0, 0, 0, 0, 0, 0, 0, 0, u8::try_from(words.len()).unwrap()]);
        body.extend(words);
        body.extend(parameters);
        let mut bytes = u32::try_from(16 + body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend([0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn parameters_off_the_book_do_not_cost_the_receipt() {
        // An id without its zero, a state of two bytes, a network code that is too short, a tag nobody knows, and a value that is cut off.
        let parameters =
            b"\x00\x1e\x00\x03abc\x04\x27\x00\x02\x02\x00\x04\x23\x00\x01\x03\x14\x01\x00\x01x\x04\x24\xff\xffcut";
        let delivery = frame(&deliver(0x04, b"words", parameters)).delivery().unwrap();
        assert!(delivery.is_receipt());
        assert_eq!(delivery.parameters.receipted_message_id, GatewayId::parse("abc"));
        assert_eq!(delivery.parameters.message_state, Some(2));
        assert_eq!(delivery.parameters.network_error, None);
        assert_eq!(&delivery.user_data[..], b"words");
        assert_eq!(delivery.source.text, "4915112345678");
    }

    #[test]
    fn a_message_may_come_as_a_parameter() {
        let delivery = frame(&deliver(0, b"", b"\x04\x24\x00\x05words")).delivery().unwrap();
        assert_eq!(&delivery.user_data[..], b"words");
        assert!(!delivery.is_receipt() && !delivery.has_header());
    }

    #[test]
    fn a_pdu_that_lies_about_its_fields_does_not_reach_into_the_next() {
        let mut lying = deliver(0, b"words", b"");
        let len = lying.len();
        lying[len - 6] = 200;
        let mut framer = Framer::new(1 << 16);
        framer.buffer().extend_from_slice(&[lying, deliver(0, b"next", b"")].concat());
        assert_eq!(framer.next_frame().unwrap().unwrap().delivery(), Err(BodyError));
        assert_eq!(&framer.next_frame().unwrap().unwrap().delivery().unwrap().user_data[..], b"next");
    }

    #[test]
    fn lengths_out_of_bounds_end_the_stream() {
        let mut framer = Framer::new(64);
        framer.buffer().extend_from_slice(&[0, 0, 0, 15]);
        assert_eq!(framer.next_frame(), Err(FrameError::TooShort { len: 15 }));
        let mut framer = Framer::new(64);
        framer.buffer().extend_from_slice(&[0, 0, 0, 65]);
        assert_eq!(framer.next_frame(), Err(FrameError::TooLong { len: 65, max: 64 }));
    }

    #[test]
    fn an_answer_has_an_id_or_none() {
        let answer = |body: &[u8]| {
            let mut bytes = u32::try_from(16 + body.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend([0x80, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]);
            bytes.extend(body);
            frame(&bytes).message_id()
        };
        assert_eq!(answer(b"id-1\0"), GatewayId::parse("id-1"));
        assert_eq!(answer(b"id-1\0\x04\x27\xff\xff"), GatewayId::parse("id-1"));
        assert_eq!(answer(b""), None);
        assert_eq!(answer(b"never ends"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read_all(&bytes);
        }

        #[test]
        fn any_body_is_read_or_refused(id in prop_oneof![Just(5_u32), Just(0x103), Just(0x8000_0004)], body: Vec<u8>) {
            let mut bytes = u32::try_from(16 + body.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend(id.to_be_bytes());
            bytes.extend([0; 8]);
            bytes.extend(body);
            prop_assert_eq!(read_all(&bytes).0, 1);
        }
    }
}
