//! Our sessions, as an engine uses them: a step, then its delta applied.

use std::rc::Rc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::*;

use crate::TEXT_LEN;
use crate::timing::per_call;

struct Device {
    identity: IdentityKeyPair,
    address: Address,
    signed: SignedPreKey,
    kem: KemPreKey,
    one_time: OneTimePreKey,
}

impl Device {
    fn new(rng: &mut ChaCha20Rng, account: u8) -> Self {
        let identity = IdentityKeyPair::generate(rng);
        Self {
            address: Address::new([account; 16], 1),
            signed: SignedPreKey::generate(rng, Profile::Native, 1, &identity).unwrap(),
            kem: KemPreKey::generate(rng, Profile::Native, 2, &identity).unwrap(),
            one_time: OneTimePreKey::generate(rng, Profile::Native, 3).unwrap(),
            identity,
        }
    }

    fn peer(&self) -> Peer {
        Peer { address: self.address, identity: self.identity.public() }
    }

    fn bundle(&self) -> PreKeyBundle {
        PreKeyBundle {
            identity: self.identity.public(),
            signed_prekey: self.signed.public(),
            kem_prekey: self.kem.public(),
            one_time: Some(self.one_time.public()),
        }
    }

    fn initiate(&self, rng: &mut ChaCha20Rng, their: &Device, bundle: PreKeyBundle) -> Session {
        let verified = bundle.verify(Profile::Native).unwrap();
        Session::initiate(rng, Profile::Native, &self.identity, self.address, their.peer(), verified).unwrap()
    }

    fn accept(&self, their: &Device, message: &[u8], keys: ResponderKeys<'_>) -> Accepted {
        let message = PreKeyMessage::parse(message).unwrap();
        Session::accept(Profile::Native, &self.identity, self.address, their.peer(), message, keys)
            .unwrap()
            .decrypt_first()
            .unwrap()
    }

    fn keys(&self) -> ResponderKeys<'_> {
        ResponderKeys { signed: &self.signed, kem: &self.kem, one_time: Some(&self.one_time) }
    }
}

pub(crate) struct Pair {
    rng: ChaCha20Rng,
    alice: Session,
    bob: Session,
    stored: MemorySkippedKeys,
    text: [u8; TEXT_LEN],
    /// Messages from Alice that have not been delivered.
    waiting: Vec<Vec<u8>>,
}

fn send(session: &mut Session, rng: &mut ChaCha20Rng, text: &[u8]) -> Vec<u8> {
    let step = session.encrypt(rng, text).unwrap();
    session.apply(&step.delta).unwrap();
    step.output
}

fn receive(session: &mut Session, stored: &mut MemorySkippedKeys, message: &[u8]) -> Vec<u8> {
    let step = session.decrypt(stored, message).unwrap();
    stored.apply(&step.delta);
    session.apply(&step.delta).unwrap();
    step.output
}

/// An established session in which Alice writes.
pub(crate) fn one_way() -> Pair {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (alice, bob) = (Device::new(&mut rng, 1), Device::new(&mut rng, 2));
    let mut session = alice.initiate(&mut rng, &bob, bob.bundle());
    let first = send(&mut session, &mut rng, b"first");
    let accepted = bob.accept(&alice, &first, bob.keys());
    let stored = MemorySkippedKeys::new();
    let mut pair =
        Pair { rng, alice: session, bob: accepted.session, stored, text: [7; TEXT_LEN], waiting: Vec::new() };
    pair.round();
    pair
}

pub(crate) fn ping_pong() -> Pair {
    one_way()
}

/// Bob holds `count` skipped keys; as many messages and 100 further ones wait.
pub(crate) fn with_stored(count: usize) -> Pair {
    let mut pair = one_way();
    let text = pair.text;
    let mut sent: Vec<_> = (0..count + 101).map(|_| send(&mut pair.alice, &mut pair.rng, &text)).collect();
    let last = sent.remove(count);
    receive(&mut pair.bob, &mut pair.stored, &last);
    assert_eq!(pair.stored.len(), 2 * count, "a seed and a post-quantum key for each");
    pair.waiting = sent;
    pair
}

impl Pair {
    fn round(&mut self) {
        let ping = send(&mut self.bob, &mut self.rng, &self.text);
        receive(&mut self.alice, &mut MemorySkippedKeys::new(), &ping);
        let pong = send(&mut self.alice, &mut self.rng, &self.text);
        receive(&mut self.bob, &mut self.stored, &pong);
    }

    pub(crate) fn encrypt(&mut self, count: usize) -> f64 {
        per_call(count, |_| send(&mut self.alice, &mut self.rng, &self.text))
    }

