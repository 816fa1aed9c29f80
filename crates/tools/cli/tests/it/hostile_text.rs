//! What a peer writes never reaches a terminal as anything but text.

use std::process::Command;

use super::support::{World, finish};

#[test]
fn escape_sequences_and_paths_of_a_peer_are_harmless() {
    let world = World::new();
    let (mallory, bob) = world.pair("mal\u{1b}[31mlory", "bob");
    mallory.run(&["send", "bob", "hi\u{1b}]0;owned\u{7}\u{9b}2J\nbob: I said this\u{202e}"]);
    let hostile = world.path(".\u{1b}[8mevil\u{202e}gnp.exe");
    std::fs::write(&hostile, "x").unwrap();
    mallory.run(&["send", "bob", "--file", hostile.to_str().unwrap()]);
    let saved = world.path("saved");

    // As people see it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_rcseal"));
    command.arg("--profile").arg(&bob.profile).args(["listen", "--until-empty", "--save"]).arg(&saved);
    let answer = finish(command);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let unsafe_characters = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    assert!(!unsafe_characters(&answer.stdout), "{:?}", answer.stdout);
    assert!(!answer.stdout.lines().any(|line| line.starts_with("bob: ")), "{:?}", answer.stdout);
    let names: Vec<String> =
        std::fs::read_dir(&saved).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["[8mevilgnp.exe"]);

    // As programs see it: the very text, and still nothing that a terminal would obey.
    let history = bob.run(&["history", "mal\u{1b}[31mlory"]);
    assert_eq!(history.lines[0]["content"]["text"], "hi\u{1b}]0;owned\u{7}\u{9b}2J\nbob: I said this\u{202e}");
    assert!(!unsafe_characters(&history.stdout));
    let exported = bob.run(&["export"]);
    assert!(!unsafe_characters(&exported.stdout));
    assert!(exported.stdout.contains("\\u202e"), "{}", exported.stdout);
}
