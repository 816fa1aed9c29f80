//! Our device: identity and prekeys, an archive of sessions with the peer, and the store beneath it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use rcseal_signal::*;
use serde_json::{Value, json};

use crate::Failure;
use crate::peer::{bytes, number};
use crate::wire::Sent;

const V4: Profile = Profile::SignalV4;

/// Why our side did not read a message.
#[derive(Debug)]
pub(crate) enum Refusal {
    Archive(ArchiveDecryptError),
    Accept(AcceptError),
    First(DecryptError),
    /// The message names a prekey that is not, or no longer, here.
    PreKeyGone,
}

impl Refusal {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Archive(error) => error.code(),
            Self::Accept(error) => error.code(),
            Self::First(error) => error.code(),
            Self::PreKeyGone => "prekey_gone",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "we refused: {}", self.code())
    }
}

impl std::error::Error for Refusal {}

pub(crate) struct Ours {
    pub(crate) identity: IdentityKeyPair,
    pub(crate) address: Address,
    pub(crate) registration: u32,
    pub(crate) their: Peer,
    /// Whether libsignal calls us and itself by UUIDs.
    states_addresses: bool,
    signed: BTreeMap<u32, SignedPreKey>,
    kem: BTreeMap<u32, KemPreKey>,
    one_time: BTreeMap<u32, OneTimePreKey>,
    next_id: u32,
    pub(crate) archive: Archive,
    pub(crate) store: MemoryArchive,
}

impl Ours {
    pub(crate) fn new(rng: &mut ChaCha20Rng, account: [u8; 16], their: Peer, states_addresses: bool) -> Self {
        Self {
            identity: IdentityKeyPair::generate(rng),
            address: Address::new(account, 1),
            registration: 1 + rng.next_u32() % 16_380,
            their,
            states_addresses,
            signed: BTreeMap::new(),
            kem: BTreeMap::new(),
            one_time: BTreeMap::new(),
            next_id: 1,
            archive: Archive::new(),
            store: MemoryArchive::new(),
        }
    }

    /// Fresh prekeys as the peer's `process` takes them.
    pub(crate) fn bundle(&mut self, rng: &mut ChaCha20Rng, one_time: bool) -> Result<Value, Failure> {
        // Three ids that differ, so that mixing them up is noticed.
        let (signed_id, kem_id, one_time_id) = (self.next_id, self.next_id + 1, self.next_id + 2);
        self.next_id += 3;
        let signed = SignedPreKey::generate(rng, V4, signed_id, &self.identity)?;
        let kem = KemPreKey::generate(rng, V4, kem_id, &self.identity)?;
        let part = |id, key: &[u8], signature: &[u8]| json!({"id": id, "key": hex::encode(key), "signature": hex::encode(signature)});
        let mut bundle = json!({
            "registration": self.registration,
            "identity": hex::encode(self.identity.public().encoded(V4)?),
            "signed": part(signed_id, &signed.public().encoded_key(V4)?, signed.public().signature.as_bytes()),
            "kem": part(kem_id, &kem.public().encoded_key()?, kem.public().signature.as_bytes()),
        });
        self.signed.insert(signed_id, signed);
        self.kem.insert(kem_id, kem);
        if one_time {
            let one_time = OneTimePreKey::generate(rng, V4, one_time_id)?;
            let key = one_time.public().encoded_key(V4)?;
            bundle["oneTime"] = json!({"id": one_time_id, "key": hex::encode(key)});
            self.one_time.insert(one_time_id, one_time);
        }
        Ok(bundle)
    }

    /// The stored halves of the latest prekeys, for a recording.
    pub(crate) fn stored_prekeys(&self) -> Value {
        let stored = |bytes: Option<zeroize::Zeroizing<Vec<u8>>>| bytes.map(|bytes| hex::encode(&*bytes));
        json!({
            "signed": stored(self.signed.values().last().map(SignedPreKey::to_bytes)),
            "kem": stored(self.kem.values().last().map(KemPreKey::to_bytes)),
            "one_time": stored(self.one_time.values().last().map(OneTimePreKey::to_bytes)),
        })
    }

