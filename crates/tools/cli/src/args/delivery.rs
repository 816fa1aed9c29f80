//! How messages go: the carrier, policies, and threads with phone numbers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use rcseal_rcs::number::{Domain, PhoneNumber};

use crate::carrier::Registrar;

/// What `carrier` does.
#[derive(Debug, Subcommand)]
pub enum CarrierCommand {
    /// Say how this device gets to its carrier. The answer is kept in the encrypted store.
    #[command(subcommand)]
    Set(CarrierSet),
    /// Print what was set. A password is never printed.
    #[command(after_help = "Example: rcseal carrier show --json")]
    Show,
    /// Forget it, and tell contacts that nothing comes here by a carrier any more.
    #[command(after_help = "Example: rcseal carrier remove")]
    Remove,
    /// Register once, and print what the carrier answered, what waits, and what carriers did to messages that came here.
    #[command(after_help = "Example: rcseal carrier status --json")]
    Status,
}

/// Which kind of way there is.
#[derive(Debug, Subcommand)]
pub enum CarrierSet {
    /// A SIP account: registered with a password, or a trunk that needs none.
    #[command(after_help = "\
Examples:
  rcseal carrier set sip --registrar tls:sip.example.com:5061 --ca carrier.pem --domain example.com \\
      --number +12015550123 --password-file password.txt
  rcseal carrier set sip --registrar tcp:10.0.0.5:5060 --domain example.com --number +12015550123 --trunk")]
    Sip(Box<SipArgs>),
    /// A number at the broker: nothing registers at a carrier here, and the broker hands over both ways.
    #[command(after_help = "Example: rcseal carrier set broker --number +12015550123 --preference native")]
    Broker(ByBrokerArgs),
}

/// Options of `carrier set broker`.
#[derive(Debug, Args)]
pub struct ByBrokerArgs {
    /// The number that the broker has bound to this device (`rcseal number show`).
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    pub number: PhoneNumber,
    /// How long a message may stay unconfirmed at the carrier before the relay gets it as well.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub patience: u64,
    /// Also choose the route for all conversations, as `policy route` does.
    #[arg(long, value_name = "ROUTE")]
    pub preference: Option<Route>,
}

/// Options of `carrier set sip`.
#[derive(Debug, Args)]
pub struct SipArgs {
    /// The carrier's registrar or proxy: udp:, tcp: or tls:, a host and a port.
    #[arg(long, value_name = "WAY:HOST[:PORT]")]
    pub registrar: Registrar,
    /// The carrier's domain, in which numbers are.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Domain,
    /// The phone number of this device, with + and the country.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    pub number: PhoneNumber,
    /// The name that the carrier asks for with the password. [default: the number]
    #[arg(long, value_name = "USER", requires = "password_file")]
    pub user: Option<String>,
    /// A file with the password; `-` reads it from standard input. It is copied into the encrypted store.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The authority that the registrar's certificate must be under, as PEM; needed with tls:.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Do not register: the carrier's core trusts this device to say which number it is (P-Asserted-Identity), and this device the core.
    #[arg(long, conflicts_with_all = ["password_file", "unregistered"])]
    pub trunk: bool,
    /// With --trunk: a hop that every request passes, such as `sip:scscf.example.com;lr`. May be repeated, the first hop first.
    #[arg(long, value_name = "URI", requires = "trunk")]
    pub route: Vec<String>,
    /// With --trunk: register the number in the domain's name, as a third party.
    #[arg(long, requires = "trunk")]
    pub third_party: bool,
    /// With --trunk: one more address of the core. What these assert is believed.
    #[arg(long, value_name = "ADDRESS", requires = "trunk")]
    pub trusted: Vec<IpAddr>,
    /// Register nothing, and send as if it were. Nothing arrives but over a connection that is open.
    #[arg(long)]
    pub unregistered: bool,
    /// The local address to send from and to be reached at. [default: any]
    #[arg(long, value_name = "ADDRESS")]
    pub local: Option<SocketAddr>,
    /// How sessions for longer messages are protected, or that there are none.
    #[arg(long, value_name = "HOW", default_value = "tls")]
    pub sessions: Sessions,
    /// This carrier does not carry bytes as they are: send frames as text.
    #[arg(long)]
    pub text_only: bool,
    /// How long a message may stay unconfirmed at the carrier before the relay gets it as well.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub patience: u64,
    /// Also choose the route for all conversations, as `policy route` does.
    #[arg(long, value_name = "ROUTE")]
    pub preference: Option<Route>,
}

