//! What cargo knows about the workspace: its crates, where they stand, and what they use of each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, io};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The workspace could not be described.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    /// `cargo metadata` failed.
    #[error("cargo metadata failed")]
    Metadata(#[from] cargo_metadata::Error),
    /// A file the command needs is unreadable.
    #[error("cannot read {path}")]
    Read {
        /// The file, relative to the workspace.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The workspace as the commands see it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder that holds the workspace's manifest.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// Our crates, sorted by name.
    pub(crate) members: Vec<Member>,
}

/// One of our crates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The package's name.
    pub(crate) package: String,
    /// Its folder, relative to the workspace, with `/` between the parts.
    pub(crate) folder: String,
    /// What it uses of ours, sorted and without doubles.
    pub(crate) uses: BTreeSet<Use>,
    /// The names of what cargo builds from it: library, programs, tests, benches.
    pub(crate) targets: BTreeSet<String>,
}

/// One crate of ours used by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    /// The package that is used.
    pub(crate) package: String,
    /// Whether only tests, benches and examples use it.
    pub(crate) in_tests_only: bool,
}

impl Workspace {
    /// Describes the workspace that cargo started us in, or the one round the current folder.
    pub(crate) fn load() -> Result<Self, WorkspaceError> {
        let start = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        Self::load_from(&start)
    }

    /// Describes the workspace round `folder`. Reads manifests only: needs no network and resolves nothing.
    pub(crate) fn load_from(folder: &Path) -> Result<Self, WorkspaceError> {
        let metadata = MetadataCommand::new().current_dir(folder).no_deps().exec()?;
        let packages = metadata.workspace_packages();
        let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        let mut members: Vec<Member> = packages
            .iter()
            .map(|package| Member {
                package: package.name.to_string(),
                folder: package
                    .manifest_path
                    .parent()
                    .and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok())
                    .map(|folder| folder.as_str().replace('\\', "/"))
                    .unwrap_or_default(),
                uses: package
                    .dependencies
                    .iter()
                    .filter(|dependency| names.contains(dependency.name.as_str()))
                    .map(|dependency| Use {
                        package: dependency.name.to_string(),
                        in_tests_only: dependency.kind == DependencyKind::Development,
                    })
                    .collect(),
                targets: package.targets.iter().map(|target| target.name.clone()).collect(),
            })
            .collect();
        members.sort_by(|left, right| left.package.cmp(&right.package));
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
            members,
        })
    }

    /// Reads a text file of the workspace.
    pub(crate) fn read(&self, path: &str) -> Result<String, WorkspaceError> {
        std::fs::read_to_string(self.root.join(path))
            .map_err(|source| WorkspaceError::Read { path: path.to_owned(), source })
    }
}

/// Where this project keeps what is costly to make and belongs to no clone: tools, CI's target folder.
pub(crate) fn cache_folder() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(env::temp_dir);
    base.join("rcseal")
}
