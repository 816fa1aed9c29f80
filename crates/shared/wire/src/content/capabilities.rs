//! What a device takes by way of a carrier.
//!
//! It says so itself, inside a session, so that a sender need not believe what a carrier says of it. The phone number is a claim all the
//! same: nobody but the device says that it is reached there, and who sends to it asks the user first.

use super::{ContentError, FORMS_MAX, NUMBER_DIGITS_MAX, proto};
use crate::id::MappingHash;

/// Fewest digits of a number in international form.
const NUMBER_DIGITS_MIN: usize = 7;

/// What the sending device takes by way of a carrier.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// The highest version of a frame that it reads; 0 where nothing comes to it by a carrier.
    pub frame_version: u8,
    /// `+` and digits: where it says that it is reached.
    pub number: Option<String>,
    /// The forms of a frame that its way into the carrier hands up unharmed.
    pub forms: Vec<FrameForm>,
    /// A broker takes for it what the carrier delivers: it has no way into the carrier of its own.
    pub via_broker: bool,
    /// The mapping of the number that the account signed last, where a broker has one: place and hash. Whoever asks the broker compares.
    pub mapping: Option<MappingClaim>,
}

/// A mapping by its place in the number's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingClaim {
    /// The place, from 1.
    pub sequence: u64,
    /// The mapping's hash.
    pub hash: MappingHash,
}

/// The forms of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameForm {
    /// Bytes.
    Binary,
    /// Text.
    Text,
    /// Beside the others: an envelope that says where the real one is kept ([`super::EnvelopeReference`]).
    Reference,
}

/// Without the number.
impl std::fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capabilities")
            .field("frame_version", &self.frame_version)
            .field("forms", &self.forms)
            .field("via_broker", &self.via_broker)
            .finish_non_exhaustive()
    }
}

impl Capabilities {
    pub(super) fn to_proto(&self) -> proto::Capabilities {
        let form = |form: &FrameForm| match form {
            FrameForm::Binary => proto::FrameForm::Binary.into(),
            FrameForm::Text => proto::FrameForm::Text.into(),
            FrameForm::Reference => proto::FrameForm::Reference.into(),
        };
        proto::Capabilities {
            frame_version: self.frame_version.into(),
            number: self.number.clone().unwrap_or_default(),
            forms: self.forms.iter().map(form).collect(),
            via_broker: self.via_broker,
            mapping_sequence: self.mapping.map_or(0, |mapping| mapping.sequence),
            mapping_hash: self.mapping.map_or_else(Vec::new, |mapping| mapping.hash.as_bytes().to_vec()),
        }
    }

    /// Forms of a later version are left out.
    pub(super) fn from_proto(capabilities: proto::Capabilities) -> Result<Self, ContentError> {
        let proto::Capabilities { frame_version, number, forms, via_broker, mapping_sequence, mapping_hash } =
            capabilities;
        let mapping = match mapping_sequence {
            0 => None,
            sequence => {
                let hash = MappingHash::parse(&mapping_hash);
                Some(MappingClaim { sequence, hash: hash.map_err(|_| ContentError::Field { field: "mapping_hash" })? })
            }
        };
        if forms.len() > FORMS_MAX {
            return Err(ContentError::TooLong { field: "forms" });
        }
        let form = |form: i32| match proto::FrameForm::try_from(form) {
            Ok(proto::FrameForm::Binary) => Some(FrameForm::Binary),
            Ok(proto::FrameForm::Text) => Some(FrameForm::Text),
            Ok(proto::FrameForm::Reference) => Some(FrameForm::Reference),
            Ok(proto::FrameForm::Unspecified) | Err(_) => None,
        };
        Ok(Self {
            frame_version: u8::try_from(frame_version).map_err(|_| ContentError::Field { field: "frame_version" })?,
            number: if number.is_empty() { None } else { Some(checked(number)?) },
            forms: forms.into_iter().filter_map(form).collect(),
            via_broker,
            mapping,
        })
    }
}

/// It may end up in a header of the carrier's.
fn checked(number: String) -> Result<String, ContentError> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let is_sound = (NUMBER_DIGITS_MIN..=NUMBER_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_sound { Ok(number) } else { Err(ContentError::Field { field: "number" }) }
}
