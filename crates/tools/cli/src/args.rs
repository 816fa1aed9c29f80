//! The command line, as types. Everything a user can say is here, with the words that `--help`, the man pages and the completions show.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;

mod backup;
mod business;
mod delivery;
mod identity;
mod sessions;

pub use backup::BackupCommand;
pub use business::{BrokerCommand, CaseCommand, NumberCommand, RetainedCommand, Visible};
pub(crate) use delivery::number;
pub use delivery::{
    AbsenceCommand, ByBrokerArgs, CarrierCommand, CarrierSet, ConsentCommand, Fallback, OperatorForm, PolicyCommand,
    ProbeArgs, ReadableMode, Route, Sessions, SipArgs, ThreadCommand,
};
pub use identity::{
    AccountCommand, CodeFile, ContactCommand, DeviceCommand, LostAccount, OnChange, ResetCommand, TokenCommand,
    VerifyArgs,
};
pub use sessions::{Every, RekeyArgs, ResendCommand};

/// End-to-end encrypted messages between devices, over a relay that cannot read them.
#[derive(Debug, Parser)]
#[command(name = "rcseal", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Under which heading the options of every command stand in the help of each.
const OF_EVERY_COMMAND: &str = "Options of every command";

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The folder of this device: its store, its key vault, the server it trusts. [default: `rcseal` in the user's data folder]
    #[arg(long, global = true, env = "RCSEAL_PROFILE", value_name = "DIR", help_heading = OF_EVERY_COMMAND)]
    pub profile: Option<PathBuf>,
    /// Print one JSON object per line on standard output.
    #[arg(long, global = true, help_heading = OF_EVERY_COMMAND)]
    pub json: bool,
    /// A file with the passphrase of the key vault. The variable RCSEAL_PASSPHRASE does the same; with neither, a key file opens it.
    #[arg(long, global = true, value_name = "FILE", help_heading = OF_EVERY_COMMAND)]
    pub passphrase_file: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch two phones' engines talk through a relay that cannot read them, and attacks on it fail.
    Demo(DemoArgs),
    /// Run a development relay in this process.
    Serve(ServeArgs),
    /// Create an account, or look at this device's.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Link a device to an account, or remove one.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// List the devices of this account.
    #[command(after_help = "Example: rcseal devices")]
    Devices,
    /// Invite somebody, or add who invited you.
    #[command(subcommand)]
    Contact(ContactCommand),
    /// List the contacts.
    #[command(after_help = "Example: rcseal contacts --json")]
    Contacts,
    /// The way into a carrier: a SIP account, or a trunk.
    #[command(subcommand)]
    Carrier(CarrierCommand),
    /// The broker: who countersigns that a phone number is this account's, and carries between carriers and this device.
    #[command(subcommand)]
    Broker(BrokerCommand),
    /// Phone numbers at the broker: this account's, and who has others.
    #[command(subcommand)]
    Number(NumberCommand),
    /// Cases of businesses: from a card that anybody can read into a conversation that nobody else does.
    #[command(subcommand)]
    Case(CaseCommand),
    /// Conversations that the server's operator can read, where all agreed: its key, how long it keeps them, and what came unannounced.
    #[command(subcommand)]
    Retained(RetainedCommand),
    /// How messages go, who can read them on their way, and by whose leave.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Exchange plain words with a phone number that has no account.
    #[command(subcommand)]
    Thread(ThreadCommand),
    /// List the threads with phone numbers.
    #[command(after_help = "Example: rcseal threads --json")]
    Threads,
    /// Find out what a carrier does to messages: rows for the carrier matrix, from this device.
    Probe(ProbeArgs),
    /// Send a text, a file or a reaction.
    Send(SendArgs),
    /// Receive messages and print them.
    Listen(ListenArgs),
    /// Talk with a contact: lines you type are sent, what arrives is printed.
    Chat(ChatArgs),
    /// Print what was said with a contact, and how far each message has come.
    History(HistoryArgs),
    /// Compare safety numbers with a contact, by digits or by each other's QR code.
    Verify(VerifyArgs),
    /// Give the sessions with a contact new keys now, or say how often that is done.
    Rekey(RekeyArgs),
    /// List the sessions with the devices of a contact, or of all of them.
    #[command(after_help = "Example: rcseal sessions Bob")]
    Sessions {
        /// Whose: the name of a contact, or its account id. Otherwise everybody's, your own other devices included.
        contact: Option<String>,
    },
    /// List messages that wait for you before they are sent to a device again, and decide about them.
    #[command(args_conflicts_with_subcommands = true, after_help = "Example: rcseal resend")]
    Resend {
        /// What to do about one.
        #[command(subcommand)]
        command: Option<ResendCommand>,
    },
    /// Print everything readable on this device, decrypted, one JSON object per line. It holds no key.
    #[command(after_help = "Example: rcseal export --to backup.jsonl")]
    Export {
        /// Write into this new file instead of to standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Make an encrypted backup of this device, look at one, or restore one.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Delete the account at its server, and everything of it on this device, for good. On the primary device only.
    #[command(after_help = "Example: rcseal delete-account --yes")]
    DeleteAccount {
        /// Say so: there is no way back, unless a backup was made.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Print a shell's completions.
    #[command(after_help = "Example: rcseal completions bash > rcseal.bash")]
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write man pages into a folder.
    #[command(after_help = "Example: rcseal man man1")]
    Man {
        /// The folder; made when missing.
        dir: PathBuf,
    },
}

/// Options of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Example: rcseal demo --keep")]
#[command(group = ArgGroup::new("simulated").args(["carrier", "web"]).multiple(true))]
pub struct DemoArgs {
    /// Which story; without one, two phones that talk through a relay.
    #[arg(value_enum, conflicts_with_all = ["keep", "dir", "carrier", "web"])]
    pub story: Option<DemoStory>,
    /// Leave the relay running at the end and say how to chat through it.
    #[arg(long)]
    pub keep: bool,
    /// Where relay and profiles live. A folder given here is kept; without one, a temporary folder is used and removed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Whose code plays the phones of the first chapter.
    #[arg(long, value_enum, default_value_t = Engines::Auto, conflicts_with_all = ["story", "carrier", "web"])]
    pub engines: Engines,
    /// How the phones' programs are started; without it, the file that `cargo xtask sdk cross` leaves beside this program's folder.
    #[arg(long, env = "RCSEAL_PHONES", value_name = "FILE")]
    pub phones: Option<PathBuf>,
    /// Play it over a simulated carrier instead, with phones in this process; `list` says which carriers there are.
    #[arg(long, value_name = "PROFILE", value_parser = carrier_profile, conflicts_with_all = ["keep", "dir"])]
    pub carrier: Option<String>,
    /// What the carrier and the texts of `--carrier` draw their randomness from.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "simulated")]
    pub seed: u64,
    /// Serve a page with both phones and, between them, what the carrier and the relay see; on this machine only, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["keep", "dir"])]
    pub web: bool,
    /// The port of the page; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0, requires = "web")]
    pub port: u16,
}

/// Stories of the demo that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DemoStory {
    /// A business writes by RCS and continues in the app, end to end; the provider and the SMS network are fakes on this machine.
    Support,
}

/// Whose code plays the demo's phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engines {
    /// The SDK in Kotlin and in Swift where both are built, then the story in Rust.
    Auto,
    /// The story in Rust alone, which is the fast form.
    Rust,
    /// The same as `auto`, and an error where they are not built.
    Phones,
}

