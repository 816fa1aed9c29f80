//! Who somebody is: accounts, devices, contacts, and how their keys are compared.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use rcseal_wire::id::AccountId;
use rcseal_wire::origin::Origin;

/// What `account` does.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Create an account on a server. Prints its id and, this once, its recovery code.
    #[command(
        after_help = "Example: rcseal account create --server https://localhost:8443 --ca authority.pem --name Ada"
    )]
    Create {
        /// The server, such as https://localhost:8443.
        #[arg(long, value_name = "ORIGIN")]
        server: Origin,
        /// The certificate authority that the server's certificate must be under, as PEM.
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
        /// An invite code, where the server asks for one; `-` reads it from standard input.
        #[arg(long, value_name = "CODE")]
        invite: Option<String>,
        /// What contacts see as your name.
        #[arg(long, default_value = "", value_name = "NAME")]
        name: String,
    },
    /// Print this device's account.
    #[command(after_help = "Example: rcseal account show --json")]
    Show,
    /// On the primary device: replace the account key. Contacts that had verified you see that it changed, and that you did it.
    #[command(after_help = "Example: rcseal account rotate-key")]
    RotateKey,
    /// Take an account back with its recovery code, which is read from standard input. Its other devices are logged out for good.
    #[command(
        after_help = "Example: rcseal account recover --account ID --server https://localhost:8443 --ca authority.pem < code.txt"
    )]
    Recover {
        /// Which account.
        #[command(flatten)]
        lost: LostAccount,
    },
    /// Take an account back without its recovery code, after a delay in which its devices can object.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Reset {
        /// What to do.
        #[command(subcommand)]
        command: ResetCommand,
    },
    /// Show or choose what sending does after a contact's account key has changed.
    #[command(after_help = "\
Examples:
  rcseal account policy                                   show what is chosen
  rcseal account policy --on-change warn                  for everybody
  rcseal account policy --on-change block --contact Bob   for Bob; the stricter of the two applies")]
    Policy {
        /// What sending does: refuse until the change was accepted, send and say so, or send.
        #[arg(long, value_name = "POLICY")]
        on_change: Option<OnChange>,
        /// For this contact only.
        #[arg(long, value_name = "CONTACT")]
        contact: Option<String>,
    },
}

/// What sending does after a contact's account key has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnChange {
    /// Refuse, until the change was accepted or the contact was verified again.
    Block,
    /// Send, and say that the key has changed.
    Warn,
    /// Send.
    Allow,
}

/// An account to take back, from a device that has none.
#[derive(Debug, Args)]
pub struct LostAccount {
    /// The id of the account.
    #[arg(long, value_name = "ID")]
    pub account: AccountId,
    /// The account's server.
    #[arg(long, value_name = "ORIGIN")]
    pub server: Origin,
    /// The certificate authority that the server's certificate must be under, as PEM.
    #[arg(long, value_name = "FILE")]
    pub ca: PathBuf,
    /// What contacts see as your name.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub name: String,
}

/// What `account reset` does.
#[derive(Debug, Subcommand)]
pub enum ResetCommand {
    /// On a device without an account: ask for the reset, with the operator's ticket on standard input. Repeat it when it is due.
    #[command(
        after_help = "Example: rcseal account reset request --account ID --server https://localhost:8443 --ca authority.pem < ticket.txt"
    )]
    Request {
        /// Which account.
        #[command(flatten)]
        lost: LostAccount,
    },
    /// On a device of the account: say whether a reset is pending, and when it takes effect.
    #[command(after_help = "Example: rcseal account reset status")]
    Status,
    /// On a device of the account: call a pending reset off. You still have the account, so nobody needs it.
    #[command(after_help = "Example: rcseal account reset veto")]
    Veto,
    /// In the profile that asked: give up the reset (or recovery) that was begun, so that another attempt can begin there.
    ///
    /// The keys that it drew are deleted, with the contacts added meanwhile and the messages that wait. The server is told nothing: a reset
    /// that is pending there and that nobody calls off gives the account to those keys all the same, and then nobody has it. A recovery
    /// whose answer did not arrive may have been carried out: then the new recovery code takes the account back.
    #[command(after_help = "Example: rcseal account reset abandon --yes")]
    Abandon {
        /// The keys that were drawn are to be deleted, for good.
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// What `device` does.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// On the new device: show a code, and wait until the primary device approves it.
    #[command(
        after_help = "Example: rcseal device link --server https://localhost:8443 --ca authority.pem --qr link.png"
    )]
    Link {
        /// The account's server.
        #[arg(long, value_name = "ORIGIN")]
        server: Origin,
        /// The certificate authority that the server's certificate must be under, as PEM.
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
        /// Where the code is written to.
        #[command(flatten)]
        code: CodeFile,
    },
    /// On the primary device: approve the code that the new device shows.
    #[command(after_help = "Example: rcseal device approve --scan-png link.png")]
    Approve {
        /// The text of the code: rcseal://link/…; `-` reads it from standard input, where no other user of this machine sees it.
        #[arg(required_unless_present = "scan_png")]
        text: Option<String>,
        /// Read the code out of a picture of it, PNG or JPEG.
        #[arg(long, value_name = "FILE", conflicts_with = "text")]
        scan_png: Option<PathBuf>,
    },
    /// On the primary device: take a device out of the account.
    #[command(after_help = "Example: rcseal device remove 2")]
    Remove {
        /// Its number.
        #[arg(value_parser = clap::value_parser!(u8).range(1..=127))]
        number: u8,
    },
    /// Print the keys that the server hands out for this account's devices, beside those that this device has. Exits with 7 when they
    /// disagree.
    #[command(after_help = "Example: rcseal device keys")]
    Keys,
}

