//! What two people compare is what their session was made with: both ends give one number, and a session with somebody
//! else, or one that somebody stands in the middle of, never gives the same. How a number is put together, and that no two
//! pairs of parties share one, is tested where it is made, in `rcseal-credential`.

use rcseal_credential::{SignalV4Party, SignalV4SafetyNumber, SignalV4ScanError};
use rcseal_signal::*;

use crate::support::*;

/// The number as one end of a session knows the two parties.
fn number(session: &Session) -> SignalV4SafetyNumber {
    let party = |address: Address, identity: IdentityKey| SignalV4Party::from_aci(*address.account(), identity.into());
    SignalV4SafetyNumber::new(
        &party(session.our_address(), session.our_identity()),
        &party(session.their_address(), session.their_identity()),
    )
}

#[test]
fn both_ends_of_a_session_give_one_number_and_read_each_others_code() {
    for profile in PROFILES {
        let mut pair = Pair::established(*profile, 1);
        pair.bob.restart();
        let (alice, bob) = (number(&pair.alice.session), number(&pair.bob.session));
        assert_eq!(alice.numeric(), bob.numeric());
        assert_eq!((alice.verify_scan(&bob.code()), bob.verify_scan(&alice.code())), (Ok(()), Ok(())));
        // Our own code, held up to a mirror.
        assert_eq!(alice.verify_scan(&alice.code()), Err(SignalV4ScanError::Mismatch));
    }
}

#[test]
fn somebody_in_the_middle_gives_each_end_another_number() {
    for profile in PROFILES {
        let mut rng = rng(2);
        let [alice, bob] = [1, 2].map(|account| Device::new(&mut rng, *profile, account));
        // Two devices of Mallory's: one that says it is Alice, one that says it is Bob.
        let [mut as_alice, mut as_bob] = [3, 3].map(|account| Device::new(&mut rng, *profile, account));
        (as_alice.address, as_bob.address) = (alice.address, bob.address);
        let to_mallory = alice.initiate(&mut rng, &as_bob, true);
        let first = as_alice.initiate(&mut rng, &bob, true).encrypt(&mut rng, b"I am Alice").unwrap().output;
        let from_mallory = bob.accept(&as_alice, &first, true).unwrap().session;
        let (at_alice, at_bob) = (number(&to_mallory), number(&from_mallory));
        assert_ne!(at_alice.numeric(), at_bob.numeric());
        assert_eq!(at_alice.verify_scan(&at_bob.code()), Err(SignalV4ScanError::Mismatch));
    }
}
