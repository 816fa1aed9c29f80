//! Our SMPP client against Jasmin's SMPP server.

use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::sms::encoding::{self, Alphabet, gsm7, ucs2};
use rcseal_carrier::sms::smpp::{Config, SmppClient};
use rcseal_carrier::sms::{SmsGateway, SmsMessage};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;
use rcseal_report::{Report, Row};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::super::super::jasmin::{Jasmin, PASSWORD, SLOW_RATE, SLOW_USER, USER};
use super::{ACCOUNT, FORWARD_LIMIT, MODES, PATIENCE, RunError, bound, config, expect, message, number, until, words};

const GSM7: &str = "plain words, a price of 5 €, and [brackets] {of} ~both~ kinds: äöüñ Δ§¿";
const UCS2: &str = "слова, Ελληνικά, 日本語 and a shrimp 🦐";

/// A text of so many characters.
fn long(piece: &str, len: usize) -> String {
    piece.chars().cycle().take(len).collect()
}

/// Each kind of bind, and a password that is not ours.
pub(super) async fn binding(report: &mut Report, smsc: &Jasmin) -> Result<(), RunError> {
    for (name, mode) in MODES {
        let client = SmppClient::start(Config { mode, ..config(smsc, ACCOUNT.0, ACCOUNT.1) })?;
        let seen = client.bound(PATIENCE).await.err().map_or("bound", |failure| failure.code());
        expect(report, &format!("smpp_bind_{name}"), seen, "bound");
        client.close().await;
    }
    let client = SmppClient::start(config(smsc, USER, "wrong"))?;
    let seen = client.bound(PATIENCE).await.err().map_or("bound", |failure| failure.code());
    expect(report, "smpp_bind_wrong_password", seen, "carrier_unauthorized");
    let failure = client.submit(message(&number(1, 8), "RCSeal", "not for sale")).await.err();
    let seen = failure.map_or("sent", |failure| failure.code());
    expect(report, "smpp_submit_without_bind", seen, "carrier_unauthorized");
    let receiver = SmppClient::start(Config { mode: MODES[2].1, ..config(smsc, USER, PASSWORD) })?;
    let failure = receiver.submit(message(&number(1, 8), "RCSeal", "one way")).await.err();
    expect(report, "smpp_submit_as_receiver", failure.map_or("sent", |failure| failure.code()), "carrier_unfit");
    receiver.close().await;
    Ok(())
}

/// What arrives behind the SMSC is what was sent, octet by octet.
pub(super) async fn octets(report: &mut Report, smsc: &Jasmin) -> Result<(), RunError> {
    let cases = [
        ("gsm7", GSM7.to_owned(), 1),
        ("ucs2", UCS2.to_owned(), 1),
        // 14 times 11 septets, and 6.
        ("gsm7_160", long("abc €[x]", 117), 1),
        ("gsm7_long", long("and so on, for 5 € each; ", 460), 4),
        ("ucs2_long", long("и так далее 🦐 ", 200), 4),
    ];
    let client = bound(config(smsc, USER, PASSWORD)).await?;
    for (index, (name, text, segments)) in (20..).zip(cases) {
        let to = number(index, 8);
        let submitted = client.submit(message(&to, "+4917012345678", &text)).await?;
        let arrivals = smsc.network().wait_for(to.as_str(), segments, PATIENCE).await;
        let (octets, longest) = words(&arrivals);
        let alphabet = encoding::plan(&text).alphabet();
        let expected: Vec<u8> = match alphabet {
            Alphabet::Gsm7 => {
                let characters = gsm7::characters(&text).unwrap_or_default();
                characters.iter().flat_map(|character| character.as_slice().to_vec()).collect()
            }
            Alphabet::Ucs2 => text.chars().flat_map(ucs2::encode_char).collect(),
        };
        let coding = match alphabet {
            Alphabet::Gsm7 => 0,
            Alphabet::Ucs2 => 8,
        };
        let is_whole = octets == expected && arrivals.iter().all(|arrival| arrival.data_coding == coding);
        report.promise(&format!("smpp_{name}_same_octets"), is_whole);
        let counts = (arrivals.len(), usize::from(submitted.segments), submitted.parts.len());
        report.promise(&format!("smpp_{name}_segments"), counts == (segments, segments, segments));
        report.promise(&format!("smpp_{name}_fits"), longest <= 160);
        let is_from = arrivals.iter().all(|arrival| arrival.from.ends_with("4917012345678"));
        report.promise(&format!("smpp_{name}_sender"), is_from);
    }
    client.close().await;
    Ok(())
}

