//! Where the envelopes stand that go by a carrier.
//!
//! ```text
//! ready ── poll_outbox ──> handed over ── the device's own receipt ──> gone
//!   │  ^ ^                    │
//!   │  │ └── depositing: what is too long is kept at our relay first (`deposit.rs`)
//!   │  └── another form ──────┤  refused in a way that another form may help against
//!   │                         │
//!   └── no way any more ──────┴── refused, not carried, damaged there, or the patience is over ──> back: the same envelope, by the relay
//! ```
//!
//! A row is *handed over* before the shell has it, so that a crash in between costs the patience and no message. Rows of a carrier neither
//! hold others back nor are held back: frames may arrive in any order, and each envelope stands for itself.
//!
//! A message is handed to a carrier once for each device. What is sent again, after a device could not decrypt it, goes by the relay.

use rcseal_rcs::frame::{FrameId, Kind, split};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Taken, TransportProfile};
use rcseal_wire::id::{DeviceAddress, EnvelopeId, MessageId};
use tls_codec::{TlsByteVecU8, TlsDeserializeBytes, TlsSerialize, TlsSize};

use super::deposit::{Deposit, is_reference_smaller};
use super::handover::CarrierHandover;
use super::issued::Issued;
use super::{CarrierSetup, Mutation};
use crate::account::AccountError;
use crate::capability::{NativeOutcome, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::event::Event;
use crate::message::{DeliveryState, EncryptionStatus, MessageKey};
use crate::outbox::OutboxRecord;
use crate::pages::Pages;
use crate::policy::{Ciphertext, DeliveryMode, EndToEnd, Entry, EntryKind, Permitted, Reason, Recipient, Subject};
use crate::record::{Number, Record, key};
use crate::store::{BadRow, StoreError, Table};

/// First byte of the key of a route, by the outbox's number.
const ROUTE: u8 = 1;
/// First byte of the key of a mark that a message was handed to a carrier for a device, with the outbox's number.
const TRIED: u8 = 2;
/// Rows read at once.
const PAGE: usize = 256;
/// The longest body after a carrier said that a message was too large: with a CPIM wrapper round it, it stays below every limit on the way
/// that is known (`docs/protocol/native.md`).
const SMALL_BODY_LEN: usize = 600;

/// Where an envelope stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Ready,
    HandedOver,
    Back,
    Depositing,
}

/// What goes into the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The envelope, unless a reference is smaller.
    Undecided,
    /// The envelope: there is no reference.
    Direct,
    /// A reference to it.
    Reference,
}

impl Phase {
    const fn code(self) -> u8 {
        match self {
            Self::Ready => 1,
            Self::HandedOver => 2,
            Self::Back => 3,
            Self::Depositing => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ready),
            2 => Some(Self::HandedOver),
            3 => Some(Self::Back),
            4 => Some(Self::Depositing),
            _ => None,
        }
    }
}

