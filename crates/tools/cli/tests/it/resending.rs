//! What a device could not read is sent to it again, once, and nobody has to notice.

use std::path::Path;

use super::support::{World, until};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn what_a_restored_store_cannot_read_is_asked_for_and_shown_once() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    bob.drain();
    let (store, backup) = (bob.profile.join("store"), world.path("backup"));
    copy(&store, &backup);
    // Bob's half of the session goes on, and Alice answers to keys that the backup does not have.
    bob.run(&["send", "alice", "a word that the backup misses"]);
    alice.drain();
    let sent = alice.run(&["send", "bob", "only once"]).text("message");
    std::fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);

    let restored = bob.drain();
    assert!(!restored.events("undecryptable").is_empty(), "{}", restored.stdout);
    assert_eq!(restored.events("message").len(), 0);
    let mut shown = Vec::new();
    until("the message was sent again", || {
        alice.drain();
        shown.extend(bob.drain().events("message").into_iter().cloned());
        !shown.is_empty()
    });
    assert_eq!(shown.len(), 1);
    assert_eq!((&shown[0]["message"], &shown[0]["content"]["text"]), (&sent.clone().into(), &"only once".into()));
    // Whoever asks again is told nothing new, and nobody was asked for a decision.
    alice.drain();
    assert_eq!(bob.drain().events("message").len(), 0);
    assert_eq!(bob.texts().iter().filter(|text| *text == "only once").count(), 1);
    alice.drain();
    let state = alice.exported().into_iter().find(|message| message["message"] == sent.as_str()).unwrap();
    assert_eq!(state["state"], "delivered", "{state}");
    assert_eq!(alice.run(&["resend"]).lines.len(), 0);
    // The conversation goes on in the new session.
    alice.run(&["send", "bob", "and on"]);
    assert_eq!(bob.drain().events("message")[0]["content"]["text"], "and on");
}
