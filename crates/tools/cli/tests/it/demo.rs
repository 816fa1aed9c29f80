//! The demo itself.

use super::support::{World, finish, rcseal};
use rcseal_report::Report;

#[test]
fn every_step_of_the_demo_holds() {
    let world = World::without_relay();
    let folder = world.path("demo");
    let mut command = rcseal();
    command.args(["demo", "--engines", "rust", "--dir"]).arg(&folder);
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
    command.args(["demo", "--engines", "rust", "--dir"]).arg(&folder);
    finish(command).assert_refused(1, "file");
}

#[test]
fn a_demo_that_keeps_its_relay_says_how_to_stop_it() {
    let world = World::without_relay();
    let mut command = rcseal();
    command.args(["demo", "--keep", "--engines", "rust", "--dir"]).arg(world.path("demo"));
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

#[test]
fn phones_that_are_demanded_and_not_built_are_named() {
    let world = World::without_relay();
    let (folder, file) = (world.path("demo"), world.path("phones.json"));
    let attempt = || {
        let mut command = rcseal();
        command.args(["demo", "--engines", "phones", "--phones"]).arg(&file).arg("--dir").arg(&folder);
        finish(command)
    };
    let answer = attempt();
    answer.assert_refused(6, "phones_not_built");
    assert!(answer.stderr.contains("phones.json"), "{}", answer.stderr);
    std::fs::write(&file, "{}").unwrap();
    attempt().assert_refused(1, "phones_malformed");
    // Nothing was begun.
    assert!(!folder.exists());
}

/// Carriers of each kind: one that carries, one that destroys everything, one that lies about it.
const CARRIERS: [(&str, &str); 3] =
    [("clean", "native"), ("truncate_everything", "relayed"), ("lying_receipts", "relayed")];

#[test]
fn every_promise_of_the_demo_over_a_carrier_holds() {
    for (carrier, way) in CARRIERS {
        let mut command = rcseal();
        command.args(["demo", "--carrier", carrier, "--json"]);
        let answer = finish(command);
        let report = Report::from_output(&answer.stdout).unwrap();
        assert_eq!(answer.code, Some(0), "{carrier}: {}\n{}", answer.stdout, answer.stderr);
        assert_eq!(report.failed(), 0, "{carrier}");
        for id in [
            "acquainted",
            "lost",
            "said_both_ways",
            "readable_unnamed",
            "carrier_record",
            "readable_refused",
            "readable_agreed",
            "downgrade_shown",
            "restored",
            "journal",
            "relay_disk",
        ] {
            assert_eq!(report.row(id).and_then(rcseal_report::Row::met), Some(true), "{carrier}: {id}");
        }
        let said: Vec<serde_json::Value> = answer
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|line| line["event"] == "said")
            .collect();
        assert_eq!(said.len(), 4);
        for message in &said {
            assert_eq!(message["way"], way, "{carrier}: {message}");
            assert_eq!(message["reason"].is_null(), way == "native", "{carrier}: {message}");
        }
    }
}

#[test]
fn every_promise_of_the_business_story_holds() {
    let mut command = rcseal();
    command.args(["demo", "support", "--json"]);
    let answer = finish(command);
    let report = Report::from_output(&answer.stdout).unwrap();
    assert_eq!(answer.code, Some(0), "{}\n{}", answer.stdout, answer.stderr);
    assert_eq!(report.failed(), 0);
    for id in [
        "number_bound",
        "agent_message",
        "card",
        "continued",
        "end_to_end",
        "replay_opens_nothing",
        "second_account_refused",
        "cases_taken_over",
        "expired_refused",
        "revoked_refused",
        "forged_webhook_refused",
        "falls_back_once",
        "late_delivery_said",
        "shown_once",
        "sms_sent",
        "shown_in_app",
        "closed",
        "receipts",
        "end_to_end_found_elsewhere",
        "disks",
    ] {
        assert_eq!(report.row(id).and_then(rcseal_report::Row::met), Some(true), "{id}");
    }
    let receipts: Vec<serde_json::Value> = answer
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["event"] == "said")
        .collect();
    let ways: Vec<_> = receipts.iter().filter_map(|receipt| receipt["way"].as_str()).collect();
    assert!(ways.contains(&"RCS") && ways.contains(&"RCS and SMS") && ways.contains(&"app, by the relay"), "{ways:?}");
}

#[test]
fn the_demo_lists_its_carriers_and_knows_no_other() {
    let mut command = rcseal();
    command.args(["demo", "--carrier", "list", "--json"]);
    let answer = finish(command);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.lines().count() > 20 && answer.stdout.contains("\"clean\""), "{}", answer.stdout);
    let mut command = rcseal();
    command.args(["demo", "--carrier", "no_such"]);
    let answer = finish(command);
    assert_eq!(answer.code, Some(2));
    assert!(answer.stderr.contains("`list` names them"), "{}", answer.stderr);
}