impl Way {
    const fn code(self) -> u8 {
        match self {
            Self::Undecided => 0,
            Self::Direct => 1,
            Self::Reference => 2,
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct RouteRecord {
    phase: u8,
    /// A code of [`Way`].
    way: u8,
    /// 1 where frames go as text although the transport is binary-safe.
    as_text: u8,
    /// 1 where bodies are kept small.
    is_small: u8,
    /// 1 where the carrier keeps it for later, as it says.
    is_kept: u8,
    handed_at_ms: u64,
    to: TlsByteVecU8,
}

impl Record for RouteRecord {
    const VERSION: u8 = 1;
}

/// What the outbox does with a row.
pub(crate) enum Step {
    /// It is the relay's.
    Relay,
    /// It is a carrier's as soon as our relay keeps it.
    Deposit(Deposit),
    /// It is a carrier's, now.
    HandOver(CarrierHandover),
    /// A carrier has it.
    Wait,
}

/// How the carrier stands, for people and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierView {
    /// This device's way into it.
    pub setup: Option<CarrierSetup>,
    /// Envelopes that wait to be handed over, some of them until our relay keeps them.
    pub ready: usize,
    /// Envelopes that were handed over and that no device has confirmed.
    pub handed_over: usize,
    /// Of these, envelopes that the carrier said it keeps for later.
    pub kept_by_carrier: usize,
    /// Envelopes that were the carrier's and wait for the relay.
    pub back: usize,
    /// What carriers did to frames that came here.
    pub mutations: Vec<Mutation>,
}

fn route_key(number: u64) -> Vec<u8> {
    key(&[&[ROUTE], &number.to_be_bytes()])
}

fn tried_key(message: MessageKey, device: DeviceAddress) -> Vec<u8> {
    key(&[&[TRIED], &message.bytes(), &device.to_bytes()])
}

impl RouteRecord {
    pub(super) fn phase(&self) -> Result<Phase, StoreError> {
        Phase::from_code(self.phase).ok_or_else(|| BadRow::error(Table::CarrierRoute))
    }

    pub(super) const fn set_phase(&mut self, phase: Phase) {
        self.phase = phase.code();
    }

    const fn may_refer(&self) -> bool {
        self.way == Way::Undecided.code()
    }

    pub(super) const fn set_way(&mut self, way: Way) {
        self.way = way.code();
    }

    pub(super) fn to(&self) -> Result<PhoneNumber, StoreError> {
        let bad = || BadRow::error(Table::CarrierRoute);
        std::str::from_utf8(self.to.as_slice()).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)
    }
}

impl Engine<'_> {
    /// An envelope with a message enters the outbox: it is the carrier's if the message's decision says so and the device can be reached
    /// there.
    pub(crate) fn choose_route(
        &mut self,
        number: u64,
        device: DeviceAddress,
        message: MessageKey,
    ) -> Result<(), StoreError> {
        let Some(sent) = self.message(message)? else { return Ok(()) };
        let Some(decided) = self.decision_of(sent.id)?.map(|stored| stored.decision) else { return Ok(()) };
        // Copies for the user's other devices are nobody else's business.
        let Some(mode) = decided.mode().filter(|mode| mode.is_by_carrier()) else { return Ok(()) };
        if device.account == sent.sender.account {
            return Ok(());
        }
        if self.tx.get(Table::CarrierRoute, &tried_key(message, device))?.is_some() {
            // Sent again: the carrier has had its turn.
            return self.note_fallback(message, sent.id, Reason::CarrierUnconfirmed);
        }
        let Some(way) = self.carrier_way(device)?.filter(|way| way.serves(mode)) else {
            return self.note_fallback(message, sent.id, Reason::DeviceNotOnCarrier);
        };
        let record = RouteRecord {
            phase: Phase::Ready.code(),
            way: Way::Undecided.code(),
            as_text: 0,
            is_small: 0,
            is_kept: 0,
            handed_at_ms: 0,
            to: way.to.as_str().as_bytes().into(),
        };
        self.put_carrier_route(number, &record)?;
        self.tx.put(Table::CarrierRoute, &tried_key(message, device), &Number(number).to_row())
    }

    pub(super) fn carrier_route(&self, number: u64) -> Result<Option<RouteRecord>, StoreError> {
        let Some(row) = self.tx.get(Table::CarrierRoute, &route_key(number))? else { return Ok(None) };
        RouteRecord::from_row(Table::CarrierRoute, &row).map(Some)
    }

    pub(super) fn put_carrier_route(&mut self, number: u64, record: &RouteRecord) -> Result<(), StoreError> {
        self.tx.put(Table::CarrierRoute, &route_key(number), &record.to_row())
    }

    /// A row of the outbox is gone, and what was known of its way with it.
    pub(crate) fn forget_carrier_route(&mut self, number: u64) -> Result<(), StoreError> {
        self.tx.delete(Table::CarrierRoute, &route_key(number))?;
        self.forget_deposit(number)
    }

    /// Whose turn it is with a row of the outbox, and what to hand over.
    pub(crate) fn carrier_step(&mut self, number: u64, record: &mut OutboxRecord) -> Result<Step, AccountError> {
        let Some(message) = record.message() else { return Ok(Step::Relay) };
        let Some(mut route) = self.carrier_route(number)? else { return Ok(Step::Relay) };
        if route.phase()? == Phase::Depositing {
            if let Some(step) = self.deposit_step(number, record)? {
                return Ok(step);
            }
            route.set_phase(Phase::Ready);
            route.set_way(Way::Direct);
            self.forget_deposit(number)?;
        }
        let reason = match route.phase()? {
            Phase::Back => return Ok(Step::Relay),
            // A clock that went back would make the wait as long as it pleases whoever sets it: networks set the clocks of phones.
            Phase::HandedOver if record.due_at_ms > self.now.0 && route.handed_at_ms <= self.now.0 => {
                return Ok(Step::Wait);
            }
            Phase::HandedOver => Reason::CarrierUnconfirmed,
            Phase::Ready | Phase::Depositing => match self.hand_envelope_over(number, record, message, route)? {
                Ok(step) => return Ok(step),
                Err(reason) => reason,
            },
        };
        self.back_to_relay(number, record, reason)?;
        Ok(Step::Relay)
    }

