//! `rcseald init`: a development certificate, and a configuration that uses it. Called by the command line, by `rcseal serve` and by tests.

use std::path::{Path, PathBuf};

use rcseal_front::identity::{Secrecy, write_new};

pub use rcseal_front::identity::{
    AUTHORITY_FILE, CERTIFICATE_FILE, InitError, PRIVATE_KEY_FILE, write_development_identity,
};

/// The configuration file.
pub const CONFIG_FILE: &str = "rcseald.toml";

/// Prepares `folder` for `rcseald serve`: certificate, key, authority and configuration. Returns the configuration's path.
pub fn init(folder: &Path) -> Result<PathBuf, InitError> {
    let path = folder.join(CONFIG_FILE);
    if path.exists() {
        return Err(InitError::Exists { path });
    }
    write_development_identity(folder)?;
    let text = format!(
        "# A development server. Every key and its default: docs/manual/operator.md.\n\
         # Paths are relative to this file.\n\n\
         [server]\nlisten = \"127.0.0.1:8443\"\nadmin_listen = \"127.0.0.1:9443\"\n\n\
         [tls]\ncertificate = \"{CERTIFICATE_FILE}\"\nprivate_key = \"{PRIVATE_KEY_FILE}\"\nauthority = \"{AUTHORITY_FILE}\"\n\n\
         [storage]\npath = \"data\"\n\n\
         [admission]\nmode = \"invite\"\n"
    );
    write_new(&path, text.as_bytes(), Secrecy::Public)?;
    Ok(path)
}