/// How sessions (MSRP) are protected. What they carry is ciphertext either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sessions {
    /// TLS, by the fingerprints in the session descriptions.
    Tls,
    /// Plain TCP, for networks that protect otherwise.
    Tcp,
    /// No sessions: longer messages are cut, or go by the relay.
    Off,
}

/// Which of two end-to-end ways is taken where there are both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Route {
    /// By the relay, which does not learn who sends.
    Relayed,
    /// By the carrier, which learns both numbers; where a broker carries for one of both, by that.
    Native,
}

/// A delivery mode that somebody beside the participants can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ReadableMode {
    /// Plain text over a carrier: every carrier on the way can read it.
    CarrierReadable,
    /// Plain text as an SMS: whoever listens between the carriers can read it, too.
    Sms,
    /// Readable by the operator of a server.
    ServerEncrypted,
}

/// What becomes of a message that cannot go end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fallback {
    /// It is refused.
    Block,
    /// It is refused, and you are asked to find out by another way what the recipient can do.
    Verify,
    /// It goes in a mode that others can read, where you have agreed to that and the recipient has no encryption.
    Downgrade,
    /// Take the choice back.
    None,
}

/// What `policy` does.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print what is set, for everybody or for one.
    #[command(after_help = "Example: rcseal policy show Bob")]
    Show {
        /// Whom: a contact, a thread, or a number.
        whom: Option<String>,
    },
    /// Choose what becomes of messages that cannot go end to end. Of several choices the strictest counts.
    #[command(after_help = "\
Examples:
  rcseal policy set verify                       for everybody
  rcseal policy set block --contact +12015550199 for one
  rcseal policy set block --tenant               what the operator's configuration says")]
    Set {
        /// What becomes of them.
        policy: Fallback,
        /// For this contact, thread or number only.
        #[arg(long, value_name = "WHOM", conflicts_with = "tenant")]
        contact: Option<String>,
        /// As the operator's customer that this account belongs to.
        #[arg(long)]
        tenant: bool,
    },
    /// Choose the route for conversations that have two end-to-end ways. Neither is more readable than the other.
    #[command(after_help = "Example: rcseal policy route native --contact Bob")]
    Route {
        /// Which.
        route: Route,
        /// For this contact only.
        #[arg(long, value_name = "WHOM")]
        contact: Option<String>,
    },
    /// Print why a message would go the way it would go now: every input, the rule that decided, and what it decided. Sends nothing.
    #[command(after_help = "Example: rcseal policy explain +12015550199 --json")]
    Explain {
        /// To whom: a contact, a thread, or a number.
        whom: String,
    },
    /// Agree to a mode that others can read, for one recipient and for a time.
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// Acknowledge that a conversation with somebody who has encryption goes without. A contact sees it, too.
    #[command(after_help = "Example: rcseal policy acknowledge Bob carrier_readable")]
    Acknowledge {
        /// With whom: a contact, or a number that is known to be capable.
        whom: String,
        /// In which mode.
        mode: ReadableMode,
    },
    /// Have a conversation end to end again, after an acknowledged downgrade. The contact sees it.
    #[command(after_help = "Example: rcseal policy restore Bob")]
    Restore {
        /// With whom.
        contact: String,
    },
    /// Say that the holder of a number has no encryption, because you asked them by another way.
    #[command(subcommand)]
    Absence(AbsenceCommand),
    /// Print every fallback, downgrade and refusal there was. Nothing is ever taken out of it.
    #[command(after_help = "\
Examples:
  rcseal policy journal --json
  rcseal policy journal --operator summary   counts only, without ids: what an operator may see")]
    Journal {
        /// Only entries after this one.
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// The form for an operator instead: counts by kind, modes and reason.
        #[arg(long, value_name = "FORM")]
        operator: Option<OperatorForm>,
    },
    /// Print the newest decisions, one for each message that was sent or refused.
    #[command(after_help = "Example: rcseal policy decisions --limit 10")]
    Decisions {
        /// How many.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
    },
}