    /// What to hand over of a row now, for whoever waits for it: nothing is kept at our relay first, and what is too long goes by the relay.
    pub(crate) fn carrier_step_at_once(
        &mut self,
        number: u64,
        record: &mut OutboxRecord,
    ) -> Result<Option<CarrierHandover>, AccountError> {
        if let Some(mut route) = self.carrier_route(number)?
            && route.may_refer()
        {
            route.set_way(Way::Direct);
            self.put_carrier_route(number, &route)?;
        }
        Ok(match self.carrier_step(number, record)? {
            Step::HandOver(handover) => Some(handover),
            Step::Relay | Step::Deposit(_) | Step::Wait => None,
        })
    }

    /// Cuts an envelope, or the reference to it, to what the carrier takes, and notes that it has been handed over. Where a reference is
    /// smaller and there is none, it is asked for first.
    fn hand_envelope_over(
        &mut self,
        number: u64,
        record: &mut OutboxRecord,
        message_key: MessageKey,
        mut route: RouteRecord,
    ) -> Result<Result<Step, Reason>, AccountError> {
        let device = record.recipient()?;
        let Some(setup) = self.carrier_setup()? else { return Ok(Err(Reason::CarrierGone)) };
        let to = route.to()?;
        let Some(message) = self.message(message_key)? else { return Ok(Err(Reason::CarrierUnfit)) };
        if !self.is_way_still(device, &to, message.id)? {
            return Ok(Err(Reason::DeviceNotOnCarrier));
        }
        let profile = self.cut(&setup.profile, &route, device)?;
        let mut random = [0; 16];
        self.rng.fill_bytes(&mut random);
        let frame = FrameId::from_bytes(random);
        let parts = match self.reference_of(number)? {
            Some(reference) => split(Kind::BlobReference, frame, &reference, &profile),
            None => split(Kind::Envelope, frame, record.envelope(), &profile),
        };
        let takes_references = self.card(device)?.is_some_and(|card| card.takes_references);
        if route.may_refer() && takes_references && is_reference_smaller(&parts, &profile) {
            return self.begin_deposit(number, record, route).map(Ok);
        }
        let Ok(parts) = parts else { return Ok(Err(Reason::CarrierUnfit)) };
        let mut frames = Vec::with_capacity(parts.len());
        for part in &parts {
            let mut random = [0; 16];
            self.rng.fill_bytes(&mut random);
            let id = CarrierMessageId::from_random(random);
            let is_last = part.number() == part.of();
            let asks = profile.has_receipts && is_last;
            self.put_issued(&id, &Issued { to: to.clone(), number, device, message: message_key, at: self.now })?;
            frames.push(CarrierMessage {
                to: to.clone(),
                id,
                receipts: ReceiptRequest { delivered: asks, failed: asks, displayed: false },
                carriage: part.carriage(&profile),
            });
        }
        let Some(frames) = self.permitted(message.id, device, &to, frames)? else {
            return Ok(Err(Reason::NoLongerAllowed));
        };
        // The device names an envelope that it cannot decrypt by the id that it came under.
        self.remember_sent_as(record.envelope_id(), EnvelopeId::from_bytes(*frame.as_bytes()))?;
        route.phase = Phase::HandedOver.code();
        route.handed_at_ms = self.now.0;
        route.is_kept = 0;
        self.put_carrier_route(number, &route)?;
        record.due_at_ms = self.now.plus(setup.patience_ms).0;
        self.put_outgoing(number, record)?;
        Ok(Ok(Step::HandOver(CarrierHandover { to, frames })))
    }

    /// Whether frames of a message may still go to a device at this number. Much may have changed since it was written: the user's number,
    /// the device's card, a block, or that there is a broker now where there was none.
    pub(super) fn is_way_still(
        &self,
        device: DeviceAddress,
        to: &PhoneNumber,
        message: MessageId,
    ) -> Result<bool, AccountError> {
        let Some(mode) = self.decision_of(message)?.and_then(|stored| stored.decision.mode()) else { return Ok(false) };
        let way = self.carrier_way(device)?.filter(|way| way.to == *to && way.serves(mode));
        Ok(way.is_some() && !self.is_kept_back(device.account)?)
    }

