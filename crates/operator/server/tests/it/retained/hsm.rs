//! A real token in SoftHSM2, in a folder of its own.
//!
//! SoftHSM reads where its tokens are from the environment, once per process. So each test of these runs in a process of its own: [`Hsm::alone`]
//! starts this very test again with the environment set, and passes when that passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcseal_server::Config;
use rcseal_server::config::{RetentionClassConfig, ServerEncryptionConfig};
use rcseal_wire::id::TenantId;
use tempfile::TempDir;

const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
/// Set in the process that a test runs in.
const FOLDER: &str = "RCSEAL_TEST_HSM";
pub const TOKEN: &str = "rcseal test";
pub const LABEL: &str = "retained-1";
pub const REGION: &str = "here-1";
const PIN: &str = "271828";

pub struct Hsm {
    folder: PathBuf,
}

impl Hsm {
    /// The token, in the process that is meant to use it; `None` in the one that started that process, which has nothing left to do.
    pub fn alone(test: &str) -> Option<Self> {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return Some(Self { folder: folder.into() });
        }
        let folder = tempfile::tempdir().unwrap();
        let hsm = Self { folder: folder.path().to_owned() };
        hsm.write();
        hsm.make_token(TOKEN);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("retained::{test}"), "--nocapture"])
            .env(FOLDER, folder.path())
            .env("SOFTHSM2_CONF", hsm.configuration())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "the test ran: {text}");
        None
    }

    fn write(&self) {
        std::fs::create_dir_all(self.tokens()).unwrap();
        write_pin(&self.pin_file(), &format!("{PIN}\n"));
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", self.tokens().display());
        std::fs::write(self.configuration(), text).unwrap();
    }

    pub fn configuration(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    pub fn tokens(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    pub fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    pub fn module() -> PathBuf {
        let found = MODULES.iter().map(Path::new).find(|path| path.exists());
        found.expect("these tests need SoftHSM2: `cargo xtask test packages` installs it").to_owned()
    }

    pub fn make_token(&self, label: &str) {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "314159"])
            .env("SOFTHSM2_CONF", self.configuration())
            .output();
        let output = output.expect("these tests need SoftHSM2: `cargo xtask test packages` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Takes every token away, as if the module's device had been unplugged.
    pub fn unplug(&self) {
        std::fs::rename(self.tokens(), self.folder.join("away")).unwrap();
        std::fs::create_dir(self.tokens()).unwrap();
    }

    pub fn plug(&self) {
        std::fs::remove_dir(self.tokens()).unwrap();
        std::fs::rename(self.folder.join("away"), self.tokens()).unwrap();
    }

    /// Makes the token anew, with the same label and PIN: every key that was in it is gone.
    pub fn destroy_keys(&self) {
        std::fs::remove_dir_all(self.tokens()).unwrap();
        std::fs::create_dir(self.tokens()).unwrap();
        self.make_token(TOKEN);
    }

    /// Destroys the private key with the usual label, as an operator's other tool would while the server runs.
    pub fn destroy_key_from_elsewhere(&self) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "retained::hsm::destroys_the_private_key"])
            .env(FOLDER, &self.folder)
            .env("SOFTHSM2_CONF", self.configuration())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// What a configuration that uses the token says.
    pub fn encryption(&self) -> ServerEncryptionConfig {
        let class = |name: &str, days| RetentionClassConfig { name: name.to_owned(), days };
        ServerEncryptionConfig {
            tenant: TenantId::from_bytes([9; 16]),
            tenant_name: "Example Bank".to_owned(),
            module: Self::module(),
            token: TOKEN.to_owned(),
            pin_file: self.pin_file(),
            key_label: LABEL.to_owned(),
            region: REGION.to_owned(),
            default_class: "standard".to_owned(),
            classes: vec![class("standard", 90), class("short", 1)],
            audit_days: 400,
            account_messages_max: 50,
            account_bytes_max: 10 * 1024 * 1024,
        }
    }

    pub fn enable(&self) -> impl FnOnce(&mut Config) {
        let encryption = self.encryption();
        move |config| config.server_encryption = Some(encryption)
    }
}

#[test]
/// A program for other tests (see `Hsm::destroy_key_from_elsewhere`); by itself it does nothing.
fn destroys_the_private_key() {
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    use cryptoki::object::{Attribute, ObjectClass};
    use cryptoki::session::UserType;
    if std::env::var_os(FOLDER).is_none() {
        return;
    }
    let module = Pkcs11::new(Hsm::module()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let labelled = |slot: &cryptoki::slot::Slot| module.get_token_info(*slot).unwrap().label() == TOKEN;
    let slot = module.get_slots_with_token().unwrap().into_iter().find(labelled).unwrap();
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&cryptoki::types::AuthPin::from(PIN))).unwrap();
    let private = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(LABEL.as_bytes().to_vec())];
    let found = session.find_objects(&private).unwrap();
    assert_eq!(found.len(), 1);
    session.destroy_object(found[0]).unwrap();
}

/// The same settings as a table of a configuration file.
pub fn table(encryption: &ServerEncryptionConfig) -> String {
    let mut text = format!(
        "[server_encryption]\ntenant = \"{}\"\ntenant_name = \"{}\"\nmodule = \"{}\"\ntoken = \"{}\"\npin_file = \"{}\"\n\
         key_label = \"{}\"\nregion = \"{}\"\ndefault_class = \"{}\"\n",
        encryption.tenant,
        encryption.tenant_name,
        encryption.module.display(),
        encryption.token,
        encryption.pin_file.display(),
        encryption.key_label,
        encryption.region,
        encryption.default_class,
    );
    for class in &encryption.classes {
        text.push_str(&format!("[[server_encryption.classes]]\nname = \"{}\"\ndays = {}\n", class.name, class.days));
    }
    text
}

/// A folder for what a test adds.
pub fn write_pin(path: &Path, pin: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, pin).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
