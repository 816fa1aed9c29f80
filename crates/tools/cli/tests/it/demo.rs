//! The demo itself.

use super::support::{World, finish, rcseal};
use rcseal_report::Report;

#[test]
fn every_step_of_the_demo_holds() {
    let world = World::without_relay();
    let folder = world.path("demo");
    let mut command = rcseal();
    command.arg("demo").arg("--dir").arg(&folder);
    let answer = finish(command);
    let report = Report::from_output(&answer.stdout).unwrap();
    assert_eq!(answer.code, Some(0), "{}\n{}", answer.stdout, answer.stderr);
    assert_eq!(report.failed(), 0);
    for id in [
        "registration",
        "first_message",
        "reply_and_reaction",
        "offline_and_restart",
        "photo",
        "read_receipts",
        "second_device",
        "safety_numbers",
        "verified_by_picture",
        "rekey",
        "tampered_envelope_refused",
        "replayed_envelope_refused",
        "rolled_back_key_set_refused",
        "account_key_rotated",
        "missed_changes_caught_up",
        "relay_disk",
        "rolled_back_directory_refused",
    ] {
        assert_eq!(report.row(id).and_then(rcseal_report::Row::met), Some(true), "{id}");
    }
    // A second demo does not mix with what the first one left.
    let mut command = rcseal();
    command.arg("demo").arg("--dir").arg(&folder);
    finish(command).assert_refused(1, "file");
}

#[test]
fn a_demo_that_keeps_its_relay_says_how_to_stop_it() {
    let world = World::without_relay();
    let mut command = rcseal();
    command.args(["demo", "--keep", "--dir"]).arg(world.path("demo"));
    let answer = finish(command);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let line = answer.stderr.lines().find(|line| line.starts_with("stop it with: kill ")).unwrap().to_owned();
    let id: i32 = line.rsplit(' ').next().unwrap().parse().unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    // The relay still answers.
    let bob = super::support::Device { profile: world.path("demo").join("bob") };
    let drained = bob.attempt(&["listen", "--until-empty"]);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
}
