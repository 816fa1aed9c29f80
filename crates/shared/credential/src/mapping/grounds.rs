//! On what grounds a number is an account's, as the broker says when it countersigns.

use super::codec::GroundsFields;
use super::statement::Action;
use super::{CLOCK_SLACK_MS, FormError, MappingError, NumberStatement, SignedStatement, VerifiedMapping, WAIT_MS};

/// The grounds of a mapping.
// A handful live at once, each inside a mapping that holds a statement of the same size anyway.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grounds {
    /// Nobody had the number at this broker before.
    First,
    /// The account that has it renews it.
    Same,
    /// The account that had it let it go, by this signed release.
    Released(SignedStatement),
    /// The change was announced to the account that had it, which let the time pass.
    Waited {
        /// When the announcement went out. Unix time in milliseconds.
        announced_at_ms: u64,
    },
    /// The mapping before it had expired: nobody renewed it.
    Recycled,
    /// The carrier says that the number went to another subscriber. The broker's word, and nobody else's.
    Ported,
}

/// The kinds of grounds, without what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroundsKind {
    /// [`Grounds::First`].
    First,
    /// [`Grounds::Same`].
    Same,
    /// [`Grounds::Released`].
    Released,
    /// [`Grounds::Waited`].
    Waited,
    /// [`Grounds::Recycled`].
    Recycled,
    /// [`Grounds::Ported`].
    Ported,
}

impl GroundsKind {
    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Same => 2,
            Self::Released => 3,
            Self::Waited => 4,
            Self::Recycled => 5,
            Self::Ported => 6,
        }
    }

    /// The kind of that byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::First),
            2 => Some(Self::Same),
            3 => Some(Self::Released),
            4 => Some(Self::Waited),
            5 => Some(Self::Recycled),
            6 => Some(Self::Ported),
            _ => None,
        }
    }

    /// The name in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Same => "same",
            Self::Released => "released",
            Self::Waited => "waited",
            Self::Recycled => "recycled",
            Self::Ported => "ported",
        }
    }
}

impl Grounds {
    /// Which kind.
    #[must_use]
    pub const fn kind(&self) -> GroundsKind {
        match self {
            Self::First => GroundsKind::First,
            Self::Same => GroundsKind::Same,
            Self::Released(_) => GroundsKind::Released,
            Self::Waited { .. } => GroundsKind::Waited,
            Self::Recycled => GroundsKind::Recycled,
            Self::Ported => GroundsKind::Ported,
        }
    }

    pub(super) fn fields(&self) -> GroundsFields {
        let content = match self {
            Self::First | Self::Same | Self::Recycled | Self::Ported => Vec::new(),
            Self::Released(release) => release.as_bytes().to_vec(),
            Self::Waited { announced_at_ms } => announced_at_ms.to_be_bytes().to_vec(),
        };
        GroundsFields { kind: self.kind().code(), content: content.into() }
    }

    pub(super) fn from_fields(fields: &GroundsFields) -> Result<Self, FormError> {
        let (code, content) = (fields.kind, fields.content.as_slice());
        let kind = GroundsKind::from_code(code).ok_or(FormError::UnknownCode { code })?;
        match (kind, content) {
            (GroundsKind::First, []) => Ok(Self::First),
            (GroundsKind::Same, []) => Ok(Self::Same),
            (GroundsKind::Recycled, []) => Ok(Self::Recycled),
            (GroundsKind::Ported, []) => Ok(Self::Ported),
            (GroundsKind::Released, release) => Ok(Self::Released(SignedStatement::parse(release)?)),
            (GroundsKind::Waited, time) => {
                let time = time.try_into().map_err(|_| FormError::UnknownCode { code })?;
                Ok(Self::Waited { announced_at_ms: u64::from_be_bytes(time) })
            }
            (GroundsKind::First | GroundsKind::Same | GroundsKind::Recycled | GroundsKind::Ported, _) => {
                Err(FormError::UnknownCode { code })
            }
        }
    }

    /// What can be said of the grounds without the mapping before.
    pub(super) fn check(&self, statement: &NumberStatement, countersigned_at_ms: u64) -> Result<(), MappingError> {
        let is_first = statement.sequence == 1;
        if is_first != matches!(self, Self::First) {
            return Err(MappingError::Grounds);
        }
        match self {
            Self::First | Self::Same | Self::Recycled | Self::Ported => Ok(()),
            Self::Waited { announced_at_ms } => {
                let is_over = announced_at_ms.checked_add(WAIT_MS).is_some_and(|over| over <= countersigned_at_ms);
                if is_over { Ok(()) } else { Err(MappingError::Grounds) }
            }
            Self::Released(release) => {
                let release = release.statement();
                let is_of_it = release.action == Action::Release
                    && release.number == statement.number
                    && release.broker == statement.broker
                    && release.sequence == statement.sequence
                    && release.previous == statement.previous
                    && release.issued_at_ms <= countersigned_at_ms.saturating_add(CLOCK_SLACK_MS);
                if is_of_it { Ok(()) } else { Err(MappingError::NotARelease) }
            }
        }
    }
}

/// What the grounds of the next mapping must be, against the one before. `holder` is whose release counts; without its key the
/// release's form is all that can be judged.
pub(super) struct Before<'a> {
    pub(super) statement: &'a NumberStatement,
    pub(super) countersigned_at_ms: u64,
    pub(super) expires_at_ms: u64,
    pub(super) holder: Option<&'a rcseal_crypto::ed25519::VerifyingKey>,
}

impl<'a> Before<'a> {
    pub(super) fn of(mapping: &'a VerifiedMapping) -> Self {
        Self {
            statement: mapping.statement(),
            countersigned_at_ms: mapping.countersigned_at_ms(),
            expires_at_ms: mapping.expires_at_ms(),
            holder: Some(mapping.account_key()),
        }
    }

    /// Whether `grounds` let the number go from this mapping to `account`, in a mapping countersigned then.
    pub(super) fn allows(
        &self,
        grounds: &Grounds,
        account: rcseal_wire::id::AccountId,
        countersigned_at_ms: u64,
    ) -> bool {
        match grounds {
            Grounds::First => false,
            Grounds::Same => self.statement.account == account,
            Grounds::Released(release) => {
                release.statement().account == self.statement.account
                    && self.holder.is_none_or(|key| release.is_signed_by(key))
            }
            // A holder who renewed after the announcement has answered it.
            Grounds::Waited { announced_at_ms } => *announced_at_ms >= self.countersigned_at_ms,
            Grounds::Recycled => self.expires_at_ms <= countersigned_at_ms,
            Grounds::Ported => true,
        }
    }
}
