//! The one error of every call.
//!
//! Variants say whose matter it is, so that an app can decide by kind; `code` says what happened and is what documents and metrics name;
//! `retryable` says whether the same call may succeed later without anybody changing anything. `docs/manual/sdk.md` lists
//! those that apps decide by.

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident, $kind:literal;)*) => {
        /// Why a call did not do what it was asked for.
        ///
        /// `code` is stable and documented, `retryable` says whether the same call may succeed later without anybody changing anything,
        /// `reason` is for developers. None of them holds content, ids, numbers, names or keys.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
        pub enum RcsealError {
            $(
                $(#[$doc])*
                #[error("{code}: {reason}")]
                $variant {
                    /// The stable code.
                    code: String,
                    /// Whether trying again may help.
                    retryable: bool,
                    /// What happened, for developers.
                    reason: String,
                },
            )*
        }

        impl RcsealError {
            /// The stable code.
            #[must_use]
            pub fn code(&self) -> &str {
                match self { $(Self::$variant { code, .. })|* => code }
            }

            /// Whether trying again may help.
            #[must_use]
            pub const fn retryable(&self) -> bool {
                match self { $(Self::$variant { retryable, .. })|* => *retryable }
            }

            /// What happened, for developers.
            #[must_use]
            pub fn reason(&self) -> &str {
                match self { $(Self::$variant { reason, .. })|* => reason }
            }

            /// The name of the kind, as documents and faces without sealed errors write it.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $kind,)* }
            }
        }
    };
}

kinds! {
    /// The store on this device.
    Store, "store";
    /// The key vault.
    Vault, "vault";
    /// The network, or a server that refused.
    Network, "network";
    /// This account and its devices.
    Account, "account";
    /// A contact, or a comparison of safety numbers.
    Contact, "contact";
    /// A message that was not sent.
    Send, "send";
    /// A file that was not sent, fetched or written.
    Media, "media";
    /// What may be sent how: a refusal of the delivery policy, a consent, a downgrade.
    Policy, "policy";
    /// A backup.
    Backup, "backup";
    /// Push registrations and wake-ups.
    Push, "push";
    /// The client was closed.
    Closed, "closed";
    /// An argument cannot be read.
    InvalidArgument, "invalid_argument";
    /// Something that should not happen: please report it with its code.
    Internal, "internal";
}

impl RcsealError {
    /// Something that should not happen. The reason is fixed text: what a panic said may hold anything.
    #[cfg(feature = "client")]
    pub(crate) fn internal(code: &'static str, reason: &'static str) -> Self {
        Self::Internal { code: code.to_owned(), retryable: false, reason: reason.to_owned() }
    }

    /// An argument of this name cannot be read.
    #[cfg(feature = "client")]
    pub(crate) fn argument(name: &'static str) -> Self {
        Self::invalid("argument_malformed", &format!("the argument `{name}` cannot be read"))
    }

    /// An argument is not what it should be.
    #[cfg(feature = "client")]
    pub(crate) fn invalid(code: &'static str, reason: &str) -> Self {
        Self::InvalidArgument { code: code.to_owned(), retryable: false, reason: reason.to_owned() }
    }

    /// The client was closed.
    #[cfg(feature = "client")]
    pub(crate) fn closed() -> Self {
        Self::Closed { code: "closed".to_owned(), retryable: false, reason: "the client was closed".to_owned() }
    }
}

#[cfg(feature = "client")]
impl From<rcseal_client::ClientError> for RcsealError {
    fn from(error: rcseal_client::ClientError) -> Self {
        use rcseal_client::ClientError as E;
        use rcseal_client::store::{GenerationError, OpenError};
        use rcseal_engine::send::SendError;

        let (code, retryable, reason) = (error.code().to_owned(), error.is_retryable(), error.to_string());
        // A store that failed is the store's matter, whatever was being done.
        if error.store_kind().is_some() {
            return Self::Store { code, retryable, reason };
        }
        match error {
            E::Open(OpenError::Vault(vault)) | E::Generation(GenerationError::Vault(vault)) => {
                Self::Vault { code, retryable: vault.is_retryable(), reason }
            }
            E::Open(_) | E::Store(_) | E::Generation(_) => Self::Store { code, retryable, reason },
            E::Net(_) | E::Endpoint(_) => Self::Network { code, retryable, reason },
            E::Account(_) | E::Link(_) | E::LinkExpired | E::ResetPending | E::Number(_) => {
                Self::Account { code, retryable, reason }
            }
            E::Backup(_) => Self::Backup { code, retryable, reason },
            E::Push(_) => Self::Push { code, retryable, reason },
            E::RemoteConfig(_) => Self::InvalidArgument { code, retryable, reason },
            E::Contact(_) | E::Carrier(_) => Self::Contact { code, retryable, reason },
            E::Send(SendError::Refused(_)) | E::Policy(_) | E::Retained(_) => Self::Policy { code, retryable, reason },
            E::Plain(rcseal_engine::plain::PlainError::Refused(_)) => Self::Policy { code, retryable, reason },
            E::Send(_)
            | E::HandOver(_)
            | E::Resend(_)
            | E::Plain(_)
            | E::Case(_)
            | E::NoSmsWay
            | E::Sms(_)
            | E::UnknownMessage => Self::Send { code, retryable, reason },
            E::Media(_) | E::NoMedia | E::ForeignServer | E::File(_) => Self::Media { code, retryable, reason },
            E::Stopped => Self::Internal { code, retryable, reason },
        }
    }
}
