//! TLS, in the two ways that carriers use it.
//!
//! *By authority*: a SIP proxy, an MSRP relay or a content server shows a certificate that an authority of our choice has signed
//! ([`TrustAnchors`]). *By fingerprint*: the two ends of an MSRP session make certificates of their own and tell each other the digest
//! in the session description (RFC 8122), so that the connection is as trustworthy as the signalling that carried the description, and
//! no more. Both ends show a certificate, and both are checked. TLS 1.3 only.

use std::sync::Arc;

use rcseal_crypto::hash::sha256;
use rcseal_rcs::sdp::Fingerprint;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};

/// The authorities whose certificates we accept.
#[derive(Clone)]
pub struct TrustAnchors(Arc<RootCertStore>);

/// Why a text gave no trust anchors.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It is not PEM.
    #[error("not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is no certificate in it.
    #[error("no certificate in it")]
    Empty,
    /// A certificate cannot be an authority.
    #[error("a certificate cannot be used as an authority")]
    Certificate(#[source] rustls::Error),
}

impl TrustError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Pem(_) => "trust.pem",
            Self::Empty => "trust.empty",
            Self::Certificate(_) => "trust.certificate",
        }
    }
}

impl TrustAnchors {
    /// Nobody: for a configuration that never meets an authority.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// Reads one or more certificates in PEM.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(TrustError::Pem)?).map_err(TrustError::Certificate)?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self(Arc::new(roots)))
    }

    /// A configuration for connections to servers that these authorities vouch for.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has cipher suites of TLS 1.3")
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        // A resumed session would tie two connections together for the server and for whoever watches it.
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Arc::new(config)
    }
}

impl std::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TrustAnchors({})", self.0.len())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a session description says of this certificate.
pub(crate) fn fingerprint_of(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint::from_bytes(sha256(&[certificate.as_ref()]))
}

/// Why our own certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// It could not be made.
    #[error("no certificate could be made")]
    Generate(#[source] rcgen::Error),
    /// It cannot be used.
    #[error("a certificate cannot be used")]
    Certificate(#[source] rustls::Error),
}

impl TlsSetupError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Generate(_) => "tls_generate",
            Self::Certificate(_) => "tls_certificate",
        }
    }
}

/// The certificate that we show in MSRP sessions: self-signed, made when a process starts, worth what the signalling is worth.
pub struct SelfSigned {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl SelfSigned {
    /// Makes a key and a certificate.
    ///
    /// # Errors
    /// [`TlsSetupError::Generate`].
    pub fn generate() -> Result<Self, TlsSetupError> {
        let key = rcgen::KeyPair::generate().map_err(TlsSetupError::Generate)?;
        // The name says nothing about the user: anybody on the path of a passive endpoint's handshake can ask for the certificate.
        let params = rcgen::CertificateParams::new(vec!["msrp.invalid".to_owned()]).map_err(TlsSetupError::Generate)?;
        let certificate = params.self_signed(&key).map_err(TlsSetupError::Generate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self { certificate: certificate.der().clone(), key })
    }

    /// What goes into our session descriptions.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.certificate)
    }

    /// For a connection that we open to a peer with this fingerprint.
    pub(crate) fn client_config(&self, peer: Fingerprint) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let provider = provider();
        let verifier = PeerVerifier { expected: Some(peer), algorithms: provider.signature_verification_algorithms };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsSetupError::Certificate)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(TlsSetupError::Certificate)?;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// For connections that peers open. Which session a connection belongs to, and so which fingerprint it must have, is known only
    /// after the first request on it: the handshake checks that the peer has the key, [`Fingerprint`]s are compared afterwards.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsSetupError> {
        let provider = provider();
        let verifier = PeerVerifier { expected: None, algorithms: provider.signature_verification_algorithms };
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsSetupError::Certificate)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(TlsSetupError::Certificate)?;
        Ok(Arc::new(config))
    }
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned").finish_non_exhaustive()
    }
}

/// Accepts a certificate by its digest. Names, dates and issuers of such certificates mean nothing.
#[derive(Debug)]
struct PeerVerifier {
    expected: Option<Fingerprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        match self.expected {
            Some(expected) if expected != fingerprint_of(certificate) => {
                Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// That the peer has its certificate's key: the same methods in the traits for servers and for clients.
macro_rules! verify_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls12_signature(message, cert, dss, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, cert, dss, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures!();
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    verify_signatures!();
}
