//! Messages per second by way of Kamailio: from our user agent to our user agent, and from SIPp to SIPp.
//!
//! Both send a wrapped message of the same length through the same Kamailio, with the same number under way, and take turns round by round,
//! so that each pair of rounds saw the same machine. What is compared is the middle of the rounds. Kamailio asks nobody for credentials here,
//! because SIPp does not show them with every message as our user agent does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rcseal_carrier::sip::PagerMessage;
use rcseal_carrier::transport::Answer;
use rcseal_report::{Report, Row};
use rcseal_sim::peers::line::{Line, Over, number_of};
use rcseal_sim::peers::{Kamailio, Setup, User, missing_program, sipp};
use tokio::task::JoinSet;

use crate::timing::median;

/// Messages in a round, how many of them are under way, and rounds.
const MESSAGES: u32 = 4_000;
const AT_ONCE: u32 = 32;
const ROUNDS: usize = 7;
/// Letters in a message of SIPp's, which makes its wrapped body as long as ours.
const LETTERS: usize = 500;
const BODY_LEN: usize = 862;
const GOAL: f64 = 0.8;

pub(crate) fn measure(report: &mut Report) {
    if let Some(program) = missing_program() {
        eprintln!("{program} is not installed: nothing is measured by way of a carrier");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (ours, theirs) = runtime.block_on(rounds());
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    report.measure(Row::higher("pager_messages_per_s", median(&ours), "/s").peer("sipp", median(&theirs)));
    report.measure(Row::higher("pager_share_of_sipp", median(&ours) / median(&theirs), "").goal(GOAL));
    report.measure(Row::higher("pager_share_of_sipp_by_rounds", median(&ratios), ""));
}

async fn rounds() -> (Vec<f64>, Vec<f64>) {
    let users: Vec<User> = (1..=4).map(User::nth).collect();
    let setup = Setup { challenges_messages: false, ..Setup::of(users.clone()) };
    let carrier = Kamailio::start(&setup).await.unwrap();
    let from = Arc::new(Line::unregistered(&carrier, &users[0]).await.unwrap());
    let to = Arc::new(Line::open(&carrier, &users[1], Over::Udp).await.unwrap());
    let taking = tokio::spawn({
        let to = Arc::clone(&to);
        async move {
            while let Some(inbound) = to.agent().receive().await {
                inbound.answer(Answer::Accepted);
            }
        }
    });
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first round of each warms up and is not counted.
    for round in 0..=ROUNDS {
        let our_rate = send(&from, &users[1]).await;
        let taker = sipp::Taker::start(carrier.address(), &users[3], MESSAGES, Duration::from_secs(120)).await.unwrap();
        let counted = sipp::send(carrier.address(), &users[2], &users[3], LETTERS, MESSAGES, AT_ONCE).await.unwrap();
        taker.stop().await;
        assert_eq!((counted.ok, counted.failed), (u64::from(MESSAGES), 0));
        if round > 0 {
            ours.push(our_rate);
            theirs.push(counted.per_second);
        }
    }
    taking.abort();
    (ours, theirs)
}

/// Sends a round's messages, each once the answer to an earlier one has made room.
async fn send(from: &Arc<Line>, to: &User) -> f64 {
    let number = number_of(to);
    let message = PagerMessage {
        to: number,
        content_type: "message/cpim".to_owned(),
        body: wrapped().into(),
        conversation: Some([7; 16]),
    };
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (from, message) = (Arc::clone(from), message.clone());
        senders.spawn(async move {
            for _ in 0..MESSAGES / AT_ONCE {
                from.agent().message(message.clone()).await.unwrap();
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    f64::from(MESSAGES) / began.elapsed().as_secs_f64()
}

/// A wrapped message of the length that SIPp's has.
fn wrapped() -> Vec<u8> {
    let mut body = b"From: <sip:+4915100000101@carrier.test>\r\nTo: <sip:+4915100000102@carrier.test>\r\n\
        DateTime: 2026-11-23T12:00:00Z\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: m1\r\n\
        imdn.Disposition-Notification: positive-delivery, negative-delivery\r\n\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\n"
        .to_vec();
    body.resize(BODY_LEN, b'a');
    body
}
