//! Sets sessions up in every way there is, and looks at the first messages.

use crate::world::{Names, Side, World};
use crate::{Failure, Run, ensure};

/// Both roles, with and without one-time prekeys, with and without addresses.
pub(crate) fn run(run: &mut Run) {
    for names in [Names::Uuids, Names::Others] {
        for initiator in Side::BOTH {
            for one_time in [true, false] {
                let outcome = one(run, names, initiator, one_time);
                let prekey = if one_time { "with_one_time" } else { "without_one_time" };
                let addresses = match names {
                    Names::Uuids => "",
                    Names::Others => "_no_addresses",
                };
                run.promise(&format!("set_up_as_{}_{prekey}{addresses}", initiator.our_role()), outcome);
            }
        }
    }
}

fn one(run: &Run, names: Names, initiator: Side, one_time: bool) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed, names)?;
    world.begin(initiator, one_time)?;
    // The handshake is repeated until there is an answer.
    for text in [&b"first"[..], b"", b"third"] {
        let sent = world.pass(initiator, text)?;
        ensure(sent.prekey, "an unanswered initiator sent an ordinary message")?;
        let proto = sent.prekey_proto()?;
        ensure(proto.one_time_id.is_some() == one_time, "one-time prekey id")?;
        let registration = match initiator {
            Side::Ours => world.ours.registration,
            Side::Theirs => world.their_registration,
        };
        ensure(proto.registration_id == Some(registration), "registration id")?;
        let has_addresses = sent.ratchet_proto()?.addresses.is_some();
        ensure(has_addresses == (names == Names::Uuids), "addresses in the handshake")?;
    }
    let answerer = initiator.other();
    for round in 0..20u8 {
        for from in [answerer, initiator] {
            let sent = world.pass(from, &[round; 100])?;
            ensure(!sent.prekey, "an answered session still sent the handshake")?;
            ensure(sent.ratchet_proto()?.addresses.is_none(), "addresses outside a handshake")?;
        }
    }
    Ok(())
}

/// Both sides begin at once; sessions are archived and come back.
pub(crate) fn simultaneous(run: &mut Run) {
    for crossings in [0, 1, 5] {
        let outcome = begin_at_once(run, crossings);
        run.promise(&format!("simultaneous_initiation_{crossings}_crossings"), outcome);
    }
    let outcome = archived(run);
    run.promise("archived_sessions_come_back", outcome);
}

fn begin_at_once(run: &Run, crossings: u8) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 10, Names::Uuids)?;
    world.begin(Side::Ours, true)?;
    world.begin(Side::Theirs, true)?;
    for round in 0..=crossings {
        let (from_us, from_them) = (world.ours_send(&[1, round])?, world.theirs_send(&[2, round])?);
        ensure(world.theirs_receive(&from_us)?? == [1, round], "libsignal read another text")?;
        ensure(world.ours_receive(&from_them)?? == [2, round], "we read another text")?;
        world.ours.restart()?;
        world.restart_theirs()?;
    }
    // The first exchange that does not cross settles on one session.
    world.pass_to_them(b"settle")?;
    world.pass_to_us(b"settled")?;
    let active = world.ours.archive.active().ok_or("no active session")?.base_key();
    for round in 0..50u8 {
        ensure(!world.pass_to_them(&[round])?.prekey, "we still sent a handshake")?;
        ensure(!world.pass_to_us(&[round])?.prekey, "libsignal still sent a handshake")?;
    }
    let still = world.ours.archive.active().ok_or("no active session")?.base_key();
    ensure(active == still, "the session changed after it was settled")
}

fn archived(run: &Run) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, run.seed + 11, Names::Uuids)?;
    world.begin(Side::Ours, true)?;
    world.pass_to_them(b"one")?;
    world.pass_to_us(b"two")?;
    let late = world.theirs_send(b"late")?;
    // libsignal archives its session and can begin a new one; ours still reaches it.
    let archived = world.ask("archive", serde_json::json!({}))??;
    ensure(archived["archived"] == true, "libsignal had no session to archive")?;
    ensure(world.theirs_send(b"no session").is_err(), "libsignal sent without a session")?;
    world.pass_to_them(b"to an archived session")?;
    world.pass_to_us(b"which is active again")?;
    // The same the other way.
    world.ours.close()?;
    ensure(world.ours_send(b"no session").is_err(), "we sent without a session")?;
    world.pass_to_us(b"to an archived session")?;
    world.pass_to_them(b"which is active again")?;
    // A new session on top; the late message of the old one is still read.
    world.begin(Side::Theirs, false)?;
    ensure(world.pass_to_us(b"a new session")?.prekey, "no handshake")?;
    ensure(world.ours_receive(&late)?? == b"late", "we read another text")?;
    world.pass_to_them(b"answer in the old one")?;
    world.pass_to_us(b"and go on")?;
    Ok(())
}
