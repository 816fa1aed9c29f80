//! Who may have a store open: one *main* client and one *push* client, and never two of a kind.
//!
//! A role is a lock that is held for as long as the store is open. It keeps apart what a lock round each transaction cannot: two programs
//! that both believe to be the app. On iOS the system ends an app that is suspended while it holds a lock on a file in a container it
//! shares with an extension, so there the files lie in the process's own temporary folder; an app and an extension do not share that, and
//! do not have to, since they never have the same role.

use std::path::{Path, PathBuf};

use rcseal_crypto::hash::sha256;

use super::OpenError;
use super::lock::{LockFile, OwnedLock};
use crate::files;

/// What a client has a store open for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The app: makes the store, brings its layout and schema up to date, recovers it.
    Main,
    /// What a push message wakes: takes in and answers, with little memory and for a short time. It never makes a store and never changes
    /// its layout.
    Push,
}

impl Role {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Push => "push",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Main => Self::Push,
            Self::Push => Self::Main,
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            // The name that the lock round the whole process had: a program of before is kept out by it.
            Self::Main => "store.lock",
            Self::Push => "store.push",
        }
    }
}

/// Where the locks of a store's roles are.
pub(super) struct Roles {
    folder: PathBuf,
}

impl Roles {
    /// Those of the store in `folder`.
    pub(super) fn of(folder: &Path) -> Result<Self, OpenError> {
        Self::beside(folder, cfg!(target_os = "ios").then(std::env::temp_dir).as_deref())
    }

    /// The same with a folder of the process's own, which has a place for every store.
    fn beside(folder: &Path, private: Option<&Path>) -> Result<Self, OpenError> {
        let Some(private) = private else { return Ok(Self { folder: folder.to_owned() }) };
        let digest = sha256(&[folder.as_os_str().as_encoded_bytes()]);
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = private.join(format!("rcseal-{name}"));
        files::create_private_dir(&folder)?;
        Ok(Self { folder })
    }

    /// Takes a role.
    pub(super) fn take(&self, role: Role) -> Result<OwnedLock, OpenError> {
        LockFile::open(&self.folder.join(role.file_name()))?.try_take_owned()?.ok_or(OpenError::InUse)
    }

    /// Takes the other role for a moment; `None` when somebody has it. Who holds both is alone with the store.
    pub(super) fn try_other(&self, role: Role) -> Result<Option<OwnedLock>, OpenError> {
        Ok(LockFile::open(&self.folder.join(role.other().file_name()))?.try_take_owned()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn locks_that_lie_apart_are_one_set_for_each_store() {
        let (private, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (shared.path().join("first"), shared.path().join("second"));
        let roles = Roles::beside(&first, Some(private.path())).unwrap();
        let _main = roles.take(Role::Main).unwrap();
        let again = Roles::beside(&first, Some(private.path())).unwrap();
        assert!(matches!(again.take(Role::Main), Err(OpenError::InUse)));
        assert!(again.try_other(Role::Push).unwrap().is_none());
        let _push = again.take(Role::Push).unwrap();
        let _other_store = Roles::beside(&second, Some(private.path())).unwrap().take(Role::Main).unwrap();
        assert_eq!(std::fs::read_dir(shared.path()).unwrap().count(), 0);
    }
}
