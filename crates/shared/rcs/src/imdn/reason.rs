//! Why a message failed, in the words of RCC.16 (sections 7.7.2.1 and 7.7.2.2).
//!
//! A reason stands in one of two arms: the client's or the server's. It is a hint for repair, unauthenticated, and never evidence
//! that a peer cannot encrypt.

use roxmltree::Node;

use super::ImdnError;

/// Which side says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// The receiving client.
    Client(ClientReason),
    /// A server.
    Server(ServerReason),
}

macro_rules! reasons {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $element:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// An element that is not known here, or none.
            Other,
        }

        impl $name {
            /// The element's name; `None` for [`Self::Other`].
            #[must_use]
            pub const fn element(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($element),)*
                    Self::Other => None,
                }
            }

            fn of(element: &str) -> Self {
                match element {
                    $($element => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

reasons! {
    /// What the receiving client found. The last variants are outcomes of a control message rather than failures.
    ClientReason {
        /// Its sender is no member.
        MessageFromNonMember = "message-from-non-member",
        /// Its sender's credential is not valid.
        InvalidCredential = "invalid-credential",
        /// A commit that is not valid.
        InvalidCommit = "invalid-commit",
        /// It could not be decrypted: send again with the newest keys.
        FailedToDecrypt = "failed-to-decrypt",
        /// A commit where only a message may be.
        CommitInPrivateMessage = "commit-in-privatemessage",
        /// Sent again, and still not decrypted. Read, never written: deployed peers drop the whole receipt.
        ResentFailedToDecrypt = "resent-message-for-me-failed-to-decrypt",
        /// Taken in the enhanced repair.
        CommitProcessedInEnhancedSelfHeal = "commit-processed-in-enhanced-self-heal",
        /// Taken in the repair.
        CommitProcessedInSelfHeal = "commit-processed-in-self-heal",
        /// Not taken; the era has been advanced since.
        CommitFailedThenEraAdvancement = "commit-failed-then-era-advancement",
        /// The group was downgraded.
        ControlMessageFailedDueToDowngrade = "control-message-failed-due-to-downgrade",
        /// Taken in the enhanced repair.
        ProposalProcessedInEnhancedSelfHeal = "proposal-processed-in-enhanced-self-heal",
        /// Taken in the repair.
        ProposalProcessedInSelfHeal = "proposal-processed-in-self-heal",
        /// A control message failed.
        ControlMessageFailed = "control-message-failed",
    }
}

reasons! {
    /// What a server found.
    ServerReason {
        /// Another era than the group's.
        IncorrectEra = "incorrect-era",
        /// Another epoch than the group's.
        IncorrectEpoch = "incorrect-epoch",
        /// Another epoch authenticator than the group's.
        IncorrectEpochAuthenticator = "incorrect-epoch-authenticator",
        /// A credential that has expired.
        ExpiredCredential = "expired-credential",
        /// The members of the group and of the conversation differ.
        MismatchedRcsGroupState = "mismatched-rcs-group-state",
        /// A commit that cannot be read.
        UnparsableCommit = "unparsable-commit",
        /// A confirmation tag that does not match.
        MismatchedConfirmationTag = "mismatched-confirmation-tag",
        /// Proposals wait to be committed.
        PendingProposal = "pending-proposal",
        /// Try again with the same bytes.
        TransientError = "transient-error",
        /// No encryption here. Never a reason of ours to send in the clear.
        EncryptionNotAvailable = "encryption-not-available",
        /// A commit that is not valid.
        InvalidCommit = "invalid-commit",
        /// The group is not known.
        MlsGroupNotFound = "mls-group-not-found",
        /// The input is not valid.
        InvalidInput = "invalid-input",
        /// No more eras for now.
        EraAdvancementQuotaReached = "era-advancement-quota-reached",
        /// The group has ended its encryption.
        MlsGroupHasEndMls = "mls-group-has-end-mls",
        /// No more epochs for now.
        EpochAdvancementQuotaReached = "epoch-advancement-quota-reached",
    }
}

const CLIENT: &str = "mls-client-failure-reason";
const SERVER: &str = "mls-server-failure-reason";

impl FailureReason {
    /// The reason inside `<failed>`, whatever its namespace. One arm at most; in it the first element that is known.
    pub(super) fn read(failed: Node<'_, '_>) -> Result<Option<Self>, ImdnError> {
        let mut arms =
            failed.children().filter(|child| child.is_element() && matches!(child.tag_name().name(), CLIENT | SERVER));
        let Some(arm) = arms.next() else { return Ok(None) };
        if arms.next().is_some() {
            return Err(ImdnError::Ambiguous);
        }
        let names = || arm.children().filter(Node::is_element).map(|child| child.tag_name().name());
        Ok(Some(if arm.tag_name().name() == CLIENT {
            Self::Client(
                names()
                    .map(ClientReason::of)
                    .find(|reason| *reason != ClientReason::Other)
                    .unwrap_or(ClientReason::Other),
            )
        } else {
            Self::Server(
                names()
                    .map(ServerReason::of)
                    .find(|reason| *reason != ServerReason::Other)
                    .unwrap_or(ServerReason::Other),
            )
        }))
    }

    /// The arm; `None` for what has no element, and for the one that deployed peers choke on.
    pub(super) fn to_xml(self) -> Option<String> {
        match self {
            Self::Client(ClientReason::ResentFailedToDecrypt) => Self::Client(ClientReason::FailedToDecrypt).to_xml(),
            Self::Client(reason) => reason.element().map(|element| format!("<{CLIENT}><{element}/></{CLIENT}>")),
            Self::Server(reason) => reason.element().map(|element| format!("<{SERVER}><{element}/></{SERVER}>")),
        }
    }
}