/// What `contact` does.
#[derive(Debug, Subcommand)]
pub enum ContactCommand {
    /// Print an invitation to write to you, as text and as a QR code. Whoever holds it may write to you.
    #[command(after_help = "Example: rcseal contact invite --qr invitation.png")]
    Invite {
        /// Where the code is written to.
        #[command(flatten)]
        code: CodeFile,
    },
    /// Add the contact whose invitation this is.
    #[command(after_help = "Example: rcseal contact add --scan-png invitation.png --name Bob")]
    Add {
        /// The text of the invitation: rcseal://invite/…; `-` reads it from standard input, where no other user of this machine sees it.
        #[arg(required_unless_present = "scan_png")]
        invitation: Option<String>,
        /// Read the invitation out of a picture of its QR code, PNG or JPEG.
        #[arg(long, value_name = "FILE", conflicts_with = "invitation")]
        scan_png: Option<PathBuf>,
        /// What you call the contact.
        #[arg(long, default_value = "", value_name = "NAME")]
        name: String,
    },
    /// Forget a contact: its keys, its verification, the sessions with it and what waits to be sent to it. What was said stays.
    ///
    /// The token that it may write with is replaced, and stays good for a week, in which other contacts hear of the new one. Block it first
    /// if it must not come back in that week.
    #[command(after_help = "Example: rcseal contact remove Bob")]
    Remove {
        /// Whom: the name of the contact, or its account id.
        contact: String,
    },
    /// Print everything that is known of a contact: its numbers, what its devices and the carrier say, and since when it has encryption.
    #[command(after_help = "Example: rcseal contact show Bob --json")]
    Show {
        /// Whom: the name of the contact, or its account id.
        contact: String,
    },
    /// Print or set a contact's phone number. Nothing goes to a contact by the carrier before it has one here that its device claims, too.
    #[command(after_help = "Example: rcseal contact number Bob +12015550124")]
    Number {
        /// Whose: the name of the contact, or its account id.
        contact: String,
        /// The number, with + and the country.
        #[arg(value_parser = super::number)]
        number: Option<rcseal_rcs::number::PhoneNumber>,
        /// Take the number back.
        #[arg(long, conflicts_with = "number")]
        remove: bool,
    },
    /// Call a contact something else.
    #[command(after_help = "Example: rcseal contact rename Bob 'Bob Cratchit'")]
    Rename {
        /// Whom: the name of the contact, or its account id.
        contact: String,
        /// The new name; an empty one leaves what the contact calls itself.
        name: String,
    },
    /// Send a contact nothing any more, and drop unread what it sends. To it, this looks as if you were offline.
    #[command(after_help = "Example: rcseal contact block Mallory")]
    Block {
        /// Whom: the name of the contact, or its account id.
        contact: String,
    },
    /// End a block. What the contact sent meanwhile does not come back.
    #[command(after_help = "Example: rcseal contact unblock Mallory")]
    Unblock {
        /// Whom: the name of the contact, or its account id.
        contact: String,
    },
    /// Take the changed account key of a contact for genuine without comparing. Says how it changed. The contact is unverified then.
    #[command(after_help = "Example: rcseal contact accept Bob")]
    Accept {
        /// Whom: the name of the contact, or its account id.
        contact: String,
    },
    /// Be reminded now and then, when you write to a contact that is not verified.
    #[command(after_help = "Example: rcseal contact high-risk Bob")]
    HighRisk {
        /// With whom being deceived would be costly: the name of the contact, or its account id.
        contact: String,
        /// Not any more.
        #[arg(long)]
        off: bool,
    },
    /// The token that lets others write to you: it is in every invitation.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// What `contact token` does.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// On the primary device: replace it. Contacts are told the new one; invitations given out so far are void after a week.
    #[command(after_help = "Example: rcseal contact token replace")]
    Replace {
        /// Void them at once. A contact that does not hear of the new token before the old one is gone has to be invited again.
        #[arg(long)]
        now: bool,
    },
}

/// Options of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcseal verify Bob                              show the digits and the code that Bob scans
  rcseal verify Bob --confirm \"37278 36442 …\"    these are the digits that Bob has, too
  rcseal verify Bob --qr mine.png                write that code into a file
  rcseal verify Bob --scan-png screenshot.png    read Bob's code out of a picture")]
pub struct VerifyArgs {
    /// Whom: the name of a contact, or its account id.
    pub contact: String,
    /// The text of the code that the contact's device shows: rcseal://verify/…; `-` reads it from standard input.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["confirm", "scan_png"])]
    pub scan: Option<String>,
    /// Read the contact's code out of a picture of it, PNG or JPEG: a photo, a screenshot, or a file that --qr wrote there.
    #[arg(long, value_name = "FILE", conflicts_with = "confirm")]
    pub scan_png: Option<PathBuf>,
    /// You have compared these digits, and they are the same. Spaces in them do not matter.
    #[arg(long, value_name = "DIGITS")]
    pub confirm: Option<String>,
    /// Where the code is written to that the contact scans.
    #[command(flatten)]
    pub code: CodeFile,
}

/// A file for a QR code.
#[derive(Debug, Args)]
pub struct CodeFile {
    /// Also write the QR code into this new file, as PNG.
    #[arg(long, value_name = "FILE", value_parser = named_file)]
    pub qr: Option<PathBuf>,
    /// Write over the file of --qr if it is there.
    #[arg(long, requires = "qr")]
    pub force: bool,
}

impl CodeFile {
    /// The file's name, for print.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        self.qr.as_ref().map(|path| path.display().to_string())
    }
}

/// A picture does not belong among lines of text: what is written is named.
fn named_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" | "" => Err("a picture is written into a file that is named, never to standard output".to_owned()),
        named => Ok(PathBuf::from(named)),
    }
}
