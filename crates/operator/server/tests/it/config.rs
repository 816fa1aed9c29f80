//! Configuration: the shipped samples, the development set-up, and what is refused.

use std::path::Path;

use rcseal_server::config::{AdmissionMode, ConfigError};
use rcseal_server::init::{InitError, PRIVATE_KEY_FILE, init};
use rcseal_server::{Config, Server, StartError};

fn sample(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy").join(name);
    Config::load(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_development_sample_is_open_and_stays_on_loopback() {
    let config = sample("rcseald.dev.toml");
    assert_eq!(config.admission.mode, AdmissionMode::Open);
    assert!(config.server.listen.ip().is_loopback());
}

#[test]
fn the_single_machine_sample_admits_by_invite_and_names_its_origin() {
    let config = sample("rcseald.single.toml");
    assert_eq!(config.admission.mode, AdmissionMode::Invite);
    assert!(config.server.origin.is_some());
    assert!(config.server.admin_listen.unwrap().ip().is_loopback());
    assert_eq!(config.limits, rcseal_server::config::LimitsConfig::default());
}

#[test]
fn the_sample_for_retention_says_who_can_read_and_for_how_long() {
    let config = sample("rcseald.retention.toml");
    let encryption = config.server_encryption.unwrap();
    assert_eq!((encryption.days_of("standard"), encryption.days_of("regulated")), (Some(365), Some(2557)));
    assert_eq!(encryption.days_of("for-ever"), None);
    assert_eq!(sample("rcseald.single.toml").server_encryption, None, "off unless somebody turns it on");
}

#[test]
fn a_table_for_retention_that_does_not_hold_together_is_refused() {
    type Change = fn(&mut rcseal_server::config::ServerEncryptionConfig);
    let changes: [(&str, Change); 8] = [
        ("server_encryption.default_class", |table| table.default_class = "nothing".to_owned()),
        ("server_encryption.classes", |table| table.classes.clear()),
        ("server_encryption.classes", |table| table.classes[0].name = "Two Years".to_owned()),
        ("server_encryption.classes", |table| table.classes[1].name = table.classes[0].name.clone()),
        ("server_encryption.classes.days", |table| table.classes[0].days = 0),
        // The record must outlive what it is about.
        ("server_encryption.audit_days", |table| table.audit_days = 2556),
        ("server_encryption.region", |table| table.region = String::new()),
        ("server_encryption.tenant_name", |table| table.tenant_name = "two\nlines".to_owned()),
    ];
    for (expected, change) in changes {
        let mut config = sample("rcseald.retention.toml");
        change(config.server_encryption.as_mut().unwrap());
        let error = config.validate().unwrap_err();
        let (ConfigError::Invalid { key, .. } | ConfigError::OutOfRange { key, .. }) = &error else {
            panic!("unexpected {error:?}")
        };
        assert_eq!(*key, expected);
    }
}

#[tokio::test]
async fn a_folder_prepared_by_init_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = init(folder.path()).unwrap();
    let mut config = Config::load(&path).unwrap();
    assert_eq!(config.admission.mode, AdmissionMode::Invite);
    config.server.listen.set_port(0);
    config.server.admin_listen = None;
    let server = Server::start(config).await.unwrap();
    assert!(server.ca_pem().unwrap().contains("BEGIN CERTIFICATE"));
    server.shutdown().await;
}

#[test]
fn init_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path()).unwrap();
    assert!(matches!(init(folder.path()), Err(InitError::Exists { .. })));
}

#[cfg(unix)]
#[test]
fn the_private_key_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    init(folder.path()).unwrap();
    let mode = std::fs::metadata(folder.path().join(PRIVATE_KEY_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_with_an_unknown_key_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rcseald.toml");
    std::fs::write(&path, "[server]\nlsten = \"127.0.0.1:1\"\n").unwrap();
    let error = Config::load(&path).unwrap_err();
    assert_eq!(error.to_string(), "unknown key `server.lsten`; did you mean `server.listen`?");
}

#[test]
fn a_server_that_others_can_reach_leaves_devices_a_day_to_veto() {
    let mut config = sample("rcseald.single.toml");
    assert_eq!(config.reset.delay_seconds, 7 * 24 * 3600);
    config.reset.delay_seconds = 24 * 3600;
    config.validate().unwrap();
    config.reset.delay_seconds -= 1;
    let error = config.validate().unwrap_err();
    assert!(matches!(error, ConfigError::OutOfRange { key: "reset.delay_seconds", min: 86_400, .. }), "{error}");
    // Something on this machine may pass connections on: what counts is where clients go.
    config.server.listen = "127.0.0.1:8443".parse().unwrap();
    let error = config.validate().unwrap_err();
    assert!(matches!(error, ConfigError::OutOfRange { key: "reset.delay_seconds", min: 86_400, .. }), "{error}");
    for local in [None, Some("https://localhost:8443"), Some("https://127.0.0.1:8443"), Some("https://[::1]:8443")] {
        config.server.origin = local.map(|origin| origin.parse().unwrap());
        config.validate().unwrap();
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/nonexistent/rcseald.toml")).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
}

#[tokio::test]
async fn a_server_without_its_certificate_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Server::start(Config::development(folder.path())).await;
    assert!(matches!(refused, Err(StartError::Tls(_))));
}

#[tokio::test]
async fn two_servers_cannot_share_a_folder() {
    let server = crate::support::TestServer::start().await;
    let refused = Server::start(server.config.clone()).await;
    assert!(matches!(refused, Err(StartError::Store { .. })));
}

/// Every key that has a default, and the optional ones.
fn keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "server.origin",
        "server.admin_listen",
        "tls.certificate",
        "tls.private_key",
        "tls.authority",
        "storage.blobs",
    ]
    .map(str::to_owned)
    .to_vec();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let optional = sample("rcseald.retention.toml").server_encryption;
    let optional = serde_json::to_value(optional).unwrap();
    keys.extend(optional.as_object().unwrap().keys().map(|key| format!("server_encryption.{key}")));
    for (table, entries) in defaults.as_object().unwrap() {
        keys.extend(entries.as_object().unwrap().keys().map(|key| format!("{table}.{key}")));
    }
    keys
}

#[test]
fn the_manual_explains_every_key() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/manual/operator.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    for key in keys() {
        assert!(manual.contains(&format!("`{key}`")), "{key} is not in the manual");
    }
}
