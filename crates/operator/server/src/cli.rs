//! The command line of `rcseald`, for the operator.
//!
//! Exit codes: 0 done; 1 the command failed; 2 the command line is wrong (from clap).

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rcseal_front::log::{self, LogError};
use rcseal_front::{process, tls};
use rcseal_wire::id::{AccountId, RetainedId};

use crate::config::{Config, ConfigError};
use crate::error::StartError;
use crate::init::{self, AUTHORITY_FILE, InitError};
use crate::server::Server;

/// RCSeal's relay, key directory and blob store. It carries what it cannot read.
#[derive(Debug, Parser)]
#[command(name = "rcseald", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until it is told to stop (SIGTERM or Ctrl-C).
    Serve(ConfigArgument),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Write a configuration, a development certificate and its authority into a folder.
    Init {
        /// The folder; made when missing.
        folder: PathBuf,
    },
    /// Invites that admit new accounts.
    Invite {
        #[command(subcommand)]
        command: InviteCommand,
    },
    /// Resets of accounts whose owner has lost every device and the recovery key.
    Reset {
        #[command(subcommand)]
        command: ResetCommand,
    },
    /// Messages that this server can read, and the record of who opened them.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
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
enum InviteCommand {
    /// Make a single-use invite code at the running server, and print it.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// Days until the code expires unused.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=366))]
        days: u64,
    },
}

#[derive(Debug, Subcommand)]
enum ResetCommand {
    /// Make a ticket for one reset of an account, and print it. Give it to nobody but the account's owner.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// The account's id.
        #[arg(long, value_name = "ID")]
        account: AccountId,
        /// Days until the ticket expires unused.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=366))]
        days: u64,
    },
    /// Print every unused ticket and every pending reset.
    List(ConfigArgument),
    /// End an account's ticket or pending reset.
    Cancel {
        #[command(flatten)]
        config: ConfigArgument,
        /// The account's id.
        #[arg(long, value_name = "ID")]
        account: AccountId,
    },
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Messages that this server can read.
    Retained {
        #[command(subcommand)]
        command: RetainedCommand,
    },
    /// Print the record of every opening, having checked that nobody changed it.
    Audit {
        #[command(flatten)]
        config: ConfigArgument,
        /// One JSON object per row.
        #[arg(long)]
        json: bool,
    },
    /// Say whether the key can be used and the record is whole.
    Check(ConfigArgument),
}

#[derive(Debug, Subcommand)]
enum RetainedCommand {
    /// Print a line about every message, and none of their words.
    List(ConfigArgument),
    /// Open a message and print its words. The record says who did, and why.
    Read {
        /// The message's id.
        id: RetainedId,
        #[command(flatten)]
        config: ConfigArgument,
        /// Who you are.
        #[arg(long, value_name = "NAME")]
        operator: String,
        /// Why you read it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[cfg(unix)]
    #[error(transparent)]
    Admin(#[from] crate::admin::AdminSocketError),
    #[cfg(unix)]
    #[error(transparent)]
    Audit(#[from] crate::admin::AuditError),
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
            Self::Start(source) => source.code(),
            Self::Log(_) => "config.log_filter",
            #[cfg(unix)]
            Self::Admin(source) => source.code(),
            #[cfg(unix)]
            Self::Audit(source) => source.code(),
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
            process::report("rcseald", error.code(), &error);
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
            let server = Server::start(config).await?;
            writeln!(stdout, "listening on {} as {}", server.addr(), server.origin())?;
            stdout.flush()?;
            process::wait_for_stop().await;
            server.shutdown().await;
        }
        Command::Config { command: ConfigCommand::Check { file } } => {
            let config = Config::load(&file)?;
            tls::load(&config.tls).map_err(StartError::from)?;
            writeln!(stdout, "{}: the configuration is good", file.display())?;
        }
        Command::Init { folder } => {
            let path = init::init(&folder)?;
            writeln!(
                stdout,
                "wrote {}\nclients trust {}\nnext: rcseald serve --config {}",
                path.display(),
                folder.join(AUTHORITY_FILE).display(),
                path.display(),
            )?;
        }
        Command::Invite { command: InviteCommand::Create { config: ConfigArgument { config }, days } } => {
            let config = Config::load(&config)?;
            let code = crate::admin::create_invite(&config.storage.path, days * 24 * 3600).await?;
            writeln!(stdout, "{code}")?;
        }
        Command::Reset { command } => reset(command, &mut stdout).await?,
        Command::Admin { command } => admin(command, &mut stdout).await?,
        Command::Openapi => {
            serde_json::to_writer_pretty(&mut stdout, &crate::app::openapi_document())?;
            writeln!(stdout)?;
        }
    }
    Ok(())
}

async fn reset(command: ResetCommand, stdout: &mut io::Stdout) -> Result<(), CommandError> {
    match command {
        ResetCommand::Create { config: ConfigArgument { config }, account, days } => {
            let config = Config::load(&config)?;
            let ticket = crate::admin::create_reset_ticket(&config.storage.path, &account, days * 24 * 3600).await?;
            writeln!(stdout, "{ticket}")?;
        }
        ResetCommand::List(ConfigArgument { config }) => {
            let config = Config::load(&config)?;
            for line in crate::admin::list_resets(&config.storage.path).await? {
                writeln!(stdout, "{line}")?;
            }
        }
        ResetCommand::Cancel { config: ConfigArgument { config }, account } => {
            let config = Config::load(&config)?;
            crate::admin::cancel_reset(&config.storage.path, &account).await?;
        }
    }
    Ok(())
}

async fn admin(command: AdminCommand, stdout: &mut io::Stdout) -> Result<(), CommandError> {
    match command {
        AdminCommand::Retained { command: RetainedCommand::List(ConfigArgument { config }) } => {
            let config = Config::load(&config)?;
            let mut written = Ok(());
            crate::admin::list_retained(&config.storage.path, |line| {
                if written.is_ok() {
                    written = writeln!(stdout, "{line}");
                }
            })
            .await?;
            written?;
        }
        AdminCommand::Retained {
            command: RetainedCommand::Read { id, config: ConfigArgument { config }, operator, reason },
        } => {
            let config = Config::load(&config)?;
            let words = crate::admin::read_retained(&config.storage.path, &id, &operator, &reason).await?;
            stdout.write_all(&words)?;
            stdout.flush()?;
        }
        AdminCommand::Audit { config: ConfigArgument { config }, json } => {
            let config = Config::load(&config)?;
            let mut written = Ok(());
            let head = crate::admin::read_audit(&config.storage.path, |row| {
                if written.is_ok() {
                    written = if json {
                        serde_json::to_writer(&mut *stdout, row)
                            .map_err(CommandError::from)
                            .and_then(|()| Ok(writeln!(stdout)?))
                    } else {
                        writeln!(stdout, "{row}").map_err(CommandError::from)
                    };
                }
            })
            .await?;
            written?;
            // Beside the rows, so that what reads them as JSON is not disturbed.
            writeln!(io::stderr(), "the record is whole and ends at {head}")?;
        }
        AdminCommand::Check(ConfigArgument { config }) => {
            let config = Config::load(&config)?;
            let head = crate::admin::read_audit(&config.storage.path, |_| {}).await?;
            writeln!(stdout, "the record is whole and ends at {head}")?;
            let key = crate::admin::check_retained(&config.storage.path).await?;
            writeln!(stdout, "the key can be used: {key}")?;
        }
    }
    Ok(())
}
