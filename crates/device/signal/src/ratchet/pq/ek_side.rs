//! The side of an epoch that made the key pair: it sends header and vector, receives the ciphertext, decapsulates.
//!
//! Five states, each a type, each transition takes the old state away. The numbers are those of the braid's transitions
//! (`docs/protocol/spqr.md`).

use alloc::sync::Arc;

use rand_core::CryptoRng;
use rcseal_crypto::Secret;
use rcseal_crypto::mlkem768::split::{self, KeyPair};

use super::authenticator::MAC_LEN;
use super::braid::{
    At, Braid, CT1_CHUNKS, CT2_CHUNKS, Ct1, Ct2AndMac, HeaderAndMac, Received, VECTOR_CHUNKS, epoch_key,
};
use super::codec::Content;
use super::ct_side::NoHeaderReceived;
use super::erasure::{self, Added, Decoder, Position, encode};
use super::error::PqRefusal;
use super::labels::PqLabels;

/// Our key pair of the epoch: the seed, which is stored, and what follows from it once something has needed it.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    seed: Arc<Secret<{ split::SEED_LEN }>>,
    pair: Option<Arc<KeyPair>>,
}

impl Keys {
    pub(crate) fn restore(seed: Secret<{ split::SEED_LEN }>) -> Self {
        Self { seed: Arc::new(seed), pair: None }
    }

    pub(crate) fn seed(&self) -> &Secret<{ split::SEED_LEN }> {
        &self.seed
    }

    fn pair(&mut self) -> &KeyPair {
        self.pair.get_or_insert_with(|| Arc::new(KeyPair::from_seed(&self.seed)))
    }
}

/// Nothing is begun; the next message begins it.
#[derive(Clone, Debug)]
pub(crate) struct KeysUnsampled {
    pub(crate) at: At,
}

impl KeysUnsampled {
    /// Edge 1.
    pub(crate) fn send(self, labels: &PqLabels, rng: &mut dyn CryptoRng) -> (Braid, Content) {
        let mut keys = Keys::restore(Secret::generate(rng));
        let header = *keys.pair().header();
        let mac = self.at.auth.header_mac(labels, self.at.epoch, &header);
        let header = Arc::new(erasure::joined(&header, &mac));
        KeysSampled { at: self.at, keys, header, next: Position::default() }.send()
    }
}

/// The header is on its way.
#[derive(Clone, Debug)]
pub(crate) struct KeysSampled {
    pub(crate) at: At,
    pub(crate) keys: Keys,
    pub(crate) header: Arc<HeaderAndMac>,
    pub(crate) next: Position,
}

impl KeysSampled {
    pub(crate) fn send(mut self) -> (Braid, Content) {
        let content = match self.next.next() {
            Some(index) => Content::Hdr(encode(&self.header, index)),
            None => Content::None,
        };
        (Braid::KeysSampled(self), content)
    }

    /// Edge 2.
    pub(crate) fn receive(self, content: Content) -> Received {
        match content {
            Content::Ct1(chunk) => {
                let next = HeaderSent { at: self.at, keys: self.keys, next: Position::default(), ct1: Decoder::new() };
                next.take(chunk)
            }
            _ => Received::nothing(Braid::KeysSampled(self)),
        }
    }
}

/// The peer has the header; the vector goes out while ct1 comes in.
#[derive(Clone, Debug)]
pub(crate) struct HeaderSent {
    pub(crate) at: At,
    pub(crate) keys: Keys,
    pub(crate) next: Position,
    pub(crate) ct1: Decoder<CT1_CHUNKS>,
}

impl HeaderSent {
    pub(crate) fn send(mut self) -> (Braid, Content) {
        let content = match self.next.next() {
            Some(index) => Content::Ek(vector_chunk(&mut self.keys, index)),
            None => Content::None,
        };
        (Braid::HeaderSent(self), content)
    }

    pub(crate) fn receive(self, content: Content) -> Received {
        match content {
            Content::Ct1(chunk) => self.take(chunk),
            _ => Received::nothing(Braid::HeaderSent(self)),
        }
    }