    /// Joins frames to the permit of the decision that their message was sent by.
    fn permitted(
        &self,
        message: MessageId,
        device: DeviceAddress,
        to: &PhoneNumber,
        frames: Vec<CarrierMessage>,
    ) -> Result<Option<Permitted<Ciphertext>>, StoreError> {
        // Whom the frames go to, and not whom the decision names: the permit is for that one or for nobody.
        let recipient = Recipient { account: Some(device.account), number: Some(NumberKey::of(to)) };
        let Some(permit) = self.permit::<EndToEnd>(message, recipient)? else { return Ok(None) };
        let Some(frames) = Ciphertext::new(message, recipient, frames) else { return Ok(None) };
        Ok(Permitted::new(permit, frames).ok())
    }

    /// What parts are cut to: the transport's profile, narrowed by what the device takes and by what was refused.
    fn cut(
        &self,
        profile: &TransportProfile,
        route: &RouteRecord,
        device: DeviceAddress,
    ) -> Result<TransportProfile, StoreError> {
        let takes_binary = self.card(device)?.is_some_and(|card| card.takes_binary);
        let body_len_max =
            if route.is_small == 1 { profile.body_len_max.min(SMALL_BODY_LEN) } else { profile.body_len_max };
        let is_binary_safe = profile.is_binary_safe && takes_binary && route.as_text != 1;
        Ok(TransportProfile { is_binary_safe, body_len_max, ..profile.clone() })
    }

    /// The journal hears that an envelope goes by the relay that was to go by the carrier.
    fn note_fallback(&mut self, key: MessageKey, message: MessageId, reason: Reason) -> Result<(), StoreError> {
        let decided = self.decision_of(message)?.map(|stored| stored.decision);
        self.append_to_journal(&Entry {
            kind: EntryKind::Fallback,
            subject: Subject::Conversation(key.conversation),
            message: Some(message),
            wanted: decided.and_then(|decided| decided.mode()).unwrap_or(DeliveryMode::Native),
            taken: Some(DeliveryMode::Relayed),
            reason,
            consent: None,
            decision: decided.map_or(0, |decided| decided.number),
        })
    }

    /// The envelope goes by the relay, as it is.
    fn back_to_relay(&mut self, number: u64, record: &mut OutboxRecord, reason: Reason) -> Result<(), AccountError> {
        if let Some(mut route) = self.carrier_route(number)? {
            route.phase = Phase::Back.code();
            self.put_carrier_route(number, &route)?;
            self.forget_deposit(number)?;
            // What does not fit, or is no longer wanted, says nothing of the carrier.
            if matches!(reason, Reason::CarrierUnconfirmed | Reason::CarrierRefused | Reason::CarrierGone) {
                self.note_native(NumberKey::of(&route.to()?), NativeOutcome::Failed)?;
            }
        }
        record.due_at_ms = self.now.0;
        self.put_outgoing(number, record)?;
        let Some(key) = record.message() else { return Ok(()) };
        let Some(mut message) = self.message(key)? else { return Ok(()) };
        self.note_fallback(key, message.id, reason)?;
        if message.encryption.mode().is_by_carrier() {
            message.encryption = EncryptionStatus::Relayed;
            self.put_message(&message)?;
            let (conversation, sender) = (key.conversation, message.sender.account);
            self.emit(Event::MessageChanged { conversation, sender, message: message.id })?;
        }
        Ok(())
    }

