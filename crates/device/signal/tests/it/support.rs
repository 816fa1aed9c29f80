//! Devices and sessions for the tests, and messages that were changed on their way.

use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::*;

pub(crate) use crate::proto::{PreKeyProto, RatchetProto};

/// Every profile this build can make sessions of.
#[cfg(not(feature = "signal-v4"))]
pub(crate) const PROFILES: &[Profile] = &[Profile::Native];
/// Every profile this build can make sessions of.
#[cfg(feature = "signal-v4")]
pub(crate) const PROFILES: &[Profile] = &[Profile::Native, Profile::SignalV4];

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Where the post-quantum ratchet's slot begins in a record: version, state, epoch (`docs/protocol/spqr.md`).
pub(crate) const PQ_SLOT: usize = 736;

/// A device with its identity and one prekey of each kind.
pub(crate) struct Device {
    pub(crate) profile: Profile,
    pub(crate) identity: IdentityKeyPair,
    pub(crate) address: Address,
    pub(crate) signed: SignedPreKey,
    pub(crate) kem: KemPreKey,
    pub(crate) one_time: OneTimePreKey,
}

impl Device {
    pub(crate) fn new(rng: &mut ChaCha20Rng, profile: Profile, account: u8) -> Self {
        let identity = IdentityKeyPair::generate(rng);
        Self {
            profile,
            address: Address::new([account; 16], 1),
            signed: SignedPreKey::generate(rng, profile, 7, &identity).unwrap(),
            kem: KemPreKey::generate(rng, profile, 300, &identity).unwrap(),
            one_time: OneTimePreKey::generate(rng, profile, 70_000).unwrap(),
            identity,
        }
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer { address: self.address, identity: self.identity.public() }
    }

    pub(crate) fn bundle(&self, one_time: bool) -> PreKeyBundle {
        PreKeyBundle {
            identity: self.identity.public(),
            signed_prekey: self.signed.public(),
            kem_prekey: self.kem.public(),
            one_time: one_time.then(|| self.one_time.public()),
        }
    }

    pub(crate) fn keys(&self, one_time: bool) -> ResponderKeys<'_> {
        ResponderKeys { signed: &self.signed, kem: &self.kem, one_time: one_time.then_some(&self.one_time) }
    }

    pub(crate) fn initiate(&self, rng: &mut ChaCha20Rng, their: &Device, one_time: bool) -> Session {
        let verified = their.bundle(one_time).verify(self.profile).unwrap();
        Session::initiate(rng, self.profile, &self.identity, self.address, their.peer(), verified).unwrap()
    }

    pub(crate) fn accept(&self, their: &Device, message: &[u8], one_time: bool) -> Result<Accepted, DecryptError> {
        let message = PreKeyMessage::parse(message)?;
        let keys = self.keys(one_time);
        Session::accept(self.profile, &self.identity, self.address, their.peer(), message, keys)
            .unwrap()
            .decrypt_first()
    }
}

/// One end of a session with its stored rows, committing every step.
pub(crate) struct Side {
    pub(crate) session: Session,
    pub(crate) skipped: MemorySkippedKeys,
}

impl Side {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, skipped: MemorySkippedKeys::new() }
    }

    /// The responder's end, with the rows that its first message left.
    pub(crate) fn accepted(session: Session, delta: &Delta) -> Self {
        let mut side = Self::new(session);
        side.skipped.apply(delta);
        side
    }

    pub(crate) fn send(&mut self, rng: &mut ChaCha20Rng, text: &[u8]) -> Vec<u8> {
        let step = self.session.encrypt(rng, text).unwrap();
        self.commit(&step.delta);
        step.output
    }

    pub(crate) fn receive(&mut self, message: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let step = self.session.decrypt(&self.skipped, message)?;
        self.commit(&step.delta);
        Ok(step.output)
    }

    /// Refuses the message, and shows that this changed neither the session nor its rows.
    pub(crate) fn refuses(&mut self, message: &[u8]) -> DecryptError {
        let before = (self.record(), self.rows());
        let error = self.receive(message).unwrap_err();
        assert!((self.record(), self.rows()) == before, "a refusal changed what is stored: {error:?}");
        error
    }

    /// What is stored beside the session: ids and places; the keys print nothing.
    pub(crate) fn rows(&self) -> String {
        format!("{:?}", self.skipped)
    }

    pub(crate) fn commit(&mut self, delta: &Delta) {
        self.skipped.apply(delta);
        for kind in [SkippedKind::Message, SkippedKind::PostQuantum] {
            assert!(self.skipped.count(kind) as u64 <= SKIPPED_MAX, "more skipped keys than the bound allows");
        }
        self.session.apply(delta).unwrap();
        assert_eq!(self.session.record().as_bytes(), delta.record().as_bytes());
    }

    /// Forgets everything that is not in the store.
    pub(crate) fn restart(&mut self) {
        let record = self.record();
        self.session = Session::from_record(&record).unwrap();
        assert_eq!(self.record(), record, "a record restores to itself");
    }

    pub(crate) fn record(&self) -> Vec<u8> {
        self.session.record().as_bytes().to_vec()
    }
}

