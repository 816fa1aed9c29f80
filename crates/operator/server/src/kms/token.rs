//! One session with a PKCS#11 token. Everything here blocks.
//!
//! A key is three objects with one label: the private key (sensitive, not extractable, for derivation only), the public key, and a data object
//! that says in which region the key was made. The last one is written first, so that no key is ever without it.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use rcseal_crypto::hpke_p256::{PUBLIC_KEY_LEN, PublicKey};
use rcseal_crypto::secret::Secret;
use rcseal_front::process;
use zeroize::Zeroizing;

use super::{KmsError, KmsSettings};

/// The object identifier of P-256 (`prime256v1`) in DER.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// What `CKA_EC_POINT` begins with for an uncompressed point of P-256: an octet string of 65 bytes.
const POINT_HEADER: [u8; 2] = [0x04, 65];
/// `CKA_APPLICATION` of the data object that holds a region.
const REGION_APPLICATION: &[u8] = b"rcseal/region";

/// A logged-in session.
pub(super) struct Token {
    session: Session,
    module: Pkcs11,
    region: String,
}

/// A key that is there.
pub(super) struct Key {
    private: ObjectHandle,
    pub(super) public: PublicKey,
}

impl Token {
    /// Loads the module, finds the token and logs in.
    pub(super) fn open(settings: &KmsSettings) -> Result<Self, KmsError> {
        if process::is_open_to_others(&settings.pin_file) {
            return Err(KmsError::PinFileOpen { path: settings.pin_file.clone() });
        }
        let text = std::fs::read_to_string(&settings.pin_file).map(Zeroizing::new);
        let text = text.map_err(|source| KmsError::PinFile { path: settings.pin_file.clone(), source })?;
        let pin = AuthPin::from(text.trim_end_matches(['\r', '\n']));
        let module = Pkcs11::new(&settings.module)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Somebody else in this process uses the same module.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let session = Self::log_in(&module, settings, &pin);
        match session {
            Ok(session) => Ok(Self { session, module, region: settings.region.clone() }),
            Err(error) => {
                // A module learns of tokens when it is initialized: the next attempt must find it as if for the first time.
                let _ = module.finalize();
                Err(error)
            }
        }
    }

    fn log_in(module: &Pkcs11, settings: &KmsSettings, pin: &AuthPin) -> Result<Session, KmsError> {
        let mut slot = None;
        for candidate in module.get_slots_with_token()? {
            // A slot whose token was just pulled out is not the one.
            if module.get_token_info(candidate).is_ok_and(|info| info.label() == settings.token)
                && slot.replace(candidate).is_some()
            {
                return Err(KmsError::TokenAmbiguous { label: settings.token.clone() });
            }
        }
        let slot = slot.ok_or_else(|| KmsError::NoToken { label: settings.token.clone() })?;
        let session = module.open_rw_session(slot)?;
        match session.login(UserType::User, Some(pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinLocked | RvError::PinInvalid, _)) => {
                Err(KmsError::PinRefused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the session and lets the module go.
    pub(super) fn close(self) {
        let Self { session, module, .. } = self;
        drop(session);
        // It may be gone already, which is why it is closed.
        let _ = module.finalize();
    }

    /// The key with this label. One of another region is refused.
    pub(super) fn find(&self, label: &str) -> Result<Option<Key>, KmsError> {
        let named = |class| [Attribute::Class(class), Attribute::Label(label.as_bytes().to_vec())];
        let private = self.session.find_objects(&named(ObjectClass::PRIVATE_KEY))?;
        let public = self.session.find_objects(&named(ObjectClass::PUBLIC_KEY))?;
        let (private, public) = match (&private[..], &public[..]) {
            ([], _) | (_, []) => return Ok(None),
            ([private], [public]) => (*private, *public),
            _ => return Err(KmsError::KeyForm { label: label.to_owned() }),
        };
        let kept = self.session.get_attributes(private, &[AttributeType::Sensitive, AttributeType::Extractable])?;
        if !stays_inside(&kept) {
            return Err(KmsError::KeyOpen { label: label.to_owned() });
        }
        let found = self.region_of(label)?;
        if found.as_deref() != Some(self.region.as_str()) {
            return Err(KmsError::RegionMismatch { expected: self.region.clone(), found });
        }
        let point = self.session.get_attributes(public, &[AttributeType::EcPoint])?;
        let public = match &point[..] {
            [Attribute::EcPoint(point)] => parse_point(point),
            _ => None,
        };
        let public = public.ok_or_else(|| KmsError::KeyForm { label: label.to_owned() })?;
        Ok(Some(Key { private, public }))
    }

    fn region_of(&self, label: &str) -> Result<Option<String>, KmsError> {
        let objects = self.session.find_objects(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Application(REGION_APPLICATION.to_vec()),
            Attribute::Label(label.as_bytes().to_vec()),
        ])?;
        let Some(object) = objects.first() else { return Ok(None) };
        let value = self.session.get_attributes(*object, &[AttributeType::Value])?;
        Ok(match value.into_iter().next() {
            Some(Attribute::Value(value)) => String::from_utf8(value).ok(),
            _ => None,
        })
    }

    /// Makes a key, where there is none with this label.
    pub(super) fn make(&self, label: &str) -> Result<PublicKey, KmsError> {
        if let Some(key) = self.find(label)? {
            return Ok(key.public);
        }
        let label_attribute = || Attribute::Label(label.as_bytes().to_vec());
        match self.region_of(label)? {
            Some(region) if region == self.region => {}
            Some(region) => {
                return Err(KmsError::RegionMismatch { expected: self.region.clone(), found: Some(region) });
            }
            None => {
                self.session.create_object(&[
                    Attribute::Class(ObjectClass::DATA),
                    Attribute::Token(true),
                    Attribute::Private(true),
                    Attribute::Application(REGION_APPLICATION.to_vec()),
                    label_attribute(),
                    Attribute::Value(self.region.as_bytes().to_vec()),
                ])?;
            }
        }
        self.session.generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::Derive(true),
                Attribute::EcParams(P256.to_vec()),
                label_attribute(),
            ],
            &[
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Derive(true),
                Attribute::Sign(false),
                label_attribute(),
            ],
        )?;
        let made = self.find(label)?.ok_or_else(|| KmsError::KeyForm { label: label.to_owned() })?;
        Ok(made.public)
    }

