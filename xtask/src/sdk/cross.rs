//! `cargo xtask sdk cross`: a device in Kotlin and a device in Swift talk to each other through the real relay.
//!
//! Each is a driver (`sdk/DRIVER.md`): a program over its face that is held by lines of JSON. What is checked goes both ways: a text and its
//! receipts, a photo, a reaction, and verification by each other's QR code. The Swift side lives in its own tool folder, so a file has one
//! path for each side.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};

use super::relay::Relay;
use super::swift::{Built, fresh};
use super::{Kit, SdkError, kotlin};
use crate::process::say;
use crate::test::Counts;

/// How long something may take that should happen soon: many times what it takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a check did not hold: what was asked, and what came.
type Outcome = Result<(), String>;

/// A device.
struct Side {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    asked: u64,
    /// The folder of its files, as we see it and as it does.
    here: PathBuf,
    there: PathBuf,
    /// The other side, once it is known.
    contact: String,
}

impl Side {
    fn start(name: &'static str, mut command: Command, here: PathBuf, there: PathBuf) -> Result<Self, SdkError> {
        let program = crate::process::program_name(&command);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|_| SdkError::step(program))?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(serde_json::from_str(&line).unwrap_or(Value::Null)).is_err() {
                        break;
                    }
                }
            });
        }
        let input = child.stdin.take();
        Ok(Self { name, child, input, lines, asked: 0, here, there, contact: String::new() })
    }

    /// Asks, and waits for the answer. What the driver tells in between is not needed: the checks look at what is in its store.
    fn ask(&mut self, what: &str, mut fields: Value) -> Result<Value, String> {
        self.asked += 1;
        fields["id"] = self.asked.into();
        fields["do"] = what.into();
        let input = self.input.as_mut().ok_or_else(|| format!("{}: ended", self.name))?;
        writeln!(input, "{fields}").and_then(|()| input.flush()).map_err(|error| format!("{}: {error}", self.name))?;
        let limit = Instant::now() + SOON;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|_| format!("{}: no answer to {what}", self.name))?;
            if line["id"] != fields["id"] {
                continue;
            }
            return match line.get("ok") {
                Some(answer) => Ok(answer.clone()),
                None => Err(format!("{}: {what}: {}", self.name, line["error"])),
            };
        }
    }

    /// The same about the conversation with the other.
    fn about(&mut self, what: &str, mut fields: Value) -> Result<Value, String> {
        fields["contact"] = self.contact.clone().into();
        self.ask(what, fields)
    }

    /// The message that a condition holds for, as soon as there is one.
    fn sees(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let limit = Instant::now() + SOON;
        loop {
            let answer = self.about("messages", json!({}))?;
            let found = answer["messages"].as_array().into_iter().flatten().find(|message| holds(message));
            if let Some(message) = found {
                return Ok(message.clone());
            }
            if Instant::now() > limit {
                return Err(format!("{}: in vain: {what}", self.name));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Opens, creates an account, and connects.
    fn begin(&mut self, server: &str, authority: &Path, platform: &str) -> Outcome {
        let copy = self.here.join("authority.pem");
        fs::copy(authority, copy).map_err(|error| error.to_string())?;
        let (folder, authority) = (self.there.join("device"), self.there.join("authority.pem"));
        self.ask("open", json!({ "folder": folder, "authority": authority }))?;
        let account = self.ask("account", json!({ "server": server, "name": self.name, "platform": platform }))?;
        if account["is_registered"] != true {
            return Err(format!("{}: not registered", self.name));
        }
        self.ask("connect", json!({}))?;
        Ok(())
    }

    /// Ends it: its input is over, and it closes its client.
    fn end(mut self) -> Outcome {
        self.ask("close", json!({}))?;
        drop(self.input.take());
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(format!("{}: ended badly", self.name)),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the conversation.
pub(super) fn run(kit: &Kit<'_>) -> Result<Counts, SdkError> {
    let built = Built::new(kit)?;
    let kotlin = kotlin::driver(kit)?;
    let folder = kit.folder("cross")?;
    let relay = Relay::start(kit, &fresh(&folder.join("relay"))?)?;
    let kotlin_files = fresh(&folder.join("kotlin"))?;
    let swift_files = fresh(&built.temporary.join("cross"))?;
    let mut kotlin = Side::start("Kotlin", kotlin, kotlin_files.clone(), kotlin_files)?;
    let swift = built.program(&[], "RcsealDriver");
    let mut swift = Side::start("Swift", swift, swift_files, PathBuf::from("/tmp/cross"))?;

    let mut checks = Checks::default();
    let begun = checks.see("both register and connect", || {
        kotlin.begin(&relay.server, &relay.authority, "android")?;
        swift.begin(&relay.server, &relay.authority, "ios")
    });
    // Without that there is nothing to look at.
    if begun
        && checks.see("an invitation and a first text make them known to each other", || meet(&mut kotlin, &mut swift))
    {
        checks.both("a text arrives end to end, and its receipts come back", &mut kotlin, &mut swift, text);
        checks.both("a photo arrives as it was sent", &mut kotlin, &mut swift, photo);
        checks.both("a reaction shows on the message", &mut kotlin, &mut swift, reaction);
        checks.both("a code that is nobody's verifies nobody", &mut kotlin, &mut swift, wrong_code);
        checks.both("the other's QR code verifies", &mut kotlin, &mut swift, verification);
    }
    checks.see("both close", || kotlin.end().and(swift.end()));
    Ok(checks.counts)
}

/// What held and what did not.
#[derive(Default)]
struct Checks {
    counts: Counts,
}

impl Checks {
    fn see(&mut self, what: &str, check: impl FnOnce() -> Outcome) -> bool {
        let outcome = check();
        match &outcome {
            Ok(()) => {
                self.counts.passed += 1;
                say(&format!("ok      {what}"));
            }
            Err(reason) => {
                self.counts.failed += 1;
                say(&format!("FAILED  {what}: {reason}"));
            }
        }
        outcome.is_ok()
    }

    /// A check from one to the other and back.
    fn both(&mut self, what: &str, one: &mut Side, other: &mut Side, check: fn(&mut Side, &mut Side) -> Outcome) {
        self.see(&format!("{what}: {} to {}", one.name, other.name), || check(one, other));
        self.see(&format!("{what}: {} to {}", other.name, one.name), || check(other, one));
    }
}

fn meet(one: &mut Side, other: &mut Side) -> Outcome {
    let invitation = other.ask("invite", json!({}))?["invitation"].clone();
    let added = one.ask("add", json!({ "invitation": invitation, "name": other.name }))?;
    one.contact = string(&added, "contact")?;
    one.about("text", json!({ "text": "hello" }))?;
    let limit = Instant::now() + SOON;
    while other.contact.is_empty() {
        let contacts = other.ask("contacts", json!({}))?;
        if let Some(contact) = contacts["contacts"].get(0) {
            other.contact = string(contact, "contact")?;
        } else if Instant::now() > limit {
            return Err(format!("{}: heard from nobody", other.name));
        } else {
            thread::sleep(LOOK_AGAIN);
        }
    }
    other.sees("the first text", |message| message["text"] == "hello")?;
    Ok(())
}

fn text(from: &mut Side, to: &mut Side) -> Outcome {
    let words = format!("from {} \u{1f44b}", from.name);
    let sent = from.about("text", json!({ "text": words }))?;
    if sent["mode"] != "relayed" {
        return Err(format!("went as {}", sent["mode"]));
    }
    let heard = to.sees("the text", |message| message["text"] == words.as_str() && message["is_outgoing"] == false)?;
    if heard["is_end_to_end"] != true || heard["message"] != sent["message"] {
        return Err("came as something else".to_owned());
    }
    let is_in = |state: &'static str| {
        let id = sent["message"].clone();
        move |message: &Value| message["message"] == id && message["state"] == state
    };
    from.sees("delivered", is_in("delivered"))?;
    to.about("read", json!({ "order": heard["order"] }))?;
    from.sees("read", is_in("read"))?;
    Ok(())
}

fn photo(from: &mut Side, to: &mut Side) -> Outcome {
    // Of no pattern that a codec would know, and longer than a piece of a file.
    let photo: Vec<u8> = (0..400_000_u32).map(|place| place.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let name = format!("from-{}.jpg", from.name);
    fs::write(from.here.join(&name), &photo).map_err(|error| error.to_string())?;
    from.about("file", json!({ "path": from.there.join(&name), "caption": name }))?;
    let heard = to.sees("the photo", |message| message["file"] == name.as_str() && message["is_outgoing"] == false)?;
    if heard["kind"] != "media" || heard["text"] != name.as_str() || heard["size"] != photo.len() {
        return Err("came as something else".to_owned());
    }
    let copy = format!("copy-{name}");
    let (sender, id) = (heard["sender"].clone(), heard["message"].clone());
    to.about("fetch", json!({ "sender": sender, "message": id, "path": to.there.join(&copy) }))?;
    let fetched = fs::read(to.here.join(&copy)).map_err(|error| error.to_string())?;
    if fetched == photo { Ok(()) } else { Err("other bytes came".to_owned()) }
}

fn reaction(from: &mut Side, to: &mut Side) -> Outcome {
    let sent = to.about("text", json!({ "text": format!("what does {} say?", from.name) }))?;
    let id = sent["message"].clone();
    from.sees("the question", |message| message["message"] == id)?;
    from.about("react", json!({ "message": id, "emoji": "\u{1f44d}" }))?;
    to.sees("the reaction", |message| message["message"] == id && message["reactions"] == json!(["\u{1f44d}"]))?;
    Ok(())
}

fn wrong_code(from: &mut Side, _: &mut Side) -> Outcome {
    if from.about("scan", json!({ "qr": "nobody's" })).is_ok() {
        return Err("was taken".to_owned());
    }
    let contact = from.about("contact", json!({}))?;
    if contact["verification"] == "unverified" { Ok(()) } else { Err(format!("is {}", contact["verification"])) }
}

fn verification(from: &mut Side, to: &mut Side) -> Outcome {
    let (ours, theirs) = (from.about("safety", json!({}))?, to.about("safety", json!({}))?);
    if ours["numeric"] != theirs["numeric"] {
        return Err("the digits differ".to_owned());
    }
    from.about("scan", json!({ "qr": theirs["qr"] }))?;
    let (contact, security) = (from.about("contact", json!({}))?, from.about("security", json!({}))?);
    if contact["verification"] == "verified" && security["padlock"] == "verified" && security["is_end_to_end"] == true {
        Ok(())
    } else {
        Err(format!("is {}, {security}", contact["verification"]))
    }
}

fn string(of: &Value, field: &str) -> Result<String, String> {
    of[field].as_str().map(str::to_owned).ok_or_else(|| format!("no {field}"))
}
