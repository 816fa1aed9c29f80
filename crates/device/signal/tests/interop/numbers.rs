//! Safety numbers and scannable codes, both ways.

use rcseal_credential::{SignalV4Party, SignalV4SafetyNumber};
use serde_json::json;

use crate::peer::bytes;
use crate::world::{Names, World};
use crate::{Failure, Run, ensure};

pub(crate) fn run(run: &mut Run) {
    let mut outcome = Ok(());
    for seed in 0..5 {
        outcome = outcome.and_then(|()| equal(run, run.seed + 30 + seed));
    }
    run.promise("safety_numbers_and_codes_equal", outcome);
}

fn equal(run: &Run, seed: u64) -> Result<(), Failure> {
    let mut world = World::new(&run.folder, seed, Names::Uuids)?;
    let (our_account, their_account) = (*world.ours.address.account(), world.their_account);
    let us = SignalV4Party::from_aci(our_account, world.ours.identity.public().into());
    let them = SignalV4Party::from_aci(their_account, world.ours.their.identity.into());
    let (ours, theirs) = (SignalV4SafetyNumber::new(&us, &them), SignalV4SafetyNumber::new(&them, &us));

    let our_key = hex::encode(world.ours.identity.public().encoded(rcseal_signal::Profile::SignalV4)?);
    let their_key = hex::encode(&world.their_identity);
    let (our_account, their_account) = (hex::encode(our_account), hex::encode(their_account));
    let request = json!({
        "iterations": 5200, "version": 2,
        "localId": their_account, "localKey": their_key, "remoteId": our_account, "remoteKey": our_key,
    });
    let answer = world.ask("fingerprint", request)??;
    ensure(answer["displayable"] == ours.numeric().as_str(), "the digits differ")?;
    let their_code = bytes(&answer["scannable"])?;
    ensure(their_code == theirs.code(), "the codes differ")?;

    // Each scans the other; nobody takes a code of their own, or of another version, for the other's.
    ours.verify_scan(&their_code)?;
    let mut compare = |scanned: &[u8]| -> Result<bool, Failure> {
        let request = json!({"own": hex::encode(&their_code), "scanned": hex::encode(scanned)});
        Ok(world.ask("compare", request)?.is_ok_and(|answer| answer["equal"] == json!(true)))
    };
    ensure(compare(&ours.code())?, "libsignal did not take our code")?;
    ensure(!compare(&their_code)?, "libsignal took its own code")?;
    ensure(theirs.verify_scan(&their_code).is_err(), "we took our own code")?;
    let mut version = ours.code();
    version[1] = 1;
    ensure(!compare(&version)?, "libsignal took a code of another version")?;
    let mut key = ours.code();
    key[50] ^= 1;
    ensure(!compare(&key)?, "libsignal took a code of another key")
}
