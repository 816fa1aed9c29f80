//! A development certificate authority, a certificate under it, and files that are never overwritten: what a server's `init` is made of.
//!
//! The authority's private key is thrown away once the one certificate is signed, so that nobody who trusts the authority for a
//! test can be shown a second certificate later. Called by command lines and by tests.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// File with the server's certificate.
pub const CERTIFICATE_FILE: &str = "certificate.pem";
/// File with the server's private key, readable by its owner only.
pub const PRIVATE_KEY_FILE: &str = "private-key.pem";
/// File with the certificate authority that clients are to trust.
pub const AUTHORITY_FILE: &str = "authority.pem";
/// Names the development certificate is valid for.
const DEVELOPMENT_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why the folder could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file exists already; nothing is overwritten.
    #[error("{} exists already; nothing was overwritten", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The certificate cannot be made.
    #[error("cannot make the development certificate")]
    Certificate(#[source] rcgen::Error),
}

impl InitError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "init.exists",
            Self::Write { .. } => "init.write",
            Self::Certificate(_) => "init.certificate",
        }
    }
}

/// Makes `folder` and writes a development authority, certificate and key into it, unless they are there already.
pub fn write_development_identity(folder: &Path) -> Result<(), InitError> {
    fs::create_dir_all(folder).map_err(|source| InitError::Write { path: folder.to_owned(), source })?;
    if folder.join(CERTIFICATE_FILE).exists() && folder.join(PRIVATE_KEY_FILE).exists() {
        return Ok(());
    }
    let identity = development_identity().map_err(InitError::Certificate)?;
    write_new(&folder.join(PRIVATE_KEY_FILE), identity.private_key.as_bytes(), Secrecy::OwnerOnly)?;
    write_new(&folder.join(AUTHORITY_FILE), identity.authority.as_bytes(), Secrecy::Public)?;
    // The certificate comes last: where it exists, the key beside it is complete.
    write_new(&folder.join(CERTIFICATE_FILE), identity.certificate.as_bytes(), Secrecy::Public)
}

struct DevelopmentIdentity {
    authority: String,
    certificate: String,
    private_key: String,
}

fn development_identity() -> Result<DevelopmentIdentity, rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "RCSeal development authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut leaf = CertificateParams::new(DEVELOPMENT_NAMES.map(str::to_owned))?;
    leaf.distinguished_name.push(DnType::CommonName, "RCSeal development server");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &authority)?;
    Ok(DevelopmentIdentity {
        authority: authority.pem(),
        certificate: leaf.pem(),
        private_key: leaf_key.serialize_pem(),
    })
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Everybody.
    Public,
    /// The user that runs this.
    OwnerOnly,
}

/// Writes a file that is not there yet, and makes it durable.
pub fn write_new(path: &Path, bytes: &[u8], secrecy: Secrecy) -> Result<(), InitError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(match secrecy {
            Secrecy::Public => 0o644,
            Secrecy::OwnerOnly => 0o600,
        });
    }
    #[cfg(not(unix))]
    let _ = secrecy;
    let write = |source: std::io::Error| {
        let path = path.to_owned();
        if source.kind() == std::io::ErrorKind::AlreadyExists {
            InitError::Exists { path }
        } else {
            InitError::Write { path, source }
        }
    };
    let mut file = options.open(path).map_err(write)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(write)
}
