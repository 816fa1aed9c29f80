//! Frames from one user agent of ours to another, by way of Kamailio with each of its scripts.
//!
//! The bytes that come out are compared with those that went in. A script that breaks them must be noticed by name, one that refuses must
//! be told apart by name, and where a carrier only claims to have delivered, nothing may look delivered.

use std::sync::Arc;

use rcseal_rcs::transport::{Carriage, SendFailure};
use rcseal_report::Report;

use tokio::sync::Semaphore;

use super::super::line::{Line, Over, awkward_blob, number_of};
use super::super::{Kamailio, Mangle, Setup, User};
use super::{PATIENCE, RunError, SILENCE, expect};

/// What is to become of a message.
#[derive(Clone, Copy)]
enum Fate {
    /// Byte-identical at the far end, once.
    Delivered,
    /// Found to be damaged. Which names the damage has depends on where it struck.
    Damaged,
    /// One or the other, by what stood in the random bytes that the script looked at; altered and accepted is neither.
    DeliveredOrDamaged,
    /// The sender is told, with this code.
    Refused(&'static str),
    /// The carrier says that it has it, and nothing arrives.
    Swallowed,
}

impl Fate {
    /// The words for it, given what was seen.
    fn text(self, seen: &str) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Damaged | Self::DeliveredOrDamaged if seen.starts_with("damaged: ") => seen.to_owned(),
            Self::Damaged => "damaged".to_owned(),
            Self::DeliveredOrDamaged => "delivered".to_owned(),
            Self::Refused(code) => format!("refused: {code}"),
            Self::Swallowed => "taken, not delivered".to_owned(),
        }
    }
}

/// So many scripts run at a time, each with a Kamailio of its own.
const SCRIPTS_AT_ONCE: usize = 4;

/// Longer than what some scripts leave whole, and longer than one message.
const LEN: usize = 1_500;

/// What each script is to lead to, for binary parts and for parts as text.
const fn fates(mangle: Mangle) -> [Fate; 2] {
    match mangle {
        Mangle::Carry
        | Mangle::StripHeaders
        | Mangle::RenameHeaders
        | Mangle::TextType
        | Mangle::Prefix
        | Mangle::Suffix
        | Mangle::Multipart
        | Mangle::Deflate
        | Mangle::ForkTwice
        | Mangle::SendTwice
        | Mangle::Late => [Fate::Delivered, Fate::Delivered],
        Mangle::BareLf => [Fate::Damaged, Fate::Delivered],
        Mangle::Truncate => [Fate::Damaged, Fate::Damaged],
        // Kamailio's replacement ends where a NUL stands: binary parts come through it whole unless the letter stands before the first.
        Mangle::Corrupt => [Fate::DeliveredOrDamaged, Fate::Damaged],
        Mangle::RefuseAbove1300 => [Fate::Delivered, Fate::Delivered],
        Mangle::DropAbove1300 => [Fate::Delivered, Fate::Delivered],
        Mangle::Swallow => [Fate::Swallowed, Fate::Swallowed],
        Mangle::RefuseCpim => [Fate::Refused("carrier_unsupported_media"), Fate::Refused("carrier_unsupported_media")],
        Mangle::Forbid => [Fate::Refused("carrier_refused"), Fate::Refused("carrier_refused")],
        Mangle::Busy => [Fate::Refused("carrier_busy"), Fate::Refused("carrier_busy")],
    }
}

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    // A script is mostly waiting, so some run at once; their rows come in the scripts' order.
    let room = Arc::new(Semaphore::new(SCRIPTS_AT_ONCE));
    let running: Vec<_> = Mangle::ALL
        .iter()
        .map(|mangle| {
            let room = room.clone();
            tokio::spawn(async move {
                let _place = room.acquire().await;
                script(*mangle).await
            })
        })
        .collect();
    for run in running {
        // A task that panicked is counted elsewhere, and its rows are missing here.
        if let Ok(rows) = run.await {
            for Seen { id, seen, expected } in rows? {
                expect(report, &id, &seen, &expected);
            }
        }
    }
    every_wire(report).await
}

/// One row of the report.
struct Seen {
    id: String,
    seen: String,
    expected: String,
}

