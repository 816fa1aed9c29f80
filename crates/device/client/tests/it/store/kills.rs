//! Long steps that end half way: a conversion that is killed or meets a full disk, an erasing that is killed, a vault that does not answer.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcseal_client::backup::{BackupSecret, RestoreDevice};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::store::{self, OpenError, OpenedStore, Role};
use rcseal_client::vault::{KeyAlias, KeyVault, ProtectionLevel, SoftwareKeyVault, VaultError};
use rcseal_client::{Client, Config};
use rcseal_engine::account::NewAccount;
use rcseal_engine::store::Table;
use rcseal_wire::id::{Custody, Platform};
use zeroize::Zeroizing;

use super::processes::{FOLDER, PART, lines, start, tell};
use super::{copy_folder, former, get, put};
use crate::support::acquainted::introduced;
use crate::support::server::Authority;
use crate::support::{open_ready, vault};

/// Rows of the store that is converted: enough for the copy to grow in several steps.
const ROWS: u16 = 1500;
const ROW_LEN: usize = 3000;

fn row(n: u16) -> Vec<u8> {
    n.to_be_bytes().repeat(ROW_LEN / 2)
}

/// A former store with many rows, and its vault.
fn large_former(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (at, vault_at) = (folder.join("former"), folder.join("former-vault"));
    let rows: Vec<_> = (0..ROWS).map(|n| (n.to_be_bytes().to_vec(), row(n))).collect();
    former::make_with(&at, &vault(&vault_at, "pass"), &rows);
    (at, vault_at)
}

fn assert_whole(at: &Path, vault: &dyn KeyVault) {
    let store = open_ready(at, vault);
    for n in 0..ROWS {
        let found = store.run(|tx| tx.get(Table::Message, &n.to_be_bytes())).unwrap();
        assert_eq!(found, Some(row(n)), "row {n}");
    }
    store.check().unwrap();
    assert!(!at.join("store.db.next").exists());
}

fn fresh_copy(of: &(std::path::PathBuf, std::path::PathBuf), to: &Path) {
    let _ = fs::remove_dir_all(to);
    copy_folder(&of.0, &to.join("store"));
    copy_folder(&of.1, &to.join("vault"));
}

