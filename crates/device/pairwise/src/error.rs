//! Why a call did nothing.

use rcseal_credential::ScanError;
use rcseal_signal::{
    AcceptError, AddError, ArchiveEncryptError, BundleError, DecryptError, InitiateError, ParseError,
    PreKeyFormatError, ProfileUnavailable, RestoreError, StaleChange,
};

use crate::format::FormatError;
use crate::store::StoreFault;
use crate::vault::VaultFault;

/// Why a call did nothing. After an error nothing has changed, but for a store that answered neither yes nor no.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairwiseError {
    /// The app's store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The key vault.
    #[error(transparent)]
    Vault(#[from] VaultFault),
    /// The vault has a key that was in use, and the store has nothing: it was deleted, or it is another store.
    #[error("the store is empty, and the key vault has a key for it")]
    StoreMissing,
    /// The store has rows, and the vault has no key for them.
    #[error("the key vault has no key for the store")]
    KeyMissing,
    /// A row cannot be opened, is missing, or is of a version this program does not know.
    #[error("the store is damaged")]
    Damaged,
    /// The store was set back to an older state while it was open.
    #[error("the store was set back to an older state")]
    RolledBack,
    /// It was closed.
    #[error("it was closed")]
    Closed,
    /// A peer's name is empty or longer than [`crate::PEER_ID_LEN_MAX`] bytes.
    #[error("a peer's name has 1 to {} bytes", crate::PEER_ID_LEN_MAX)]
    PeerId,
    /// There is no session that sends, and no bundle to begin one with.
    #[error("a bundle is needed to begin a session")]
    BundleNeeded,
    /// No session reads the message, and it opens none. The peer has to begin anew, with a new bundle.
    #[error("there is no session with this peer")]
    NoSession,
    /// The peer shows another identity than the one known. Compare in another way, then [`crate::Pairwise::forget_peer`].
    #[error("the peer has another identity than before")]
    IdentityChanged,
    /// Nothing is known of this peer yet.
    #[error("nothing is known of this peer")]
    UnknownPeer,
    /// The message opens a session with a prekey that was used before, or is not kept any more.
    #[error("the prekey of the message was used before or is not kept any more")]
    PrekeyGone,
    /// The message opened a session before.
    #[error("the message opened a session before")]
    Replayed,
    /// Too many sessions were opened with the last-resort prekey: publish new bundles.
    #[error("too many sessions were opened with one signed prekey")]
    PrekeyWornOut,
    /// The bytes are not a bundle or not a message.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The bundle is not its owner's.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No session was begun.
    #[error(transparent)]
    Initiate(#[from] InitiateError),
    /// A new session was refused.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// Nothing was encrypted.
    #[error(transparent)]
    Encrypt(#[from] ArchiveEncryptError),
    /// The message was not decrypted.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// The text or the digits do not verify the peer.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl PairwiseError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreFault::Conflict) => "store.conflict",
            Self::Store(StoreFault::Full) => "store.full",
            Self::Store(StoreFault::Busy) => "store.busy",
            Self::Store(StoreFault::Failed) => "store.failed",
            Self::Vault(fault) => fault.code(),
            Self::StoreMissing => "store.missing",
            Self::KeyMissing => "store.key_missing",
            Self::Damaged => "store.damaged",
            Self::RolledBack => "store.rolled_back",
            Self::Closed => "closed",
            Self::PeerId => "pairwise.peer_id",
            Self::BundleNeeded => "pairwise.bundle_needed",
            Self::NoSession => "pairwise.no_session",
            Self::IdentityChanged => "pairwise.identity_changed",
            Self::UnknownPeer => "pairwise.unknown_peer",
            Self::PrekeyGone => "pairwise.prekey_gone",
            Self::Replayed => "pairwise.replayed",
            Self::PrekeyWornOut => "pairwise.prekey_worn_out",
            Self::Format(error) => error.code(),
            Self::Bundle(error) => error.code(),
            Self::Initiate(error) => error.code(),
            Self::Accept(error) => error.code(),
            Self::Encrypt(error) => error.code(),
            Self::Decrypt(error) => error.code(),
            Self::Scan(error) => error.code(),
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreFault::Conflict | StoreFault::Busy)
                | Self::Vault(VaultFault::UserNotAuthenticated | VaultFault::HardwareUnavailable)
                | Self::Decrypt(DecryptError::Lookup(_))
        )
    }
}

/// What was stored by this program and cannot be read by it.
macro_rules! damaged {
    ($($error:ty),+) => {
        $(impl From<$error> for PairwiseError {
            fn from(_: $error) -> Self {
                Self::Damaged
            }
        })+
    };
}

// A stale change cannot come about, since every step begins at what is stored; it is answered like rows that contradict each other.
damaged!(RestoreError, PreKeyFormatError, StaleChange, AddError, ProfileUnavailable);

impl From<ParseError> for PairwiseError {
    fn from(error: ParseError) -> Self {
        Self::Decrypt(DecryptError::Parse(error))
    }
}
