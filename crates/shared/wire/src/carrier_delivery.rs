//! What a broker hands to the app of something that came in from a carrier and is not an envelope already.
//!
//! A broker that takes an envelope from a carrier passes it on byte for byte. Anything else, such as plain words, a receipt, or parts that do
//! not join, it wraps in a [`CarrierDelivery`] and seals to the sealing key of the device that the number is bound to
//! ([`Envelope::Forwarded`]). From there on nobody can read it but that device. The broker has seen it before, and so has every carrier on
//! the way: what it says of the sender is the broker's word, and the app shows it as nothing better than claimed.
//! `docs/protocol/envelope.md` has the layout.

use rand_core::CryptoRng;
use rcseal_crypto::hash::sha256;
use rcseal_crypto::seal::{SealingPublicKey, SealingSecretKey, seal};
use tls_codec::{
    DeserializeBytes, Serialize as _, TlsByteVecU8, TlsByteVecU16, TlsByteVecU32, TlsDeserializeBytes, TlsSerialize,
    TlsSize,
};

use crate::envelope::{Envelope, FORWARDED_OVERHEAD};
use crate::id::{DeviceAddress, EnvelopeId, MailboxId};
use crate::number::E164;
use crate::padding;

const VERSION: u8 = 1;

/// Ties a sealed delivery to its recipient.
const INFO: &[u8] = b"rcseal/seal/forwarded/v1";
/// Makes ids of envelopes that a broker passes on.
const FORWARD_LABEL: &[u8] = b"rcseal/broker-forward/v1";

/// The longest body. With the longest of everything else it fits the largest envelope.
pub const BODY_LEN_MAX: usize = 90 * 1024;
/// The longest media type: parameters included, twice what RFC 6838 allows for the type.
pub const CONTENT_TYPE_LEN_MAX: usize = 512;
/// The longest content encoding.
pub const CONTENT_ENCODING_LEN_MAX: usize = 64;

/// By what kind of network it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CarrierChannel {
    /// RCS: SIP, MSRP, or a provider's interface to it.
    Rcs,
    /// The short message service.
    Sms,
}

impl CarrierChannel {
    const fn code(self) -> u8 {
        match self {
            Self::Rcs => 1,
            Self::Sms => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Rcs),
            2 => Some(Self::Sms),
            _ => None,
        }
    }

    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rcs => "rcs",
            Self::Sms => "sms",
        }
    }
}

/// Who sends, as the broker was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverySender {
    /// The carrier asserted this number to the broker.
    Asserted(E164),
    /// The message said so.
    Claimed(E164),
    /// No number that could be read.
    Anonymous,
}

/// Something that came in from a carrier.
#[derive(Clone, PartialEq, Eq)]
pub struct CarrierDelivery {
    /// Names it: the same for every copy of the same thing, so that the app shows it once.
    pub id: [u8; 16],
    /// When the broker took it, in milliseconds since 1970 by its clock.
    pub received_at_ms: u64,
    /// By what kind of network.
    pub channel: CarrierChannel,
    /// Our number.
    pub to: E164,
    /// Theirs.
    pub from: DeliverySender,
    /// The media type as it arrived.
    pub content_type: String,
    /// The content encoding as it arrived, if any.
    pub content_encoding: Option<String>,
    /// The body as it arrived.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for CarrierDelivery {
    /// Without numbers and body: both are somebody's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CarrierDelivery")
            .field("channel", &self.channel)
            .field("content_type", &self.content_type)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct Fields {
    version: u8,
    id: [u8; 16],
    received_at_ms: u64,
    channel: u8,
    to: TlsByteVecU8,
    sender: u8,
    from: TlsByteVecU8,
    content_type: TlsByteVecU16,
    content_encoding: TlsByteVecU8,
    body: TlsByteVecU32,
}

const ASSERTED: u8 = 1;
const CLAIMED: u8 = 2;
const ANONYMOUS: u8 = 3;

/// Why something is not a delivery, or cannot be made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CarrierDeliveryError {
    /// The bytes are none, or a field is out of its limits.
    #[error("not a delivery of a carrier's message")]
    Malformed,
    /// Made by later software: update.
    #[error("a delivery of unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
    /// The seal does not open with this key for this device.
    #[error("the seal is broken")]
    SealBroken,
    /// The body is over [`BODY_LEN_MAX`].
    #[error("a body of {len} bytes is too large")]
    TooLarge {
        /// Its length.
        len: usize,
    },
}

