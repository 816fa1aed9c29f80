//! What came in, whichever way, and what it is named.

use rcseal_crypto::hash::sha256;
use rcseal_rcs::chat;
use rcseal_rcs::transport::Sender;
use rcseal_wire::carrier_delivery::{CarrierChannel, CarrierDelivery, DeliverySender};
use rcseal_wire::id::EnvelopeId;
use rcseal_wire::number::E164;

use rcseal_rcs::number::PhoneNumber;

/// Labels of ids that are derived from content.
const PLAIN_LABEL: &[u8] = b"rcseal/broker-plain/v1";
const PEER_LABEL: &[u8] = b"rcseal/broker-peer/v1";

/// Something that came in for a number.
pub(crate) struct Arrival {
    /// For whom.
    pub(crate) to: E164,
    /// From whom, as far as is known.
    pub(crate) from: DeliverySender,
    /// By which kind of network.
    pub(crate) channel: CarrierChannel,
    /// The media type as it arrived.
    pub(crate) content_type: String,
    /// The content encoding as it arrived.
    pub(crate) content_encoding: Option<String>,
    /// The body as it arrived.
    pub(crate) body: Vec<u8>,
    /// What names the carrier's own request, where something does.
    pub(crate) reference: Option<String>,
}

/// A number as the wire has it. Both types take `+` and 7 to 15 digits; one of them asks the numbering plan as well.
pub(crate) fn e164(number: &PhoneNumber) -> Option<E164> {
    number.as_str().parse().ok()
}

/// Who sends, as the wire has it. A number that it cannot write is none.
pub(crate) fn sender(from: &Sender) -> DeliverySender {
    match from {
        Sender::Asserted(number) => e164(number).map_or(DeliverySender::Anonymous, DeliverySender::Asserted),
        Sender::Claimed(number) => e164(number).map_or(DeliverySender::Anonymous, DeliverySender::Claimed),
        Sender::Anonymous => DeliverySender::Anonymous,
    }
}

/// A kind and a number, unmistakably.
fn sender_bytes(from: &DeliverySender) -> (&'static [u8], &[u8]) {
    match from {
        DeliverySender::Asserted(number) => (b"a", number.as_str().as_bytes()),
        DeliverySender::Claimed(number) => (b"c", number.as_str().as_bytes()),
        DeliverySender::Anonymous => (b"n", b""),
    }
}

fn first_16(hash: [u8; 32]) -> [u8; 16] {
    *hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes")
}

impl Arrival {
    /// Names the sender in keys: whom a carrier asserts and who is only claimed are two.
    pub(crate) fn peer(&self) -> [u8; 16] {
        let (kind, number) = sender_bytes(&self.from);
        first_16(sha256(&[PEER_LABEL, kind, number]))
    }

    /// The id of what is not an envelope: the same for the same content. The words themselves say little where they have no id of their own
    /// ("yes" is said often), so that the carrier's name of the request goes in then.
    pub(crate) fn plain_id(&self) -> EnvelopeId {
        let has_id = matches!(
            chat::unwrap(&self.content_type, self.content_encoding.as_deref(), &self.body),
            Ok(unwrapped) if unwrapped.id.is_some()
        );
        let reference = if has_id { "" } else { self.reference.as_deref().unwrap_or_default() };
        let (kind, number) = sender_bytes(&self.from);
        let encoding = self.content_encoding.as_deref().unwrap_or_default();
        let fields: [&[u8]; 8] = [
            self.to.as_str().as_bytes(),
            kind,
            number,
            self.channel.as_str().as_bytes(),
            self.content_type.as_bytes(),
            encoding.as_bytes(),
            reference.as_bytes(),
            &self.body,
        ];
        let lens = fields.map(|field| (field.len() as u64).to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![PLAIN_LABEL];
        for (len, field) in lens.iter().zip(fields) {
            parts.push(len);
            parts.push(field);
        }
        EnvelopeId::from_bytes(first_16(sha256(&parts)))
    }

    /// What the app gets of it.
    pub(crate) fn delivery(&self, id: EnvelopeId, received_at_ms: u64) -> CarrierDelivery {
        CarrierDelivery {
            id: *id.as_bytes(),
            received_at_ms,
            channel: self.channel,
            to: self.to.clone(),
            from: self.from.clone(),
            content_type: self.content_type.clone(),
            content_encoding: self.content_encoding.clone(),
            body: self.body.clone(),
        }
    }

    /// The same with another body: a part that goes on alone.
    pub(crate) fn with_body(&self, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            to: self.to.clone(),
            from: self.from.clone(),
            channel: self.channel,
            content_type: content_type.to_owned(),
            content_encoding: None,
            body,
            reference: None,
        }
    }

    /// What a kept row says.
    pub(crate) fn of_delivery(delivery: CarrierDelivery) -> Self {
        Self {
            to: delivery.to,
            from: delivery.from,
            channel: delivery.channel,
            content_type: delivery.content_type,
            content_encoding: delivery.content_encoding,
            body: delivery.body,
            reference: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(body: &str, reference: &str) -> Arrival {
        Arrival {
            to: "+14155550101".parse().unwrap(),
            from: DeliverySender::Asserted("+14155550102".parse().unwrap()),
            channel: CarrierChannel::Rcs,
            content_type: "text/plain".into(),
            content_encoding: None,
            body: body.as_bytes().to_vec(),
            reference: Some(reference.into()),
        }
    }

    #[test]
    fn words_without_an_id_are_told_apart_by_their_request() {
        assert_eq!(words("yes", "call-1 1").plain_id(), words("yes", "call-1 1").plain_id());
        assert_ne!(words("yes", "call-1 1").plain_id(), words("yes", "call-2 1").plain_id());
        assert_ne!(words("yes", "call-1 1").plain_id(), words("no", "call-1 1").plain_id());
    }

    #[test]
    fn a_message_with_an_id_is_the_same_whatever_request_brings_it() {
        let cpim = |reference| Arrival {
            content_type: "message/cpim".into(),
            ..words(
                "From: <tel:+14155550102>\r\nTo: <tel:+14155550101>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
                 imdn.Message-ID: abc\r\n\r\nContent-Type: text/plain\r\n\r\nyes",
                reference,
            )
        };
        assert_eq!(cpim("call-1 1").plain_id(), cpim("call-2 1").plain_id());
    }

    #[test]
    fn who_is_asserted_and_who_is_claimed_are_two() {
        let asserted = words("yes", "1");
        let claimed = Arrival { from: DeliverySender::Claimed("+14155550102".parse().unwrap()), ..words("yes", "1") };
        assert_ne!(asserted.peer(), claimed.peer());
        assert_ne!(asserted.plain_id(), claimed.plain_id());
    }
}
