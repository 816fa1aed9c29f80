//! The broker's own notices to devices: somebody else claims a number, a mapping must be renewed.
//!
//! They go the way of everything that is not an envelope: sealed to the device, by the relay's own API. What they are is their media type;
//! they have no sender, because no carrier brought them.

use async_trait::async_trait;
use rcseal_crypto::hash::sha256;
use rcseal_wire::api::broker::{BrokerNotice, NOTICE_CONTENT_TYPE};
use rcseal_wire::carrier_delivery::{CarrierChannel, CarrierDelivery, DeliverySender};
use rcseal_wire::frame::Submit;
use rcseal_wire::id::EnvelopeId;

use super::Forwarding;
use super::inbound::KEEP_SECONDS;
use super::relay::Submitted;
use crate::notice::{NoticeFailure, NoticeSender, NoticeTaken, NoticeTarget};

const LABEL: &[u8] = b"rcseal/broker-notice/v1";

#[async_trait]
impl NoticeSender for Forwarding {
    async fn send(&self, to: &NoticeTarget, notice: &BrokerNotice) -> Result<NoticeTaken, NoticeFailure> {
        let failure = |code| NoticeFailure { code };
        let body = serde_json::to_vec(notice).map_err(|_| failure("notice_malformed"))?;
        // The same notice has the same id, so that one that is sent again after a lost answer is the relay's.
        let hash = sha256(&[LABEL, to.mailbox.as_bytes(), &body]);
        let id = EnvelopeId::from_bytes(*hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes"));
        let delivery = CarrierDelivery {
            id: *id.as_bytes(),
            received_at_ms: self.inbound.clock.now().get(),
            channel: CarrierChannel::Rcs,
            to: notice.number.clone(),
            from: DeliverySender::Anonymous,
            content_type: NOTICE_CONTENT_TYPE.to_owned(),
            content_encoding: None,
            body,
        };
        let envelope =
            delivery.seal(&to.sealing_key, to.device, &mut rand::rng()).map_err(|error| failure(error.code()))?;
        let submit = Submit {
            mailbox: to.mailbox,
            token: to.delivery_token.duplicate(),
            id,
            ttl_seconds: KEEP_SECONDS,
            envelope: envelope.into(),
        };
        match self.inbound.relays.submit(&to.relay, &submit).await {
            // Another sealing of the same notice is there.
            Ok(Submitted::Stored | Submitted::Duplicate | Submitted::IdConflict) => Ok(NoticeTaken::Taken),
            Ok(Submitted::Refused | Submitted::Unfit) => Ok(NoticeTaken::Refused),
            Ok(Submitted::Full) => Err(failure("mailbox_full")),
            Err(away) => Err(failure(away.code())),
        }
    }
}
