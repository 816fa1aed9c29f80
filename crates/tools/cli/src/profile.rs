//! The profile: the folder that is one device.
//!
//! | file | what |
//! |---|---|
//! | `store/` | the encrypted store (`rcseal_client::store`) |
//! | `vault/` | the software key vault |
//! | `authority.pem` | the certificate authority that the server's certificate must be under |
//! | `broker-authority.pem` | the one for the broker, where it is another |
//! | `downloads/` | where `chat` saves files |
//!
//! The folder is found at run time and never compiled in. It is for its owner alone, and one process at a time has it open.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rcseal_client::net::TrustAnchors;
use rcseal_client::vault::{Argon2Params, SoftwareKeyVault, Unlock};
use zeroize::Zeroizing;

use crate::args::Global;
use crate::error::CliError;

const AUTHORITY_FILE: &str = "authority.pem";
const BROKER_AUTHORITY_FILE: &str = "broker-authority.pem";
const PASSPHRASE_VARIABLE: &str = "RCSEAL_PASSPHRASE";
/// A passphrase longer than this is a file given by mistake.
const PASSPHRASE_LEN_MAX: u64 = 4096;
/// A PEM bundle longer than this is a file given by mistake.
const AUTHORITY_LEN_MAX: u64 = 1024 * 1024;

/// A device's folder, and how its vault opens.
#[derive(Debug)]
pub struct Profile {
    folder: PathBuf,
    passphrase: Option<Zeroizing<String>>,
}

/// A certificate authority that a user named: read, and not yet this profile's.
pub struct Authority {
    /// What a connection is checked with.
    pub trust: TrustAnchors,
    pem: Vec<u8>,
}

impl Profile {
    /// Finds the folder and reads the passphrase. Nothing is created or opened yet.
    ///
    /// # Errors
    /// [`CliError::NoDataFolder`], or [`CliError::File`] for the passphrase's file.
    pub fn find(global: &Global) -> Result<Self, CliError> {
        let folder = match &global.profile {
            Some(folder) => folder.clone(),
            None => default_folder().ok_or(CliError::NoDataFolder)?,
        };
        Ok(Self { folder, passphrase: passphrase(global.passphrase_file.as_deref())? })
    }

    /// A folder whose vault opens by its key file.
    #[must_use]
    pub fn with_key_file(folder: PathBuf) -> Self {
        Self { folder, passphrase: None }
    }

    /// Another folder, whose vault opens as this one's does.
    #[must_use]
    pub fn beside(&self, folder: PathBuf) -> Self {
        Self { folder, passphrase: self.passphrase.clone() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The encrypted store's folder.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Where `chat` saves files.
    #[must_use]
    pub fn downloads(&self) -> PathBuf {
        self.folder.join("downloads")
    }

    /// The key vault.
    ///
    /// # Errors
    /// [`CliError::Vault`].
    pub fn vault(&self) -> Result<SoftwareKeyVault, CliError> {
        let unlock = match &self.passphrase {
            Some(passphrase) => Unlock::Passphrase(passphrase.clone(), Argon2Params::INTERACTIVE),
            None => Unlock::KeyFile,
        };
        Ok(SoftwareKeyVault::new(&self.folder.join("vault"), unlock)?)
    }

    /// What protects the store here, in one sentence.
    #[must_use]
    pub fn protection(&self) -> &'static str {
        match self.passphrase {
            Some(_) => "the store's key is in a software vault, under your passphrase",
            None => {
                "the store's key is in a software vault, opened by a key file beside it: whoever copies the profile can read it \
                 (set RCSEAL_PASSPHRASE to use a passphrase)"
            }
        }
    }

    /// Reads the authority that a user names, and makes the profile's folder. What the profile trusts stays as it is.
    ///
    /// # Errors
    /// [`CliError::File`] or [`CliError::Trust`].
    pub fn read_authority(&self, ca: &Path) -> Result<Authority, CliError> {
        let pem =
            read_at_most(ca, AUTHORITY_LEN_MAX).map_err(|source| CliError::File { path: ca.to_owned(), source })?;
        let trust = TrustAnchors::from_pem(&pem)?;
        create_private_dir(&self.folder).map_err(|source| CliError::File { path: self.folder.clone(), source })?;
        Ok(Authority { trust, pem })
    }

    /// Remembers which authority the server must be under.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub fn adopt_authority(&self, authority: &Authority) -> Result<(), CliError> {
        let path = self.folder.join(AUTHORITY_FILE);
        std::fs::File::create(&path)
            .and_then(|mut target| target.write_all(&authority.pem).and_then(|()| target.sync_all()))
            .map_err(|source| CliError::File { path, source })
    }

