//! The `rcseald` binary, as an operator runs it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn rcseald() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rcseald"))
}

fn run(arguments: &[&str]) -> Output {
    rcseald().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder prepared by `init`, and its configuration's path.
fn prepared() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["init", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let config = folder.path().join("rcseald.toml").to_str().unwrap().to_owned();
    (folder, config)
}

fn edit(config: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains(from));
    std::fs::write(config, text.replace(from, to)).unwrap();
}

#[test]
fn config_check_accepts_what_init_wrote() {
    let (_folder, config) = prepared();
    let output = run(&["config", "check", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn config_check_names_the_misspelt_key_and_the_right_one() {
    let (_folder, config) = prepared();
    edit(&config, "admin_listen", "admin_lisen");
    let output = run(&["config", "check", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("unknown key `server.admin_lisen`; did you mean `server.admin_listen`?"));
}

#[test]
fn config_check_reads_the_environment_and_the_certificate() {
    let (folder, config) = prepared();
    let output =
        rcseald().args(["config", "check", &config]).env("RCSEALD_LIMITS__TOKEN_SECONDS_MAX", "0").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("limits.token_seconds_max"), "{}", stderr(&output));
    let misspelt =
        rcseald().args(["config", "check", &config]).env("RCSEALD_LIMITS__TOKEN_SECONDS", "1").output().unwrap();
    assert_eq!(misspelt.status.code(), Some(1));
    std::fs::write(folder.path().join("certificate.pem"), "nothing").unwrap();
    let output = run(&["config", "check", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("TLS cannot be set up"), "{}", stderr(&output));
}

#[test]
fn the_users_tool_and_the_server_do_not_share_variables() {
    let (_folder, config) = prepared();
    let output = rcseald().args(["config", "check", &config]).env("RCSEAL_PROFILE", "somewhere").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    assert_eq!(run(&["serve"]).status.code(), Some(2));
    assert_eq!(run(&["what"]).status.code(), Some(2));
}

#[test]
fn an_invite_needs_a_running_server() {
    let (_folder, config) = prepared();
    let output = run(&["invite", "create", "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no server is running"), "{}", stderr(&output));
}

#[test]
fn a_reset_names_an_account_and_needs_a_running_server() {
    let (_folder, config) = prepared();
    let account = "00000000-0000-4000-8000-000000000000";
    for arguments in [&["create", "--account", account][..], &["list"], &["cancel", "--account", account]] {
        let output = run(&[&["reset"], arguments, &["--config", &config]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("no server is running"), "{}", stderr(&output));
    }
    assert_eq!(run(&["reset", "create", "--config", &config]).status.code(), Some(2));
    assert_eq!(run(&["reset", "create", "--account", "bob", "--config", &config]).status.code(), Some(2));
}

#[test]
fn what_the_server_can_read_is_asked_of_a_running_server_by_name_and_reason() {
    let (_folder, config) = prepared();
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    let read = ["retained", "read", id, "--operator", "ann", "--reason", "case 7"];
    for arguments in [&read[..], &["retained", "list"], &["audit"], &["audit", "--json"], &["check"]] {
        let output = run(&[&["admin"], arguments, &["--config", &config]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("no server is running"), "{}", stderr(&output));
    }
    for missing in [&["--operator", "ann"][..], &["--reason", "case 7"], &[]] {
        let output = run(&[&["admin", "retained", "read", id, "--config", &config], missing].concat());
        assert_eq!(output.status.code(), Some(2), "who and why must be said");
    }
}

#[test]
fn openapi_prints_the_document() {
    let output = run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn serve_says_where_it_listens_hands_out_invites_and_stops_on_sigterm() {
    let (_folder, config) = prepared();
    edit(&config, "127.0.0.1:8443", "127.0.0.1:0");
    edit(&config, "127.0.0.1:9443", "127.0.0.1:0");
    let mut server =
        rcseald().args(["serve", "--config", &config]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first_line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
    assert!(first_line.starts_with("listening on 127.0.0.1:"), "{first_line}");
    assert!(first_line.trim_end().contains(" as https://localhost:"), "{first_line}");

    let output = run(&["invite", "create", "--config", &config, "--days", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.starts_with(b"inv-"));
    let nobody = "00000000-0000-4000-8000-000000000000";
    let output = run(&["reset", "create", "--account", nobody, "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no such account"), "{}", stderr(&output));
    let output = run(&["reset", "list", "--config", &config]);
    assert_eq!((output.status.code(), output.stdout), (Some(0), vec![]));

    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    let data = Path::new(&config).with_file_name("data");
    assert!(!data.join("admin.sock").exists());
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let mut child = rcseald().arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Closed before the first byte is read: the document is far longer than a pipe holds.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
