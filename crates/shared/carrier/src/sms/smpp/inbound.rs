//! What an SMSC sends: receipts, messages, and questions of its own.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use rusmpp_core::{CommandId, CommandStatus};

use super::client::Core;
use super::config::DefaultAlphabet;
use super::groups::{Groups, Verdict};
use super::link::Link;
use super::pdu::{self, Delivery, Frame};
use super::receipt::{self, Stage};
use crate::sms::arrived::Told;
use crate::sms::encoding::{self, Alphabet, Reference, join, udh};
use crate::sms::{Arrived, GatewayId, InboundSms, SenderId, SmsReport};

/// What is to be done after a PDU.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on.
    GoOn,
    /// The SMSC wants to part.
    Part,
}

/// Takes a PDU of a bound connection.
pub(super) fn take(core: &Arc<Core>, link: &Arc<Link>, frame: &Frame) -> Next {
    match frame.id {
        CommandId::SubmitSmResp => {
            let id = frame.message_id();
            if !link.table.answer(frame.sequence, frame.status, id) {
                core.count(|counts| counts.unasked += 1);
            }
        }
        // A nack of what we asked is a refusal of it; one without a number that we know is nothing.
        CommandId::GenericNack => {
            let status = if frame.status == 0 { u32::from(CommandStatus::EsmeRunknownerr) } else { frame.status };
            if !link.table.answer(frame.sequence, status, None) {
                core.count(|counts| counts.unasked += 1);
            }
        }
        CommandId::DeliverSm | CommandId::DataSm => deliver(core, link, frame),
        CommandId::EnquireLink => link.write(pdu::enquire_link_answer(frame.sequence)),
        CommandId::Unbind => {
            link.write(pdu::unbind_answer(frame.sequence));
            return Next::Part;
        }
        CommandId::UnbindResp => return Next::Part,
        CommandId::EnquireLinkResp | CommandId::AlertNotification => {}
        _ if frame.is_answer() => core.count(|counts| counts.unasked += 1),
        _ => link.write(pdu::nack(frame.sequence, CommandStatus::EsmeRinvcmdid)),
    }
    Next::GoOn
}

fn deliver(core: &Arc<Core>, link: &Arc<Link>, frame: &Frame) {
    let (id, sequence) = (frame.id, frame.sequence);
    let answer = |status| link.write(pdu::delivery_answer(id, sequence, status));
    let Ok(delivery) = frame.delivery() else {
        core.count(|counts| counts.malformed += 1);
        // Sent again it would read no better.
        return answer(CommandStatus::EsmeRxPAppn);
    };
    if delivery.is_receipt() {
        return match receipt::read(&delivery) {
            Ok(receipt) => report(core, link, frame, receipt),
            Err(error) => {
                tracing::debug!(code = error.code(), "receipt not understood");
                core.count(|counts| counts.malformed += 1);
                answer(CommandStatus::EsmeRok);
            }
        };
    }
    match message(core, &delivery) {
        Ok(Some((message, name))) => {
            let core_then = Arc::clone(core);
            let arrived = arrived(link, frame, message, move || {
                if let Some(name) = &name {
                    core_then.joiner.lock().unwrap_or_else(PoisonError::into_inner).forget(name);
                }
            });
            // Dropped where nobody has room: the SMSC is told to come again.
            if core.inbound.try_send(arrived).is_ok() {
                core.count(|counts| counts.inbound += 1);
            }
        }
        Ok(None) => answer(CommandStatus::EsmeRok),
        Err(NotWords) => {
            core.count(|counts| counts.malformed += 1);
            answer(CommandStatus::EsmeRxPAppn);
        }
    }
}

/// Something that the SMSC is answered about when somebody has it.
fn arrived<T>(link: &Arc<Link>, frame: &Frame, item: T, then: impl FnOnce() + Send + 'static) -> Arrived<T> {
    let (link, id, sequence) = (Arc::clone(link), frame.id, frame.sequence);
    Arrived::new(item, move |told| {
        let status = match told {
            Told::Done => {
                then();
                CommandStatus::EsmeRok
            }
            Told::Later => CommandStatus::EsmeRxTAppn,
        };
        link.write(pdu::delivery_answer(id, sequence, status));
    })
}

fn report(core: &Arc<Core>, link: &Arc<Link>, frame: &Frame, receipt: receipt::Receipt) {
    let verdict = match receipt.stage {
        Stage::Final(state) => core.groups.receipt(&receipt.id, state),
        Stage::Underway => Verdict::Nothing,
    };
    let Verdict::Ended(gateway_id, state) = verdict else {
        return link.write(pdu::delivery_answer(frame.id, frame.sequence, CommandStatus::EsmeRok));
    };
    let groups = core.groups.handle();
    let ended = gateway_id.clone();
    let report = SmsReport { gateway_id, state, error: receipt.error };
    let arrived = arrived(link, frame, report, move || Groups::reported(&groups, &ended));
    if core.reports.try_send(arrived).is_ok() {
        core.count(|counts| counts.receipts += 1);
    }
}

/// Not words that we can show.
struct NotWords;

/// The message of a delivery; `None` while segments of it are missing.
fn message(core: &Core, delivery: &Delivery) -> Result<Option<(InboundSms, Option<join::Name>)>, NotWords> {
    let (header, words) = if delivery.has_header() {
        udh::split(&delivery.user_data).map_err(|_| NotWords)?
    } else {
        (None, &delivery.user_data[..])
    };
    let sar = delivery.parameters.sar.map(|sar| udh::Concatenation {
        reference: sar.reference,
        width: Reference::Sixteen,
        total: sar.total,
        part: sar.part,
    });
    let from = SenderId::from_network(&delivery.source.text).map_err(|_| NotWords)?;
    let now = now_ms();
    let (octets, name) = match header.or(sar) {
        None => (words.to_vec(), None),
        Some(which) => {
            let key = join::Key {
                from: delivery.source.text.clone(),
                to: delivery.destination.text.clone(),
                coding: delivery.data_coding,
            };
            let taken = core.joiner.lock().unwrap_or_else(PoisonError::into_inner).take(key, which, words, now);
            match taken {
                Some(whole) => (whole.octets, Some(whole.name)),
                None => return Ok(None),
            }
        }
    };
    let text = words_of(delivery.data_coding, &octets, core.config.default_alphabet).ok_or(NotWords)?;
    let message = InboundSms {
        from,
        to: delivery.destination.text.clone(),
        text,
        gateway_id: None::<GatewayId>,
        received_at_ms: now,
    };
    Ok(Some((message, name)))
}

/// The words in octets, by the data coding of SMPP (5.2.19). `None` for codings that are not words, or that we do not know.
pub(crate) fn words_of(data_coding: u8, octets: &[u8], default: DefaultAlphabet) -> Option<String> {
    let latin1 = || octets.iter().copied().map(char::from).collect();
    match data_coding {
        0 => Some(match default {
            DefaultAlphabet::Gsm7 => encoding::decode(Alphabet::Gsm7, octets),
            DefaultAlphabet::Latin1 => latin1(),
        }),
        1 | 3 => Some(latin1()),
        8 => Some(encoding::decode(Alphabet::Ucs2, octets)),
        // Messages with a class (3GPP TS 23.038, 4): the default alphabet or UCS-2, with nothing else set.
        0xf0..=0xf3 => Some(encoding::decode(Alphabet::Gsm7, octets)),
        0x10..=0x13 => Some(encoding::decode(Alphabet::Gsm7, octets)),
        0x18..=0x1b => Some(encoding::decode(Alphabet::Ucs2, octets)),
        _ => None,
    }
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
