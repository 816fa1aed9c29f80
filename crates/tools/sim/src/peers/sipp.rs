//! SIPp: load, and traffic that is broken on purpose.
//!
//! It runs a scenario out of `peers/sipp/` a number of times and ends; what it says of the run is read from its statistics file.
//! Two of them with a carrier between are what our own user agent is measured against.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::kamailio::{DOMAIN, User};
use super::process::{free_port, tail};
use super::{PeerError, prepare};

const REGISTER: &str = include_str!("../../peers/sipp/register.xml");
const SENDS: &str = include_str!("../../peers/sipp/uac.xml");
const TAKES: &str = include_str!("../../peers/sipp/uas.xml");
/// SIPp makes no more calls than this at once unless `-l` says less; its rate is then whatever the far end keeps up with.
const RATE: &str = "100000";

/// What SIPp counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// Scenarios that ran to their end.
    pub ok: u64,
    /// Scenarios that did not.
    pub failed: u64,
    /// Scenarios begun per second, over the whole run.
    pub per_second: f64,
}

/// Runs a scenario `times` times, at most `at_once` of them together, and waits for its end.
///
/// # Errors
/// [`PeerError`]: it did not run. Scenarios that fail are counted, not an error.
pub async fn run(
    scenario: &str,
    target: SocketAddr,
    port: u16,
    times: u32,
    at_once: u32,
    limit: Duration,
) -> Result<Counted, PeerError> {
    let (mut child, folder) = spawn(scenario, target, port, times, Some(at_once), limit)?;
    child.wait().await.map_err(|source| PeerError::Start { program: "sipp", source })?;
    let statistics = std::fs::read_to_string(folder.path().join("statistics.csv")).unwrap_or_default();
    counted(&statistics).ok_or_else(|| PeerError::Failed { program: "sipp", said: tail(&folder.path().join("screen")) })
}

fn spawn(
    scenario: &str,
    target: SocketAddr,
    port: u16,
    times: u32,
    at_once: Option<u32>,
    limit: Duration,
) -> Result<(Child, TempDir), PeerError> {
    let folder = tempfile::Builder::new().prefix("rcseal-sipp-").tempdir().map_err(prepare("a folder"))?;
    let file = folder.path().join("scenario.xml");
    std::fs::write(&file, scenario).map_err(prepare("a scenario"))?;
    let screen = std::fs::File::create(folder.path().join("screen")).map_err(prepare("a log file"))?;
    let error = screen.try_clone().map_err(prepare("a log file"))?;
    let mut command = Command::new("sipp");
    command
        .arg("-sf")
        .arg(&file)
        .args(["-s", DOMAIN, "-i", "127.0.0.1", "-nostdin", "-trace_stat", "-fd", "1", "-stf", "statistics.csv"])
        .args(["-p", &port.to_string(), "-m", &times.to_string(), "-timeout", &format!("{}s", limit.as_secs())]);
    if let Some(at_once) = at_once {
        command.args(["-r", RATE, "-rp", "1000", "-l", &at_once.to_string()]);
    }
    let child = command
        .arg(target.to_string())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(screen)
        .stderr(error)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| PeerError::Start { program: "sipp", source })?;
    Ok((child, folder))
}

/// Reads the last line of the statistics by the names in the first.
fn counted(statistics: &str) -> Option<Counted> {
    let mut lines = statistics.lines().filter(|line| !line.trim().is_empty());
    let names: Vec<&str> = lines.next()?.split(';').collect();
    let values: Vec<&str> = lines.next_back()?.split(';').collect();
    let value = |name: &str| names.iter().position(|found| *found == name).and_then(|at| values.get(at)).copied();
    Some(Counted {
        ok: value("SuccessfulCall(C)")?.parse().ok()?,
        failed: value("FailedCall(C)")?.parse().ok()?,
        per_second: value("CallRate(C)")?.parse().ok()?,
    })
}

/// Somebody at the far end who answers every message.
#[derive(Debug)]
pub struct Taker {
    child: Child,
    _folder: TempDir,
}

impl Taker {
    /// Registers a user and answers at least so many messages to them. Retransmissions count as messages of their own.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn start(carrier: SocketAddr, user: &User, times: u32, limit: Duration) -> Result<Self, PeerError> {
        let port = free_port().map_err(prepare("a port"))?;
        let scenario = REGISTER.replace("@USER@", &user.number).replace("@PASSWORD@", &user.password);
        let registered = run(&scenario, carrier, port, 1, 1, Duration::from_secs(10)).await?;
        if registered.ok != 1 {
            return Err(PeerError::NotReady { program: "sipp", said: "the user was not registered".to_owned() });
        }
        // The carrier delivers to the port that registered, so the same one is used again.
        let (child, folder) = spawn(TAKES, carrier, port, times.saturating_mul(10), None, limit)?;
        Ok(Self { child, _folder: folder })
    }

    /// Stops it.
    pub async fn stop(mut self) {
        let _ = self.child.kill().await;
    }
}

/// Sends `times` messages in a wrapper with a body of `body_len` letters, `at_once` of them under way, and counts the answers.
///
/// # Errors
/// [`PeerError`].
pub async fn send(
    carrier: SocketAddr,
    from: &User,
    to: &User,
    body_len: usize,
    times: u32,
    at_once: u32,
) -> Result<Counted, PeerError> {
    let scenario =
        SENDS.replace("@FROM@", &from.number).replace("@TO@", &to.number).replace("@FILLER@", &"a".repeat(body_len));
    let port = free_port().map_err(prepare("a port"))?;
    run(&scenario, carrier, port, times, at_once, Duration::from_secs(60)).await
}

/// A scenario that sends each of `requests` as it stands, and then asks `uri` by OPTIONS whether anybody still answers: that is its success.
///
/// SIPp's own words in brackets may be used in a request; what it cannot send is a NUL.
#[must_use]
pub fn hostile(requests: &[String], uri: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"breaks the rules\">\n");
    for request in requests {
        let _ = write!(text, "<send><![CDATA[\n{request}]]></send>\n");
    }
    let _ = write!(
        text,
        "<send retrans=\"200\"><![CDATA[\nOPTIONS {uri} SIP/2.0\n\
         Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
         From: <sip:probe@probe.test>;tag=[call_number]\nTo: <{uri}>\nCall-ID: [call_id]\n\
         CSeq: 77 OPTIONS\nContent-Length: 0\n\n]]></send>\n",
    );
    // Answers to the broken ones belong to no call of SIPp's, which passes over them.
    text.push_str("<recv response=\"100\" optional=\"true\"/>\n<recv response=\"200\"/>\n</scenario>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_those_of_the_last_line() {
        let statistics = "StartTime;CallRate(C);SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);\n\
                          a;1;1;1;0;\nb;358.252;2;3000;1;\n";
        assert_eq!(counted(statistics), Some(Counted { ok: 3000, failed: 1, per_second: 358.252 }));
        assert_eq!(counted("StartTime;CallRate(C);\n"), None);
        assert_eq!(counted(""), None);
    }

    #[test]
    fn a_hostile_scenario_ends_with_a_question_that_deserves_an_answer() {
        let scenario = hostile(&["MESSAGE\n\n".to_owned(), "\n".to_owned()], "sip:nobody@carrier.test");
        assert_eq!(scenario.matches("<send").count(), 3);
        assert!(scenario.contains("OPTIONS sip:nobody@carrier.test SIP/2.0"));
    }
}
