//! Taking an account back without its old devices: recoveries, which take effect at once, and resets, which wait.
//!
//! A reset has three lives. A *ticket* of the operator's allows one; asking for it with the ticket makes it *pending*; when its time has
//! come [`TakeoverStore::settle_reset`] makes it *current* and nothing is left of it but a key set in the history. A key set that is
//! published meanwhile ends it in the same transaction: the account's devices are alive, and the pending set continues an older one.
//!
//! The server has verified what comes in here. The store's part is that everything about a takeover (key set, devices that go, the one
//! that comes with its mailbox and prekeys) is one transaction, and that it happens once.

use async_trait::async_trait;
use rcseal_wire::id::{AccountId, DeviceNumber, KeySetHash, MailboxId};

use crate::directory::{PublishError, Published, StoredKeySet, UploadPrekeys};
use crate::{StoreError, UnixMillis};

/// SHA-256 of a reset ticket, under whatever label the server hashes it with: the ticket itself is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetTicketHash([u8; 32]);

impl ResetTicketHash {
    /// Wraps a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A key set that replaces an account's devices by a new one, and all that the new one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// Whose.
    pub account: AccountId,
    /// The hash of the key set that the new one was verified against; its counter is below the new one's.
    pub previous: KeySetHash,
    /// The new one.
    pub key_set: StoredKeySet,
    /// The one device in it. All that were there lose their rows with mailbox, envelopes and prekeys, also one of the same number.
    pub device: DeviceNumber,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Its prekeys.
    pub prekeys: UploadPrekeys,
}

/// A takeover was refused; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The key set cannot be published.
    #[error("the key set cannot be published")]
    KeySet(#[source] PublishError),
    /// Another device has the mailbox id.
    #[error("the mailbox id is taken")]
    MailboxTaken,
    /// The prekeys are too many or too large.
    #[error("the prekeys are too many or too large")]
    Prekeys,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl TakeoverError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeySet(source) => source.code(),
            Self::MailboxTaken => "mailbox_taken",
            Self::Prekeys => "out_of_range",
            Self::Store(source) => source.code(),
        }
    }
}

/// A ticket was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddTicketError {
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// A reset of the account is pending already.
    #[error("a reset of the account is pending; cancel it first")]
    Pending,
    /// There are [`crate::limits::RESETS_MAX`] of them.
    #[error("too many tickets and pending resets")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl AddTicketError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownAccount => "not_found",
            Self::Pending => "reset_pending",
            Self::TooMany => "out_of_range",
            Self::Store(source) => source.code(),
        }
    }
}

/// Somebody asks for a reset.
#[derive(Debug, Clone)]
pub struct BeginReset {
    /// By whose leave.
    pub ticket: ResetTicketHash,
    /// What will happen.
    pub takeover: Takeover,
    /// When it will.
    pub effective_at: UnixMillis,
    /// When it was asked for.
    pub now: UnixMillis,
}

/// A reset did not begin; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum BeginResetError {
    /// The ticket is unknown, expired, used, or another account's.
    #[error("the ticket is not valid")]
    TicketRefused,
    /// What was asked for could not be carried out.
    #[error("the takeover is refused")]
    Takeover(#[source] TakeoverError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl BeginResetError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TicketRefused => "reset_ticket_refused",
            Self::Takeover(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }
}

/// A reset that is allowed or pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRecord {
    /// Whose.
    pub account: AccountId,
    /// How far it has come.
    pub state: ResetState,
}

/// How far a reset has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetState {
    /// The operator has given out a ticket, and nobody has used it.
    Allowed {
        /// When the ticket expires.
        until: UnixMillis,
    },
    /// Somebody has asked for it.
    Pending {
        /// When.
        requested_at: UnixMillis,
        /// When it takes effect.
        effective_at: UnixMillis,
        /// The key set that will be the account's.
        key_set: StoredKeySet,
    },
}

/// What [`TakeoverStore::cancel_reset`] ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReset {
    /// A pending reset: what a device may do.
    Pending,
    /// A ticket as well: what the operator may do.
    Everything,
}

/// What one step of settling did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was due.
    Nothing {
        /// When the next reset takes effect or the next ticket expires.
        next: Option<UnixMillis>,
    },
    /// A ticket expired.
    Expired,
    /// A reset took effect.
    InForce {
        /// Whose.
        account: AccountId,
        /// What that changed.
        published: Published,
    },
    /// A reset could not take effect any more (its mailbox id was taken meanwhile, for instance) and was dropped.
    Dropped {
        /// Whose.
        account: AccountId,
        /// Why: a stable code.
        code: &'static str,
    },
}

/// Recoveries and resets. Every method that changes something is one transaction, durable when it returns `Ok`.
#[async_trait]
pub trait TakeoverStore: Send + Sync {
    /// Replaces an account's devices now. Ends a pending reset. Repeating it with the same key set is `Ok` and changes nothing.
    async fn take_over(&self, takeover: Takeover, now: UnixMillis) -> Result<Published, TakeoverError>;

    /// Allows one reset of an account until `expires_at`, by whoever shows the ticket. A ticket of the same account that nobody has used
    /// is replaced.
    async fn add_reset_ticket(
        &self,
        account: AccountId,
        ticket: ResetTicketHash,
        expires_at: UnixMillis,
    ) -> Result<(), AddTicketError>;

    /// Whether a ticket allows a reset of this account now, or is the one by which the pending reset was asked for.
    async fn is_reset_ticket(
        &self,
        account: AccountId,
        ticket: ResetTicketHash,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// Makes a reset pending and uses the ticket up. Answers when it takes effect; repeating it with the same ticket and key set answers
    /// the same again.
    async fn begin_reset(&self, begin: BeginReset) -> Result<UnixMillis, BeginResetError>;

    /// An account's reset.
    async fn reset(&self, account: AccountId) -> Result<Option<ResetRecord>, StoreError>;

    /// Resets by account id, those behind `after`, at most `limit`.
    async fn resets(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<ResetRecord>, StoreError>;

    /// Ends an account's reset before it takes effect. Whether there was one.
    async fn cancel_reset(&self, account: AccountId, what: CancelReset) -> Result<bool, StoreError>;

    /// Settles the reset that is due first: lets it take effect, or forgets its expired ticket. Call it until nothing is due.
    async fn settle_reset(&self, now: UnixMillis) -> Result<Settled, StoreError>;
}
