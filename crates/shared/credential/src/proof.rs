//! By whose leave a key set takes the place of the one before.
//!
//! Mostly by the same account key, and then there is no proof beside its signature. A change of account key names its ground, and the
//! new account key signs the ground with the rest: nobody on the way can turn one kind into another.

use rcseal_crypto::ed25519::{Signature, VerifyingKey};

use crate::codec::ProofFields;
use crate::{KeySetError, ParseError};

/// Label of the signature by which an account key hands over to the next.
pub(crate) const MIGRATION_LABEL: &[u8] = b"rcseal/key-set/migration/v1";
/// Label of the signature by which a recovery key takes the account back.
pub(crate) const RECOVERY_LABEL: &[u8] = b"rcseal/key-set/recovery/v1";

/// The ground of a change of account key, as the set shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuccessionProof {
    /// The account key is the one before.
    None,
    /// The account key before signed the change.
    Migration(Signature),
    /// An offline recovery key signed the change.
    Recovery {
        /// The recovery key, whose hash the known set shows.
        key: VerifyingKey,
        /// Its signature.
        signature: Signature,
    },
    /// Nobody signed: everything was lost. Whoever believes it believes the server.
    Reset {
        /// Before this time nobody takes it for valid. Unix time in milliseconds.
        not_before_ms: u64,
    },
}

impl SuccessionProof {
    /// The byte that stands for the kind.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Migration(_) => 1,
            Self::Recovery { .. } => 2,
            Self::Reset { .. } => 3,
        }
    }

    pub(crate) fn from_fields(fields: &ProofFields) -> Result<Self, ParseError> {
        let (code, content) = (fields.kind, fields.content.as_slice());
        let length = ParseError::ProofLength { code, actual: content.len() };
        match code {
            0 if content.is_empty() => Ok(Self::None),
            1 => Ok(Self::Migration(Signature(content.try_into().map_err(|_| length)?))),
            2 => {
                let (key, signature) = content.split_first_chunk::<32>().ok_or(length)?;
                Ok(Self::Recovery {
                    key: VerifyingKey::from_bytes(key).map_err(ParseError::Ed25519Key)?,
                    signature: Signature(signature.try_into().map_err(|_| length)?),
                })
            }
            3 => Ok(Self::Reset { not_before_ms: u64::from_be_bytes(content.try_into().map_err(|_| length)?) }),
            0 => Err(length),
            code => Err(ParseError::UnknownProof { code }),
        }
    }

    pub(crate) fn fields(&self) -> ProofFields {
        let content = match self {
            Self::None => Vec::new(),
            Self::Migration(signature) => signature.as_bytes().to_vec(),
            Self::Recovery { key, signature } => [&key.as_bytes()[..], signature.as_bytes()].concat(),
            Self::Reset { not_before_ms } => not_before_ms.to_be_bytes().to_vec(),
        };
        ProofFields { kind: self.code(), content: content.into() }
    }

    /// Checks a recovery's own signature over the set's body, before anybody asks whose key it is.
    pub(crate) fn check_recovery(key: &VerifyingKey, body: &[u8], signature: &Signature) -> Result<(), KeySetError> {
        key.verify(&[RECOVERY_LABEL, body], signature).map_err(|_| KeySetError::RecoverySignature)
    }
}
