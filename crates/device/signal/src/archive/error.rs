//! Why an archive does not do what it was asked.

use alloc::boxed::Box;
use core::time::Duration;

use super::SessionId;
use crate::message::PreKeyMessage;
use crate::receive::DecryptError;
use crate::record::RecordError;
use crate::session::EncryptError;

/// Why a session was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// A session of that name is here already. A repeated prekey message belongs to [`super::Archive::decrypt`].
    #[error("the archive already has this session")]
    Known,
    /// An archive holds the sessions between two devices in one profile.
    #[error("the session is with another device, from another device of ours, or of another profile")]
    OtherPeer,
}

impl AddError {
    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Known => "archive_known_session",
            Self::OtherPeer => "archive_other_peer",
        }
    }
}

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveEncryptError {
    /// There is no active session: begin one from a bundle.
    #[error("there is no active session")]
    NoSession,
    /// The peer has not answered for too long: begin a new session from a fresh bundle.
    #[error("the session has waited {} s for an answer, longer than {} s", age.as_secs(), max.as_secs())]
    Unanswered {
        /// Since the session was begun.
        age: Duration,
        /// The caller's limit.
        max: Duration,
    },
    /// The session refused.
    #[error(transparent)]
    Session(#[from] EncryptError),
}

impl ArchiveEncryptError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSession => "archive_no_session",
            Self::Unanswered { .. } => "archive_unanswered",
            Self::Session(error) => error.code(),
        }
    }
}

/// Why a message was not decrypted. The archive is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveDecryptError {
    /// There is no session, and the message opens none.
    #[error("there is no session to read the message")]
    NoSession,
    /// The message opens a session that is not here: look up the prekeys it names, [`crate::Session::accept`] it, and
    /// give the result to [`super::Archive::accept`].
    #[error("the message opens a new session")]
    NewSession {
        /// The parsed message.
        message: Box<PreKeyMessage>,
    },
    /// No session could read it. The active session's reason, or that of the only session that can know the message.
    #[error(transparent)]
    Message(#[from] DecryptError),
}

impl ArchiveDecryptError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSession => "archive_no_session",
            Self::NewSession { .. } => "archive_new_session",
            Self::Message(error) => error.code(),
        }
    }
}

/// Why stored bytes are not an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Not an index, or one of a version that this crate does not know.
    #[error("the stored index of the archive is invalid")]
    Index,
    /// The index names a session whose record is not stored.
    #[error("the record of a session of the archive is missing")]
    Missing {
        /// Which one.
        session: SessionId,
    },
    /// A record is not a session's.
    #[error("a session of the archive cannot be restored")]
    Record {
        /// Which one.
        session: SessionId,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// A record holds another session than the one it is stored under.
    #[error("a record of the archive holds another session")]
    OtherSession {
        /// The name it is stored under.
        session: SessionId,
    },
}

impl RestoreError {
    /// Stable name for SDKs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Index => "archive_index",
            Self::Missing { .. } => "archive_record_missing",
            Self::Record { source, .. } => source.code(),
            Self::OtherSession { .. } => "archive_other_session",
        }
    }
}

/// The change was not made from the archive's present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change was not made from the archive's present state")]
pub struct StaleChange;

impl StaleChange {
    /// Stable name for SDKs and metrics.
    pub const fn code(&self) -> &'static str {
        "stale_change"
    }
}
