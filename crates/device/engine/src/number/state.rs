//! How far one of this account's numbers has come, and how apps see it.

use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::id::MappingHash;

use crate::context::UnixMillis;

/// How far a number of this account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberState {
    /// The broker is to be asked for a code.
    Claiming,
    /// A code is on its way to the number.
    CodeSent,
    /// The code was right; a statement that follows the number's newest mapping is still needed.
    Verified,
    /// Another account has the number and is being told.
    Pending,
    /// The broker has countersigned.
    Mapped,
    /// The broker refused the claim.
    Refused,
    /// The account let the number go.
    Released,
    /// The broker shows another account for it.
    Lost,
}

impl NumberState {
    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claiming => "claiming",
            Self::CodeSent => "code_sent",
            Self::Verified => "verified",
            Self::Pending => "pending",
            Self::Mapped => "mapped",
            Self::Refused => "refused",
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Claiming => 1,
            Self::CodeSent => 2,
            Self::Verified => 3,
            Self::Pending => 4,
            Self::Mapped => 5,
            Self::Refused => 6,
            Self::Released => 7,
            Self::Lost => 8,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Claiming),
            2 => Some(Self::CodeSent),
            3 => Some(Self::Verified),
            4 => Some(Self::Pending),
            5 => Some(Self::Mapped),
            6 => Some(Self::Refused),
            7 => Some(Self::Released),
            8 => Some(Self::Lost),
            _ => None,
        }
    }
}

/// One of this account's numbers, as apps see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNumberView {
    /// Which.
    pub number: PhoneNumber,
    /// How far it has come.
    pub state: NumberState,
    /// The broker's name for the claim, while there is one.
    pub claim: Option<String>,
    /// Until when the code is good.
    pub code_until: Option<UnixMillis>,
    /// When another code can be asked for.
    pub resend_after: Option<UnixMillis>,
    /// While pending: when the number goes over at the soonest.
    pub pending_until: Option<UnixMillis>,
    /// Another account has shown that it receives at the number, and gets it then unless this one objects.
    pub contested_until: Option<UnixMillis>,
    /// The place of the mapping that counts.
    pub sequence: Option<u64>,
    /// Its hash.
    pub hash: Option<MappingHash>,
    /// Until when it holds.
    pub expires_at: Option<UnixMillis>,
    /// Why the broker refused.
    pub refusal: Option<String>,
    /// When it was last seen that the broker shows what this account signed.
    pub watched_at: Option<UnixMillis>,
}
