//! An SMSC that is cut off with messages in flight.
//!
//! What the SMSC has answered is its own. What it has not answered is unconfirmed: it may have arrived behind it or not, and it must not be sent
//! again. What had not left waits for the SMSC to come back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::sms::SmsGateway;
use rcseal_carrier::sms::smpp::{Config, LinkState};
use rcseal_rcs::transport::SendFailure;
use rcseal_report::{Report, Row};
use tokio::task::JoinSet;

use super::super::super::jasmin::{Jasmin, PASSWORD, USER};
use super::{FORWARD_LIMIT, PATIENCE, RunError, bound, config, message, number, until};

const COUNT: usize = 400;
const WINDOW: usize = 50;
/// How many the SMSC has taken when it is cut off.
const TAKEN_BEFORE: u64 = 100;

pub(super) async fn run(report: &mut Report, smsc: &mut Jasmin) -> Result<(), RunError> {
    let mut config = Config { window: WINDOW, ..config(smsc, USER, PASSWORD) };
    config.timers.reconnect_min = Duration::from_millis(100);
    config.timers.reconnect_max = Duration::from_secs(1);
    config.timers.patience = Duration::from_secs(60);
    let client = bound(config).await?;
    let to = number(90, 8);
    let mut sending = JoinSet::new();
    for each in 0..COUNT {
        let client = Arc::clone(&client);
        let mut message = message(&to, "RCSeal", &format!("number {each}"));
        message.wants_report = false;
        sending.spawn(async move { (each, client.submit(message).await) });
    }
    let has_begun = until(PATIENCE, || client.status().taken >= TAKEN_BEFORE).await;
    smsc.kill()?;
    report.promise("smpp_break_in_the_middle", has_begun && client.status().taken < COUNT as u64);
    let is_noticed = until(PATIENCE, || client.status().link == LinkState::Connecting).await;
    report.promise("smpp_break_noticed", is_noticed);
    smsc.restart().await?;
    let (mut taken, mut unconfirmed, mut other) = (0, 0, 0);
    let mut outcomes = HashMap::new();
    while let Some(outcome) = sending.join_next().await {
        let Ok((each, outcome)) = outcome else { continue };
        match &outcome {
            Ok(_) => taken += 1,
            Err(SendFailure::NoAnswer) => unconfirmed += 1,
            Err(_) => other += 1,
        }
        outcomes.insert(format!("number {each}"), outcome.is_ok());
    }
    report.promise("smpp_break_leaves_unconfirmed", unconfirmed > 0 && unconfirmed <= WINDOW);
    report.promise("smpp_break_the_rest_is_taken", other == 0 && taken + unconfirmed == COUNT);
    report.promise("smpp_bound_again", client.status().connections == 2);
    report.measure(Row::equal("smpp_break_unconfirmed", unconfirmed, ""));

    // Once everything has had time: nothing arrives twice, whatever it was told.
    let arrivals = smsc.network().wait_for(to.as_str(), taken, FORWARD_LIMIT).await;
    let mut counted: HashMap<String, usize> = HashMap::new();
    for arrival in arrivals {
        *counted.entry(String::from_utf8_lossy(&arrival.octets).into_owned()).or_default() += 1;
    }
    let twice = |is_taken: bool| {
        let of = outcomes.iter().filter(|(_, taken)| **taken == is_taken);
        of.filter(|(words, _)| counted.get(*words).is_some_and(|count| *count > 1)).count()
    };
    let lost = outcomes.iter().filter(|(words, is_taken)| **is_taken && !counted.contains_key(*words)).count();
    let more = outcomes.iter().filter(|(words, is_taken)| !**is_taken && counted.contains_key(*words)).count();
    report.promise_row(Row::equal("smpp_break_unconfirmed_arrived_twice", twice(false), "").goal(0));
    // What Jasmin had taken, and sent again or lost when it was cut off, is Jasmin's; it is said, and no promise of ours.
    report.measure(Row::lower("smpp_break_taken_and_sent_twice_by_the_smsc", twice(true), ""));
    report.measure(Row::lower("smpp_break_taken_and_lost_by_the_smsc", lost, ""));
    report.measure(Row::equal("smpp_break_unconfirmed_that_arrived", more, ""));
    client.close().await;
    Ok(())
}
