//! What we prove ourselves with.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::AkaProvider;

/// A password. It is written nowhere but into a hash.
#[derive(Clone)]
pub struct Password(Arc<Zeroizing<String>>);

impl Password {
    /// A password.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Who we are to a server, and what shows it.
#[derive(Clone)]
pub enum Credentials {
    /// A name and a password.
    Password {
        /// The name, as the server knows it: often the number, often with a domain.
        user: String,
        /// The password.
        password: Password,
    },
    /// A name and a SIM.
    Aka {
        /// The private identity (`IMPI`).
        user: String,
        /// The SIM, or what stands for it.
        sim: Arc<dyn AkaProvider>,
    },
}

impl Credentials {
    /// The name.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Password { user, .. } | Self::Aka { user, .. } => user,
        }
    }
}

impl fmt::Debug for Credentials {
    /// The kind alone: a user's name is often a phone number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { .. } => f.write_str("Credentials::Password"),
            Self::Aka { .. } => f.write_str("Credentials::Aka"),
        }
    }
}
