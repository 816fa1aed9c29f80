//! Messages between two processes, through a third.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::support::World;

#[test]
fn a_text_arrives_while_the_other_listens() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let mut listening = bob.start(&["listen"]);
    let sent = alice.run(&["send", "bob", "tea at four?"]);
    let message = listening.event("message");
    assert_eq!(message["content"], serde_json::json!({ "kind": "text", "text": "tea at four?" }));
    assert_eq!(message["message"], sent.text("message"));
    assert_eq!(message["encryption"]["end_to_end"], true);
    assert_eq!(listening.terminate(), Some(0));
}

#[test]
fn two_chats_talk_over_pipes() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let (mut here, mut there) = (alice.start(&["chat", "bob"]), bob.start(&["chat", "alice"]));
    here.type_line("one");
    assert_eq!(there.event("message")["content"]["text"], "one");
    there.type_line("/reply two");
    let reply = here.event("message");
    assert_eq!(reply["content"]["text"], "two");
    assert!(reply["reply_to"].is_string());
    here.type_line("/react 👍");
    let changed = there.event("changed");
    let reacted = |line: &serde_json::Value| line["reactions"][0]["emoji"] == "👍";
    assert!(reacted(&changed) || (0..10).any(|_| reacted(&there.event("changed"))));
    assert_eq!((here.end(), there.end()), (Some(0), Some(0)));
}

#[test]
fn a_chat_finds_who_wrote_while_nobody_listened() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.attempt(&["chat", "alice"]).assert_refused(6, "contact_unknown");
    alice.run(&["send", "bob", "are you there?"]);
    let mut chat = bob.start(&["chat", "alice"]);
    assert_eq!(chat.event("message")["content"]["text"], "are you there?");
    assert_eq!(chat.end(), Some(0));
}

#[test]
fn a_chat_shows_people_once_what_another_command_received() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    alice.run(&["send", "bob", "the first"]);
    // This receives as well, and prints nothing of it.
    bob.run(&["send", "alice", "on my way"]);

    let mut chat = Command::new(env!("CARGO_BIN_EXE_rcseal"))
        .arg("--profile")
        .arg(&bob.profile)
        .args(["chat", "alice"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(chat.stdout.take().unwrap()).lines().map(Result::unwrap);
    alice.run(&["send", "bob", "the second"]);
    let mut lines: Vec<String> = Vec::new();
    while !lines.iter().any(|line| line.contains("the second")) {
        lines.push(shown.next().unwrap());
    }
    drop(chat.stdin.take());
    lines.extend(shown);
    assert!(chat.wait().unwrap().success());
    assert_eq!(lines.iter().filter(|line| line.contains("the first")).count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("the second")).count(), 1, "{lines:?}");
}

#[test]
fn states_go_from_queued_to_read() {
    let mut world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    world.kill_relay();
    let answer = alice.attempt(&["send", "bob", "later"]);
    answer.assert_refused(3, "net.connect");
    assert_eq!(answer.text("state"), "queued");
    world.start_relay();
    let state = || alice.run(&["history", "bob", "--limit", "1"]).text("state");
    alice.drain();
    assert_eq!(state(), "stored");
    bob.drain();
    alice.drain();
    assert_eq!(state(), "delivered");
    bob.run(&["listen", "--until-empty", "--read"]);
    // Nothing new to show means nothing new to mark: reading happens where a message is shown.
    assert_eq!(state(), "delivered");
    let mut chat = bob.start(&["chat", "alice"]);
    chat.type_line("seen");
    chat.event("sent");
    assert_eq!(chat.end(), Some(0));
    alice.drain();
    assert_eq!(bob.texts().last().map(String::as_str), Some("seen"));
}

#[test]
fn a_flood_arrives_in_order_and_once_and_keeps_nobody_else_out() {
    const LINES: usize = 400;
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let (carol, dave) = world.acquainted("carol", "dave");
    let mut flood = alice.start(&["chat", "bob"]);
    let wanted: Vec<String> = (0..LINES).map(|n| format!("flood {n:04}")).collect();
    let (typed, chunk) = wanted.split_at(LINES / 2);
    typed.iter().for_each(|line| flood.type_line(line));
    // In the middle of it, two others.
    carol.run(&["send", "dave", "can you hear me?"]);
    assert_eq!(dave.drain().events("message").len(), 1);
    chunk.iter().for_each(|line| flood.type_line(line));
    assert_eq!(flood.end(), Some(0));
    bob.drain();
    let flooded: Vec<String> = bob.texts().into_iter().filter(|text| text.starts_with("flood")).collect();
    assert_eq!(flooded, wanted);
}

#[test]
fn what_is_sent_is_nowhere_on_the_relays_disk() {
    let world = World::new();
    let (alice, _bob) = world.acquainted("Alice Featherstonehaugh", "Bob Cholmondeley");
    let text = "the plums in the icebox were not for breakfast";
    alice.run(&["send", "Bob Cholmondeley", text]);
    let files = super::support::files_below(&world.relay_folder());
    let holds = |needle: &[u8]| {
        files.iter().any(|file| std::fs::read(file).unwrap().windows(needle.len()).any(|window| window == needle))
    };
    for secret in [text, "Featherstonehaugh", "Cholmondeley", "hello to you"] {
        assert!(!holds(secret.as_bytes()), "{secret:?} is on the relay's disk");
        assert!(!holds(hex::encode(secret).as_bytes()), "{secret:?} is on the relay's disk, in hex");
    }
    // The search finds what is there: the relay's own knowledge of the account.
    let account: uuid::Uuid = alice.run(&["account", "show"]).text("account").parse().unwrap();
    assert!(holds(account.as_bytes()));
}
