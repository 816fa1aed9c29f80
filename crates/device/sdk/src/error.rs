//! The one error of every call.

use rcseal_client::ClientError;

/// Why a call did not do what it was asked for.
///
/// `code` is stable and documented, `retryable` says whether the same call may succeed later without anybody changing anything, `reason`
/// is for developers. None of them holds content, numbers, names or keys.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum RcsealError {
    /// The call failed.
    #[error("{code}: {reason}")]
    Failed {
        /// The stable code.
        code: String,
        /// Whether trying again may help.
        retryable: bool,
        /// What happened, for developers.
        reason: String,
    },
}

impl RcsealError {
    /// Something that should not happen.
    pub(crate) fn internal(code: &str, reason: &dyn std::fmt::Display) -> Self {
        Self::Failed { code: format!("sdk.{code}"), retryable: false, reason: reason.to_string() }
    }
}

impl From<ClientError> for RcsealError {
    fn from(error: ClientError) -> Self {
        Self::Failed { code: error.code().to_owned(), retryable: error.is_retryable(), reason: error.to_string() }
    }
}
