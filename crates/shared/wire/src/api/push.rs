//! Waking a device through its platform's push service: what the device registers at its relay, and the wake-up that comes out at the end.
//!
//! `PUT /v1/push` registers, `DELETE /v1/push` ends it; both need a login. A wake-up says *look at your mailbox* and nothing else: the
//! provider learns that this device has something waiting, and when. It has one length, names nobody, and its handle is a new one after every
//! registration. Spec: `docs/protocol/push.md`.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Base64;
use crate::b64;

/// PUT a [`PushRegister`], get a [`PushRegistered`]; DELETE. Logged in.
pub const PUSH_PATH: &str = "/v1/push";
/// Bytes of a provider's token. Those of APNs have 32 to 100 and FCM's some 250; a Web Push subscription is an address and two keys.
pub const PUSH_TOKEN_LEN_MAX: usize = 2048;
/// Characters of the app's name at the provider.
pub const PUSH_APP_LEN_MAX: usize = 128;
/// Version of the wake-up.
pub const WAKE_UP_VERSION: u8 = 1;
/// Bytes of every wake-up as a relay writes it.
pub const WAKE_UP_LEN: usize = 59;
/// Bytes of a wake-up as an app may hand it over: the phone's system may have written the same JSON with other white space.
pub const WAKE_UP_LEN_MAX: usize = 256;

/// Whose push service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushProvider {
    /// Apple's, for apps from the store.
    Apns,
    /// Apple's, for apps under development.
    ApnsSandbox,
    /// Google's.
    Fcm,
    /// UnifiedPush: the token is what the distributor gave out.
    UnifiedPush,
    /// Web Push (RFC 8030): the token is the subscription.
    WebPush,
}

impl PushProvider {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Apns, Self::ApnsSandbox, Self::Fcm, Self::UnifiedPush, Self::WebPush];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apns => "apns",
            Self::ApnsSandbox => "apns_sandbox",
            Self::Fcm => "fcm",
            Self::UnifiedPush => "unified_push",
            Self::WebPush => "web_push",
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }

    /// Its number in records.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Apns => 1,
            Self::ApnsSandbox => 2,
            Self::Fcm => 3,
            Self::UnifiedPush => 4,
            Self::WebPush => 5,
        }
    }

    /// The provider with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.number() == number)
    }
}

/// What a registration may not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushRegisterError {
    /// The token is empty or over [`PUSH_TOKEN_LEN_MAX`].
    #[error("the push token is empty or too long")]
    Token,
    /// The app's name is empty, too long, or has other characters than letters, digits, dots, hyphens and underscores.
    #[error("the app's name at the push service is not one")]
    App,
}

/// PUT /v1/push.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushRegister {
    /// Whose push service.
    pub provider: PushProvider,
    /// What the push service knows the app on this device by. The relay reads nothing in it.
    pub token: Base64,
    /// The app at the push service: the topic of APNs, the project of FCM.
    pub app: String,
}

impl PushRegister {
    /// Checks lengths and alphabet.
    ///
    /// # Errors
    /// [`PushRegisterError`].
    pub fn check(&self) -> Result<(), PushRegisterError> {
        if self.token.0.is_empty() || self.token.0.len() > PUSH_TOKEN_LEN_MAX {
            return Err(PushRegisterError::Token);
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if self.app.is_empty() || self.app.len() > PUSH_APP_LEN_MAX || !self.app.bytes().all(is_name) {
            return Err(PushRegisterError::App);
        }
        Ok(())
    }
}

impl fmt::Debug for PushRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushRegister").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Answer to PUT /v1/push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PushRegistered {
    /// What wake-ups for this device carry until the next registration.
    #[schema(value_type = String)]
    pub handle: PushHandle,
}

/// Stands for one device in wake-ups, from one registration to the next. Random. Never shown in logs: it ties a provider's record of
/// deliveries to a device here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PushHandle([u8; 16]);

impl PushHandle {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Draws a fresh one.
    pub fn generate(rng: &mut (impl rand_core::CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PushHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushHandle")
    }
}

impl Serialize for PushHandle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&b64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PushHandle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = b64::decode(&text).map_err(serde::de::Error::custom)?;
        bytes.try_into().map(Self).map_err(|_| serde::de::Error::custom("not a push handle"))
    }
}

/// The whole of what goes through a push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakeUp {
    /// Whom it wakes.
    pub handle: PushHandle,
    /// How many wake-ups this registration has seen, this one included.
    pub counter: u64,
}

/// A payload is no wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WakeUpError {
    /// Not the JSON that a wake-up is.
    #[error("the payload is no wake-up")]
    Malformed,
    /// Of a version that this program does not know.
    #[error("the wake-up has version {0}")]
    Version(u64),
}

impl WakeUpError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "push_malformed",
            Self::Version(_) => "push_version",
        }
    }
}