/// A carrier that there is, or the word for all of them.
fn carrier_profile(text: &str) -> Result<String, String> {
    let world = rcseal_sim::data::World::load().map_err(|error| error.to_string())?;
    match text {
        crate::demo::LIST_CARRIERS => Ok(text.to_owned()),
        name => world
            .carrier(name)
            .map(|carrier| carrier.name.clone())
            .map_err(|error| format!("{error}; `list` names them")),
    }
}

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Example: rcseal serve --dir relay --listen 127.0.0.1:8443")]
pub struct ServeArgs {
    /// Where the relay keeps its data and its development certificate.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Address and port to listen on; port 0 takes a free one. Loopback only: the development certificate names nothing else.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub listen: SocketAddr,
    /// How long a reset of an account is pending, in which its devices can call it off. [default: a week]
    #[arg(long, value_name = "SECONDS")]
    pub reset_delay: Option<u64>,
    /// Write a file for each wake-up into this folder, at once and however many, for a program that plays the push service.
    #[arg(long, value_name = "FOLDER")]
    pub wake_ups: Option<PathBuf>,
    /// Admit nobody without an invite code, and print this many codes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub invites: Option<u16>,
}

/// Written by hand: the generated line does not say what goes with what.
const SEND_USAGE: &str = "rcseal send [OPTIONS] <CONTACT> <TEXT> [--reply-to <MESSAGE>]
       rcseal send [OPTIONS] <CONTACT> --file <FILE> [TEXT]
       rcseal send [OPTIONS] <CONTACT> --reaction <EMOJI> --to <MESSAGE>";

/// Options of `send`.
#[derive(Debug, Args)]
#[command(override_usage = SEND_USAGE, after_help = "Example: rcseal send Bob 'On my way'")]
pub struct SendArgs {
    /// To whom: a contact by its name or account id; or a thread, by its name or number, which takes a text only.
    pub contact: String,
    /// The text; with --file, the words that go with it.
    #[arg(
        value_name = "TEXT",
        required_unless_present_any = ["file", "reaction"],
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub text: Option<String>,
    /// A file to send.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The id of the message this answers.
    #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["reaction", "file"], allow_hyphen_values = true)]
    pub reply_to: Option<String>,
    /// An emoji for the message that --to names; an empty one takes yours back.
    #[arg(long, value_name = "EMOJI", requires = "to", conflicts_with_all = ["text", "file"])]
    pub reaction: Option<String>,
    /// The id of the message the reaction is for.
    #[arg(long, value_name = "MESSAGE", requires = "reaction", allow_hyphen_values = true)]
    pub to: Option<String>,
}

/// Options of `listen`.
#[derive(Debug, Args)]
#[command(after_help = "Example: rcseal listen --until-empty --read --save downloads")]
pub struct ListenArgs {
    /// Stop once everything that waited has been received and answered.
    #[arg(long)]
    pub until_empty: bool,
    /// Tell the senders that their messages were read.
    #[arg(long)]
    pub read: bool,
    /// Save the files that arrive into this folder.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

/// Options of `chat`.
#[derive(Debug, Args)]
#[command(after_help = "Example: rcseal chat Bob")]
pub struct ChatArgs {
    /// With whom: the name of a contact, or its account id.
    pub contact: String,
    /// Where files that arrive are saved. [default: `downloads` in the profile]
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

/// Options of `history`.
#[derive(Debug, Args)]
#[command(after_help = "Example: rcseal history Bob --limit 20")]
pub struct HistoryArgs {
    /// With whom: a contact by its name or account id; or a thread, by its name or number.
    pub contact: String,
    /// The newest this many.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub limit: u16,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "not an address with a port, such as 127.0.0.1:8443".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("a development relay listens on loopback only; use rcseald for others".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