    /// Begins a session from what the peer's `bundle` answered.
    pub(crate) fn begin(&mut self, rng: &mut dyn rand_core::CryptoRng, bundle: &Value) -> Result<(), Failure> {
        let verified = parse_bundle(bundle)?.verify(V4)?;
        let local = Local {
            identity: &self.identity,
            address: self.address,
            registration_id: Some(self.registration),
            states_addresses: self.states_addresses,
        };
        let session = Session::initiate_from(rng, V4, local, self.their, verified)?;
        let change = self.archive.begin(session, 0)?;
        self.commit(change)
    }

    pub(crate) fn send(&mut self, rng: &mut dyn rand_core::CryptoRng, text: &[u8]) -> Result<Sent, Failure> {
        let step = self.archive.encrypt(rng, 0, UNANSWERED_AGE_MAX, text)?;
        self.commit(step.change)?;
        let prekey = PreKeyMessage::form_of(V4, &step.output)? == MessageForm::PreKey;
        Ok(Sent { prekey, bytes: step.output })
    }

    /// Reads a message, and accepts the session it opens if it opens one.
    pub(crate) fn receive(&mut self, message: &[u8]) -> Result<Result<Vec<u8>, Refusal>, Failure> {
        let message = match self.archive.decrypt(&self.store, message) {
            Ok(step) => {
                self.commit(step.change)?;
                return Ok(Ok(step.output));
            }
            Err(ArchiveDecryptError::NewSession { message }) => *message,
            Err(error) => return Ok(Err(Refusal::Archive(error))),
        };
        let one_time_id = message.one_time_id();
        let (Some(signed), Some(kem)) =
            (self.signed.get(&message.signed_prekey_id()), self.kem.get(&message.kem_prekey_id()))
        else {
            return Ok(Err(Refusal::PreKeyGone));
        };
        let one_time = match one_time_id {
            None => None,
            Some(id) => match self.one_time.get(&id) {
                Some(prekey) => Some(prekey),
                None => return Ok(Err(Refusal::PreKeyGone)),
            },
        };
        let keys = ResponderKeys { signed, kem, one_time };
        let accepting = match Session::accept(V4, &self.identity, self.address, self.their, message, keys) {
            Ok(accepting) => accepting,
            Err(error) => return Ok(Err(Refusal::Accept(error))),
        };
        let accepted = match accepting.decrypt_first() {
            Ok(accepted) => accepted,
            Err(error) => return Ok(Err(Refusal::First(error))),
        };
        let step = self.archive.accept(accepted, 0)?;
        self.commit(step.change)?;
        if let Some(id) = one_time_id {
            self.one_time.remove(&id);
        }
        Ok(Ok(step.output))
    }

    /// Forgets everything that is not stored.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        self.archive = self.store.restore()?;
        Ok(())
    }

    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        match self.archive.close() {
            Some(change) => self.commit(change),
            None => Ok(()),
        }
    }

    /// Forgets every session with the peer.
    pub(crate) fn delete(&mut self) {
        (self.archive, self.store) = (Archive::new(), MemoryArchive::new());
    }

    fn commit(&mut self, change: ArchiveChange) -> Result<(), Failure> {
        self.store.store(&change);
        Ok(self.archive.apply(change)?)
    }
}

/// A bundle from the fields that `bundle` answers.
pub(crate) fn parse_bundle(bundle: &Value) -> Result<PreKeyBundle, Failure> {
    let (signed, kem) = (&bundle["signed"], &bundle["kem"]);
    let one_time = match &bundle["oneTime"] {
        Value::Null => None,
        prekey => Some(OneTimePreKeyPublic::from_encoded(V4, number(&prekey["id"])?, &bytes(&prekey["key"])?)?),
    };
    Ok(PreKeyBundle {
        identity: IdentityKey::from_encoded(V4, &bytes(&bundle["identity"])?)?,
        signed_prekey: SignedPreKeyPublic::from_encoded(
            V4,
            number(&signed["id"])?,
            &bytes(&signed["key"])?,
            &bytes(&signed["signature"])?,
        )?,
        kem_prekey: KemPreKeyPublic::from_encoded(
            V4,
            number(&kem["id"])?,
            &bytes(&kem["key"])?,
            &bytes(&kem["signature"])?,
        )?,
        one_time,
    })
}
