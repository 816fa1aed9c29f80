//! What carriers make of a message, and what comes of it here.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use rcseal_rcs::frame::{self, Damage, Kind};
use rcseal_rcs::transport::{Carriage, Sender};

use super::{ADA, Pair, number, pager, part, wide, wrapped};
use crate::Disposition;
use crate::carrier::{CarrierAnswer, CarrierDisposition};
use crate::tests::world::texts;

fn counts(pair: &mut Pair) -> Vec<(String, u64)> {
    let mutations = pair.bob.with(0, |engine| engine.carrier_mutations()).unwrap();
    mutations.into_iter().map(|mutation| (mutation.code, mutation.count)).collect()
}

const CONSUMED: CarrierDisposition = CarrierDisposition::Envelope(Disposition::Consumed);

#[test]
fn a_frame_is_found_whatever_the_carrier_says_of_it() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("renamed");
    // The wrapper is there, and its media type is gone.
    assert_eq!(pair.bring_body("text/plain", &wrapped(&handed[0].messages[0])), CONSUMED);
    assert_eq!(counts(&mut pair), [("wrapper_displaced".to_owned(), 1)]);
    // The wrapper is gone.
    let handed = pair.ada_writes("bare");
    let Carriage::Framed { bytes, .. } = &handed[0].messages[0].carriage else { panic!() };
    assert_eq!(pair.bring_body("application/octet-stream", bytes), CONSUMED);
    // Something is put round it.
    let handed = pair.ada_writes("surrounded");
    let text = part(&handed[0].messages[0]).to_text();
    let quoted = format!("> Forwarded by your carrier:\r\n> {text}\r\n-- \r\nGet more for less!");
    assert_eq!(pair.bring_body("text/plain", quoted.as_bytes()), CONSUMED);
    let named: Vec<_> = counts(&mut pair).into_iter().map(|(code, _)| code).collect();
    assert_eq!(named, ["body_surrounded", "type_rewritten", "wrapper_absent", "wrapper_displaced"]);
    assert_eq!(texts(&mut pair.bob, pair.conversation)[2..], ["renamed", "bare", "surrounded"]);
}

#[test]
fn damage_is_named_counted_and_answered_so_that_the_sender_takes_another_way() {
    let mut pair = Pair::new(&wide());
    let handed = pair.ada_writes("damaged");
    let Carriage::Framed { bytes, .. } = &handed[0].messages[0].carriage else { panic!() };
    let cut = &bytes[..bytes.len() - 20];
    let disposition = pair.bring_body("application/vnd.rcseal.frame", cut);
    assert!(matches!(disposition, CarrierDisposition::Damaged(Damage::Truncated { .. })), "{disposition:?}");
    assert_eq!(disposition.answer(), CarrierAnswer::Malformed);
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    assert_eq!(pair.bring_body("message/cpim", &flipped), CarrierDisposition::Damaged(Damage::Corrupt));
    let mut later = bytes.clone();
    later[10] = 9;
    let disposition = pair.bring_body("message/cpim", &later);
    assert_eq!(disposition, CarrierDisposition::Damaged(Damage::UnknownVersion { version: 9 }));
    assert_eq!(disposition.answer(), CarrierAnswer::UnsupportedMedia);
    let named: Vec<_> = counts(&mut pair).into_iter().map(|(code, _)| code).collect();
    assert_eq!(named, ["frame_corrupt", "frame_truncated", "frame_unknown_version"]);
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 2);
}

#[test]
fn an_envelope_authenticates_itself_whoever_is_said_to_send_it() {
    let mut pair = Pair::new(&wide());
    let senders = [Sender::Anonymous, Sender::Claimed(number("+15552010099")), Sender::Asserted(number(ADA))];
    for from in senders {
        let handed = pair.ada_writes("mine");
        let body = wrapped(&handed[0].messages[0]);
        assert_eq!(pair.bring_from(&from, "message/cpim", &body), CONSUMED);
    }
    assert_eq!(texts(&mut pair.bob, pair.conversation).len(), 5);
}

#[test]
fn parts_of_two_senders_under_one_frame_id_do_not_meet() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&"long ".repeat(600));
    let id = part(&handed[0].messages[0]).id();
    let len = handed[0].envelope().len();
    let forged = frame::split(Kind::Envelope, id, &vec![1; len], &pager()).unwrap();
    let mallory = Sender::Claimed(number("+15552010099"));
    let body = forged[0].as_bytes().to_vec();
    let waiting = pair.bring_from(&mallory, "application/octet-stream", &body);
    assert!(matches!(waiting, CarrierDisposition::PartKept { have: 1, .. }), "{waiting:?}");
    let outcomes: Vec<_> = handed[0].messages.iter().map(|message| pair.bring(message)).collect();
    assert_eq!(outcomes.last(), Some(&CONSUMED));
}

#[test]
fn a_part_that_contradicts_what_is_here_is_refused_and_changes_nothing() {
    let mut pair = Pair::new(&pager());
    let handed = pair.ada_writes(&"long ".repeat(600));
    let (first, rest) = handed[0].messages.split_first().unwrap();
    pair.bring(first);
    let id = part(first).id();
    let forged = frame::split(Kind::Envelope, id, &vec![1; 5000], &pager()).unwrap();
    let disposition = pair.bring_body("application/octet-stream", forged[1].as_bytes());
    assert_eq!(disposition, CarrierDisposition::Damaged(Damage::MixedParts { frame: id }));
    let outcomes: Vec<_> = rest.iter().map(|message| pair.bring(message)).collect();
    assert_eq!(outcomes.last(), Some(&CONSUMED));
}

#[test]
fn whatever_is_done_to_a_message_nothing_else_than_what_was_sent_is_shown() {
    let mut pair = Pair::new(&pager());
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let handed = pair.ada_writes(&"long ".repeat(400));
    let bodies: Vec<Vec<u8>> = handed[0].messages.iter().map(wrapped).collect();
    let types = ["message/cpim", "text/plain", "", "multipart/mixed;boundary=x", "message/imdn+xml", "a/b; c=\"", "\0"];
    for _ in 0..1_000 {
        let mut body = bodies[rng.next_u32() as usize % bodies.len()].clone();
        for _ in 0..=rng.next_u32() % 4 {
            let at = rng.next_u32() as usize % body.len();
            match rng.next_u32() % 4 {
                0 => body[at] ^= 1 << (rng.next_u32() % 8),
                1 => body.truncate(at.max(1)),
                2 => body.insert(at, rng.next_u32().to_be_bytes()[0]),
                _ => drop(body.remove(at)),
            }
            if body.is_empty() {
                body.push(0);
            }
        }
        let content_type = types[rng.next_u32() as usize % types.len()];
        pair.bring_body(content_type, &body);
    }
    for body in &bodies {
        pair.bring_body("message/cpim", body);
    }
    assert_eq!(texts(&mut pair.bob, pair.conversation)[2..], ["long ".repeat(400)]);
}
