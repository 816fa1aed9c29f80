//! The command line of `rcseal-broker`, for the operator.
//!
//! Exit codes: 0 done; 1 the command failed; 2 the command line is wrong (from clap).

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rcseal_front::log::{self, LogError};
use rcseal_front::process;
use rcseal_wire::b64;
use rcseal_wire::number::{E164, E164Error};

use crate::business::setup::Ways;
use crate::config::{Config, ConfigError};
use crate::error::StartError;
use crate::init::{self, AUTHORITY_FILE, InitError, SigningKeyError};
use crate::relay::{RelayTrustError, Relays};
use crate::server::Broker;

/// RCSeal's broker: which account a phone number belongs to, and the way between carriers and mailboxes.
#[derive(Debug, Parser)]
#[command(name = "rcseal-broker", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker until it is told to stop (SIGTERM or Ctrl-C).
    Serve(ConfigArgument),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Write a configuration, a countersigning key, a development certificate and its authority into a folder.
    Init {
        /// The folder; made when missing.
        folder: PathBuf,
    },
    /// Numbers, at the running broker.
    Number {
        #[command(subcommand)]
        command: NumberCommand,
    },
    /// Print the OpenAPI document of the HTTP interface.
    Openapi,
}

#[derive(Debug, Args)]
struct ConfigArgument {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read a configuration with the environment applied, and say what is wrong with it.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum NumberCommand {
    /// Note that a number moved to another carrier: its mapping counts no longer, and whoever claims the number next gets it.
    Ported {
        #[command(flatten)]
        config: ConfigArgument,
        /// The number, such as +447700900123.
        #[arg(value_parser = number)]
        number: E164,
        /// How one knows; it stays in the audit.
        #[arg(long)]
        reason: String,
    },
    /// Print what is stored of a number.
    Show {
        #[command(flatten)]
        config: ConfigArgument,
        /// The number.
        #[arg(value_parser = number)]
        number: E164,
    },
    /// Print everything that was done to numbers by hand, having checked that nothing was taken out.
    Audit(ConfigArgument),
}

fn number(text: &str) -> Result<E164, E164Error> {
    text.parse()
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    #[error(transparent)]
    Relay(#[from] RelayTrustError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[cfg(unix)]
    #[error(transparent)]
    Admin(#[from] crate::admin::AdminSocketError),
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
    #[error("cannot encode the answer")]
    Encode(#[from] serde_json::Error),
}

impl CommandError {
    /// Stable code.
    fn code(&self) -> &'static str {
        match self {
            Self::Config(source) => source.code(),
            Self::Init(source) => source.code(),
            Self::SigningKey(source) => source.code(),
            Self::Relay(source) => source.code(),
            Self::Start(source) => source.code(),
            Self::Log(_) => "config.log_filter",
            #[cfg(unix)]
            Self::Admin(source) => source.code(),
            Self::Output(_) | Self::Encode(_) => "output",
        }
    }

    fn is_closed_output(&self) -> bool {
        let kind = match self {
            Self::Output(error) => Some(error.kind()),
            Self::Encode(error) => error.io_error_kind(),
            _ => None,
        };
        kind == Some(io::ErrorKind::BrokenPipe)
    }
}

/// Runs a parsed command line.
pub async fn run(cli: Cli) -> ExitCode {
    match execute(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the answer has had enough of it, as `head` has.
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            process::report("rcseal-broker", error.code(), &error);
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command) -> Result<(), CommandError> {
    let mut stdout = io::stdout();
    match command {
        Command::Serve(ConfigArgument { config }) => {
            let config = Config::load(&config)?;
            log::install(&config.log)?;
            process::raise_descriptor_limit(config.limits.connections_max);
            let broker = Broker::start(config).await?;
            writeln!(
                stdout,
                "listening on {} as {}\ncountersigning key {}",
                broker.addr(),
                broker.origin(),
                b64::encode(broker.signing_key().as_bytes()),
            )?;
            stdout.flush()?;
            process::wait_for_stop().await;
            broker.shutdown().await;
        }
        Command::Config { command: ConfigCommand::Check { file } } => {
            let config = Config::load(&file)?;
            rcseal_front::tls::load(&config.tls).map_err(StartError::from)?;
            init::read_signing_key(&config.signing.key)?;
            Relays::new(&config.relays)?;
            check_ways(&config)?;
            writeln!(stdout, "{}: the configuration is good", file.display())?;
        }
        Command::Init { folder } => {
            let path = init::init(&folder)?;
            writeln!(
                stdout,
                "wrote {}\nclients trust {}\nnext: list a relay and served numbers in it, then rcseal-broker serve --config {}",
                path.display(),
                folder.join(AUTHORITY_FILE).display(),
                path.display(),
            )?;
        }
        Command::Number { command } => number_command(command, &mut stdout).await?,
        Command::Openapi => {
            serde_json::to_writer_pretty(&mut stdout, &crate::app::openapi_document())?;
            writeln!(stdout)?;
        }
    }
    Ok(())
}

/// Reads every file that the ways to carriers, providers and gateways need. Nothing is connected to: what opening them would begin is
/// begun on a runtime that never runs.
fn check_ways(config: &Config) -> Result<(), CommandError> {
    if let Some(trunk) = &config.forward.trunk {
        trunk.transport().map_err(StartError::from)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = {
        let _entered = runtime.enter();
        Ways::open(&config.sms, &config.business, &config.numbers).map(drop)
    };
    runtime.shutdown_background();
    Ok(outcome.map_err(StartError::from)?)
}

#[cfg(unix)]
async fn number_command(command: NumberCommand, stdout: &mut io::Stdout) -> Result<(), CommandError> {
    let lines = match command {
        NumberCommand::Ported { config: ConfigArgument { config }, number, reason } => {
            let config = Config::load(&config)?;
            crate::admin::number_ported(&config.storage.path, &number, &reason).await?;
            Vec::new()
        }
        NumberCommand::Show { config: ConfigArgument { config }, number } => {
            let config = Config::load(&config)?;
            crate::admin::number_state(&config.storage.path, &number).await?
        }
        NumberCommand::Audit(ConfigArgument { config }) => {
            let config = Config::load(&config)?;
            crate::admin::audit(&config.storage.path).await?
        }
    };
    for line in lines {
        writeln!(stdout, "{line}")?;
    }
    Ok(())
}

#[cfg(not(unix))]
async fn number_command(_command: NumberCommand, _stdout: &mut io::Stdout) -> Result<(), CommandError> {
    Err(CommandError::Output(io::ErrorKind::Unsupported.into()))
}
