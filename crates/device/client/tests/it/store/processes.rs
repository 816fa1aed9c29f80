//! Processes: killed at any point, and two at one store. The other process is this test program, told by its environment what to do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rcseal_client::store::{self, OpenedStore, Role, Store};
use rcseal_client::vault::KeyAlias;
use rcseal_engine::outbox::Via;
use rcseal_engine::{Disposition, Engine, UnixMillis};
use rcseal_wire::content::Body;
use rcseal_wire::frame::SubmitStatus;
use rcseal_wire::id::{ConversationId, EnvelopeId};

use crate::support::acquainted::{Party, introduced};
use crate::support::{open_ready, vault};

pub(super) const FOLDER: &str = "RCSEAL_TEST_FOLDER";
pub(super) const PART: &str = "RCSEAL_TEST_PART";
/// What a line of ours begins with; the test program prints others.
const MARK: &str = "> ";

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

fn engine<T, E: Into<rcseal_client::ClientError>>(
    store: &Store,
    operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
) -> T {
    store.run(|tx| operation(&mut Engine::new(tx, now(), &mut rand::rng())).map_err(Into::into)).unwrap()
}

/// Says this to whoever started us, at once.
pub(super) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{MARK}{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// Starts this program as one of the parts below.
pub(super) fn start(part: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::processes::plays_its_part", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(super) fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    // A line that a kill has cut has no mark at its end, and was not said.
    out.lines().map_while(Result::ok).filter_map(|line| {
        let said = &line[line.find(MARK)? + MARK.len()..];
        Some(said.strip_suffix('.')?.to_owned())
    })
}

/// A program for the tests below; by itself it does nothing.
#[test]
fn plays_its_part() {
    let (Ok(part), Ok(folder)) = (std::env::var(PART), std::env::var(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    match part.as_str() {
        "first opens" => first_opens(&folder),
        "whole" => Player::open(Role::Main, &folder).play(true, true),
        "main" => Player::open(Role::Main, &folder).wait().play(true, false),
        "push" => Player::open(Role::Push, &folder).wait().play(false, true),
        other => super::kills::play(other, &folder),
    }
}

/// Ada's client in a process of its own: says what is in `say`, takes in what is in `mail`, and hands out what is to be sent.
struct Player {
    store: Store,
    folder: PathBuf,
    conversation: ConversationId,
}

impl Player {
    fn open(role: Role, folder: &Path) -> Self {
        let vault = vault(&folder.join("ada-vault"), "pass");
        let OpenedStore::Ready(store) = store::open_as(role, &folder.join("ada"), &vault, &KeyAlias::store()).unwrap()
        else {
            tell("rolled back.");
            panic!("the store counts as rolled back");
        };
        let conversation = fs::read_to_string(folder.join("conversation")).unwrap().parse().unwrap();
        tell("open.");
        Self { store, folder: folder.to_owned(), conversation }
    }

    /// Until everybody is there.
    fn wait(self) -> Self {
        let begun = Instant::now();
        while !self.folder.join("go").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        self
    }

    fn play(&self, says: bool, takes: bool) {
        let (said, mail) = (already(&self.folder, "said"), mail(&self.folder));
        let taken = already(&self.folder, "took");
        for n in 0..fs::read_to_string(self.folder.join("rounds")).unwrap().parse().unwrap() {
            let n: usize = n;
            if says && !said.contains(&n.to_string()) {
                // With the number of this life: one that ends before it has answered leaves the next to say it again.
                let life = std::process::id();
                let words = format!("words {n} {life}");
                engine(&self.store, |engine| engine.send(self.conversation, Body::Text(words), None));
                tell(&format!("said {n} {life}."));
            }
            if takes
                && !taken.contains(&n.to_string())
                && let Some((id, bytes)) = mail.get(n)
            {
                let disposition = engine(&self.store, |engine| {
                    let disposition = engine.handle_envelope(*id, bytes)?;
                    engine.flush_receipts()?;
                    Ok::<_, rcseal_engine::account::AccountError>(disposition)
                });
                tell(&format!("took {n} {disposition:?}."));
            }
            self.hand_out();
        }
        self.hand_out();
        tell("done.");
    }

    fn hand_out(&self) {
        for outgoing in engine(&self.store, |engine| engine.poll_outbox(64)) {
            let Via::Relay { submit, .. } = outgoing.via else { panic!("there is no carrier") };
            // It is out of the house from here on.
            tell(&format!("sent {} {}.", submit.id, hex(&submit.envelope)));
            engine(&self.store, |engine| engine.handle_submitted(outgoing.number, SubmitStatus::Stored));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What was heard of earlier lives of the process.
fn already(folder: &Path, what: &str) -> Vec<String> {
    fs::read_to_string(folder.join(what)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// What Bob has sent.
fn mail(folder: &Path) -> Vec<(EnvelopeId, Vec<u8>)> {
    let text = fs::read_to_string(folder.join("mail")).unwrap_or_default();
    text.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(id, bytes)| (id.parse().unwrap(), unhex(bytes)))
        .collect()
}

/// Everything that the processes have said.
#[derive(Default)]
struct Heard {
    said: Vec<(String, String)>,
    took: Vec<(String, String)>,
    sent: Vec<(EnvelopeId, Vec<u8>)>,
    is_done: bool,
}

impl Heard {
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words[..] {
            ["open"] => {}
            ["said", n, life] => self.said.push((n.to_owned(), life.to_owned())),
            ["took", n, disposition] => self.took.push((n.to_owned(), disposition.to_owned())),
            ["sent", id, envelope] => self.sent.push((id.parse().unwrap(), unhex(envelope))),
            ["done"] => self.is_done = true,
            _ => panic!("a process said: {line}"),
        }
    }

    /// Leaves word for the next life of the process.
    fn keep(&self, folder: &Path) {
        for (name, what) in [("said", &self.said), ("took", &self.took)] {
            let numbers: Vec<&str> = what.iter().map(|(n, _)| n.as_str()).collect();
            fs::write(folder.join(name), numbers.join("\n")).unwrap();
        }
    }
}

/// Ada and Bob, and what Bob has written to her.
struct Scene {
    folder: tempfile::TempDir,
    ada: Party,
    bob: Party,
    conversation: ConversationId,
    rounds: usize,
}

impl Scene {
    fn new(rounds: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ([ada, bob], conversation) = introduced(folder.path());
        let scene = Self { folder, ada, bob, conversation, rounds };
        let bobs = scene.bobs();
        let mut mail = String::new();
        for n in 0..rounds {
            engine(&bobs, |engine| {
                let conversation = engine.direct_conversation(scene.ada.address.account)?;
                engine
                    .send(conversation, Body::Text(format!("answer {n}")), None)
                    .map(drop)
                    .map_err(rcseal_client::ClientError::from)
            });
            for outgoing in engine(&bobs, |engine| engine.poll_outbox(64)) {
                let Via::Relay { submit, .. } = outgoing.via else { panic!("there is no carrier") };
                mail.push_str(&format!("{} {}\n", submit.id, hex(&submit.envelope)));
                engine(&bobs, |engine| engine.handle_submitted(outgoing.number, SubmitStatus::Stored));
            }
        }
        let write = |name: &str, text: &str| fs::write(scene.folder.path().join(name), text).unwrap();
        write("mail", &mail);
        write("conversation", &conversation.to_string());
        write("rounds", &rounds.to_string());
        scene
    }

    fn bobs(&self) -> Store {
        open_ready(&self.bob.folder, &vault(&self.bob.vault, "pass"))
    }

    /// Bob can read every envelope that left, once; he has all that Ada was told is said, and she all that he wrote.
    fn check(&self, heard: &Heard) {
        let bobs = self.bobs();
        let mut by_id = BTreeMap::new();
        for (id, envelope) in &heard.sent {
            if let Some(earlier) = by_id.insert(*id, envelope.clone()) {
                assert_eq!(&earlier, envelope, "an envelope left under two ciphertexts");
                continue;
            }
            let disposition = engine(&bobs, |engine| engine.handle_envelope(*id, envelope));
            assert!(matches!(disposition, Disposition::Consumed), "{disposition:?}");
        }
        let texts = |store: &Store, conversation| {
            let messages = engine(store, |engine| engine.messages(conversation, None, 10_000));
            let mut texts = BTreeMap::<String, usize>::new();
            for message in messages.iter().filter(|message| !message.is_outgoing) {
                if let Some(Body::Text(text)) = message.content.as_ref().map(|content| content.body()) {
                    *texts.entry(text.clone()).or_default() += 1;
                }
            }
            texts
        };
        let bobs_conversation = engine(&bobs, |engine| engine.direct_conversation(self.ada.address.account));
        let at_bob = texts(&bobs, bobs_conversation);
        for (n, life) in &heard.said {
            assert!(at_bob.contains_key(&format!("words {n} {life}")), "words {n} at Bob's");
        }
        assert!(at_bob.values().all(|times| *times == 1), "a message that came twice");
        let adas = open_ready(&self.ada.folder, &vault(&self.ada.vault, "pass"));
        let at_ada = texts(&adas, self.conversation);
        for n in 0..self.rounds {
            assert_eq!(at_ada.get(&format!("answer {n}")), Some(&1), "answer {n} at Ada's");
        }
        assert!(engine(&adas, |engine| engine.quarantined()).is_empty());
        adas.check().unwrap();
    }
}

/// Every second life ends after a number of lines, every other after a time: so both what follows an answer and what precedes the first
/// one is cut.
#[test]
fn a_process_killed_at_any_point_loses_nothing_it_answered_for() {
    let scene = Scene::new(30);
    let mut heard = Heard::default();
    for life in 0..400_u32 {
        let mut child = start("whole", scene.folder.path());
        let begun = Instant::now();
        let mut left = usize::try_from(life % 5).unwrap();
        if life % 2 == 1 {
            let limit = Duration::from_micros(u64::from(life) * 211 % 40_000);
            while begun.elapsed() < limit {
                std::thread::yield_now();
            }
            child.kill().unwrap();
        }
        for line in lines(&mut child) {
            heard.note(&line);
            if left == 0 {
                // What it says from here to its death counts as well: it had answered.
                child.kill().unwrap();
            }
            left = left.saturating_sub(1);
        }
        child.wait().unwrap();
        heard.keep(scene.folder.path());
        if heard.is_done {
            break;
        }
    }
    if !heard.is_done {
        let mut child = start("whole", scene.folder.path());
        lines(&mut child).for_each(|line| heard.note(&line));
        child.wait().unwrap();
    }
    assert!(heard.is_done && heard.said.len() == scene.rounds);
    scene.check(&heard);
}

#[test]
fn an_app_and_a_push_process_never_interleave_a_step() {
    let scene = Scene::new(60);
    let mut children = [start("main", scene.folder.path()), start("push", scene.folder.path())];
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for child in &mut children {
            let (lines, tx) = (lines(child), tx.clone());
            scope.spawn(move || lines.for_each(|line| tx.send(line).unwrap()));
        }
        drop(tx);
        let mut heard = Heard::default();
        let (mut opened, mut done) = (0, 0);
        for line in rx {
            opened += usize::from(line == "open");
            done += usize::from(line == "done");
            if opened == 2 && !scene_file(&scene, "go").exists() {
                fs::write(scene_file(&scene, "go"), b"").unwrap();
            }
            heard.note(&line);
        }
        assert_eq!((opened, done), (2, 2), "both were there at once, and came to their end");
        assert!(heard.took.iter().all(|(_, disposition)| disposition == "Consumed"), "{:?}", heard.took);
        assert_eq!((heard.said.len(), heard.took.len()), (scene.rounds, scene.rounds));
        scene.check(&heard);
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

fn scene_file(scene: &Scene, name: &str) -> PathBuf {
    scene.folder.path().join(name)
}

/// Threads that open a store at once.
const OPENERS: usize = 8;

/// Opens several stores from as many threads, as the first thing that this process does with the library.
fn first_opens(folder: &Path) {
    let gate = std::sync::Barrier::new(OPENERS);
    std::thread::scope(|scope| {
        for n in 0..OPENERS {
            let gate = &gate;
            scope.spawn(move || {
                let vault = vault(&folder.join(format!("vault {n}")), "pass");
                gate.wait();
                drop(open_ready(&folder.join(format!("store {n}")), &vault));
            });
        }
    });
    tell("done.");
}

/// SQLite says that it is ready before SQLCipher is: a key that was set in between was refused, once in some dozens of starts.
#[test]
fn the_first_opens_of_a_process_may_come_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..OPENERS {
        let vault = vault(&folder.path().join(format!("vault {n}")), "pass");
        drop(open_ready(&folder.path().join(format!("store {n}")), &vault));
    }
    for n in 0..30 {
        let mut child = start("first opens", folder.path());
        assert_eq!(lines(&mut child).last().as_deref(), Some("done"), "process {n}");
        assert!(child.wait().unwrap().success());
    }
}
