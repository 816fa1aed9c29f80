//! `rcseal`: the user's commands, and the demo.
//!
//! A thin shell: the command line becomes calls of `rcseal_client` (and, for `serve`, of `rcseal_server`), and what they answer becomes
//! lines of text or JSON. Nothing here decides anything about keys or messages.
//!
//! | module | what |
//! |---|---|
//! | [`args`], [`argument`] | the command line, as types; secrets that do not belong on one |
//! | [`carrier`] | the carrier account of a profile, and how a command goes through it |
//! | [`error`] | why a command failed, and exit codes |
//! | [`profile`] | the folder that is one device |
//! | `command` | the commands, one module each |
//! | [`serve`] | the development relay |
//! | `demo` | two phones' engines, a relay, attacks, and a report |
//! | [`output`], [`safe_text`], [`qr`], [`view`] | what is printed; a peer's text never reaches a terminal as it is |
//! | [`scan`] | QR codes in pictures |
//! | [`generate`] | man pages and completions |
//!
//! Results go to standard output, one JSON object per line with `--json`; remarks, progress and logs go to standard error.

pub mod args;
pub mod argument;
pub mod carrier;
mod command;
mod demo;
pub mod device;
pub mod error;
pub mod generate;
pub mod output;
pub mod profile;
pub mod qr;
pub mod safe_text;
pub mod scan;
pub mod serve;
pub mod view;

use std::io;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
use crate::error::{CliError, describe};
use crate::output::Output;
use crate::profile::Profile;

/// A `tracing` filter for standard error, such as `rcseal_client=info`.
const LOG_VARIABLE: &str = "RCSEAL_LOG";
/// What is logged without it: what somebody should look into.
const LOG_DEFAULT: &str = "error";

/// Runs a parsed command line and answers the process's exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    // A second installation means that the embedding program has its own subscriber, which then is the one wanted.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
    let output = Output::new(cli.global.json);
    match execute(cli, output).await {
        Ok(code) => code,
        Err(error) => {
            if let Some(hint) = error.hint() {
                output.note(&hint);
            }
            output.note(&describe(&error));
            ExitCode::from(error.exit() as u8)
        }
    }
}

async fn execute(cli: Cli, output: Output) -> Result<ExitCode, CliError> {
    let profile = || Profile::find(&cli.global);
    match cli.command {
        Command::Demo(args) => return demo::run(args, output).await,
        Command::Serve(args) => serve::run(args, output).await?,
        Command::Account(command) => command::account::run(command, &profile()?, output).await?,
        Command::Device(command) => command::device::run(command, &profile()?, output).await?,
        Command::Devices => command::device::list(&profile()?, output).await?,
        Command::Contact(command) => command::contact::run(command, &profile()?, output).await?,
        Command::Contacts => command::contact::list(&profile()?, output).await?,
        Command::Carrier(command) => command::carrier::run(command, &profile()?, output).await?,
        Command::Broker(command) => command::broker::run(command, &profile()?, output).await?,
        Command::Number(command) => command::number::run(command, &profile()?, output).await?,
        Command::Case(command) => command::case::run(command, &profile()?, output).await?,
        Command::Retained(command) => command::retained::run(command, &profile()?, output).await?,
        Command::Policy(command) => command::delivery::run(command, &profile()?, output).await?,
        Command::Thread(command) => command::thread::run(command, &profile()?, output).await?,
        Command::Threads => command::thread::list(&profile()?, output).await?,
        Command::Probe(args) => command::probe::run(args, &profile()?, output).await?,
        Command::Send(args) => command::send::run(args, &profile()?, output).await?,
        Command::Listen(args) => command::listen::run(args, &profile()?, output).await?,
        Command::Chat(args) => command::chat::run(args, &profile()?, output).await?,
        Command::History(args) => command::history::run(args, &profile()?, output).await?,
        Command::Verify(args) => command::verify::run(args, &profile()?, output).await?,
        Command::Rekey(args) => command::rekey::run(args, &profile()?, output).await?,
        Command::Sessions { contact } => command::sessions::run(contact, &profile()?, output).await?,
        Command::Resend { command } => command::resend::run(command, &profile()?, output).await?,
        Command::Export { to } => command::export::run(to, &profile()?, output).await?,
        Command::Backup(command) => command::backup::run(command, &profile()?, output).await?,
        Command::DeleteAccount { yes: _ } => command::backup::delete_account(&profile()?, output).await?,
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { dir } => generate::man_pages(&dir)?,
    }
    Ok(ExitCode::SUCCESS)
}
