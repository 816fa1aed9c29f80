//! A key in a module that speaks PKCS#11, for a relay whose operator can read what is sealed to it: SoftHSM2, with a token of its own.
//!
//! SoftHSM reads where its tokens are from the environment, once per process. So a program that needs one is started again, by itself,
//! with that set ([`in_own_process`]); in there [`Hsm::of_process`] is the token. Where SoftHSM2 is not installed there is none, and whoever
//! needs one says so.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rcseal_server::config::{RetentionClassConfig, ServerEncryptionConfig};
use rcseal_wire::id::TenantId;
use tempfile::TempDir;

/// What is missing where there is no token.
pub const NEEDED: &str = "SoftHSM2 with a server's key (`cargo xtask test packages` installs it)";

/// Where the distributions have the module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
/// Names the folder of the token to the process that uses it.
const FOLDER: &str = "RCSEAL_SIM_HSM_FOLDER";
/// Where SoftHSM reads what it is to do.
const SETTINGS: &str = "SOFTHSM2_CONF";
const TOKEN: &str = "rcseal matrix";
const EMPTY_TOKEN: &str = "rcseal matrix, made anew";
const PIN: &str = "271828";
/// Where the key is, as the server says.
pub const REGION: &str = "here-1";
/// How much a server keeps for an account: more than any story writes.
const ACCOUNT_MESSAGES_MAX: u64 = 1_000;

/// The token of this process.
#[derive(Debug, Clone)]
pub struct Hsm {
    folder: PathBuf,
    module: PathBuf,
}

fn module() -> Option<PathBuf> {
    MODULES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned)
}

/// Makes the tokens: one for keys, and one of the same kind that never has any.
fn prepare() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("rcseal-sim-hsm-").tempdir()?;
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens)?;
    std::fs::write(folder.path().join("pin"), format!("{PIN}\n"))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder.path().join("pin"), std::fs::Permissions::from_mode(0o600))?;
    }
    let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
    std::fs::write(folder.path().join("softhsm2.conf"), text)?;
    for token in [TOKEN, EMPTY_TOKEN] {
        let status = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", "314159"])
            .env(SETTINGS, folder.path().join("softhsm2.conf"))
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other("softhsm2-util makes no token"));
        }
    }
    Ok(folder)
}

/// Runs this very program with these arguments in a process that has a token. `None` where this process has one already, and where there is
/// no SoftHSM2.
///
/// # Errors
/// Those of making a token and of starting a process.
pub async fn in_own_process(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Option<ExitStatus>> {
    if std::env::var_os(FOLDER).is_some() || module().is_none() {
        return Ok(None);
    }
    let folder = match prepare() {
        Ok(folder) => folder,
        // The module without its program: as good as not installed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.args(arguments).env(FOLDER, folder.path()).env(SETTINGS, folder.path().join("softhsm2.conf"));
    command.kill_on_drop(true).status().await.map(Some)
}

impl Hsm {
    /// The token of this process, where it has one.
    #[must_use]
    pub fn of_process() -> Option<Self> {
        let folder = std::env::var_os(FOLDER)?;
        Some(Self { folder: folder.into(), module: module()? })
    }

    /// What a server's configuration says to use it, with a key of this label.
    #[must_use]
    pub fn encryption(&self, key_label: &str) -> ServerEncryptionConfig {
        let class = |name: &str, days| RetentionClassConfig { name: name.to_owned(), days };
        ServerEncryptionConfig {
            tenant: TenantId::from_bytes([9; 16]),
            tenant_name: "Example Bank".to_owned(),
            module: self.module.clone(),
            token: TOKEN.to_owned(),
            pin_file: self.folder.join("pin"),
            key_label: key_label.to_owned(),
            region: REGION.to_owned(),
            default_class: "standard".to_owned(),
            classes: vec![class("standard", 90), class("short", 1)],
            audit_days: 400,
            account_messages_max: ACCOUNT_MESSAGES_MAX,
            account_bytes_max: 10 * 1024 * 1024,
        }
    }

    /// The same after somebody has made the token anew: no key is in it.
    #[must_use]
    pub fn encryption_without_key(&self, key_label: &str) -> ServerEncryptionConfig {
        ServerEncryptionConfig { token: EMPTY_TOKEN.to_owned(), ..self.encryption(key_label) }
    }

    /// The same at a server that was moved.
    #[must_use]
    pub fn encryption_elsewhere(&self, key_label: &str) -> ServerEncryptionConfig {
        ServerEncryptionConfig { region: "elsewhere-1".to_owned(), ..self.encryption(key_label) }
    }
}
