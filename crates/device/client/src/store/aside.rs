//! Setting a damaged store aside: the one way to begin anew, and only when it is asked for.
//!
//! Nothing in this crate deletes or replaces a store that does not open. A person decides (after all the message history is in it), the app
//! calls [`set_aside`], and the folder is moved, whole, under a name that says what it is. Whoever can repair files can still have it: the
//! wrapping key stays in the vault unless it opens nothing any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::role::{Role, Roles};
use super::turn::Turns;
use crate::files;
use crate::vault::{KeyAlias, KeyVault, VaultError};

/// Names that are tried. A device whose store is damaged a hundred times has another problem.
const NAMES_MAX: u32 = 100;
/// What is wrapped to see whether the wrapping key still works.
const PROBE: [u8; 32] = [0; 32];

/// A store that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now: beside where it was, with `.damaged-` and a number after its name.
    pub folder: PathBuf,
    /// Whether the vault's wrapping key was discarded, because the vault itself says that it is no longer valid. Nothing can open what was
    /// set aside then.
    pub is_key_discarded: bool,
}

/// Moves the store in `folder` aside. The next open makes a new one, without account, contacts or messages.
///
/// # Errors
/// [`OpenError::InUse`] while somebody has it open, [`OpenError::Vault`] when the vault does not answer (nothing has been moved then), and
/// [`OpenError::Io`].
pub fn set_aside(folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<SetAside, OpenError> {
    if !folder.is_dir() {
        return Err(OpenError::Io(io::ErrorKind::NotFound.into()));
    }
    let turns = Turns::open(folder)?;
    let _turn = turns.take().map_err(OpenError::store)?;
    let roles = Roles::of(folder)?;
    let _main = roles.take(Role::Main)?;
    let _push = roles.take(Role::Push)?;
    // The vault's word comes first: with a vault that is locked, nothing is known about the store either. Nobody has the store open, so
    // there is no transaction that waits for the vault.
    let is_key_discarded = is_key_dead(vault, alias)?;
    let target = move_aside(folder)?;
    if is_key_discarded {
        vault.delete(alias)?;
    }
    tracing::warn!(event = "store_set_aside", key_discarded = is_key_discarded);
    Ok(SetAside { folder: target, is_key_discarded })
}

/// Whether the wrapping key cannot even open what it wraps now.
fn is_key_dead(vault: &dyn KeyVault, alias: &KeyAlias) -> Result<bool, VaultError> {
    if !vault.has_wrapping_key(alias)? {
        return Ok(false);
    }
    let opened =
        vault.wrap(alias, zeroize::Zeroizing::new(PROBE.to_vec())).and_then(|wrapped| vault.unwrap(alias, wrapped));
    match opened {
        Ok(_) => Ok(false),
        Err(VaultError::KeyInvalidated | VaultError::NotFound | VaultError::File(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

fn move_aside(folder: &Path) -> io::Result<PathBuf> {
    for number in 1..=NAMES_MAX {
        let mut name = folder.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let target = PathBuf::from(name);
        if !target.try_exists()? {
            fs::rename(folder, &target)?;
            files::sync_dir(folder.parent().unwrap_or(Path::new(".")))?;
            return Ok(target);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
