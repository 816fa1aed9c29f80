//! Errors of the crypto-only level, in the one shape.

use rcseal_pairwise::PairwiseError as E;

use crate::error::RcsealError;

impl From<E> for RcsealError {
    fn from(error: E) -> Self {
        let (code, retryable, reason) = (error.code().to_owned(), error.is_retryable(), error.to_string());
        match error {
            E::Store(_) | E::StoreMissing | E::Damaged | E::RolledBack => Self::Store { code, retryable, reason },
            E::Vault(_) | E::KeyMissing => Self::Vault { code, retryable, reason },
            E::Closed => Self::Closed { code, retryable, reason },
            E::IdentityChanged | E::UnknownPeer | E::Scan(_) => Self::Contact { code, retryable, reason },
            E::PeerId | E::Format(_) | E::Bundle(_) => Self::InvalidArgument { code, retryable, reason },
            E::BundleNeeded
            | E::NoSession
            | E::PrekeyGone
            | E::Replayed
            | E::PrekeyWornOut
            | E::Initiate(_)
            | E::Accept(_)
            | E::Encrypt(_)
            | E::Decrypt(_) => Self::Send { code, retryable, reason },
            _ => Self::Internal { code, retryable, reason },
        }
    }
}