    /// What became of a hand-over at the carrier. Nothing that a carrier says counts as delivery.
    ///
    /// # Errors
    /// Those of the store.
    pub fn handle_carrier_outcome(
        &mut self,
        number: u64,
        outcome: Result<Taken, SendFailure>,
    ) -> Result<(), AccountError> {
        let Some(mut record) = self.outgoing_row(number)? else { return Ok(()) };
        let Some(mut route) = self.carrier_route(number)? else { return Ok(()) };
        if route.phase()? != Phase::HandedOver {
            return Ok(());
        }
        let failure = match outcome {
            Ok(taken) => {
                route.is_kept = u8::from(taken == Taken::Stored);
                return Ok(self.put_carrier_route(number, &route)?);
            }
            Err(failure) => failure,
        };
        let is_binary = self.carrier_setup()?.is_some_and(|setup| setup.profile.is_binary_safe);
        match &failure {
            // Somebody on the way does not know the type. As text it is a message like any other.
            SendFailure::UnsupportedMedia if is_binary && route.as_text == 0 => route.as_text = 1,
            SendFailure::TooLarge if route.is_small == 0 => route.is_small = 1,
            _ => {
                let reason = match failure {
                    SendFailure::Unreachable | SendFailure::Unauthorized => Reason::CarrierGone,
                    SendFailure::NoAnswer => Reason::CarrierUnconfirmed,
                    SendFailure::TooLarge | SendFailure::Unfit => Reason::CarrierUnfit,
                    SendFailure::UnsupportedMedia
                    | SendFailure::NotFound
                    | SendFailure::Refused { .. }
                    | SendFailure::Busy { .. } => Reason::CarrierRefused,
                };
                return self.back_to_relay(number, &mut record, reason);
            }
        }
        route.phase = Phase::Ready.code();
        self.put_carrier_route(number, &route)?;
        record.due_at_ms = self.now.0;
        Ok(self.put_outgoing(number, &record)?)
    }

    /// A device said, end to end, what became of a message: the wait for it is over.
    pub(crate) fn confirm_on_carrier(
        &mut self,
        message: MessageKey,
        device: DeviceAddress,
        state: DeliveryState,
    ) -> Result<(), StoreError> {
        let Some(row) = self.tx.get(Table::CarrierRoute, &tried_key(message, device))? else { return Ok(()) };
        let number = Number::from_row(Table::CarrierRoute, &row)?.0;
        let Some(record) = self.outgoing_row(number)? else { return Ok(()) };
        if let Some(route) = self.carrier_route(number)?
            && route.phase()? == Phase::HandedOver
            && matches!(state, DeliveryState::Delivered | DeliveryState::Read)
        {
            self.note_native(NumberKey::of(&route.to()?), NativeOutcome::Confirmed)?;
        }
        self.leave(number, &record, state)
    }

    /// The carrier's receipt says that the far end could not decrypt, or did not get, what was handed over under an id: the relay is tried
    /// without waiting longer. Answers whether it was waited for.
    pub(super) fn carrier_gives_up(&mut self, issued: &Issued, reason: Reason) -> Result<bool, AccountError> {
        let Some(mut record) = self.outgoing_row(issued.number)? else { return Ok(false) };
        let Some(route) = self.carrier_route(issued.number)? else { return Ok(false) };
        // Numbers are not drawn again, so the row is the one that the id was issued for.
        if route.phase()? != Phase::HandedOver || record.message() != Some(issued.message) {
            return Ok(false);
        }
        self.back_to_relay(issued.number, &mut record, reason)?;
        Ok(true)
    }

    /// How the carrier stands.
    ///
    /// # Errors
    /// Those of the store.
    pub fn carrier_view(&self) -> Result<CarrierView, StoreError> {
        let mutations = self.carrier_mutations()?;
        let mut view = CarrierView {
            setup: self.carrier_setup()?,
            ready: 0,
            handed_over: 0,
            kept_by_carrier: 0,
            back: 0,
            mutations,
        };
        let mut pages = Pages::new(Table::CarrierRoute, &[ROUTE], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (_, row) in &rows {
                let route = RouteRecord::from_row(Table::CarrierRoute, row)?;
                match route.phase()? {
                    Phase::Ready | Phase::Depositing => view.ready += 1,
                    Phase::HandedOver => {
                        view.handed_over += 1;
                        view.kept_by_carrier += usize::from(route.is_kept);
                    }
                    Phase::Back => view.back += 1,
                }
            }
        }
        Ok(view)
    }

    /// Forgets which messages were handed to a carrier, once nothing can be asked for again.
    pub(super) fn forget_tried_before(&mut self, at_ms: u64) -> Result<(), StoreError> {
        let mut pages = Pages::new(Table::CarrierRoute, &[TRIED], PAGE);
        while let Some(rows) = pages.next(self.tx)? {
            for (row_key, _) in &rows {
                let message = row_key.get(1..25).map(MessageKey::parse).transpose()?;
                let sent_at = match message {
                    Some(message) => self.message(message)?.map_or(UnixMillis(0), |message| message.sent_at),
                    None => UnixMillis(0),
                };
                if sent_at.0 < at_ms {
                    self.tx.delete(Table::CarrierRoute, row_key)?;
                }
            }
        }
        Ok(())
    }
}
