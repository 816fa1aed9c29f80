//! An application server of ours behind a trusted trunk: it asserts who sends, is told who registers, and is told who sends to it.

use rcseal_carrier::sip::Trunk;
use rcseal_rcs::transport::Sender;
use rcseal_report::Report;
use tokio::time::{Instant, timeout_at};

use super::super::line::{Line, Over, awkward_blob, number_of, pager_profile, random};
use super::super::process::free_port;
use super::super::{Kamailio, Role, Setup, User, prepare};
use super::{PATIENCE, RunError, expect};

/// So much fits into one message.
const ONE_MESSAGE: usize = 100;

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let (server, bob) = (User { number: "+491700000101".to_owned(), password: String::new() }, User::nth(2));
    let server_port = free_port().map_err(prepare("a port"))?;
    let role = Role::Trunk { server_port, prefix: "49170".to_owned() };
    let carrier = Kamailio::start(&Setup { role, ..Setup::of(vec![bob.clone()]) }).await?;
    let at_server = Line::trunk(&carrier, &server, server_port, Trunk::default()).await?;
    let at_bob = Line::open(&carrier, &bob, Over::Udp).await?;

    let (server_number, bob_number) = (number_of(&server), number_of(&bob));
    let blob = awkward_blob(ONE_MESSAGE);
    // Towards the subscriber: the carrier passes on whom we assert.
    let (sent, from) = tokio::join!(at_server.send_blob(&bob_number, &blob, true), sender(&at_bob));
    sent?;
    expect(report, "trunk_to_subscriber_sender", &from, "claimed by +491700000101");

    // Towards us: the carrier has authenticated its subscriber, and says who it is.
    let (sent, from) = tokio::join!(at_bob.send_blob(&server_number, &blob, true), sender(&at_server));
    sent?;
    expect(report, "subscriber_to_trunk_sender", &from, &format!("asserted to be {}", bob.number));

    // Somebody else who claims to be the application server is not believed.
    let profile = pager_profile(true);
    let part = rcseal_rcs::frame::split(
        rcseal_rcs::frame::Kind::Envelope,
        rcseal_rcs::frame::FrameId::from_bytes(random()),
        &blob,
        &profile,
    );
    let elsewhere = free_port().map_err(prepare("a port"))?;
    let impostor = Line::trunk(&carrier, &server, elsewhere, Trunk::default()).await?;
    let refused = match part.ok().and_then(|parts| parts.into_iter().next()) {
        Some(part) => impostor.send(&bob_number, part.carriage(&profile)).await.err(),
        None => None,
    };
    report.promise("trunk_impostor_refused", refused.is_some());
    Ok(())
}

/// Who the next message is from, as far as we believe it.
async fn sender(line: &Line) -> String {
    let Ok(Some(inbound)) = timeout_at(Instant::now() + PATIENCE, line.agent().receive()).await else {
        return "nobody".to_owned();
    };
    let from = inbound.from.clone();
    inbound.answer(rcseal_carrier::transport::Answer::Accepted);
    match from {
        Sender::Asserted(number) => format!("asserted to be {}", number.as_str()),
        Sender::Claimed(number) => format!("claimed by {}", number.as_str()),
        Sender::Anonymous => "anonymous".to_owned(),
    }
}