    /// Edge 3.
    fn take(self, chunk: erasure::Chunk) -> Received {
        let Self { at, keys, next, ct1 } = self;
        Received::nothing(match ct1.add(chunk) {
            Added::Incomplete(ct1) => Braid::HeaderSent(Self { at, keys, next, ct1 }),
            Added::Complete(ct1) => Braid::Ct1Received(Ct1Received { at, keys, next, ct1: ct1.into() }),
        })
    }
}

/// ct1 is whole, and the peer is told so with the rest of the vector.
#[derive(Clone, Debug)]
pub(crate) struct Ct1Received {
    pub(crate) at: At,
    pub(crate) keys: Keys,
    pub(crate) next: Position,
    pub(crate) ct1: Arc<Ct1>,
}

impl Ct1Received {
    pub(crate) fn send(mut self) -> (Braid, Content) {
        let content = match self.next.next() {
            Some(index) => Content::EkCt1Ack(vector_chunk(&mut self.keys, index)),
            // The vector's chunks are used up; what else this content says still holds.
            None => Content::Ct1Ack,
        };
        (Braid::Ct1Received(self), content)
    }

    /// Edge 4.
    pub(crate) fn receive(self, labels: &PqLabels, content: Content) -> Result<Received, PqRefusal> {
        match content {
            Content::Ct2(chunk) => {
                let Self { at, keys, next: _, ct1 } = self;
                EkSentCt1Received { at, keys, ct1, ct2: Decoder::new() }.take(labels, chunk)
            }
            _ => Ok(Received::nothing(Braid::Ct1Received(self))),
        }
    }
}

/// The peer has the whole key; ct2 comes in.
#[derive(Clone, Debug)]
pub(crate) struct EkSentCt1Received {
    pub(crate) at: At,
    pub(crate) keys: Keys,
    pub(crate) ct1: Arc<Ct1>,
    pub(crate) ct2: Decoder<CT2_CHUNKS>,
}

impl EkSentCt1Received {
    pub(crate) fn send(self) -> (Braid, Content) {
        (Braid::EkSentCt1Received(self), Content::Ct1Ack)
    }

    pub(crate) fn receive(self, labels: &PqLabels, content: Content) -> Result<Received, PqRefusal> {
        match content {
            Content::Ct2(chunk) => self.take(labels, chunk),
            _ => Ok(Received::nothing(Braid::EkSentCt1Received(self))),
        }
    }

    fn take(self, labels: &PqLabels, chunk: erasure::Chunk) -> Result<Received, PqRefusal> {
        let Self { at, keys, ct1, ct2 } = self;
        match ct2.add(chunk) {
            Added::Incomplete(ct2) => Ok(Received::nothing(Braid::EkSentCt1Received(Self { at, keys, ct1, ct2 }))),
            Added::Complete(whole) => complete(labels, &at, keys, &ct1, &whole),
        }
    }
}

/// Edge 5. A ciphertext that was not made for our key gives an unrelated secret, and then a wrong MAC.
fn complete(labels: &PqLabels, at: &At, mut keys: Keys, ct1: &Ct1, whole: &Ct2AndMac) -> Result<Received, PqRefusal> {
    let (ct2, mac) = whole.as_flattened().split_at(whole.as_flattened().len() - MAC_LEN);
    let ct2 = ct2.try_into().expect("ct2 and MAC fill their chunks");
    let ct1 = erasure::bytes(ct1);
    let key = epoch_key(labels, at.epoch, &keys.pair().decapsulate(ct1, ct2));
    let auth = at.auth.updated(labels, &key);
    if !auth.is_ciphertext_mac(labels, at.epoch, ct1, ct2, mac) {
        return Err(PqRefusal::Ciphertext);
    }
    let at = At { epoch: at.epoch.saturating_add(1), auth: Arc::new(auth) };
    let next = Braid::NoHeaderReceived(NoHeaderReceived { at, header: Decoder::new() });
    Ok(Received { next, key: Some(key) })
}

fn vector_chunk(keys: &mut Keys, index: u16) -> erasure::Chunk {
    encode::<VECTOR_CHUNKS>(erasure::payload(keys.pair().vector()), index)
}
