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
    for page in ["rcseal.1", "rcseal-demo.1", "rcseal-account-create.1", "rcseal-device-approve.1", "rcseal-chat.1"] {
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

#[test]
fn the_manual_names_every_command_and_exit_code() {
    let manual = include_str!("../../../../../docs/manual/cli.md");
    for command in rcseal_cli::args::Cli::command().get_subcommands() {
        assert!(manual.contains(&format!("rcseal {}", command.get_name())), "{}", command.get_name());
    }
    for code in 0..=7 {
        assert!(manual.contains(&format!("| {code} |")), "exit code {code}");
    }
}
