//! The side of an epoch that answers with a ciphertext: it receives header and vector, encapsulates in two halves.
//!
//! Six states. The first half needs the header only and gives the epoch's key at once; the second half waits for the vector. When the
//! vector is whole both halves are computed and the encapsulation's secrets are dropped, so the states after it hold public bytes only.

use alloc::sync::Arc;

use rand_core::CryptoRng;
use rcseal_crypto::Secret;
use rcseal_crypto::mlkem768::split::{self, Encapsulation};

use super::braid::{At, Braid, Ct1, Ct2AndMac, HEADER_CHUNKS, Received, VECTOR_CHUNKS, epoch_key};
use super::chains::EpochKey;
use super::codec::Content;
use super::ek_side::KeysUnsampled;
use super::erasure::{self, Added, Chunk, Decoder, Payload, Position, encode};
use super::error::PqRefusal;
use super::labels::PqLabels;

pub(crate) type Header = [u8; split::HEADER_LEN];

/// Our encapsulation of the epoch: header and message, which are stored, and what follows once something has needed it.
#[derive(Clone, Debug)]
pub(crate) struct Encaps {
    header: Arc<Header>,
    message: Arc<Secret<{ split::MESSAGE_LEN }>>,
    derived: Option<Arc<Encapsulation>>,
}

impl Encaps {
    pub(crate) fn restore(header: Arc<Header>, message: Secret<{ split::MESSAGE_LEN }>) -> Self {
        Self { header, message: Arc::new(message), derived: None }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn message(&self) -> &Secret<{ split::MESSAGE_LEN }> {
        &self.message
    }

    fn derived(&mut self) -> &Encapsulation {
        self.derived.get_or_insert_with(|| Arc::new(Encapsulation::begin(&self.header, &self.message)))
    }

    fn ct1(&mut self) -> &Ct1 {
        erasure::payload(self.derived().ct1())
    }

    /// The second half, under the MAC of the epoch's key.
    fn finish(&mut self, labels: &PqLabels, at: &At, vector: &Payload<VECTOR_CHUNKS>) -> Result<Ct2AndMac, PqRefusal> {
        let encapsulation = self.derived();
        let ct2 = encapsulation.finish(erasure::bytes(vector)).map_err(|_| PqRefusal::Vector)?;
        let mac = at.auth.ciphertext_mac(labels, at.epoch, encapsulation.ct1(), &ct2);
        Ok(erasure::joined(&ct2, &mac))
    }
}

/// The header comes in.
#[derive(Clone, Debug)]
pub(crate) struct NoHeaderReceived {
    pub(crate) at: At,
    pub(crate) header: Decoder<HEADER_CHUNKS>,
}

impl NoHeaderReceived {
    pub(crate) fn send(self) -> (Braid, Content) {
        (Braid::NoHeaderReceived(self), Content::None)
    }

    /// Edge 6.
    pub(crate) fn receive(self, labels: &PqLabels, content: Content) -> Result<Received, PqRefusal> {
        let Content::Hdr(chunk) = content else { return Ok(Received::nothing(Braid::NoHeaderReceived(self))) };
        let Self { at, header } = self;
        match header.add(chunk) {
            Added::Incomplete(header) => Ok(Received::nothing(Braid::NoHeaderReceived(Self { at, header }))),
            Added::Complete(whole) => {
                let (header, mac) = whole.as_flattened().split_at(split::HEADER_LEN);
                let header: Header = header.try_into().expect("header and MAC fill their chunks");
                if !at.auth.is_header_mac(labels, at.epoch, &header, mac) {
                    return Err(PqRefusal::Header);
                }
                Ok(Received::nothing(Braid::HeaderReceived(HeaderReceived { at, header: Arc::new(header) })))
            }
        }
    }
}

/// The header is genuine; the next message answers it.
#[derive(Clone, Debug)]
pub(crate) struct HeaderReceived {
    pub(crate) at: At,
    pub(crate) header: Arc<Header>,
}

impl HeaderReceived {
    /// Edge 7: the first half, and the epoch's key.
    pub(crate) fn send(self, labels: &PqLabels, rng: &mut dyn CryptoRng) -> (Braid, Content, EpochKey) {
        let Self { at, header } = self;
        let mut encaps = Encaps::restore(header, Secret::generate(rng));
        let key = epoch_key(labels, at.epoch, encaps.derived().shared_secret());
        let at = At { epoch: at.epoch, auth: Arc::new(at.auth.updated(labels, &key)) };
        let next = Ct1Sampled { at, encaps, next: Position::default(), vector: Decoder::new() };
        let (next, content) = next.send();
        (next, content, key)
    }
}

/// ct1 goes out while the vector comes in.
#[derive(Clone, Debug)]
pub(crate) struct Ct1Sampled {
    pub(crate) at: At,
    pub(crate) encaps: Encaps,
    pub(crate) next: Position,
    pub(crate) vector: Decoder<VECTOR_CHUNKS>,
}

impl Ct1Sampled {
    pub(crate) fn send(mut self) -> (Braid, Content) {
        let content = match self.next.next() {
            Some(index) => Content::Ct1(encode(self.encaps.ct1(), index)),
            None => Content::None,
        };
        (Braid::Ct1Sampled(self), content)
    }

