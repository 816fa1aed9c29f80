//! Pins: keys that a server must have, beside a certificate that an authority of ours has signed.
//!
//! A pin is the SHA-256 of the SubjectPublicKeyInfo of the server's *own* certificate. Pins of authorities are not taken: what a server sends
//! beside its own certificate is not checked by anybody, so it could send any. An origin has several pins while its key is changed. An origin
//! without pins is trusted as its certificate says; pins never make a certificate good that the authorities do not vouch for.

use std::collections::HashMap;
use std::sync::Arc;

use rcseal_crypto::hash::sha256;
use rcseal_wire::origin::Origin;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

/// Bytes of a pin.
pub const PIN_LEN: usize = 32;

/// Keys that servers must have.
#[derive(Clone, Default)]
pub struct Pins(Arc<HashMap<Origin, Vec<[u8; PIN_LEN]>>>);

impl Pins {
    /// None: the authorities decide.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These and one more: SHA-256 of the SubjectPublicKeyInfo of the certificate that the server of this origin shows.
    #[must_use]
    pub fn with(self, origin: Origin, pin: [u8; PIN_LEN]) -> Self {
        let mut pins = Arc::unwrap_or_clone(self.0);
        pins.entry(origin).or_default().push(pin);
        Self(Arc::new(pins))
    }

    /// Whether a server of this origin may have this certificate.
    pub(super) fn admit(&self, origin: &Origin, certificates: Option<&[CertificateDer<'_>]>) -> bool {
        let Some(pins) = self.0.get(origin) else { return true };
        let own = certificates.and_then(<[_]>::first);
        let Some(key) = own.and_then(|own| ParsedCertificate::try_from(own).ok()) else { return false };
        let digest = sha256(&[key.subject_public_key_info().as_ref()]);
        pins.contains(&digest)
    }
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pins({} origins)", self.0.len())
    }
}
