//! `rcseal-broker init`: a development certificate, the countersigning key, and a configuration that uses them.

use std::fs;
use std::path::{Path, PathBuf};

use rcseal_crypto::ed25519::SigningKey;
use rcseal_front::identity::{Secrecy, write_new};
use rcseal_wire::b64;

pub use rcseal_front::identity::{AUTHORITY_FILE, CERTIFICATE_FILE, InitError, PRIVATE_KEY_FILE};

/// File with the countersigning key's seed, readable by its owner only.
pub const SIGNING_KEY_FILE: &str = "signing-key";
/// The configuration file.
pub const CONFIG_FILE: &str = "rcseal-broker.toml";

/// Prepares `folder` for `rcseal-broker serve`. Returns the configuration's path.
pub fn init(folder: &Path) -> Result<PathBuf, InitError> {
    let path = folder.join(CONFIG_FILE);
    if path.exists() {
        return Err(InitError::Exists { path });
    }
    write_development_identity(folder)?;
    let text = format!(
        "# A development broker. Every key and its default: docs/manual/broker.md.\n\
         # Paths are relative to this file. Nobody can enrol or claim a number before you say who and which:\n\n\
         # [[relays]]\n# origin = \"https://localhost:8443\"\n# authority = \"../relay/authority.pem\"\n\n\
         # [numbers]\n# served = [\"+44\"]\n\n\
         [server]\nlisten = \"127.0.0.1:8446\"\nadmin_listen = \"127.0.0.1:9446\"\n\n\
         [tls]\ncertificate = \"{CERTIFICATE_FILE}\"\nprivate_key = \"{PRIVATE_KEY_FILE}\"\nauthority = \"{AUTHORITY_FILE}\"\n\n\
         [storage]\npath = \"data\"\n\n\
         [signing]\nkey = \"{SIGNING_KEY_FILE}\"\n"
    );
    write_new(&path, text.as_bytes(), Secrecy::Public)?;
    Ok(path)
}

/// Writes a development certificate and a countersigning key into `folder`, unless they are there already.
pub fn write_development_identity(folder: &Path) -> Result<(), InitError> {
    rcseal_front::identity::write_development_identity(folder)?;
    let path = folder.join(SIGNING_KEY_FILE);
    if path.exists() {
        return Ok(());
    }
    let key = SigningKey::generate(&mut rand::rng());
    write_new(&path, format!("{}\n", b64::encode(key.seed())).as_bytes(), Secrecy::OwnerOnly)
}

/// The countersigning key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file cannot be read.
    #[error("cannot read the countersigning key {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not what `init` writes.
    #[error("{} is not a countersigning key", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Other users of the machine can read it.
    #[error("{} is open to other users of this machine; close it with chmod 600", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
}

impl SigningKeyError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "signing_key.read",
            Self::Malformed { .. } => "signing_key.malformed",
            Self::Open { .. } => "signing_key.open",
        }
    }
}

/// Reads the countersigning key, unless others can read it too.
pub fn read_signing_key(path: &Path) -> Result<SigningKey, SigningKeyError> {
    let read = |source| SigningKeyError::Read { path: path.to_owned(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(path).map_err(read)?.permissions().mode() & 0o077 != 0 {
            return Err(SigningKeyError::Open { path: path.to_owned() });
        }
    }
    let text = fs::read_to_string(path).map_err(read)?;
    let seed: Option<[u8; 32]> = b64::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    seed.map(SigningKey::from_seed).ok_or_else(|| SigningKeyError::Malformed { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_key_that_was_made_is_read_again_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path()).unwrap();
        let path = folder.path().join(SIGNING_KEY_FILE);
        let key = read_signing_key(&path).unwrap();
        write_development_identity(folder.path()).unwrap();
        assert_eq!(read_signing_key(&path).unwrap().verifying_key(), key.verifying_key());
        assert!(matches!(init(folder.path()), Err(InitError::Exists { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        write_development_identity(folder.path()).unwrap();
        let path = folder.path().join(SIGNING_KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_signing_key(&path).unwrap_err().code(), "signing_key.open");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write_new(&path, b"hello", Secrecy::OwnerOnly).unwrap();
        assert_eq!(read_signing_key(&path).unwrap_err().code(), "signing_key.malformed");
        assert_eq!(read_signing_key(&folder.path().join("y")).unwrap_err().code(), "signing_key.read");
    }
}
