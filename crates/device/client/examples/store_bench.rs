//! What a large store costs at a start: the open of a client with 100,000 messages, and the first list of its 50 conversations.
//!
//! The store is made once, by the client itself: a first device writes the messages, makes a backup, and a second one restores it, which is
//! how a device comes to have a long history at once. Then each run is a process of its own, so that nothing of the one before is in memory
//! but what the system keeps of the files (the page cache is left as it is). The last line printed has the rows, as every program of
//! `cargo xtask bench sdk` prints them.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rcseal_client::backup::{BackupSecret, RestoreDevice};
use rcseal_client::net::{Timeouts, TrustAnchors};
use rcseal_client::store::{self, OpenedStore, Store};
use rcseal_client::vault::{KeyAlias, SoftwareKeyVault, Unlock};
use rcseal_client::{Client, ClientError, Config};
use rcseal_engine::account::NewAccount;
use rcseal_engine::store::memory::MemoryStore;
use rcseal_engine::{Engine, UnixMillis};
use rcseal_wire::content::Body;
use rcseal_wire::id::{Custody, Platform};

type Failure = Box<dyn Error + Send + Sync>;

const CONVERSATIONS: usize = 50;
const MESSAGES: usize = 100_000;
/// Messages written in one transaction while the store is made.
const BATCH: usize = 2_000;
/// Odd, so that the middle one is a run.
const RUNS: usize = 11;
/// Where nobody listens: nothing is sent.
const ORIGIN: &str = "https://127.0.0.1:9";
const OPEN_GOAL_MS: f64 = 150.0;
const LIST_GOAL_MS: f64 = 5.0;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if let Some(folder) = std::env::args().nth(1) {
        return runtime.block_on(measure(Path::new(&folder)));
    }
    let folder = tempfile::tempdir()?;
    let at = make(&runtime, folder.path())?;
    let (mut opens, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let output = Command::new(std::env::current_exe()?).arg(&at).output()?;
        let line = String::from_utf8(output.stdout)?;
        let (open, list) = line.trim().split_once(' ').ok_or("a run did not say what it took")?;
        opens.push(open.parse::<f64>()?);
        lists.push(list.parse::<f64>()?);
    }
    let rows = serde_json::json!({ "rows": [
        { "id": "store_open_100k_messages", "value": middle(opens), "unit": "ms", "goal": OPEN_GOAL_MS },
        { "id": "store_list_50_conversations", "value": middle(lists), "unit": "ms", "goal": LIST_GOAL_MS },
    ] });
    println!("{rows}");
    Ok(())
}

fn middle(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One run: opens the client, lists its conversations, and says what each took in milliseconds.
async fn measure(folder: &Path) -> Result<(), Failure> {
    let (config, vault) = (config(folder)?, vault(folder)?);
    let begun = Instant::now();
    let client = Client::open(config, vault).await?;
    let open = begun.elapsed();
    let begun = Instant::now();
    let lines = client.conversation_lines(None, CONVERSATIONS).await?;
    let list = begun.elapsed();
    if lines.len() != CONVERSATIONS || lines.iter().any(|line| line.summary.last.is_none()) {
        return Err("the store does not have what it was made with".into());
    }
    println!("{} {}", open.as_secs_f64() * 1e3, list.as_secs_f64() * 1e3);
    Ok(())
}

/// Makes the store, and answers its folder.
fn make(runtime: &tokio::runtime::Runtime, folder: &Path) -> Result<PathBuf, Failure> {
    let (first, second, archive) = (folder.join("first"), folder.join("second"), folder.join("archive"));
    write_messages(&first)?;
    let secret = BackupSecret::generate();
    let text = secret.expose_text();
    runtime.block_on(async {
        let client = Client::open(config(&first)?, vault(&first)?).await?;
        client.create_backup(&archive, secret, |_| {}).await?;
        drop(client);
        let client = Client::open(config(&second)?, vault(&second)?).await?;
        client.create_account(account("Ada")?).await?;
        let device = RestoreDevice { platform: Platform::Desktop, custody: Custody::User };
        let secret = BackupSecret::parse_generated(&text).map_err(ClientError::Backup)?;
        let outcome = client.restore_backup(&archive, secret, device, |_| {}).await?;
        if outcome.restored.messages != MESSAGES as u64 {
            return Err(Failure::from("not every message was restored"));
        }
        Ok(())
    })?;
    Ok(second)
}

/// A first device that has written to everybody, in turn.
fn write_messages(folder: &Path) -> Result<(), Failure> {
    let opened = store::open(&folder.join("client"), &*vault(folder)?, &KeyAlias::store())?;
    let OpenedStore::Ready(store) = opened else { return Err("a new store is not rolled back".into()) };
    engine(&store, |engine| engine.create_account(&account("Ada")?).map(drop).map_err(Failure::from))?;
    let mut conversations = Vec::new();
    for n in 0..CONVERSATIONS {
        let invitation = MemoryStore::new().run(|tx| {
            let mut rng = rand::rng();
            let mut engine = Engine::new(tx, now(), &mut rng);
            engine.create_account(&account("Somebody")?)?;
            Ok::<_, Failure>(engine.invitation()?)
        })?;
        conversations.push(engine(&store, |engine| {
            let contact = engine.add_contact(&invitation, &format!("Contact {n}"))?;
            Ok(engine.direct_conversation(contact)?)
        })?);
    }
    for batch in 0..MESSAGES / BATCH {
        engine(&store, |engine| {
            for n in 0..BATCH {
                let number = batch * BATCH + n;
                let words = format!("Message {number}: the train is late again, so begin without me and keep a piece.");
                engine.send(conversations[number % CONVERSATIONS], Body::Text(words), None)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// An error of any operation, or of the store's own commit.
#[derive(Debug)]
struct Stopped(Failure);

impl From<rcseal_engine::store::StoreError> for Stopped {
    fn from(error: rcseal_engine::store::StoreError) -> Self {
        Self(error.into())
    }
}

fn engine<T>(store: &Store, operation: impl FnOnce(&mut Engine<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let outcome = store.run(|tx| operation(&mut Engine::new(tx, now(), &mut rand::rng())).map_err(Stopped));
    outcome.map_err(|Stopped(failure)| failure)
}

fn account(name: &str) -> Result<NewAccount, Failure> {
    Ok(NewAccount {
        origin: ORIGIN.parse()?,
        platform: Platform::Desktop,
        custody: Custody::User,
        display_name: name.to_owned(),
    })
}

fn vault(folder: &Path) -> Result<Arc<SoftwareKeyVault>, Failure> {
    Ok(Arc::new(SoftwareKeyVault::new(&folder.join("vault"), Unlock::KeyFile)?))
}

fn config(folder: &Path) -> Result<Config, Failure> {
    // Nobody is asked for anything, so any authority will do.
    let authority = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?.cert.pem();
    let trust = TrustAnchors::from_pem(authority.as_bytes())?;
    Ok(Config::new(folder.join("client"), trust, Timeouts::default()))
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