/// The text form. `n` is text as well: what goes through Google's service may be text only, and a fixed width keeps the length constant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "v")]
    _version: u64,
    t: PushHandle,
    n: String,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl WakeUp {
    /// The text, of [`WAKE_UP_LEN`] bytes whatever it says.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            r#"{{"v":{WAKE_UP_VERSION},"t":"{}","n":"{:016x}"}}"#,
            b64::encode(self.handle.as_bytes()),
            self.counter
        )
    }

    /// Reads a payload. The order of its fields and the white space between them may have changed on the way; nothing else may.
    ///
    /// # Errors
    /// [`WakeUpError`].
    pub fn parse(payload: &[u8]) -> Result<Self, WakeUpError> {
        if payload.len() > WAKE_UP_LEN_MAX {
            return Err(WakeUpError::Malformed);
        }
        let Version { v } = serde_json::from_slice(payload).map_err(|_| WakeUpError::Malformed)?;
        if v != u64::from(WAKE_UP_VERSION) {
            return Err(WakeUpError::Version(v));
        }
        let body: Body = serde_json::from_slice(payload).map_err(|_| WakeUpError::Malformed)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if body.n.len() != 16 || !body.n.bytes().all(is_digit) {
            return Err(WakeUpError::Malformed);
        }
        let counter = u64::from_str_radix(&body.n, 16).map_err(|_| WakeUpError::Malformed)?;
        Ok(Self { handle: body.t, counter })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wake_up(counter: u64) -> WakeUp {
        WakeUp { handle: PushHandle::from_bytes([7; 16]), counter }
    }

    #[test]
    fn every_wake_up_has_one_length_and_reads_back() {
        for counter in [0, 1, 4711, u64::MAX] {
            let text = wake_up(counter).to_text();
            assert_eq!(text.len(), WAKE_UP_LEN);
            assert_eq!(WakeUp::parse(text.as_bytes()), Ok(wake_up(counter)));
        }
    }

    #[test]
    fn another_order_is_the_same_wake_up_and_anything_more_is_none() {
        let other = r#" { "n": "0000000000000001", "t": "BwcHBwcHBwcHBwcHBwcHBw", "v": 1 } "#;
        assert_eq!(WakeUp::parse(other.as_bytes()), Ok(wake_up(1)));
        for bad in [
            "",
            "{}",
            r#"{"v":1,"t":"BwcHBwcHBwcHBwcHBwcHBw","n":"0000000000000001","from":"bob"}"#,
            r#"{"v":1,"t":"BwcHBwcHBwcHBwcHBwcHBw","n":"1"}"#,
            r#"{"v":1,"t":"BwcHBwcHBwcHBwcHBwcHBw","n":"000000000000000A"}"#,
            r#"{"v":1,"t":"Bwc","n":"0000000000000001"}"#,
            r#"{"v":1,"t":"BwcHBwcHBwcHBwcHBwcHBw","t":"BwcHBwcHBwcHBwcHBwcHBw","n":"0000000000000001"}"#,
        ] {
            assert_eq!(WakeUp::parse(bad.as_bytes()), Err(WakeUpError::Malformed), "{bad}");
        }
        let newer = r#"{"v":2,"x":true}"#;
        assert_eq!(WakeUp::parse(newer.as_bytes()), Err(WakeUpError::Version(2)));
        assert_eq!(WakeUp::parse(&[b' '; WAKE_UP_LEN_MAX + 1]), Err(WakeUpError::Malformed));
    }

    #[test]
    fn registrations_are_bounded_and_show_nothing() {
        let good = PushRegister {
            provider: PushProvider::Apns,
            token: Base64(b"a secret token".to_vec()),
            app: "org.example.app".to_owned(),
        };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(format!("{good:?}"), "PushRegister { provider: Apns, .. }");
        assert_eq!(format!("{:?}", wake_up(1).handle), "PushHandle");
        for token in [Vec::new(), vec![0; PUSH_TOKEN_LEN_MAX + 1]] {
            assert_eq!(PushRegister { token: Base64(token), ..good.clone() }.check(), Err(PushRegisterError::Token));
        }
        for app in ["", "two words", "line\n", &"a".repeat(PUSH_APP_LEN_MAX + 1)] {
            assert_eq!(PushRegister { app: app.to_owned(), ..good.clone() }.check(), Err(PushRegisterError::App));
        }
    }

    #[test]
    fn names_and_numbers_of_providers_read_back() {
        for provider in PushProvider::ALL {
            assert_eq!(PushProvider::from_name(provider.as_str()), Some(provider));
            assert_eq!(PushProvider::from_number(provider.number()), Some(provider));
            assert_eq!(serde_json::to_string(&provider).unwrap(), format!("\"{}\"", provider.as_str()));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_wake_up_or_an_error(bytes: Vec<u8>) {
            let _ = WakeUp::parse(&bytes);
        }
    }
}
