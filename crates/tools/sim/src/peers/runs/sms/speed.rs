//! How many messages our client gets answered in a second, beside the SMSC's own limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcseal_carrier::sms::SmsGateway;
use rcseal_carrier::sms::smpp::Config;
use rcseal_report::{Report, Row};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::super::jasmin::{Jasmin, PASSWORD, USER, flood};
use super::{RunError, bound, config, message, number};

/// Enough for some two seconds of Jasmin's.
const COUNT: usize = 4_000;
/// Messages that are handed over at a time: enough to keep any window full, as a queue of a broker's would.
const CALLERS: usize = 200;

/// One measure of ours.
async fn ours(config: Config, to: &rcseal_rcs::number::PhoneNumber) -> Result<f64, RunError> {
    let client = bound(config).await?;
    let left = Arc::new(AtomicUsize::new(COUNT));
    let mut template = message(to, "RCSeal", "one of many, as short as a one-time code: 123456");
    (template.wants_report, template.validity_seconds) = (false, None);
    let since = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, left, template) = (Arc::clone(&client), Arc::clone(&left), template.clone());
        callers.spawn(async move {
            let mut taken = 0_usize;
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                taken += usize::from(client.submit(template.clone()).await.is_ok());
            }
            taken
        });
    }
    let mut taken = 0;
    while let Some(more) = callers.join_next().await {
        taken += more.unwrap_or(0);
    }
    let rate = taken as f64 / since.elapsed().as_secs_f64();
    client.close().await;
    Ok(rate)
}

/// Measures windows of 10 and 100, three times in turn, and takes the median: our client, and a second one that does nothing but keep its
/// window full. Both submit through Jasmin to a number from which no receipts come.
///
/// # Errors
/// [`RunError`].
pub(in super::super::super) async fn speed(report: &mut Report) -> Result<(), RunError> {
    // Nothing comes in, so that nothing is pushed.
    let smsc = Jasmin::start("http://127.0.0.1:9/").await?;
    for window in [10, 100] {
        let (mut by_us, mut by_the_other) = (Vec::new(), Vec::new());
        for round in 0..3 {
            let to = number(200 + round, 8);
            by_us.push(ours(Config { window, ..config(&smsc, USER, PASSWORD) }, &to).await?);
            let account = (USER, PASSWORD);
            by_the_other.push(flood(smsc.smpp(), account, to.as_str(), COUNT, window).await?);
        }
        let (by_us, limit) = (median(by_us), median(by_the_other));
        let row = Row::higher(&format!("smpp_window_{window}_submits"), by_us, "1/s").goal(1_000.0);
        report.measure(row.peer("the SMSC's own limit", limit));
        report.measure(Row::higher(&format!("smpp_window_{window}_of_the_limit"), by_us / limit, ""));
    }
    // Without Jasmin: what our client does where the SMSC is none (the stand-in that Jasmin sends to).
    let mut direct = Config { window: 100, ..config(&smsc, USER, PASSWORD) };
    direct.port = smsc.network().address().port();
    let rate = ours(direct, &number(210, 8)).await?;
    report.measure(Row::higher("smpp_window_100_submits_to_the_stand_in", rate, "1/s"));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
