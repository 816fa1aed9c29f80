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
    /// More than one slot holds a token with the configured label: which of them is meant cannot be known.
    #[error("the module has more than one token `{label}`")]
    TokenAmbiguous {
        /// The label.
        label: String,
    },
    /// Other users of the machine can read the file with the PIN.
    #[error("others than the owner can read the PIN in {}; its mode must be 0600", .path.display())]
    PinFileOpen {
        /// The file.
        path: PathBuf,
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
    /// The private key could leave the token, or be read in it: whoever made it there has made it for something else.
    #[error("the key `{label}` is not sensitive, or can be taken out of the token")]
    KeyOpen {
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
            | Self::TokenAmbiguous { .. }
            | Self::PinFile { .. }
            | Self::PinFileOpen { .. }
            | Self::PinRefused
            | Self::Failing
            | Self::Busy
            | Self::TimedOut
            | Self::KeyForm { .. }
            | Self::KeyOpen { .. } => true,
            Self::KeyDestroyed { .. } | Self::RegionMismatch { .. } => false,
        }
    }

    /// The module's own words, for the log, where it has said any. They name functions and return codes, and never a PIN or a key.
    pub(crate) fn cause(&self) -> Option<String> {
        self.source().map(ToString::to_string)
    }
}
