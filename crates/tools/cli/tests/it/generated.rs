//! Man pages and completions, and that the manual names every exit code and command.

use clap::CommandFactory as _;

use super::support::{World, finish, rcseal};

#[test]
fn there_is_a_man_page_for_every_command() {
    let world = World::without_relay();
    let folder = world.path("man");
    let mut command = rcseal();
    command.arg("man").arg(&folder);
    assert_eq!(finish(command).code, Some(0));
    for page in [
        "rcseal.1",
        "rcseal-demo.1",
        "rcseal-account-create.1",
        "rcseal-device-approve.1",
        "rcseal-account-reset-veto.1",
        "rcseal-chat.1",
    ] {
        let text = std::fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH"), "{page}");
    }
}

#[test]
fn there_are_completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut command = rcseal();
        command.args(["completions", shell]);
        let answer = finish(command);
        assert_eq!(answer.code, Some(0), "{shell}");
        assert!(answer.stdout.contains("until-empty"), "{shell}");
    }
}

/// Every command that does something, as words of a command line.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(path: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let path = format!("{path} {}", command.get_name());
            if !command.is_subcommand_required_set() {
                all.push((path.clone(), command.clone()));
            }
            below(&path, command, all);
        }
    }
    let mut all = Vec::new();
    below("rcseal", &rcseal_cli::args::Cli::command(), &mut all);
    all
}

#[test]
fn the_help_of_every_command_has_an_example_of_it() {
    for (path, mut command) in commands() {
        let help = command.render_help().to_string();
        let example = help.split("Example").nth(1).unwrap_or_default();
        assert!(example.contains(&path), "{path}:\n{help}");
    }
}

#[test]
fn the_manual_names_every_command_and_exit_code() {
    let manual = include_str!("../../../../../docs/manual/cli.md");
    // Commands that differ in one word share a line: `contact block\|unblock`.
    let manual = manual.replace("account reset status\\|veto", "account reset status rcseal account reset veto");
    let manual = manual.replace("contact block\\|unblock", "contact block rcseal contact unblock");
    for (path, _) in commands() {
        assert!(manual.contains(&path), "{path}");
    }
    for code in 0..=7 {
        assert!(manual.contains(&format!("| {code} |")), "exit code {code}");
    }
}