    pub(crate) fn receive(self, labels: &PqLabels, content: Content) -> Result<Received, PqRefusal> {
        let (chunk, ct1_arrived) = match content {
            Content::Ek(chunk) => (chunk, false),
            Content::EkCt1Ack(chunk) => (chunk, true),
            _ => return Ok(Received::nothing(Braid::Ct1Sampled(self))),
        };
        let Self { at, mut encaps, next, vector } = self;
        Ok(Received::nothing(match (vector.add(chunk), ct1_arrived) {
            (Added::Incomplete(vector), false) => Braid::Ct1Sampled(Self { at, encaps, next, vector }),
            // Edge 8.
            (Added::Incomplete(vector), true) => Braid::Ct1Acknowledged(Ct1Acknowledged { at, encaps, vector }),
            // Edge 9.
            (Added::Complete(vector), true) => Ct2Sampled::begin(encaps.finish(labels, &at, &vector)?, at),
            // Edge 10.
            (Added::Complete(vector), false) => {
                let ct2 = Arc::new(encaps.finish(labels, &at, &vector)?);
                let ct1 = Arc::new(*encaps.ct1());
                Braid::EkReceivedCt1Sampled(EkReceivedCt1Sampled { at, ct1, next, ct2 })
            }
        }))
    }
}

/// The vector is whole, ct1 may not have arrived yet.
#[derive(Clone, Debug)]
pub(crate) struct EkReceivedCt1Sampled {
    pub(crate) at: At,
    pub(crate) ct1: Arc<Ct1>,
    pub(crate) next: Position,
    pub(crate) ct2: Arc<Ct2AndMac>,
}

impl EkReceivedCt1Sampled {
    pub(crate) fn send(mut self) -> (Braid, Content) {
        let content = match self.next.next() {
            Some(index) => Content::Ct1(encode(&self.ct1, index)),
            None => Content::None,
        };
        (Braid::EkReceivedCt1Sampled(self), content)
    }

    /// Edge 12. The acknowledgement's chunk, if it has one, is of a vector we have.
    pub(crate) fn receive(self, content: Content) -> Received {
        Received::nothing(match content {
            Content::EkCt1Ack(_) | Content::Ct1Ack => {
                Braid::Ct2Sampled(Ct2Sampled { at: self.at, ct2: self.ct2, next: Position::default() })
            }
            _ => Braid::EkReceivedCt1Sampled(self),
        })
    }
}

/// ct1 has arrived, the vector is not whole.
#[derive(Clone, Debug)]
pub(crate) struct Ct1Acknowledged {
    pub(crate) at: At,
    pub(crate) encaps: Encaps,
    pub(crate) vector: Decoder<VECTOR_CHUNKS>,
}

impl Ct1Acknowledged {
    pub(crate) fn send(self) -> (Braid, Content) {
        (Braid::Ct1Acknowledged(self), Content::None)
    }

    /// Edge 11. Late messages still carry the vector without the acknowledgement.
    pub(crate) fn receive(self, labels: &PqLabels, content: Content) -> Result<Received, PqRefusal> {
        match content {
            Content::Ek(chunk) | Content::EkCt1Ack(chunk) => self.take(labels, chunk),
            _ => Ok(Received::nothing(Braid::Ct1Acknowledged(self))),
        }
    }

    fn take(self, labels: &PqLabels, chunk: Chunk) -> Result<Received, PqRefusal> {
        let Self { at, mut encaps, vector } = self;
        Ok(Received::nothing(match vector.add(chunk) {
            Added::Incomplete(vector) => Braid::Ct1Acknowledged(Self { at, encaps, vector }),
            Added::Complete(vector) => Ct2Sampled::begin(encaps.finish(labels, &at, &vector)?, at),
        }))
    }
}

/// ct2 goes out, until a message of the next epoch shows that it has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Ct2Sampled {
    pub(crate) at: At,
    pub(crate) ct2: Arc<Ct2AndMac>,
    pub(crate) next: Position,
}

impl Ct2Sampled {
    fn begin(ct2: Ct2AndMac, at: At) -> Braid {
        Braid::Ct2Sampled(Self { at, ct2: Arc::new(ct2), next: Position::default() })
    }

    pub(crate) fn send(mut self) -> (Braid, Content) {
        let content = match self.next.next() {
            Some(index) => Content::Ct2(encode(&self.ct2, index)),
            None => Content::None,
        };
        (Braid::Ct2Sampled(self), content)
    }

    /// Edge 13.
    pub(crate) fn next_epoch(self) -> Braid {
        let at = At { epoch: self.at.epoch.saturating_add(1), auth: self.at.auth };
        Braid::KeysUnsampled(KeysUnsampled { at })
    }
}
