//! Two phones: set-up while one is offline, messages out of order, every change stored before it counts, and a restart.
//!
//! The "disk" is a map here. What matters is the order: a step gives an output and a delta; the delta goes to the disk
//! first, then the ciphertext leaves or the plaintext is shown.
#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::collections::HashMap;
use std::error::Error;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rcseal_signal::*;

const PROFILE: Profile = Profile::Native;

/// What one phone keeps on its disk: secret halves of prekeys, one session, its skipped keys.
#[derive(Default)]
struct Disk {
    prekeys: HashMap<u32, Vec<u8>>,
    session: Option<Vec<u8>>,
    skipped: MemorySkippedKeys,
}

impl Disk {
    /// One transaction: record and rows together, or neither.
    fn store(&mut self, delta: &Delta) {
        self.session = Some(delta.record().as_bytes().to_vec());
        self.skipped.apply(delta);
    }
}

/// A phone: who it is, what it holds in memory, and its disk.
struct Phone {
    identity: IdentityKeyPair,
    address: Address,
    session: Option<Session>,
    disk: Disk,
}

impl Phone {
    fn new(rng: &mut ChaCha20Rng, account: u8) -> Self {
        let identity = IdentityKeyPair::generate(rng);
        Self { identity, address: Address::new([account; 16], 1), session: None, disk: Disk::default() }
    }

    /// What the other side knows from a key set it has verified.
    fn as_peer(&self) -> Peer {
        Peer { address: self.address, identity: self.identity.public() }
    }

    /// Makes prekeys, stores the secret halves, and gives what the directory hands out.
    fn publish(&mut self, rng: &mut ChaCha20Rng) -> Result<PreKeyBundle, Box<dyn Error>> {
        let signed = SignedPreKey::generate(rng, PROFILE, 1, &self.identity)?;
        let kem = KemPreKey::generate(rng, PROFILE, 2, &self.identity)?;
        let one_time = OneTimePreKey::generate(rng, PROFILE, 3)?;
        self.disk.prekeys.insert(1, signed.to_bytes().to_vec());
        self.disk.prekeys.insert(2, kem.to_bytes().to_vec());
        self.disk.prekeys.insert(3, one_time.to_bytes().to_vec());
        Ok(PreKeyBundle {
            identity: self.identity.public(),
            signed_prekey: signed.public(),
            kem_prekey: kem.public(),
            one_time: Some(one_time.public()),
        })
    }

    fn begin(&mut self, rng: &mut ChaCha20Rng, their: Peer, bundle: PreKeyBundle) -> Result<(), Box<dyn Error>> {
        // Two checks, two types: the signatures of the bundle, and that its identity key is the peer's.
        let verified = bundle.verify(PROFILE)?;
        self.session = Some(Session::initiate(rng, PROFILE, &self.identity, self.address, their, verified)?);
        Ok(())
    }

    fn send(&mut self, rng: &mut ChaCha20Rng, text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        let session = self.session.as_mut().ok_or("no session")?;
        let step = session.encrypt(rng, text.as_bytes())?;
        // Nothing leaves before the state that made it is on the disk.
        self.disk.store(&step.delta);
        session.apply(&step.delta)?;
        Ok(step.output)
    }

    fn receive(&mut self, their: Peer, message: &[u8]) -> Result<String, Box<dyn Error>> {
        let text = match self.session.as_mut() {
            Some(session) => {
                let step = session.decrypt(&self.disk.skipped, message)?;
                self.disk.store(&step.delta);
                session.apply(&step.delta)?;
                step.output
            }
            None => self.accept(their, message)?,
        };
        Ok(String::from_utf8(text)?)
    }

    /// The first message of a session: it names the prekeys it was made with.
    fn accept(&mut self, their: Peer, message: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let message = PreKeyMessage::parse(message)?;
        let stored = |id: u32| self.disk.prekeys.get(&id).ok_or("the prekey is gone");
        let signed = SignedPreKey::from_bytes(stored(message.signed_prekey_id())?)?;
        let kem = KemPreKey::from_bytes(stored(message.kem_prekey_id())?)?;
        let one_time_id = message.one_time_id();
        let one_time =
            one_time_id.map(stored).transpose()?.map(|bytes| OneTimePreKey::from_bytes(bytes)).transpose()?;
        let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: one_time.as_ref() };
        let accepting = Session::accept(PROFILE, &self.identity, self.address, their, message, keys)?;
        // Only a genuine message makes a session; a forged one has changed nothing.
        let accepted = accepting.decrypt_first()?;
        self.disk.store(&accepted.delta);
        // In the same transaction, or the prekey could serve twice.
        if let Some(id) = one_time_id {
            self.disk.prekeys.remove(&id);
        }
        self.session = Some(accepted.session);
        Ok(accepted.plaintext)
    }

    /// The battery ran out: memory is gone, the disk is not.
    fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        self.session = self.disk.session.as_deref().map(Session::from_record).transpose()?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A seed makes the example the same every time. An application hands over its system's generator.
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (mut alice, mut bob) = (Phone::new(&mut rng, 1), Phone::new(&mut rng, 2));
    let (alice_device, bob_device) = (alice.as_peer(), bob.as_peer());

    // Bob publishes prekeys and goes offline. Alice writes three messages to him meanwhile.
    let bundle = bob.publish(&mut rng)?;
    alice.begin(&mut rng, bob_device, bundle)?;
    let sent = ["Hello Bob", "are you there?", "call me"].map(|text| alice.send(&mut rng, text));
    let [first, second, third] = sent;
    let (first, second, third) = (first?, second?, third?);

    // They arrive in another order; a copy is refused, by name.
    println!("Bob reads: {}", bob.receive(alice_device, &second)?);
    println!("Bob reads: {}", bob.receive(alice_device, &first)?);
    match bob.receive(alice_device, &first) {
        Ok(_) => return Err("a message was read twice".into()),
        Err(refused) => println!("Bob refuses a copy: {refused}"),
    }

    // Both phones restart at any time.
    bob.restart()?;
    alice.restart()?;
    let answer = bob.send(&mut rng, "I am here")?;
    println!("Alice reads: {}", alice.receive(bob_device, &answer)?);
    println!("Bob reads: {}", bob.receive(alice_device, &third)?);

    // A forged message changes nothing: the genuine one still arrives.
    let genuine = alice.send(&mut rng, "see you at eight")?;
    let mut forged = genuine.clone();
    if let Some(byte) = forged.last_mut() {
        *byte ^= 1;
    }
    match bob.receive(alice_device, &forged) {
        Ok(_) => return Err("a forged message was read".into()),
        Err(refused) => println!("Bob refuses a forgery: {refused}"),
    }
    println!("Bob reads: {}", bob.receive(alice_device, &genuine)?);
    Ok(())
}
