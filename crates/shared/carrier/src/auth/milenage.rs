//! A SIM in software: Milenage (3GPP TS 35.206) with a sequence number of its own.
//!
//! For tests, and for networks that issue keys to machines without a card. Milenage itself is a library's; this module adds what a SIM does
//! around it: the network's proof is checked before anything is answered, and a sequence number that was used, or that leaps too far, is
//! answered with AUTS (3GPP TS 33.102, sections 6.3.3 to 6.3.5).

use std::fmt;
use std::sync::Mutex;

use milenage::Milenage;
use zeroize::Zeroizing;

use super::{AkaAnswer, AkaFailure, AkaProvider};

/// How far a sequence number may be ahead of the last (TS 33.102, annex C.2.1 recommends 2^28): a network that leaps further could use the
/// numbers up.
const LEAP_MAX: u64 = 1 << 28;

/// The largest sequence number: 48 bits.
const SEQUENCE_MAX: u64 = (1 << 48) - 1;

/// A SIM in software.
pub struct SoftwareSim {
    key: Zeroizing<[u8; 16]>,
    opc: Zeroizing<[u8; 16]>,
    /// The highest sequence number that was taken.
    sequence: Mutex<u64>,
}

impl SoftwareSim {
    /// A SIM with its key, the operator's derived value (OPc) and the last sequence number it has taken.
    #[must_use]
    pub fn new(key: [u8; 16], opc: [u8; 16], sequence: u64) -> Self {
        let sequence = Mutex::new(sequence.min(SEQUENCE_MAX));
        Self { key: Zeroizing::new(key), opc: Zeroizing::new(opc), sequence }
    }

    /// The last sequence number that was taken, which is to be kept for the next start.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.sequence.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl AkaProvider for SoftwareSim {
    fn answer(&self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<AkaAnswer, AkaFailure> {
        let mut milenage = Milenage::new_with_opc(*self.key, *self.opc);
        let (res, ck, ik, ak) = milenage.f2345(rand);
        let mut sqn = [0; 6];
        for (at, byte) in sqn.iter_mut().enumerate() {
            *byte = autn[at] ^ ak[at];
        }
        let amf = [autn[6], autn[7]];
        let expected = milenage.f1(rand, &sqn, &amf);
        if !rcseal_crypto::ct_eq(&expected, &autn[8..]) {
            return Err(AkaFailure::NotAuthentic);
        }
        let theirs = number(&sqn);
        let mut ours = self.lock();
        if theirs <= *ours || theirs - *ours > LEAP_MAX {
            return Err(AkaFailure::Synchronisation { auts: auts(&mut milenage, rand, *ours) });
        }
        *ours = theirs;
        Ok(AkaAnswer { res: Zeroizing::new(res.to_vec()), ck: Zeroizing::new(ck), ik: Zeroizing::new(ik) })
    }
}

impl fmt::Debug for SoftwareSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareSim")
    }
}

/// The SIM's sequence number, hidden and authenticated for the network; AMF is zero in it (TS 33.102, section 6.3.3).
fn auts(milenage: &mut Milenage, rand: &[u8; 16], sequence: u64) -> [u8; 14] {
    let sqn = bytes(sequence);
    let mac = milenage.f1star(rand, &sqn, &[0, 0]);
    let ak = milenage.f5star(rand);
    let mut auts = [0; 14];
    for at in 0..6 {
        auts[at] = sqn[at] ^ ak[at];
    }
    auts[6..].copy_from_slice(&mac);
    auts
}

