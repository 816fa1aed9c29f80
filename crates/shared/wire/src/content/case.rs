//! A case of a business that began in another channel and goes on end to end, and what contacts tell each other of a broker.
//!
//! Two bodies carry a case: the app shows the token of its link, and the business says what became of it. The case has an id that follows
//! from the token, so that both name it alike and neither repeats the token.

use rcseal_crypto::hash::sha256;

use super::{ContentError, MAPPING_LEN_MAX, REFERENCE_LEN_MAX, fixed, id, limited, proto};
use crate::continuation::CaseToken;
use crate::id::MappingHash;
use crate::number::E164;

/// Label of a case's id.
const LABEL: &[u8] = b"rcseal/case/v1";

/// Names a case at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId([u8; 16]);

impl CaseId {
    /// The case that a token opens: the first 16 bytes of the token's hash.
    #[must_use]
    pub fn of(token: &CaseToken) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&sha256(&[LABEL, token.expose()])[..16]);
        Self(id)
    }

    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a business makes of a token that it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaseStatus {
    /// The case goes on with this account.
    Opened,
    /// Another account has used the token.
    Used,
    /// The link has expired.
    Expired,
    /// The business took the link back.
    Revoked,
    /// The business knows no such case.
    Unknown,
    /// The case is over.
    Closed,
}

impl CaseStatus {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Closed => "closed",
        }
    }

    /// Whether the token was not taken.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::Used | Self::Expired | Self::Revoked | Self::Unknown => true,
            Self::Opened | Self::Closed => false,
        }
    }
}

/// The business's answer.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseState {
    /// Which case.
    pub case: CaseId,
    /// What became of it.
    pub status: CaseStatus,
    /// What people call it; empty in a refusal.
    pub reference: String,
    /// A broker says that the account has the number for which the case was begun.
    pub number_verified: bool,
}

impl CaseState {
    pub(super) fn to_proto(&self) -> proto::CaseState {
        proto::CaseState {
            case: self.case.0.to_vec(),
            status: match self.status {
                CaseStatus::Opened => proto::CaseStatus::Opened,
                CaseStatus::Used => proto::CaseStatus::RefusedUsed,
                CaseStatus::Expired => proto::CaseStatus::RefusedExpired,
                CaseStatus::Revoked => proto::CaseStatus::RefusedRevoked,
                CaseStatus::Unknown => proto::CaseStatus::RefusedUnknown,
                CaseStatus::Closed => proto::CaseStatus::Closed,
            }
            .into(),
            reference: self.reference.clone(),
            number_verified: self.number_verified,
        }
    }

    /// `None` for a status of a later version.
    pub(super) fn from_proto(state: proto::CaseState) -> Result<Option<Self>, ContentError> {
        let status = match state.status() {
            proto::CaseStatus::Opened => CaseStatus::Opened,
            proto::CaseStatus::RefusedUsed => CaseStatus::Used,
            proto::CaseStatus::RefusedExpired => CaseStatus::Expired,
            proto::CaseStatus::RefusedRevoked => CaseStatus::Revoked,
            proto::CaseStatus::RefusedUnknown => CaseStatus::Unknown,
            proto::CaseStatus::Closed => CaseStatus::Closed,
            proto::CaseStatus::Unspecified => return Ok(None),
        };
        Ok(Some(Self {
            case: CaseId(fixed("case", &state.case)?),
            status,
            reference: limited("reference", state.reference, REFERENCE_LEN_MAX)?,
            number_verified: state.number_verified,
        }))
    }
}

/// Which mapping a broker shows of a number.
#[derive(Clone, PartialEq, Eq)]
pub struct NumberSeen {
    /// Of which number.
    pub number: E164,
    /// The number is the sender's, and this is what the sender has signed. Otherwise it is the recipient's.
    pub is_senders: bool,
    /// The mapping's place.
    pub sequence: u64,
    /// Its hash.
    pub hash: MappingHash,
    /// When the broker showed it, by the sender's clock. Unix time in milliseconds.
    pub seen_at_ms: u64,
    /// The mapping itself where the two sides differ; empty otherwise.
    pub mapping: Vec<u8>,
}

impl NumberSeen {
    pub(super) fn to_proto(&self) -> proto::NumberSeen {
        proto::NumberSeen {
            number: self.number.as_str().to_owned(),
            is_senders: self.is_senders,
            sequence: self.sequence,
            hash: self.hash.as_bytes().to_vec(),
            seen_at_ms: self.seen_at_ms,
            mapping: self.mapping.clone(),
        }
    }

    pub(super) fn from_proto(seen: proto::NumberSeen) -> Result<Self, ContentError> {
        if seen.mapping.len() > MAPPING_LEN_MAX {
            return Err(ContentError::TooLong { field: "mapping" });
        }
        if seen.sequence == 0 {
            return Err(ContentError::Field { field: "sequence" });
        }
        Ok(Self {
            number: seen.number.parse().map_err(|_| ContentError::Field { field: "number" })?,
            is_senders: seen.is_senders,
            sequence: seen.sequence,
            hash: id("hash", MappingHash::parse(&seen.hash))?,
            seen_at_ms: seen.seen_at_ms,
            mapping: seen.mapping,
        })
    }
}
