//! Replays, damage and prekeys that are gone: refused on both sides, with nothing changed.

use rcseal_signal::Address;

use crate::wire::Sent;
use crate::world::{Names, Side, World};
use crate::{Failure, Run, ensure};

pub(crate) fn run(run: &mut Run) {
    let outcome = replays(run);
    run.promise("replays_refused", outcome);
    let outcome = prekey_replays(run, true);
    run.promise("handshake_replays_refused_with_one_time_prekey", outcome);
    let outcome = prekey_replays(run, false);
    run.promise("handshake_replays_refused_on_the_last_resort_key", outcome);
    for from in Side::BOTH {
        let reader = from.reader();
        let outcome = damage(run, from);
        run.promise(&format!("damaged_messages_refused_by_{reader}"), outcome);
        let outcome = damaged_handshake(run, from);
        run.promise(&format!("damaged_handshakes_refused_by_{reader}"), outcome);
    }
    let outcome = reflected(run);
    run.promise("reflected_messages_refused", outcome);
    let outcome = other_addresses(run);
    run.promise("other_addresses_refused", outcome);
    let outcome = bundles(run);
    run.promise("damaged_bundles_refused", outcome);
}

fn replays(run: &Run) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 20, Names::Uuids)?;
    world.begin(Side::Ours, true)?;
    let first = world.pass_to_them(b"one")?;
    world.pass_to_us(b"two")?;
    let (ours, theirs) = (world.pass_to_them(b"three")?, world.pass_to_us(b"four")?);
    for (from, sent) in [(Side::Ours, &first), (Side::Ours, &ours), (Side::Theirs, &theirs)] {
        let reader = from.reader();
        let refusal = world.receive(from, sent)?.err().ok_or(format!("a message was read twice by {reader}"))?;
        ensure(refusal.is_duplicate(), refusal.to_string())?;
    }
    Ok(())
}

fn prekey_replays(run: &Run, one_time: bool) -> Result<(), Failure> {
    // To libsignal: after its sessions are gone, its stores refuse the handshake.
    let mut world = World::new(&run.folder, run.seed + 21, Names::Uuids)?;
    world.begin(Side::Ours, one_time)?;
    let first = world.pass_to_them(b"one")?;
    world.ask("delete", serde_json::json!({}))??;
    ensure(world.theirs_receive(&first)?.is_err(), "libsignal opened the same session twice")?;
    // To us: the same session again, while it is there, is a duplicate; when it is gone, its one-time prekey is too. Without
    // one the caller has to remember the base key; that is the engine's part and not the archive's.
    let mut world = World::new(&run.folder, run.seed + 22, Names::Uuids)?;
    world.begin(Side::Theirs, one_time)?;
    let first = world.pass_to_us(b"one")?;
    let refusal = world.ours_receive(&first)?.err().ok_or("we read a handshake twice")?;
    ensure(refusal.code() == "duplicate_message", refusal.to_string())?;
    if one_time {
        world.ours.delete();
        let refusal = world.ours_receive(&first)?.err().ok_or("we opened the same session twice")?;
        ensure(refusal.code() == "prekey_gone", refusal.to_string())?;
    }
    Ok(())
}

/// Whether somebody has changed anything. Compared as stored bytes.
fn stored(world: &mut World, reader: Side) -> Result<Vec<Vec<u8>>, Failure> {
    Ok(match reader {
        Side::Ours => vec![world.their_session()?.to_string().into_bytes()],
        Side::Theirs => world.ours.store.stored(),
    })
}

fn refused(world: &mut World, from: Side, sent: &Sent) -> Result<bool, Failure> {
    Ok(world.receive(from, sent)?.is_err())
}

fn read(world: &mut World, from: Side, sent: &Sent, text: &[u8]) -> Result<(), Failure> {
    ensure(world.receive(from, sent)?? == text, "the genuine message read as something else")
}

/// Every byte of an ordinary message, each with one bit flipped; and every truncation.
fn damage(run: &Run, from: Side) -> Result<(), Failure> {
    let mut world = World::established(&run.folder, run.seed + 23)?;
    let sent = world.send(from, b"genuine")?;
    let before = stored(&mut world, from)?;
    for at in 0..sent.bytes.len() {
        let mut flipped = sent.clone();
        flipped.bytes[at] ^= 1 << (at % 8);
        ensure(refused(&mut world, from, &flipped)?, format!("byte {at} does not count"))?;
        let cut = Sent { prekey: false, bytes: sent.bytes[..at].to_vec() };
        ensure(refused(&mut world, from, &cut)?, format!("{at} bytes are enough"))?;
    }
    let longer = Sent { prekey: false, bytes: [&sent.bytes[..], &[0]].concat() };
    ensure(refused(&mut world, from, &longer)?, "a trailing byte does not count")?;
    ensure(stored(&mut world, from)? == before, "a refused message changed the stored session")?;
    read(&mut world, from, &sent, b"genuine")
}

