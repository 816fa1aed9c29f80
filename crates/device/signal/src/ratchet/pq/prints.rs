//! What every state of the ratchet prints: its name and its place, and none of its secrets.
#![allow(clippy::unwrap_used, clippy::panic)]

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

/// The state's name, after a look at everything else that is printed.
fn look_at(ratchet: &PqRatchet) -> String {
    let printed = format!("{ratchet:?}");
    ratchet.audit_secrets(&mut |what, secret| {
        for part in secret.as_chunks::<4>().0 {
            // Four bytes in a row, in hexadecimal or as a list of numbers, would be a leak.
            let [a, b, c, d] = part;
            let hexadecimal = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
            let list = format!(" {a}, {b}, {c}, {d}");
            assert!(!printed.contains(&hexadecimal) && !printed.contains(&list), "{what} in {printed}");
        }
    });
    let state = printed.strip_prefix("PqRatchet { braid: ").unwrap();
    state.split('(').next().unwrap().to_string()
}

#[test]
fn no_state_prints_a_secret() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let key = Secret::generate(&mut rng);
    let mut sides = [Role::Initiator, Role::Responder].map(|role| PqRatchet::new(&NATIVE, role, &key));
    let mut seen = BTreeSet::new();
    for step in 0..3_000 {
        seen.extend(sides.iter().map(look_at));
        let dice = rng.next_u32();
        let from = (dice & 1) as usize;
        let sent = sides[from].send(&NATIVE, &mut rng).unwrap();
        sides[from] = sent.next;
        seen.insert(look_at(&sides[from]));
        // For a while one side's messages are mostly lost, so that the vector is whole before ct1.
        if from == 1 && step / 100 % 2 == 1 && dice & 0x30 != 0 {
            continue;
        }
        let part = PqPart::parse(&NATIVE, sent.field.as_bytes()).unwrap();
        sides[1 - from] = sides[1 - from].receive(&NATIVE, &part).unwrap().next;
        if seen.len() == 11 {
            return;
        }
    }
    panic!("only {seen:?} were met");
}
