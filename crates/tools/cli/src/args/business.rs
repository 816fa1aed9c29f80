//! Phone numbers at a broker, cases of businesses, and servers that can read by agreement.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::content::CaseId;
use rcseal_wire::id::ServerKeyId;
use rcseal_wire::origin::Origin;

use super::delivery::{number, span};

/// What `broker` does.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// Use a broker: its key is pinned, and it is told how to write to this account.
    #[command(after_help = "Example: rcseal broker use https://localhost:8446 --ca broker.pem")]
    Use {
        /// The broker, such as https://localhost:8446.
        broker: Origin,
        /// The certificate authority that the broker's certificate must be under, as PEM, where it is another than the server's. This
        /// profile trusts it from then on, beside the server's.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Print the broker, its key, and since when it is pinned.
    #[command(after_help = "Example: rcseal broker show --json")]
    Show,
    /// Give the broker up, with everything that it said. Evidence against it stays.
    #[command(after_help = "Example: rcseal broker forget")]
    Forget,
}

/// Whether others find a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Visible {
    /// Whoever asks the broker for the number is shown this account.
    On,
    /// The broker does not say whether anybody has it.
    Off,
}

/// What `number` does.
#[derive(Debug, Subcommand)]
pub enum NumberCommand {
    /// Claim a number, or begin to renew it: the broker sends a code to it.
    #[command(after_help = "Example: rcseal number claim +12015550123")]
    Claim {
        /// The number, with + and the country.
        #[arg(value_parser = number)]
        number: PhoneNumber,
    },
    /// Show the code that came. The account key signs that the number is this account's, and the broker countersigns.
    #[command(after_help = "\
Examples:
  rcseal number confirm 123456
  rcseal number confirm 123456 --number +12015550123 --release release.bin")]
    Confirm {
        /// The code; `-` reads it from standard input.
        code: String,
        /// Of which number. [default: the one that a code was sent to]
        #[arg(long, value_name = "NUMBER", value_parser = number)]
        number: Option<PhoneNumber>,
        /// The release that the account gave that has the number: with it nobody waits.
        #[arg(long, value_name = "FILE")]
        release: Option<PathBuf>,
    },
    /// Print this account's numbers as they were when the broker was last asked.
    #[command(after_help = "Example: rcseal number show --json")]
    Show,
    /// Let a number go. The signed release is written to a file; the next account shows it and does not wait.
    #[command(after_help = "Example: rcseal number release +12015550123 --to release.bin")]
    Release {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
        /// Where the release is written. A file that is there is not written over.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Object to another account that claims a number of this one's.
    #[command(after_help = "Example: rcseal number veto +12015550123")]
    Veto {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
    },
    /// Ask the broker whether it shows what this account signed, for each of its numbers.
    #[command(after_help = "Example: rcseal number watch")]
    Watch,
    /// Ask the broker who has a number. Absence is a hint, and no answer is not absence.
    #[command(after_help = "\
Examples:
  rcseal number find +12015550123
  rcseal number find +12015550123 --add Bob    add who has it as a contact")]
    Find {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
        /// Add the account that has it as a contact, under this name.
        #[arg(long, value_name = "NAME")]
        add: Option<String>,
    },
    /// Choose whether others find a number.
    #[command(after_help = "Example: rcseal number visibility +12015550123 off")]
    Visibility {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
        /// Whether they do.
        visible: Visible,
    },
    /// Print what brokers did that they must not, or write one piece of evidence to a file that anybody can check.
    #[command(after_help = "\
Examples:
  rcseal number evidence --json
  rcseal number evidence 3 --to evidence.bin")]
    Evidence {
        /// Which one.
        #[arg(requires = "to")]
        id: Option<u64>,
        /// Where it is written. A file that is there is not written over.
        #[arg(long, value_name = "FILE", requires = "id")]
        to: Option<PathBuf>,
    },
}

/// What `case` does.
#[derive(Debug, Subcommand)]
pub enum CaseCommand {
    /// As a business: open a case, and print the link for its card, once. Whoever follows it first has the case.
    #[command(after_help = "\
Example: rcseal case open \"claim 4711\" --number +12015550123 --expires 1d --site https://support.example.com")]
    Open {
        /// What both sides call it.
        reference: String,
        /// The number that it was begun with. The case then says whether the account that follows the link has it.
        #[arg(long, value_name = "NUMBER", value_parser = number)]
        number: Option<PhoneNumber>,
        /// How long the link opens it: a count with m, h or d.
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = span)]
        expires: Duration,
        /// The first words in the conversation.
        #[arg(long, value_name = "TEXT", default_value = "")]
        greeting: String,
        /// The page behind the link for whoever has no app yet. What names the case stands behind its #, which browsers send to nobody.
        #[arg(long, value_name = "ORIGIN")]
        site: Option<Origin>,
    },
    /// Follow a link off a card: the business becomes a contact, and the case goes on there, end to end.
    #[command(after_help = "Example: rcseal case continue - < link.txt")]
    Continue {
        /// The link; `-` reads it from standard input.
        link: String,
    },
    /// List the cases that this account opened, or the cases with a contact.
    #[command(after_help = "Example: rcseal case list --contact Support")]
    List {
        /// With this contact, on either side.
        #[arg(long, value_name = "CONTACT")]
        contact: Option<String>,
    },
    /// As the business: take a link back that nobody has followed.
    #[command(after_help = "Example: rcseal case revoke CASE")]
    Revoke {
        /// Which case.
        #[arg(value_parser = case)]
        case: CaseId,
    },
    /// As the business: end a case. The conversation stays.
    #[command(after_help = "Example: rcseal case close CASE")]
    Close {
        /// Which case.
        #[arg(value_parser = case)]
        case: CaseId,
    },
}

/// What `retained` does.
#[derive(Debug, Subcommand)]
pub enum RetainedCommand {
    /// Ask the server for the key with which its operator reads, and print whose it is, where it is, and how long what is kept.
    #[command(after_help = "Example: rcseal retained key --json")]
    Key,
    /// Accept a key of another tenant or region, which the server offers and which waits for your word.
    #[command(after_help = "Example: rcseal retained accept KEY")]
    Accept {
        /// Its id, as `retained key` prints it.
        key: ServerKeyId,
    },
    /// Choose how long the server keeps what goes that way.
    #[command(after_help = "Example: rcseal retained class short")]
    Class {
        /// One of the server's classes; without one, the server chooses.
        class: Option<String>,
    },
    /// List messages that came readable by the server from people who had not said so end to end. They stand in no conversation.
    #[command(after_help = "Example: rcseal retained list")]
    List,
    /// Take one of those away.
    #[command(after_help = "Example: rcseal retained dismiss 7")]
    Dismiss {
        /// Its place, as `retained list` prints it.
        place: u64,
    },
}

fn case(text: &str) -> Result<CaseId, String> {
    let wrong = || "not the id of a case, as `rcseal case list` prints it".to_owned();
    let bytes = rcseal_wire::b64::decode(text).map_err(|_| wrong())?;
    bytes.try_into().map(CaseId::from_bytes).map_err(|_| wrong())
}