    pub(crate) fn decrypt(&mut self, count: usize) -> f64 {
        let sent: Vec<_> = (0..count).map(|_| send(&mut self.alice, &mut self.rng, &self.text)).collect();
        per_call(count, |number| receive(&mut self.bob, &mut self.stored, &sent[number]))
    }

    pub(crate) fn rounds(&mut self, count: usize) -> f64 {
        per_call(count, |_| self.round())
    }

    pub(crate) fn in_order(self, count: usize) -> f64 {
        let later = self.waiting.len() - 100;
        self.receive_each(count, |number| later + number)
    }

    /// Spread over everything that is stored.
    pub(crate) fn out_of_order(self, count: usize) -> f64 {
        let stride = self.stored.len() / 2 / count;
        self.receive_each(count, |number| number * stride)
    }

    /// The messages are copied first: both rows read them from a warm cache, as from a socket.
    fn receive_each(mut self, count: usize, which: impl Fn(usize) -> usize) -> f64 {
        let messages: Vec<_> = (0..count).map(|number| self.waiting[which(number)].clone()).collect();
        per_call(count, |number| receive(&mut self.bob, &mut self.stored, &messages[number]))
    }
}

/// Everything a handshake starts from. Prekeys are read from their stored form each time, as an engine does.
#[derive(Clone)]
pub(crate) struct Handshake(Rc<(Device, Device, Vec<u8>)>);

impl Handshake {
    pub(crate) fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (alice, bob) = (Device::new(&mut rng, 1), Device::new(&mut rng, 2));
        let mut session = alice.initiate(&mut rng, &bob, bob.bundle());
        let first = send(&mut session, &mut rng, &[7; TEXT_LEN]);
        Self(Rc::new((alice, bob, first)))
    }

    /// Parse and verify a bundle and begin a session, perhaps with its first message.
    pub(crate) fn initiate(&self, count: usize, encrypt: bool) -> f64 {
        let (alice, bob, _) = &*self.0;
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let (ec, kem) = (bob.signed.public(), bob.kem.public());
        per_call(count, |_| {
            let bundle = PreKeyBundle {
                identity: bob.identity.public(),
                signed_prekey: SignedPreKeyPublic::from_parts(1, ec.key.as_bytes(), &ec.signature.0).unwrap(),
                kem_prekey: KemPreKeyPublic::from_parts(2, kem.key.as_bytes(), &kem.signature.0).unwrap(),
                one_time: Some(bob.one_time.public()),
            };
            let mut session = alice.initiate(&mut rng, bob, bundle);
            let first = encrypt.then(|| send(&mut session, &mut rng, &[7; TEXT_LEN]));
            (session, first)
        })
    }

    /// Load the prekeys, accept, and decrypt the first message.
    pub(crate) fn respond(&self, count: usize) -> f64 {
        let (alice, bob, first) = &*self.0;
        let (signed, kem, one_time) = (bob.signed.to_bytes(), bob.kem.to_bytes(), bob.one_time.to_bytes());
        per_call(count, |_| {
            let signed = SignedPreKey::from_bytes(&signed).unwrap();
            let kem = KemPreKey::from_bytes(&kem).unwrap();
            let one_time = OneTimePreKey::from_bytes(&one_time).unwrap();
            let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: Some(&one_time) };
            bob.accept(alice, first, keys)
        })
    }
}

/// A receiver, and a message `jump` beyond the last one it has read.
#[derive(Clone)]
pub(crate) struct Jump(Rc<(Session, Vec<u8>)>);

impl Jump {
    pub(crate) fn new(jump: u32) -> Self {
        let mut pair = one_way();
        let text = pair.text;
        for _ in 1..jump {
            send(&mut pair.alice, &mut pair.rng, &text);
        }
        let far = send(&mut pair.alice, &mut pair.rng, &text);
        Self(Rc::new((pair.bob, far)))
    }

    pub(crate) fn valid(&mut self) -> f64 {
        let (bob, far) = &*self.0;
        per_call(1, |_| bob.decrypt(&MemorySkippedKeys::new(), far).unwrap())
    }

    pub(crate) fn forged(&self) -> f64 {
        let (bob, far) = &*self.0;
        let mut forged = far.clone();
        *forged.last_mut().unwrap() ^= 1;
        per_call(1, |_| bob.decrypt(&MemorySkippedKeys::new(), &forged).unwrap_err())
    }
}

/// Bytes round 1 KiB in a first message and in a later one.
pub(crate) fn overheads() -> (usize, usize) {
    let first = Handshake::new().0.2.len() - TEXT_LEN;
    let mut pair = one_way();
    let message = send(&mut pair.alice, &mut pair.rng, &pair.text).len() - TEXT_LEN;
    (first, message)
}