/// What an operator is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OperatorForm {
    /// Counts, and a hash over all entries.
    Summary,
}

/// What `policy consent` does.
#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// Agree. It takes the place of what you agreed to for this recipient before.
    #[command(after_help = "Example: rcseal policy consent give +12015550199 carrier_readable --for 30d")]
    Give {
        /// For whom: a contact that has a number, a thread, or a number.
        whom: String,
        /// To which mode, and to no other.
        mode: ReadableMode,
        /// For how long: minutes (15m), hours (1h) or days (30d).
        #[arg(long = "for", value_name = "TIME", value_parser = span)]
        span: Duration,
    },
    /// Take an agreement back.
    #[command(after_help = "Example: rcseal policy consent withdraw 3")]
    Withdraw {
        /// Its number, as `policy consent list` has it.
        id: u64,
    },
    /// List the agreements, ended ones included.
    #[command(after_help = "Example: rcseal policy consent list")]
    List,
}

/// What `policy absence` does.
#[derive(Debug, Subcommand)]
pub enum AbsenceCommand {
    /// Say so. It counts for 30 days at most, and not for a number that is known to be capable.
    #[command(after_help = "Example: rcseal policy absence attest +12015550199")]
    Attest {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
        /// For how long: minutes (15m), hours (1h) or days (30d).
        #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "30d")]
        span: Duration,
    },
    /// Take it back.
    #[command(after_help = "Example: rcseal policy absence withdraw +12015550199")]
    Withdraw {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
    },
}

/// What `thread` does.
#[derive(Debug, Subcommand)]
pub enum ThreadCommand {
    /// Open a thread with a phone number, or name it. What is written in one can be read by every carrier on the way.
    #[command(after_help = "Example: rcseal thread open +12015550199 Plumber")]
    Open {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
        /// What you call it.
        #[arg(default_value = "")]
        name: String,
    },
    /// Delete a thread and what is in it.
    #[command(after_help = "Example: rcseal thread delete +12015550199")]
    Delete {
        /// The number.
        #[arg(value_parser = number)]
        number: PhoneNumber,
    },
}

/// Options of `probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rcseal probe --json                       this device's number, over the carrier and back
  rcseal probe --second other-profile       to the number of another profile, in this process
  rcseal probe --to Bob                     real messages to a contact, natively")]
pub struct ProbeArgs {
    /// Send real messages to this contact, and wait until its device confirms them.
    #[arg(long, value_name = "CONTACT", conflicts_with = "second")]
    pub to: Option<String>,
    /// The profile of a second device of yours whose carrier account is the far end.
    #[arg(long, value_name = "DIR")]
    pub second: Option<PathBuf>,
    /// How long each message is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// The lengths of the messages, in bytes.
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "100,700,4000,60000", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub sizes: Vec<u32>,
    /// What stands as this side's platform in the rows.
    #[arg(long, value_name = "NAME", default_value = std::env::consts::OS)]
    pub platform: String,
}

/// A number of the command line.
pub(crate) fn number(text: &str) -> Result<PhoneNumber, String> {
    text.parse().map_err(|_| "not a phone number with + and its country, such as +12015550123".to_owned())
}

pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 15m, 1h or 30d".to_owned();
    let seconds_per_unit = match text.chars().last() {
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        Some(_) | None => return Err(wrong()),
    };
    let count: u64 = text.get(..text.len() - 1).unwrap_or_default().parse().map_err(|_| wrong())?;
    // Longer than any consent may last; the engine says how long that is.
    let seconds = count.checked_mul(seconds_per_unit).filter(|seconds| *seconds > 0 && *seconds < 1 << 32);
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_is_not_nothing() {
        assert_eq!(span("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        assert_eq!(span("15m"), Ok(Duration::from_secs(900)));
        for wrong in ["", "d", "1", "0d", "-1h", "1.5h", "99999999999d", "1\u{665}m", "1 h"] {
            assert!(span(wrong).is_err(), "{wrong:?}");
        }
    }
}
