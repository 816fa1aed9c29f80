//! Login tokens: fixed bytes under an HMAC, as base64url text.
//!
//! Layout: version (1 byte) ‖ account (16) ‖ device (1) ‖ counter of the key set that brought the device (8, big-endian) ‖ expiry in
//! milliseconds since 1970 (8, big-endian) ‖ HMAC-SHA256 over the label and all of that (32). The counter is there because device numbers
//! begin anew when an account is taken over: a token of the device that had the number before is then no token. The key is drawn once and
//! kept by the store, so that a restart logs nobody out. Nobody but this server reads the layout; to clients the text is opaque.

use rcseal_crypto::hmac::{hmac_sha256, verify_hmac_sha256};
use rcseal_crypto::secret::Secret;
use rcseal_store::UnixMillis;
use rcseal_wire::b64;
use rcseal_wire::id::{DeviceAddress, KeySetCounter};

use super::AuthError;

const LABEL: &[u8] = b"rcseal/login-token/v1";
const VERSION: u8 = 1;
const ADDED_AT: usize = 1 + DeviceAddress::LEN;
const EXPIRY_AT: usize = ADDED_AT + 8;
const CLAIMS_LEN: usize = EXPIRY_AT + 8;
const TOKEN_LEN: usize = CLAIMS_LEN + 32;
/// Characters of a token's text; anything longer is not decoded at all.
const TEXT_LEN_MAX: usize = TOKEN_LEN.div_ceil(3) * 4;

/// Whom a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The device.
    pub address: DeviceAddress,
    /// The counter of the first key set that listed it.
    pub added_at: KeySetCounter,
}

/// The key that authenticates tokens.
#[derive(Debug)]
pub struct TokenKey(Secret<32>);

impl TokenKey {
    /// Tokens under this key.
    #[must_use]
    pub fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The text of a token for `bearer` that is good until `expires_at`.
    #[must_use]
    pub fn issue(&self, bearer: Bearer, expires_at: UnixMillis) -> String {
        let mut token = [0; TOKEN_LEN];
        token[0] = VERSION;
        token[1..ADDED_AT].copy_from_slice(&bearer.address.to_bytes());
        token[ADDED_AT..EXPIRY_AT].copy_from_slice(&bearer.added_at.get().to_be_bytes());
        token[EXPIRY_AT..CLAIMS_LEN].copy_from_slice(&expires_at.get().to_be_bytes());
        let tag = hmac_sha256(self.0.expose(), &[LABEL, &token[..CLAIMS_LEN]]);
        token[CLAIMS_LEN..].copy_from_slice(&tag);
        b64::encode(&token)
    }

    /// Whom a token stands for, if it is ours and `now` is before its expiry.
    pub fn verify(&self, text: &str, now: UnixMillis) -> Result<Bearer, AuthError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(AuthError::Unauthenticated);
        }
        let bytes = b64::decode(text).map_err(|_| AuthError::Unauthenticated)?;
        let token: &[u8; TOKEN_LEN] = bytes.as_slice().try_into().map_err(|_| AuthError::Unauthenticated)?;
        let (claims, tag) = token.split_at(CLAIMS_LEN);
        if claims[0] != VERSION || !verify_hmac_sha256(self.0.expose(), &[LABEL, claims], tag) {
            return Err(AuthError::Unauthenticated);
        }
        let address = DeviceAddress::parse(&claims[1..ADDED_AT]).map_err(|_| AuthError::Unauthenticated)?;
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| AuthError::Unauthenticated);
        let added_at = KeySetCounter::new(number(&claims[ADDED_AT..EXPIRY_AT])?);
        let expires_at = number(&claims[EXPIRY_AT..])?;
        if now.get() >= expires_at {
            return Err(AuthError::Expired);
        }
        Ok(Bearer { address, added_at })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;
    use rcseal_wire::id::{AccountId, DeviceNumber};

    use super::*;

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(Secret::from_bytes([byte; 32]))
    }

    fn device() -> Bearer {
        let address = DeviceAddress { account: AccountId::from_bytes([7; 16]), device: DeviceNumber::PRIMARY };
        Bearer { address, added_at: KeySetCounter::new(3) }
    }

    #[test]
    fn a_token_stands_for_its_device_until_it_expires() {
        let token = key(1).issue(device(), UnixMillis::new(1000));
        assert_eq!(key(1).verify(&token, UnixMillis::new(999)).unwrap(), device());
        assert!(matches!(key(1).verify(&token, UnixMillis::new(1000)), Err(AuthError::Expired)));
    }

    #[test]
    fn a_token_of_another_key_is_none_of_ours() {
        let token = key(1).issue(device(), UnixMillis::new(1000));
        assert!(matches!(key(2).verify(&token, UnixMillis::new(0)), Err(AuthError::Unauthenticated)));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,200}") {
            prop_assert!(matches!(key(1).verify(&text, UnixMillis::new(0)), Err(AuthError::Unauthenticated)));
        }

        #[test]
        fn a_changed_token_is_refused(position in 0..TOKEN_LEN, flip in 1u8..) {
            let mut bytes = b64::decode(&key(1).issue(device(), UnixMillis::new(1000))).unwrap();
            bytes[position] ^= flip;
            prop_assert!(matches!(
                key(1).verify(&b64::encode(&bytes), UnixMillis::new(0)),
                Err(AuthError::Unauthenticated)
            ));
        }
    }
}
