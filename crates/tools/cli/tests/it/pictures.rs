//! Codes as pictures: what one side writes the other reads, without a camera.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, imageops};

use super::support::{Device, World, finish};

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What somebody makes of a picture before handing it on.
fn changed(from: &Path, to: &Path, change: impl FnOnce(GrayImage) -> GrayImage) -> String {
    let picture = image::load_from_memory(&std::fs::read(from).unwrap()).unwrap().to_luma8();
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(change(picture)).write_to(&mut bytes, ImageFormat::Png).unwrap();
    std::fs::write(to, bytes.into_inner()).unwrap();
    shown(to)
}

fn verification(device: &Device, contact: &str) -> String {
    device.run(&["verify", contact]).text("verification")
}

#[test]
fn each_side_verifies_the_other_by_a_picture() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let (hers, his) = (world.path("alice.png"), world.path("bob.png"));
    // Her code is written although she has not seen his yet.
    let written = alice.run(&["verify", "bob", "--qr", &shown(&hers)]);
    assert_eq!(written.text("qr"), shown(&hers));
    assert_eq!(written.text("verification"), "unverified");
    let answer = bob.run(&["verify", "alice", "--scan-png", &shown(&hers), "--qr", &shown(&his)]);
    assert_eq!(answer.text("verification"), "verified");
    // A screenshot of his, on a larger and dark screen, smaller, and upside down.
    let screenshot = changed(&his, &world.path("screenshot.png"), |code| {
        let code = imageops::rotate180(&imageops::resize(&code, 300, 300, imageops::FilterType::Triangle));
        let mut screen = GrayImage::from_pixel(1100, 700, Luma([25]));
        imageops::overlay(&mut screen, &code, 411, 203);
        screen
    });
    assert_eq!(alice.run(&["verify", "bob", "--scan-png", &screenshot]).text("verification"), "verified");
}

#[test]
fn the_code_of_somebody_else_exits_with_7_and_changes_nothing() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let invitation = world.device("mallory").run(&["contact", "invite"]).text("invitation");
    bob.run(&["contact", "add", &invitation, "--name", "mallory"]);
    let (own, foreign) = (world.path("own.png"), world.path("foreign.png"));
    alice.run(&["verify", "bob", "--qr", &shown(&own)]);
    bob.run(&["verify", "mallory", "--qr", &shown(&foreign)]);
    for wrong in [&own, &foreign] {
        let refused = alice.attempt(&["verify", "bob", "--scan-png", &shown(wrong)]);
        refused.assert_refused(7, "verify_mismatch");
        assert_eq!(refused.stdout, "");
        assert_eq!(verification(&alice, "bob"), "unverified");
    }
    // Nor does a wrong code take a verification away: it says nothing about the keys that were compared.
    alice.confirm("bob");
    alice.attempt(&["verify", "bob", "--scan-png", &shown(&foreign)]).assert_refused(7, "verify_mismatch");
    assert_eq!(verification(&alice, "bob"), "verified");
}

#[test]
fn a_picture_without_the_code_that_is_needed_exits_with_2() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let scan = |path: &Path| alice.attempt(&["verify", "bob", "--scan-png", &shown(path)]);

    let missing = scan(&world.path("missing.png"));
    missing.assert_refused(1, "file");
    assert!(missing.stderr.contains("missing.png"), "{}", missing.stderr);

    let file = world.path("x.png");
    std::fs::write(&file, "rcseal://verify/AAAA").unwrap();
    scan(&file).assert_refused(2, "picture_format");
    changed(&written(&bob, &world), &file, |code| GrayImage::from_pixel(code.width(), code.height(), Luma([255])));
    scan(&file).assert_refused(2, "picture_no_code");
    let invitation = world.path("invitation.png");
    bob.run(&["contact", "invite", "--qr", &shown(&invitation)]);
    scan(&invitation).assert_refused(2, "picture_other_code");
    std::fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    scan(&file).assert_refused(2, "picture_too_large");
    assert_eq!(verification(&alice, "bob"), "unverified");
}

fn written(device: &Device, world: &World) -> std::path::PathBuf {
    let path = world.path("written.png");
    device.run(&["verify", "alice", "--qr", &shown(&path)]);
    path
}

#[test]
fn a_code_is_never_written_over_another_file_unless_that_was_asked_for() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    let path = world.path("photo.png");
    std::fs::write(&path, "the only photo of grandmother").unwrap();
    let refused = alice.attempt(&["verify", "bob", "--qr", &shown(&path)]);
    refused.assert_refused(1, "file");
    assert!(refused.stderr.contains("photo.png"), "{}", refused.stderr);
    assert_eq!(std::fs::read(&path).unwrap(), b"the only photo of grandmother");
    alice.run(&["verify", "bob", "--qr", &shown(&path), "--force"]);
    assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
    for wrong in [&["verify", "bob", "--qr", "-"][..], &["verify", "bob", "--force"]] {
        assert_eq!(alice.attempt(wrong).code, Some(2), "{wrong:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_picture_of_an_invitation_is_for_its_owner_alone_and_is_taken_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let (alice, bob) = (world.device("alice"), world.device("bob"));
    let path = world.path("invitation.png");
    bob.run(&["contact", "invite", "--qr", &shown(&path)]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(alice.attempt(&["contact", "add"]).code, Some(2));
    alice.run(&["contact", "add", "--scan-png", &shown(&path), "--name", "bob"]);
    alice.run(&["send", "bob", "found you"]);
    assert_eq!(bob.drain().events("message").len(), 1);
}

#[test]
fn a_device_is_linked_by_a_picture_of_its_code() {
    let world = World::new();
    let (alice, tablet) = (world.device("alice"), world.blank("tablet"));
    let path = world.path("link.png");
    let authority = world.authority();
    let link = ["device", "link", "--server", &world.server, "--ca", &authority, "--qr", &shown(&path)];
    let mut linking = tablet.start(&link);
    linking.event("link");
    assert_eq!(alice.run(&["device", "approve", "--scan-png", &shown(&path)]).lines[0]["device"], 2);
    linking.event("linked");
    assert_eq!(linking.end(), Some(0));
}

#[test]
fn a_code_that_does_not_go_to_a_terminal_has_no_colours() {
    let world = World::new();
    let (alice, _) = world.acquainted("alice", "bob");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rcseal"));
    command.env_remove("RCSEAL_PASSPHRASE").arg("--profile").arg(&alice.profile).args(["verify", "bob"]);
    let answer = finish(command);
    assert!(answer.stdout.contains('█') && !answer.stdout.contains('\x1b'), "{}", answer.stdout);
}