/// What the other process does.
pub(super) fn play(part: &str, folder: &Path) {
    match part {
        "convert" => {
            match store::open(&folder.join("store"), &vault(&folder.join("vault"), "pass"), &KeyAlias::store()) {
                Ok(OpenedStore::Ready(_)) => tell("ready."),
                Ok(OpenedStore::RolledBack(_)) => tell("rolled back."),
                Err(error) => tell(&format!("{}.", error.code())),
            }
        }
        "erase" => runtime().block_on(async {
            open_client(folder).await.erase().await.unwrap();
            tell("erased.");
        }),
        "restore" => runtime().block_on(async {
            let secret = BackupSecret::parse_generated(&fs::read_to_string(folder.join("secret")).unwrap()).unwrap();
            let device = RestoreDevice { platform: Platform::Desktop, custody: Custody::User };
            let client = open_client(folder).await;
            tell("begins.");
            let told = |_| tell("moves.");
            let outcome = client.restore_backup(&folder.join("archive"), secret, device, told).await.unwrap();
            tell(&format!("{} restored.", outcome.restored.messages));
        }),
        other => panic!("no part {other}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn open_client(folder: &Path) -> Client {
    let trust = TrustAnchors::from_pem(Authority::new("127.0.0.1").pem.as_bytes()).unwrap();
    let config = Config::new(folder.join("ada"), trust, Timeouts::default());
    Client::open(config, Arc::new(vault(&folder.join("ada-vault"), "pass"))).await.unwrap()
}

/// Waits until `is_reached`, or until the process has ended by itself, and kills it then.
fn kill_when(child: &mut std::process::Child, is_reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_reached() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_process_killed_inside_a_conversion_leaves_the_store_before_or_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let original = large_former(folder.path());
    let len = u64::from(ROWS) * ROW_LEN as u64;
    for tenth in 0..=10 {
        let at = folder.path().join("copy");
        fresh_copy(&original, &at);
        let next = at.join("store").join("store.db.next");
        let mut child = start("convert", &at);
        kill_when(&mut child, || fs::metadata(&next).is_ok_and(|file| file.len() >= len * tenth / 10));
        assert_whole(&at.join("store"), &vault(&at.join("vault"), "pass"));
    }
}

/// As `start`, with a limit on the size of every file that it writes.
fn start_with_limit(part: &str, folder: &Path, kilobytes: u64) -> std::process::Child {
    Command::new("sh")
        // A write beyond the limit fails then, as one to a full disk does, instead of ending the process.
        .args(["-c", "trap '' XFSZ; ulimit -f $((LIMIT * 2)); exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::processes::plays_its_part", "--nocapture", "--test-threads=1"])
        .env("LIMIT", kilobytes.to_string())
        .env(PART, part)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_at_an_open_or_inside_a_conversion_is_named_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let original = large_former(folder.path());
    for kilobytes in [0, 1, 4, 64, 1024, 4096] {
        let at = folder.path().join("copy");
        fresh_copy(&original, &at);
        let mut child = start_with_limit("convert", &at, kilobytes);
        let said: Vec<String> = lines(&mut child).collect();
        child.wait().unwrap();
        assert!(
            matches!(said[..], [ref code] if ["store.io", "store_io", "store_full", "vault.file"].contains(&code.as_str())),
            "{kilobytes} KiB: {said:?}"
        );
        assert_whole(&at.join("store"), &vault(&at.join("vault"), "pass"));
    }
    // And an open that makes a store: the next one makes it whole.
    for kilobytes in [0, 1, 4, 64] {
        let at = folder.path().join(format!("new {kilobytes}"));
        fs::create_dir(&at).unwrap();
        let mut child = start_with_limit("convert", &at, kilobytes);
        let said: Vec<String> = lines(&mut child).collect();
        child.wait().unwrap();
        assert!(said.iter().all(|code| code != "ready" && code != "rolled back"), "{kilobytes} KiB: {said:?}");
        let store = open_ready(&at.join("store"), &vault(&at.join("vault"), "pass"));
        put(&store, b"k", b"v");
    }
}

#[test]
fn a_process_killed_inside_an_erasing_leaves_everything_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ([ada, _], conversation) = introduced(folder.path());
    let original = (ada.folder.clone(), ada.vault.clone());
    for point in 0..5 {
        let at = folder.path().join(format!("copy {point}"));
        copy_folder(&original.0, &at.join("ada"));
        copy_folder(&original.1, &at.join("ada-vault"));
        let (store, key) = (at.join("ada"), at.join("ada-vault").join("store.vault"));
        assert!(key.exists());
        let mut child = start("erase", &at);
        kill_when(&mut child, || match point {
            0 => store.join("store.generation").exists(),
            1 => store.join("store.erasing").exists(),
            2 => !key.exists(),
            3 => !store.join("store.db").exists(),
            _ => false,
        });
        runtime().block_on(async {
            let client = open_client(&at).await;
            assert!(!client.was_rolled_back(), "point {point}");
            let messages = client.messages(conversation, None, 100).await.map_or(0, |messages| messages.len());
            let contacts = client.contacts().await.map_or(0, |contacts| contacts.len());
            match client.account().await.unwrap() {
                Some(account) => {
                    assert_eq!((account.address, messages, contacts), (ada.address, 2, 1), "point {point}");
                }
                None => assert_eq!((messages, contacts), (0, 0), "point {point}"),
            }
            assert!(!store.join("store.erasing").exists());
        });
    }
}

#[test]
fn a_process_killed_inside_a_restoration_has_restored_everything_or_nothing() {
    const MESSAGES: usize = 302;
    let folder = tempfile::tempdir().unwrap();
    let ([ada, _], conversation) = introduced(folder.path());
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    copy_folder(&ada.folder, &first.join("ada"));
    copy_folder(&ada.vault, &first.join("ada-vault"));
    fs::create_dir_all(&second).unwrap();
    runtime().block_on(async {
        let client = open_client(&first).await;
        for number in 2..MESSAGES {
            client.send_text(conversation, format!("{number} {}", "x".repeat(2000))).await.unwrap();
        }
        let secret = BackupSecret::generate();
        fs::write(second.join("secret"), secret.expose_text().as_str()).unwrap();
        client.create_backup(&second.join("archive"), secret, |_| {}).await.unwrap();
        let account = client.account().await.unwrap().unwrap();
        let new = NewAccount {
            origin: account.origin,
            platform: Platform::Desktop,
            custody: Custody::User,
            display_name: "Ada".into(),
        };
        open_client(&second).await.create_account(new).await.unwrap();
    });
    let mut were_half_way = 0;
    for moves in 0..12 {
        let at = folder.path().join(format!("copy {moves}"));
        for part in ["ada", "ada-vault"] {
            copy_folder(&second.join(part), &at.join(part));
        }
        for file in ["archive", "secret"] {
            fs::copy(second.join(file), at.join(file)).unwrap();
        }
        let mut child = start("restore", &at);
        let said = lines(&mut child).filter(|line| line == "moves").take(moves).count();
        were_half_way += usize::from(said == moves && moves > 0);
        let _ = child.kill();
        child.wait().unwrap();
        runtime().block_on(async {
            let client = open_client(&at).await;
            // Its id is another one in another account.
            let mut count = 0;
            for line in client.conversation_lines(None, 10).await.unwrap() {
                let id = line.summary.conversation.id;
                count += client.messages(id, None, 2 * MESSAGES).await.unwrap().len();
            }
            assert!([0, MESSAGES].contains(&count), "{count} messages after {moves} moves");
            assert!(client.account().await.unwrap().is_some());
            if count == 0 {
                let text = fs::read_to_string(at.join("secret")).unwrap();
                let device = RestoreDevice { platform: Platform::Desktop, custody: Custody::User };
                let secret = BackupSecret::parse_generated(&text).unwrap();
                let outcome = client.restore_backup(&at.join("archive"), secret, device, |_| {}).await.unwrap();
                assert_eq!(outcome.restored.messages, MESSAGES as u64);
            }
        });
    }
    assert!(were_half_way > 0, "no process was killed while it restored");
}

/// A vault whose calls wait, each, until they are let go.
struct HangingVault {
    inner: SoftwareKeyVault,
    hangs: AtomicBool,
    called: SyncSender<()>,
    go: Mutex<Receiver<()>>,
}

impl HangingVault {
    fn call(&self) -> &SoftwareKeyVault {
        if self.hangs.load(Ordering::SeqCst) {
            self.called.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
        }
        &self.inner
    }
}

impl KeyVault for HangingVault {
    fn create_wrapping_key(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        self.call().create_wrapping_key(alias)
    }
    fn has_wrapping_key(&self, alias: &KeyAlias) -> Result<bool, VaultError> {
        self.call().has_wrapping_key(alias)
    }
    fn wrap(&self, alias: &KeyAlias, data_key: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, VaultError> {
        self.call().wrap(alias, data_key)
    }
    fn unwrap(&self, alias: &KeyAlias, wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.call().unwrap(alias, wrapped)
    }
    fn delete(&self, alias: &KeyAlias) -> Result<(), VaultError> {
        self.call().delete(alias)
    }
    fn level(&self) -> ProtectionLevel {
        self.inner.level()
    }
    fn generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.call().generation(alias)
    }
    fn bump_generation(&self, alias: &KeyAlias) -> Result<u64, VaultError> {
        self.call().bump_generation(alias)
    }
}

/// At whichever of its calls a vault hangs, whoever has the store open already goes on; let go, the open comes to its end.
#[test]
fn a_vault_that_is_slow_or_hangs_at_an_open_keeps_no_transaction_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (at, vault_at, alias) = (folder.path().join("store"), folder.path().join("vault"), KeyAlias::store());
    let app = open_ready(&at, &vault(&vault_at, "pass"));
    let ((called, calls), (go, gate)) = (sync_channel(0), sync_channel(1));
    let slow =
        HangingVault { inner: vault(&vault_at, "pass"), hangs: AtomicBool::new(true), called, go: Mutex::new(gate) };
    std::thread::scope(|scope| {
        let (slow, at, alias) = (&slow, &at, &alias);
        let push = scope.spawn(move || {
            let opened = store::open_as(Role::Push, at, slow, alias).unwrap();
            slow.hangs.store(false, Ordering::SeqCst);
            opened
        });
        let mut count = 0_u8;
        while !push.is_finished() {
            if calls.recv_timeout(Duration::from_millis(20)).is_err() {
                continue;
            }
            count += 1;
            put(&app, &[count], b"meanwhile");
            assert_eq!(get(&app, &[count]).as_deref(), Some(&b"meanwhile"[..]));
            // It is neither taken for gone nor pushed aside.
            assert!(matches!(store::set_aside(at, &slow.inner, alias), Err(OpenError::InUse)));
            go.send(()).unwrap();
        }
        assert!(count >= 2, "{count} calls");
        let OpenedStore::Ready(push) = push.join().unwrap() else { panic!("it counts as rolled back") };
        assert_eq!(get(&push, &[count]).as_deref(), Some(&b"meanwhile"[..]));
    });
}
