//! Short messages through Jasmin: as an SMSC by SMPP, and as a gateway by HTTP.
//!
//! Our side is what is shipped. What arrives is compared octet by octet behind Jasmin, by a stand-in for the networks that shares no code with us.

mod breaking;
mod http;
mod smpp;
mod speed;

use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::auth::Password;
use rcseal_carrier::sms::smpp::{self as client, BindMode, SmppClient};
use rcseal_carrier::sms::{SenderId, SmsGateway, SmsId, SmsMessage, SmsReport, SmsText};
use rcseal_rcs::number::PhoneNumber;
use rcseal_report::{Report, Row};
use tokio::time::{Instant, timeout_at};

use super::super::jasmin::{self, Arrival, Jasmin, PASSWORD, USER};
use super::{PATIENCE, RunError, expect};

pub(in super::super) use self::speed::speed;

/// How long Jasmin may take to hand messages on, and what came back: it does some fifty in a second while two cores are busy.
const FORWARD_LIMIT: Duration = Duration::from_secs(30);

/// A number that nobody else of these runs sends to; its last digit says what becomes of messages (`peers/jasmin/network.py`).
fn number(run: u32, fate: u8) -> PhoneNumber {
    format!("+49151{run:06}{fate}")
        .parse()
        .expect("eleven digits behind a country code and a prefix are a possible number")
}

fn sender(text: &str) -> SenderId {
    SenderId::parse(text).expect("the senders of these runs are well-formed")
}

fn message(to: &PhoneNumber, from: &str, words: &str) -> SmsMessage {
    SmsMessage {
        to: to.clone(),
        from: sender(from),
        text: SmsText::parse(words).expect("the words of these runs are not empty, and shorter than ten segments"),
        id: SmsId(super::super::line::random()),
        validity_seconds: Some(3600),
        wants_report: true,
    }
}

/// Our client's configuration for an account at Jasmin.
fn config(smsc: &Jasmin, user: &str, password: &str) -> client::Config {
    let credentials = client::Credentials {
        system_id: user.to_owned(),
        password: Password::new(password),
        system_type: String::new(),
    };
    client::Config::new("127.0.0.1", smsc.smpp().port(), credentials)
}

async fn bound(config: client::Config) -> Result<Arc<SmppClient>, RunError> {
    let client = SmppClient::start(config)?;
    client.bound(PATIENCE).await?;
    Ok(Arc::new(client))
}

/// The words of arrivals, without headers, and the longest of them.
fn words(arrivals: &[Arrival]) -> (Vec<u8>, usize) {
    let longest = arrivals.iter().map(|arrival| arrival.octets.len()).max().unwrap_or(0);
    let header =
        |arrival: &Arrival| if arrival.has_header { arrival.octets.first().map_or(0, |len| 1 + len) } else { 0 };
    let mut parts: Vec<&Arrival> = arrivals.iter().collect();
    // Segments may overtake each other between Jasmin's queues; the last octet of a header is the segment's number.
    parts.sort_by_key(|arrival| arrival.octets.get(usize::from(header(arrival)).wrapping_sub(1)).copied());
    let words = parts.iter().flat_map(|arrival| arrival.octets[usize::from(header(arrival))..].to_vec()).collect();
    (words, longest)
}

/// The next report, if it comes in time. It is accepted.
async fn report(gateway: &dyn SmsGateway) -> Option<SmsReport> {
    let arrived = timeout_at(Instant::now() + FORWARD_LIMIT, gateway.next_report()).await.ok()??;
    Some(arrived.accept())
}

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let since = std::time::Instant::now();
    let server = http::Server::start().await?;
    let mut smsc = Jasmin::start(&server.url()).await?;
    report.measure(Row::equal("jasmin", jasmin::version().unwrap_or_default(), ""));
    report.measure(Row::lower("jasmin_ready_seconds", since.elapsed().as_secs_f64(), "s"));
    smpp::binding(report, &smsc).await?;
    smpp::octets(report, &smsc).await?;
    smpp::fates(report, &smsc).await?;
    smpp::inbound(report, &smsc).await?;
    smpp::windows(report, &smsc).await?;
    smpp::throttling(report, &smsc).await?;
    http::run(report, &smsc, &server).await?;
    breaking::run(report, &mut smsc).await
}

/// Waits for something that is sure to come.
async fn until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let ends_at = Instant::now() + limit;
    while !is_so() {
        if Instant::now() >= ends_at {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// What a client is bound for, by name.
const MODES: [(&str, BindMode); 3] =
    [("transceiver", BindMode::Transceiver), ("transmitter", BindMode::Transmitter), ("receiver", BindMode::Receiver)];

/// Shows whose client this is, where several are meant.
const ACCOUNT: (&str, &str) = (USER, PASSWORD);
