//! Frames from one user agent of ours to another, by way of Kamailio with each of its scripts.
//!
//! The bytes that come out are compared with those that went in. A script that breaks them must be noticed by name, one that refuses must
//! be told apart by name, and where a carrier only claims to have delivered, nothing may look delivered.

use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_report::Report;

use super::super::line::{Line, Over, awkward_blob, messages_for, number_of};
use super::super::{Kamailio, Mangle, Setup, User};
use super::{PATIENCE, RunError, SILENCE, expect};

/// What is to become of a message.
#[derive(Clone, Copy)]
enum Fate {
    /// Byte-identical at the far end, once.
    Delivered,
    /// Found to be damaged, with this code.
    Damaged(&'static str),
    /// The sender is told, with this code.
    Refused(&'static str),
    /// The carrier says that it has it, and nothing arrives.
    Swallowed,
}

impl Fate {
    fn text(self) -> String {
        match self {
            Self::Delivered => "delivered".to_owned(),
            Self::Damaged(code) => format!("damaged: {code}"),
            Self::Refused(code) => format!("refused: {code}"),
            Self::Swallowed => "taken, not delivered".to_owned(),
        }
    }
}

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
        Mangle::BareLf => [Fate::Damaged("frame_line_endings"), Fate::Delivered],
        Mangle::Truncate => [Fate::Damaged("frame_part_truncated"), Fate::Damaged("frame_part_truncated")],
        Mangle::Corrupt => [Fate::Damaged("frame_part_corrupt"), Fate::Damaged("frame_part_corrupt")],
        Mangle::RefuseAbove1300 => [Fate::Delivered, Fate::Delivered],
        Mangle::DropAbove1300 => [Fate::Delivered, Fate::Delivered],
        Mangle::Swallow => [Fate::Swallowed, Fate::Swallowed],
        Mangle::RefuseCpim => [Fate::Refused("carrier_unsupported_media"), Fate::Refused("carrier_unsupported_media")],
        Mangle::Forbid => [Fate::Refused("carrier_refused"), Fate::Refused("carrier_refused")],
        Mangle::Busy => [Fate::Refused("carrier_busy"), Fate::Refused("carrier_busy")],
    }
}

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    for mangle in Mangle::ALL {
        let (alice, bob) = (User::nth(1), User::nth(2));
        let setup = Setup { mangle: *mangle, ..Setup::of(vec![alice.clone(), bob.clone()]) };
        let carrier = Kamailio::start(&setup).await?;
        let from = Line::open(&carrier, &alice, Over::Udp).await?;
        let to = Line::open(&carrier, &bob, Over::Tcp).await?;
        for (form, is_binary, fate) in [("binary", true, fates(*mangle)[0]), ("text", false, fates(*mangle)[1])] {
            let seen = carry(&from, &to, &bob, is_binary).await;
            expect(report, &format!("script_{}_{form}", mangle.name().replace('-', "_")), &seen, &fate.text());
        }
        if matches!(mangle, Mangle::RefuseAbove1300 | Mangle::DropAbove1300) {
            let seen = too_large(&from, &bob).await;
            let expected = if *mangle == Mangle::RefuseAbove1300 { "carrier_too_large" } else { "carrier_no_answer" };
            expect(report, &format!("script_{}_at_2000", mangle.name().replace('-', "_")), seen, expected);
        }
    }
    every_wire(report).await
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
    let messages = messages_for(LEN, is_binary);
    let number = number_of(bob);
    let (sent, got) = tokio::join!(from.send_blob(&number, &blob, is_binary), async {
        // Somebody has to answer while the sender waits; what a script repeats comes within moments of the first.
        let mut got = to.take_blob(messages, PATIENCE).await;
        if got.blob.is_none() && got.messages < messages {
            got.messages += to.take_blob(messages, SILENCE).await.messages;
        }
        got
    });
    // Left over: what came twice.
    let repeated = to.take_blob(usize::MAX, std::time::Duration::from_millis(600)).await;
    match (sent, got.blob) {
        (_, Some(found)) if found != blob => "ALTERED AND ACCEPTED".to_owned(),
        (Ok(Taken::Answered), Some(_)) if repeated.messages == 0 || repeated.blob.is_none_or(|found| found == blob) => {
            "delivered".to_owned()
        }
        (Ok(_), Some(_)) => "delivered and something else".to_owned(),
        (Err(failure), Some(_)) => format!("delivered, and refused: {}", failure.code()),
        (_, None) if !got.damage.is_empty() => {
            format!("damaged: {}", got.damage.into_iter().collect::<Vec<_>>().join(", "))
        }
        (Err(failure), None) => format!("refused: {}", failure.code()),
        (Ok(_), None) if got.messages == 0 => "taken, not delivered".to_owned(),
        (Ok(_), None) => "lost without a name".to_owned(),
    }
}

/// One message that is too large for pager mode.
async fn too_large(from: &Line, bob: &User) -> &'static str {
    let carriage = rcseal_rcs::transport::Carriage::Framed { is_text: false, bytes: awkward_blob(2_000) };
    match from.send(&number_of(bob), carriage).await {
        Ok(_) => "taken",
        Err(failure @ (SendFailure::TooLarge | SendFailure::NoAnswer)) => failure.code(),
        Err(failure) => failure.code(),
    }
}