impl CarrierDeliveryError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "carrier_delivery_malformed",
            Self::UnknownVersion { .. } => "carrier_delivery_unknown_version",
            Self::SealBroken => "carrier_delivery_seal_broken",
            Self::TooLarge { .. } => "carrier_delivery_too_large",
        }
    }
}

/// What stands in a header: visible ASCII and spaces.
fn is_header_text(text: &str, len_max: usize) -> bool {
    text.len() <= len_max && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

impl CarrierDelivery {
    fn check(&self) -> Result<(), CarrierDeliveryError> {
        if self.body.len() > BODY_LEN_MAX {
            return Err(CarrierDeliveryError::TooLarge { len: self.body.len() });
        }
        let is_encoding = self
            .content_encoding
            .as_deref()
            .is_none_or(|text| !text.is_empty() && is_header_text(text, CONTENT_ENCODING_LEN_MAX));
        let is_sound = is_encoding && is_header_text(&self.content_type, CONTENT_TYPE_LEN_MAX);
        if is_sound { Ok(()) } else { Err(CarrierDeliveryError::Malformed) }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`CarrierDeliveryError::TooLarge`] or [`CarrierDeliveryError::Malformed`], when a field is out of its limits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CarrierDeliveryError> {
        self.check()?;
        let (sender, from) = match &self.from {
            DeliverySender::Asserted(number) => (ASSERTED, number.as_str()),
            DeliverySender::Claimed(number) => (CLAIMED, number.as_str()),
            DeliverySender::Anonymous => (ANONYMOUS, ""),
        };
        Fields {
            version: VERSION,
            id: self.id,
            received_at_ms: self.received_at_ms,
            channel: self.channel.code(),
            to: self.to.as_str().as_bytes().to_vec().into(),
            sender,
            from: from.as_bytes().to_vec().into(),
            content_type: self.content_type.as_bytes().to_vec().into(),
            content_encoding: self.content_encoding.as_deref().unwrap_or_default().as_bytes().to_vec().into(),
            body: self.body.clone().into(),
        }
        .tls_serialize_detached()
        .map_err(|_| CarrierDeliveryError::Malformed)
    }

    /// Parses it.
    ///
    /// # Errors
    /// [`CarrierDeliveryError::Malformed`] or [`CarrierDeliveryError::UnknownVersion`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CarrierDeliveryError> {
        use CarrierDeliveryError::Malformed;
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(CarrierDeliveryError::UnknownVersion { version }),
            None => return Err(Malformed),
        }
        let fields = Fields::tls_deserialize_exact_bytes(bytes).map_err(|_| Malformed)?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Malformed);
        let number = |text: String| text.parse::<E164>().map_err(|_| Malformed);
        let from = text(fields.from.into())?;
        let from = match fields.sender {
            ASSERTED => DeliverySender::Asserted(number(from)?),
            CLAIMED => DeliverySender::Claimed(number(from)?),
            ANONYMOUS if from.is_empty() => DeliverySender::Anonymous,
            _ => return Err(Malformed),
        };
        let delivery = Self {
            id: fields.id,
            received_at_ms: fields.received_at_ms,
            channel: CarrierChannel::from_code(fields.channel).ok_or(Malformed)?,
            to: number(text(fields.to.into())?)?,
            from,
            content_type: text(fields.content_type.into())?,
            content_encoding: Some(text(fields.content_encoding.into())?).filter(|text| !text.is_empty()),
            body: fields.body.into(),
        };
        delivery.check().map_err(|_| Malformed)?;
        Ok(delivery)
    }

    /// The whole envelope for one device.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    pub fn seal(
        &self,
        key: &SealingPublicKey,
        recipient: DeviceAddress,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CarrierDeliveryError> {
        let mut padded = self.to_bytes()?;
        padding::pad(&mut padded, FORWARDED_OVERHEAD)
            .map_err(|too_long| CarrierDeliveryError::TooLarge { len: too_long.len })?;
        let sealed = seal(rng, key, &info(recipient), &Envelope::forwarded_associated_data(), &padded);
        Ok(Envelope::Forwarded { sealed: &sealed }.to_bytes())
    }

    /// Opens what [`Envelope::Forwarded`] holds. Anybody who knows the device's key set can have made it: it proves no sender.
    ///
    /// # Errors
    /// [`CarrierDeliveryError`].
    pub fn open(key: &SealingSecretKey, recipient: DeviceAddress, sealed: &[u8]) -> Result<Self, CarrierDeliveryError> {
        let padded = key
            .open(&info(recipient), &Envelope::forwarded_associated_data(), sealed)
            .map_err(|_| CarrierDeliveryError::SealBroken)?;
        let bytes = padding::unpad(padded).map_err(|_| CarrierDeliveryError::Malformed)?;
        Self::parse(&bytes)
    }
}