/// Bytes of the handshake. The registration id is the one field that nothing authenticates.
fn damaged_handshake(run: &Run, from: Side) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 24, Names::Uuids)?;
    world.begin(from, true)?;
    let sent = world.send(from, b"genuine")?;
    let genuine = sent.prekey_proto()?;
    for at in (0..sent.bytes.len()).filter(|at| at % 7 == 0 || *at < 90) {
        let mut flipped = sent.clone();
        flipped.bytes[at] ^= 1 << (at % 8);
        if let Ok(mut proto) = flipped.prekey_proto() {
            proto.registration_id = genuine.registration_id;
            if proto == genuine && at > 0 {
                continue;
            }
        }
        // The handshake's version byte is under no code; libsignal looks at the upper half of it only.
        if at == 0 && from == Side::Ours {
            continue;
        }
        ensure(refused(&mut world, from, &flipped)?, format!("byte {at} does not count"))?;
    }
    read(&mut world, from, &sent, b"genuine")
}

/// A message given back to its sender, and one given to it under the other form.
fn reflected(run: &Run) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 25, Names::Uuids)?;
    world.begin(Side::Ours, true)?;
    world.pass_to_them(b"one")?;
    world.pass_to_us(b"two")?;
    let (ours, theirs) = (world.ours_send(b"three")?, world.theirs_send(b"four")?);
    ensure(world.ours_receive(&ours)?.is_err(), "we read our own message")?;
    ensure(world.theirs_receive(&theirs)?.is_err(), "libsignal read its own message")?;
    read(&mut world, Side::Ours, &ours, b"three")?;
    read(&mut world, Side::Theirs, &theirs, b"four")
}

/// A handshake between other accounts or devices than the two who think they speak.
fn other_addresses(run: &Run) -> Result<(), Failure> {
    for initiator in Side::BOTH {
        for (theirs, device) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
            let mut world = World::new(&run.folder, run.seed + 27, Names::Uuids)?;
            // Device 2 of the right account, or device 1 of another one; ours or theirs, as we see them.
            let account = |known: [u8; 16]| if device == 2 { known } else { [9; 16] };
            if theirs {
                world.ours.their.address = Address::new(account(world.their_account), device);
            } else {
                world.ours.address = Address::new(account(*world.ours.address.account()), device);
            }
            world.begin(initiator, true)?;
            let sent = world.send(initiator, b"to somebody")?;
            match initiator {
                Side::Ours => {
                    ensure(world.theirs_receive(&sent)?.is_err(), "libsignal read a message of other addresses")?;
                }
                Side::Theirs => {
                    let refusal = world.ours_receive(&sent)?.err().ok_or("we read a message of other addresses")?;
                    ensure(refusal.code() == "address_mismatch", refusal.to_string())?;
                }
            }
        }
    }
    Ok(())
}

/// A bundle whose signatures do not fit is refused on both sides.
fn bundles(run: &Run) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 26, Names::Uuids)?;
    let flip = |value: &serde_json::Value, at: usize| -> Result<serde_json::Value, Failure> {
        let mut bytes = crate::peer::bytes(value)?;
        bytes[at] ^= 1;
        Ok(hex::encode(bytes).into())
    };
    for kind in ["signed", "kem"] {
        for (field, at) in [("signature", 5), ("signature", 40), ("key", 20)] {
            let mut theirs = world.ask("bundle", serde_json::json!({"oneTime": false}))??;
            theirs[kind][field] = flip(&theirs[kind][field], at)?;
            let World { ours, rng, .. } = &mut world;
            ensure(ours.begin(rng, &theirs).is_err(), format!("we took a bundle with a changed {kind} {field}"))?;
            let mut ours = world.ours.bundle(&mut world.rng, false)?;
            ours[kind][field] = flip(&ours[kind][field], at)?;
            let answer = world.ask("process", serde_json::json!({"bundle": ours}))?;
            ensure(answer.is_err(), format!("libsignal took a bundle with a changed {kind} {field}"))?;
        }
    }
    // libsignal's signatures carry a sign bit, ours never: over many keys both conventions meet.
    for seed in 0..12 {
        let mut world = World::new(&run.folder, run.seed + 260 + seed, Names::Uuids)?;
        world.begin(Side::Ours, false)?;
        world.begin(Side::Theirs, false)?;
    }
    Ok(())
}