/// Both forms through one script.
async fn script(mangle: Mangle) -> Result<Vec<Seen>, RunError> {
    let (alice, bob) = (User::nth(1), User::nth(2));
    let setup = Setup { mangle, challenges_messages: false, ..Setup::of(vec![alice.clone(), bob.clone()]) };
    let carrier = Kamailio::start(&setup).await?;
    // A user agent with credentials shows them with every message, and they take three hundred of the 1,300 bytes that some scripts allow.
    let from = Line::unregistered(&carrier, &alice).await?;
    let to = Line::open(&carrier, &bob, Over::Tcp).await?;
    let name = mangle.name().replace('-', "_");
    let mut rows = Vec::new();
    for (form, is_binary, fate) in [("binary", true, fates(mangle)[0]), ("text", false, fates(mangle)[1])] {
        let seen = carry(&from, &to, &bob, is_binary).await;
        let expected = fate.text(&seen);
        rows.push(Seen { id: format!("script_{name}_{form}"), seen, expected });
    }
    if matches!(mangle, Mangle::RefuseAbove1300 | Mangle::DropAbove1300) {
        let seen = too_large(&from, &bob).await.to_owned();
        let expected = if mangle == Mangle::RefuseAbove1300 { "carrier_too_large" } else { "carrier_no_answer" };
        rows.push(Seen { id: format!("script_{name}_at_2000"), seen, expected: expected.to_owned() });
    }
    Ok(rows)
}

/// Each transport on the sending side, and blobs of several lengths.
async fn every_wire(report: &mut Report) -> Result<(), RunError> {
    let (alice, bob) = (User::nth(1), User::nth(2));
    let carrier = Kamailio::start(&Setup::of(vec![alice.clone(), bob.clone()])).await?;
    for over in Over::ALL {
        let from = Line::open(&carrier, &alice, over).await?;
        let to = Line::open(&carrier, &bob, over).await?;
        for is_binary in [true, false] {
            let form = if is_binary { "binary" } else { "text" };
            let mut seen = String::new();
            for _ in 0..5 {
                seen = carry(&from, &to, &bob, is_binary).await;
                if seen != "delivered" {
                    break;
                }
            }
            expect(report, &format!("carried_{}_{form}", over.name()), &seen, "delivered");
        }
        let tags = from
            .agent()
            .options(&number_of(&bob))
            .await
            .map_or_else(|failure| failure.code().to_owned(), |capabilities| capabilities.contacts.concat().join(";"));
        report.promise(&format!("options_shows_our_tag_{}", over.name()), tags.contains("+g.rcseal.frame=\"1\""));
    }
    Ok(())
}

/// Sends a blob and says what became of it.
async fn carry(from: &Line, to: &Line, bob: &User, is_binary: bool) -> String {
    let blob = awkward_blob(LEN);
    let number = number_of(bob);
    // Somebody has to answer while the sender waits, and to listen on for what comes late or twice.
    let (sent, got) = tokio::join!(from.send_blob(&number, &blob, is_binary), to.take_blob(SILENCE, PATIENCE));
    if got.blobs.iter().any(|found| *found != blob) {
        return "ALTERED AND ACCEPTED".to_owned();
    }
    match (sent, got.blobs.len()) {
        (Ok(_), 1) => "delivered".to_owned(),
        (Err(failure), 1) => format!("delivered, and refused: {}", failure.code()),
        (_, 2..) => "delivered twice".to_owned(),
        (_, 0) if !got.damage.is_empty() => {
            format!("damaged: {}", got.damage.into_iter().collect::<Vec<_>>().join(", "))
        }
        (Err(failure), 0) => format!("refused: {}", failure.code()),
        (Ok(_), 0) if got.messages == 0 => "taken, not delivered".to_owned(),
        (Ok(_), 0) => "lost without a name".to_owned(),
    }
}

/// One message that is too large for pager mode.
async fn too_large(from: &Line, bob: &User) -> &'static str {
    let carriage = Carriage::Framed { is_text: false, bytes: awkward_blob(2_000) };
    from.send(&number_of(bob), carriage).await.as_ref().map_or_else(SendFailure::code, |_| "taken")
}
