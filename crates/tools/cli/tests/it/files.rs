//! Files between two processes: large ones, and relays that die in the middle.

use super::support::{World, files_below, until};

/// What the issue asks for: 20 MB.
const LEN: usize = 20 * 1000 * 1000;

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn twenty_megabytes_arrive_as_they_were_and_no_piece_of_them_lies_at_the_relay() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let bytes = noise(LEN);
    let path = world.path("film.bin");
    std::fs::write(&path, &bytes).unwrap();
    alice.run(&["send", "bob", "as promised", "--file", path.to_str().unwrap()]);
    let saved = world.path("saved");
    let received = bob.run(&["listen", "--until-empty", "--save", saved.to_str().unwrap()]);
    let content = &received.events("message")[0]["content"];
    assert_eq!((content["file_name"].as_str(), content["size"].as_u64()), (Some("film.bin"), Some(LEN as u64)));
    assert_eq!(content["caption"], "as promised");
    assert!(std::fs::read(saved.join("film.bin")).unwrap() == bytes, "the file differs");

    let piece = &bytes[LEN / 2..LEN / 2 + 24];
    let stored = files_below(&world.relay_folder());
    assert!(stored.iter().map(|file| file.metadata().unwrap().len()).sum::<u64>() > LEN as u64);
    for file in stored {
        assert!(!std::fs::read(&file).unwrap().windows(24).any(|window| window == piece), "{}", file.display());
    }
}

#[test]
fn an_upload_goes_on_after_the_relay_was_killed_in_the_middle() {
    let mut world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let bytes = noise(LEN);
    let path = world.path("film.bin");
    std::fs::write(&path, &bytes).unwrap();
    let mut sending = alice.start(&["send", "bob", "--file", path.to_str().unwrap()]);
    let stored = |world: &World| -> u64 {
        let lens = files_below(&world.relay_folder()).into_iter().filter_map(|file| file.metadata().ok());
        lens.map(|metadata| metadata.len()).sum()
    };
    until("the upload's beginning", || stored(&world) > LEN as u64 / 8);
    world.kill_relay();
    world.start_relay();
    assert_eq!(sending.event("sent")["state"], "stored");
    assert_eq!(sending.end(), Some(0));
    let saved = world.path("saved");
    bob.run(&["listen", "--until-empty", "--save", saved.to_str().unwrap()]);
    assert!(std::fs::read(saved.join("film.bin")).unwrap() == bytes, "the file differs");
}

#[test]
fn a_saved_file_never_takes_the_place_of_another() {
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    let path = world.path("note.txt");
    let saved = world.path("saved");
    std::fs::create_dir(&saved).unwrap();
    std::fs::write(saved.join("note.txt"), "mine").unwrap();
    std::fs::write(&path, "theirs").unwrap();
    alice.run(&["send", "bob", "--file", path.to_str().unwrap()]);
    let received = bob.run(&["listen", "--until-empty", "--save", saved.to_str().unwrap()]);
    assert!(received.text("path").ends_with("note (1).txt"));
    assert_eq!(std::fs::read(saved.join("note.txt")).unwrap(), b"mine");
    assert_eq!(std::fs::read(saved.join("note (1).txt")).unwrap(), b"theirs");
}
