//! Messages that are too large for a SIP message: a session of MSRP, from end to end and by way of Kamailio as a relay.
//!
//! Here speaks the whole transport, which chooses between the two by itself: what goes in on one side is compared with what comes out on
//! the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::msrp::{MsrpConfig, Protection};
use rcseal_carrier::sip::Config;
use rcseal_carrier::sip_transport::{SipTransport, SipTransportConfig};
use rcseal_carrier::tls::SelfSigned;
use rcseal_carrier::transport::{Answer, Transport};
use rcseal_rcs::frame::{Assembly, AssemblyLimits, FrameId, Kind, Progress, find_in, split};
use rcseal_rcs::transport::{CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure};
use rcseal_report::Report;
use tokio::time::{Instant, timeout_at};

use super::super::line::{LineError, Over, awkward_blob, by_way_of, config, number_of, random, subscriber};
use super::super::{Kamailio, Mangle, Role, Setup, User};
use super::{PATIENCE, RunError, expect};

/// How sessions are protected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Sealing {
    /// TCP, which a relay of this version of Kamailio takes part in.
    Plain,
    /// TLS between the ends.
    Tls,
}

/// The whole transport of a user, registered.
pub(in super::super) async fn open(
    carrier: &Kamailio,
    user: &User,
    over: Over,
    sealing: Sealing,
    is_transparent: bool,
) -> Result<Arc<SipTransport>, LineError> {
    let agent = config(carrier, user, over, subscriber(user))?;
    let transport = start(agent, sealing, is_transparent).await?;
    transport.agent().register().await.map_err(LineError::Register)?;
    Ok(transport)
}

/// The same over TCP and by way of somebody, registered as soon as that lets it.
pub(in super::super) async fn open_by(
    carrier: &Kamailio,
    user: &User,
    by: SocketAddr,
    sealing: Sealing,
    is_transparent: bool,
) -> Result<Arc<SipTransport>, LineError> {
    let agent = by_way_of(by, config(carrier, user, Over::Tcp, subscriber(user))?);
    let transport = start(agent, sealing, is_transparent).await?;
    // It goes on trying by itself.
    let _ = transport.agent().register().await;
    Ok(transport)
}

async fn start(agent: Config, sealing: Sealing, is_transparent: bool) -> Result<Arc<SipTransport>, LineError> {
    let protection = match sealing {
        Sealing::Plain => Protection::Plain,
        Sealing::Tls => Protection::Tls(Arc::new(SelfSigned::generate()?)),
    };
    let msrp = MsrpConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), protection);
    let config = SipTransportConfig { is_transparent, ..SipTransportConfig::new(agent, Some(msrp)) };
    Ok(SipTransport::start(config).await?)
}

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    let direct = [("direct", Role::Registrar, Sealing::Plain), ("direct_tls", Role::Registrar, Sealing::Tls)];
    for (name, role, sealing) in direct.into_iter().chain([("by_relay", Role::MsrpRelay, Sealing::Plain)]) {
        for len in [300, 20_000, 60_000] {
            let seen = carry(role.clone(), Mangle::Carry, sealing, len).await?;
            expect(report, &format!("session_{name}_{len}"), &seen, "delivered");
        }
    }
    // What pager mode does not carry, a session does; and where nothing is said of a message, nobody may believe it delivered.
    let seen = carry(Role::Registrar, Mangle::RefuseAbove1300, Sealing::Tls, 700).await?;
    expect(report, "session_where_message_is_refused", &seen, "delivered");
    let seen = carry(Role::Registrar, Mangle::DropAbove1300, Sealing::Tls, 700).await?;
    expect(report, "message_where_nothing_is_said", &seen, "refused: carrier_no_answer");
    Ok(())
}

async fn carry(role: Role, mangle: Mangle, sealing: Sealing, len: usize) -> Result<String, RunError> {
    let (alice, bob) = (User::nth(1), User::nth(2));
    let setup = Setup { role, mangle, ..Setup::of(vec![alice.clone(), bob.clone()]) };
    let carrier = Kamailio::start(&setup).await?;
    let from = open(&carrier, &alice, Over::Tcp, sealing, true).await?;
    let to = open(&carrier, &bob, Over::Tcp, sealing, true).await?;
    let blob = awkward_blob(len);
    let (sent, got) = tokio::join!(send(&from, &bob, &blob), take(&to));
    Ok(match (sent, got) {
        (Ok(()), Some(found)) if found == blob => "delivered".to_owned(),
        (_, Some(found)) if found != blob => "ALTERED AND ACCEPTED".to_owned(),
        (Err(failure), Some(_)) => format!("delivered, and refused: {}", failure.code()),
        (Err(failure), None) => format!("refused: {}", failure.code()),
        (Ok(()), _) => "taken, not delivered".to_owned(),
    })
}

async fn send(from: &SipTransport, to: &User, blob: &[u8]) -> Result<(), SendFailure> {
    let profile = from.profile();
    let parts = split(Kind::Envelope, FrameId::from_bytes(random()), blob, &profile).map_err(|_| SendFailure::Unfit)?;
    for part in parts {
        let message = CarrierMessage {
            to: number_of(to),
            id: CarrierMessageId::from_random(random()),
            receipts: ReceiptRequest::default(),
            carriage: part.carriage(&profile),
        };
        from.send(message).await?;
    }
    Ok(())
}

/// The next whole blob, if one comes before the patience ends.
async fn take(at: &SipTransport) -> Option<Vec<u8>> {
    let until = Instant::now() + PATIENCE.min(Duration::from_secs(8));
    let mut assembly = Assembly::new(AssemblyLimits::default());
    loop {
        let inbound = timeout_at(until, at.receive()).await.ok()??;
        let found =
            find_in(Some(&inbound.content_type), inbound.content_encoding.as_deref(), &inbound.body).into_owned();
        inbound.answer(Answer::Accepted);
        for part in found.parts {
            if let Ok(Progress::Complete(blob)) = assembly.add(part, 0) {
                return Some(blob.bytes.into_owned());
            }
        }
    }
}
