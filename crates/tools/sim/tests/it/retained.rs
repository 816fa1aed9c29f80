//! Words that a server can read, whole: two clients, a real relay, and its key in a real SoftHSM2 token.
//!
//! SoftHSM reads where its tokens are from the environment, once per process, so the test starts itself again with that set.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcseal_engine::UnixMillis;
use rcseal_engine::message::{EncryptionStatus, FailureReason, MessageState, MessageView};
use rcseal_engine::policy::{DeliveryMode, EntryKind, FallbackPolicy, PolicyScope, Subject};
use rcseal_engine::retained::ServerKeyState;
use rcseal_server::config::{RetentionClassConfig, ServerEncryptionConfig};
use rcseal_server::{RunningServer, Server};
use rcseal_wire::content::Body;
use rcseal_wire::id::TenantId;

use crate::phones::{last, phone, sync, trust};

const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
const FOLDER: &str = "RCSEAL_SIM_HSM";
const TOKEN: &str = "rcseal sim";
const MODE: DeliveryMode = DeliveryMode::ServerEncrypted;
const NEEDED: &str = "this test needs SoftHSM2: `cargo xtask test packages` installs it";

fn init_token(folder: &Path) {
    let output = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", TOKEN, "--pin", "271828", "--so-pin", "314159"])
        .env("SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        .output()
        .expect(NEEDED);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The folder of a token, in the process that is meant to use it.
fn alone(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(folder.path().join("pin"), "271828\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder.path().join("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
    std::fs::write(folder.path().join("softhsm2.conf"), text).unwrap();
    init_token(folder.path());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("retained::{test}"), "--nocapture"])
        .env(FOLDER, folder.path())
        .env("SOFTHSM2_CONF", folder.path().join("softhsm2.conf"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    None
}

fn encryption(hsm: &Path) -> ServerEncryptionConfig {
    let class = |name: &str, days| RetentionClassConfig { name: name.to_owned(), days };
    ServerEncryptionConfig {
        tenant: TenantId::from_bytes([9; 16]),
        tenant_name: "Example Bank".to_owned(),
        module: MODULES.iter().map(Path::new).find(|path| path.exists()).expect(NEEDED).to_owned(),
        token: TOKEN.to_owned(),
        pin_file: hsm.join("pin"),
        key_label: "retained-1".to_owned(),
        region: "here-1".to_owned(),
        default_class: "standard".to_owned(),
        classes: vec![class("standard", 90), class("short", 1)],
        audit_days: 400,
        account_messages_max: 50,
        account_bytes_max: 10 * 1024 * 1024,
    }
}

async fn relay(hsm: &Path, folder: &Path) -> RunningServer {
    rcseal_server::init::write_development_identity(folder).unwrap();
    let mut config = rcseal_server::Config::development(folder);
    config.server_encryption = Some(encryption(hsm));
    Server::start(config).await.unwrap()
}

fn in_an_hour() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

fn words(message: &MessageView) -> &str {
    match message.content.as_ref().unwrap().body() {
        Body::Text(words) => words,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn words_that_a_server_keeps_arrive_once_labelled_and_confirmed() {
    let Some(hsm) = alone("words_that_a_server_keeps_arrive_once_labelled_and_confirmed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = relay(&hsm, &folder.path().join("relay")).await;
    let (ada, bob) = (
        phone(&server, trust(&server), folder.path(), "ada").await,
        phone(&server, trust(&server), folder.path(), "bob").await,
    );
    let contact = ada.add_contact(bob.invite().await.unwrap(), "Bob".to_owned()).await.unwrap();
    let conversation = ada.direct_conversation(contact).await.unwrap();
    ada.send_text(conversation, "sealed".to_owned()).await.unwrap();
    sync(&[&ada, &bob]).await;
    bob.send_text(conversation, "sealed too".to_owned()).await.unwrap();
    sync(&[&bob, &ada]).await;

    // The user looks at whose key it is, and agrees.
    let key = ada.refresh_server_key().await.unwrap().unwrap();
    assert_eq!((key.state, key.key.region.as_str()), (ServerKeyState::Usable, "here-1"));
    assert_eq!(key.key.tenant.name, "Example Bank");
    let subject = Subject::Conversation(conversation);
    ada.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)).await.unwrap();
    ada.give_consent(subject, MODE, in_an_hour()).await.unwrap();
    ada.acknowledge_downgrade(conversation, MODE).await.unwrap();
    ada.set_retention_class(Some("short".to_owned())).await.unwrap();
    sync(&[&ada, &bob]).await;
    ada.send_text(conversation, "for the record".to_owned()).await.unwrap();
    sync(&[&ada]).await;
    assert_eq!(last(&ada, conversation).await.state, MessageState::Stored);
    sync(&[&bob]).await;
    let received = last(&bob, conversation).await;
    assert_eq!((words(&received), received.encryption), ("for the record", EncryptionStatus::ServerEncrypted));
    sync(&[&bob, &ada]).await;
    let sent = last(&ada, conversation).await;
    assert_eq!((sent.state, sent.encryption), (MessageState::Delivered, EncryptionStatus::ServerEncrypted));
    assert_eq!(bob.messages(conversation, None, 100).await.unwrap().len(), 4, "with the notice, and each once");
    assert!(bob.retained_unannounced().await.unwrap().is_empty());

    // A client that runs hears of it as it comes.
    let story = async {
        ada.send_text(conversation, "live".to_owned()).await.unwrap();
        ada.sync_once().await.unwrap();
        while words(&last(&bob, conversation).await) != "live" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = bob.run(std::future::pending()) => panic!("{ended:?}"),
        told = tokio::time::timeout(Duration::from_secs(30), story) => told.unwrap(),
    }

    // The token is made anew: the key is gone, and what is written in that mode is refused by name.
    let relay_folder = folder.path().join("relay");
    let origin = server.origin().clone();
    server.shutdown().await;
    std::fs::remove_dir_all(hsm.join("tokens")).unwrap();
    std::fs::create_dir(hsm.join("tokens")).unwrap();
    init_token(&hsm);
    let mut config = rcseal_server::Config::development(&relay_folder);
    config.server.listen = format!("127.0.0.1:{}", origin.as_str().rsplit(':').next().unwrap()).parse().unwrap();
    config.server_encryption = Some(encryption(&hsm));
    let server = Server::start(config).await.unwrap();
    ada.send_text(conversation, "too late".to_owned()).await.unwrap();
    ada.sync_once().await.unwrap();
    let failed = MessageState::Failed { reason: FailureReason::ServerKeyGone };
    assert_eq!(last(&ada, conversation).await.state, failed);
    let journal = ada.journal(0, 100).await.unwrap();
    assert!(journal.iter().any(|entry| entry.kind == EntryKind::Refusal && entry.taken.is_none()));
    assert_eq!(ada.server_key().await.unwrap().unwrap().state, ServerKeyState::Gone);
    // What is written next goes end to end.
    ada.send_text(conversation, "sealed again".to_owned()).await.unwrap();
    sync(&[&ada, &bob]).await;
    let received = last(&bob, conversation).await;
    assert_eq!((words(&received), received.encryption), ("sealed again", EncryptionStatus::Relayed));
    server.shutdown().await;
}