    /// The authority that was adopted.
    ///
    /// # Errors
    /// [`CliError::NoProfile`] before that; [`CliError::Trust`].
    pub fn authority(&self) -> Result<TrustAnchors, CliError> {
        let path = self.folder.join(AUTHORITY_FILE);
        match read_at_most(&path, AUTHORITY_LEN_MAX) {
            Ok(pem) => Ok(TrustAnchors::from_pem(&self.with_broker(pem)?)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CliError::NoProfile { folder: self.folder.clone() })
            }
            Err(source) => Err(CliError::File { path, source }),
        }
    }

    /// The server's authority, and the broker's where there is another.
    fn with_broker(&self, mut pem: Vec<u8>) -> Result<Vec<u8>, CliError> {
        let path = self.folder.join(BROKER_AUTHORITY_FILE);
        match read_at_most(&path, AUTHORITY_LEN_MAX) {
            Ok(more) => {
                pem.push(b'\n');
                pem.extend(more);
                Ok(pem)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(pem),
            Err(source) => Err(CliError::File { path, source }),
        }
    }

    /// Reads the authority that a user names for a broker; what a connection is checked with is that and the server's.
    ///
    /// # Errors
    /// [`CliError::File`], [`CliError::Trust`], [`CliError::NoProfile`].
    pub fn read_broker_authority(&self, ca: &Path) -> Result<Authority, CliError> {
        let pem =
            read_at_most(ca, AUTHORITY_LEN_MAX).map_err(|source| CliError::File { path: ca.to_owned(), source })?;
        let path = self.folder.join(AUTHORITY_FILE);
        let mut both = match read_at_most(&path, AUTHORITY_LEN_MAX) {
            Ok(server) => server,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CliError::NoProfile { folder: self.folder.clone() });
            }
            Err(source) => return Err(CliError::File { path, source }),
        };
        // Alone it has to be one, too: nothing else says what is wrong with a file.
        TrustAnchors::from_pem(&pem)?;
        both.push(b'\n');
        both.extend_from_slice(&pem);
        Ok(Authority { trust: TrustAnchors::from_pem(&both)?, pem })
    }

    /// Remembers which authority the broker must be under.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub fn adopt_broker_authority(&self, authority: &Authority) -> Result<(), CliError> {
        let path = self.folder.join(BROKER_AUTHORITY_FILE);
        std::fs::File::create(&path)
            .and_then(|mut target| target.write_all(&authority.pem).and_then(|()| target.sync_all()))
            .map_err(|source| CliError::File { path, source })
    }

    /// Trusts the broker's authority no more.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub fn forget_broker_authority(&self) -> Result<(), CliError> {
        let path = self.folder.join(BROKER_AUTHORITY_FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CliError::File { path, source: error }),
            _ => Ok(()),
        }
    }
}

/// `rcseal` in the user's data folder, by the platform's rules.
fn default_folder() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = if cfg!(windows) {
        from("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        from("HOME").map(|home| home.join("Library").join("Application Support"))
    } else {
        from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local").join("share")))
    };
    data.map(|data| data.join("rcseal"))
}

fn passphrase(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, CliError> {
    let Some(path) = file else {
        return Ok(std::env::var(PASSPHRASE_VARIABLE).ok().filter(|text| !text.is_empty()).map(Zeroizing::new));
    };
    let failed = |source| CliError::File { path: path.to_owned(), source };
    let bytes = Zeroizing::new(read_at_most(path, PASSPHRASE_LEN_MAX).map_err(failed)?);
    let text =
        std::str::from_utf8(&bytes).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    // The line end that every editor adds is not part of it.
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// Reads a file of at most `limit` bytes; a longer one is an error.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(std::fs::File::open(path)?, limit + 1), &mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Makes a folder, with its parents, that only its owner may enter. One that is there stays as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
