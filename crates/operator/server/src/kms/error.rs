//! Why the operator's key could not be used.

use std::error::Error as _;
use std::path::PathBuf;

/// Why the operator's key could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KmsError {
    /// The library cannot be loaded, or a call of it failed.
    #[error("the PKCS#11 module cannot be used")]
    Module(#[source] cryptoki::error::Error),
    /// No slot holds a token with the configured label.
    #[error("the module has no token `{label}`")]
    NoToken {
        /// The label.
        label: String,
    },
    /// The file with the PIN cannot be read.
    #[error("cannot read the PIN from {}", .path.display())]
    PinFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The token refuses the PIN.
    #[error("the token refused the PIN; start the server again with the right one")]
    PinRefused,
    /// The module failed a moment ago and is not asked again yet.
    #[error("the module failed a moment ago")]
    Failing,
    /// Too many requests wait for the module.
    #[error("too many requests wait for the module")]
    Busy,
    /// The module did not answer in time.
    #[error("the module did not answer in time")]
    TimedOut,
    /// What the token holds under the label is no P-256 key, or more than one.
    #[error("the token does not hold exactly one P-256 key `{label}`")]
    KeyForm {
        /// The label.
        label: String,
    },
    /// There is no key with this label any more.
    #[error("the key `{label}` is no longer in the token")]
    KeyDestroyed {
        /// The label.
        label: String,
    },
    /// The key belongs to another region than the server.
    #[error("the key belongs to region `{}` and the server to `{expected}`", .found.as_deref().unwrap_or("(none)"))]
    RegionMismatch {
        /// The server's.
        expected: String,
        /// The key's, where it has one.
        found: Option<String>,
    },
}

impl From<cryptoki::error::Error> for KmsError {
    fn from(source: cryptoki::error::Error) -> Self {
        Self::Module(source)
    }
}

impl KmsError {
    /// Whether the module, and not the key, is the trouble: opening it anew may help.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Module(_)
            | Self::NoToken { .. }
            | Self::PinFile { .. }
            | Self::PinRefused
            | Self::Failing
            | Self::Busy
            | Self::TimedOut
            | Self::KeyForm { .. } => true,
            Self::KeyDestroyed { .. } | Self::RegionMismatch { .. } => false,
        }
    }

    /// The module's own words, for the log. They name functions and return codes, and never a PIN or a key.
    pub(crate) fn cause(&self) -> String {
        self.source().map(ToString::to_string).unwrap_or_default()
    }
}
