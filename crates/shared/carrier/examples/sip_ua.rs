//! A SIP user agent on the command line, for trying a carrier by hand and for tests against real proxies.
//!
//! ```text
//! sip_ua --number +15551230001 --domain carrier.test --peer 127.0.0.1:5060 [--wire udp|tcp|tls] [--ca FILE] [--local ADDR]
//!        [--user NAME] [--password-file FILE] [--unregistered | --trunk] [--route URI]... [--tag TAG]... [--t1-ms N]
//!        [--send NUMBER TEXT]... [--send-file NUMBER TYPE FILE]... [--options NUMBER]...
//!        [--flood NUMBER COUNT IN_FLIGHT BYTES] [--receive COUNT] [--answer STATUS] [--echo]
//! ```
//!
//! It registers, does what it was told in order, then answers `--receive` messages and ends. One JSON object a line goes to standard output:
//! `registered`, `sent`, `options`, `flooded`, `received`. A password is read from a file and never printed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rcseal_carrier::auth::{Credentials, Password};
use rcseal_carrier::sip::{Access, Config, PagerMessage, Peer, Trunk, UserAgent, Wire};
use rcseal_carrier::tls::TrustAnchors;
use rcseal_carrier::transport::{Answer, Inbound};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Sender, Taken};
use tokio::sync::Semaphore;

type Failure = Box<dyn Error + Send + Sync>;

enum Task {
    Send(PhoneNumber, String, Vec<u8>),
    Options(PhoneNumber),
    Flood { to: PhoneNumber, count: usize, in_flight: usize, len: usize },
}