fn number(sqn: &[u8; 6]) -> u64 {
    sqn.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn bytes(sequence: u64) -> [u8; 6] {
    let [_, _, sqn @ ..] = sequence.to_be_bytes();
    sqn
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    /// TS 35.208, test sets 1 to 4: K, OPc, RAND, SQN, AMF; f1, f2, f3, f4, f5.
    const SETS: [[&str; 10]; 4] = [
        [
            "465b5ce8b199b49faa5f0a2ee238a6bc",
            "cd63cb71954a9f4e48a5994e37a02baf",
            "23553cbe9637a89d218ae64dae47bf35",
            "ff9bb4d0b607",
            "b9b9",
            "4a9ffac354dfafb3",
            "a54211d5e3ba50bf",
            "b40ba9a3c58b2a05bbf0d987b21bf8cb",
            "f769bcd751044604127672711c6d3441",
            "aa689c648370",
        ],
        [
            "0396eb317b6d1c36f19c1c84cd6ffd16",
            "53c15671c60a4b731c55b4a441c0bde2",
            "c00d603103dcee52c4478119494202e8",
            "fd8eef40df7d",
            "af17",
            "5df5b31807e258b0",
            "d3a628ed988620f0",
            "58c433ff7a7082acd424220f2b67c556",
            "21a8c1f929702adb3e738488b9f5c5da",
            "c47783995f72",
        ],
        [
            "fec86ba6eb707ed08905757b1bb44b8f",
            "1006020f0a478bf6b699f15c062e42b3",
            "9f7c8d021accf4db213ccff0c7f71a6a",
            "9d0277595ffc",
            "725c",
            "9cabc3e99baf7281",
            "8011c48c0c214ed2",
            "5dbdbb2954e8f3cde665b046179a5098",
            "59a92d3b476a0443487055cf88b2307b",
            "33484dc2136b",
        ],
        [
            "9e5944aea94b81165c82fbf9f32db751",
            "a64a507ae1a2a98bb88eb4210135dc87",
            "ce83dbc54ac0274a157c17f80d017bd6",
            "0b604a81eca8",
            "9e09",
            "74a58220cba84c49",
            "f365cd683cd92e96",
            "e203edb3971574f5a94b0d61b816345d",
            "0c4524adeac041c4dd830d20854fc46b",
            "f0b9c08ad02e",
        ],
    ];

    fn array<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn autn(set: &[&str; 10]) -> [u8; 16] {
        let (sqn, ak) = (array::<6>(set[3]), array::<6>(set[9]));
        let mut autn = [0; 16];
        for at in 0..6 {
            autn[at] = sqn[at] ^ ak[at];
        }
        autn[6..8].copy_from_slice(&array::<2>(set[4]));
        autn[8..].copy_from_slice(&array::<8>(set[5]));
        autn
    }

    #[test]
    fn the_published_sets_are_answered() {
        for set in &SETS {
            let sqn = number(&array(set[3]));
            let sim = SoftwareSim::new(array(set[0]), array(set[1]), sqn - 1);
            let answer = sim.answer(&array(set[2]), &autn(set)).unwrap();
            assert_eq!(answer.res.as_slice(), array::<8>(set[6]));
            assert_eq!(*answer.ck, array::<16>(set[7]));
            assert_eq!(*answer.ik, array::<16>(set[8]));
            assert_eq!(sim.sequence(), sqn);
        }
    }

    #[test]
    fn a_used_number_is_answered_with_the_sims_own() {
        let set = &SETS[0];
        let sqn = number(&array(set[3]));
        let sim = SoftwareSim::new(array(set[0]), array(set[1]), sqn);
        let Err(AkaFailure::Synchronisation { auts }) = sim.answer(&array(set[2]), &autn(set)) else {
            panic!("no synchronisation")
        };
        // f5* of set 1 is published as 451e8beca43b.
        let hidden = array::<6>("451e8beca43b");
        let shown: Vec<u8> = auts[..6].iter().zip(hidden).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(shown, array::<6>(set[3]));
        let mut milenage = Milenage::new_with_opc(array(set[0]), array(set[1]));
        // f1* of the published AMF is 01cfaf9ec4e871e9; the one sent is over an AMF of zero.
        assert_eq!(milenage.f1star(&array(set[2]), &array(set[3]), &array(set[4])), array::<8>("01cfaf9ec4e871e9"));
        assert_eq!(auts[6..], milenage.f1star(&array(set[2]), &array(set[3]), &[0, 0]));
    }

    #[test]
    fn a_leap_is_refused_and_a_foreign_network_gets_nothing() {
        let set = &SETS[0];
        let sqn = number(&array(set[3]));
        let sim = SoftwareSim::new(array(set[0]), array(set[1]), sqn - LEAP_MAX - 1);
        assert!(matches!(sim.answer(&array(set[2]), &autn(set)), Err(AkaFailure::Synchronisation { .. })));
        let mut forged = autn(set);
        forged[15] ^= 1;
        assert_eq!(sim.answer(&array(set[2]), &forged).unwrap_err(), AkaFailure::NotAuthentic);
        assert_eq!(format!("{sim:?}"), "SoftwareSim");
    }
}
