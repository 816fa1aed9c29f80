//! The broker's own notices to devices: somebody else claims a number, a mapping must be renewed.
//!
//! They go the way of everything that is not an envelope: sealed to the device, by the relay's own API. What they are is their media type;
//! they have no sender, because no carrier brought them. Their ids are drawn: whoever has the delivery token of an account, which is everybody
//! who looked its number up, could take an id that they can work out first, and the relay would then keep the notice out as other content of
//! that id.

use async_trait::async_trait;
use rcseal_wire::api::broker::{BrokerNotice, NOTICE_CONTENT_TYPE};
use rcseal_wire::carrier_delivery::{CarrierChannel, CarrierDelivery, DeliverySender};
use rcseal_wire::frame::Submit;
use rcseal_wire::id::EnvelopeId;

use super::Forwarding;
use super::inbound::KEEP_SECONDS;
use super::relay::Submitted;
use crate::notice::{NoticeFailure, NoticeSender, NoticeTaken, NoticeTarget};

/// What the relay is given.
fn submission(to: &NoticeTarget, notice: &BrokerNotice, now_ms: u64) -> Result<Submit, NoticeFailure> {
    let failure = |code| NoticeFailure { code };
    let body = serde_json::to_vec(notice).map_err(|_| failure("notice_malformed"))?;
    let id = EnvelopeId::from_bytes(rand::random());
    let delivery = CarrierDelivery {
        id: *id.as_bytes(),
        received_at_ms: now_ms,
        channel: CarrierChannel::Rcs,
        to: notice.number.clone(),
        from: DeliverySender::Anonymous,
        content_type: NOTICE_CONTENT_TYPE.to_owned(),
        content_encoding: None,
        body,
    };
    let envelope =
        delivery.seal(&to.sealing_key, to.device, &mut rand::rng()).map_err(|error| failure(error.code()))?;
    Ok(Submit {
        mailbox: to.mailbox,
        token: to.delivery_token.duplicate(),
        id,
        ttl_seconds: KEEP_SECONDS,
        envelope: envelope.into(),
    })
}

#[async_trait]
impl NoticeSender for Forwarding {
    async fn send(&self, to: &NoticeTarget, notice: &BrokerNotice) -> Result<NoticeTaken, NoticeFailure> {
        let failure = |code| NoticeFailure { code };
        let submit = submission(to, notice, self.inbound.clock.now().get())?;
        match self.inbound.relays.submit(&to.relay, &submit).await {
            Ok(Submitted::Stored | Submitted::Duplicate) => Ok(NoticeTaken::Taken),
            // Something else has the id: the device has not been told.
            Ok(Submitted::IdConflict) => Err(failure("notice_id_taken")),
            Ok(Submitted::Refused | Submitted::Unfit) => Ok(NoticeTaken::Refused),
            Ok(Submitted::Full) => Err(failure("mailbox_full")),
            Err(away) => Err(failure(away.code())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcseal_crypto::seal::SealingSecretKey;
    use rcseal_wire::api::broker::NoticeKind;
    use rcseal_wire::id::{AccountId, DeviceAddress, DeviceNumber, MailboxId};
    use rcseal_wire::token::DeliveryToken;

    use super::*;

    #[test]
    fn nobody_can_work_out_the_id_of_a_notice_and_take_it_first() {
        let target = NoticeTarget {
            device: DeviceAddress { account: AccountId::from_bytes([1; 16]), device: DeviceNumber::PRIMARY },
            mailbox: MailboxId::from_bytes([2; 16]),
            relay: "https://relay.example".parse().unwrap(),
            delivery_token: DeliveryToken::parse(&[3; 32]).unwrap(),
            sealing_key: SealingSecretKey::generate(&mut rand::rng()).public_key(),
        };
        let notice = BrokerNotice {
            kind: NoticeKind::ClaimedByAnother,
            number: "+447400123456".parse().unwrap(),
            at_ms: 5,
            effective_at_ms: Some(6),
        };
        let id = || submission(&target, &notice, 5).unwrap().id;
        assert_ne!(id(), id());
    }
}