/// The id under which a broker submits an envelope that a carrier brought whole. It follows from mailbox and envelope, so that the second copy
/// is the relay's duplicate, and the device sees by it which way the envelope came. Anybody who submits can choose an id: it proves nothing.
#[must_use]
pub fn forwarded_id(mailbox: &MailboxId, envelope: &[u8]) -> EnvelopeId {
    let hash = sha256(&[FORWARD_LABEL, mailbox.as_bytes(), envelope]);
    EnvelopeId::from_bytes(*hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes"))
}

fn info(recipient: DeviceAddress) -> Vec<u8> {
    [INFO, &recipient.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::id::{AccountId, DeviceNumber};
    use crate::padding::{BUCKETS, ENVELOPE_LEN_MAX};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn delivery() -> CarrierDelivery {
        CarrierDelivery {
            id: [7; 16],
            received_at_ms: 1_700_000_000_000,
            channel: CarrierChannel::Rcs,
            to: "+14155550101".parse().unwrap(),
            from: DeliverySender::Asserted("+14155550102".parse().unwrap()),
            content_type: "message/cpim".into(),
            content_encoding: None,
            body: b"dinner at eight".to_vec(),
        }
    }

    fn device(number: u8) -> DeviceAddress {
        DeviceAddress { account: AccountId::from_bytes([1; 16]), device: DeviceNumber::new(number).unwrap() }
    }

    #[test]
    fn it_opens_at_its_device_and_nowhere_else() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secret = SealingSecretKey::generate(&mut rng);
        let envelope = delivery().seal(&secret.public_key(), device(1), &mut rng).unwrap();
        assert!(BUCKETS.contains(&envelope.len()), "{}", envelope.len());
        let Envelope::Forwarded { sealed } = Envelope::parse(&envelope).unwrap() else { panic!("another kind") };
        assert_eq!(CarrierDelivery::open(&secret, device(1), sealed), Ok(delivery()));
        assert_eq!(CarrierDelivery::open(&secret, device(2), sealed), Err(CarrierDeliveryError::SealBroken));
        let other = SealingSecretKey::generate(&mut rng);
        assert_eq!(CarrierDelivery::open(&other, device(1), sealed), Err(CarrierDeliveryError::SealBroken));
    }

    #[test]
    fn the_longest_fits_the_largest_envelope_and_one_byte_more_has_a_name() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let secret = SealingSecretKey::generate(&mut rng);
        let mut longest = delivery();
        longest.body = vec![b'x'; BODY_LEN_MAX];
        longest.content_type = "t".repeat(CONTENT_TYPE_LEN_MAX);
        longest.content_encoding = Some("e".repeat(CONTENT_ENCODING_LEN_MAX));
        let envelope = longest.seal(&secret.public_key(), device(1), &mut rng).unwrap();
        assert_eq!(envelope.len(), ENVELOPE_LEN_MAX);
        longest.body.push(b'x');
        let too_large = CarrierDeliveryError::TooLarge { len: BODY_LEN_MAX + 1 };
        assert_eq!(longest.seal(&secret.public_key(), device(1), &mut rng), Err(too_large));
    }

    #[test]
    fn what_is_no_header_is_refused_on_both_sides() {
        let bad = [
            CarrierDelivery { content_type: "text/plain\r\nx".into(), ..delivery() },
            CarrierDelivery { content_encoding: Some(String::new()), ..delivery() },
        ];
        for delivery in bad {
            assert_eq!(delivery.to_bytes(), Err(CarrierDeliveryError::Malformed));
        }
        let mut wrong = delivery().to_bytes().unwrap();
        // The plus sign of our number, behind version, id, time, channel and length.
        assert_eq!(wrong[27], b'+');
        wrong[27] = b'1';
        assert_eq!(CarrierDelivery::parse(&wrong), Err(CarrierDeliveryError::Malformed));
        let mut later = delivery().to_bytes().unwrap();
        later[0] = 2;
        assert_eq!(CarrierDelivery::parse(&later), Err(CarrierDeliveryError::UnknownVersion { version: 2 }));
    }

    #[test]
    fn debug_shows_no_words_and_no_numbers() {
        let shown = format!("{:?}", delivery());
        assert!(!shown.contains("415555") && !shown.contains("100, 105"), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            if let Ok(delivery) = CarrierDelivery::parse(&bytes) {
                proptest::prop_assert_eq!(delivery.to_bytes().unwrap(), bytes);
            }
        }
    }
}