/// What becomes of a message comes back as one report.
pub(super) async fn fates(report: &mut Report, smsc: &Jasmin) -> Result<(), RunError> {
    let client = bound(config(smsc, USER, PASSWORD)).await?;
    let fates = [
        ("delivered", 1, "short", "delivered"),
        ("undeliverable", 2, "short", "undeliverable"),
        ("expired", 3, "short", "expired"),
        ("rejected", 4, "short", "rejected"),
        ("by_parameters_alone", 7, "short", "delivered"),
    ];
    for (index, (name, fate, text, expected)) in (40..).zip(fates) {
        let submitted = client.submit(message(&number(index, fate), "RCSeal", text)).await?;
        let seen = super::report(&*client).await;
        let is_it = seen.as_ref().is_some_and(|seen| seen.gateway_id == submitted.gateway_id);
        report.promise(&format!("smpp_report_{name}_names_the_message"), is_it);
        let seen = seen.map_or("nothing", |seen| seen.state.code());
        expect(report, &format!("smpp_report_{name}"), seen, expected);
    }
    // What the network refuses at once Jasmin keeps to itself, unless failures alone were asked for: a report may never come.
    client.submit(message(&number(48, 6), "RCSeal", "refused")).await?;
    let seen = timeout_at(Instant::now() + super::super::SILENCE, client.next_report()).await.ok().flatten();
    let seen = seen.map_or("nothing", |seen| seen.accept().state.code());
    report.measure(Row::equal("smpp_report_refused_by_the_network", seen, ""));
    // Four segments, four receipts, one report.
    let text = long("and so on, ", 500);
    let submitted = client.submit(message(&number(49, 1), "RCSeal", &text)).await?;
    let seen = super::report(&*client).await;
    let is_it = seen.is_some_and(|seen| seen.gateway_id == submitted.gateway_id && seen.state.code() == "delivered");
    report.promise("smpp_report_of_four_segments", is_it && submitted.segments == 4);
    let more = timeout_at(Instant::now() + super::super::SILENCE, client.next_report()).await;
    report.promise("smpp_report_of_four_segments_once", more.is_err());
    // A report that nobody took is sent again; Jasmin waits a second.
    client.submit(message(&number(50, 1), "RCSeal", "again")).await?;
    let first = timeout_at(Instant::now() + PATIENCE, client.next_report()).await.ok().flatten();
    let first = first.map(|arrived| arrived.item().gateway_id.clone());
    let second = super::report(&*client).await.map(|report| report.gateway_id);
    report.promise("smpp_report_not_taken_comes_again", first.is_some() && first == second);
    client.close().await;
    Ok(())
}

/// Messages that come in.
pub(super) async fn inbound(report: &mut Report, smsc: &Jasmin) -> Result<(), RunError> {
    let client = bound(config(smsc, USER, PASSWORD)).await?;
    let texts = [("gsm7", GSM7.to_owned()), ("ucs2", UCS2.to_owned()), ("long", long("и так далее 🦐 ", 150))];
    for (index, (name, text)) in (60..).zip(texts) {
        // The phone there answers with the same octets.
        let echoed = message(&number(index, 5), "+4917012345678", &text);
        client.submit(SmsMessage { wants_report: false, ..echoed }).await?;
        let arrived = timeout_at(Instant::now() + PATIENCE, client.receive()).await.ok().flatten();
        let message = arrived.map(|arrived| arrived.accept());
        let is_same = message.as_ref().is_some_and(|message| message.text == text);
        report.promise(&format!("smpp_inbound_{name}_same_words"), is_same);
        let is_from = message.is_some_and(|message| message.from.as_str() == number(index, 5).as_str());
        report.promise(&format!("smpp_inbound_{name}_sender"), is_from);
    }
    client.close().await;
    Ok(())
}