struct Arguments {
    config: Config,
    tasks: Vec<Task>,
    receive: usize,
    answer: Answer,
    echo: bool,
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, Failure> {
    let (mut number, mut domain, mut peer) = (None, None, None);
    let (mut wire, mut ca, mut local) = ("udp".to_owned(), None, None::<SocketAddr>);
    let (mut user, mut password) = (None, None);
    let (mut unregistered, mut trunk) = (false, false);
    let (mut routes, mut tags, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut receive, mut answer, mut echo, mut t1) = (0, Answer::Accepted, false, None);
    while let Some(name) = arguments.next() {
        let mut next = || arguments.next().ok_or_else(|| Failure::from(format!("{name} wants a value")));
        match name.as_str() {
            "--number" => number = Some(next()?.parse::<PhoneNumber>()?),
            "--domain" => domain = Some(next()?.parse()?),
            "--peer" => {
                let text = next()?;
                let (host, port) = text.rsplit_once(':').ok_or("--peer is host:port")?;
                peer = Some(Peer { host: host.to_owned(), port: port.parse()? });
            }
            "--wire" => wire = next()?,
            "--ca" => ca = Some(std::fs::read(next()?)?),
            "--local" => local = Some(next()?.parse()?),
            "--user" => user = Some(next()?),
            "--password-file" => password = Some(Password::new(std::fs::read_to_string(next()?)?.trim_end())),
            "--unregistered" => unregistered = true,
            "--trunk" => trunk = true,
            "--route" => routes.push(next()?),
            "--tag" => tags.push(next()?),
            "--t1-ms" => t1 = Some(Duration::from_millis(next()?.parse()?)),
            "--send" => {
                tasks.push(Task::Send(next()?.parse()?, "text/plain;charset=UTF-8".to_owned(), next()?.into_bytes()));
            }
            "--send-file" => tasks.push(Task::Send(next()?.parse()?, next()?, std::fs::read(next()?)?)),
            "--options" => tasks.push(Task::Options(next()?.parse()?)),
            "--flood" => {
                let (to, count) = (next()?.parse()?, next()?.parse()?);
                tasks.push(Task::Flood { to, count, in_flight: next()?.parse()?, len: next()?.parse()? });
            }
            "--receive" => receive = next()?.parse()?,
            "--answer" => {
                answer = match next()?.as_str() {
                    "200" => Answer::Accepted,
                    "400" => Answer::Malformed,
                    "413" => Answer::TooLarge,
                    "415" => Answer::UnsupportedMedia,
                    "503" => Answer::TryLater,
                    _ => return Err("--answer is 200, 400, 413, 415 or 503".into()),
                };
            }
            "--echo" => echo = true,
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    let number = number.ok_or("--number is missing")?;
    let credentials = password.map(|password| {
        let user = user.clone().unwrap_or_else(|| number.as_str().to_owned());
        Credentials::Password { user, password }
    });
    let access = if trunk {
        Access::Trunk(Trunk { route: routes, ..Trunk::default() })
    } else if unregistered {
        Access::Unregistered(credentials)
    } else {
        Access::Register(credentials)
    };
    let wire = match wire.as_str() {
        "udp" => Wire::Udp,
        "tcp" => Wire::Tcp,
        "tls" => Wire::Tls(TrustAnchors::from_pem(&ca.ok_or("--wire tls wants --ca")?)?),
        _ => return Err("--wire is udp, tcp or tls".into()),
    };
    let mut config =
        Config::new(number, domain.ok_or("--domain is missing")?, peer.ok_or("--peer is missing")?, wire, access);
    config.feature_tags = tags;
    if let Some(local) = local {
        config.local = local;
    }
    if let Some(t1) = t1 {
        config.timers.t1 = t1;
    }
    Ok(Arguments { config, tasks, receive, answer, echo })
}

fn outcome(outcome: &Result<Taken, SendFailure>) -> &'static str {
    match outcome {
        Ok(Taken::Answered) => "answered",
        Ok(Taken::Stored) => "stored",
        Err(failure) => failure.code(),
    }
}

/// A text between quotes of JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

async fn flood(
    agent: &Arc<UserAgent>,
    to: &PhoneNumber,
    count: usize,
    in_flight: usize,
    len: usize,
) -> Result<(), Failure> {
    let turns = Arc::new(Semaphore::new(in_flight));
    let body = Bytes::from(vec![b'x'; len]);
    let begun = Instant::now();
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..count {
        let turn = Arc::clone(&turns).acquire_owned().await?;
        let message = PagerMessage {
            to: to.clone(),
            content_type: "message/cpim".to_owned(),
            body: body.clone(),
            conversation: None,
        };
        let agent = Arc::clone(agent);
        sends.spawn(async move {
            let told = agent.message(message).await;
            drop(turn);
            outcome(&told)
        });
    }
    let mut outcomes = BTreeMap::<&str, usize>::new();
    for outcome in sends.join_all().await {
        *outcomes.entry(outcome).or_default() += 1;
    }
    let ok = outcomes.get("answered").copied().unwrap_or(0);
    let counted: Vec<String> = outcomes.iter().map(|(name, count)| format!(r#""{name}":{count}"#)).collect();
    let seconds = begun.elapsed().as_secs_f64();
    let rate = ok as f64 / seconds;
    println!(
        r#"{{"event":"flooded","count":{count},"seconds":{seconds:.3},"per_second":{rate:.0},"outcomes":{{{}}}}}"#,
        counted.join(",")
    );
    Ok(())
}

fn report(inbound: &Inbound) {
    let from = match &inbound.from {
        Sender::Asserted(number) => format!(r#""asserted":{}"#, quoted(number.as_str())),
        Sender::Claimed(number) => format!(r#""claimed":{}"#, quoted(number.as_str())),
        Sender::Anonymous => r#""anonymous":true"#.to_owned(),
    };
    let (kind, len) = (quoted(&inbound.content_type), inbound.body.len());
    let text = std::str::from_utf8(&inbound.body).map_or_else(|_| "null".to_owned(), quoted);
    let digest: String =
        rcseal_crypto::hash::sha256(&[&inbound.body]).iter().map(|byte| format!("{byte:02x}")).collect();
    println!(r#"{{"event":"received",{from},"content_type":{kind},"len":{len},"sha256":"{digest}","text":{text}}}"#);
}

async fn run(arguments: Arguments) -> Result<bool, Failure> {
    let agent = Arc::new(UserAgent::start(arguments.config).await?);
    let granted = agent.register().await?;
    println!(r#"{{"event":"registered","seconds":{}}}"#, granted.as_secs().min(u64::from(u32::MAX)));
    let mut is_good = true;
    for task in arguments.tasks {
        match task {
            Task::Send(to, content_type, body) => {
                let message = PagerMessage { to, content_type, body: body.into(), conversation: Some([1; 16]) };
                let told = agent.message(message).await;
                is_good &= told.is_ok();
                println!(r#"{{"event":"sent","outcome":"{}"}}"#, outcome(&told));
            }
            Task::Options(of) => match agent.options(&of).await {
                Ok(told) => {
                    let contacts: Vec<String> = told.contacts.iter().map(|tags| quoted(&tags.join(";"))).collect();
                    println!(r#"{{"event":"options","contacts":[{}]}}"#, contacts.join(","));
                }
                Err(failure) => {
                    is_good = false;
                    println!(r#"{{"event":"options","outcome":"{}"}}"#, failure.code());
                }
            },
            Task::Flood { to, count, in_flight, len } => flood(&agent, &to, count, in_flight, len).await?,
        }
    }
    for _ in 0..arguments.receive {
        let Some(inbound) = agent.receive().await else { break };
        if arguments.echo {
            report(&inbound);
        }
        inbound.answer(arguments.answer);
    }
    if arguments.receive > 0 {
        println!(r#"{{"event":"done","received":{}}}"#, arguments.receive);
        // The last answer is on its way by a task of its own on a connection; leaving at once would take it back.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    if let Some(agent) = Arc::into_inner(agent) {
        agent.close().await;
    }
    Ok(is_good)
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match read(std::env::args().skip(1)) {
        Ok(arguments) => run(arguments).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sip_ua: {error}");
            ExitCode::FAILURE
        }
    }
}
