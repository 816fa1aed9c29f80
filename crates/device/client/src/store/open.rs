//! Opening a store: role, key, layout, schema, generation, in this order.
//!
//! Three locks are involved, and the vault is called under none that a transaction waits for:
//!
//! | lock | held | vault called under it |
//! |---|---|---|
//! | role (`store.lock`, `store.push`) | while the store is open | yes |
//! | turn (`store.turn`) | for one transaction | never |
//! | generation (`store.generation`) | while the generation is compared or advanced | yes |

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::generation::Generation;
use super::key::{self, Found, StoreKey};
use super::layout::{self, DATABASE_FILE};
use super::role::{Role, Roles};
use super::schema::{MIGRATIONS, check_version, migrate};
use super::turn::Turns;
use super::{OpenError, OpenedStore, RolledBackStore, Store, sqlite};
use crate::files;
use crate::vault::{KeyAlias, KeyVault};

/// How long a push client waits for an app that is making up its mind about the generation, and the reverse: the vault may be slow.
pub(super) const GENERATION_WAIT: Duration = Duration::from_secs(5);

/// Opens the store in `folder` for the app, or creates it when neither folder nor vault know of one.
///
/// # Errors
/// [`OpenError`].
pub fn open(folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<OpenedStore, OpenError> {
    open_as(Role::Main, folder, vault, alias)
}

/// Opens the store in `folder` in a role. A push client gets a store that an app has made and left in order, or
/// [`OpenError::NeedsMain`].
///
/// # Errors
/// [`OpenError`].
pub fn open_as(role: Role, folder: &Path, vault: &dyn KeyVault, alias: &KeyAlias) -> Result<OpenedStore, OpenError> {
    match role {
        Role::Main => files::create_private_dir(folder)?,
        Role::Push if !folder.is_dir() => return Err(OpenError::NeedsMain),
        Role::Push => {}
    }
    let turns = Turns::open(folder)?;
    let roles = Roles::of(folder)?;
    let own_role = {
        // Under the turn, so that whoever looks whether it is alone sees no half of an open.
        let _turn = turns.take().map_err(OpenError::store)?;
        roles.take(role)?
    };
    let key = match key::find(folder, role, vault, alias)? {
        Found::Whole(key) => key,
        Found::Fresh { key, wrapped, generation } => {
            let turn = turns.take().map_err(OpenError::store)?;
            let _alone = roles.try_other(role)?.ok_or(OpenError::InUse)?;
            layout::create(folder, &key, &wrapped, generation)?;
            turn.note(0);
            key
        }
    };
    let (connection, is_whole, commits) = open_database(folder, role, &key, &turns, &roles)?;
    let store = Store {
        connection: Mutex::new(connection),
        generation: Generation::open(folder)?,
        folder: folder.to_owned(),
        role,
        own_commits: AtomicU64::new(0),
        commits_at_open: commits,
        turns,
        roles,
        _role: own_role,
    };
    let is_current = store.compare_generation(vault, alias)?;
    match (is_whole && is_current, role) {
        (true, _) => Ok(OpenedStore::Ready(store)),
        (false, Role::Main) => Ok(OpenedStore::RolledBack(RolledBackStore(store))),
        (false, Role::Push) => Err(OpenError::NeedsMain),
    }
}

/// Puts the layout in order, opens the database, brings its schema up to date, and says whether it has every commit that was noted.
fn open_database(
    folder: &Path,
    role: Role,
    key: &StoreKey,
    turns: &Turns,
    roles: &Roles,
) -> Result<(rusqlite::Connection, bool, u64), OpenError> {
    let turn = turns.take().map_err(OpenError::store)?;
    let noted = turn.commits();
    match roles.try_other(role)? {
        // Nobody else has a handle on the database, so it may be looked at, and moved.
        Some(_alone) => layout::settle(folder, role, key, noted.is_some())?,
        None if noted.is_some() => {}
        // The other one is just opening a store that is not in order.
        None => return Err(if role == Role::Main { OpenError::InUse } else { OpenError::NeedsMain }),
    }
    let mut connection = sqlite::open(&folder.join(DATABASE_FILE), key, role)?;
    match role {
        Role::Main => migrate(&mut connection, MIGRATIONS)?,
        Role::Push => check_version(&connection, MIGRATIONS)?,
    }
    let commits = sqlite::fact(&connection, "commits").map_err(OpenError::sqlite)?;
    if noted.is_none() {
        turn.note(commits);
    }
    let is_whole = noted.is_none_or(|noted| commits >= noted);
    Ok((connection, is_whole, commits))
}