    /// The x-coordinate of the agreement with a point of the curve.
    pub(super) fn agree(&self, key: &Key, encapsulation: &PublicKey) -> Result<Secret<32>, KmsError> {
        let parameters = Ecdh1DeriveParams::new(EcKdf::null(), encapsulation.as_bytes());
        let derived = self.session.derive_key(
            &Mechanism::Ecdh1Derive(parameters),
            key.private,
            &[
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::GENERIC_SECRET),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
                Attribute::ValueLen(32.into()),
            ],
        )?;
        let value = self.session.get_attributes(derived, &[AttributeType::Value]);
        // It lives in the session only, and would be gone with it; a failure to remove it early changes nothing.
        let _ = self.session.destroy_object(derived);
        match value?.into_iter().next() {
            Some(Attribute::Value(value)) => {
                Secret::from_slice(&Zeroizing::new(value)).ok_or(KmsError::Module(Error::InvalidValue))
            }
            _ => Err(KmsError::Module(Error::InvalidValue)),
        }
    }
}

/// Whether a private key can neither be read nor be taken out. What a module does not say, it does not promise.
fn stays_inside(attributes: &[Attribute]) -> bool {
    attributes.contains(&Attribute::Sensitive(true)) && attributes.contains(&Attribute::Extractable(false))
}

/// `CKA_EC_POINT` is an octet string in DER; some modules leave its header off.
fn parse_point(point: &[u8]) -> Option<PublicKey> {
    let bytes = match point.strip_prefix(&POINT_HEADER) {
        Some(bytes) if bytes.len() == PUBLIC_KEY_LEN => bytes,
        _ => point,
    };
    PublicKey::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rcseal_crypto::hpke_p256::public_in_software;

    use super::*;

    #[test]
    fn a_point_is_read_with_its_header_and_without() {
        let public = public_in_software(&Secret::from_bytes([1; 32])).unwrap();
        assert_eq!(parse_point(public.as_bytes()), Some(public));
        assert_eq!(parse_point(&[&POINT_HEADER[..], public.as_bytes()].concat()), Some(public));
    }

    #[test]
    fn a_key_that_could_leave_the_token_is_none_of_ours() {
        let sensitive = Attribute::Sensitive;
        let extractable = Attribute::Extractable;
        assert!(stays_inside(&[sensitive(true), extractable(false)]));
        assert!(stays_inside(&[extractable(false), sensitive(true)]));
        for open in [
            &[sensitive(true), extractable(true)][..],
            &[sensitive(false), extractable(false)],
            &[sensitive(true)],
            &[extractable(false)],
            &[],
        ] {
            assert!(!stays_inside(open), "{open:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_point_or_none(bytes: Vec<u8>) {
            let _ = parse_point(&bytes);
        }
    }
}