/// One of many messages of which no report is wanted.
fn unreported(to: &PhoneNumber, each: usize) -> SmsMessage {
    SmsMessage { wants_report: false, ..message(to, "RCSeal", &format!("number {each}")) }
}

/// How many messages a window's measure takes.
const BURST: usize = 300;

/// No more wait for an answer than the window says, and all arrive once.
pub(super) async fn windows(report: &mut Report, smsc: &Jasmin) -> Result<(), RunError> {
    for (index, window) in (70..).zip([1, 10, 100]) {
        let client = bound(Config { window, ..config(smsc, USER, PASSWORD) }).await?;
        let to = number(index, 8);
        let mut sending = JoinSet::new();
        let since = Instant::now();
        for each in 0..BURST {
            let (client, message) = (Arc::clone(&client), unreported(&to, each));
            sending.spawn(async move { client.submit(message).await });
        }
        let (mut most, mut taken) = (0, 0);
        while let Some(outcome) = sending.join_next().await {
            most = most.max(client.status().in_flight);
            taken += usize::from(matches!(outcome, Ok(Ok(_))));
        }
        let rate = BURST as f64 / since.elapsed().as_secs_f64();
        report.promise(&format!("smpp_window_{window}_kept"), most <= window);
        report.promise(&format!("smpp_window_{window}_all_taken"), taken == BURST);
        let arrivals = smsc.network().wait_for(to.as_str(), BURST, FORWARD_LIMIT).await;
        let once: std::collections::BTreeSet<_> = arrivals.iter().map(|arrival| &arrival.octets).collect();
        report
            .promise(&format!("smpp_window_{window}_all_arrive_once"), (arrivals.len(), once.len()) == (BURST, BURST));
        report.measure(Row::higher(&format!("smpp_window_{window}_submits"), rate, "1/s"));
        client.close().await;
    }
    Ok(())
}

/// An SMSC that says it is asked too fast gets everything, once and more slowly.
pub(super) async fn throttling(report: &mut Report, smsc: &Jasmin) -> Result<(), RunError> {
    let count = usize::try_from(SLOW_RATE).unwrap_or(usize::MAX);
    let mut config = Config { window: 5, ..config(smsc, SLOW_USER, PASSWORD) };
    config.timers.throttle_min = Duration::from_millis(60);
    config.timers.throttle_max = Duration::from_millis(400);
    config.timers.patience = Duration::from_secs(60);
    let client = bound(config.clone()).await?;
    let to = number(80, 8);
    let mut sending = JoinSet::new();
    for each in 0..count {
        let (client, message) = (Arc::clone(&client), unreported(&to, each));
        sending.spawn(async move { client.submit(message).await });
    }
    let mut taken = 0;
    while let Some(outcome) = sending.join_next().await {
        taken += usize::from(matches!(outcome, Ok(Ok(_))));
    }
    let status = client.status();
    report.promise("smpp_throttled", status.throttled > 0);
    report.promise("smpp_throttled_all_taken", taken == count);
    let arrivals = smsc.network().wait_for(to.as_str(), count, PATIENCE).await;
    report.promise("smpp_throttled_all_arrive_once", arrivals.len() == count);
    report.measure(Row::lower("smpp_throttled_times", status.throttled as f64, ""));
    client.close().await;
    // Without patience it is given back, and nothing of it was taken.
    config.timers.patience = Duration::from_millis(20);
    let client = bound(config).await?;
    let to = number(81, 8);
    let mut busy = 0;
    for each in 0..10 {
        let outcome = client.submit(unreported(&to, each)).await;
        busy += usize::from(matches!(outcome, Err(SendFailure::Busy { .. })));
    }
    let is_rest = until(PATIENCE, || smsc.network().arrivals(to.as_str()).len() == 10 - busy).await;
    report.promise("smpp_throttled_without_patience_is_busy", busy > 0 && is_rest);
    client.close().await;
    Ok(())
}