/// Two devices and a session in which both have received something.
pub(crate) struct Pair {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) alice_device: Device,
    pub(crate) bob_device: Device,
    pub(crate) alice: Side,
    pub(crate) bob: Side,
}

impl Pair {
    /// Alice has begun the session, Bob has accepted it and not answered yet.
    pub(crate) fn accepted(profile: Profile, seed: u64) -> Self {
        let mut rng = rng(seed);
        let alice_device = Device::new(&mut rng, profile, 0xA1);
        let bob_device = Device::new(&mut rng, profile, 0xB0);
        let mut alice = Side::new(alice_device.initiate(&mut rng, &bob_device, true));
        let first = alice.send(&mut rng, b"first");
        let accepted = bob_device.accept(&alice_device, &first, true).unwrap();
        assert_eq!(accepted.plaintext, b"first");
        let bob = Side::accepted(accepted.session, &accepted.delta);
        Self { rng, alice_device, bob_device, alice, bob }
    }

    /// Both have received something: ordinary messages from here on.
    pub(crate) fn established(profile: Profile, seed: u64) -> Self {
        let mut pair = Self::accepted(profile, seed);
        pair.ping_pong();
        pair
    }

    /// The sender, the receiver, and what randomness is drawn from.
    pub(crate) fn ends(&mut self, from_alice: bool) -> (&mut Side, &mut Side, &mut ChaCha20Rng) {
        match from_alice {
            true => (&mut self.alice, &mut self.bob, &mut self.rng),
            false => (&mut self.bob, &mut self.alice, &mut self.rng),
        }
    }

    /// Bob writes, then Alice.
    pub(crate) fn ping_pong(&mut self) {
        let ping = self.bob.send(&mut self.rng, b"ping");
        assert_eq!(self.alice.receive(&ping).unwrap(), b"ping");
        let pong = self.alice.send(&mut self.rng, b"pong");
        assert_eq!(self.bob.receive(&pong).unwrap(), b"pong");
    }

    /// `count` messages from Alice, none of them delivered.
    pub(crate) fn alice_sends(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| self.alice.send(&mut self.rng, number.to_string().as_bytes())).collect()
    }
}

pub(crate) fn mac_len(profile: Profile) -> usize {
    match profile {
        Profile::Native => 32,
        Profile::SignalV4 => 8,
    }
}

/// Decodes an ordinary message, changes it, and puts it together again with its old MAC.
pub(crate) fn tamper(profile: Profile, message: &[u8], change: impl FnOnce(&mut RatchetProto)) -> Vec<u8> {
    let end = message.len() - mac_len(profile);
    let mut proto = RatchetProto::decode(&message[1..end]).unwrap();
    change(&mut proto);
    [&message[..1], &proto.encode_to_vec(), &message[end..]].concat()
}

/// Decodes a prekey message, changes it, and puts it together again.
pub(crate) fn tamper_prekey(message: &[u8], change: impl FnOnce(&mut PreKeyProto)) -> Vec<u8> {
    let mut proto = PreKeyProto::decode(&message[1..]).unwrap();
    change(&mut proto);
    [&message[..1], &proto.encode_to_vec()].concat()
}

/// As [`tamper`], for a message of either form.
pub(crate) fn tamper_any(profile: Profile, message: &[u8], change: impl FnOnce(&mut RatchetProto)) -> Vec<u8> {
    match PreKeyMessage::form_of(profile, message).unwrap() {
        MessageForm::Regular => tamper(profile, message, change),
        MessageForm::PreKey => tamper_prekey(message, |proto| {
            proto.message = Some(tamper(profile, &proto.message.clone().unwrap(), change));
        }),
    }
}

/// A post-quantum part: epoch and index as given, what follows them as it was.
pub(crate) fn renumbered(part: &[u8], epoch: u64, index: u64) -> Vec<u8> {
    let mut rest = &part[1..];
    prost::encoding::decode_varint(&mut rest).unwrap();
    prost::encoding::decode_varint(&mut rest).unwrap();
    let mut out = vec![part[0]];
    prost::encoding::encode_varint(epoch, &mut out);
    prost::encoding::encode_varint(index, &mut out);
    [&out[..], rest].concat()
}

/// The type byte in front of an X25519 key.
pub(crate) fn ec_type(profile: Profile) -> u8 {
    match profile {
        Profile::Native => 0x41,
        Profile::SignalV4 => 0x05,
    }
}
