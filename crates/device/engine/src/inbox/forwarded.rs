//! What a broker took from a carrier for this device, and put into its mailbox.
//!
//! An envelope comes as it is, under an id that follows from it ([`forwarded_id`]); by that the device knows which way it came, and holds it
//! to the rules of what a carrier brings: the broker was asked for a delivery token, and whoever sent it was not. Everything else comes sealed
//! to this device as a [`CarrierDelivery`], and goes where it would go had the carrier brought it here.
//!
//! Anybody who knows the device's key set and holds a delivery token can make such a seal, and a broker can write into it what it likes.
//! So whoever a delivery says it is from is *claimed*, never better, and each delivery's id counts once, for as long as anybody
//! keeps a copy. What is durable here, or dropped by a rule, is acknowledged; what met a failing store is not.

use rcseal_crypto::hash::sha256;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{CarrierMessageId, Sender};
use rcseal_wire::api::broker::{BrokerNotice, NOTICE_CONTENT_TYPE};
use rcseal_wire::carrier_delivery::{
    CarrierChannel, CarrierDelivery, CarrierDeliveryError, DeliverySender, forwarded_id,
};
use rcseal_wire::envelope::Envelope;
use rcseal_wire::id::EnvelopeId;

use super::{Disposition, Failure, Undecryptable};
use crate::account::{Account, AccountError};
use crate::carrier::CarrierDisposition;
use crate::context::{Arrival, Engine, UnixMillis};
use crate::record::{Number, Record as _};
use crate::store::{StoreError, Table};

const LABEL: &[u8] = b"rcseal/carrier-delivery/v1";
/// How old a delivery may be: a broker tries to submit for days and a relay keeps what it has for 30; ids are remembered for 60.
const AGE_MS_MAX: u64 = 45 * 24 * 3600 * 1000;

impl From<CarrierDeliveryError> for Undecryptable {
    fn from(error: CarrierDeliveryError) -> Self {
        match error {
            CarrierDeliveryError::SealBroken => Self::SealBroken,
            CarrierDeliveryError::UnknownVersion { .. } => Self::UnknownVersion,
            CarrierDeliveryError::Malformed | CarrierDeliveryError::TooLarge { .. } => Self::Malformed,
        }
    }
}

fn seen_key(delivery: &CarrierDelivery) -> [u8; 32] {
    sha256(&[LABEL, &delivery.id])
}

impl Engine<'_> {
    /// Whether a relay delivered what a broker passed on. What came by a carrier to this device itself did not.
    pub(super) fn is_forwarded(&self, account: &Account, id: EnvelopeId, bytes: &[u8]) -> Result<bool, StoreError> {
        if self.arrival.is_by_carrier {
            return Ok(false);
        }
        let is_sealed = matches!(Envelope::parse(bytes), Ok(Envelope::Forwarded { .. }));
        Ok(is_sealed || (self.is_on_broker()? && id == forwarded_id(&account.mailbox, bytes)))
    }

    /// Takes in what a broker passed on.
    pub(super) fn take_forwarded(
        &mut self,
        account: &Account,
        id: EnvelopeId,
        bytes: &[u8],
    ) -> Result<Disposition, AccountError> {
        let before = std::mem::replace(&mut self.arrival, Arrival::by_carrier(true));
        let disposition = match Envelope::parse(bytes) {
            Ok(Envelope::Forwarded { sealed }) => match self.take_delivery(account, sealed) {
                Ok(Disposition::Consumed) => {
                    self.note_taken(bytes).map(|()| Disposition::Consumed).map_err(AccountError::from)
                }
                Ok(disposition) => Ok(disposition),
                // Anybody who knows the key set can make these, so none is kept aside.
                Err(Failure::Envelope(reason)) => Ok(Disposition::Undecryptable(reason)),
                Err(failure) => self.disposed(id, bytes, Err(failure)),
            },
            _ => {
                let outcome = self.open(account, id, bytes);
                self.disposed(id, bytes, outcome)
            }
        };
        self.arrival = before;
        disposition
    }

    /// Opens what a broker sealed, and takes in what is inside.
    fn take_delivery(&mut self, account: &Account, sealed: &[u8]) -> Result<Disposition, Failure> {
        let delivery =
            CarrierDelivery::open(&account.sealing(), account.address, sealed).map_err(Undecryptable::from)?;
        if delivery.content_type == NOTICE_CONTENT_TYPE {
            return self.take_broker_notice(&delivery.body);
        }
        let setup = self.carrier_setup()?;
        let is_ours = self.is_on_broker()? && setup.is_some_and(|setup| setup.number.as_str() == delivery.to.as_str());
        if !is_ours {
            return Err(Undecryptable::NotEnrolled.into());
        }
        // Ids are remembered for longer than this.
        if self.now.since(UnixMillis(delivery.received_at_ms)) > AGE_MS_MAX {
            return Err(Undecryptable::Replayed.into());
        }
        let seen = seen_key(&delivery);
        if self.tx.get(Table::Seen, &seen)?.is_some() {
            return Ok(Disposition::Duplicate);
        }
        let from = sender_of(&delivery.from);
        let disposition = match delivery.channel {
            CarrierChannel::Rcs => {
                let encoding = delivery.content_encoding.as_deref();
                self.handle_carrier_message(&from, &delivery.content_type, encoding, &delivery.body)?
            }
            CarrierChannel::Sms => {
                let id = CarrierMessageId::from_random(delivery.id);
                self.receive_sms(&from, Some(&id), &delivery.content_type, &delivery.body)?
            }
        };
        let disposition = disposition_of(disposition);
        // What found no room may come again when there is some.
        if disposition != Disposition::Undecryptable(Undecryptable::NoRoom) {
            self.tx.put(Table::Seen, &seen, &Number(self.now.0).to_row())?;
        }
        Ok(disposition)
    }
}

impl Engine<'_> {
    /// What a broker says of one of this account's numbers. It makes this device ask the broker, and nothing else, so it may be anybody's
    /// and come as often as it likes.
    fn take_broker_notice(&mut self, body: &[u8]) -> Result<Disposition, Failure> {
        let notice: BrokerNotice = serde_json::from_slice(body).map_err(|_| Undecryptable::Content)?;
        self.handle_broker_notice(&notice)?;
        Ok(Disposition::Consumed)
    }
}

/// A broker's word for a number is a claim, whatever the carrier said to the broker.
fn sender_of(from: &DeliverySender) -> Sender {
    match from {
        DeliverySender::Asserted(number) | DeliverySender::Claimed(number) => {
            number.as_str().parse::<PhoneNumber>().map_or(Sender::Anonymous, Sender::Claimed)
        }
        DeliverySender::Anonymous => Sender::Anonymous,
    }
}

/// How a relay is told what a carrier would be told.
const fn disposition_of(disposition: CarrierDisposition) -> Disposition {
    match disposition {
        CarrierDisposition::Envelope(disposition) => disposition,
        CarrierDisposition::PartKept { .. }
        | CarrierDisposition::Receipt { .. }
        | CarrierDisposition::Readable
        | CarrierDisposition::Ignored => Disposition::Consumed,
        CarrierDisposition::Repeated => Disposition::Duplicate,
        CarrierDisposition::Full => Disposition::Undecryptable(Undecryptable::NoRoom),
        CarrierDisposition::ReadableRefused
        | CarrierDisposition::ReadableTooLong
        | CarrierDisposition::Damaged(_)
        | CarrierDisposition::Unsupported
        | CarrierDisposition::Malformed => Disposition::Undecryptable(Undecryptable::Content),
    }
}
