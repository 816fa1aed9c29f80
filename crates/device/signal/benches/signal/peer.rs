//! vodozemac's Olm sessions, bytes in and bytes out.

use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

use crate::TEXT_LEN;
use crate::timing::per_call;

const TEXT: [u8; TEXT_LEN] = [7; TEXT_LEN];

pub(crate) struct Pair {
    alice: Session,
    bob: Session,
    waiting: Vec<(usize, Vec<u8>)>,
}

fn send(session: &mut Session) -> (usize, Vec<u8>) {
    session.encrypt(TEXT).unwrap().to_parts()
}

fn receive(session: &mut Session, (form, bytes): &(usize, Vec<u8>)) -> Vec<u8> {
    session.decrypt(&OlmMessage::from_parts(*form, bytes).unwrap()).unwrap()
}

fn begin() -> (Account, Account, Session) {
    let (alice, mut bob) = (Account::new(), Account::new());
    bob.generate_one_time_keys(1);
    let one_time = *bob.one_time_keys().values().next().unwrap();
    let session = alice.create_outbound_session(SessionConfig::version_1(), bob.curve25519_key(), one_time).unwrap();
    (alice, bob, session)
}

pub(crate) fn one_way() -> Pair {
    let (alice, mut bob, mut session) = begin();
    let OlmMessage::PreKey(first) = session.encrypt(TEXT).unwrap() else { unreachable!("no reply has arrived yet") };
    let inbound = bob.create_inbound_session(SessionConfig::version_1(), alice.curve25519_key(), &first).unwrap();
    let mut pair = Pair { alice: session, bob: inbound.session, waiting: Vec::new() };
    pair.round();
    pair
}

pub(crate) fn ping_pong() -> Pair {
    one_way()
}

/// Bob holds `count` skipped keys, which is at most 40.
pub(crate) fn with_stored(count: usize) -> Pair {
    let mut pair = one_way();
    pair.waiting = (0..=count).map(|_| send(&mut pair.alice)).collect();
    let last = pair.waiting.pop().unwrap();
    receive(&mut pair.bob, &last);
    pair
}

impl Pair {
    fn round(&mut self) {
        let ping = send(&mut self.bob);
        receive(&mut self.alice, &ping);
        let pong = send(&mut self.alice);
        receive(&mut self.bob, &pong);
    }

    pub(crate) fn encrypt(&mut self, count: usize) -> f64 {
        per_call(count, |_| send(&mut self.alice))
    }

    pub(crate) fn decrypt(&mut self, count: usize) -> f64 {
        let sent: Vec<_> = (0..count).map(|_| send(&mut self.alice)).collect();
        per_call(count, |number| receive(&mut self.bob, &sent[number]))
    }

    pub(crate) fn rounds(&mut self, count: usize) -> f64 {
        per_call(count, |_| self.round())
    }

    pub(crate) fn out_of_order(mut self, count: usize) -> f64 {
        per_call(count, |number| receive(&mut self.bob, &self.waiting[number * 2]))
    }
}

pub(crate) struct Handshake {
    alice: Account,
    bob: Account,
}

impl Handshake {
    pub(crate) fn new() -> Self {
        Self { alice: Account::new(), bob: Account::new() }
    }

    fn outbound(&mut self, count: usize) -> Vec<vodozemac::Curve25519PublicKey> {
        self.bob.generate_one_time_keys(count);
        let keys = self.bob.one_time_keys().into_values().collect();
        self.bob.mark_keys_as_published();
        keys
    }

    pub(crate) fn outbound_encrypt(&mut self, count: usize) -> f64 {
        let keys = self.outbound(count);
        let identity = self.bob.curve25519_key();
        per_call(count, |number| {
            let config = SessionConfig::version_1();
            let mut session = self.alice.create_outbound_session(config, identity, keys[number]).unwrap();
            (send(&mut session), session)
        })
    }

    pub(crate) fn inbound(&mut self, count: usize) -> f64 {
        let identity = self.bob.curve25519_key();
        let first: Vec<_> = self
            .outbound(count)
            .into_iter()
            .map(|key| {
                let config = SessionConfig::version_1();
                send(&mut self.alice.create_outbound_session(config, identity, key).unwrap())
            })
            .collect();
        let theirs = self.alice.curve25519_key();
        per_call(count, |number| {
            let (form, bytes) = &first[number];
            let OlmMessage::PreKey(message) = OlmMessage::from_parts(*form, bytes).unwrap() else {
                unreachable!("a first message is a prekey message")
            };
            self.bob.create_inbound_session(SessionConfig::version_1(), theirs, &message).unwrap()
        })
    }
}

/// Bytes round 1 KiB in a first message and in a later one.
pub(crate) fn overheads() -> (usize, usize) {
    let (_, _, mut session) = begin();
    let first = send(&mut session).1.len() - TEXT_LEN;
    let message = send(&mut one_way().alice).1.len() - TEXT_LEN;
    (first, message)
}
